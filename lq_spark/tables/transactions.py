"""What Delta and Iceberg tables have in common: rows kept on the executors, then one commit.

Intermediate rows stay on the executors, as local checkpoints, and end with the session; those of
the embedded engine are in a temporary folder. A run that is killed leaves nothing more behind than
these and files that the table does not refer to, which the format's own cleaning removes (VACUUM,
remove_orphan_files). Two executors have each row, so a run goes on without one of them; before
Spark 4.0 it is one, and a run that loses it fails. The table is changed by one commit of its
format: a reader sees the old rows or the new, whatever happens. If two runs change the same rows at
once, the format accepts one and refuses the other, or commits one after the other.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.sql import functions as F
from pyspark.sql.types import DateType, IntegralType, StringType

from lq_spark.engine.files import as_uri
from lq_spark.engine.kept import frozen
from lq_spark.engine.reductions import Reduced, Reduction, reduce_all
from lq_spark.errors import OptionError, TableError
from lq_spark.tables.catalog import partition_columns, provider, require_namespace
from lq_spark.tables.schemas import accepts, require_same_columns
from lq_spark.tables.spec import TableSpec, one_line, quoted
from lq_spark.tables.staged import require_writable
from lq_spark.tables.storable import require_storable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

RANGED = (IntegralType, StringType, DateType)
"""Types of keys that files have the lowest and the highest of."""

_ONE_AT_A_TIME = threading.RLock()
"""Held while the session has the settings of one run's commit."""


@dataclass(frozen=True, slots=True)
class TableFormat:
    """What differs between the transactional formats.

    Attributes
    ----------
    name : str
        As Spark's data source.
    identifier : callable
        spec -> the table's name in SQL.
    existing : callable
        (spark, spec) -> the table, or None if there is none; raises if something else is there.
    commit_settings : callable
        properties -> settings of the session with which a commit in SQL carries them.
    commit_options : callable
        properties -> options of a writer whose commit carries them, whatever the settings.
    kept_properties : callable
        (spark, identifier) -> the user's properties that replacing the table would lose.
    overwriting : mapping
        Options of a writer that overwrites all rows.
    new_columns : mapping or None
        Options of a writer that also changes the table's columns; None if there are none.
    new_properties : callable
        schema -> properties that a new table with these columns needs.
    require_names : callable
        (spark, spec, schema) -> raises if the table cannot have columns of such names.
    """

    name: str
    identifier: Callable[[TableSpec], str]
    existing: Callable[[SparkSession, TableSpec], DataFrame | None]
    commit_settings: Callable[[Mapping[str, str]], dict[str, str]]
    commit_options: Callable[[Mapping[str, str]], dict[str, str]]
    kept_properties: Callable[[SparkSession, str], dict[str, str]]
    overwriting: Mapping[str, str] = field(default_factory=dict)
    new_columns: Mapping[str, str] | None = None
    new_properties: Callable[[StructType], Mapping[str, str]] = lambda _: {}
    require_names: Callable[[SparkSession, TableSpec, StructType], None] = lambda *_: None


