"""Tables that Python workers can read themselves, beside the way in which the engine reads them.

A table of Parquet files is a DataFrame like any other. Where it is known which files those are, a
*reading* goes with the DataFrame: how a worker makes the same rows from the files. The verbs hand
it on to what they return. Anything else that is done with the DataFrame gives one without a
reading, whose rows the engine makes: the same rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import pyarrow as pa
from pyspark.sql import functions as F

from lq_spark.engine.inputs import column
from lq_spark.errors import TableError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from lq_spark.engine.parquet_files import ParquetRows

BatchFunction = Callable[..., dict[str, pa.Array]]
"""(one Arrow array a column) -> {new column: Arrow array of the same length}."""


@dataclass(frozen=True)
class Input:
    """What a batch function takes: as the engine makes it, and as a worker does.

    Attributes
    ----------
    of_engine : Column or None
        None: the source as it is.
    source : str or None
        The one column of the table that it is made of; None if only the engine can make it.
    made : callable, optional
        Array of the source -> Array; by default the source is taken as it is.
    """

    of_engine: Column | None
    source: str | None = None
    made: Callable[[pa.Array], pa.Array] | None = None

    @property
    def column(self) -> Column:
        """Return it as the engine makes it; now, for a call to the JVM takes milliseconds."""
        return column(str(self.source)) if self.of_engine is None else self.of_engine


def column_input(name: str) -> Input:
    """Return a column as an input, as it is."""
    return Input(None, name)


def literal_input(value: object, beside: str) -> Input:
    """Return an input that has one value in all rows; ``beside`` is any column of the table."""
    return Input(F.lit(value), beside, functools.partial(_repeated, value=value))


def _repeated(column: pa.Array, value: object) -> pa.Array:
    return pa.repeat(pa.scalar(value), len(column))


@dataclass(frozen=True, slots=True)
class Made:
    """How a worker makes an input: the picklable part of one."""

    source: str
    made: Callable[[pa.Array], pa.Array] | None

    def of(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the input of some rows."""
        source = batch.column(self.source)
        return source if self.made is None else self.made(source)


def made_by_workers(inputs: Mapping[str, Input]) -> dict[str, Made] | None:
    """Return how workers make inputs of rows that they have; None if only the engine can."""
    made = {name: Made(one.source, one.made) for name, one in inputs.items() if one.source}
    return made if len(made) == len(inputs) else None


