"""Whole runs that find label issues, in the tests' own session, against core on the same rows."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark.core.confident import (
    calibrate_confident_joint,
    compute_confident_joint,
    estimate_joint,
    get_confident_thresholds,
)
from lq_spark.core.confident.joint import row_facts
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.health import overall_label_health_score
from lq_spark.core.label_issues import find_label_issues
from lq_spark.core.multiclass import get_label_quality_scores
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.job.summary import count_issues

CLASSES = ["cat", "dog", "sea horse", "ant"]


def metrics_of(done):
    return {(name, detail): value for name, detail, value in done.report.metrics()}


def ranks_of(quality, issues):
    """Return the rank of each issue by its quality, ties in the order of the rows; else None."""
    ranks = [None] * len(issues)
    found = np.flatnonzero(issues)
    for rank, row in enumerate(found[np.argsort(quality[found], kind="stable")], start=1):
        ranks[row] = rank
    return ranks


def coarse(n_rows, n_classes, seed, dtype=np.float64):
    """Return labels and pred_probs of 8 levels: many rows are equal at every cut."""
    rng = np.random.default_rng(seed)
    pred_probs = rng.multinomial(8, rng.dirichlet(np.ones(n_classes), n_rows)) / 8
    right = rng.random(n_rows) < 0.6
    labels = np.where(right, pred_probs.argmax(axis=1), rng.integers(0, n_classes, n_rows))
    return labels, pred_probs.astype(dtype)


def undecided(n_rows, n_classes, seed):
    """Return labels and pred_probs so nearly uniform that many rows reach several thresholds."""
    rng = np.random.default_rng(seed)
    pred_probs = rng.dirichlet(np.full(n_classes, 3.0), n_rows) + rng.random(n_classes)
    labels = rng.integers(0, n_classes, n_rows)
    return labels, pred_probs / pred_probs.sum(axis=1, keepdims=True)


def table_of(labels, pred_probs, seed=0, **columns):
    """Return a table of rows in random order, with the row number as id."""
    order = np.random.default_rng(seed).permutation(len(labels))
    given = {"id": np.arange(len(labels)), "label": labels, "pred_probs": list(pred_probs)}
    return pa.table({**given, **columns}).take(order)


@pytest.fixture(scope="module")
def two_runs(run_in, tmp_path_factory):
    """A run that saves what it fits, and a later one of new rows to the same places, by that."""
    folder = tmp_path_factory.mktemp("two_runs")
    flags = {"find_issues": True, "adjust_pred_probs": True, "issue_rank": True}
    saved = str(folder / "fitted.json")
    runs = []
    for fit, n_rows in (({"save_fitted": saved}, 400), ({"fitted": saved}, 150)):
        rng = np.random.default_rng(n_rows)
        pred_probs = rng.dirichlet(np.full(4, 0.6), n_rows)
        # Of the later rows few are of class 0, and more labels are wrong.
        share = [0.25] * 4 if n_rows == 400 else [0.02, 0.1, 0.28, 0.6]
        labels = rng.choice(4, n_rows, p=share)
        likely = rng.random(n_rows) < (0.7 if n_rows == 400 else 0.5)
        pred_probs[likely] *= 0.5
        pred_probs[likely, labels[likely]] += 0.5
        done = run_in(folder, table_of(labels, pred_probs), **flags, **fit)
        scores = done.scores.sort_by("id")
        runs.append(SimpleNamespace(labels=labels, pred_probs=pred_probs, done=done, scores=scores))
    old, new = runs
    return SimpleNamespace(folder=folder, old=old, new=new, fitted=NoiseModel.load(saved))


def test_a_run_finds_the_issues_that_core_finds(two_runs, assert_same_bits):
    old = two_runs.old
    expected = find_label_issues(old.labels, old.pred_probs)
    assert 0 < expected.sum() < 400
    np.testing.assert_array_equal(old.scores["is_label_issue"], expected)
    quality = get_label_quality_scores(old.labels, old.pred_probs, adjust_pred_probs=True)
    assert_same_bits(old.scores["label_quality"].to_numpy(), quality)
    assert old.scores["issue_rank"].to_pylist() == ranks_of(quality, expected)
    assert old.scores["predicted_label"].to_pylist() == old.pred_probs.argmax(axis=1).tolist()


def test_what_is_saved_is_what_core_fits(two_runs, assert_same_bits):
    old, fitted = two_runs.old, two_runs.fitted
    thresholds = get_confident_thresholds(old.labels, old.pred_probs)
    assert_same_bits(fitted.thresholds.as_array(), thresholds)
    joint = compute_confident_joint(old.labels, old.pred_probs)
    np.testing.assert_array_equal(fitted.confident_joint, joint)
    np.testing.assert_array_equal(fitted.class_counts, np.bincount(old.labels))
    assert fitted.collision_rule == "highest_of_all"
    assert fitted.classes is None


def test_new_rows_are_judged_by_the_thresholds_and_joint_of_the_old(two_runs, assert_same_bits):
    old, new = two_runs.old, two_runs.new
    joint = compute_confident_joint(old.labels, old.pred_probs, calibrate=False)
    expected = find_label_issues(
        new.labels, new.pred_probs, confident_joint=calibrate_confident_joint(joint, new.labels)
    )
    assert (expected != find_label_issues(new.labels, new.pred_probs)).any()
    np.testing.assert_array_equal(new.scores["is_label_issue"], expected)
    thresholds = get_confident_thresholds(old.labels, old.pred_probs)
    quality = score_rows(new.labels, new.pred_probs, "self_confidence", thresholds)
    assert_same_bits(new.scores["label_quality"].to_numpy(), quality)
    assert new.scores["issue_rank"].to_pylist() == ranks_of(quality, expected)


def test_each_run_adds_the_health_of_its_own_rows(two_runs, assert_health):
    old, new = two_runs.old, two_runs.new
    path, names = f"{two_runs.folder}/scores_metrics", ["0", "1", "2", "3"]
    assert_health(path, old.done.report.run_id, old.labels, old.pred_probs, names)
    counts = compute_confident_joint(
        new.labels,
        new.pred_probs,
        thresholds=get_confident_thresholds(old.labels, old.pred_probs),
        calibrate=False,
    )
    joint = estimate_joint(new.labels, confident_joint=counts)
    assert (joint != estimate_joint(new.labels, new.pred_probs)).any()
    run_id = new.done.report.run_id
    assert_health(path, run_id, new.labels, new.pred_probs, names, joint=joint)
    for table in ("classes", "overlaps"):
        rows = pq.read_table(f"{path}_{table}")
        assert set(rows["run_id"].to_pylist()) == {old.done.report.run_id, run_id}
        assert set(rows["source"].to_pylist()) == {old.done.config.input}
        assert set(rows["status"].to_pylist()) == {"succeeded"}
        assert len(set(rows["config_fingerprint"].to_pylist())) == 2


def test_the_metrics_say_what_the_flags_say(two_runs, read_metrics):
    path = f"{two_runs.folder}/scores_metrics"
    for run in (two_runs.old, two_runs.new):
        metrics = read_metrics(path)[run.done.report.run_id]
        flags, n_rows = run.scores["is_label_issue"].to_numpy(), len(run.labels)
        assert metrics["rows", None] == n_rows
        assert metrics["label_issues", None] == flags.sum()
        assert metrics["issue_rate", None] == flags.sum() / n_rows
        for k in range(4):
            of_class = flags[run.labels == k]
            assert metrics["class_label_issues", str(k)] == of_class.sum()
            assert metrics["class_issue_rate", str(k)] == of_class.sum() / len(of_class)
            assert metrics["class_threshold", str(k)] == two_runs.fitted.thresholds.values[k]
        phases = {detail for name, detail in metrics if name == "seconds"}
        assert {"open", "keys", "thresholds", "scores", "cuts", "summary", "write"} >= phases
        facts = row_facts(run.labels, run.pred_probs, two_runs.fitted.thresholds.as_array())
        n_confident = facts.is_confident_issue(run.labels).sum()
        assert metrics["label_health_score", None] == 1.0 - n_confident / n_rows
    old = two_runs.old
    assert old.done.report.noise.health_score == overall_label_health_score(
        old.labels, old.pred_probs
    )


def test_drift_is_told_from_the_second_run_on(two_runs, read_metrics):
    runs = read_metrics(f"{two_runs.folder}/scores_metrics")
    before, now = (runs[run.done.report.run_id] for run in (two_runs.old, two_runs.new))
    assert not [name for name, _ in before if name.startswith("drift_")]
    shares, shares_before = (
        np.bincount(run.labels, minlength=4) / len(run.labels)
        for run in (two_runs.new, two_runs.old)
    )
    changes = shares - shares_before
    drift = {key: value for key, value in now.items() if key[0].startswith("drift_")}
    assert 0 < drift.pop(("drift_joint", None)) < 1
    assert drift == pytest.approx(
        {
            ("drift_class_shares", None): np.abs(changes).sum() / 2,
            ("drift_issue_rate", None): now["issue_rate", None] - before["issue_rate", None],
            **{("drift_class_share", str(k)): change for k, change in enumerate(changes)},
            **{("drift_class_threshold", str(k)): 0.0 for k in range(4)},
        },
        abs=1e-12,
    )


def test_nothing_is_left_beside_the_tables_and_the_file(two_runs):
    left = {path.name for path in two_runs.folder.iterdir() if not path.name.endswith(".lock")}
    metrics = {"scores_metrics", "scores_metrics_classes", "scores_metrics_overlaps"}
    assert left == {"input.parquet", "fitted.json", "scores", *metrics}


def test_the_summary_says_how_many_issues_there_are_and_where(two_runs):
    report, config = two_runs.old.done.report, two_runs.old.done.config
    n = count_issues(report.found.classes)
    text = report.text(config)
    assert f"issues       {n} labels, {n / 400:.2%}, by prune_by_noise_rate; label heal" in text
    places = [config.place(option) for option in ("class_health", "class_overlaps")]
    assert f"health       {', '.join(places)}" in text
    assert f"save_fitted  {config.save_fitted}" in text
    assert "labels most often given for another class, estimated:" in text
    by_class = {q.name: q.n_issues for q in report.found.classes}
    rows = [line.split() for line in text.split("\n\n")[1].splitlines()[2:]]
    assert {row[0]: int(row[-1]) for row in rows} == by_class


def test_names_of_classes_and_columns_and_ids_may_be_any(run, assert_health):
    labels, pred_probs = coarse(300, 4, seed=1, dtype=np.float32)
    names = np.array(CLASSES)
    ids = [f"row {row:03}" for row in range(300)]
    table = table_of(names[labels], pred_probs, id=ids, note=ids)
    table = table.rename_columns(["the.id", "given label", "p`s", "note"])
    columns = {"id": "the.id", "label": "given label", "pred_probs": "p`s"}
    flags = {"find_issues": True, "issue_rank": True, "classes": CLASSES, "keep_columns": ["note"]}
    done = run(table, filter_by="both", **columns, **flags)
    assert done.scores.schema.remove_metadata() == pa.schema(
        {
            "the.id": pa.string(),
            "given label": pa.string(),
            "note": pa.string(),
            "predicted_label": pa.string(),
            "label_quality": pa.float64(),
            "is_label_issue": pa.bool_(),
            "issue_rank": pa.int64(),
        }
    )
    scores = done.scores.sort_by("the.id")
    expected = find_label_issues(labels, pred_probs, filter_by="both")
    assert 0 < expected.sum() < 300
    np.testing.assert_array_equal(scores["is_label_issue"], expected)
    quality = get_label_quality_scores(labels, pred_probs)
    assert scores["issue_rank"].to_pylist() == ranks_of(quality, expected)
    assert scores["note"].to_pylist() == ids
    assert scores["predicted_label"].to_pylist() == names[pred_probs.argmax(axis=1)].tolist()
    assert_health(done.config.place("metrics"), done.report.run_id, labels, pred_probs, CLASSES)
    metrics = metrics_of(done)
    for k, name in enumerate(CLASSES):
        assert metrics["class_label_issues", name] == expected[labels == k].sum()


@pytest.mark.parametrize(
    "flags",
    [
        {"filter_by": "low_self_confidence", "method": "normalized_margin"},
        {"filter_by": "confident_learning", "collision_rule": "highest_reached"},
        {"filter_by": "prune_by_class", "num_to_remove_per_class": [9, 0, 20, 4]},
        {
            "filter_by": "prune_by_noise_rate",
            "frac_noise": 0.5,
            "min_examples_per_class": 60,
            "collision_rule": "highest_reached",
        },
    ],
    ids=lambda flags: flags["filter_by"],
)
def test_every_rule_and_option_is_cores(flags, run, quietly, assert_same_bits):
    labels, pred_probs = (undecided if "collision_rule" in flags else coarse)(300, 4, seed=2)
    done = quietly(run, table_of(labels, pred_probs), find_issues=True, **flags)
    options = {key: value for key, value in flags.items() if key != "method"}
    expected = quietly(find_label_issues, labels, pred_probs, **options)
    scores = done.scores.sort_by("id")
    np.testing.assert_array_equal(scores["is_label_issue"], expected)
    assert "issue_rank" not in scores.column_names
    method = flags.get("method", "self_confidence")
    quality = get_label_quality_scores(labels, pred_probs, method=method)
    assert_same_bits(scores["label_quality"].to_numpy(), quality)
    if len(options) > 1:
        plain = find_label_issues(labels, pred_probs, filter_by=options["filter_by"])
        assert (expected != plain).any()
    assert f"by {options['filter_by']}; label health" in done.report.text(done.config)
