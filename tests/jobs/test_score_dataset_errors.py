"""What a scheduler sees of bad input: the exit code, one line, and what stays as it was.

spark-submit passes what the Python driver prints on its standard error on to standard output.
"""

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark.core import multiclass

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
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert left == {"source", "scores", "scores_metrics"}
    assert pq.read_table(tmp_path / "scores_metrics").num_rows == 1
    assert failed_runs(tmp_path / "scores_metrics") == ["InvalidRowsError"]


def test_rows_that_cannot_be_scored_are_set_aside_if_told(
    faulty, submit, write_folder, by_id, read_metrics, assert_same_bits, tmp_path
):
    labels, pred_probs, table = faulty
    source, output = write_folder(table, tmp_path / "source"), tmp_path / "scores"
    arguments = ["--on-invalid", "quarantine", "--n-classes", "4", "--adjust-pred-probs"]
    done = submit("--input", source, "--output", output, *arguments)

    assert done.code == 0, done.stderr
    set_aside = pq.read_table(tmp_path / "scores_quarantine")
    assert set_aside.column_names == [*table.column_names, "invalid_reason"]
    reasons = dict(zip(*(set_aside[c].to_pylist() for c in ("id", "invalid_reason")), strict=True))
    assert reasons == {table["id"][row].as_py(): reason for row, reason in FAULTS.items()}

    # The thresholds are those of the good rows alone, or the scores would differ.
    good = np.array([row not in FAULTS for row in range(120)])
    scores = by_id(pq.read_table(output), table["id"].filter(pa.array(good)))
    expected = multiclass.get_label_quality_scores(
        labels[good], pred_probs[good], adjust_pred_probs=True
    )
    assert_same_bits(scores["label_quality"].to_numpy(), expected)

    assert "110 of 120 rows scored, 4 classes" in done.stdout
    assert "scores_quarantine (10 rows: label out of range: 7; probability not" in done.stdout
    [metrics] = read_metrics(tmp_path / "scores_metrics").values()
    assert [metrics[name, None] for name in ("rows", "rows_scored", "rows_quarantined")] == [
        *(120, 110, 10)
    ]
    counts = {detail: n for (name, detail), n in metrics.items() if name == "rows_quarantined"}
    assert counts == {None: 10, **Counter(FAULTS.values())}


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
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert left == {"file", "source", *["scores_metrics"] * len(recorded)}
    if recorded:
        assert failed_runs(tmp_path / "scores_metrics") == recorded
