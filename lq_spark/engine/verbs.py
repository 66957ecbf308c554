"""The verbs that run a batch function over a table: map rows, batches or groups, and reduce.

A batch function takes and returns Arrow arrays and knows nothing of Spark. UDFs are made only here,
by factories that bind their values: Spark Connect serialises a closure when the query runs.

A table's rows come from the engine, or, where a reading goes with it, from Parquet files that the
Python workers open themselves: see :mod:`lq_spark.engine.readings`. The functions are the same.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lq_spark.engine.arrow import conformed
from lq_spark.engine.inputs import column
from lq_spark.engine.kinds import is_sail
from lq_spark.engine.numbers import bytes_of
from lq_spark.engine.readings import (
    BatchFunction,
    Input,
    Reading,
    partial_reading_of,
    reading_of,
    with_reading,
)
from lq_spark.engine.versions import (
    HAS_ARROW_UDF,
    apply_to_groups,
    arrow_schema_of,
    in_numbered_tasks,
)
from lq_spark.engine.worker import forget_zip_importers

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import Column, DataFrame, SparkSession

State = TypeVar("State")

BatchesFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
"""What it makes of batches, one after the other."""

MAX_BATCH_BYTES = 64 << 20
"""The most bytes that a batch function is given at once, unless a single row has more."""

NEW = "__lq_spark"
"""A struct of new columns, until it is taken apart; no column of a table may have this name."""


def map_rows(
    function: BatchFunction,
    inputs: Sequence[Column],
    schema: StructType,
    *,
    arrow: bool | None = None,
) -> Column:
    """Return a struct column: ``function`` of the inputs, batch by batch, in one Python pass.

    Only the inputs go to Python; the table's other columns stay in the JVM. Each row goes there
    once, even if a later filter drops it: filter by other columns first.

    Parameters
    ----------
    function : BatchFunction
        A pure function of its batch.
    inputs : sequence of Column
        Its arguments, in order. Integer inputs must hold no nulls: pandas has none.
    schema : StructType
        The columns that it returns.
    arrow : bool, optional
        Whether to use an Arrow UDF; by default, if this Spark has them. Otherwise the same function
        runs as a pandas UDF, which is slower for list columns and gives the same numbers.
    """
    use_arrow = HAS_ARROW_UDF if arrow is None else arrow
    udf = (_arrow_map if use_arrow else _pandas_map)(function, schema)
    # Otherwise Spark would run the same Python pass twice for a filter on a new column.
    column: Column = udf.asNondeterministic()(*inputs)
    return column


def _arrow_map(function: BatchFunction, schema: StructType) -> Any:
    names = schema.fieldNames()

    def run(*columns: pa.Array) -> pa.Array:
        forget_zip_importers()
        parts = []
        for place, n_rows in _slices(columns):
            result = function(*(column.slice(place, n_rows) for column in columns))
            parts.append(pa.StructArray.from_arrays([result[n] for n in names], names=names))
        return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)

    run.__annotations__ = {"columns": pa.Array, "return": pa.Array}
    return F.arrow_udf(run, schema)  # type: ignore[attr-defined]


def _slices(columns: Sequence[pa.Array]) -> list[tuple[int, int]]:
    """Return the first row and the number of rows of each piece of a batch of bounded bytes.

    Spark cuts batches by rows, as the session is set; Sail by rows too, however wide they are.
    """
    n_rows = len(columns[0])
    width = sum(column.nbytes for column in columns) / max(n_rows, 1)
    size = max(1, int(MAX_BATCH_BYTES / max(width, 1.0)))
    if n_rows <= size:
        return [(0, n_rows)]
    return [(place, min(size, n_rows - place)) for place in range(0, n_rows, size)]


def _pandas_map(function: BatchFunction, schema: StructType) -> Any:
    import pandas as pd

    names = schema.fieldNames()

    def run(*columns: pd.Series) -> pd.DataFrame:
        forget_zip_importers()
        result = function(*map(_from_pandas, columns))
        return pd.DataFrame({name: result[name].to_pandas() for name in names})

    run.__annotations__ = {"columns": pd.Series, "return": pd.DataFrame}
    return F.pandas_udf(run, schema)  # type: ignore[attr-defined]


def _from_pandas(column: pd.Series | pd.DataFrame) -> pa.Array:
    """Return what pandas has of a column, or of a struct, as Arrow has it."""
    if hasattr(column, "columns"):
        return pa.RecordBatch.from_pandas(column, preserve_index=False).to_struct_array()
    return pa.Array.from_pandas(column)


def select(df: DataFrame, *names: str) -> DataFrame:
    """Return some columns of a table, in this order; workers do not read the others."""
    reading = partial_reading_of(df)
    return with_reading(df.select(*map(column, names)), reading and reading.selected(names))


def select_inputs(df: DataFrame, **inputs: Input) -> DataFrame:
    """Return a table of inputs alone, under these names."""
    reading = partial_reading_of(df)
    selected = df.select(*(made.column.alias(name) for name, made in inputs.items()))
    return with_reading(selected, reading and reading.renamed(inputs))


def with_mapped(
    df: DataFrame,
    function: BatchFunction,
    inputs: Sequence[Input | Column],
    schema: StructType,
    *,
    keep: Sequence[str] | None = None,
) -> DataFrame:
    """Return a table with the columns that a batch function makes of each row. Lazy.

    Parameters
    ----------
    df : DataFrame
    function : BatchFunction
        A pure function of its batch.
    inputs : sequence of Input or Column
        Its arguments, in order; a Column only the engine can make.
    schema : StructType
        The columns that it returns.
    keep : sequence of str, optional
        The columns to keep before them; all of the table where not given.
    """
    kept = df.columns if keep is None else keep
    made = [given if isinstance(given, Input) else Input(given) for given in inputs]
    new = map_rows(function, [one.column for one in made], schema).alias(NEW)
    mapped = df.select(*map(column, kept), new).select(  # not withColumn: see engine/pipelines.py
        *map(column, kept), *(F.col(f"{NEW}.{name}") for name in schema.names)
    )
    reading = partial_reading_of(df)
    return with_reading(mapped, reading and reading.mapped(function, made, schema.names, kept))


def by_workers(df: DataFrame) -> DataFrame:
    """Return the same rows, made by the workers where there is a reading of them. Lazy.

    Not on Sail, which hands columns to Python as they are, and need not be told how.
    """
    if reading_of(df) is None or is_sail(df.sparkSession):
        return df
    schema = arrow_schema_of(df.schema)  # Spark casts nothing that such a function returns
    return _map_partitions(df, lambda batches: (conformed(b, schema) for b in batches), df.schema)


def map_batches(
    df: DataFrame,
    function: Callable[[pa.RecordBatch], pa.RecordBatch],
    schema: StructType,
) -> DataFrame:
    """Return the rows, any number of them, that ``function`` makes from each batch. Lazy.

    Parameters
    ----------
    df : DataFrame
        Holds only the columns that ``function`` needs: all of them go to Python.
    function : callable
        RecordBatch -> RecordBatch; a pure function of its batch.
    schema : StructType
        The columns that it gives.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return map(function, batches)

    return _map_partitions(df, run, schema)


