"""Outliers of a table: scores and flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lq_spark.core.outliers import distances as by_distance
from lq_spark.core.outliers import probabilities as by_probability
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import (
    column,
    require_key,
    require_new_columns,
)
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import OptionError, require_number, require_one_of, require_unused
from lq_spark.tasks import multiclass, neighbors
from lq_spark.tasks.neighbors.columns import Features
from lq_spark.tasks.neighbors.features import FeatureGraph
from lq_spark.tasks.neighbors.knn import GraphOptions, graph_options, joined
from lq_spark.tasks.outliers.fitted import FittedOutliers, fitted_to, scored_by_reference
from lq_spark.tasks.outliers.passes import (
    FOUND,
    ByProbability,
    Scored,
    distance_batch,
    judged,
    probability_inputs,
    scored_by_distance,
    with_probability_scores,
)
from lq_spark.tasks.shared.batches import reason_batch
from lq_spark.tasks.shared.classes import agreed_k, checked_classes, first_length, require_kind
from lq_spark.tasks.shared.keys import require_to_validate, require_unique, with_key_reasons
from lq_spark.tasks.shared.names import OUTLIER_SCORE
from lq_spark.tasks.shared.probabilities import (
    PredProbs,
    Probabilities,
    probabilities,
)
from lq_spark.tasks.shared.reasons import REASON_SCHEMA
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    features: Features | None = None,
    graph: DataFrame | None = None,
    fitted: FittedOutliers | None = None,
    pred_probs: PredProbs | None = None,
    label: str | None = None,
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    seed: int = 0,
    t: float = 1.0,
    threshold: float | None = None,
    method: str = "entropy",
    n_largest: int = by_probability.N_LARGEST,
    gamma: float = by_probability.GAMMA,
) -> DataFrame:
    """Return the table with its outliers.

    Adds ``is_outlier_issue`` (boolean) and ``outlier_score`` (double, 1 typical, 0 an outlier). By
    features everything is computed now, and held as long as the result; by probabilities the
    thresholds and the median score are, and the result is lazy. Both are those of cleanlab's
    Datalab, and do not depend, to the bit, on how the table is partitioned.

    Parameters
    ----------
    df : DataFrame
    id : str
        Column that tells the rows apart.
    features, n_features, k, metric, recall, seed
        How far a row is from its k nearest neighbours, as for :func:`lq_spark.neighbors.graph`; the
        column "features" where neither these, nor a graph or pred_probs are given.
    graph : DataFrame, optional
        Or the neighbours themselves: the edges of a graph, as many for each row, in the columns
        that :func:`lq_spark.neighbors.graph` gives; ``metric``, where given, is that of its
        distances.
    fitted : FittedOutliers, optional
        From :func:`fit`: rows are compared with its reference rows, not with each other, and how
        far is typical is as among these. Of up to 64 MiB of these, as doubles, the result is lazy,
        and the table may be a stream.
    t : float
        How fast the score falls with that distance.
    pred_probs, classes, n_classes
        Or how sure a model is of the row's class, as for :func:`lq_spark.multiclass.score`.
    label : str, optional
        Column of the given labels; the probabilities are then adjusted by the class thresholds.
    method : {"entropy", "least_confidence", "gen"}
        The score of probabilities.
    n_largest, gamma
        Of "gen": how many of the largest probabilities it looks at, and its exponent.
    threshold : float, optional
        From 0, no outliers, to 1. By features (0.37037): a row is one whose mean distance is above
        the third quartile by more than (1 / threshold - 1) times the interquartile range. By
        probabilities (0.13): whose score is below this share of the median score.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong, or several of features, graph and pred_probs are given.
    DataError
        If a graph is not one of these rows, or there are none to fit class thresholds on.
    InvalidRowsError
        If an id is null or occurs twice, or a row cannot be scored.
    """
    if fitted is None:
        refuse_stream(df, "outliers.find_issues")
    options = _Options(
        id=id,
        features=features,
        graph=graph,
        fitted=fitted,
        pred_probs=pred_probs,
        label=label,
        classes=classes,
        n_classes=n_classes,
        n_features=n_features,
        k=k,
        metric=metric,
        recall=recall,
        seed=seed,
        t=t,
        method=method,
        n_largest=n_largest,
        gamma=gamma,
    )
    return options.found(df, threshold, are_flagged=True, fail=True)


def score(
    df: DataFrame,
    *,
    id: str = "id",
    features: Features | None = None,
    graph: DataFrame | None = None,
    fitted: FittedOutliers | None = None,
    pred_probs: PredProbs | None = None,
    label: str | None = None,
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    seed: int = 0,
    t: float = 1.0,
    method: str = "entropy",
    n_largest: int = by_probability.N_LARGEST,
    gamma: float = by_probability.GAMMA,
    on_invalid: str = "fail",
) -> DataFrame:
    """Return the table with ``outlier_score`` (double): 1 typical, 0 an outlier.

    Computed when :func:`find_issues` does it.

    Parameters
    ----------
    df, id, features, graph, fitted, pred_probs, label, classes, n_classes, n_features, k, metric
        As for :func:`find_issues`.
    recall, seed, t, method, n_largest, gamma
        As for :func:`find_issues`.
    on_invalid : {"fail", "null"}
        What to do with a row that cannot be scored: fail, or leave its score null and compare the
        others with each other alone.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    if fitted is None:
        refuse_stream(df, "outliers.score")
    options = _Options(
        id=id,
        features=features,
        graph=graph,
        fitted=fitted,
        pred_probs=pred_probs,
        label=label,
        classes=classes,
        n_classes=n_classes,
        n_features=n_features,
        k=k,
        metric=metric,
        recall=recall,
        seed=seed,
        t=t,
        method=method,
        n_largest=n_largest,
        gamma=gamma,
    )
    found = options.found(df, None, are_flagged=False, fail=on_invalid == "fail")
    return found.select(*map(column, df.columns), OUTLIER_SCORE)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    features: Features | None = None,
    pred_probs: PredProbs | None = None,
    label: str | None = None,
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    n_features: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row cannot be scored, null if it can. Lazy.

    Parameters
    ----------
    df, features, pred_probs, label, classes, n_classes, n_features
        As for :func:`find_issues`.
    id : str, optional
        Column that must tell the rows apart.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    if id is not None:
        refuse_stream(df, "outliers.validate with id", lazy=True)
    _require_one(features, pred_probs)
    if pred_probs is None:
        require_unused("features", label=label, classes=classes, n_classes=n_classes)
        features = "features" if features is None else features
        return neighbors.validate(df, id=id, features=features, n_features=n_features)
    require_unused("pred_probs", n_features=n_features)
    if label is not None:
        return multiclass.validate(
            df, id=id, label=label, pred_probs=pred_probs, classes=classes, n_classes=n_classes
        )
    require_to_validate(df, id, "outliers.validate")
    read, number = read_probabilities(df, pred_probs, classes, n_classes)
    function = reason_batch(number, SUM_TOLERANCE)
    checked = with_mapped(df, function, probability_inputs(df, read), REASON_SCHEMA)
    return with_key_reasons(checked, df, id)


