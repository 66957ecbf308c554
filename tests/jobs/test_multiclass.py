"""The job of multi-class labels: what of it no other task has, in the tests' own session."""

import datetime
import json
import re
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from lq_spark.core import multiclass
from lq_spark.core.confident import get_confident_thresholds
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.multiclass.scores import score_rows
from lq_spark.job.task import ARROW_BATCHES

SIMPLE = {
    "id": [3, 1, 2],
    "label": pa.array([0, 1, 2], pa.int32()),
    "pred_probs": [[0.75, 0.125, 0.125], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25]],
}


@pytest.mark.parametrize(
    "told",
    [{"classes": ["cat", "dog", "ant"]}, {"n_classes": 3}, {"thresholds": None}],
    ids=lambda told: next(iter(told)),
)
def test_an_empty_table_has_no_rows_of_each_class_that_is_known(told, run, tmp_path):
    if "thresholds" in told:
        Thresholds((0.5,) * 3, (1,) * 3).save(tmp_path / "given.json")
        told = {"thresholds": str(tmp_path / "given.json"), "adjust_pred_probs": True}
    metrics = run(pa.table(SIMPLE).slice(0, 0), **told).metrics
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
    assert re.search(
        "table is empty",
        run(pa.table(SIMPLE).slice(0, 0), ends=1, save_thresholds=str(saved)).error,
    )
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
    assert all(text in done.printed for text in printed)


def test_kept_columns_are_carried_in_the_order_given(run):
    further = {"a.b": [1, 2, 3], "c`d": ["x", None, "z"], "nested": [{"e": [1]}, None, {"e": None}]}
    table = pa.table({**SIMPLE, **further})
    done = run(table, keep_columns=["nested", "c`d", "label", "a.b", "nested"])
    assert done.scores.column_names == [
        *("id", "label", "nested", "c`d", "a.b", "predicted_label", "label_quality")
    ]
    expected = table.sort_by("id").select(["id", "label", *further]).to_pydict()
    assert done.scores.sort_by("id").select(["id", "label", *further]).to_pydict() == expected


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
    metrics = done.metrics
    assert metrics["classes", None] == 3
    assert metrics["class_threshold", "2"] is None
    assert metrics["class_rows", "2"] == metrics["class_rows_predicted_otherwise", "2"] == 0
    assert metrics["class_mean_label_quality", "2"] is None
    lines = done.printed.split("\n\n")[1].splitlines()
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
    done = run(table)

    scores = pred_probs[np.arange(n), labels]
    predicted = pred_probs.argmax(axis=1)
    lowest = np.lexsort((ids, scores))[:10]
    shown = [line.split() for line in done.printed.split("\n\n")[2].splitlines()[2:]]
    assert shown == [
        [str(ids[i]), str(labels[i]), str(predicted[i]), f"{scores[i]:.6f}"] for i in lowest
    ]
    assert done.metrics["mean_label_quality", None] == scores.mean()  # exact: sums of quarters
    for k in range(n_classes):
        given, name = labels == k, str(k)
        mean = pytest.approx(scores[given].mean(), rel=1e-15)
        assert done.metrics["class_rows", name] == given.sum()
        assert done.metrics["class_mean_label_quality", name] == mean
        otherwise = (predicted[given] != k).sum()
        assert done.metrics["class_rows_predicted_otherwise", name] == otherwise


def test_many_classes_are_cut_in_the_summary_alone(run):
    n = 30
    probs = np.full((n, n), 0.5 / (n - 1))
    np.fill_diagonal(probs, 0.5)
    done = run(pa.table({"id": np.arange(n), "label": np.arange(n), "pred_probs": list(probs)}))
    assert "by given class, the lowest 20 of 30:" in done.printed
    assert len([1 for name, _ in done.metrics if name == "class_rows"]) == n


