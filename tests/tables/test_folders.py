"""A folder is what its log says: not all Parquet files of a Delta or Iceberg table are its rows."""

from pathlib import Path

import pytest

from lq_spark.errors import OptionError
from lq_spark.tables.additions import add_rows, check_rows
from lq_spark.tables.formats import existing, output_table, read_table
from lq_spark.tables.formats import write_table as write
from lq_spark.tables.spec import TableSpec

NAMES = {"delta": "a Delta", "iceberg": "an Iceberg"}


@pytest.fixture
def rows(spark):
    return lambda *ids: spark.createDataFrame([(i, 0.5) for i in ids], "id bigint, x double")


@pytest.fixture
def table(rows, tmp_path):
    """Make a table of 2 rows, beside whose files there are those of 3 that were overwritten."""

    def make(table_format, **how):
        spec = TableSpec(str(tmp_path / "lake" / "t"), "output", table_format, **how)
        write(rows(1, 2, 3), spec)
        write(rows(1, 2), spec)
        return spec.name

    return make


def opened(spark, path, table_format=None, **version):
    return read_table(spark, TableSpec(path, "input", table_format, **version))


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_folder_is_read_as_the_table_it_is(table_format, spark, table, tmp_path):
    path = table(table_format)
    (tmp_path / "link").symlink_to(path)
    for name in (path, f"{path}/", f"file://{path}", str(tmp_path / "link")):
        source = opened(spark, name)
        assert (source.format, source.df.count()) == (table_format, 2)
        assert source.version is not None
    with pytest.raises(OptionError) as error:
        opened(spark, path, "parquet")
    assert str(error.value) == (
        f"input: {path!r} is {NAMES[table_format]} table, so its format (input_format) must be "
        f"{table_format!r} or left out, got 'parquet'"
    )


def test_a_version_may_be_asked_for_without_the_format(spark, table, rows, tmp_path):
    path = table("delta")
    assert opened(spark, path, version=0).df.count() == 3
    write(rows(1), TableSpec(str(tmp_path / "plain")))
    for asked in ({"version": 0}, {"timestamp": "2026-01-01"}):
        with pytest.raises(OptionError, match=r"/plain' is parquet, which has no versions"):
            opened(spark, str(tmp_path / "plain"), **asked)


@pytest.mark.parametrize("part", ["t/*", "t/*.parquet", "[st]", "{s,t}", "t/x=1", "t/x=1/{a,b}"])
def test_parts_and_patterns_of_such_tables_are_refused(part, spark, table, tmp_path):
    path = table("delta")
    Path(path, "x=1").mkdir()
    for name in "ab":
        Path(path, "x=1", name).touch()
    with pytest.raises(
        OptionError, match=r"^input: .* is of the Delta table .*; give that folder$"
    ):
        opened(spark, str(tmp_path / "lake" / part))


def test_a_file_of_such_a_table_is_refused(spark, table):
    for file in Path(table("delta")).glob("*.parquet"):
        with pytest.raises(OptionError, match="is of the Delta table"):
            opened(spark, str(file))


def test_a_hudi_table_is_refused(spark, rows, tmp_path):
    (tmp_path / "t" / ".hoodie").mkdir(parents=True)
    with pytest.raises(
        OptionError, match="is a Hudi table, which cannot be read; allowed are 'par"
    ):
        opened(spark, str(tmp_path / "t"))
    with pytest.raises(OptionError, match="is a Hudi table, not parquet"):
        write(rows(1), TableSpec(str(tmp_path / "t"), "output"))


@pytest.mark.parametrize("mode", ["overwrite", "append", "merge"])
@pytest.mark.parametrize(
    ("there", "wanted"), [("delta", "parquet"), ("iceberg", "parquet"), ("iceberg", "delta")]
)
def test_no_table_is_written_over_one_of_another_format(there, wanted, mode, spark, rows, table):
    path = table(there)
    spec = TableSpec(path, "metrics", wanted, mode=mode, keys=("id",))
    message = (
        f"metrics: {path!r} is there already and is {NAMES[there]} table, not {wanted} "
        "(output_format), so it is not written"
    )
    files = sorted(Path(path).rglob("*"))
    for use in (
        lambda: write(rows(9), spec),
        lambda: output_table(spark, spec),
        lambda: check_rows(spark, spec, rows(9).schema),
        lambda: add_rows(spark, spec, [(9, 0.5)], rows(9).schema),
        lambda: existing(spark, spec),
    ):
        with pytest.raises(OptionError) as error:
            use()
        assert str(error.value) == message
    assert sorted(Path(path).rglob("*")) == files


def test_no_table_is_written_into_one(spark, rows, table):
    path = table("delta")
    for table_format in ("parquet", "delta"):
        with pytest.raises(
            OptionError, match=r"is inside the Delta table .*; write to another place"
        ):
            write(rows(1), TableSpec(f"{path}/more", "output", table_format))
    assert not Path(path, "more").exists()


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_no_log_is_put_beside_other_files(table_format, embedded, rows, tmp_path):
    write(rows(1), TableSpec(str(tmp_path / "t")))
    before = sorted((tmp_path / "t").iterdir())
    for mode in ("overwrite", "append"):
        spec = TableSpec(str(tmp_path / "t"), "output", table_format, mode=mode)
        with pytest.raises(
            OptionError, match=f"is no {table_format.capitalize()} table, so it is not"
        ):
            write(rows(2), spec)
    assert sorted((tmp_path / "t").iterdir()) == before


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_first_write_that_was_killed_is_written_anew(table_format, embedded, rows, tmp_path):
    spec = TableSpec(str(tmp_path / "t"), "output", table_format)
    (tmp_path / "t" / {"delta": "_delta_log", "iceberg": "metadata"}[table_format]).mkdir(
        parents=True
    )
    rows(7).toPandas().to_parquet(tmp_path / "t" / "left.parquet")
    write(rows(1), spec)
    assert [row.id for row in read_table(embedded, spec).df.collect()] == [1]


@pytest.mark.parametrize("table_format", ["parquet", "delta", "iceberg"])
def test_an_empty_folder_becomes_a_table(table_format, spark, rows, tmp_path):
    (tmp_path / "t").mkdir()
    write(rows(1), TableSpec(str(tmp_path / "t"), "output", table_format))
    assert opened(spark, str(tmp_path / "t")).df.count() == 1


def test_links_that_lead_in_a_circle_are_refused(spark, rows, tmp_path):
    (tmp_path / "t").symlink_to(tmp_path / "t")
    for table_format in ("parquet", "delta"):
        with pytest.raises(OptionError, match=r"^input: cannot follow '.*/t'"):
            opened(spark, str(tmp_path / "t"), table_format)
        with pytest.raises(OptionError, match=r"^output: cannot follow '.*/t'"):
            write(rows(1), TableSpec(str(tmp_path / "t"), "output", table_format))


def test_a_folder_that_is_named_like_a_log_is_none(spark, rows, tmp_path):
    write(rows(1, 2), TableSpec(str(tmp_path / "metadata")))
    assert opened(spark, str(tmp_path / "metadata")).format == "parquet"
    assert opened(spark, f"{tmp_path}/meta*").df.count() == 2
