"""How many rows of a table harm the prediction of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lq_spark.core.shared.display import Displayed, SmallTable
from lq_spark.core.valuation.contributions import THRESHOLD
from lq_spark.engine.inputs import columns_alone
from lq_spark.tasks.neighbors.columns import Features, named_features
from lq_spark.tasks.shared.names import DATA_VALUATION_SCORE, IS_DATA_VALUATION_ISSUE
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.sums import summed_scores
from lq_spark.tasks.valuation.issues import find_issues

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True, repr=False)
class ValuationHealth(Displayed):
    """How many rows of a table do more harm than good.

    Attributes
    ----------
    n_rows, n_issues : int
    mean_score : float or None
        None without rows.
    """

    n_rows: int
    n_issues: int
    mean_score: float | None

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "data valuation issues": self.n_issues,
            "mean data valuation score": self.mean_score,
        }

    def _tables(self) -> list[SmallTable]:
        overall = {"mean data valuation score": [self.mean_score]}
        return [SmallTable("overall", overall, dict.fromkeys(overall, 1.0))]


def summarize(
    df: DataFrame,
    *,
    id: str = "id",
    label: str = "label",
    features: Features | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    seed: int = 0,
    threshold: float = THRESHOLD,
) -> ValuationHealth:
    """Return how many rows do more harm than good, and the mean score.

    Parameters
    ----------
    df, id, label, features, graph, n_features, k, metric, recall, seed, threshold
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    refuse_stream(df, "valuation.summarize")
    found = find_issues(
        columns_alone(df, [id, label, *named_features(features, graph)]),
        id=id,
        label=label,
        features=features,
        graph=graph,
        n_features=n_features,
        k=k,
        metric=metric,
        recall=recall,
        seed=seed,
        threshold=threshold,
    )
    total = summed_scores(found, DATA_VALUATION_SCORE, IS_DATA_VALUATION_ISSUE)
    return ValuationHealth(total.n, total.n_issues, total.mean)
