import pytest
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from lq_spark.engine import inputs
from lq_spark.engine.vectors import float_array
from lq_spark.errors import ColumnError


@pytest.fixture
def table_of(spark):
    """Make a table without rows from a schema in words."""
    return lambda schema: spark.createDataFrame([], schema)


@pytest.mark.parametrize(
    "name",
    ["a.b", "a b", "a`b", "`", pytest.param("a``.b", marks=pytest.mark.spark), "select", "größe"],
)
def test_a_column_is_found_by_its_name_whatever_the_name_holds(spark, name):
    schema = StructType([StructField(name, LongType()), StructField("a", LongType())])
    table = spark.createDataFrame([(7, 0)], schema)
    assert table.select(inputs.column(name)).first()[0] == 7


def test_a_missing_column_is_named_with_what_is_there_and_the_closest(table_of):
    with pytest.raises(ColumnError) as error:
        inputs.require_columns(table_of("label int, pred_probs array<float>"), label="lable")
    assert str(error.value) == (
        "label: no column 'lable' in the table; it has 'label', 'pred_probs'; did you mean 'label'?"
    )


def test_a_field_of_a_struct_is_no_column(table_of):
    with pytest.raises(ColumnError, match=r"no column 'row\.label' in the table; it has 'row'"):
        inputs.require_columns(table_of("row struct<label: int>"), label="row.label")


def test_columns_that_are_there_pass(table_of):
    assert inputs.require_columns(table_of("a int, b int"), first="a", second="b") is None


def test_a_column_to_be_added_must_not_be_there(table_of):
    assert inputs.require_new_columns(table_of("a int"), ["b", "c"]) is None
    with pytest.raises(ColumnError) as error:
        inputs.require_new_columns(table_of("a int, b int, c int"), ["b", "d", "c"])
    assert str(error.value) == (
        "the table already has 'b', 'c', which would be added; rename or drop it first"
    )


@pytest.mark.parametrize("others", ["label int, label int", "label int, Label int, x int"])
def test_a_column_that_is_not_alone_with_its_name_is_ambiguous(table_of, others):
    schema = [StructField(part.split()[0], LongType()) for part in others.split(", ")]
    table = table_of("y int").select("y", *(F.lit(1).alias(field.name) for field in schema))
    second = schema[1].name
    with pytest.raises(ColumnError) as error:
        inputs.require_columns(table, target="label")
    assert str(error.value) == (
        f"target: column 'label' is ambiguous, the table has 'label', {second!r}; "
        "rename or drop all but one"
    )
    assert inputs.require_columns(table, target="y") is None
    with pytest.raises(ColumnError, match=f"columns of the same name: 'label', '{second}'; ren"):
        inputs.require_new_columns(table, ["z"])
    assert inputs.columns_alone(table, ["y", "y"]).columns == ["y"]
    assert inputs.columns_alone(table, ["y", "label"]) is table


@pytest.mark.spark_only
def test_spark_may_tell_cases_apart(spark, table_of):
    table = table_of("label int, y int").withColumnRenamed("y", "Label")
    with pytest.raises(ColumnError, match="ambiguous"):
        inputs.require_columns(table, target="label")
    spark.conf.set("spark.sql.caseSensitive", "true")
    try:
        inputs.require_columns(table, target="label")
        inputs.require_new_columns(table, ["z"])
        assert table.select(inputs.column("Label")).columns == ["Label"]
        twice = table.select("*", F.lit(1).alias("label"))
        inputs.require_columns(twice, target="Label")
        with pytest.raises(ColumnError, match="the table has 'label', 'label'; rename"):
            inputs.require_columns(twice, target="label")
    finally:
        spark.conf.unset("spark.sql.caseSensitive")


def test_a_column_has_its_type(table_of):
    table = table_of("`a.b` string, c int")
    assert inputs.column_type(table, "a.b") == StringType()


@pytest.mark.parametrize("kind", ["tinyint", "smallint", "int", "bigint", "string"])
def test_whole_numbers_and_strings_pass(table_of, kind):
    found = inputs.require_integer_or_string(table_of(f"x {kind}"), "label", "x")
    assert found.simpleString() == kind


@pytest.mark.parametrize(
    "kind", ["float", "double", "boolean", "decimal(10,0)", "date", "array<int>", "binary"]
)
def test_another_type_of_label_is_refused(table_of, kind):
    with pytest.raises(ColumnError) as error:
        inputs.require_integer_or_string(table_of(f"x {kind}"), "label", "x")
    assert str(error.value) == (
        f"label: column 'x' is {kind}; allowed are tinyint, smallint, int, bigint and string"
    )


@pytest.mark.parametrize(
    "kind", ["tinyint", "int", "bigint", "string", "date", "timestamp", "decimal(38,0)"]
)
def test_what_tells_rows_apart_can_be_a_key(table_of, kind):
    assert inputs.require_key(table_of(f"x {kind}"), "id", "x").simpleString() == kind


@pytest.mark.parametrize(
    "kind",
    [
        *("float", "double", "array<int>", "struct<a:int>", "variant"),
        *("interval", "interval day to second", "interval year to month"),
    ],
)
def test_what_does_not_tell_rows_apart_cannot_be_a_key(table_of, kind):
    with pytest.raises(ColumnError) as error:
        inputs.require_key(table_of(f"x {kind}"), "id", "x")
    assert str(error.value) == (
        f"id: column 'x' is {kind}; allowed are whole numbers, strings, dates and timestamps"
    )


@pytest.mark.parametrize("kind", ["array<float>", "array<double>"])
def test_an_array_of_floats_is_taken_as_it_is(spark, kind):
    table = spark.createDataFrame([([0.5, 0.25],), (None,)], f"x {kind}")
    same = table.select(float_array(table, "pred_probs", "x").alias("x"))
    assert same.schema == table.schema
    assert same.collect() == table.collect()


@pytest.mark.spark
def test_a_vector_dense_or_sparse_becomes_an_array_of_doubles(spark):
    vectors = [(Vectors.dense([0.25, 0.0, 0.75]),), (Vectors.sparse(3, {2: 1.0}),)]
    table = spark.createDataFrame(vectors, StructType([StructField("x", VectorUDT())]))
    arrays = table.select(float_array(table, "pred_probs", "x").alias("x"))
    assert arrays.schema["x"].dataType.simpleString() == "array<double>"
    assert [row["x"] for row in arrays.collect()] == [[0.25, 0.0, 0.75], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    "kind", ["array<int>", "array<string>", "array<decimal(4,3)>", "array<array<float>>", "string"]
)
def test_probabilities_of_another_type_are_refused(table_of, kind):
    with pytest.raises(ColumnError) as error:
        float_array(table_of(f"x {kind}"), "pred_probs", "x")
    assert str(error.value) == (
        f"pred_probs: column 'x' is {kind}; allowed are "
        "array<float>, array<double> and a Spark ML vector"
    )


@pytest.mark.parametrize(
    "check", [inputs.require_integer_or_string, inputs.require_key, float_array]
)
def test_each_check_names_the_option_of_a_missing_column(spark, check):
    # Reading this table would be another error.
    table = spark.range(1).select(F.raise_error(F.lit("the table was read")).alias("x"))
    with pytest.raises(ColumnError, match=r"^option: no column 'y' in the table; it has 'x'$"):
        check(table, "option", "y")
