"""Rows that several passes read are made once, and nothing is left of them."""

import pytest
from pyspark.sql import functions as F

from lq_spark.engine.kept import frozen, kept

WAYS = [pytest.param(way, id=way.__name__) for way in (kept, frozen)]


@pytest.fixture(autouse=True)
def own_folder(folder):
    """Have each test use a folder for temporary files of its own."""


@pytest.mark.spark
@pytest.mark.connect
@pytest.mark.parametrize("way", WAYS)
def test_rows_are_made_once(rows, way):
    table, made = rows
    with way(table) as again:
        assert again.schema == table.schema
        for _ in range(3):
            assert sorted(row["id"] for row in again.collect()) == list(range(10))
        assert again.agg(F.sum("id")).first() == (45,)
        assert made() == 10


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fails", [False, True])
def test_a_file_of_them_is_gone_afterwards(rows, folder, way, fails):
    table, _ = rows

    def use():
        with way(table) as again:
            assert again.count() == 10
            assert list(folder.iterdir())
            if fails:
                raise ValueError("what uses them fails")

    if fails:
        with pytest.raises(ValueError, match="what uses them fails"):
            use()
    else:
        use()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left_of_rows_that_cannot_be_made(spark, folder, way):
    table = spark.range(3).select(F.raise_error(F.lit("no rows")).cast("int").alias("x"))
    with pytest.raises(Exception, match="no rows"), way(table) as rows:
        rows.collect()
    assert list(folder.iterdir()) == []


@pytest.mark.spark
@pytest.mark.parametrize("way", WAYS)
def test_a_table_without_rows_keeps_its_columns(spark, way):
    table = spark.createDataFrame([], "id int, words array<string>, box struct<x:double>")
    with way(table) as again:
        assert again.schema == table.schema
        assert again.collect() == []


@pytest.mark.spark_only
def test_rows_are_persisted_and_let_go_of(rows):
    table, _ = rows
    with pytest.raises(ValueError, match="what uses them fails"), kept(table) as again:
        assert again.storageLevel.useMemory
        raise ValueError("what uses them fails")
    assert not table.storageLevel.useMemory
