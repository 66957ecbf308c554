"""The gate, the dry run and errors of the config, as a scheduler sees them."""

import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def source(tmp_path_factory, labelled_rows, write_folder):
    """A table of 200 rows and 3 classes: its path."""
    return write_folder(labelled_rows(200, 3)[2], tmp_path_factory.mktemp("gate") / "source")


@pytest.mark.spark
def test_the_gate_fails_the_job_with_3_and_the_output_is_there(
    source, submit_alone, read_metrics, tmp_path
):
    places = ["--input", source, "--output", tmp_path / "scores", "--find-issues"]
    conditions = ["--fail-if", "rows > 100", "--fail-if", "issue_rate > previous(issue_rate)"]
    done = submit_alone(*places, *conditions, "--warn-if", "class_rows['1'] < 1000")
    assert done.code == 3, done.stdout + done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith(("fail_if", "warn_if"))]
    assert told[0] == "fail_if MET: rows > 100: rows 200"
    assert told[1].startswith("fail_if not judged: no earlier successful run (issue_rate > ")
    assert told[2].startswith("warn_if MET: class_rows['1'] < 1000: class_rows['1'] ")
    assert pq.read_table(tmp_path / "scores").num_rows == 200
    [metrics] = read_metrics(tmp_path / "scores_metrics").values()
    assert metrics["fail_if", "rows > 100"] == 1.0
    assert metrics["fail_if", "issue_rate > previous(issue_rate)"] is None
    status = pq.read_table(tmp_path / "scores_metrics")["status"].unique().to_pylist()
    assert status == ["gate_failed"]


def test_a_dry_run_prints_the_plan_and_writes_nothing(source, submit, tmp_path):
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
    assert list(tmp_path.iterdir()) == []


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