class TransactionalOutput:
    """A Delta or Iceberg table about to be written; see :class:`lq_spark.tables.formats.Output`."""

    _chooses_files: ClassVar[bool] = True
    """Whether a merge need not read files whose keys lie elsewhere than those of the new rows."""

    def __init__(self, spark: SparkSession, spec: TableSpec, table_format: TableFormat) -> None:
        self._spark, self._spec, self._format = spark, spec, table_format
        self._identifier = table_format.identifier(spec)
        self._kept = ExitStack()
        self._removed: DataFrame | None = None

    def check(self, schema: StructType) -> None:
        """Raise if the table cannot be written, or rows of this schema do not match its rows."""
        require_storable(self._spark, self._spec, schema)
        there = self._format.existing(self._spark, self._spec)
        if there is not None:
            self._format.require_names(self._spark, self._spec, schema)
        if self._spec.is_path:
            require_writable(self._spec.option, self._spec.name, folder=True)
        else:
            self._check_name(there is not None)
        if there is not None and self._spec.mode != "overwrite":
            require_same_columns(self._spec, there.schema, schema)

    def __enter__(self) -> TransactionalOutput:
        return self

    def stage(self, df: DataFrame, reductions: Mapping[str, Reduction[Any]] = {}) -> Reduced:
        """Compute the rows, keep them on the executors, and return them, and reduced."""
        found = self.scratch(df, reductions)
        self._staged = found.rows
        return found

    def scratch(self, df: DataFrame, reductions: Mapping[str, Reduction[Any]] = {}) -> Reduced:
        """Do the same with intermediate rows."""
        rows = self._frozen(df)
        return Reduced(rows, reduce_all(rows, reductions))

    def _frozen(self, df: DataFrame) -> DataFrame:
        # Persisting is not enough: scores are marked as non-deterministic, which MERGE refuses.
        return self._kept.enter_context(frozen(df))

    def remove(self, keys: DataFrame) -> None:
        """Have the commit, which merges, remove the rows of these keys that are not staged."""
        self._removed = keys

    def commit(self, properties: Mapping[str, str]) -> None:
        """Apply the staged rows to the table in one commit, which carries the properties."""
        spec = self._spec
        ways = {"overwrite": self._overwrite, "append": self._append, "merge": self._merge}
        try:
            # Without properties of its own a commit has the session's, but not another run's.
            with nullcontext() if properties else self._settings({}):
                if not self._created(properties):
                    ways[spec.mode](properties)
        except Exception as error:
            raise TableError(
                f"{spec.option}: cannot write {spec.name!r} ({one_line(error)})"
            ) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._kept.__exit__(kind, error, trace)

    def _check_name(self, is_there: bool) -> None:
        if not is_there:
            require_namespace(self._spark, self._spec)
        elif (found := provider(self._spark, self._spec)) != self._format.name:
            raise OptionError(
                f"{self._spec.option}: {self._spec.name!r} is there already and is {found}, not "
                f"{self._format.name}, so it is not written"
            )

    def _created(self, properties: Mapping[str, str]) -> bool:
        """Create the table from the staged rows if there is none; return whether it was created."""
        if self._format.existing(self._spark, self._spec) is not None:
            return False
        try:
            with self._settings(properties):
                self._maker().create()
        except Exception:
            if self._format.existing(self._spark, self._spec) is not None:
                return False  # another run has created it meanwhile
            if not self._spec.is_path:
                raise
            # What a killed first write left behind prevents a new table, but not an append.
            writer = self._staged.write.format(self._format.name).mode("append")
            writer = writer.options(
                **self._format.commit_options(properties),
                **self._format.new_properties(self._staged.schema),
            )
            writer.partitionBy(*self._spec.partition_by).save(as_uri(self._spec.name))
        return True

    def _overwrite(self, properties: Mapping[str, str]) -> None:
        """Overwrite the rows: the table stays the one that streams read and grants name.

        Its columns and partitions become those of the rows where they differ; if the format offers
        no other way, the table is replaced.
        """
        spec, how = self._spec, self._format
        there = how.existing(self._spark, spec)
        fits = there is not None and accepts(spec, there.schema, self._staged.schema)
        options = {**how.overwriting, **how.commit_options(properties)}
        parts: tuple[str, ...] = ()
        if spec.partition_by or not fits:
            parts = partition_columns(self._spark, self._identifier)
            fits &= parts == spec.partition_by
        if not fits:
            options |= how.new_columns or {}
            if spec.is_path:
                writer = self._staged.write.format(how.name).mode("overwrite").options(**options)
                return writer.partitionBy(*spec.partition_by).save(as_uri(spec.name))
            if how.new_columns is None or parts or spec.partition_by:
                return self._replace(properties)
        return self._staged.writeTo(self._identifier).options(**options).overwrite(F.lit(True))

    def _replace(self, properties: Mapping[str, str]) -> None:
        kept = self._format.kept_properties(self._spark, self._identifier)
        with self._settings(properties):
            self._maker(kept).createOrReplace()

    def _maker(self, properties: Mapping[str, str] = {}):  # type: ignore[no-untyped-def]
        writer = self._staged.writeTo(self._identifier).using(self._format.name)
        needed = self._format.new_properties(self._staged.schema)
        for key, value in {**properties, **needed}.items():
            writer = writer.tableProperty(key, value)
        columns = [self._staged[quoted(name)] for name in self._spec.partition_by]
        return writer.partitionedBy(*columns) if columns else writer

    def _append(self, properties: Mapping[str, str]) -> None:
        options = self._format.commit_options(properties)
        self._staged.writeTo(self._identifier).options(**options).append()

    def _merge(self, properties: Mapping[str, str]) -> None:
        name = f"lq_spark_{uuid.uuid4().hex}"
        rows, when_stale, unless_stale = self._staged, "", ""
        if self._spec.groups or self._removed is not None:
            rows = self._with_stale_rows(mark=name)
            when_stale = f"WHEN MATCHED AND new.{name} THEN DELETE "
            unless_stale = f"AND NOT new.{name} "
        rows.createOrReplaceTempView(name)
        columns = [quoted(column) for column in self._staged.columns]
        same = " AND ".join(f"there.{key} = new.{key}" for key in map(quoted, self._spec.keys))
        same += self._range_of(rows)
        try:
            with self._settings(properties):
                # Each column by name: under some settings SET * adds other columns of the source.
                self._spark.sql(
                    f"MERGE INTO {self._identifier} AS there USING {name} AS new ON {same} "
                    f"{when_stale}"
                    f"WHEN MATCHED THEN UPDATE SET {_listed('there.{0} = new.{0}', columns)} "
                    f"WHEN NOT MATCHED {unless_stale}THEN INSERT ({_listed('{}', columns)}) "
                    f"VALUES ({_listed('new.{}', columns)})"
                )
        finally:
            self._spark.catalog.dropTempView(name)

    def _range_of(self, rows: DataFrame) -> str:
        """Return a further condition, by which files of the table can be left out.

        It is that keys are between the lowest and the highest of these rows.
        """
        key = (self._spec.groups or self._spec.keys)[0]
        if not self._chooses_files or not isinstance(rows.schema[key].dataType, RANGED):
            return ""
        ends = rows.agg(F.min(quoted(key)), F.max(quoted(key))).first()
        if ends is None or ends[0] is None:
            return ""
        low, high = map(_literal, ends)
        return f" AND there.{quoted(key)} BETWEEN {low} AND {high}"

    def _with_stale_rows(self, mark: str) -> DataFrame:
        """Return the staged rows, and those of the table in their groups that are to be deleted.

        Those of keys that are to be removed, too. The column ``mark`` is true for all of them.
        """
        spec, new, removed = self._spec, self._staged, self._removed
        rows, names = new.withColumn(mark, F.lit(False)), list(map(quoted, spec.groups))
        keys = new.select(*map(quoted, spec.keys))
        if not names and removed is not None:
            stale = removed.select(*map(quoted, spec.keys)).join(keys, list(spec.keys), "left_anti")
            stale = stale.withColumn(mark, F.lit(True))
            return self._frozen(rows.unionByName(stale, allowMissingColumns=True))
        there = self._format.existing(self._spark, spec)
        if there is None:
            return rows
        groups = new.select(*names)
        if removed is not None:
            groups = groups.unionByName(removed.select(*names))
        stale = there.join(groups.distinct(), list(spec.groups), "left_semi").join(
            keys, list(spec.keys), "left_anti"
        )
        # Frozen: MERGE cannot have a source that reads the table itself.
        return self._frozen(rows.unionByName(stale.withColumn(mark, F.lit(True))))

    @contextmanager
    def _settings(self, properties: Mapping[str, str]) -> Iterator[None]:
        """Make the session's commits carry the properties, until the context ends.

        For commits that have no options for it; in one thread at a time.
        """
        conf, settings = self._spark.conf, self._format.commit_settings(properties)
        with _ONE_AT_A_TIME, ExitStack() as stack:
            for key, value in settings.items():
                before = conf.get(key, None)
                stack.callback(*(conf.unset, key) if before is None else (conf.set, key, before))
                conf.set(key, value)
            yield


def _listed(pattern: str, columns: Iterable[str]) -> str:
    return ", ".join(pattern.format(column) for column in columns)


def _literal(value: int | str | date) -> str:
    """Return a value in SQL, whatever the settings say of escapes in texts."""
    if isinstance(value, str):
        return f"CAST(X'{value.encode().hex()}' AS STRING)"
    return f"DATE'{value}'" if isinstance(value, date) else str(value)
