"""Rows that say how many of them have been made, for the tests of what keeps rows."""

import tempfile

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from lq_spark.engine.verbs import map_rows


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def rows(spark, folder, tmp_path_factory):
    """A table of ten rows, and a function that says how many of them have been made."""
    file = tmp_path_factory.mktemp("made") / "rows"
    path = str(file)

    def count(ids):
        with open(path, "a") as made:  # noqa: PTH123 - in the worker
            made.write("." * len(ids))
        return {"id": ids}

    schema = StructType([StructField("id", LongType())])
    new = map_rows(count, [F.col("id")], schema)
    table = spark.range(0, 10, 1, 3).select(new.alias("new")).select("new.id")
    return table, lambda: len(file.read_text()) if file.exists() else 0
