"""Outliers of a table: scores, flags, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lq_spark.core.outliers import distances as by_distance
from lq_spark.core.outliers import probabilities as by_probability
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.core.shared.display import Displayed, SmallTable
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.engine.reductions import reduce_all
from lq_spark.engine.verbs import select, with_mapped
from lq_spark.errors import OptionError, require_number
from lq_spark.tasks import multiclass, neighbors
from lq_spark.tasks.neighbors.columns import Features
from lq_spark.tasks.neighbors.knn import GraphOptions, graph_options
from lq_spark.tasks.outliers.passes import (
    FOUND,
    ByProbability,
    probability_inputs,
    scored_by_distance,
    with_probability_scores,
)
from lq_spark.tasks.shared.batches import reason_batch
from lq_spark.tasks.shared.classes import agreed_k, checked_classes, first_length
from lq_spark.tasks.shared.keys import require_to_validate, require_unique, with_key_reasons
from lq_spark.tasks.shared.names import IS_OUTLIER_ISSUE, OUTLIER_SCORE
from lq_spark.tasks.shared.probabilities import PredProbs, Probabilities, probabilities
from lq_spark.tasks.shared.reasons import REASON_SCHEMA
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.sums import ScoreSums, score_sums

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    features: Features | None = None,
    pred_probs: PredProbs | None = None,
    label: str | None = None,
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
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
    features, n_features, k, metric
        How far a row is from its k nearest neighbours, as for :func:`lq_spark.neighbors.graph`.
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
        If a column or option is wrong, or features and pred_probs are both given or none is.
    DataError
        If there is but one row, or none to fit class thresholds on.
    InvalidRowsError
        If an id is null or occurs twice, or a row cannot be scored.
    """
    refuse_stream(df, "outliers.find_issues")
    require_key(df, "id", id)
    require_new_columns(df, FOUND.names)
    if features is not None and pred_probs is None:
        _require_unused("features", label=label, classes=classes, n_classes=n_classes)
        limit = agreed_threshold(threshold, by_distance.THRESHOLD)
        require_number("t", t, 0.0, above=True)
        options = graph_options(df, id, features, k, metric, n_features)
        return with_distances(df, options, t, limit)
    if features is not None or pred_probs is None:
        raise OptionError("give features or pred_probs, one of them")
    _require_unused("pred_probs", n_features=n_features, k=k, metric=metric)
    limit = agreed_threshold(threshold, by_probability.THRESHOLD)
    how = by_probabilities(df, pred_probs, label, classes, n_classes, method, n_largest, gamma)
    require_unique(df, id, validate="outliers.validate")
    return with_probability_scores(df, how, limit, fail=True)


def score(df: DataFrame, **options: Any) -> DataFrame:
    """Return the table with ``outlier_score``: 1 typical, 0 an outlier.

    Parameters
    ----------
    df, **options
        As for :func:`find_issues`, but threshold.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    if "threshold" in options:
        raise OptionError("threshold is for outliers.find_issues; score flags no rows")
    return find_issues(df, **options).drop(IS_OUTLIER_ISSUE)


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
    if features is not None and pred_probs is None:
        return neighbors.validate(df, id=id, features=features, n_features=n_features)
    if features is not None or pred_probs is None:
        raise OptionError("give features or pred_probs, one of them")
    if label is not None:
        return multiclass.validate(
            df, id=id, label=label, pred_probs=pred_probs, classes=classes, n_classes=n_classes
        )
    require_to_validate(df, id, "outliers.validate")
    read, number = _read(df, pred_probs, classes, n_classes)
    function = reason_batch(number, SUM_TOLERANCE)
    checked = with_mapped(df, function, probability_inputs(df, read), REASON_SCHEMA)
    return checked if id is None else with_key_reasons(checked, df, id)


@dataclass(frozen=True, slots=True, repr=False)
class OutlierHealth(Displayed):
    """How many rows of a table are outliers.

    Attributes
    ----------
    n_rows, n_outliers : int
    mean_score : float or None
        None without rows.
    """

    n_rows: int
    n_outliers: int
    mean_score: float | None

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "outliers": self.n_outliers,
            "mean outlier score": self.mean_score,
        }

    def _tables(self) -> list[SmallTable]:
        overall = {"mean outlier score": [self.mean_score]}
        return [SmallTable("overall", overall, dict.fromkeys(overall, 1.0))]


def summarize(df: DataFrame, **options: Any) -> OutlierHealth:
    """Return how many rows are outliers, and the mean score.

    Parameters
    ----------
    df, **options
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    found = select(find_issues(df, **options), *FOUND.names)
    sums = reduce_all(found, {"scores": score_sums(OUTLIER_SCORE, IS_OUTLIER_ISSUE)})["scores"]
    sums = sums or ScoreSums()
    return OutlierHealth(sums.n, sums.n_issues, sums.mean)


def with_distances(df: DataFrame, options: GraphOptions, t: float, threshold: float) -> DataFrame:
    """Return the table with the outliers among its features, held with the result."""
    with Held() as held:
        found = scored_by_distance(df, options, t, threshold, held)
        found = found.select(column(options.id).alias("__lq_key"), *FOUND.names)
        joined = df.join(found, column(options.id) == column("__lq_key"), "left")
        return held.until_gone(joined.drop("__lq_key"))


def by_probabilities(
    df: DataFrame,
    pred_probs: PredProbs,
    label: str | None,
    classes: Sequence[str] | None,
    n_classes: int | None,
    method: str,
    n_largest: int,
    gamma: float,
) -> ByProbability:
    """Check how probabilities are to be scored; fit the class thresholds, if there are labels."""
    by_probability.require_options(method, n_largest, gamma)
    thresholds = None
    read, number = _read(df, pred_probs, classes, n_classes)
    if label is not None:
        thresholds = multiclass.fit_thresholds(
            df, label=label, pred_probs=pred_probs, classes=classes
        )
    return ByProbability(read, number, method, thresholds, n_largest, gamma)


def agreed_threshold(threshold: float | None, default: float) -> float:
    """Return the threshold, or its default; raise OptionError unless it is from 0 to 1."""
    return default if threshold is None else by_distance.require_threshold(threshold)


def _read(
    df: DataFrame,
    pred_probs: PredProbs,
    classes: Sequence[str] | None,
    n_classes: int | None,
) -> tuple[Probabilities, int]:
    read = probabilities(df, pred_probs, checked_classes(classes), None)
    number = agreed_k(df, n_classes, read.classes, lambda: first_length(df, read), read=[read])
    return read, number


def _require_unused(by: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise OptionError(f"{name} is given, which does not go with {by}")
