"""Runs that look for label issues in what cannot be judged, or are told what does not agree."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark.core.confident.joint import sparse
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.label_issues import find_label_issues
from lq_spark.core.label_issues.rules import COMPARING
from lq_spark.core.multiclass import get_label_quality_scores
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError, TableError
from lq_spark.job.config_file import load_config
from lq_spark.job.run import JobRun

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


def left_in(folder):
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_an_empty_table_gives_an_empty_table_with_the_columns_of_issues(
    run, read_metrics, tmp_path
):
    done = run(pa.table(SIMPLE).slice(0, 0), find_issues=True, issue_rank=True)
    schema = done.scores.schema
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        "id": pa.int64(),
        "label": pa.int32(),
        "predicted_label": pa.int32(),
        "label_quality": pa.float64(),
        "is_label_issue": pa.bool_(),
        "issue_rank": pa.int64(),
    }
    assert done.scores.num_rows == 0
    [(run_id, metrics)] = read_metrics(tmp_path / "scores_metrics").items()
    assert run_id == done.report.run_id
    assert {key: value for key, value in metrics.items() if key[0] != "seconds"} == {
        **{(name, None): 0 for name in ("rows", "rows_scored", "rows_quarantined")},
        ("classes", None): None,
        ("mean_label_quality", None): None,
        ("label_issues", None): 0,
        ("issue_rate", None): None,
        ("label_health_score", None): None,
    }
    assert "0 of 0 rows scored" in done.report.text(done.config)
    assert left_in(tmp_path) == {"input.parquet", "scores", "scores_metrics"}


def test_an_empty_table_of_known_classes_has_no_issues_in_each(run):
    names = ["cat", "dog", "ant"]
    done = run(pa.table(SIMPLE).slice(0, 0), find_issues=True, classes=names)
    metrics = {(name, detail): value for name, detail, value in done.report.metrics()}
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
    with pytest.raises(DataError, match="table is empty"):
        run(pa.table(SIMPLE).slice(0, 0), find_issues=True, save_fitted=str(saved))
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
    assert_health(done.config.place("metrics"), done.report.run_id, labels, pred_probs, names)
    assert ("issue_rate", None, expected.sum() / 150) in list(done.report.metrics())
    tables = {f"scores{end}" for end in ("", "_quarantine", "_metrics")}
    tables |= {"scores_metrics_classes", "scores_metrics_overlaps"}
    assert left_in(tmp_path) == {"input.parquet", "fitted.json", *tables}


def test_rows_that_cannot_be_judged_stop_the_run_before_anything_is_written(
    faulty, run, write_folder, snapshot, failed_runs, tmp_path
):
    output = write_folder(pa.table(SIMPLE), tmp_path / "scores")
    before = snapshot(output)
    with pytest.raises(InvalidRowsError, match=r"^150 of 300 rows cannot be scored: "):
        run(faulty[2], find_issues=True, save_fitted=str(tmp_path / "fitted.json"))
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
    with pytest.raises(DataError, match=message):
        run(table, find_issues=True, filter_by=rule, save_fitted=str(tmp_path / "fitted.json"))
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
    with pytest.raises(OptionError, match=message):
        run(pa.table(SIMPLE), fitted=saved_model(**model), **flags)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"input.parquet", "given.json", "scores_metrics"}
    assert failed_runs(tmp_path / "scores_metrics") == ["OptionError"]


def test_a_file_of_what_was_not_fitted_so_is_refused(run, failed_runs, tmp_path):
    for text in ("{", "[]", Thresholds((0.5,) * 3, (1,) * 3).to_json()):
        (tmp_path / "given.json").write_text(text)
        with pytest.raises(OptionError, match=r"given\.json"):
            run(pa.table(SIMPLE), find_issues=True, fitted=str(tmp_path / "given.json"))
    with pytest.raises(OptionError, match=r"cannot read .*none\.json"):
        run(pa.table(SIMPLE), find_issues=True, fitted=str(tmp_path / "none.json"))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"input.parquet", "given.json", "scores_metrics"}
    assert failed_runs(tmp_path / "scores_metrics") == ["OptionError"] * 4


@pytest.mark.parametrize("name", ["is_label_issue", "issue_rank", "Is_Label_Issue"])
def test_a_column_of_the_name_of_a_new_one_is_refused(name, run, failed_runs, tmp_path):
    table = pa.table({**SIMPLE, name: [True] * 3})
    with pytest.raises(ColumnError, match=f"the table already has '{name.lower()}'"):
        run(table, find_issues=True, issue_rank=True)
    assert left_in(tmp_path) == {"input.parquet", "scores_metrics"}
    assert failed_runs(tmp_path / "scores_metrics") == ["ColumnError"]


def test_such_a_column_can_be_kept_where_none_is_added(run):
    table = pa.table({**SIMPLE, "is_label_issue": [True, False, None]})
    assert run(table, keep_columns=["is_label_issue"]).scores["is_label_issue"].null_count == 1


def test_a_label_type_too_small_for_the_classes_is_refused(run):
    wide = np.random.default_rng(0).dirichlet(np.ones(200), 3)
    wide[:, 150] += 1.0
    wide /= wide.sum(axis=1, keepdims=True)
    table = {**SIMPLE, "label": pa.array([0, 1, 2], pa.int8()), "pred_probs": list(wide)}
    with pytest.raises(ColumnError, match="tinyint, too small"):
        run(pa.table(table), find_issues=True, filter_by="confident_learning")


def test_a_short_first_row_is_set_aside_like_any_other(run, saved_model):
    pred_probs = [[0.5, 0.5], *SIMPLE["pred_probs"][1:]]
    flags = {"find_issues": True, "on_invalid": "quarantine", "filter_by": "confident_learning"}
    done = run(pa.table({**SIMPLE, "pred_probs": pred_probs}), fitted=saved_model(3), **flags)
    assert done.report.quarantined == {"pred_probs of wrong length": 1}


def test_the_classes_that_are_compared_are_those_of_the_table(run, saved_model):
    flags = {"find_issues": True, "filter_by": "predicted_neq_given"}
    done = run(pa.table(SIMPLE), fitted=saved_model(3, counts=(5, 0, 0)), **flags)
    assert done.scores.sort_by("id")["is_label_issue"].to_pylist() == [False, True, False]


def test_a_class_has_one_name_in_all_metrics(run, saved_model):
    names = ["cat", "dog", "ant"]
    flags = {"find_issues": True, "filter_by": "confident_learning", "classes": names}
    done = run(pa.table(SIMPLE), fitted=saved_model(3), **flags)
    health = pq.read_table(done.config.place("class_health"))
    assert set(health["class"].to_pylist()) == set(names)
    of_classes = {detail for name, detail, _ in done.report.metrics() if name.startswith("class_")}
    assert of_classes == set(names)


def test_as_many_numbers_to_remove_as_classes_are_asked_for_before_a_row_is_read(spark, tmp_path):
    pq.write_table(pa.table(SIMPLE), tmp_path / "input.parquet")
    places = {"input": str(tmp_path / "input.parquet"), "output": str(tmp_path / "scores")}
    options = {"find_issues": True, "n_classes": 3, "num_to_remove_per_class": [1, 0]}
    with pytest.raises(OptionError, match="num_to_remove_per_class must be 3 numbers"):
        JobRun(spark, load_config(None, {**places, **options}))


def test_a_run_that_cannot_write_the_health_tables_writes_nothing(run, tmp_path):
    (tmp_path / "scores_metrics_classes").write_text("in the way")
    flags = {"find_issues": True, "filter_by": "confident_learning"}
    with pytest.raises(TableError, match="scores_metrics_classes"):
        run(pa.table(SIMPLE), save_fitted=str(tmp_path / "fitted.json"), **flags)
    assert left_in(tmp_path) == {"input.parquet", "scores_metrics_classes"}


def test_no_thresholds_are_told_of_where_no_row_can_be_judged(run):
    table = pa.table({**SIMPLE, "pred_probs": [[0.5, NAN, 0.5]] * 3})
    flags = {"find_issues": True, "on_invalid": "quarantine", "filter_by": "confident_learning"}
    done = run(table.set_column(1, "label", pa.array([0, 2, 2])), **flags)
    assert (done.scores.num_rows, done.quarantine.num_rows) == (0, 3)
    assert "class_threshold" not in {name for name, _, _ in done.report.metrics()}