@dataclass(frozen=True)
class _Options:
    """The options that the functions have in common: see :func:`find_issues`."""

    id: str
    features: Features | None
    graph: DataFrame | None
    fitted: FittedOutliers | None
    pred_probs: PredProbs | None
    label: str | None
    classes: Sequence[str] | None
    n_classes: int | None
    n_features: int | None
    k: int | None
    metric: str | None
    recall: float | None
    seed: int
    t: float
    method: str
    n_largest: int
    gamma: float

    def found(
        self, df: DataFrame, threshold: float | None, *, are_flagged: bool, fail: bool
    ) -> DataFrame:
        """Return the table with :data:`FOUND`."""
        require_kind("fitted", self.fitted, FittedOutliers)
        if self.fitted is None:
            require_key(df, "id", self.id)
        if self.pred_probs is None:
            by = "features" if self.graph is None else "graph"
            require_unused(by, label=self.label, classes=self.classes, n_classes=self.n_classes)
            limit = agreed_threshold(threshold, by_distance.THRESHOLD)
            require_number("t", self.t, 0.0, above=True)
            by_probability.require_options(self.method, self.n_largest, self.gamma)
            if self.fitted is not None:
                return self._by_reference(df, self.fitted, limit, fail=fail)
            options = self.id, self.features, self.k, self.metric, self.n_features, FOUND.names
            graph = graph_options(
                df, *options, graph=self.graph, recall=self.recall, seed=self.seed
            )
            return with_distances(df, graph, self.t, limit, fail=fail).rows
        _require_one(self.features, self.pred_probs)
        require_unused(
            "pred_probs",
            graph=self.graph,
            fitted=self.fitted,
            n_features=self.n_features,
            k=self.k,
            metric=self.metric,
            recall=self.recall,
        )
        limit = agreed_threshold(threshold, by_probability.THRESHOLD)
        by_probability.require_options(self.method, self.n_largest, self.gamma)
        read, number = read_probabilities(
            df, self.pred_probs, self.classes, self.n_classes, FOUND.names
        )
        how = ByProbability(read, number, self.method, None, self.n_largest, self.gamma)
        how = with_thresholds(how, df, self.pred_probs, self.label, self.classes)
        require_unique(df, self.id, validate="outliers.validate")
        return with_probability_scores(df, how, limit if are_flagged else None, fail=fail)

    def _by_reference(
        self, df: DataFrame, fitted: FittedOutliers, threshold: float, *, fail: bool
    ) -> DataFrame:
        require_unused(
            "fitted",
            graph=self.graph,
            k=self.k,
            metric=self.metric,
            n_features=self.n_features,
            recall=self.recall,
        )
        features = "features" if self.features is None else self.features
        options = self.id, features, fitted, self.t, threshold
        return scored_by_reference(df, *options, fail=fail)


