import os
import re

import pytest

from lq_spark.errors import OptionError, TableError
from lq_spark.tables.staged import StagedTable


def put(folder):
    """Make by hand a folder that looks like a Parquet table, with its own name inside."""
    folder.mkdir()
    (folder / "part-0.parquet").write_text(folder.name)
    (folder / "_SUCCESS").touch()


def what_is_in(folder):
    """Return {name of a table: content of its file}."""
    return {
        path.name: (path / "part-0.parquet").read_text()
        for path in folder.iterdir()
        if path.is_dir()
    }


def test_a_table_is_put_in_place_and_replaced_whole(replace, count, tables_in, tmp_path):
    replace(tmp_path / "deep" / "down" / "t", 3)
    assert count(tmp_path / "deep" / "down" / "t") == 3
    replace(tmp_path / "deep" / "down" / "t", 2)
    assert count(tmp_path / "deep" / "down" / "t") == 2
    assert tables_in(tmp_path / "deep" / "down") == {"t"}


def test_the_scratch_place_is_deleted_at_the_end(fill, spark, count, tables_in, tmp_path):
    with StagedTable("output", str(tmp_path / "t")) as table:
        spark.range(5).write.parquet(table.scratch)
        fill(table, 3)
        assert tables_in(tmp_path) == {"t.scratch", "t.staging"}
        table.commit()
    assert tables_in(tmp_path) == {"t"}
    with pytest.raises(ZeroDivisionError), StagedTable("output", str(tmp_path / "t")) as table:
        spark.range(5).write.parquet(table.scratch)
        raise ZeroDivisionError
    assert tables_in(tmp_path) == {"t"}
    assert count(tmp_path / "t") == 3


def test_without_commit_nothing_changes(replace, fill, count, tables_in, tmp_path):
    replace(tmp_path / "t", 3)
    with StagedTable("output", str(tmp_path / "t")) as table:
        fill(table, 5)
        assert (tmp_path / "t.staging").is_dir()
    assert count(tmp_path / "t") == 3
    assert tables_in(tmp_path) == {"t"}


def test_an_error_goes_on_and_nothing_changes(replace, fill, count, tables_in, tmp_path):
    replace(tmp_path / "t", 3)
    with (
        pytest.raises(ZeroDivisionError),
        StagedTable("output", str(tmp_path / "t")) as table,
    ):
        fill(table, 5)
        raise ZeroDivisionError
    assert count(tmp_path / "t") == 3
    assert tables_in(tmp_path) == {"t"}


@pytest.mark.parametrize(
    ("left_by_a_killed_run", "in_place"),
    [
        ([], None),
        (["t"], "t"),
        (["t.staging"], None),  # killed while it wrote its first table
        (["t", "t.staging"], "t"),  # while it wrote a later one
        (["t.previous", "t.staging"], "t.previous"),  # between the two renames
        (["t", "t.previous"], "t"),  # before it deleted the earlier table
        (["t.previous"], "t.previous"),
        (["t", "t.previous", "t.staging"], "t"),
        (["t.scratch"], None),  # while rows were on their way to its first table
        (["t", "t.scratch"], "t"),
        (["t.previous", "t.staging", "t.scratch"], "t.previous"),
    ],
    ids=str,
)
def test_what_a_killed_run_left_is_cleared_away(left_by_a_killed_run, in_place, tmp_path):
    for name in left_by_a_killed_run:
        put(tmp_path / name)
    with StagedTable("output", str(tmp_path / "t")):
        pass
    assert what_is_in(tmp_path) == ({} if in_place is None else {"t": in_place})


def test_the_earlier_table_is_there_until_the_later_one_is(tmp_path):
    put(tmp_path / "t")
    moments = []
    with StagedTable("output", str(tmp_path / "t")) as table:
        put(tmp_path / "t.staging")
        table._files = Watched(table._files, lambda: moments.append(what_is_in(tmp_path)))
        table.commit()
        assert [sorted(there) for there in moments] == [
            ["t", "t.staging"],
            ["t.previous", "t.staging"],
            ["t", "t.previous"],
        ]
        assert all("t" in there.values() for there in moments)
    assert what_is_in(tmp_path) == {"t": "t.staging"}


