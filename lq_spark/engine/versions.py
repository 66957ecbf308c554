"""What older versions of Spark lack, and what is done there instead: asked here, and nowhere else.

From Spark 4.0 there is ``applyInArrow``, a package that is the client of Spark Connect alone, and a
level of storage of local checkpoints; from 4.1 there are Arrow UDFs, and partitions that a number
says; from 4.2 types of Arrow are made with a time zone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyspark.util
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema, to_arrow_type

if TYPE_CHECKING:
    from pyspark import StorageLevel
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType, StructType

HAS_ARROW_UDF = hasattr(F, "arrow_udf")
"""Spark 4.1 and later hand Arrow arrays to Python as they are."""

_ZONE = {"timezone": "UTC"} if "timezone" in inspect.signature(to_arrow_type).parameters else {}
"""Spark 4.2 and later ask for that of instants; before, it was this one."""


def arrow_type_of(kind: DataType) -> pa.DataType:
    """Return the type that Arrow has for values of a type of Spark."""
    return to_arrow_type(kind, **_ZONE)  # type: ignore[arg-type]


def arrow_schema_of(schema: StructType) -> pa.Schema:
    """Return the schema that Arrow has for columns of Spark."""
    return to_arrow_schema(schema, **_ZONE)  # type: ignore[arg-type]


def has_client_alone() -> bool:
    """Return whether this Python has the client of Spark Connect, and no Spark."""
    asked = getattr(pyspark.util, "is_remote_only", None)
    return asked is not None and asked()


def checkpointed(df: DataFrame, level: StorageLevel | None) -> DataFrame:
    """Return a local checkpoint of the rows, at a level of storage from Spark 4.0 on."""
    takes_level = "storageLevel" in inspect.signature(df.localCheckpoint).parameters
    if level is None or not takes_level:
        return df.localCheckpoint()
    return df.localCheckpoint(storageLevel=level)


def in_numbered_tasks(df: DataFrame, n_tasks: int, numbers: Iterable[Column]) -> DataFrame:
    """Return the rows in so many partitions, by whole numbers that say the partition.

    A hash, as before Spark 4.1, gives some partitions two of the numbers, and others none.
    """
    return getattr(df, "repartitionById", df.repartition)(n_tasks, *numbers)


def apply_to_groups(
    df: DataFrame,
    groups: Sequence[str],
    function: Callable[[pa.Table], pa.Table],
    schema: StructType | str,
    n_tasks: int | None = None,
) -> DataFrame:
    """Return the rows that ``function`` makes of each group of rows, whose keys are whole numbers.

    ``n_tasks`` is into how many partitions the rows are brought before, if it matters.
    """
    rows = df if n_tasks is None else df.repartition(n_tasks, *groups)
    grouped = rows.groupBy(*groups)
    if hasattr(grouped, "applyInArrow"):
        return grouped.applyInArrow(function, schema)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for group in _whole_groups(batches, groups):
            yield from function(group).to_batches()

    together = df.repartition(*groups) if n_tasks is None else rows
    return together.sortWithinPartitions(*groups).mapInArrow(run, schema)


def _whole_groups(batches: Iterable[pa.RecordBatch], groups: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the rows of each group, of batches that are sorted by the groups.

    >>> batches = [pa.record_batch({"g": part}) for part in ([0, 0, 1], [], [1, 3])]
    >>> [group["g"].to_pylist() for group in _whole_groups(batches, ["g"])]
    [[0, 0], [1, 1], [3]]
    """
    held: list[pa.RecordBatch] = []
    for batch in batches:
        while batch.num_rows:
            first = [(held[0] if held else batch).column(name)[0] for name in groups]
            same = [
                pc.equal(batch.column(name), value)
                for name, value in zip(groups, first, strict=True)
            ]
            n_same = min(_n_first_true(one) for one in same)
            if n_same:
                held.append(batch.slice(0, n_same))
                batch = batch.slice(n_same)
            if batch.num_rows:
                yield pa.Table.from_batches(held)
                held = []
    if held:
        yield pa.Table.from_batches(held)


def _n_first_true(values: pa.BooleanArray) -> int:
    """Return how many values are true before the first that is not."""
    place: int = pc.index(values, False).as_py()
    return len(values) if place < 0 else place
