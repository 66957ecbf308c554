"""What a scheduler sees of bad input: the exit code, one line, and what stays as it was.

spark-submit passes what the Python driver prints on its standard error on to standard output.
"""

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import left_in

# Faults by row number, each with its reason; seven rows have the first, more than are named.
FAULTS = {
    **dict.fromkeys(range(7), "label out of range"),
    10: "probability not finite",
    11: "probability not finite",
    20: "null pred_probs",
}


@pytest.fixture(scope="module")
def faulty(labelled_rows):
    """A table with a few rows that cannot be scored: (labels, pred_probs, Arrow table)."""
    labels, pred_probs, table = labelled_rows(120, 4, seed=5)
    given, probs = labels.copy(), [row.tolist() for row in pred_probs]
    given[:7], probs[10][0], probs[11][1], probs[20] = 9, float("nan"), float("inf"), None
    table = table.set_column(1, "label", pa.array(given))
    return labels, pred_probs, table.set_column(2, "pred_probs", pa.array(probs))


@pytest.mark.spark
@pytest.mark.parametrize(("column", "kind"), [("pred_probs", "float"), ("id", "int")])
def test_files_of_other_types_are_named_with_the_column(
    column, kind, engine, submit, labelled_rows, tmp_path
):
    *_, table = labelled_rows(20, 3)
    probs = table.schema.get_field_index("pred_probs")
    floats = table.set_column(probs, "pred_probs", table["pred_probs"].cast(pa.list_(pa.float32())))
    other = {"id": pa.string(), "pred_probs": pa.list_(pa.float64())}[column]
    place = table.schema.get_field_index(column)
    (tmp_path / "source").mkdir()
    pq.write_table(floats, tmp_path / "source" / "a.parquet")
    changed = floats.set_column(place, column, floats[column].cast(other))
    pq.write_table(changed, tmp_path / "source" / "b.parquet")
    done = submit("--input", tmp_path / "source", "--output", tmp_path / "scores")
    assert done.code == (2 if engine == "embedded" else 1)
    # Spark's executors log what failed; the job itself says no more than a sentence.
    [error] = done.stdout.splitlines()
    assert error.startswith("error: ")
    assert ".parquet" in error
    assert column in error
    assert kind in error.lower()


@pytest.mark.spark
def test_rows_that_cannot_be_scored_stop_the_run_and_the_output_stays(
    faulty,
    submit,
    write_folder,
    labelled_rows,
    snapshot,
    expected_error,
    failed_runs,
    tmp_path,
):
    *_, table = faulty
    source = write_folder(table, tmp_path / "source")
    output = write_folder(labelled_rows(30, 2)[2], tmp_path / "scores")
    before = snapshot(output)
    done = submit("--input", source, "--output", output, "--n-classes", "4")

    error = expected_error(done, 1)
    assert error.startswith("error: 10 of 120 rows cannot be scored: label out of range: 7 (id ")
    for reason in set(FAULTS.values()):
        bad_ids = sorted(table["id"][row].as_py() for row in FAULTS if FAULTS[row] == reason)
        [(count, named)] = re.findall(rf"{reason}: (\d+) \(id ([\d, ]+?)(?:, …)?\)", error)
        assert int(count) == len(bad_ids)
        assert [int(key) for key in named.split(", ")] == bad_ids[:5]
    assert snapshot(output) == before
    assert left_in(tmp_path) == {"source", "scores", "scores_metrics"}
    assert pq.read_table(tmp_path / "scores_metrics").num_rows == 1
    assert failed_runs(tmp_path / "scores_metrics") == ["InvalidRowsError"]


@pytest.mark.parametrize(
    ("changes", "code", "message", "recorded"),
    [
        (
            ["--label", "labell"],
            2,
            "label: no column 'labell' in the table; it has 'id', 'label'",
            ["ColumnError"],
        ),
        (["--input", "{tmp}/nowhere"], 2, "input: there is no '{tmp}/nowhere'", ["OptionError"]),
        # Its metrics would lie below the file too.
        (["--output", "{tmp}/file/scores"], 1, "cannot write '{tmp}/file/scores", []),
    ],
    ids=["no such column", "no such input", "no such place"],
)
def test_bad_arguments_end_the_job_with_a_code_and_one_line(
    changes,
    code,
    message,
    recorded,
    submit,
    write_folder,
    labelled_rows,
    expected_error,
    failed_runs,
    tmp_path,
):
    (tmp_path / "file").write_text("no folder, so nobody can write below it\n")
    source = write_folder(labelled_rows(30, 3)[2], tmp_path / "source")
    here = [change.format(tmp=tmp_path) for change in changes]
    done = submit("--input", source, "--output", tmp_path / "scores", *here)
    assert message.format(tmp=tmp_path) in expected_error(done, code)
    assert left_in(tmp_path) == {"file", "source", *["scores_metrics"] * len(recorded)}
    if recorded:
        assert failed_runs(tmp_path / "scores_metrics") == recorded


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    submit, labelled_rows, write_folder, tmp_path
):
    source = write_folder(labelled_rows(200, 3)[2], tmp_path / "source")
    places = ["--input", source, "--output", tmp_path / "scores", "--dry-run"]
    condition = ["--find-issues", "--fail-if", "issue_rate > 0.05"]
    good = submit(*places, *condition, "--write-mode", "merge")
    wrong_rows = submit(*places, "--n-classes", "4")
    assert good.code == 0, good.stdout + good.stderr
    assert good.stdout.splitlines() == [
        f"input       {source} (parquet)",
        "  id  bigint",
        "  label  int",
        "  pred_probs  array<double>",
        "reader      Python workers",
        "passes      the keys; one for class thresholds if wanted, one for scores "
        "(or one for both)",
        "sample      the first 1,000 rows can be scored",
        "classes     3",
        f"output      {tmp_path / 'scores'} (parquet, merge)",
        "  id  bigint",
        "  label  int",
        "  predicted_label  int",
        "  label_quality  double",
        "  is_label_issue  boolean",
        *(
            f"metrics     {tmp_path / 'scores'}_{name} (parquet)"
            for name in ("metrics", "metrics_classes", "metrics_overlaps")
        ),
        "fail_if     issue_rate > 0.05",
        "nothing was scored or written",
    ]
    assert wrong_rows.code == 1
    assert "pred_probs of wrong length: 200 (id 1000, 1001, " in wrong_rows.stdout
    assert left_in(tmp_path) == {"source"}


CONFIG_ERRORS = {
    "unknown key": ("inputt: ./in\noutput: ./out\n", "unknown config key 'inputt'; did you mean"),
    "wrong type": ("input: ./in\noutput: ./out\ntolerance: much\n", "tolerance: Input should be"),
    "missing": ("input: ./in\n", "output is missing: give it in the config or as --output"),
    "bad expression": (
        "input: ./in\noutput: ./out\nfail_if: [rows >]\n",
        "fail_if: a condition must be like 'issue_rate > 0.05', got 'rows >'",
    ),
}


@pytest.mark.parametrize("error", CONFIG_ERRORS)
def test_errors_of_the_config_end_the_job_with_2_and_one_line(
    error, submit, expected_error, tmp_path
):
    text, message = CONFIG_ERRORS[error]
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert message in expected_error(submit("--config", path), 2)
