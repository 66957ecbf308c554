"""The job by spark-submit, as a scheduler runs it. A run takes seconds: many tests share one."""

import datetime
import re
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cleanlab import rank
from runs import config_of, left_in

import lq_spark
from lq_spark.core import multiclass
from lq_spark.core.confident import (
    calibrate_confident_joint,
    compute_confident_joint,
    estimate_joint,
    get_confident_thresholds,
)
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.label_issues import find_label_issues
from lq_spark.core.multiclass.scores import score_rows

pytestmark = pytest.mark.spark

CLASSES = ["cat", "dog", "sea horse"]


@pytest.fixture(scope="module")
def plain(submit, engine_named, labelled_rows, write_folder, tmp_path_factory):
    """Whole-number labels, scored as they are, with two further columns."""
    folder = tmp_path_factory.mktemp("plain")
    rng = np.random.default_rng(1)
    note, weight = pa.array([f"row {row}" for row in range(400)]), pa.array(rng.random(400))
    labels, pred_probs, table = labelled_rows(400, 5, note=note, weight=weight)
    source = write_folder(table, folder / "source")
    arguments = ["--method", "normalized_margin", "--keep-columns", "weight,note"]
    started = datetime.datetime.now(datetime.timezone.utc)
    done = submit("--input", source, "--output", folder / "scores", *arguments)
    return SimpleNamespace(**locals(), output=folder / "scores")


@pytest.fixture(scope="module")
def first(submit, labelled_rows, write_folder, tmp_path_factory):
    """String labels and float32 probabilities, adjusted, with issues; what is fitted is saved."""
    folder = tmp_path_factory.mktemp("first")
    labels, pred_probs, table = labelled_rows(300, 3, seed=8, dtype=np.float32, classes=CLASSES)
    output, fitted, thresholds = (folder / name for name in ("scores", "f.json", "t.json"))
    arguments = ["--classes", ",".join(CLASSES), "--adjust-pred-probs", "--find-issues"]
    arguments += ["--issue-rank", "--save-fitted", fitted, "--save-thresholds", thresholds]
    source = write_folder(table, folder / "source")
    done = submit("--input", source, "--output", output, *arguments)
    assert done.code == 0, done.stderr
    return SimpleNamespace(**locals(), scores=pq.read_table(output))


@pytest.fixture(scope="module")
def later(submit, labelled_rows, write_folder, first):
    """New rows, scored and judged by what was fitted, to the same places."""
    labels, pred_probs, table = labelled_rows(90, 3, seed=9, classes=CLASSES)
    source = write_folder(table, first.folder / "later")
    arguments = ["--find-issues", "--fitted", first.fitted]
    arguments += ["--adjust-pred-probs", "--method", "normalized_margin"]
    done = submit("--input", source, "--output", first.output, *arguments)
    assert done.code == 0, done.stderr
    return SimpleNamespace(**locals(), scores=pq.read_table(first.output))


@pytest.fixture(scope="module")
def example(submit_alone, tmp_path_factory):
    """The example config by a process of its own, its gate failing."""
    folder = tmp_path_factory.mktemp("example")
    places = ["--output", folder / "scores", "--metrics", folder / "metrics"]
    places += ["--save-thresholds", folder / "thresholds.json"]
    places += ["--save-fitted", folder / "fitted.json"]
    conditions = ["--fail-if", "rows > 100", "--fail-if", "issue_rate > previous(issue_rate)"]
    conditions += ["--warn-if", "class_rows['1'] < 1000"]
    done = submit_alone("--config", "conf/score_dataset.yaml", *places, *conditions)
    return SimpleNamespace(**locals())


def in_order_of_id(run):
    """Return labels and probabilities as a run's table has them, by id."""
    order = run.table["id"].to_numpy().argsort()
    return run.labels[order], run.pred_probs[order]


def test_good_runs_end_with_0_and_a_quiet_standard_error(plain, first, later):
    for run in (plain, first, later):
        assert run.done.code == 0, run.done.stderr
        assert "Traceback" not in run.done.stderr
        assert " ERROR " not in run.done.stderr