class Watched:
    """A file system that is looked at before anything in it is moved or deleted."""

    def __init__(self, files, look):
        self._watched, self._look = files, look

    def __getattr__(self, name):
        if name in ("move", "delete_dir"):
            self._look()
        return getattr(self._watched, name)


def test_a_run_after_a_killed_one_replaces_the_table(replace, count, tables_in, tmp_path):
    for name in ("t.previous", "t.staging"):
        put(tmp_path / name)
    replace(tmp_path / "t", 4)
    assert count(tmp_path / "t") == 4
    assert tables_in(tmp_path) == {"t"}


def test_two_runs_do_not_write_one_table_at_once(replace, fill, count, tmp_path):
    path = tmp_path / "t"
    with StagedTable("output", str(path)) as first:
        fill(first, 1)
        for same in (path, f"{path}/", path.as_uri()):
            second = StagedTable("scores", str(same))
            with pytest.raises(TableError, match=r"^scores: another run is writing "), second:
                pass
        with StagedTable("output", str(tmp_path / "another")):
            pass  # another table beside it is none of its business
        first.commit()
    assert count(path) == 1  # the second run has not touched what the first had staged
    replace(path, 2)
    assert count(path) == 2


def test_a_failed_start_lets_go_of_the_table(replace, count, tmp_path):
    (tmp_path / "t").write_text("in the way")
    with pytest.raises(OptionError), StagedTable("output", str(tmp_path / "t")):
        pass
    (tmp_path / "t").unlink()
    replace(tmp_path / "t", 1)
    assert count(tmp_path / "t") == 1


@pytest.mark.parametrize(
    "inside", ["_metadata", "_common_metadata", "_started_123", "_committed_123", ".part-0.crc"]
)
def test_what_committers_of_spark_leave_is_replaced_too(inside, replace, count, tmp_path):
    replace(tmp_path / "t", 3)
    (tmp_path / "t" / inside).write_text("")
    replace(tmp_path / "t", 2)
    assert count(tmp_path / "t") == 2
    assert not (tmp_path / "t" / inside).exists()


@pytest.mark.parametrize(
    "inside",
    ["notes.txt", "data.csv", "folder/part-0.parquet", "part-0.orc", "_notes", "_metadata2"],
)
def test_a_folder_with_other_files_is_not_replaced(inside, tables_in, tmp_path):
    put(tmp_path / "t")
    (tmp_path / "t" / inside).parent.mkdir(exist_ok=True)
    (tmp_path / "t" / inside).write_text("dear to somebody")
    message = re.escape(f"output: {str(tmp_path / 't')!r} is there already and is no Parquet table")
    with pytest.raises(OptionError, match=message), StagedTable("output", str(tmp_path / "t")):
        pass
    assert (tmp_path / "t" / inside).read_text() == "dear to somebody"
    assert tables_in(tmp_path) == {"t"}


def test_a_file_is_not_replaced(tmp_path):
    (tmp_path / "t.parquet").write_text("dear to somebody")
    with (
        pytest.raises(OptionError, match="is no Parquet table written by a job"),
        StagedTable("output", str(tmp_path / "t.parquet")),
    ):
        pass
    assert (tmp_path / "t.parquet").read_text() == "dear to somebody"


def test_an_empty_folder_is_replaced(replace, count, tmp_path):
    (tmp_path / "t").mkdir()
    replace(tmp_path / "t", 1)
    assert count(tmp_path / "t") == 1


@pytest.mark.parametrize("uri", ["s3a://bucket/t", "s3://bucket/t", "gs://b/t", "abfss://c@a/t"])
def test_a_store_without_renames_is_refused(uri):
    message = f"metrics: '{uri}' must be a local path or a file: or hdfs: URI"
    with pytest.raises(OptionError, match=re.escape(message)):
        StagedTable("metrics", uri)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("nothing lies below a file")
    place = str(tmp_path / "file" / "t")
    message = re.escape(f"output: cannot write {place!r}")
    with pytest.raises(TableError, match=message), StagedTable("output", place):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_named(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with (
        pytest.raises(TableError, match=r"output: cannot write '.*/locked/t'"),
        StagedTable("output", str(tmp_path / "locked" / "t")),
    ):
        pass
