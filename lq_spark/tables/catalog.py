"""What the catalog says of a table's name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lq_spark.errors import OptionError
from lq_spark.tables.spec import TableSpec, said

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def provider(spark: SparkSession, spec: TableSpec) -> str:
    """Return the format of a table; ``view`` of a view.

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
            f"{spec.option}: no table {spec.name!r} to read{hint} ({said(error)})"
        ) from error
    names = [row[0] for row in described]
    # A column may be called Provider too; the details come after the columns.
    detail = next((i for i, name in enumerate(names) if name.startswith("# Detailed")), len(names))
    found = [row[1] for row in described[detail:] if row[0] == "Provider"]
    return str(found[0]).lower() if found else "view"


def require_namespace(spark: SparkSession, spec: TableSpec) -> None:
    """Raise OptionError unless a table could be made under its name."""
    namespace = spec.name.rpartition(".")[0]
    if not namespace:
        return
    try:
        spark.sql(f"DESCRIBE NAMESPACE {namespace}")
    except Exception as error:
        if "NOT_FOUND]" not in str(error):
            return  # a catalog's root may be no namespace to describe
        raise OptionError(
            f"{spec.option}: there is no {namespace!r} to make the table {spec.name!r} in "
            f"({said(error)})"
        ) from error
