"""Whole runs on good tables, in the tests' own session."""

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from lq_spark.core import multiclass
from lq_spark.core.confident import get_confident_thresholds
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.errors import DataError

SIMPLE = {
    "id": [3, 1, 2],
    "label": pa.array([0, 1, 2], pa.int32()),
    "pred_probs": [[0.75, 0.125, 0.125], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25]],
}


def metrics_of(done):
    return {(name, detail): value for name, detail, value in done.report.metrics()}


@pytest.mark.parametrize(("adjust", "on_invalid"), [(False, "fail"), (True, "quarantine")])
def test_an_empty_table_gives_an_empty_table(adjust, on_invalid, run, read_metrics):
    table = pa.table(SIMPLE).slice(0, 0)
    done = run(table, adjust_pred_probs=adjust, on_invalid=on_invalid)
    assert done.scores.num_rows == 0
    assert done.scores.column_names == ["id", "label", "predicted_label", "label_quality"]
    assert done.scores.schema.field("predicted_label").type == pa.int32()
    metrics = metrics_of(done)
    assert {key: value for key, value in metrics.items() if key[0] != "seconds"} == {
        **{(name, None): 0 for name in ("rows", "rows_scored", "rows_quarantined")},
        ("classes", None): None,
        ("mean_label_quality", None): None,
    }
    assert read_metrics(done.config.place("metrics")) == {done.report.run_id: metrics}
    assert "0 of 0 rows scored" in done.report.text(done.config)


@pytest.mark.parametrize(
    "told",
    [{"classes": ["cat", "dog", "ant"]}, {"n_classes": 3}, {"thresholds": None}],
    ids=lambda told: next(iter(told)),
)
def test_an_empty_table_has_no_rows_of_each_class_that_is_known(told, run, tmp_path):
    if "thresholds" in told:
        Thresholds((0.5,) * 3, (1,) * 3).save(tmp_path / "given.json")
        told = {"thresholds": str(tmp_path / "given.json"), "adjust_pred_probs": True}
    metrics = metrics_of(run(pa.table(SIMPLE).slice(0, 0), **told))
    assert metrics["classes", None] == 3
    names = told.get("classes", ["0", "1", "2"])
    found = {key: value for key, value in metrics.items() if key[0].startswith("class_")}
    assert found == {
        **{("class_rows", name): 0 for name in names},
        **{("class_mean_label_quality", name): None for name in names},
        **{("class_rows_predicted_otherwise", name): 0 for name in names},
        **{("class_threshold", name): 0.5 for name in names if "thresholds" in told},
    }


def test_an_empty_table_has_no_thresholds_to_save(run, failed_runs, tmp_path):
    saved = tmp_path / "thresholds.json"
    with pytest.raises(DataError, match="table is empty"):
        run(pa.table(SIMPLE).slice(0, 0), save_thresholds=str(saved))
    assert not saved.exists()
    assert not (tmp_path / "scores").exists()
    assert failed_runs(tmp_path / "scores_metrics") == ["DataError"]


@pytest.mark.parametrize(
    ("ids", "printed"),
    [
        (pa.array(["b", "a", "ä ö"]), ["b", "a", "ä ö"]),
        (pa.array([datetime.date(2024, 2, day) for day in (29, 1, 2)]), ["2024-02-29"]),
        (pa.array([datetime.datetime(2024, 2, 29, 12, m) for m in (0, 1, 2)]), ["12:01:00"]),
        (pa.array([Decimal("1.50"), Decimal("0.25"), Decimal("7.00")]), ["0.25"]),
        (pa.array([-(1 << 63), 0, (1 << 63) - 1]), ["-9223372036854775808"]),
    ],
    ids=["string", "date", "timestamp", "decimal", "bigint"],
)
def test_ids_may_be_anything_that_tells_rows_apart(ids, printed, run, by_id):
    done = run(pa.table({**SIMPLE, "id": ids}))
    scores = by_id(done.scores, pa.chunked_array([ids]))
    assert scores["label_quality"].to_pylist() == [0.75, 0.5, 0.25]
    assert all(text in done.report.text(done.config) for text in printed)


def test_kept_columns_are_carried_in_the_order_given(run):
    further = {"a.b": [1, 2, 3], "c`d": ["x", None, "z"], "nested": [{"e": [1]}, None, {"e": None}]}
    table = pa.table({**SIMPLE, **further})
    done = run(table, keep_columns=["nested", "c`d", "label", "a.b", "nested"])
    assert done.scores.column_names == [
        *("id", "label", "nested", "c`d", "a.b", "predicted_label", "label_quality")
    ]
    expected = table.sort_by("id").select(["id", "label", *further]).to_pydict()
    assert done.scores.sort_by("id").select(["id", "label", *further]).to_pydict() == expected


def test_columns_may_have_any_name(run):
    table = pa.table(SIMPLE).rename_columns(["the.id", "given label", "p`s"])
    done = run(table, id="the.id", label="given label", pred_probs="p`s", adjust_pred_probs=True)
    assert done.scores.column_names[:2] == ["the.id", "given label"]
    assert done.report.n_scored == 3


@pytest.mark.parametrize("kind", [pa.int8(), pa.int16()], ids=str)
def test_the_predicted_label_has_the_type_of_the_label(kind, run):
    done = run(pa.table({**SIMPLE, "label": pa.array([0, 1, 2], kind)}))
    assert done.scores.schema.field("predicted_label").type == kind


