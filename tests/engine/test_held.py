"""Rows that are held for a result are made once, and let go of with it."""

import gc
import time

import pytest
from pyspark.sql import functions as F

from lq_spark.engine.held import _GONE, Held


@pytest.fixture(autouse=True)
def own_folder(folder):
    """Have each test use a folder for temporary files of its own."""


def settles(condition):
    """Return whether a condition is met soon: rows are let go of in another thread."""
    for _ in range(100):
        gc.collect()
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.spark
@pytest.mark.connect
@pytest.mark.parametrize("wanted", [True, False])
def test_rows_are_made_once_for_all_looks(rows, wanted):
    table, made = rows
    with Held(wanted=wanted) as held:
        again = held.hold(table) if wanted else table
        result = held.hold_lazily(again.withColumn("more", F.col("id") + 1))
        result = held.until_gone(result)
    for n in (1, 2):
        assert sorted(map(tuple, result.collect())) == [(i, i + 1) for i in range(10)]
        assert made() == (10 if wanted else 10 * n)
    assert result.where("more > 5").count() == 5


@pytest.mark.spark_only
def test_spark_lets_go_of_them_with_the_result_and_what_is_derived_can_still_be_read(rows):
    table, made = rows
    with Held() as held:
        result = held.until_gone(held.hold(table))
    derived = result.where("id < 3")
    assert derived.count() == 3
    assert table.storageLevel.useMemory
    del result
    assert settles(lambda: not table.storageLevel.useMemory)
    assert made() == 10
    assert derived.count() == 3
    assert made() > 10


@pytest.mark.connect_only
def test_over_connect_they_are_kept_for_what_is_derived(rows):
    table, made = rows
    with Held() as held:
        result = held.until_gone(held.hold(table))
    derived = result.where("id < 3")
    del result
    gc.collect()
    time.sleep(0.5)
    assert [derived.count(), derived.count(), made()] == [3, 3, 10]
    del derived
    assert settles(lambda: not table.storageLevel.useMemory)


def test_files_are_there_for_what_is_derived_and_then_gone(rows, folder):
    table, made = rows
    with Held() as held:
        result = held.until_gone(held.hold_lazily(held.hold(table).select("id")))
    derived = result.where("id < 3")
    del result
    gc.collect()
    assert [derived.count(), derived.count(), made()] == [3, 3, 10]
    assert list(folder.iterdir())
    derived.createOrReplaceTempView("of_held_rows")
    view = derived.sparkSession.table("of_held_rows")
    del derived
    # What stays is no table: a view would take a folder that is gone for one without rows.
    assert settles(lambda: [p.name for p in folder.rglob("*.parquet")] == [f"{_GONE}.parquet"])
    with pytest.raises(Exception, match="Invalid Parquet file"):
        view.count()


@pytest.mark.spark
def test_nothing_is_held_after_an_error(rows, folder):
    table, _ = rows

    def fail():
        with Held() as held:
            held.hold(table).count()
            raise ValueError("what uses them fails")

    with pytest.raises(ValueError, match="what uses them fails"):
        fail()
    assert settles(lambda: not list(folder.iterdir()))


@pytest.mark.spark_only
def test_spark_keeps_nothing_after_an_error(rows):
    table, _ = rows
    with pytest.raises(ValueError, match="fails"), Held() as held:
        held.hold(table).count()
        raise ValueError("fails")
    assert settles(lambda: not table.storageLevel.useMemory)