def test_plain_scores_equal_the_cores_to_the_bit(plain, by_id, assert_same_bits):
    scores = by_id(pq.read_table(plain.output), plain.table["id"])
    expected = multiclass.get_label_quality_scores(
        plain.labels, plain.pred_probs, method="normalized_margin"
    )
    assert_same_bits(scores["label_quality"].to_numpy(), expected)
    assert scores["predicted_label"].to_pylist() == plain.pred_probs.argmax(axis=1).tolist()


def test_plain_scores_equal_cleanlabs(plain, by_id, quietly):
    scores = by_id(pq.read_table(plain.output), plain.table["id"])
    expected = quietly(
        rank.get_label_quality_scores, plain.labels, plain.pred_probs, method="normalized_margin"
    )
    np.testing.assert_allclose(scores["label_quality"], expected, rtol=0, atol=1e-9)


def test_adjusted_scores_of_string_labels_equal_the_cores_to_the_bit(
    first, by_id, assert_same_bits
):
    scores = by_id(first.scores, first.table["id"])
    expected = multiclass.get_label_quality_scores(
        first.labels, first.pred_probs, adjust_pred_probs=True
    )
    assert_same_bits(scores["label_quality"].to_numpy(), expected)
    predicted = [CLASSES[index] for index in first.pred_probs.argmax(axis=1)]
    assert scores["predicted_label"].to_pylist() == predicted


def test_adjusted_scores_equal_cleanlabs(first, by_id, quietly):
    scores = by_id(first.scores, first.table["id"])
    as_double = first.pred_probs.astype(np.float64)  # cleanlab computes in the type it is given
    expected = quietly(
        rank.get_label_quality_scores, first.labels, as_double, adjust_pred_probs=True
    )
    np.testing.assert_allclose(scores["label_quality"], expected, rtol=0, atol=1e-9)


def test_issues_are_those_of_core_and_ranked(first):
    labels, pred_probs = in_order_of_id(first)
    scores = first.scores.sort_by("id")
    expected = find_label_issues(labels, pred_probs)
    np.testing.assert_array_equal(scores["is_label_issue"], expected)
    n_issues = expected.sum()
    ranks = scores["issue_rank"].to_pylist()
    assert [rank is not None for rank in ranks] == expected.tolist()
    by_rank = scores.sort_by("issue_rank").slice(0, n_issues)
    assert by_rank["issue_rank"].to_pylist() == list(range(1, n_issues + 1))
    assert by_rank["label_quality"].to_pylist() == sorted(by_rank["label_quality"].to_pylist())
    assert f"issues           {n_issues} labels, {n_issues / 300:.2%}" in first.done.stdout
    assert f"save_fitted      {first.fitted}" in first.done.stdout


def test_what_was_fitted_is_saved_as_thresholds_too(first):
    thresholds = Thresholds.load(first.thresholds)
    assert thresholds.classes == tuple(CLASSES)
    assert thresholds.class_counts == tuple(np.bincount(first.labels))
    assert NoiseModel.load(first.fitted).thresholds == thresholds


def test_new_rows_are_scored_and_judged_by_what_was_fitted(
    first, later, assert_health, read_metrics, assert_same_bits
):
    labels, pred_probs = in_order_of_id(later)
    scores = later.scores.sort_by("id")
    thresholds = Thresholds.load(first.thresholds)
    expected = score_rows(labels, pred_probs, "normalized_margin", thresholds.as_array())
    assert_same_bits(scores["label_quality"].to_numpy(), expected)
    old = compute_confident_joint(first.labels, first.pred_probs, calibrate=False)
    joint = calibrate_confident_joint(old, labels)
    expected = find_label_issues(labels, pred_probs, confident_joint=joint)
    assert (expected != find_label_issues(labels, pred_probs)).any()
    np.testing.assert_array_equal(scores["is_label_issue"], expected)
    names = [CLASSES[k] for k in pred_probs.argmax(axis=1)]
    assert scores["predicted_label"].to_pylist() == names

    path = f"{first.output}_metrics"
    runs = {metrics["rows", None]: run_id for run_id, metrics in read_metrics(path).items()}
    assert_health(path, runs[300], *in_order_of_id(first), CLASSES)
    counts = compute_confident_joint(
        labels,
        pred_probs,
        thresholds=get_confident_thresholds(first.labels, first.pred_probs),
        calibrate=False,
    )
    joint = estimate_joint(labels, confident_joint=counts)
    assert_health(path, runs[90], labels, pred_probs, CLASSES, joint=joint)
    assert left_in(first.folder) == {
        *("source", "later", "f.json", "t.json", "scores"),
        *("scores_metrics", "scores_metrics_classes", "scores_metrics_overlaps"),
    }