def with_distances(
    df: DataFrame, options: GraphOptions, t: float, threshold: float, *, fail: bool
) -> Scored:
    """Return the table with the outliers among its features, held with the result."""
    with Held() as held:
        found, recall = scored_by_distance(df, options, t, threshold, held, fail=fail)
        return Scored(joined(df, options.id, found, held), recall)


def with_distances_kept(
    df: DataFrame, options: FeatureGraph, t: float, threshold: float
) -> tuple[Scored, FittedOutliers]:
    """Return what :func:`with_distances` does, and the rows as a reference for others."""
    with Held() as held:
        fitted, means, recall = fitted_to(df, options, held)
        function = distance_batch(fitted.distances.typical, options.metric, t, threshold)
        return Scored(joined(df, options.id, judged(means, function), held), recall), fitted


def with_thresholds(
    how: ByProbability,
    df: DataFrame,
    pred_probs: PredProbs | None,
    label: str | None,
    classes: Sequence[str] | None,
) -> ByProbability:
    """Return how probabilities are scored: adjusted by thresholds, fitted now, of labels if any."""
    if label is None:
        return how
    fitted = multiclass.fit_thresholds(
        df, label=label, pred_probs=pred_probs or "", classes=classes
    )
    return replace(how, thresholds=fitted)


def agreed_threshold(threshold: float | None, default: float) -> float:
    """Return the threshold, or its default; raise OptionError unless it is from 0 to 1."""
    return default if threshold is None else by_distance.require_threshold(threshold)


def read_probabilities(
    df: DataFrame,
    pred_probs: PredProbs | None,
    classes: Sequence[str] | None,
    n_classes: int | None,
    added: Sequence[str] = (),
) -> tuple[Probabilities, int]:
    """Return the probabilities of a table, and K; ``added`` are columns that it may not have."""
    read = probabilities(df, pred_probs or "", checked_classes(classes), None)
    if added:
        require_new_columns(df, added)
    number = agreed_k(df, n_classes, read.classes, lambda: first_length(df, read), read=[read])
    return read, number


def _require_one(features: Features | None, pred_probs: PredProbs | None) -> None:
    if features is not None and pred_probs is not None:
        raise OptionError("features and pred_probs are both given; one of them decides")
