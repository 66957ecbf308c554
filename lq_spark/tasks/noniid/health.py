"""Whether the rows of a table are in random order, in short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lq_spark.core.shared.display import Displayed, SmallTable
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import columns_alone
from lq_spark.tasks.neighbors.columns import Features, named_features
from lq_spark.tasks.noniid.issues import checked_orders, checked_significance, row_order
from lq_spark.tasks.noniid.passes import placed_rows, tested
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True, repr=False)
class OrderHealth(Displayed):
    """Whether the rows of a table are in random order.

    Attributes
    ----------
    n_rows : int
    statistic : float
        How far neighbours' distances in the table are from those of any two rows: 0 not at all,
        up to 1.
    p_value : float
        How probable that is in random order: near 0, the order is not random.
    is_issue : bool
        Whether it is less probable than the threshold.
    """

    n_rows: int
    statistic: float
    p_value: float
    is_issue: bool

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "statistic": self.statistic,
            "p-value": self.p_value,
            "order": "not random" if self.is_issue else "random",
        }

    def _tables(self) -> list[SmallTable]:
        overall = {"statistic": [self.statistic], "p-value": [self.p_value]}
        return [SmallTable("overall", overall, dict.fromkeys(overall, 1.0))]


def summarize(
    df: DataFrame,
    *,
    id: str = "id",
    order: str | None = None,
    features: Features | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    num_permutations: int = 25,
    seed: int = 0,
    significance_threshold: float = 0.05,
) -> OrderHealth:
    """Return whether the rows are in random order.

    Parameters
    ----------
    df, id, order, features, graph, n_features, k, metric, recall, num_permutations, seed
        As for :func:`find_issues`.
    significance_threshold : float
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    refuse_stream(df, "noniid.summarize")
    orders = checked_orders(num_permutations, seed)
    limit = checked_significance(significance_threshold)
    named = [id, *([order] if order else []), *named_features(features, graph)]
    rows = columns_alone(df, named)
    placing = row_order(
        rows, id, order, features, k, metric, n_features, graph=graph, recall=recall, seed=seed
    )
    with Held() as held:
        placed = placed_rows(rows, placing, held, fail=True)
        found = tested(placed, orders, limit)
    return OrderHealth(placed.n_rows, found.statistic, found.p_value, found.is_issue)
