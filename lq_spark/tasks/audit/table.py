"""The table of an audit, and what several checks find out of it once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, require_key
from lq_spark.engine.verbs import select
from lq_spark.errors import OptionError
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.neighbors.columns import Features
from lq_spark.tasks.neighbors.knn import GraphOptions, SearchedGraph, graph_options, neighbor_lists
from lq_spark.tasks.shared.class_counts import checked_labels
from lq_spark.tasks.shared.classes import agreed_k, checked_classes
from lq_spark.tasks.shared.columns import require_named
from lq_spark.tasks.shared.probabilities import PredProbs, probabilities, probability_names
from lq_spark.tasks.shared.table import labelled_table
from lq_spark.tasks.spurious.columns import checked_properties

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.tasks.audit.check import Check

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class AuditTable:
    """A table that is audited: the options of :func:`lq_spark.audit.find_issues`.

    Attributes
    ----------
    df : DataFrame
    id, label, pred_probs, features, properties
        Its columns; None for one that was not given.
    task : str
    classes, n_classes, k, metric, n_features, recall, seed
        As they were given.
    """

    df: DataFrame
    id: str
    label: str | None
    pred_probs: PredProbs | None
    features: Features | None
    graph: DataFrame | None
    properties: Sequence[str] | None
    task: str
    classes: Sequence[str] | None
    n_classes: int | None
    k: int | None
    metric: str | None
    n_features: int | None
    recall: float | None
    seed: int
    held: Held = field(repr=False)
    _found: dict[object, Any] = field(default_factory=dict, repr=False)
    _failed: dict[object, Exception] = field(default_factory=dict, repr=False)

    @property
    def has_classes(self) -> bool:
        """Return whether a label is one of exclusive classes."""
        return self.task == "classification"

    @property
    def has_neighbors(self) -> bool:
        """Return whether there is something by which rows are near to each other."""
        return self.features is not None or self.graph is not None

    def require(self) -> None:
        """Raise if a column is not there, or what is near cannot be looked for with the options.

        Raises
        ------
        ColumnError, OptionError
        """
        require_key(self.df, "id", self.id)
        if self.features is not None and self.graph is not None:
            raise OptionError("features and graph are given together; one of them decides")
        names = checked_classes(self.classes)
        if self.n_classes is not None:
            agreed_k(self.df, self.n_classes, names, lambda: None)
        if self.has_classes and self.label is not None and self.pred_probs is not None:
            labelled_table(self.df, label=self.label, pred_probs=self.pred_probs, classes=names)
        elif self.has_classes and self.label is not None:
            checked_labels(self.df, self.label, names, self.n_classes)
        elif self.has_classes and self.pred_probs is not None:
            probabilities(self.df, self.pred_probs, names, None)
        else:
            require_named(self.df, label=self.label, pred_probs=self.pred_probs)
        if self.properties is not None:
            checked_properties(self.df, self.properties)
            if self.label is None or not self.has_classes:
                raise OptionError("properties are given, which go with labels that are classes")
        if self.has_neighbors:
            self.near_options()

    def facts(self) -> dict[str, Any]:
        """Return what is known of classes and neighbours, after the checks."""
        facts: dict[str, Any] = {}
        if counted := self.known("class counts"):
            labels, counts = counted
            names = labels.classes or tuple(str(k) for k in range(len(counts)))
            facts |= {"num_classes": len(counts), "class_names": names}
        by = _hashable(self.features)
        checked = self.known(("options", by, self.metric))
        if checked and (near := self.known(("neighbors", by, checked.metric))):
            facts |= {"knn_metric": near.metric, "knn_k": near.lists.k}
            facts["knn_recall"] = near.lists.recall
        return facts

    def shared(self, what: object, find: Callable[[], Found]) -> Found:
        """Return what several checks need, found for the first of them: an error, too."""
        if what in self._failed:
            raise self._failed[what]
        if what not in self._found:
            try:
                self._found[what] = find()
            except Exception as error:
                self._failed[what] = error
                raise
        return self._found[what]  # type: ignore[no-any-return]

    def known(self, what: object) -> Any:
        """Return what was found for several checks, None if it was not."""
        return self._found.get(what)

    def columns(self, *names: str | None) -> DataFrame:
        """Return the id and these columns of the table, each once."""
        return select(self.df, *dict.fromkeys([self.id, *filter(None, names)]))

    def labelled(self) -> DataFrame:
        """Return the id, the label and the predicted probabilities of the table."""
        return self.columns(self.label, *probability_names(self.pred_probs or ""))

    def near_options(self) -> GraphOptions:
        """Return how the nearest rows are looked for."""
        return self._options(
            self.features if self.graph is None else None, self.metric, self.n_features
        )

    def neighbors(self, metric: str | None = None) -> SearchedGraph:
        """Return the nearest rows of each row, by features or as the graph says.

        Of features, by another metric where one is given.

        Raises
        ------
        ColumnError, OptionError, InvalidRowsError, DataError
            As :func:`lq_spark.neighbors.graph`.
        """
        by = self.features if self.graph is None else None
        return self._near(by, metric or self.metric, self.n_features)

    def neighbors_of_probabilities(self) -> SearchedGraph:
        """Return the rows of the nearest predicted probabilities of each row."""
        return self._near(self.pred_probs, self.metric, self.n_classes)

    def rows_near(self, near: SearchedGraph) -> DataFrame:
        """Return the id of each row of a graph, and nothing else."""
        return near.lists.rows.select(column(ROW).alias(self.id))

    def _near(
        self, features: PredProbs | Features | None, metric: str | None, n: int | None
    ) -> SearchedGraph:
        checked = self._options(features, metric, n)

        def search() -> SearchedGraph:
            lists = neighbor_lists(self.df, checked, self.held)
            return SearchedGraph(self.id, lists, checked.metric)

        return self.shared(("neighbors", _hashable(features), checked.metric), search)

    def _options(
        self, features: PredProbs | Features | None, metric: str | None, n: int | None
    ) -> GraphOptions:
        def check() -> GraphOptions:
            return graph_options(
                self.df,
                self.id,
                features,
                self.k,
                metric,
                n,
                graph=self.graph if features is None else None,
                recall=self.recall,
                seed=self.seed,
            )

        return self.shared(("options", _hashable(features), metric), check)


def rows_of(check: Check) -> tuple[str, str]:
    """Return what the rows that a check has found are known by: see :meth:`AuditTable.known`."""
    return "rows", check.name


def _hashable(names: str | Sequence[str] | None) -> object:
    return names if names is None or isinstance(names, str) else tuple(names)