def test_the_output_is_id_label_kept_columns_prediction_and_score(plain, first, by_id):
    assert pq.read_schema(next(plain.output.glob("*.parquet"))).remove_metadata() == pa.schema(
        {
            "id": pa.int64(),
            "label": pa.int32(),
            "weight": pa.float64(),
            "note": pa.string(),
            "predicted_label": pa.int32(),
            "label_quality": pa.float64(),
        }
    )
    assert first.scores.schema.types == [
        *(pa.int64(), pa.string(), pa.string(), pa.float64()),
        *(pa.bool_(), pa.int64()),
    ]
    scores = by_id(pq.read_table(plain.output), plain.table["id"])
    for name in ("label", "weight", "note"):
        assert scores[name].to_pylist() == plain.table[name].to_pylist()


def test_nothing_is_left_beside_the_tables(plain):
    left = {path.name for path in plain.folder.iterdir() if not path.name.endswith(".lock")}
    assert left == {"source", "scores", "scores_metrics"}


def test_the_metrics_say_what_the_scores_say(plain, read_metrics):
    [(run_id, metrics)] = read_metrics(plain.folder / "scores_metrics").items()
    assert f"(run {run_id})" in plain.done.stdout
    expected = multiclass.get_label_quality_scores(
        plain.labels, plain.pred_probs, method="normalized_margin"
    )
    whole = {name: value for (name, detail), value in metrics.items() if detail is None}
    assert whole == {
        "rows": 400,
        "rows_scored": 400,
        "rows_quarantined": 0,
        "read_by_workers": 1,
        "classes": 5,
        "mean_label_quality": pytest.approx(expected.mean(), abs=1e-12),
    }
    assert {of for name, of in metrics if name == "rows_quarantined"} == {None}
    otherwise = plain.pred_probs.argmax(axis=1) != plain.labels
    for k in range(5):
        given = plain.labels == k
        mean = pytest.approx(expected[given].mean(), abs=1e-12)
        assert metrics["class_rows", str(k)] == given.sum()
        assert metrics["class_mean_label_quality", str(k)] == mean
        assert metrics["class_rows_predicted_otherwise", str(k)] == (given & otherwise).sum()
    phases = {detail: value for (name, detail), value in metrics.items() if name == "seconds"}
    assert phases.keys() == {"open", "keys", "scores", "summary", "write"}
    assert all(0 <= value < 180 for value in phases.values())


def test_each_row_of_the_metrics_says_which_run_it_is_of(plain):
    rows = pq.read_table(plain.folder / "scores_metrics")
    assert rows.column_names == [
        *("run_id", "started_at", "source", "source_version", "output", "config_fingerprint"),
        *("lq_spark_version", "engine", "status", "metric", "class", "value"),
    ]
    assert set(rows["source"].to_pylist()) == {str(plain.source)}
    assert set(rows["source_version"].to_pylist()) == {None}
    assert set(rows["output"].to_pylist()) == {str(plain.output)}
    assert set(rows["lq_spark_version"].to_pylist()) == {lq_spark.__version__}
    assert set(rows["engine"].to_pylist()) == {plain.engine_named}
    assert set(rows["status"].to_pylist()) == {"succeeded"}
    places = {"input": str(plain.source), "output": str(plain.output)}
    options = {"method": "normalized_margin", "keep_columns": ["weight", "note"]}
    fingerprint = config_of(**places, **options).fingerprint
    assert set(rows["config_fingerprint"].to_pylist()) == {fingerprint}
    [started_at] = set(rows["started_at"].cast(pa.timestamp("us", "UTC")).to_pylist())
    assert datetime.timedelta(0) < started_at - plain.started < datetime.timedelta(minutes=3)


def test_a_second_run_adds_its_metrics_to_the_firsts(first, later, read_metrics):
    runs = read_metrics(first.folder / "scores_metrics")
    assert sorted(metrics["rows", None] for metrics in runs.values()) == [90, 300]
    values = Thresholds.load(first.thresholds).values
    for metrics in runs.values():
        found = {detail: v for (name, detail), v in metrics.items() if name == "class_threshold"}
        assert found == dict(zip(CLASSES, values, strict=True))


