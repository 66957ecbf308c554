"""Tables whose columns are declared: they are taken as they are, or the query fails."""

import pytest
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lq_spark import declared
from lq_spark.errors import OptionError

pytestmark = [pytest.mark.spark, pytest.mark.connect]

TYPES = {
    "a": "bigint",
    "b": "array<float>",
    "c": "decimal(5,2)",
    "d": "struct<x:int,y:map<string,double>>",
    "with.dot": "timestamp",
}


@pytest.fixture
def table(spark):
    nothing = F.lit(None)
    return spark.range(2).select(*(nothing.cast(kind).alias(name) for name, kind in TYPES.items()))


def test_columns_are_taken_as_they_are_declared(table):
    schema = StructType([table.schema[name] for name in ("with.dot", "d", "c", "b", "a")])
    taken = declared(table.withColumn("more", F.lit(1)), schema)
    assert [(f.name, f.dataType) for f in taken.schema] == [(f.name, f.dataType) for f in schema]
    assert taken.count() == len(taken.collect()) == 2


def test_a_column_of_another_type_fails_the_query(table):
    taken = declared(table, StructType().add("a", "integer"))
    with pytest.raises(Exception, match="column 'a' is declared as int, and is bigint"):
        taken.collect()


@pytest.mark.spark_only
def test_vectors_are_declared_as_such(spark):
    table = spark.createDataFrame([(Vectors.dense([0.5, 0.5]),)], ["v"])
    [row] = declared(table, StructType().add("v", VectorUDT())).collect()
    assert row["v"] == Vectors.dense([0.5, 0.5])


def test_a_text_is_no_schema(table):
    with pytest.raises(OptionError, match="schema must be a StructType, got 'a bigint'"):
        declared(table, "a bigint")
