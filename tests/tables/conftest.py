"""What the tests of tables share: tables written as the job writes them."""

from __future__ import annotations

import pytest


@pytest.fixture
def fill(spark):
    """Write a table of so many rows to the staging place, as the job does."""

    def write(table, n_rows):
        spark.range(n_rows).coalesce(1).write.mode("overwrite").parquet(table.staging)

    return write


@pytest.fixture
def replace(fill):
    """Replace the table at a path by one of so many rows."""
    # Imported here, so that other tests run where pyspark is not installed.
    from lq_spark.tables.staged import StagedTable

    def write(path, n_rows):
        with StagedTable("output", str(path)) as table:
            fill(table, n_rows)
            table.commit()

    return write


@pytest.fixture
def count(spark):
    """Return how many rows the table at a path has."""
    return lambda path: spark.read.parquet(str(path)).count()


@pytest.fixture
def tables_in():
    """Return the names in a folder but for the locks, which stay."""
    return lambda folder: {
        path.name for path in folder.iterdir() if not path.name.endswith(".lock")
    }