def test_a_class_that_never_occurs_counts_as_a_class(run, by_id, assert_same_bits):
    labels, pred_probs = [0, 1, 1], SIMPLE["pred_probs"]
    table = pa.table({**SIMPLE, "label": labels})
    done = run(table, adjust_pred_probs=True)
    scores = by_id(done.scores, table["id"])["label_quality"].to_numpy()
    expected = multiclass.get_label_quality_scores(labels, pred_probs, adjust_pred_probs=True)
    assert_same_bits(scores, expected)
    metrics = metrics_of(done)
    assert metrics["classes", None] == 3
    assert metrics["class_threshold", "2"] is None
    assert metrics["class_rows", "2"] == metrics["class_rows_predicted_otherwise", "2"] == 0
    assert metrics["class_mean_label_quality", "2"] is None
    lines = done.report.text(done.config).split("\n\n")[1].splitlines()
    assert sorted(line.split()[0] for line in lines[2:]) == ["0", "1"]


def test_a_catalog_table_and_a_vector_of_spark_ml_can_be_scored(run, spark):
    from pyspark.ml.linalg import Vectors

    rows = [(1, 0, Vectors.dense([0.75, 0.25])), (2, 1, Vectors.sparse(2, {1: 1.0}))]
    spark.createDataFrame(rows, ["id", "label", "probability"]).createOrReplaceTempView("rows_ml")
    try:
        done = run("rows_ml", pred_probs="probability")
    finally:
        spark.catalog.dropTempView("rows_ml")
    assert done.scores.sort_by("id")["label_quality"].to_pylist() == [0.75, 1.0]


def test_the_lowest_rows_and_class_means_are_right_with_ties_by_id(run):
    rng = np.random.default_rng(11)
    n, n_classes = 500, 4
    # Five values of probability alone, so that many scores are equal.
    first = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0], n)
    pred_probs = np.column_stack([first, 1 - first, np.zeros((n, n_classes - 2))])
    labels, ids = rng.integers(0, n_classes, n), rng.permutation(n)
    table = pa.table({"id": ids, "label": labels, "pred_probs": list(pred_probs)})
    scored = run(table).report.found

    scores = pred_probs[np.arange(n), labels]
    predicted = pred_probs.argmax(axis=1)
    lowest = np.lexsort((ids, scores))[:10]
    assert scored.worst == [(ids[i], labels[i], predicted[i], scores[i]) for i in lowest]
    assert scored.mean == scores.mean()  # exact: sums of quarters
    for k, quality in enumerate(scored.classes):
        given = labels == k
        assert quality.name == str(k)
        assert quality.n_rows == given.sum()
        assert quality.mean == pytest.approx(scores[given].mean(), rel=1e-15)
        assert quality.n_disagreeing == (predicted[given] != k).sum()


def test_many_classes_are_cut_in_the_summary_alone(run):
    n = 30
    probs = np.full((n, n), 0.5 / (n - 1))
    np.fill_diagonal(probs, 0.5)
    done = run(pa.table({"id": np.arange(n), "label": np.arange(n), "pred_probs": list(probs)}))
    assert "by given class, the lowest 20 of 30:" in done.report.text(done.config)
    assert len([1 for name, _ in metrics_of(done) if name == "class_rows"]) == n


@pytest.mark.parametrize(
    ("told", "n_classes", "expected"),
    [
        (10_000, 3, 10_000),  # narrow rows: as the session says
        (1_000_000, 21_841, (32 << 20) // (8 * 21_841)),
        (50, 21_841, 50),
        (0, 21_841, (32 << 20) // (8 * 21_841)),  # 0: no bound of the session's own
    ],
)
def test_batches_of_wide_rows_are_bounded_in_bytes(
    told, n_classes, expected, run, spark, batch_size, assert_same_bits
):
    pred_probs = np.random.default_rng(0).dirichlet(np.ones(n_classes), 3).astype(np.float32)
    batch_size(told)
    done = run(pa.table({**SIMPLE, "pred_probs": list(pred_probs)}))
    assert spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch") == str(expected)
    scores = done.scores.sort_by("label")["label_quality"].to_numpy()
    assert_same_bits(scores, pred_probs.diagonal().astype(np.float64))


@pytest.mark.parametrize("adjust", [False, True], ids=["plain", "adjusted"])
def test_thresholds_are_saved_whether_they_are_used_or_not(adjust, run, tmp_path, by_id):
    saved = tmp_path / "thresholds.json"
    labels, pred_probs = SIMPLE["label"].to_pylist(), SIMPLE["pred_probs"]
    done = run(pa.table(SIMPLE), save_thresholds=str(saved), adjust_pred_probs=adjust)
    assert Thresholds.load(saved).values == tuple(get_confident_thresholds(labels, pred_probs))
    assert metrics_of(done)["class_threshold", "0"] == 0.75
    expected = multiclass.get_label_quality_scores(labels, pred_probs, adjust_pred_probs=adjust)
    scores = by_id(done.scores, pa.table(SIMPLE)["id"])
    np.testing.assert_array_equal(scores["label_quality"], expected)


def test_a_class_has_one_name_in_all_metrics(run):
    done = run(pa.table(SIMPLE), classes=["cat", "dog", "horse"], adjust_pred_probs=True)
    details = {
        metric: {detail for name, detail in metrics_of(done) if name == metric}
        for metric in ("class_rows", "class_threshold")
    }
    assert details["class_rows"] == details["class_threshold"]
