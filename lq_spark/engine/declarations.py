"""Tables whose columns are declared, where Spark may not be asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructField, StructType, UserDefinedType

from lq_spark.engine.inputs import column
from lq_spark.engine.kinds import is_connect
from lq_spark.errors import OptionError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def declared(df: DataFrame, schema: StructType) -> DataFrame:
    """Return the columns of a table that a schema has, without asking Spark which they are. Lazy.

    In the query functions of a declarative pipeline (``pyspark.pipelines``) Spark does not say
    which columns a table has; every function of this package that reads nothing takes one whose
    columns are declared there. A client of Spark Connect knows them then, also of what ``where``
    leaves of the table.

    Parameters
    ----------
    df : DataFrame
    schema : StructType
        Names and types of the columns to take, in this order. Make it outside the query function:
        ``spark.read.table(name).schema`` of a table that is there already, or
        ``StructType.fromDDL("id bigint, numbers array<float>")``.

    Raises
    ------
    OptionError
        If schema is no StructType. If a column is missing, Spark fails when the table is analysed;
        if one has another type, the query fails, and says so.
    """
    if not isinstance(schema, StructType):
        raise OptionError(f"schema must be a StructType, got {schema!r}")
    taken = df.select(*map(_of_type, schema.fields))
    if is_connect(df.sparkSession):
        # Where its client keeps what a server has told it of a table; it has no method for that.
        vars(taken)["_cached_schema"] = schema
    return taken


def _of_type(field: StructField) -> Column:
    """Return a column; of another type than declared it fails the query."""
    value, kind = column(field.name), _type_text(field.dataType)
    found = F.typeof(value)
    message = F.concat(F.lit(f"column {field.name!r} is declared as {kind}, and is "), found)
    as_declared = F.when(found == kind, value).otherwise(F.raise_error(message))
    return as_declared.alias(field.name)


def _type_text(kind: DataType) -> str:
    """Return a type as typeof has it in SQL."""
    return (kind.sqlType() if isinstance(kind, UserDefinedType) else kind).simpleString()
