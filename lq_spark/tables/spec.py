"""Which table: its format, its name, its version, and how it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lq_spark.engine.files import expanded
from lq_spark.errors import OptionError, require_one_of

FORMATS = ("parquet", "delta", "iceberg")
WRITE_MODES = ("overwrite", "append", "merge")


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table to read or to write.

    Attributes
    ----------
    name : str
        A path or URI, which has a slash in it, or a catalog name; ``~`` is the home folder.
        Parquet is written to a path; Iceberg tables have catalog names on Spark, and paths on Sail.
    option : str
        The option that named the table, for messages.
    format : str or None
        One of :data:`FORMATS`; None to read the format found at a path, or known to the catalog.
    version : int or None
        Version of a Delta table, or snapshot id of an Iceberg table, to read; None for the newest.
    timestamp : str or None
        Read instead the newest version at this time, in the session's time zone.
    mode : str
        One of :data:`WRITE_MODES`: replace all rows; add rows; replace the rows with the same keys
        and add the others.
    keys : tuple of str
        The columns by which rows are merged.
    groups : tuple of str
        Some of the keys: existing rows are replaced together with all rows of the same values in
        these, such as the tokens of a sentence. Empty: each row by itself.
    partition_by : tuple of str
        The columns by which a new or replaced table is partitioned.

    Raises
    ------
    OptionError
        If the attributes contradict each other.
    """

    name: str
    option: str = "table"
    format: str | None = None
    version: int | None = None
    timestamp: str | None = None
    mode: str = "overwrite"
    keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", expanded(self.name))
        if self.format is not None:
            require_one_of(f"{self.option}_format", self.format, FORMATS)
        require_one_of("write_mode", self.mode, WRITE_MODES)
        if self.version is not None and self.timestamp is not None:
            raise OptionError(
                f"{self.option}_version and {self.option}_timestamp do not go together, got "
                f"{self.version} and {self.timestamp!r}"
            )
        if self.format == "parquet" and (self.version is not None or self.timestamp is not None):
            raise OptionError(
                f"{self.option}: Parquet has no versions; {self.option}_version and "
                f"{self.option}_timestamp are for delta and iceberg ({self.option}_format)"
            )
        if self.mode == "merge" and not self.keys:
            raise OptionError(f"{self.option}: write_mode 'merge' needs keys to merge by")

    @property
    def is_path(self) -> bool:
        """Return whether the name is a path."""
        return "/" in self.name


def quoted(name: str) -> str:
    """Return the name of a column as SQL quotes it."""
    return "`" + name.replace("`", "``") + "`"


def no_table(spec: TableSpec, table_format: str, error: Exception) -> OptionError:
    """Return the error that there is no such table of a format to open."""
    name = table_format.capitalize()
    return OptionError(f"{spec.option}: no {name} table {spec.name!r} ({one_line(error)})")


def one_line(error: BaseException) -> str:
    """Return Spark's message of a failure in one line."""
    text = str(error)
    line = r"[^\n]*(?:(?<=:)\n[^\n]*)?"  # a line that ends with a colon continues in the next
    # Its error class; or, under py4j, the line of the Java exception without its package.
    for start in (r"(\[[A-Z][A-Z0-9_.]+\]", r"^: (?:[a-z0-9_]+\.)*(\w+: "):
        if found := re.search(f"{start}{line})", text, flags=re.MULTILINE):
            return " ".join(found[1].split())
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
