"""Delta and Iceberg tables by path on the embedded engine, and what it leaves to Spark."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark.errors import EngineError, OptionError, TableError
from lq_spark.tables.formats import existing, output_table, read_table, write_table
from lq_spark.tables.spec import TableSpec

FORMATS = ["delta", "iceberg"]


@pytest.fixture
def rows(embedded):
    def make(*ids, value=0.0):
        return embedded.createDataFrame([(i, value) for i in ids], "id bigint, value double")

    return make


@pytest.fixture
def spec(tmp_path):
    def make(table_format, **attributes):
        return TableSpec(str(tmp_path / "table"), "output", table_format, **attributes)

    return make


def values(embedded, spec):
    return sorted(tuple(row) for row in read_table(embedded, spec).df.collect())


@pytest.mark.parametrize("table_format", FORMATS)
def test_rows_are_replaced_and_appended_and_read_as_they_were(embedded, rows, spec, table_format):
    assert existing(embedded, spec(table_format)) is None
    write_table(rows(1, 2), spec(table_format, mode="append"))
    first = read_table(embedded, spec(table_format))
    write_table(rows(3), spec(table_format, mode="append"))
    second = read_table(embedded, spec(table_format))
    write_table(rows(9, value=1.0), spec(table_format))
    assert values(embedded, spec(table_format)) == [(9, 1.0)]
    assert sorted(row.id for row in second.df.collect()) == [1, 2, 3]
    again = read_table(embedded, spec(table_format, version=first.version))
    assert (again.version, again.df.count()) == (first.version, 2)
    with pytest.raises(OptionError, match=f"^output: no {table_format.capitalize()} table .* \\("):
        read_table(embedded, spec(table_format, version=77))


def test_rows_are_merged_into_delta(embedded, rows, spec):
    merged = spec("delta", mode="merge", keys=("id",))
    write_table(rows(1, 2), merged)
    write_table(rows(2, 3, value=5.0), merged)
    assert values(embedded, merged) == [(1, 0.0), (2, 5.0), (3, 5.0)]
    assert read_table(embedded, merged).df.columns == ["id", "value"]


def test_rows_of_a_group_are_replaced_together(embedded, spec):
    merged = spec("delta", mode="merge", keys=("s", "t"), groups=("s",))
    schema = "s int, t int, v string"
    write_table(embedded.createDataFrame([(1, 0, "a"), (1, 1, "a"), (2, 0, "a")], schema), merged)
    write_table(embedded.createDataFrame([(1, 0, "b"), (3, 0, "b")], schema), merged)
    assert values(embedded, merged) == [(1, 0, "b"), (2, 0, "a"), (3, 0, "b")]


def test_a_commit_of_delta_carries_the_properties(embedded, rows, spec, tmp_path):
    write_table(rows(1), spec("delta"), {"lq_spark.run_id": "run 1"})
    commit = (tmp_path / "table" / "_delta_log" / f"{0:020}.json").read_text()
    [info] = [json.loads(line) for line in commit.splitlines() if "commitInfo" in line]
    assert json.loads(info["commitInfo"]["userMetadata"]) == {"lq_spark.run_id": "run 1"}


@pytest.mark.parametrize("table_format", FORMATS)
def test_tables_may_be_empty_partitioned_and_of_other_columns(embedded, rows, spec, table_format):
    write_table(rows(), spec(table_format))
    assert read_table(embedded, spec(table_format)).df.columns == ["id", "value"]
    wider = rows(1, 2).selectExpr("id", "value", "id % 2 as part")
    write_table(wider, spec(table_format, partition_by=("part",)))
    assert values(embedded, spec(table_format)) == [(1, 0.0, 1), (2, 0.0, 0)]
    with pytest.raises(OptionError, match=r"the columns of .*it has also 'part'"):
        write_table(rows(3), spec(table_format, mode="append"))


def test_an_overwritten_delta_table_stays_the_same_table(embedded, rows, spec, tmp_path):
    """Its log says what it is once, and again where its columns or partitions change."""

    def metadata():
        log = sorted((tmp_path / "table" / "_delta_log").glob("*.json"))
        lines = [json.loads(line) for file in log for line in file.read_text().splitlines()]
        return [line["metaData"] for line in lines if "metaData" in line]

    parts = spec("delta", partition_by=("id",))
    for value, writing, n_changes in (
        (1, spec("delta"), 1),
        (2, spec("delta"), 1),
        (3, parts, 2),
        (4, parts, 2),
        (5, spec("delta"), 2),  # partitions that nobody speaks of stay
    ):
        write_table(rows(value), writing)
        assert [row.id for row in read_table(embedded, writing).df.collect()] == [value]
        assert len(metadata()) == n_changes
    write_table(rows(6).selectExpr("id", "value", "'a' AS more"), spec("delta"))
    assert [found["partitionColumns"] for found in metadata()] == [[], ["id"], []]
    assert len({found["id"] for found in metadata()}) == 1


def test_an_iceberg_table_of_a_catalog_is_refused(embedded, rows, spec, tmp_path):
    """Where its newest version is, no file tells."""
    write_table(rows(1), spec("iceberg"))
    (tmp_path / "table" / "metadata" / "version-hint.text").unlink()
    before = sorted((tmp_path / "table").rglob("*"))
    for use in (
        lambda: write_table(rows(2), spec("iceberg")),
        lambda: write_table(rows(2), spec("iceberg", mode="append")),
        lambda: read_table(embedded, spec(None)),
    ):
        with pytest.raises(OptionError, match=r"no Iceberg table .* is known to a catalog alone"):
            use()
    assert sorted((tmp_path / "table").rglob("*")) == before


@pytest.mark.parametrize("table_format", FORMATS)
def test_without_commit_nothing_changes(embedded, rows, spec, table_format):
    write_table(rows(1), spec(table_format))
    with output_table(embedded, spec(table_format)) as output:
        assert output.stage(rows(2)).rows.count() == 1
    assert values(embedded, spec(table_format)) == [(1, 0.0)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (("lake.db.t", "input", "iceberg"), "knows Iceberg tables by path alone; give the path"),
        (("db.t", "input", "delta"), "knows Delta tables by path alone; give the path"),
        (
            ("./a table", "input", "delta"),
            "puts Delta tables elsewhere whose path has more",
        ),
        (("./a~b", "input", "delta"), "puts Delta tables elsewhere whose path has more"),
        (("./a`b", "output", "iceberg"), "puts Iceberg tables elsewhere whose path has more"),
        (("./größe", "input", "iceberg"), "puts Iceberg tables elsewhere whose path has more"),
        (("./t", "input", "delta", None, "2026-01-01"), "reads Delta tables by version, not by"),
    ],
)
def test_what_only_spark_can_read_is_refused_by_its_name(embedded, table, message):
    with pytest.raises(EngineError) as error:
        read_table(embedded, TableSpec(*table))
    assert str(error.value).startswith(f"{table[1]}: {table[0]!r}: Sail ")
    assert message in str(error.value)
    assert str(error.value).endswith("or run this on Spark (spark-submit, --engine spark)")


def test_a_merge_into_iceberg_is_refused(embedded, spec):
    with pytest.raises(EngineError, match="cannot merge into Iceberg tables; write to a Delta"):
        output_table(embedded, spec("iceberg", mode="merge", keys=("id",)))


def test_on_spark_iceberg_tables_have_names(embedded, spec, monkeypatch):
    monkeypatch.setattr("lq_spark.tables.sail.is_sail", lambda spark: False)
    with pytest.raises(OptionError, match=r"on Spark Iceberg tables have catalog names .* got the"):
        output_table(embedded, spec("iceberg"))


def test_parquet_files_that_come_later_are_not_read(embedded, tmp_path):
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "first.parquet")
    opened = read_table(embedded, TableSpec(str(tmp_path), "input")).df
    pq.write_table(pa.table({"id": [3]}), tmp_path / "later.parquet")
    assert opened.count() == 2
    assert read_table(embedded, TableSpec(str(tmp_path), "input")).df.count() == 3


def test_a_table_that_cannot_be_written_is_named(embedded, rows, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match=r"^output: cannot write"):
        write_table(rows(1), TableSpec(str(tmp_path / "file" / "t"), "output", "delta"))
