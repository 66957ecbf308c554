"""What the tests of tables share: tables written as the job writes them."""

from __future__ import annotations

from dataclasses import replace as changed

import pytest


@pytest.fixture(params=["delta path", pytest.param("iceberg", marks=pytest.mark.spark_only)])
def spec(request, spark, engine, tmp_path):
    """Where a table is to be written, in each format: Delta by path on the embedded engine."""
    # Imported here, so that other tests run where pyspark is not installed.
    from lq_spark.tables.spec import TableSpec

    if request.param == "delta path":
        name = "table" if engine == "embedded" else "a table"  # where Sail would lose its way
        yield TableSpec(str(tmp_path / name), "output", "delta")
        return
    catalog = "spark_catalog" if request.param == "delta name" else "lake"
    spark.sql(f"CREATE NAMESPACE {catalog}.dq")
    name = request.param.split()[0]
    yield TableSpec(f"{'' if catalog == 'spark_catalog' else 'lake.'}dq.t", "output", name)
    spark.sql(f"DROP TABLE IF EXISTS {catalog}.dq.t")
    spark.sql(f"DROP NAMESPACE {catalog}.dq")


@pytest.fixture
def rows(spark):
    """Make rows of these ids, all with one value."""

    def make(ids, value):
        df = spark.createDataFrame([(i, float(value)) for i in ids], "id bigint, x double")
        return df.withMetadata("x", {"comment": "a value"})

    return make


@pytest.fixture
def content(spark):
    """Return {id: x} of a table at a version."""
    from lq_spark.tables.formats import read_table

    def found(spec, **version):
        df = read_table(spark, changed(spec, option="input", **version)).df
        return {row["id"]: row["x"] for row in df.collect()}

    return found


@pytest.fixture
def named():
    """Return a table's name in SQL."""
    return lambda spec: f"delta.`{spec.name}`" if spec.is_path else spec.name


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
