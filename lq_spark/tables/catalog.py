"""What the catalog knows about a table."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from lq_spark.errors import OptionError
from lq_spark.tables.spec import TableSpec, one_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def provider(spark: SparkSession, spec: TableSpec) -> str:
    """Return the format of a table, or ``view`` for a view.

    Raises
    ------
    OptionError
        If there is no such table.
    """
    try:
        described = spark.sql(f"DESCRIBE TABLE EXTENDED {spec.name}").collect()  # its columns
    except Exception as error:
        hint = f"; the path is './{spec.name}'" if Path(spec.name).exists() else ""
        raise OptionError(
            f"{spec.option}: no table {spec.name!r} to read{hint} ({one_line(error)})"
        ) from error
    names = [row[0] for row in described]
    # A column may be named Provider too; the details come after the columns.
    detail = next((i for i, name in enumerate(names) if name.startswith("# Detailed")), len(names))
    found = [row[1] for row in described[detail:] if row[0] == "Provider"]
    return str(found[0]).lower() if found else "view"


def location(spark: SparkSession, name: str) -> str:
    """Return the place of a table, as Spark has it: ``file:/folder``."""
    described = spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()  # its columns
    # A column may be named Location too; the details come after the columns.
    return str([row[1] for row in described if row[0] == "Location"][-1])


def partition_columns(spark: SparkSession, name: str) -> tuple[str, ...]:
    """Return the columns by which a table is partitioned, or their transforms: days(time)."""
    rows = [tuple(row)[:2] for row in spark.sql(f"DESCRIBE TABLE {name}").collect()]  # its columns
    titles = ("# Partition Information", "# Partitioning")
    start = max((i for i, (title, _) in enumerate(rows) if title in titles), default=None)
    if start is None:
        return ()
    found = itertools.takewhile(
        lambda row: row[0] == "# col_name" or row[0][:1] not in ("", "#"), rows[start + 1 :]
    )
    by_number = rows[start][0] == titles[1]  # (Part 0, days(time))
    return tuple(row[by_number] for row in found if row[0] != "# col_name")


def require_namespace(spark: SparkSession, spec: TableSpec) -> None:
    """Raise OptionError unless a table of this name could be created."""
    namespace = spec.name.rpartition(".")[0]
    if not namespace:
        return
    try:
        spark.sql(f"DESCRIBE NAMESPACE {namespace}")
    except Exception as error:
        if "NOT_FOUND]" not in str(error):
            return  # a catalog's root may not be a namespace that can be described
        raise OptionError(
            f"{spec.option}: there is no {namespace!r} to make the table {spec.name!r} in "
            f"({one_line(error)})"
        ) from error
