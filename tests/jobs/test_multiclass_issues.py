"""The job of multi-class labels that finds label issues, in the tests' own session."""

import re
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import left_in

from lq_spark.core.confident import (
    calibrate_confident_joint,
    compute_confident_joint,
    estimate_joint,
    get_confident_thresholds,
)
from lq_spark.core.confident.joint import row_facts, sparse
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.health import overall_label_health_score
from lq_spark.core.label_issues import find_label_issues
from lq_spark.core.label_issues.rules import COMPARING
from lq_spark.core.multiclass import get_label_quality_scores
from lq_spark.core.multiclass.scores import score_rows

CLASSES = ["cat", "dog", "sea horse", "ant"]


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
    assert_health(path, old.done.run_id, old.labels, old.pred_probs, names)
    counts = compute_confident_joint(
        new.labels,
        new.pred_probs,
        thresholds=get_confident_thresholds(old.labels, old.pred_probs),
        calibrate=False,
    )
    joint = estimate_joint(new.labels, confident_joint=counts)
    assert (joint != estimate_joint(new.labels, new.pred_probs)).any()
    run_id = new.done.run_id
    assert_health(path, run_id, new.labels, new.pred_probs, names, joint=joint)
    for table in ("classes", "overlaps"):
        rows = pq.read_table(f"{path}_{table}")
        assert set(rows["run_id"].to_pylist()) == {old.done.run_id, run_id}
        assert set(rows["source"].to_pylist()) == {old.done.keys["input"]}
        assert set(rows["status"].to_pylist()) == {"succeeded"}
        assert len(set(rows["config_fingerprint"].to_pylist())) == 2


def test_the_metrics_say_what_the_flags_say(two_runs, read_metrics):
    path = f"{two_runs.folder}/scores_metrics"
    for run in (two_runs.old, two_runs.new):
        metrics = read_metrics(path)[run.done.run_id]
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
    health = overall_label_health_score(old.labels, old.pred_probs)
    assert old.done.metrics["label_health_score", None] == health


def test_drift_is_told_from_the_second_run_on(two_runs, read_metrics):
    runs = read_metrics(f"{two_runs.folder}/scores_metrics")
    before, now = (runs[run.done.run_id] for run in (two_runs.old, two_runs.new))
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


def test_the_summary_says_how_many_issues_there_are_and_where(two_runs):
    done, folder = two_runs.old.done, two_runs.folder
    n = int(done.metrics["label_issues", None])
    text = done.printed
    assert f"issues       {n} labels, {n / 400:.2%}, by prune_by_noise_rate; label heal" in text
    places = f"{folder}/scores_metrics_classes, {folder}/scores_metrics_overlaps"
    assert f"health       {places}" in text
    assert f"save_fitted  {folder}/fitted.json" in text
    assert "labels most often given for another class, estimated:" in text
    rows = [line.split() for line in text.split("\n\n")[1].splitlines()[2:]]
    assert {row[0]: int(row[-1]) for row in rows} == done.metrics_named("class_label_issues")


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
    assert_health(done.metrics_place, done.run_id, labels, pred_probs, CLASSES)
    metrics = done.metrics
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
    assert f"by {options['filter_by']}; label health" in done.printed


SIMPLE = {
    "id": [3, 1, 2],
    "label": pa.array([0, 1, 2], pa.int32()),
    "pred_probs": [[0.75, 0.125, 0.125], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25]],
}
NAN = float("nan")


@pytest.fixture
def saved_model(tmp_path):
    """Write a model without noise to a file; return its path."""

    def save(n_classes, classes=None, counts=None, rule="highest_of_all"):
        thresholds = Thresholds((0.5,) * n_classes, counts or (5,) * n_classes, classes)
        joint = sparse(np.diag(thresholds.class_counts))
        NoiseModel(thresholds, joint, 0, rule).save(tmp_path / "given.json")
        return str(tmp_path / "given.json")

    return save


@pytest.fixture
def faulty(labelled_rows):
    """Good rows and as many that cannot be judged, in turn: (labels, pred_probs, table).

    All have a fit probability of their label, so that the thresholds alone show no fault.
    """
    labels, pred_probs, good = labelled_rows(150, 3, seed=5)
    sure_of_another = [[0.1, 0.2, 0.9], [0.1, NAN, 0.9]]
    bad = pa.table(
        {
            "id": np.arange(150),
            "label": pa.array([0] * 150, pa.int32()),
            "pred_probs": pa.array(sure_of_another * 75),
        }
    )
    order = np.arange(300).reshape(2, 150).T.ravel()
    return labels, pred_probs, pa.concat_tables([good, bad]).take(order)


def test_an_empty_table_of_known_classes_has_no_issues_in_each(run):
    names = ["cat", "dog", "ant"]
    done = run(pa.table(SIMPLE).slice(0, 0), find_issues=True, classes=names)
    metrics = done.metrics
    assert metrics["classes", None] == 3
    of_classes = {key: value for key, value in metrics.items() if key[0].startswith("class_")}
    assert of_classes == {
        (metric, name): None if "mean" in metric or "rate" in metric else 0
        for metric in (
            *("class_rows", "class_mean_label_quality", "class_rows_predicted_otherwise"),
            *("class_label_issues", "class_issue_rate"),
        )
        for name in names
    }


