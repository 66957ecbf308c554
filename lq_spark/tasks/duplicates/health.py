"""How many rows of a table are there twice, or nearly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.shared.display import Displayed, SmallTable
from lq_spark.engine.inputs import columns_alone
from lq_spark.tasks.duplicates.batches import IS_EXACT
from lq_spark.tasks.duplicates.issues import KEEP, find_issues
from lq_spark.tasks.duplicates.passes import IS_NEAR
from lq_spark.tasks.neighbors.columns import Features, named_features
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True, repr=False)
class DuplicateHealth(Displayed):
    """How many rows of a table are there twice, or nearly.

    Attributes
    ----------
    n_rows, n_near, n_exact : int
        All rows; those with a near duplicate; those with an equal one.
    n_groups : int
        Groups of near duplicates, of two rows at least.
    n_to_drop : int
        Rows that are left over if one of each group is kept.
    """

    n_rows: int
    n_near: int
    n_exact: int
    n_groups: int
    n_to_drop: int

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "near duplicates": self.n_near,
            "exact duplicates": self.n_exact,
            "groups": self.n_groups,
        }

    def _tables(self) -> list[SmallTable]:
        overall = {"near duplicates": [self.n_near], "rows to drop": [self.n_to_drop]}
        return [SmallTable("overall", overall, {})]


def summarize(
    df: DataFrame,
    *,
    id: str = "id",
    features: Features | None = None,
    text: str | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    threshold: float | None = None,
    shingles: str | None = None,
    n: int | None = None,
    similarity: float | None = None,
    seed: int = 0,
) -> DuplicateHealth:
    """Return how many rows are near duplicates, and in how many groups.

    Parameters
    ----------
    df, id, features, text, graph, n_features, k, metric, recall, threshold
        As for :func:`find_issues`.
    shingles, n, similarity, seed
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    refuse_stream(df, "duplicates.summarize")
    by = named_features(features, graph, text)
    found = find_issues(
        columns_alone(df, [id, *by, *([] if text is None else [text])]),
        id=id,
        features=features,
        text=text,
        graph=graph,
        n_features=n_features,
        k=k,
        metric=metric,
        recall=recall,
        threshold=threshold,
        shingles=shingles,
        n=n,
        similarity=similarity,
        seed=seed,
    )
    [row] = found.agg(
        F.count(F.lit(1)),
        F.count_if(F.col(IS_NEAR)),
        F.count_if(F.col(IS_EXACT)),
        F.count_if(F.col(IS_NEAR) & F.col(KEEP)),
        F.count_if(~F.col(KEEP)),
    ).collect()
    return DuplicateHealth(*row)
