"""The nearest neighbours of distinct rows, exactly: each compared with each other one.

The rows are cut into blocks; each pair of blocks is compared in one task, in bounded memory, and
the few nearest of a row in each block are merged. What is compared with what does not change a bit
of a distance, nor which of equally near rows comes first: that of the lower id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DoubleType, StructField, StructType

from lq_spark.engine.inputs import column
from lq_spark.engine.verbs import map_groups
from lq_spark.tasks.neighbors.batches import DISTANCES, ID, IDS, NEIGHBORS, VECTOR
from lq_spark.tasks.neighbors.searches import (
    BLOCK,
    BUCKET,
    HIGH,
    LOW,
    Search,
    merge_group,
    search_group,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BLOCK_BYTES = 16 << 20
"""How much of the features, as float64, is in a block; a task holds two, three times over."""

_MAX_BLOCK_ROWS = 1 << 14


def rows_of_block(n_features: int) -> int:
    """Return how many rows a block has at most."""
    return max(1, min(_MAX_BLOCK_ROWS, BLOCK_BYTES // (8 * n_features)))


def exact_neighbors(sets: DataFrame, n_sets: int, search: Search, schema: StructType) -> DataFrame:
    """Return the first row of each set with the k nearest rows of other sets."""
    n_blocks = max(1, -(-n_sets // rows_of_block(search.n_features)))
    n_pairs = n_blocks * (n_blocks + 1) // 2
    own, other = F.pmod(F.xxhash64(column(ID)), F.lit(n_blocks)).cast("int"), F.col("__lq_other")
    blocked = sets.withColumn(BLOCK, own).withColumn(
        "__lq_other", F.explode(F.sequence(F.lit(0), F.lit(n_blocks - 1)))
    )
    pairs = blocked.select(
        F.least(BLOCK, other).alias(LOW), F.greatest(BLOCK, other).alias(HIGH), BLOCK, IDS, VECTOR
    )
    found = map_groups(pairs, [LOW, HIGH], search_group(search), schema, n_tasks=n_pairs)
    return merged_lists(found, n_blocks, search, schema) if n_blocks > 1 else found


def merged_lists(found: DataFrame, n_parts: int, search: Search, schema: StructType) -> DataFrame:
    """Return the k nearest rows of each ID, of those found in several blocks; in so many parts."""
    bucket = F.pmod(F.xxhash64(column(ID)), F.lit(n_parts))
    return map_groups(found.withColumn(BUCKET, bucket), [BUCKET], merge_group(search.k), schema)


def lists_schema(key: str, kind: DataType, of_neighbors: DataType) -> StructType:
    """Return the schema of a key with NEIGHBORS and DISTANCES, of ids of these types."""
    return StructType(
        [
            StructField(key, kind),
            StructField(NEIGHBORS, ArrayType(of_neighbors)),
            StructField(DISTANCES, ArrayType(DoubleType())),
        ]
    )