def test_the_columns_of_an_empty_table_have_the_same_nulls_as_those_of_others(run):
    done = run(pa.table(SIMPLE).slice(0, 0), find_issues=True)
    assert all(field.nullable for field in done.scores.schema)


def test_an_empty_table_has_nothing_fitted_to_save(run, failed_runs, tmp_path):
    saved = tmp_path / "fitted.json"
    assert re.search(
        "table is empty",
        run(pa.table(SIMPLE).slice(0, 0), ends=1, find_issues=True, save_fitted=str(saved)).error,
    )
    assert left_in(tmp_path) == {"input.parquet", "scores_metrics"}
    assert failed_runs(tmp_path / "scores_metrics") == ["DataError"]


@pytest.mark.parametrize(
    ("has_equal_ids", "rule"),
    [(False, "prune_by_noise_rate"), (True, "confident_learning")],
    ids=["own ids", "equal ids"],
)
def test_rows_that_cannot_be_judged_are_as_if_they_were_not_there(
    has_equal_ids, rule, faulty, run, assert_health, assert_same_bits, tmp_path
):
    labels, pred_probs, table = faulty
    if has_equal_ids:
        ids = table["id"].to_numpy()
        table = table.set_column(0, "id", pa.array(np.where(ids < 150, ids // 2, ids)))
    saved = tmp_path / "fitted.json"
    flags = {"find_issues": True, "on_invalid": "quarantine", "save_fitted": str(saved)}
    done = run(table, filter_by=rule, adjust_pred_probs=True, **flags)
    assert (done.scores.num_rows, done.quarantine.num_rows) == (150, 150)

    order = table["id"].to_numpy()[::2].argsort()
    labels, pred_probs = labels[order], pred_probs[order]
    scores = done.scores.sort_by("id")
    expected = find_label_issues(labels, pred_probs, filter_by=rule)
    assert 0 < expected.sum() < 150
    np.testing.assert_array_equal(scores["is_label_issue"], expected)
    quality = get_label_quality_scores(labels, pred_probs, adjust_pred_probs=True)
    assert_same_bits(scores["label_quality"].to_numpy(), quality)
    np.testing.assert_array_equal(NoiseModel.load(saved).class_counts, np.bincount(labels))
    names = ["0", "1", "2"]
    assert_health(done.metrics_place, done.run_id, labels, pred_probs, names)
    assert done.metrics["issue_rate", None] == expected.sum() / 150
    tables = {f"scores{end}" for end in ("", "_quarantine", "_metrics")}
    tables |= {"scores_metrics_classes", "scores_metrics_overlaps"}
    assert left_in(tmp_path) == {"input.parquet", "fitted.json", *tables}


def test_rows_that_cannot_be_judged_stop_the_run_before_anything_is_written(
    faulty, run, write_folder, snapshot, failed_runs, tmp_path
):
    output = write_folder(pa.table(SIMPLE), tmp_path / "scores")
    before = snapshot(output)
    assert re.search(
        r"^150 of 300 rows cannot be scored: ",
        run(faulty[2], ends=1, find_issues=True, save_fitted=str(tmp_path / "fitted.json")).error,
    )
    assert snapshot(output) == before
    assert left_in(tmp_path) == {"input.parquet", "scores", "scores_metrics"}
    assert failed_runs(tmp_path / "scores_metrics") == ["InvalidRowsError"]


@pytest.mark.parametrize("rule", COMPARING)
def test_a_rule_that_compares_classes_needs_two(
    rule, run, write_folder, snapshot, failed_runs, tmp_path
):
    output = write_folder(pa.table(SIMPLE), tmp_path / "scores")
    before = snapshot(output)
    table = pa.table({**SIMPLE, "label": pa.array([1, 1, 1], pa.int32())})
    message = f"filter_by '{rule}' needs labels of at least 2 classes, all rows are of class 1"
    assert re.search(
        message,
        run(
            table,
            ends=1,
            find_issues=True,
            filter_by=rule,
            save_fitted=str(tmp_path / "fitted.json"),
        ).error,
    )
    assert snapshot(output) == before
    assert left_in(tmp_path) == {"input.parquet", "scores", "scores_metrics"}
    assert failed_runs(tmp_path / "scores_metrics") == ["DataError"]


@pytest.mark.parametrize(
    ("model", "flags", "message"),
    [
        ({"n_classes": 4}, {}, "K = 4 classes, the table has K = 3"),
        ({"n_classes": 2}, {"classes": ["a", "b", "c"]}, "3 names, K is 2"),
        (
            {"n_classes": 3, "classes": ("a", "b", "c")},
            {"classes": ["a", "c", "b"]},
            r"classes \['a', 'b', 'c'\], classes is \['a', 'c', 'b'\]",
        ),
        (
            {"n_classes": 3, "rule": "highest_reached"},
            {"collision_rule": "highest_of_all"},
            "collision_rule 'highest_reached', got 'highest_of_all'",
        ),
        ({"n_classes": 3}, {"n_classes": 4}, "K = 3 classes, n_classes is 4"),
    ],
    ids=str,
)
def test_what_was_fitted_must_be_of_these_classes(
    model, flags, message, run, saved_model, failed_runs, tmp_path
):
    flags = {"find_issues": True, "filter_by": "confident_learning", **flags}
    assert re.search(
        message, run(pa.table(SIMPLE), ends=2, fitted=saved_model(**model), **flags).error
    )
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"input.parquet", "given.json", "scores_metrics"}
    assert failed_runs(tmp_path / "scores_metrics") == ["OptionError"]


def test_a_file_of_what_was_not_fitted_so_is_refused(run, failed_runs, tmp_path):
    for text in ("{", "[]", Thresholds((0.5,) * 3, (1,) * 3).to_json()):
        (tmp_path / "given.json").write_text(text)
        assert re.search(
            r"given\.json",
            run(
                pa.table(SIMPLE), ends=2, find_issues=True, fitted=str(tmp_path / "given.json")
            ).error,
        )
    assert re.search(
        r"cannot read .*none\.json",
        run(pa.table(SIMPLE), ends=2, find_issues=True, fitted=str(tmp_path / "none.json")).error,
    )
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"input.parquet", "given.json", "scores_metrics"}
    assert failed_runs(tmp_path / "scores_metrics") == ["OptionError"] * 4


def test_such_a_column_can_be_kept_where_none_is_added(run):
    table = pa.table({**SIMPLE, "is_label_issue": [True, False, None]})
    assert run(table, keep_columns=["is_label_issue"]).scores["is_label_issue"].null_count == 1


def test_a_label_type_too_small_for_the_classes_is_refused(run):
    wide = np.random.default_rng(0).dirichlet(np.ones(200), 3)
    wide[:, 150] += 1.0
    wide /= wide.sum(axis=1, keepdims=True)
    table = {**SIMPLE, "label": pa.array([0, 1, 2], pa.int8()), "pred_probs": list(wide)}
    assert re.search(
        "tinyint, too small",
        run(pa.table(table), ends=2, find_issues=True, filter_by="confident_learning").error,
    )


def test_a_short_first_row_is_set_aside_like_any_other(run, saved_model):
    pred_probs = [[0.5, 0.5], *SIMPLE["pred_probs"][1:]]
    flags = {"find_issues": True, "on_invalid": "quarantine", "filter_by": "confident_learning"}
    done = run(pa.table({**SIMPLE, "pred_probs": pred_probs}), fitted=saved_model(3), **flags)
    assert done.reasons == {"pred_probs of wrong length": 1}


def test_the_classes_that_are_compared_are_those_of_the_table(run, saved_model):
    flags = {"find_issues": True, "filter_by": "predicted_neq_given"}
    done = run(pa.table(SIMPLE), fitted=saved_model(3, counts=(5, 0, 0)), **flags)
    assert done.scores.sort_by("id")["is_label_issue"].to_pylist() == [False, True, False]


def test_a_class_has_one_name_in_all_metrics(run, saved_model):
    names = ["cat", "dog", "ant"]
    flags = {"find_issues": True, "filter_by": "confident_learning", "classes": names}
    done = run(pa.table(SIMPLE), fitted=saved_model(3), **flags)
    health = done.table("_metrics_classes")
    assert set(health["class"].to_pylist()) == set(names)
    of_classes = {detail for name, detail in done.metrics if name.startswith("class_")}
    assert of_classes == set(names)


def test_as_many_numbers_to_remove_as_classes_are_asked_for_before_a_row_is_read(run):
    options = {"find_issues": True, "n_classes": 3, "num_to_remove_per_class": [1, 0]}
    done = run(pa.table(SIMPLE), ends=2, **options)
    assert "num_to_remove_per_class must be 3 numbers" in done.error


def test_a_run_that_cannot_write_the_health_tables_writes_nothing(run, tmp_path):
    (tmp_path / "scores_metrics_classes").write_text("in the way")
    flags = {"find_issues": True, "filter_by": "confident_learning"}
    assert re.search(
        "scores_metrics_classes",
        run(pa.table(SIMPLE), ends=1, save_fitted=str(tmp_path / "fitted.json"), **flags).error,
    )
    assert left_in(tmp_path) == {"input.parquet", "scores_metrics_classes"}


def test_no_thresholds_are_told_of_where_no_row_can_be_judged(run):
    table = pa.table({**SIMPLE, "pred_probs": [[0.5, NAN, 0.5]] * 3})
    flags = {"find_issues": True, "on_invalid": "quarantine", "filter_by": "confident_learning"}
    done = run(table.set_column(1, "label", pa.array([0, 2, 2])), **flags)
    assert (done.scores.num_rows, done.quarantine.num_rows) == (0, 3)
    assert "class_threshold" not in {name for name, _ in done.metrics}