@pytest.mark.parametrize(
    ("told", "n_classes", "expected"),
    [
        (10_000, 3, 10_000),  # narrow rows: as the session says
        (1_000_000, 4_000, (32 << 20) // (8 * 4_000)),
        (50, 4_000, 50),
        (0, 4_000, (32 << 20) // (8 * 4_000)),  # 0: no bound of the session's own
    ],
)
def test_batches_of_wide_rows_are_bounded_in_bytes(
    told, n_classes, expected, run, batch_size, assert_same_bits
):
    pred_probs = np.random.default_rng(0).dirichlet(np.ones(n_classes), 3).astype(np.float32)
    batch_size(told)
    done = run(pa.table({**SIMPLE, "pred_probs": list(pred_probs)}))
    assert done.settings.get(ARROW_BATCHES, str(told)) == str(expected)
    scores = done.scores.sort_by("label")["label_quality"].to_numpy()
    assert_same_bits(scores, pred_probs.diagonal().astype(np.float64))


@pytest.mark.parametrize("adjust", [False, True], ids=["plain", "adjusted"])
def test_thresholds_are_saved_whether_they_are_used_or_not(adjust, run, tmp_path, by_id):
    saved = tmp_path / "thresholds.json"
    labels, pred_probs = SIMPLE["label"].to_pylist(), SIMPLE["pred_probs"]
    done = run(pa.table(SIMPLE), save_thresholds=str(saved), adjust_pred_probs=adjust)
    assert Thresholds.load(saved).values == tuple(get_confident_thresholds(labels, pred_probs))
    assert done.metrics["class_threshold", "0"] == 0.75
    expected = multiclass.get_label_quality_scores(labels, pred_probs, adjust_pred_probs=adjust)
    scores = by_id(done.scores, pa.table(SIMPLE)["id"])
    np.testing.assert_array_equal(scores["label_quality"], expected)


def test_new_rows_are_scored_by_saved_thresholds_as_they_are(run, tmp_path, assert_same_bits):
    Thresholds((0.5, 0.25, 0.75), (5, 3, 1)).save(tmp_path / "saved.json")
    options = {"adjust_pred_probs": True, "method": "normalized_margin"}
    done = run(pa.table(SIMPLE), thresholds=str(tmp_path / "saved.json"), **options)
    labels, pred_probs = SIMPLE["label"].to_numpy(), np.array(SIMPLE["pred_probs"])
    expected = score_rows(labels, pred_probs, "normalized_margin", np.array([0.5, 0.25, 0.75]))
    assert_same_bits(done.scores.sort_by("label")["label_quality"].to_numpy(), expected)
    assert done.metrics_named("class_threshold") == {"0": 0.5, "1": 0.25, "2": 0.75}


def test_a_class_has_one_name_in_all_metrics(run):
    done = run(pa.table(SIMPLE), classes=["cat", "dog", "horse"], adjust_pred_probs=True)
    details = {
        metric: {detail for name, detail in done.metrics if name == metric}
        for metric in ("class_rows", "class_threshold")
    }
    assert details["class_rows"] == details["class_threshold"]


GOOD = [0.7, 0.2, 0.1]

LABELS = [0, 1, 2, 1, 0]
PROBS = [GOOD, [0.1, 0.8, 0.1], [0.2, 0.3, 0.5], [0.3, 0.4, 0.3], [0.2, 0.2, 0.6]]


def table_of(ids, labels, pred_probs, id_type=None, label_type=None):
    return pa.table(
        {
            "id": pa.array(ids, id_type or pa.int64()),
            "label": pa.array(labels, label_type or pa.int32()),
            "pred_probs": pa.array(pred_probs, pa.list_(pa.float64())),
        }
    )


def with_rows(ids, labels, pred_probs):
    """Return the five good rows, ids 0 to 4, and further ones."""
    return table_of([*range(5), *ids], [*LABELS, *labels], [*PROBS, *pred_probs])


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        (["a", "b", "a"], "duplicate id: 2"),
        (["a", "b", None], "null id: 1"),
        # As numbers these are far apart, and are told apart in another way.
        ([0, 1 << 62, 1 << 62], "duplicate id: 2"),
    ],
    ids=str,
)
def test_other_ids_that_do_not_tell_rows_apart_stop_the_run(ids, reason, run):
    kind = pa.string() if "a" in ids else pa.int64()
    assert re.search(reason, run(table_of(ids, LABELS[:3], PROBS[:3], kind), ends=1).error)


def test_a_string_label_that_is_no_class_is_a_fault(run):
    table = table_of(range(4), ["a", "b", "x", None], PROBS[:4], label_type=pa.string())
    assert re.search(
        r"label not in classes: 1 \('.*'; id 2\); null label: 1",
        run(table, ends=1, classes=["a", "b", "c"]).error,
    )
    done = run(table, classes=["a", "b", "c"], on_invalid="quarantine")
    assert sorted(done.scores["label"].to_pylist()) == ["a", "b"]
    assert sorted(done.quarantine["id"].to_pylist()) == [2, 3]


def test_a_guessed_number_of_classes_decides_over_no_row(run):
    table = with_rows([5, 6], [0, 1], [[0.5, 0.5], [0.4, 0.6]])
    hint = "pred_probs of wrong length: .*; K = 3 was read off the first row, give n_classes"
    for on_invalid in ("fail", "quarantine"):
        assert re.search(hint, run(table, ends=1, on_invalid=on_invalid).error)
    done = run(table, on_invalid="quarantine", n_classes=3)
    assert done.reasons == {"pred_probs of wrong length": 2}


def test_sums_are_judged_by_the_tolerance(run):
    table = table_of([1, 2], [0, 1], [[0.72, 0.3], [0.5, 0.5]])
    assert re.search(r"do not sum to 1: 1 \(id 1\)", run(table, ends=1).error)
    assert run(table, tolerance=0.03).scores.num_rows == 2


