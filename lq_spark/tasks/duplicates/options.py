"""By what rows are compared: features, a graph that the user has, or a text; and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lq_spark.core.duplicates.near import THRESHOLD
from lq_spark.engine.inputs import require_key, require_number_column
from lq_spark.errors import require_number, require_unused
from lq_spark.tasks.duplicates.texts import ByText, text_options
from lq_spark.tasks.neighbors.columns import Features
from lq_spark.tasks.neighbors.knn import GraphOptions, graph_options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class ByDistance:
    """The neighbours of rows, and how near a duplicate is, checked.

    Attributes
    ----------
    graph : GraphOptions
    threshold : float
    """

    graph: GraphOptions
    threshold: float

    @property
    def id(self) -> str:
        """Return the key column of the rows."""
        return self.graph.id


DuplicateOptions = ByDistance | ByText


def duplicate_options(
    df: DataFrame,
    id: str,
    features: Features | None,
    text: str | None,
    graph: DataFrame | None,
    n_features: int | None,
    k: int | None,
    metric: str | None,
    recall: float | None,
    threshold: float | None,
    shingles: str | None,
    n: int | None,
    similarity: float | None,
    seed: int,
    added: Sequence[str] = (),
) -> DuplicateOptions:
    """Check the options of :func:`lq_spark.duplicates.find_issues`.

    ``added`` are columns that the table is to have besides.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong.
    """
    require_key(df, "id", id)
    if text is not None:
        require_unused("text", features=features, graph=graph, n_features=n_features, k=k)
        require_unused("text", metric=metric, recall=recall, threshold=threshold)
        return text_options(df, id, text, shingles, n, similarity, seed, added)
    by = "features" if graph is None else "graph"
    require_unused(by, shingles=shingles, n=n, similarity=similarity)
    share = require_number("threshold", THRESHOLD if threshold is None else threshold, 0.0)
    options = id, features, k, metric, n_features, added
    return ByDistance(graph_options(df, *options, graph=graph, recall=recall, seed=seed), share)


def require_quality(df: DataFrame, label_quality: str | None) -> None:
    """Raise ColumnError unless a column, if one is given, holds numbers."""
    if label_quality is not None:
        require_number_column(df, "label_quality", label_quality)
