"""Tables of any format: opened at one version, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from pyspark.sql import functions as F

from lq_spark.engine.kinds import is_sail
from lq_spark.errors import OptionError, listed
from lq_spark.tables import delta, iceberg, parquet, sail
from lq_spark.tables.catalog import provider
from lq_spark.tables.delta import DELTA
from lq_spark.tables.folders import format_to_read, require_format
from lq_spark.tables.iceberg import ICEBERG
from lq_spark.tables.parquet import ParquetOutput
from lq_spark.tables.sail import SailOutput, require_engine
from lq_spark.tables.spec import TableSpec, quoted
from lq_spark.tables.transactions import TransactionalOutput

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from lq_spark.engine.reductions import Reduced, Reduction


@dataclass(frozen=True, slots=True)
class Source:
    """A table that was opened.

    Attributes
    ----------
    df : DataFrame
        Its rows at that version, whatever is written to the table meanwhile; for a view, the rows
        of its tables at the time they are read.
    format : str
        Its format, or ``view`` for a view.
    version : int or None
        Delta version or Iceberg snapshot id; None where the format has no versions.
    """

    df: DataFrame = field(repr=False)
    format: str
    version: int | None

    @property
    def text(self) -> str:
        """Return format and version as text: ``delta version 3``."""
        return self.format if self.version is None else f"{self.format} version {self.version}"


class Output(AbstractContextManager["Output"], Protocol):
    """A table about to be written: without ``commit``, nothing changes."""

    def check(self, schema: StructType) -> None:
        """Raise if the table cannot be written, or rows of this schema do not match its rows."""

    def stage(self, df: DataFrame, reductions: Mapping[str, Reduction[Any]] = {}) -> Reduced:
        """Compute the rows to be committed; return them as they will be, and reduced."""

    def scratch(self, df: DataFrame, reductions: Mapping[str, Reduction[Any]] = {}) -> Reduced:
        """Do the same with intermediate rows, which are deleted at the end."""

    def remove(self, keys: DataFrame) -> None:
        """Have the commit, which merges, remove the rows of these keys that are not staged.

        ``keys`` has the columns of the specification's groups, or of its keys where it has none.
        """

    def commit(self, properties: Mapping[str, str]) -> None:
        """Write the staged rows by the mode of the specification."""


def read_table(spark: SparkSession, spec: TableSpec) -> Source:
    """Open a table at one version: the requested one, or the newest.

    A folder with the log of a Delta or Iceberg table is read as such a table. Parquet has no
    versions; on classic Spark the files that are there now are read, and no others.

    Raises
    ------
    OptionError
        If there is no such table, or no such version.
    EngineError
        If the session's engine cannot read such a table.
    """
    kind = format_to_read(spark, spec) if spec.is_path else spec.format or provider(spark, spec)
    known = replace(spec, format=kind) if kind in ("delta", "iceberg") else spec
    require_engine(spark, known)
    if _is_of_sail(spark, known):
        sail_version = sail.pin(known)
        return Source(sail.read(spark, known, sail_version), kind, sail_version)
    if kind == "delta":
        delta_version = delta.pin(spark, spec)
        return Source(delta.read(spark, spec, delta_version), kind, delta_version)
    if kind == "iceberg":
        snapshot = iceberg.pin(spark, spec)
        return Source(iceberg.read(spark, spec, snapshot), kind, snapshot)
    if spec.version is not None or spec.timestamp is not None:
        raise OptionError(
            f"{spec.option}: {spec.name!r} is {kind}, which has no versions to choose from"
        )
    if spec.is_path:
        return Source(parquet.read(spark, spec), "parquet", None)
    return Source(spark.read.table(spec.name), kind, None)


def newest_version(spark: SparkSession, spec: TableSpec) -> int | None:
    """Return the newest version of a table; None where its format has none, or it is not there."""
    if spec.format not in ("delta", "iceberg") or existing(spark, spec) is None:
        return None
    return read_table(spark, replace(spec, version=None, timestamp=None)).version


def existing(spark: SparkSession, spec: TableSpec) -> DataFrame | None:
    """Return the table that a specification names, or None if there is none yet.

    Raises OptionError if something else is in its place.
    """
    require_format(spark, spec)
    if _is_of_sail(spark, spec):
        return sail.existing(spark, spec)
    reader = {"delta": delta.existing, "iceberg": iceberg.existing}
    return reader.get(spec.format or "parquet", parquet.existing)(spark, spec)


def _is_of_sail(spark: SparkSession, spec: TableSpec) -> bool:
    return spec.format in ("delta", "iceberg") and is_sail(spark)


def output_table(spark: SparkSession, spec: TableSpec) -> Output:
    """Return the table of a specification, to be written.

    Raises
    ------
    EngineError, OptionError
        If the session's engine cannot write such a table, or one of another format is there.
    """
    require_engine(spark, spec)
    require_format(spark, spec)
    if _is_of_sail(spark, spec):
        return SailOutput(spark, spec)
    if spec.format == "delta":
        return TransactionalOutput(spark, spec, DELTA)
    if spec.format == "iceberg":
        return TransactionalOutput(spark, spec, ICEBERG)
    return ParquetOutput(spark, spec)


def write_table(df: DataFrame, spec: TableSpec, properties: Mapping[str, str] = {}) -> None:
    """Write rows to a table by the mode of its specification.

    Raises
    ------
    OptionError, TableError
        If the rows do not match the table, or it cannot be written.
    """
    output = output_table(df.sparkSession, spec)
    output.check(df.schema)
    if missing := [key for key in spec.keys if key not in df.columns]:
        raise OptionError(f"{spec.option}: the rows have no {listed(missing)} to be merged by")
    with output:
        staged = output.stage(df)
        if spec.mode == "merge":
            _require_distinct(staged.rows, spec)
        output.commit(properties)


def _require_distinct(rows: DataFrame, spec: TableSpec) -> None:
    keys = [F.col(quoted(key)) for key in spec.keys]
    [(n_rows, n_keys)] = rows.agg(F.count(F.lit(1)), F.count_distinct(*keys)).collect()
    if n_rows != n_keys:
        raise OptionError(
            f"{spec.option}: rows are merged by {listed(spec.keys)}, and of {n_rows:,} rows "
            f"{n_rows - n_keys:,} have a null there or the same as another"
        )
