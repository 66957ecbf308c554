"""The job of nulls: a run by spark-submit, a gate on a column, defaults."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of

from lq_spark.errors import OptionError

NAN = float("nan")
TABLE = pa.table(
    {
        "id": range(6),
        "x": [1.0, NAN, None, 4.0, None, 6.0],
        "y": ["a", None, None, "d", "e", None],
        "z": [[1], [2], None, [4], None, [None]],
    }
)


def test_a_good_run_says_what_is_missing(submit, write_folder, tmp_path, by_id, read_metrics):
    write_folder(TABLE, tmp_path / "in")
    done = submit(
        *("--task", "nulls", "--input", tmp_path / "in", "--output", tmp_path / "out"),
        *("--columns", "x,y", "--keep-columns", "z", "--fail-if", "null_share['x'] > 0.5"),
    )
    assert done.code == 0, done.stderr
    found = by_id(pq.read_table(tmp_path / "out"), TABLE["id"])
    assert found.column_names == ["id", "z", "is_null_issue", "null_score"]
    assert found["null_score"].to_pylist() == [1.0, 0.0, 0.0, 1.0, 0.5, 0.5]
    assert found["is_null_issue"].to_pylist() == [False, True, True, False, False, False]
    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    assert metrics["null_share", "x"] == metrics["null_share", "y"] == 0.5
    assert metrics["null_issues", None] == 2
    assert metrics["mean_null_score", None] == 0.5
    assert "values that are there: 50.00%\nrows without any value: 2 of 6 rows" in done.stdout
    assert "most often null together, in 2 rows: x, y" in done.stdout


def test_all_columns_but_the_id_are_looked_at_and_a_gate_may_name_one(run, by_id):
    done = run(TABLE, "nulls", fail_if=["null_share['z'] > 0.3"], ends=3)
    scores = by_id(done.scores, TABLE["id"])["null_score"].to_pylist()
    assert scores == [1.0, 1 / 3, 0.0, 1.0, 1 / 3, 2 / 3]
    assert done.metrics_named("null_share") == {"x": 0.5, "y": 0.5, "z": 1 / 3}


def test_a_table_without_nulls_is_said_to_be_whole(run):
    done = run(TABLE.slice(3, 1), "nulls")
    assert "values that are there: 100.00%" in done.printed
    assert "null together" not in done.printed


@pytest.mark.parametrize("keys", [{"columns": []}, {"columns": [""]}], ids=str)
def test_a_wrong_key_is_refused(keys):
    with pytest.raises(OptionError, match="columns"):
        config_of("nulls", input="./in", output="./out", **keys)
