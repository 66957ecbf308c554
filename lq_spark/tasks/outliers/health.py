"""How many rows of a table are outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lq_spark.core.outliers import probabilities as by_probability
from lq_spark.core.shared.display import Displayed, SmallTable
from lq_spark.engine.inputs import columns_alone
from lq_spark.tasks.neighbors.columns import Features, named_features
from lq_spark.tasks.outliers.fitted import FittedOutliers
from lq_spark.tasks.outliers.issues import find_issues
from lq_spark.tasks.shared.names import IS_OUTLIER_ISSUE, OUTLIER_SCORE
from lq_spark.tasks.shared.probabilities import PredProbs, probability_names
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.sums import summed_scores

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


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


def summarize(
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
) -> OutlierHealth:
    """Return how many rows are outliers, and the mean score.

    Parameters
    ----------
    df, id, features, graph, fitted, pred_probs, label, classes, n_classes, n_features, k, metric
        As for :func:`find_issues`.
    recall, seed, t, threshold, method, n_largest, gamma
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    refuse_stream(df, "outliers.summarize")
    by = [*named_features(features, graph, pred_probs), *probability_names(pred_probs or ())]
    found = find_issues(
        columns_alone(df, [id, *by, *([label] if label else [])]),
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
        threshold=threshold,
    )
    total = summed_scores(found, OUTLIER_SCORE, IS_OUTLIER_ISSUE)
    return OutlierHealth(total.n, total.n_issues, total.mean)