def test_the_summary_is_all_that_standard_output_holds(plain):
    scores = multiclass.get_label_quality_scores(
        plain.labels, plain.pred_probs, method="normalized_margin"
    )
    head, by_class, worst = plain.done.stdout.split("\n\n")

    lines = head.splitlines()
    assert lines[0] == f"lq_spark {lq_spark.__version__} on {plain.engine_named}"
    assert lines[1] == "400 of 400 rows scored, 5 classes, method normalized_margin"
    assert lines[2] == f"output   {plain.output}"
    assert lines[3] == "reader   Python workers"
    assert lines[4].startswith(f"metrics  {plain.output}_metrics (run ")
    assert re.fullmatch(r"time     (\w+ [\d.]+ s(, )?)+", lines[5])
    assert len(lines) == 6

    lines = by_class.splitlines()
    assert lines[0] == f"mean label quality {scores.mean():.4f}; by given class:"
    means = sorted((scores[plain.labels == k].mean(), k) for k in range(5))
    shown = [line.split() for line in lines[2:]]
    assert [line[0] for line in shown] == [str(k) for _, k in means]
    assert [line[2] for line in shown] == [f"{mean:.4f}" for mean, _ in means]

    lines = worst.splitlines()
    ids = plain.table["id"].to_numpy()
    lowest = np.lexsort((ids, scores))[:10]
    predicted = plain.pred_probs.argmax(axis=1)
    assert lines[0] == "lowest label quality (1 clean, 0 suspect):"
    assert [line.split() for line in lines[2:]] == [
        [str(ids[i]), str(plain.labels[i]), str(predicted[i]), f"{scores[i]:.6f}"] for i in lowest
    ]


def test_the_summary_of_an_adjusted_run_says_so(first, later):
    head = "rows scored, 3 classes, method"
    assert f"300 of 300 {head} self_confidence, adjusted by class" in first.done.stdout
    assert f"90 of 90 {head} normalized_margin, adjusted by class" in later.done.stdout
    assert f"save_thresholds  {first.thresholds}" in first.done.stdout


def test_the_example_config_scores_the_example_table(example, repository, by_id):
    source = pq.read_table(repository / "scripts" / "data" / "digits.parquet")
    scores = by_id(pq.read_table(example.folder / "scores"), source["id"])
    pred_probs = np.stack(source["pred_probs"].to_numpy())
    labels = source["label"].to_numpy()
    expected = multiclass.get_label_quality_scores(labels, pred_probs, adjust_pred_probs=True)
    np.testing.assert_allclose(scores["label_quality"].to_numpy(), expected, rtol=1e-14)
    assert scores["true_label"].equals(source["true_label"])
    order = source["id"].to_numpy().argsort()
    issues = np.empty(len(labels), dtype=bool)
    issues[order] = find_label_issues(labels[order], pred_probs[order])
    np.testing.assert_array_equal(scores["is_label_issue"].to_numpy(), issues)
    ranks = scores["issue_rank"].drop_null().to_pylist()
    assert sorted(ranks) == list(range(1, issues.sum() + 1))
    assert left_in(example.folder) == {
        *("scores", "thresholds.json", "fitted.json"),
        *("metrics", "metrics_classes", "metrics_overlaps"),
    }


def test_a_gate_that_fails_ends_the_process_with_3(example, read_metrics):
    done = example.done
    assert done.code == 3, done.stdout + done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith(("fail_if", "warn_if"))]
    n_rows = pq.read_table(example.folder / "scores").num_rows
    assert told[0] == f"fail_if MET: rows > 100: rows {n_rows}"
    assert told[1].startswith("fail_if not judged: no earlier successful run (issue_rate > ")
    assert told[2].startswith("warn_if MET: class_rows['1'] < 1000: class_rows['1'] ")
    [metrics] = read_metrics(example.folder / "metrics").values()
    assert metrics["fail_if", "rows > 100"] == 1.0
    assert metrics["fail_if", "issue_rate > previous(issue_rate)"] is None
    status = pq.read_table(example.folder / "metrics")["status"].unique().to_pylist()
    assert status == ["gate_failed"]
