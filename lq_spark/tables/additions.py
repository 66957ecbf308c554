"""Tables of few rows, to which several runs may add at the same time: what is recorded of runs.

Parquet files of such a table are read and written here, in this process: a Spark job for each look
takes longer than what is looked for. A table that is more than a folder of such files, as after
somebody has partitioned it, is read by the engine.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import and_
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs
from pyspark.sql import functions as F

from lq_spark.engine.files import files_of
from lq_spark.engine.kinds import is_sail
from lq_spark.engine.small_tables import arrow_table, small_table
from lq_spark.engine.versions import arrow_schema_of
from lq_spark.errors import TableError
from lq_spark.tables import parquet
from lq_spark.tables.folders import require_format
from lq_spark.tables.formats import existing, output_table, write_table
from lq_spark.tables.spec import TableSpec, one_line
from lq_spark.tables.staged import StagedTable, real_uri, require_writable
from lq_spark.tables.storable import require_storable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

Row = tuple[Any, ...]


def check_rows(spark: SparkSession, spec: TableSpec, schema: StructType) -> None:
    """Raise if rows of this schema cannot be added to a table."""
    if spec.format in ("delta", "iceberg"):
        return output_table(spark, spec).check(schema)
    require_format(spark, spec)
    require_storable(spark, spec, schema)
    require_writable(spec.option, spec.name, folder=True)
    files = _Files.at(spec)
    if files is None or not files.have(schema):
        parquet.check_rows(spark, spec, schema)
    return None


def add_rows(
    spark: SparkSession,
    spec: TableSpec,
    rows: Sequence[Row],
    schema: StructType,
    properties: Mapping[str, str] = {},
) -> None:
    """Add a few rows to a table that others may add to at the same time: all of them, or none.

    Timestamps must have a time zone. Parquet keeps no properties.

    Raises OptionError if there is a table of another format, TableError if they cannot be written.
    """
    if spec.format in ("delta", "iceberg"):
        added = small_table(spark, rows, schema)
        return write_table(added, replace(spec, mode="append"), properties)
    require_format(spark, spec)
    place = StagedTable(spec.option, spec.name)
    # As Spark would write them; Sail knows one type.
    key = "spark.sql.parquet.outputTimestampType"
    is_old = not is_sail(spark) and spark.conf.get(key) == "INT96"
    try:
        files, folder = files_of(place.uri)
        files.create_dir(folder)
        # Spark and pyarrow pass over a file whose name starts with an underscore.
        name = uuid.uuid4().hex
        made = f"{folder}/_adding_{name}"
        pq.write_table(
            arrow_table(rows, schema),
            made,
            filesystem=files,
            use_deprecated_int96_timestamps=is_old,
            store_schema=not is_old,
        )
        files.move(made, f"{folder}/part-{name}.parquet")
    except OSError as error:
        raise TableError(
            f"{spec.option}: cannot write {spec.name!r} ({one_line(error)})"
        ) from error
    return None


def rows_where(
    spark: SparkSession,
    spec: TableSpec,
    schema: StructType,
    columns: Sequence[str],
    equal: Mapping[str, str],
    among: Mapping[str, Sequence[str]] = {},
) -> list[Row]:
    """Return columns of the rows that have these values; none if there is no such table.

    Parameters
    ----------
    spark, spec
    schema : StructType
        Of the table; see :func:`check_rows`.
    columns : sequence of str
    equal : mapping of str to str
        Column -> the value that the rows have there, of at least one.
    among : mapping of str to sequence of str
        Column -> the values, one of which the rows have there.
    """
    table = _opened(spark, spec, schema)
    if table is None:
        return []
    if isinstance(table, _Files):
        return table.rows(schema, columns, equal, among)
    found = _where(table, equal)
    for name, values in among.items():
        found = found.where(F.col(name).isin(list(values)))
    # Those of one run, or a few of each.
    return [tuple(row) for row in found.select(*columns).collect()]


def last_where(
    spark: SparkSession,
    spec: TableSpec,
    schema: StructType,
    columns: Sequence[str],
    equal: Mapping[str, str],
) -> Row | None:
    """Return the highest values that columns have, as :func:`rows_where`; None without rows."""
    table = _opened(spark, spec, schema)
    if table is None:
        return None
    if isinstance(table, _Files):
        return table.last(schema, columns, equal)
    found = _where(table, equal).select(*columns).orderBy(*map(F.desc, columns)).first()
    return None if found is None else tuple(found)


def _opened(spark: SparkSession, spec: TableSpec, schema: StructType) -> _Files | DataFrame | None:
    """Return a table as its files if they can be read here, else as the engine has it, or None."""
    require_format(spark, spec)
    files = _Files.at(spec)
    return files if files is not None and files.have(schema) else existing(spark, spec)


def _where(table: DataFrame, equal: Mapping[str, str]) -> DataFrame:
    for name, value in equal.items():
        table = table.where(F.col(name) == value)
    return table


class _Files:
    """The Parquet files of a folder that holds nothing else."""

    def __init__(self, spec: TableSpec, files: fs.FileSystem, paths: list[str]) -> None:
        self._spec, self._files, self._paths = spec, files, paths

    @classmethod
    def at(cls, spec: TableSpec) -> _Files | None:
        """Return the files of a Parquet table; None if it is no such folder."""
        if spec.format in ("delta", "iceberg"):
            return None
        try:
            files, folder = files_of(real_uri(spec.name))
            inside = files.get_file_info(fs.FileSelector(folder))
        except (OSError, ValueError):
            return None  # the engine may reach it, or says why not
        inside = [entry for entry in inside if not entry.base_name.startswith((".", "_"))]
        if not all(entry.is_file and entry.extension == "parquet" for entry in inside):
            return None
        return cls(spec, files, sorted(entry.path for entry in inside))

    def have(self, schema: StructType) -> bool:
        """Return whether the table has these columns, as far as one of its files says."""
        if not self._paths:
            return False
        try:
            there = pq.read_schema(self._paths[0], filesystem=self._files)
        except (OSError, pa.ArrowException):
            return False
        return _kinds(there) == _kinds(arrow_schema_of(schema))

    def rows(
        self,
        schema: StructType,
        columns: Sequence[str],
        equal: Mapping[str, str],
        among: Mapping[str, Sequence[str]],
    ) -> list[Row]:
        """Return columns of the rows that have these values."""
        batches = self._batches(schema, columns, equal, among)
        return [row for batch in batches for row in _tuples(batch)]

    def last(
        self, schema: StructType, columns: Sequence[str], equal: Mapping[str, str]
    ) -> Row | None:
        """Return the highest values of columns, where rows have these values."""
        # A run has as many rows as it has metrics.
        different = (
            pa.table(batch).group_by(list(columns)).aggregate([])
            for batch in self._batches(schema, columns, equal)
        )
        return max((row for table in different for row in _tuples(table)), default=None)

    def _batches(
        self,
        schema: StructType,
        columns: Sequence[str],
        equal: Mapping[str, str],
        among: Mapping[str, Sequence[str]] = {},
    ) -> Iterator[pa.RecordBatch]:
        conditions = [ds.field(name) == value for name, value in equal.items()]
        conditions += [ds.field(name).isin(list(values)) for name, values in among.items()]
        try:
            yield from ds.dataset(
                self._paths, arrow_schema_of(schema), format="parquet", filesystem=self._files
            ).to_batches(columns=list(columns), filter=functools.reduce(and_, conditions))
        except (OSError, pa.ArrowException) as error:
            raise TableError(
                f"{self._spec.option}: cannot read {self._spec.name!r} ({one_line(error)})"
            ) from error


def _tuples(rows: pa.RecordBatch | pa.Table) -> Iterator[Row]:
    return zip(*(column.to_pylist() for column in rows.columns), strict=True)


def _kinds(schema: pa.Schema) -> dict[str, str]:
    """Return the type of each column; of timestamps Spark has one, whatever the file says."""
    return {
        field.name: "timestamp" if str(field.type).startswith("timestamp") else str(field.type)
        for field in schema
    }
