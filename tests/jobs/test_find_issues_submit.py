"""Runs by spark-submit that find label issues: what a scheduler sees of them."""

from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from lq_spark.core.confident import (
    calibrate_confident_joint,
    compute_confident_joint,
    estimate_joint,
    get_confident_thresholds,
)
from lq_spark.core.confident.joint import sparse
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.label_issues import find_label_issues

CLASSES = ["cat", "dog", "sea horse"]


def in_order_of_id(labels, pred_probs, table):
    order = table["id"].to_numpy().argsort()
    return labels[order], pred_probs[order]


@pytest.fixture(scope="module")
def first(submit, labelled_rows, write_folder, tmp_path_factory):
    """String labels; what is fitted is saved."""
    folder = tmp_path_factory.mktemp("issues")
    *rows, table = labelled_rows(300, 3, seed=8, dtype=np.float32, classes=CLASSES)
    labels, pred_probs = in_order_of_id(*rows, table)
    output, saved = folder / "scores", folder / "fitted.json"
    places = ["--input", write_folder(table, folder / "source"), "--output", output]
    flags = ["--classes", ",".join(CLASSES), "--find-issues", "--issue-rank"]
    done = submit(*places, *flags, "--save-fitted", saved)
    assert done.code == 0, done.stderr
    return SimpleNamespace(**locals(), scores=pq.read_table(output).sort_by("id"))


@pytest.fixture(scope="module")
def second(submit, labelled_rows, write_folder, first):
    """New rows, judged by what was fitted, to the same places."""
    *rows, table = labelled_rows(90, 3, seed=9, classes=CLASSES)
    labels, pred_probs = in_order_of_id(*rows, table)
    places = ["--input", write_folder(table, first.folder / "later"), "--output", first.output]
    done = submit(*places, "--find-issues", "--fitted", first.saved)
    assert done.code == 0, done.stderr
    return SimpleNamespace(**locals(), scores=pq.read_table(first.output).sort_by("id"))


@pytest.mark.spark
def test_a_good_run_flags_and_ranks_what_core_does_and_says_so(first):
    expected = find_label_issues(first.labels, first.pred_probs)
    np.testing.assert_array_equal(first.scores["is_label_issue"], expected)
    n_issues = expected.sum()
    ranks = first.scores["issue_rank"].to_pylist()
    assert [rank is not None for rank in ranks] == expected.tolist()
    by_rank = first.scores.sort_by("issue_rank").slice(0, n_issues)
    assert by_rank["issue_rank"].to_pylist() == list(range(1, n_issues + 1))
    assert by_rank["label_quality"].to_pylist() == sorted(by_rank["label_quality"].to_pylist())
    assert f"issues      {n_issues} labels, {n_issues / 300:.2%}" in first.done.stdout
    assert f"fitted      {first.saved}" in first.done.stdout
    for unwanted in ("Traceback", " ERROR "):
        assert unwanted not in first.done.stderr


@pytest.mark.spark
def test_a_later_run_judges_new_rows_by_what_was_fitted(first, second, assert_health, read_metrics):
    old = compute_confident_joint(first.labels, first.pred_probs, calibrate=False)
    joint = calibrate_confident_joint(old, second.labels)
    expected = find_label_issues(second.labels, second.pred_probs, confident_joint=joint)
    assert (expected != find_label_issues(second.labels, second.pred_probs)).any()
    np.testing.assert_array_equal(second.scores["is_label_issue"], expected)
    names = [CLASSES[k] for k in second.pred_probs.argmax(axis=1)]
    assert second.scores["predicted_label"].to_pylist() == names

    path = f"{first.output}_metrics"
    runs = {metrics["rows", None]: run_id for run_id, metrics in read_metrics(path).items()}
    assert_health(path, runs[300], first.labels, first.pred_probs, CLASSES)
    counts = compute_confident_joint(
        second.labels,
        second.pred_probs,
        thresholds=get_confident_thresholds(first.labels, first.pred_probs),
        calibrate=False,
    )
    joint = estimate_joint(second.labels, confident_joint=counts)
    assert_health(path, runs[90], second.labels, second.pred_probs, CLASSES, joint=joint)
    left = {path.name for path in first.folder.iterdir() if not path.name.endswith(".lock")}
    assert left == {
        *("source", "later", "fitted.json", "scores"),
        *("scores_metrics", "scores_metrics_classes", "scores_metrics_overlaps"),
    }


def test_what_was_fitted_for_other_classes_is_refused_in_one_line(
    submit, write_folder, labelled_rows, snapshot, expected_error, failed_runs, tmp_path
):
    thresholds = Thresholds((0.5,) * 3, (5,) * 3, ("cat", "dog", "fish"))
    NoiseModel(thresholds, sparse(np.eye(3, dtype=np.int64)), 0).save(tmp_path / "fitted.json")
    *_, table = labelled_rows(30, 3, classes=CLASSES)
    output = write_folder(table, tmp_path / "scores")
    before = snapshot(output)
    places = ["--input", write_folder(table, tmp_path / "source"), "--output", output]
    fitted = ["--fitted", tmp_path / "fitted.json"]
    done = submit(*places, "--classes", ",".join(CLASSES), "--find-issues", *fitted)
    message = "fitted with classes ['cat', 'dog', 'fish'], classes is ['cat', 'dog', 'sea horse']"
    assert message in expected_error(done, 2)
    assert snapshot(output) == before
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert left == {"fitted.json", "source", "scores", "scores_metrics"}
    assert failed_runs(tmp_path / "scores_metrics") == ["OptionError"]