def reduce_partitions(
    df: DataFrame,
    partial: Callable[[pa.RecordBatch], State],
    merge: Callable[[State, State], State],
    finish: Callable[[State], pa.RecordBatch],
    schema: StructType | str,
) -> DataFrame:
    """Return the rows that ``finish`` makes from the state of each partition. Lazy.

    The result computed from these rows must not depend on how the table is split. Parameters as for
    :func:`reduce_rows`.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        states = map(partial, batches)  # lazy: two states at a time
        first = next(states, None)
        if first is not None:
            yield finish(functools.reduce(merge, states, first))

    return _map_partitions(df, run, schema)


def map_groups(
    df: DataFrame,
    groups: Sequence[str],
    function: Callable[[pa.Table], pa.Table],
    schema: StructType | str,
    *,
    n_tasks: int | None = None,
) -> DataFrame:
    """Return the rows that ``function`` makes of each group of rows, which it holds whole. Lazy.

    Parameters
    ----------
    df : DataFrame
        Holds ``groups`` and what the function needs, in no certain order.
    groups : sequence of str
        Rows with the same values in these, whole numbers, belong together.
    function : callable
        Table -> Table.
    schema : StructType or str
        The columns that it gives.
    n_tasks : int, optional
        How many tasks share the groups, where they take long for their few bytes.
    """

    def run(group: pa.Table) -> pa.Table:
        forget_zip_importers()
        return function(group)

    n_partitions = None if is_sail(df.sparkSession) else n_tasks
    return apply_to_groups(df, groups, run, schema, n_partitions)


def map_sorted(
    df: DataFrame,
    groups: Sequence[str],
    order: Mapping[str, Literal["ascending", "descending"]],
    given: Sequence[str],
    function: BatchesFunction,
    schema: StructType | str,
    *,
    n_tasks: int | None = None,
) -> DataFrame:
    """Return the rows that ``function`` makes as it goes through ordered rows. Lazy.

    It sees whole groups, one after the other, a batch at a time: on Spark a worker holds no more.
    The result must not depend on where the batches are cut, nor on which groups come to one call.

    Parameters
    ----------
    df : DataFrame
        Holds ``groups``, the columns of ``order``, and those that are given.
    groups : sequence of str
        Rows with the same values in these belong together.
    order : mapping
        The columns by which the rows of a group are sorted.
    given : sequence of str
        The columns that ``function`` receives.
    function : callable
        Iterator of RecordBatch -> iterator of RecordBatch, one at least if it is given any.
    schema : StructType or str
        The columns that it gives.
    n_tasks : int, optional
        How many tasks share the groups, which are whole numbers of one column, and take long. From
        Spark 4.1 the number says the task; a hash, as before, gives some two, and others none.
    """
    if is_sail(df.sparkSession):
        # Sail drops a sort below a Python function, so a group is sorted inside it, in memory.
        def run_group(group: pa.Table) -> pa.Table:
            place = pc.sort_indices(group, sort_keys=list(order.items()))
            batches = group.select(list(given)).take(place).to_batches()
            return pa.Table.from_batches(function(iter(batches)))

        return apply_to_groups(df, groups, run_group, schema)

    columns = (F.asc(name) if way == "ascending" else F.desc(name) for name, way in order.items())
    numbers = (column(name).cast("int") for name in groups)
    tasks = df.repartition(*groups) if n_tasks is None else in_numbered_tasks(df, n_tasks, numbers)
    rows = tasks.sortWithinPartitions(*groups, *columns)
    return _map_partitions(rows.select(*given), function, schema)


def _map_partitions(
    df: DataFrame, function: BatchesFunction, schema: StructType | str
) -> DataFrame:
    """Return the rows that ``function`` makes from the non-empty batches of a partition. Lazy."""
    if reading := reading_of(df):
        return map_splits(df.sparkSession, reading, lambda _, batches: function(batches), schema)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forget_zip_importers()
        return function(
            batch.slice(place, n_rows)
            for batch in batches
            if batch.num_rows
            for place, n_rows in _slices(batch.columns)
        )

    return df.mapInArrow(run, schema)


_MANY_BYTES = 1 << 27
"""More than any engine would send to all of its workers."""


def map_splits(
    spark: SparkSession,
    reading: Reading,
    function: Callable[[int, Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    schema: StructType | str,
) -> DataFrame:
    """Return the rows that ``function`` makes of the number and the batches of each split. Lazy."""

    def run(numbers: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forget_zip_importers()
        for batch in numbers:
            for split in batch.column(0).to_pylist():
                yield from function(split, reading.batches(split))

    return _numbers_of_splits(spark, reading).mapInArrow(run, schema)


def _numbers_of_splits(spark: SparkSession, reading: Reading) -> DataFrame:
    """Return the numbers of the splits, one a partition.

    Spark takes what a Python function makes to be as large as what it is made of, and by that it
    sends a side of a join to all workers: so the numbers are picked from as many as take the room
    of what is read.
    """
    n_splits = len(reading.rows.splits)
    of_each = min(reading.n_bytes, _MANY_BYTES) // (8 * max(n_splits, 1))
    if is_sail(spark) or of_each <= 1:
        return spark.range(0, n_splits, 1, max(n_splits, 1))
    numbers = spark.range(0, n_splits * of_each, 1, n_splits)
    is_first = F.col("id") % of_each == 0
    return numbers.where(is_first).select(F.expr(f"id div {of_each}").alias("id"))


def reduce_rows(
    df: DataFrame,
    partial: Callable[[pa.RecordBatch], State],
    merge: Callable[[State, State], State],
) -> State | None:
    """Reduce all rows of a table to one small state on the driver; None for a table without rows.

    Parameters
    ----------
    df : DataFrame
        Holds only the columns that ``partial`` needs: all of them go to Python.
    partial : callable
        RecordBatch -> state, fresh for each batch.
    merge : callable
        (state, state) -> state, associative and commutative to the bit, so that the result does not
        depend on how the table is split.
    """

    def finish(state: State) -> pa.RecordBatch:
        pickled = bytes_of([pickle.dumps(state)])
        return pa.RecordBatch.from_arrays([pickled], names=["state"])

    rows: list[Any] = reduce_partitions(df, partial, merge, finish, "state binary").collect()
    states = [pickle.loads(row.state) for row in rows]
    return functools.reduce(merge, states) if states else None
