import re
from pathlib import Path

import pytest

from lq_spark.errors import OptionError, TableError
from lq_spark.tables.formats import read_table as open_table
from lq_spark.tables.spec import TableSpec
from lq_spark.tables.staged import StagedTable


def read_table(spark, name):
    return open_table(spark, TableSpec(name, "input")).df


@pytest.mark.parametrize(
    "name",
    [
        "t",
        "down/t",
        "t.parquet",
        "with space",
        "spa ce/t",
        "größe/t",
        "100%/t",
        "a#b/t",
        "a:b",
        "a,b",
        "a`b",
        "~",
    ],
)
def test_a_path_may_hold_unusual_characters(name, replace, spark, tables_in, tmp_path):
    replace(tmp_path / name, 3)
    assert read_table(spark, str(tmp_path / name)).count() == 3
    assert tables_in((tmp_path / name).parent) == {Path(name).name}
    assert tables_in(tmp_path) == {Path(name).parts[0]}


@pytest.mark.parametrize(
    "spelling",
    ["{folder}/t/", "file:{folder}/t", "file://{folder}/t", "file://{folder}/t/", "./t", "t", "t/"],
)
def test_a_path_may_be_spelt_in_many_ways(
    spelling, replace, count, spark, tables_in, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # of Python alone: the JVM stays where it was started
    path = spelling.format(folder=tmp_path)
    replace(path, 3)
    replace(path, 2)
    assert count(tmp_path / "t") == 2
    assert tables_in(tmp_path) == {"t"}
    if "/" in spelling:
        assert read_table(spark, path).count() == 2


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_replaced(
    is_there, replace, spark, tables_in, tmp_path
):
    real = tmp_path / "elsewhere" / "t"
    real.parent.mkdir()
    if is_there:
        replace(real, 1)
    (tmp_path / "link").symlink_to(real)
    for n_rows in (3, 2):
        replace(tmp_path / "link", n_rows)
        for path in (tmp_path / "link", real):
            assert read_table(spark, str(path)).count() == n_rows
    assert (tmp_path / "link").is_symlink()
    assert tables_in(tmp_path) == {"link", "elsewhere"}
    assert tables_in(real.parent) == {"t"}


def test_two_names_of_one_table_are_not_written_at_once(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "t")
    with (
        StagedTable("output", str(tmp_path / "t")),
        pytest.raises(TableError, match="another run is writing"),
        StagedTable("output", str(tmp_path / "link")),
    ):
        pass


def test_a_tilde_is_the_home_folder(replace, spark, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    replace(tmp_path / "t", 3)
    assert TableSpec("~/t").name == str(tmp_path / "t")
    assert read_table(spark, "~/t").count() == 3
    with pytest.raises(OptionError, match="'~nobody-here/t' begins with ~, but there is no such"):
        TableSpec("~nobody-here/t")


@pytest.mark.parametrize("name", ["a*", "a?", "[a]", "{a}", "a]"])
def test_a_path_that_spark_reads_as_a_pattern_is_no_place_to_write(name, tmp_path):
    with pytest.raises(OptionError, match=r"^output: '.*without any of \* "):
        StagedTable("output", str(tmp_path / name))


def test_a_pattern_of_paths_can_be_read(replace, spark, tmp_path):
    for day in (1, 2, 3):
        replace(tmp_path / f"day{day}", day)
    assert read_table(spark, str(tmp_path / "day[12]")).count() == 3
    assert read_table(spark, str(tmp_path / "day*")).count() == 6
    with pytest.raises(OptionError, match="no table "):
        read_table(spark, str(tmp_path / "night*"))


def test_a_single_file_can_be_read(replace, spark, tmp_path):
    replace(tmp_path / "t", 3)
    [file] = (tmp_path / "t").glob("*.parquet")
    assert read_table(spark, str(file)).count() == 3


def test_a_catalog_table_can_be_read(spark):
    spark.range(4).createOrReplaceTempView("a_view")
    spark.range(5).write.mode("overwrite").saveAsTable("a_table")
    try:
        assert read_table(spark, "a_view").count() == 4
        assert read_table(spark, "a_table").count() == 5
        assert read_table(spark, "default.a_table").count() == 5
    finally:
        spark.catalog.dropTempView("a_view")
        spark.sql("drop table a_table")


@pytest.mark.parametrize("name", ["./nowhere", "file:/nowhere/at/all", "file:///nowhere/at/all"])
def test_a_path_that_is_not_there_is_named(name, spark):
    with pytest.raises(OptionError, match=f"^input: .*'{name}'"):
        read_table(spark, name)


@pytest.mark.parametrize("name", ["no_such_table", "no_such.table", "no name"])
def test_a_table_that_is_not_there_is_named_in_one_line(name, spark):
    with pytest.raises(OptionError, match=f"^input: no table '{name}' to read ") as error:
        read_table(spark, name)
    assert "\n" not in str(error.value)


def test_a_path_without_slash_is_told_how_to_be_one(replace, spark, tmp_path, monkeypatch):
    replace(tmp_path / "t", 3)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match=r"no table 't' to read; the path is './t'"):
        read_table(spark, "t")
    assert read_table(spark, "./t").count() == 3


def test_an_empty_folder_is_no_table(spark, tmp_path):
    with pytest.raises(OptionError, match=re.escape(f"no table {str(tmp_path)!r} to read")):
        read_table(spark, str(tmp_path))


def test_a_folder_of_other_files_is_no_table(spark, tmp_path):
    (tmp_path / "data.csv").write_text("id,label\n1,2\n")
    with pytest.raises(OptionError, match=re.escape(f"no table {str(tmp_path)!r} to read")):
        read_table(spark, str(tmp_path))
