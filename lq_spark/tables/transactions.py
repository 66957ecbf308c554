"""What Delta and Iceberg tables have in common: rows kept on the executors, then one commit.

Rows on their way lie with the executors, as local checkpoints, and vanish with the session; those
of the embedded engine lie in a temporary folder. A run that is killed leaves no more behind than
that and files that the table does not know of, which the format's own cleaning takes away (VACUUM,
remove_orphan_files); a run that loses an executor fails. The table is changed by one commit of its
format: a reader sees the old rows or the new, whatever happens. Of two runs that change the same
rows at once the format lets one through and refuses the other, or takes one after the other.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.engine.kept import frozen
from lq_spark.errors import OptionError, TableError
from lq_spark.tables.catalog import provider, require_namespace
from lq_spark.tables.schemas import require_same_columns
from lq_spark.tables.spec import TableSpec, quoted, said
from lq_spark.tables.staged import as_uri, require_writable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

_STALE = "__lq_stale"


@dataclass(frozen=True, slots=True)
class TableFormat:
    """What tells one transactional format from another.

    Attributes
    ----------
    name : str
        As Spark's data source.
    identifier : callable
        spec -> the table's name in SQL.
    existing : callable
        (spark, spec) -> the table, or None if there is none; raises if there is another thing.
    commit_settings : callable
        properties -> settings of the session under which a commit carries them.
    kept_properties : callable
        (spark, identifier) -> the user's properties that replacing the table would lose.
    """

    name: str
    identifier: Callable[[TableSpec], str]
    existing: Callable[[SparkSession, TableSpec], DataFrame | None]
    commit_settings: Callable[[Mapping[str, str]], dict[str, str]]
    kept_properties: Callable[[SparkSession, str], dict[str, str]]


class TransactionalOutput:
    """A Delta or Iceberg table about to be written; see :class:`lq_spark.tables.formats.Output`."""

    def __init__(self, spark: SparkSession, spec: TableSpec, table_format: TableFormat) -> None:
        self._spark, self._spec, self._format = spark, spec, table_format
        self._identifier = table_format.identifier(spec)
        self._kept = ExitStack()

    def check(self, schema: StructType) -> None:
        """Raise if the table cannot be written, or rows of this schema do not fit to its rows."""
        there = self._format.existing(self._spark, self._spec)
        if self._spec.is_path:
            require_writable(self._spec.option, self._spec.name, folder=True)
        else:
            self._check_name(there is not None)
        if there is not None and self._spec.mode != "overwrite":
            require_same_columns(self._spec, there.schema, schema)

    def __enter__(self) -> TransactionalOutput:
        return self

    def stage(self, df: DataFrame) -> DataFrame:
        """Make the rows, keep them with the executors, and return them."""
        self._staged = self.scratch(df)
        return self._staged

    def scratch(self, df: DataFrame) -> DataFrame:
        """Do the same with rows on their way."""
        # Not persisted alone: scores are marked as not deterministic, which MERGE refuses.
        return self._kept.enter_context(frozen(df))

    def commit(self, properties: Mapping[str, str]) -> None:
        """Change the table by the staged rows in one commit, which carries the properties.

        Those of the table itself are set where it is made or replaced.
        """
        spec = self._spec
        try:
            with self._settings(self._format.commit_settings(properties)):
                if spec.mode == "overwrite":
                    self._replace(properties)
                elif not self._created(properties):
                    self._append(properties) if spec.mode == "append" else self._merge()
        except Exception as error:
            raise TableError(
                f"{spec.option}: cannot write {spec.name!r} ({said(error)})"
            ) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._kept.close()

    def _check_name(self, is_there: bool) -> None:
        if not is_there:
            require_namespace(self._spark, self._spec)
        elif (found := provider(self._spark, self._spec)) != self._format.name:
            raise OptionError(
                f"{self._spec.option}: {self._spec.name!r} is there already and is {found}, not "
                f"{self._format.name}, so it is not written"
            )

    def _replace(self, properties: Mapping[str, str]) -> None:
        there = self._format.existing(self._spark, self._spec)
        kept = {} if there is None else self._format.kept_properties(self._spark, self._identifier)
        self._writer({**kept, **properties}).createOrReplace()

    def _created(self, properties: Mapping[str, str]) -> bool:
        """Make the table of the staged rows if there is none; return whether it was made."""
        if self._format.existing(self._spark, self._spec) is not None:
            return False
        try:
            self._writer(properties).create()
        except Exception:
            if self._format.existing(self._spark, self._spec) is not None:
                return False  # another run has made it meanwhile
            if not self._spec.is_path:
                raise
            # What a killed first write has left is in the way of a new table, not of new rows.
            writer = self._staged.write.format(self._format.name).mode("append")
            writer.partitionBy(*self._spec.partition_by).save(as_uri(self._spec.name))
        return True

    def _writer(self, properties: Mapping[str, str]):  # type: ignore[no-untyped-def]
        writer = self._staged.writeTo(self._identifier).using(self._format.name)
        for key, value in properties.items():
            writer = writer.tableProperty(key, value)
        columns = [self._staged[quoted(name)] for name in self._spec.partition_by]
        return writer.partitionedBy(*columns) if columns else writer

    def _append(self, properties: Mapping[str, str]) -> None:
        self._staged.writeTo(self._identifier).append()

    def _merge(self) -> None:
        view = f"lq_spark_{uuid.uuid4().hex}"
        self._with_stale_rows().createOrReplaceTempView(view)
        same = " AND ".join(f"there.{quoted(key)} = new.{quoted(key)}" for key in self._spec.keys)
        try:
            self._spark.sql(
                f"MERGE INTO {self._identifier} AS there USING {view} AS new ON {same} "
                f"WHEN MATCHED AND new.{_STALE} THEN DELETE WHEN MATCHED THEN UPDATE SET * "
                "WHEN NOT MATCHED THEN INSERT *"
            )
        finally:
            self._spark.catalog.dropTempView(view)

    def _with_stale_rows(self) -> DataFrame:
        """Return the staged rows, and of their groups those rows of the table that are to go."""
        spec, new = self._spec, self._staged
        rows = new.withColumn(_STALE, F.lit(False))
        there = self._format.existing(self._spark, spec)
        if not spec.groups or there is None:
            return rows
        groups = new.select(*map(quoted, spec.groups)).distinct()
        stale = there.join(groups, list(spec.groups), "left_semi").join(
            new.select(*map(quoted, spec.keys)), list(spec.keys), "left_anti"
        )
        # Frozen: MERGE does not plan a source that reads the table itself.
        return self.scratch(rows.unionByName(stale.withColumn(_STALE, F.lit(True))))

    @contextmanager
    def _settings(self, settings: Mapping[str, str]) -> Iterator[None]:
        conf = self._spark.conf
        with ExitStack() as stack:
            for key, value in settings.items():
                conf.set(key, value)
                stack.callback(conf.unset, key)
            yield
