"""The nearest of some reference rows to each row of another table, exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, IntegerType

from lq_spark.engine.inputs import column
from lq_spark.engine.verbs import map_groups
from lq_spark.tasks.neighbors.batches import ID, IDS, ROW, VECTOR
from lq_spark.tasks.neighbors.exact import lists_schema, merged_lists, rows_of_block
from lq_spark.tasks.neighbors.searches import (
    BLOCK,
    PROBES,
    Search,
    references_group,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def nearest_references(
    queries: DataFrame,
    n_queries: int,
    references: DataFrame,
    n_references: int,
    search: Search,
) -> DataFrame:
    """Return ROW of each query with NEIGHBORS and DISTANCES: its k nearest references. Lazy.

    Each block of queries is compared with each of references in a task, in bounded memory. Copies
    among the references are neighbours of their own; so is a reference that the query is equal to.

    Parameters
    ----------
    queries : DataFrame
        ROW and VECTOR (:func:`lq_spark.tasks.neighbors.batches.vectors_batch`).
    n_queries : int
    references : DataFrame
        ID, IDS and VECTOR: a row for each set of equal rows, with the first k of their ids.
    n_references : int
        How many rows that are.
    search : Search
    """
    n_rows = rows_of_block(search.n_features)
    n_asking, n_answering = (max(1, -(-n // n_rows)) for n in (n_queries, n_references))
    key = queries.schema[ROW].dataType
    kind = references.schema[ID].dataType
    ids = ArrayType(kind)  # as functions return them: an engine may know that none is null
    probes = F.lit(None).cast(ArrayType(IntegerType())).alias(PROBES)
    own_block = F.pmod(F.xxhash64(column(ROW)), F.lit(n_asking)).cast("int") * F.lit(n_answering)
    asking = queries.select(
        F.explode(_from(own_block, n_answering, 1)).alias(BLOCK),
        column(ROW).alias(ID),
        F.lit(None).cast(ids).alias(IDS),
        VECTOR,
        probes,
    )
    of_block = F.pmod(F.xxhash64(column(ID)), F.lit(n_answering)).cast("int")
    answering = references.select(
        F.explode(_from(of_block, n_asking, n_answering)).alias(BLOCK),
        F.lit(None).cast(key).alias(ID),
        IDS,
        VECTOR,
        probes,
    )
    schema = lists_schema(ID, key, kind)
    pairs, n_tasks = asking.unionAll(answering), n_asking * n_answering
    found = map_groups(pairs, [BLOCK], references_group(search), schema, n_tasks=n_tasks)
    if n_answering > 1:
        found = merged_lists(found, n_asking, search, schema)
    return found.withColumnRenamed(ID, ROW)


def _from(first: Column, n: int, step: int) -> Column:
    """Return the array of n numbers from the first on."""
    return F.transform(F.sequence(F.lit(0), F.lit(n - 1)), lambda place: first + place * step)