@pytest.mark.parametrize(
    "adjust",
    [False, True],
    ids=["plain", "adjusted"],
)
@pytest.mark.parametrize("told", [{"n_classes": 4}, {"classes": ["a", "b", "c", "d"]}], ids=str)
def test_rows_that_all_have_another_number_of_classes_are_bad_rows(adjust, told, run):
    assert re.search(
        r"5 of 5 .*: pred_probs of wrong length: 5 ",
        run(with_rows([], [], []), ends=1, adjust_pred_probs=adjust, **told).error,
    )


def test_rows_that_all_have_another_number_of_classes_are_set_aside(run):
    done = run(with_rows([], [], []), n_classes=4, on_invalid="quarantine", adjust_pred_probs=True)
    assert done.reasons == {"pred_probs of wrong length": 5}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("label", pa.date32()),
        ("label", pa.timestamp("us")),
        ("label", pa.decimal128(5, 2)),
        ("id", pa.float64()),
        ("id", pa.list_(pa.int64())),
        ("pred_probs", pa.string()),
        ("pred_probs", pa.int64()),
        ("pred_probs", pa.list_(pa.int32())),
        ("pred_probs", pa.list_(pa.string())),
        ("pred_probs", pa.list_(pa.list_(pa.float64()))),
        ("pred_probs", pa.map_(pa.int32(), pa.float64())),
        ("pred_probs", pa.struct([("a", pa.string())])),
    ],
    ids=str,
)
def test_a_column_of_another_type_is_refused_before_any_row_is_read(name, kind, run):
    table = pa.table({**SIMPLE, name: pa.nulls(3, kind)})
    assert re.search(f"{name}: column '{name}' is .*; allowed are ", run(table, ends=2).error)


def test_a_single_class_is_refused(run):
    assert re.search(
        "at least 2 classes, got K = 1",
        run(pa.table({"id": [1, 2], "label": [0, 0], "pred_probs": [[1.0], [1.0]]}), ends=1).error,
    )


def test_a_file_of_another_kind_is_refused(run, tmp_path):
    (tmp_path / "text").write_text("id,label\n")
    run(str(tmp_path / "text"), ends=2)


@pytest.fixture
def saved_thresholds(tmp_path):
    """Write a thresholds file; return its path."""

    def save(content):
        path = tmp_path / "given.json"
        if isinstance(content, Thresholds):
            content.save(path)
        else:
            path.write_text(content)
        return str(path)

    return save


NAMED = Thresholds((0.5, 0.5, 0.5), (1, 1, 1), ("a", "b", "c"))
HEAD = {"format": "lq_spark.thresholds", "format_version": 1, "class_counts": [1, 1, 1]}


@pytest.mark.parametrize(
    ("flags", "thresholds", "message"),
    [
        ({"n_classes": 4, "classes": ["a", "b", "c"]}, None, "classes has 3 names, K is 4"),
        ({"n_classes": 4}, NAMED, "thresholds has K = 3 classes, n_classes is 4"),
        ({"n_classes": 2}, Thresholds((0.5,) * 3, (1,) * 3), "thresholds has K = 3 cl"),
        ({"classes": ["a", "c", "b"]}, NAMED, r"classes \['a', 'b', 'c'\], classes is \['a', 'c'"),
        ({"classes": ["a", "b"]}, Thresholds((0.5,) * 3, (1,) * 3), "classes has 2 names, K is 3"),
        ({"classes": ["a"]}, None, "classes must have at least 2 names"),
        ({"classes": ["a", "b", "a"]}, None, "classes must not have a name twice, got 'a'"),
    ],
    ids=str,
)
def test_what_is_said_of_the_classes_must_agree(flags, thresholds, message, run, saved_thresholds):
    if thresholds is not None:
        flags = {**flags, "thresholds": saved_thresholds(thresholds), "adjust_pred_probs": True}
    assert re.search(message, run(pa.table(SIMPLE), ends=2, **flags).error)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"format": "another"}',
        json.dumps({**HEAD, "format_version": 99, "thresholds": [1, 1, 1], "classes": None}),
        json.dumps({**HEAD, "classes": None}),
        json.dumps({**HEAD, "thresholds": [0.5, 0.5], "classes": None}),
        *(
            json.dumps({**HEAD, "thresholds": values, "classes": None})
            for values in ([None, 0.5, 0.5], [float("nan"), 0.5, 0.5], [9.5, 0.5, 0.5], 3)
        ),
    ],
)
def test_a_file_of_other_than_thresholds_is_refused(content, run, saved_thresholds):
    assert re.search(
        r"^thresholds",
        run(
            pa.table(SIMPLE),
            ends=(1, 2),
            thresholds=saved_thresholds(content),
            adjust_pred_probs=True,
        ).error,
    )


def test_thresholds_that_are_not_there_are_refused(run, tmp_path):
    assert re.search(
        "thresholds: cannot read",
        run(
            pa.table(SIMPLE), ends=2, thresholds=str(tmp_path / "no.json"), adjust_pred_probs=True
        ).error,
    )
