"""What Sail does not do as Apache Spark does, and the library works around.

Each test says what Spark does and is expected to fail. One that passes is a fault that a new
version of Sail has mended: what works around it, named in the reason, can go.
"""

import pytest
from pyspark.errors import PySparkException
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from lq_spark.engine.verbs import map_rows


def fault(workaround, raises=AssertionError):
    return pytest.mark.xfail(reason=workaround, raises=raises, strict=True)


@fault("verbs.map_sorted sorts each group in Python")
def test_a_sort_is_kept_below_a_python_function(embedded):
    rows = embedded.range(0, 40, 1, 1).sortWithinPartitions(F.desc("id"))
    found = rows.mapInArrow(lambda batches: batches, "id bigint").collect()
    assert [row["id"] for row in found] == list(range(40))[::-1]


@fault("inputs.field_of_elements asks whether the struct is null")
def test_a_field_of_a_null_in_an_array_is_null(embedded):
    table = embedded.createDataFrame([([(1.5,), None],)], "boxes array<struct<x1:double>>")
    [row] = table.select(F.transform("boxes", lambda box: box.getField("x1")).alias("x1")).collect()
    assert row["x1"] == [1.5, None]


@fault("inputs.field_of_elements transforms the array", raises=PySparkException)
def test_a_field_of_an_array_of_structs_is_an_array(embedded):
    table = embedded.createDataFrame([([(1.5,)],)], "boxes array<struct<x1:double>>")
    [row] = table.select(F.col("boxes").getField("x1").alias("x1")).collect()
    assert row["x1"] == [1.5]


@fault("results rest on no numbers of partitions", raises=PySparkException)
def test_rows_are_grouped_by_their_partition(embedded):
    table = embedded.range(40).groupBy(F.spark_partition_id()).count()
    assert sum(row["count"] for row in table.collect()) == 40


@fault("tables.parquet looks whether a path is there", raises=pytest.fail.Exception)
def test_a_path_that_is_not_there_is_refused(embedded, tmp_path):
    with pytest.raises(PySparkException):
        assert embedded.read.parquet(str(tmp_path / "nothing")).schema == StructType([])


@fault("select and rank multiply with a factor", raises=PySparkException)
def test_nothing_divided_by_0_is_null(embedded):
    table = embedded.createDataFrame([(None, 0.0)], "value double, width double")
    assert table.select(F.col("value") / F.col("width")).first() == (None,)


@fault("select.one_zero takes the sign from 0")
def test_zeros_of_either_sign_are_one_in_an_order(embedded):
    rows = [(0.0, 1), (-0.0, 2)]
    table = embedded.createDataFrame(rows, "value double, key int").orderBy("value", "key")
    assert [row["key"] for row in table.collect()] == [1, 2]


@fault("kept.kept writes the rows to a file")
def test_persisted_rows_are_made_once(embedded, tmp_path):
    path = str(tmp_path / "rows")

    def count(ids):
        with open(path, "a") as file:  # noqa: PTH123 - in the worker
            file.write("." * len(ids))
        return {"id": ids}

    schema = StructType([StructField("id", LongType())])
    rows = embedded.range(5).select(map_rows(count, [F.col("id")], schema).alias("new")).persist()
    assert rows.count() == len(rows.collect()) == 5
    rows.collect()
    assert (tmp_path / "rows").read_text() == "." * 5


@fault("vectors.float_array reads vectors in Python", raises=PySparkException)
def test_a_vector_becomes_an_array(embedded):
    schema = StructType([StructField("x", VectorUDT())])
    table = embedded.createDataFrame([(Vectors.dense([0.25, 0.75]),)], schema)
    assert table.select(vector_to_array("x")).first() == ([0.25, 0.75],)
