"""Rows that are held for a result are made once, and let go of with it."""

import gc
import os
import subprocess
import sys
import time

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from lq_spark.engine.held import LET_GO, Held


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


def files_in(folder):
    """Return the files with rows in a folder, at any depth."""
    return [path for path in folder.rglob("*") if path.is_file()]


def test_files_are_there_for_what_is_derived_and_then_gone(rows, folder):
    table, made = rows
    with Held() as held:
        result = held.until_gone(held.hold_lazily(held.hold(table).select("id")))
    derived = result.where("id < 3")
    del result
    gc.collect()
    assert [derived.count(), derived.count(), made()] == [3, 3, 10]
    assert files_in(folder)
    del derived
    assert settles(lambda: not files_in(folder))


def test_a_view_of_a_result_that_is_gone_fails_and_says_why(spark, rows, tmp_path_factory):
    table, _ = rows

    def held_rows():
        with Held() as held:
            return held.until_gone(held.hold(table))

    def count_of(name):
        return spark.sql(f"SELECT count(*) FROM {name}").first()[0]

    result, other = held_rows(), held_rows()
    result.createOrReplaceTempView("held_result")
    result.where("id < 3").createOrReplaceTempView("held_derived")
    spark.sql("CREATE OR REPLACE TEMP VIEW held_view AS SELECT id FROM held_result")
    assert [count_of(f"held_{of}") for of in ("result", "derived", "view")] == [10, 3, 10]
    written = str(tmp_path_factory.mktemp("table") / "rows")
    spark.table("held_result").write.parquet(written)
    del result
    gc.collect()
    for name in ("held_result", "held_derived", "held_view"):
        with pytest.raises(PySparkException, match=LET_GO):
            count_of(name)
        with pytest.raises(PySparkException, match=LET_GO):
            spark.table(name).where("id < 2").collect()
    assert [other.count(), spark.read.parquet(written).count()] == [10, 10]


@pytest.mark.parametrize("let_go", [False, True])
def test_nothing_is_left_when_the_process_ends(tmp_path, let_go):
    program = """
import gc, os, sys, tempfile
from lq_spark import local
from lq_spark.engine.held import Held
with Held() as held:
    result = held.until_gone(held.hold(local.session(cores=1).range(3)))
if sys.argv[1] == "True":
    del result
    gc.collect()
print(os.listdir(tempfile.gettempdir()))
"""
    ran = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", program, str(let_go)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "lq_spark_" in ran.stdout
    assert ran.stderr == ""
    assert not list(tmp_path.iterdir())


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
