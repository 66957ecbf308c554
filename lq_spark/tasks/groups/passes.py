"""What finds the group that a model knows least: its clusters, and their exact sums."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DoubleType,
    IntegralType,
    LongType,
    StructField,
    StructType,
)

from lq_spark.core.groups.performance import UnderperformingGroup, finish_clusters
from lq_spark.core.groups.performance import performance_of_rows as performance_of
from lq_spark.core.groups.sums import GroupSums
from lq_spark.core.shared.exact import SCALE_BITS
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, column_type, require_columns
from lq_spark.engine.kept import kept
from lq_spark.engine.small_tables import small_table
from lq_spark.engine.sums import scaled_halves
from lq_spark.errors import ColumnError, DataError, InvalidRowsError
from lq_spark.tasks import multiclass
from lq_spark.tasks.groups.clusters import ROOT, rows_with_roots
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.neighbors.knn import GraphOptions, joined, neighbor_lists
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.shared.names import LABEL_QUALITY
from lq_spark.tasks.shared.probabilities import PredProbs

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

IS_ISSUE, SCORE = "is_underperforming_group_issue", "underperforming_group_score"
CLUSTER = "cluster"

_MOST_CLUSTERS: Final = 1 << 20
_N, _HIGH, _LOW = "__lq_n", "__lq_high", "__lq_low"
_OWN = "__lq_own"


class Confidence(Protocol):
    """What adds LABEL_QUALITY, the self-confidence of each row, to a table."""

    def scored(self, df: DataFrame) -> DataFrame:
        """Return a table with it, null of a row that cannot be scored. Lazy."""


@dataclass(frozen=True)
class Labelled:
    """Where the labels and probabilities of a table are: see :func:`lq_spark.multiclass.score`."""

    label: str
    pred_probs: PredProbs
    classes: Sequence[str] | None
    n_classes: int | None

    def scored(self, df: DataFrame) -> DataFrame:
        """Return a table with LABEL_QUALITY, the self-confidence of each row, or null. Lazy."""
        return multiclass.score(
            df,
            label=self.label,
            pred_probs=self.pred_probs,
            classes=self.classes,
            n_classes=self.n_classes,
            on_invalid="null",
        )


class Found(NamedTuple):
    """A table with what was found, and the clusters that were compared."""

    rows: DataFrame
    groups: UnderperformingGroup
    recall: float


def require_clusters(df: DataFrame, name: str) -> None:
    """Raise ColumnError unless a column has whole numbers."""
    require_columns(df, clusters=name)
    if not isinstance(kind := column_type(df, name), IntegralType):
        raise ColumnError(
            f"clusters: column {name!r} is {kind.simpleString()}; allowed are whole numbers, -1 "
            "of rows in none"
        )


def with_given_clusters(
    df: DataFrame,
    id: str,
    clusters: str,
    labelled: Labelled,
    threshold: float,
    least: int,
    *,
    fail: bool,
) -> Found:
    """Return a table with IS_ISSUE and SCORE of each row, held with the result.

    A row that cannot be scored fails, or has nulls.
    """
    scored = labelled.scored(df.withColumn(ROOT, column(clusters).cast("bigint")))
    require_unique(df, id, validate="groups.validate")
    with Held() as held:
        rows = held.hold(scored.select(column(id).alias(ROW), LABEL_QUALITY, ROOT))
        rows = _usable(rows, F.col(LABEL_QUALITY).isNotNull() & F.col(ROOT).isNotNull(), fail=fail)
        rows = rows.withColumn(ROOT, F.when(F.col(ROOT) != -1, F.col(ROOT)))
        found, groups = _scored(rows, threshold, least, are_numbered=True)
        return Found(joined(df, id, found.drop(CLUSTER), held), groups, 1.0)


def _usable(rows: DataFrame, is_usable: Column, *, fail: bool) -> DataFrame:
    """Return the rows that can be scored; raise InvalidRowsError if ``fail`` and some cannot."""
    if fail:
        [(n_rows, n_usable)] = rows.agg(F.count(F.lit(1)), F.count_if(is_usable)).collect()
        if n_usable < n_rows:
            raise InvalidRowsError(
                f"{n_rows - n_usable} of {n_rows} rows cannot be scored; groups.validate says "
                "which and why"
            )
    return rows.where(is_usable)


def with_found_clusters(
    df: DataFrame,
    options: GraphOptions,
    labelled: Confidence,
    threshold: float,
    least: int,
    eps: float,
    min_samples: int,
    *,
    fail: bool,
) -> Found:
    """Return a table with IS_ISSUE, SCORE and CLUSTER of each row, held with the result.

    A row that cannot be scored fails, or has nulls. Raises as :func:`neighbor_lists`.
    """
    kind = column_type(df, options.id)
    with Held() as held:
        with Held() as of_graph, ExitStack() as stack:
            scored, is_usable = labelled.scored(df), F.col(LABEL_QUALITY).isNotNull()
            require_unique(df, options.id, validate="groups.validate")
            confidence = scored.select(column(options.id).alias(ROW), LABEL_QUALITY)
            confidence = stack.enter_context(kept(confidence))
            confidence = _usable(confidence, is_usable, fail=fail)
            near = df if fail else scored.where(is_usable)
            lists = neighbor_lists(near, options, of_graph, fail=fail)
            roots = rows_with_roots(lists.rows, kind, eps, min_samples, stack)
            rows = held.hold(confidence.join(roots, ROW))
            rows.count()  # now, while what it is made of is kept
        found, groups = _scored(rows, threshold, least, are_numbered=False)
        return Found(joined(df, options.id, found, held), groups, lists.recall)


def _scored(
    rows: DataFrame, threshold: float, least: int, *, are_numbered: bool
) -> tuple[DataFrame, UnderperformingGroup]:
    """Return ROW with IS_ISSUE, SCORE and CLUSTER, of ROW, LABEL_QUALITY and ROOT."""
    high, low = scaled_halves(F.col(LABEL_QUALITY), SCALE_BITS)
    sums = (
        rows.where(F.col(ROOT).isNotNull())
        .groupBy(ROOT)
        .agg(F.count(F.lit(1)).alias(_N), F.sum(high).alias(_HIGH), F.sum(low).alias(_LOW))
    )
    with kept(sums) as sums:
        n_clusters = sums.count()
        if n_clusters > _MOST_CLUSTERS:
            raise DataError(
                f"there are {n_clusters} clusters; at most {_MOST_CLUSTERS} can be compared"
            )
        found = sums.orderBy(ROOT).collect()
    # Clusters that were found are numbered in the order of their roots; given ones have numbers.
    numbers = np.array([row[ROOT] for row in found]) if are_numbered else np.arange(len(found))
    numbers = numbers.astype(np.int64)
    state = GroupSums(
        numbers,
        np.array([row[_N] for row in found], dtype=np.int64),
        np.array([[row[name] for row in found] for name in (_HIGH, _LOW)], dtype=np.int64),
    )
    groups = finish_clusters(state, threshold, least)
    flags, scores = performance_of(numbers, groups)
    of_roots = zip(
        (row[ROOT] for row in found), numbers.tolist(), flags.tolist(), scores.tolist(), strict=True
    )
    schema = StructType(
        [
            StructField(_OWN, rows.schema[ROOT].dataType),
            StructField(CLUSTER, LongType()),
            StructField(IS_ISSUE, BooleanType()),
            StructField(SCORE, DoubleType()),
        ]
    )
    table = small_table(rows.sparkSession, list(of_roots), schema)
    scored = rows.join(table, F.col(ROOT) == F.col(_OWN), "left").select(
        ROW,
        F.coalesce(IS_ISSUE, F.lit(False)).alias(IS_ISSUE),
        F.coalesce(SCORE, F.lit(1.0)).alias(SCORE),
        F.coalesce(CLUSTER, F.lit(-1).cast("bigint")).alias(CLUSTER),
    )
    return scored, groups