@dataclass(frozen=True, slots=True)
class Unnesting:
    """How rows are made of the elements of those of the files.

    Attributes
    ----------
    sources : tuple of str
        The columns of the files that it takes.
    function : callable
        RecordBatch of these -> RecordBatch.
    """

    sources: tuple[str, ...]
    function: Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Reading:
    """How workers make the rows of a table from files.

    Attributes
    ----------
    rows : ParquetRows
    columns : mapping of str to (source, function) or None
        How each column of the table is made; None if ``function`` makes it.
    function : BatchFunction or None
    inputs : tuple
        What the function takes.
    unnesting : Unnesting or None
        What makes other rows of those of the files first, which are then the sources.
    is_whole : bool
        Whether the table has no columns beside these, which only the engine makes.
    """

    rows: ParquetRows
    columns: Mapping[str, Made | None]
    function: BatchFunction | None = None
    inputs: tuple[Made, ...] = ()
    unnesting: Unnesting | None = None
    is_whole: bool = True

    def selected(self, names: Sequence[str]) -> Reading | None:
        """Return the reading of some columns, in this order; None if workers cannot make them."""
        if not set(names) <= self.columns.keys():
            return None
        columns = {name: self.columns[name] for name in names}
        if None in columns.values():
            return replace(self, columns=columns, is_whole=True)
        return replace(self, columns=columns, function=None, inputs=(), is_whole=True)

    def renamed(self, inputs: Mapping[str, Input]) -> Reading | None:
        """Return the reading of inputs under names of their own."""
        made = self._made(list(inputs.values()))
        if made is None:
            return None
        columns = dict(zip(inputs, made, strict=True))
        return replace(self, columns=columns, function=None, inputs=(), is_whole=True)

    def unnested(self, unnesting: Unnesting, columns: Sequence[str]) -> Reading | None:
        """Return the reading of other rows that are made of these; the names of their columns."""
        as_they_are = {name: Made(name, None) for name in unnesting.sources}
        if self.unnesting or not as_they_are.items() <= self.columns.items():
            return None
        made = {name: Made(name, None) for name in columns}
        return Reading(self.rows, made, unnesting=unnesting)

    def mapped(
        self,
        function: BatchFunction,
        inputs: Sequence[Input],
        new: Sequence[str],
        keep: Sequence[str],
    ) -> Reading | None:
        """Return the reading with the columns that a batch function makes beside those kept."""
        of_function = self._made(inputs)
        if of_function is None:
            return None
        # Of those that are kept, workers may be unable to read some: they are asked for later.
        columns: dict[str, Made | None]
        columns = {name: made for name in keep if (made := self.columns.get(name)) is not None}
        is_whole = len(columns) == len(keep)
        columns.update(dict.fromkeys(new))
        return replace(
            self, columns=columns, function=function, inputs=of_function, is_whole=is_whole
        )

    def _made(self, inputs: Sequence[Input]) -> tuple[Made, ...] | None:
        found = []
        for wanted in inputs:
            source = self.columns.get(wanted.source or "")
            if source is None or source.made is not None:
                return None
            found.append(Made(source.source, wanted.made))
        return tuple(found)

    def source_of(self, name: str) -> str:
        """Return the column of the files that a column is made of, if it is made of one."""
        made = self.columns[name]
        return name if made is None else made.source

    @property
    def _needed(self) -> list[str]:
        """Return the sources of its columns and of what its function takes."""
        made = [*self.inputs, *(made for made in self.columns.values() if made is not None)]
        return sorted({one.source for one in made})

    @property
    def n_bytes(self) -> int:
        """Return about how many bytes are read of the files, as they are in memory."""
        names = self.unnesting.sources if self.unnesting else self._needed
        return int(self.rows.n_rows * sum(self.rows.row_bytes.get(name, 1.0) for name in names))

    def batches(self, split: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a split of the files."""
        for batch in self._sources(split, self._needed):
            new = {}
            if self.function is not None:
                new = self.function(*(made.of(batch) for made in self.inputs))
            columns = [
                new[name] if made is None else made.of(batch) for name, made in self.columns.items()
            ]
            yield pa.RecordBatch.from_arrays(columns, names=list(self.columns))

    def _sources(self, split: int, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        if self.unnesting is None:
            return self.rows.batches(split, names)
        made = map(self.unnesting.function, self.rows.batches(split, self.unnesting.sources))
        return (batch for batch in made if batch.num_rows)  # as the engine gives none without rows


_READINGS: WeakKeyDictionary[DataFrame, Reading] = WeakKeyDictionary()


def reading_of(df: DataFrame) -> Reading | None:
    """Return how workers make the rows of a table, or None if only the engine makes all of it."""
    reading = _READINGS.get(df)
    return reading if reading is not None and reading.is_whole else None


def partial_reading_of(df: DataFrame) -> Reading | None:
    """Return how workers make some or all columns of a table, or None if they make none."""
    return _READINGS.get(df)


def counts_in_files(df: DataFrame, name: str) -> tuple[int, int] | None:
    """Return how many rows a table has, and how many values a column, as its files say; or None.

    None also for a table, or a column, that is no longer what is in the files.
    """
    reading = reading_of(df)
    made = None if reading is None else reading.columns.get(name)
    if reading is None or reading.unnesting or made is None or made.made is not None:
        return None
    n_nulls = reading.rows.n_nulls.get(made.source)
    return None if n_nulls is None else (reading.rows.n_rows, reading.rows.n_rows - n_nulls)


def first_batch(df: DataFrame) -> pa.RecordBatch | None:
    """Return the first rows of a table of one file that workers can read; None of another.

    Which row of several files is the first, only the engine says.
    """
    reading = reading_of(df)
    if reading is None:
        return None
    if len({groups.file.uri for split in reading.rows.splits for groups in split}) != 1:
        return None
    with suppress(TableError):
        return next(reading.batches(0), None)
    return None


def with_reading(df: DataFrame, reading: Reading | None) -> DataFrame:
    """Return the table, with the reading of its rows if there is one."""
    if reading is not None:
        _READINGS[df] = reading
    return df


def without_reading(df: DataFrame) -> None:
    """Leave the rows of a table to the engine from now on."""
    _READINGS.pop(df, None)


def with_files(df: DataFrame, rows: ParquetRows) -> DataFrame:
    """Return the table, with the reading of the files that are its rows."""
    columns = {name: Made(name, None) for name in df.columns if name in rows.types}
    return with_reading(df, Reading(rows, columns, is_whole=len(columns) == len(df.columns)))
