"""Rows that cannot be scored, through a whole run: each fault alone and all at once."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lq_spark
from lq_spark.core import multiclass
from lq_spark.engine.kinds import engine_of
from lq_spark.errors import InvalidRowsError, LqError
from lq_spark.job.config_file import load_config

NAN, INF = float("nan"), float("inf")
GOOD = [0.7, 0.2, 0.1]

# (name, label, probabilities, reason) of a row that cannot be scored with K = 3.
FAULTS = [
    ("label K", 3, GOOD, "label out of range"),
    ("label far above", 2_000_000_000, GOOD, "label out of range"),
    ("label -1", -1, GOOD, "label out of range"),
    ("no label", None, GOOD, "null label"),
    ("no list", 0, None, "null pred_probs"),
    ("empty list", 0, [], "pred_probs of wrong length"),
    ("short list", 0, [0.5, 0.5], "pred_probs of wrong length"),
    ("long list", 0, [0.7, 0.1, 0.1, 0.1], "pred_probs of wrong length"),
    ("null given", 0, [None, 0.5, 0.5], "null probability"),
    ("null elsewhere", 0, [0.5, 0.5, None], "null probability"),
    ("NaN given", 0, [NAN, 0.5, 0.5], "probability not finite"),
    ("NaN elsewhere", 0, [0.5, 0.5, NAN], "probability not finite"),
    ("infinite", 0, [INF, 0.0, 0.0], "probability not finite"),
    ("minus infinite", 0, [0.5, -INF, 0.5], "probability not finite"),
    ("below 0", 0, [0.6, 0.5, -0.1], "probability below 0"),
    ("above 1", 0, [1.1, 0.0, 0.0], "probability above 1"),
    ("sum below 1", 0, [0.5, 0.2, 0.1], "probabilities do not sum to 1"),
    ("sum above 1", 0, [0.7, 0.3, 0.1], "probabilities do not sum to 1"),
]
ONE_OF_EACH = list({fault[3]: fault for fault in FAULTS}.values())
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


@pytest.mark.parametrize("fault", ONE_OF_EACH, ids=lambda fault: fault[0])
def test_one_such_row_stops_the_run(fault, run, failed_runs, tmp_path):
    _, label, probs, reason = fault
    # The adjusted path fits thresholds first, which looks at one probability a row alone.
    adjust = ONE_OF_EACH.index(fault) % 2 == 0
    with pytest.raises(InvalidRowsError) as error:
        run(with_rows([77], [label], [probs]), n_classes=3, adjust_pred_probs=adjust)
    assert str(error.value) == f"1 of 6 rows cannot be scored: {reason}: 1 (id 77)"
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"input.parquet", ".scores.lock", "scores_metrics"}
    assert pq.read_table(tmp_path / "scores_metrics").num_rows == 1
    assert failed_runs(tmp_path / "scores_metrics") == ["InvalidRowsError"]


@pytest.mark.parametrize("adjust", [False, True], ids=["plain", "adjusted"])
def test_all_such_rows_are_counted_and_named(adjust, run):
    ids = range(10, 10 + len(FAULTS))
    _, labels, probs, reasons = zip(*FAULTS, strict=True)
    with pytest.raises(InvalidRowsError) as error:
        run(with_rows(ids, labels, probs), n_classes=3, adjust_pred_probs=adjust)
    message = str(error.value)
    assert message.startswith(f"{len(FAULTS)} of {5 + len(FAULTS)} rows cannot be scored: ")
    for reason in set(reasons):
        named = [key for key, other in zip(ids, reasons, strict=True) if other == reason]
        assert f"{reason}: {len(named)} (id {', '.join(map(str, named))})" in message


@pytest.mark.parametrize("adjust", [False, True], ids=["plain", "adjusted"])
def test_all_such_rows_are_set_aside_and_the_others_scored_as_if_alone(
    adjust, run, by_id, assert_same_bits
):
    ids = range(10, 10 + len(FAULTS))
    _, labels, probs, reasons = zip(*FAULTS, strict=True)
    table = with_rows(ids, labels, probs)
    flags = {"on_invalid": "quarantine", "n_classes": 3, "adjust_pred_probs": adjust}
    done = run(table, **flags)

    set_aside = by_id(done.quarantine, pa.chunked_array([list(ids)]))
    assert set_aside.column_names == ["id", "label", "pred_probs", "invalid_reason"]
    assert set_aside["invalid_reason"].to_pylist() == list(reasons)
    assert set_aside["label"].to_pylist() == list(labels)
    assert str(set_aside["pred_probs"].to_pylist()) == str(list(probs))  # NaN is not NaN
    assert done.report.quarantined == {reason: reasons.count(reason) for reason in reasons}
    counts = {detail: n for name, detail, n in done.report.metrics() if name == "rows_quarantined"}
    assert counts == {None: len(FAULTS), **done.report.quarantined}

    scores = by_id(done.scores, pa.chunked_array([list(range(5))]))
    expected = multiclass.get_label_quality_scores(LABELS, PROBS, adjust_pred_probs=adjust)
    assert_same_bits(scores["label_quality"].to_numpy(), expected)


def test_ids_that_do_not_tell_rows_apart_are_faults_of_every_row_that_has_them(run):
    table = table_of([1, None, 2, 1, None, 3], [*LABELS, 0], [*PROBS, GOOD])
    with pytest.raises(InvalidRowsError) as error:
        run(table)
    assert "4 of 6 rows cannot be scored: duplicate id: 2 (id 1" in str(error.value)
    assert "null id: 2 (" in str(error.value)
    done = run(table, on_invalid="quarantine")
    assert sorted(done.scores["id"].to_pylist()) == [2, 3]
    assert done.report.quarantined == {"duplicate id": 2, "null id": 2}
    assert done.quarantine.num_rows == 4


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
    with pytest.raises(InvalidRowsError, match=reason):
        run(table_of(ids, LABELS[:3], PROBS[:3], kind))


def test_a_string_label_that_is_no_class_is_a_fault(run):
    table = table_of(range(4), ["a", "b", "x", None], PROBS[:4], label_type=pa.string())
    with pytest.raises(
        InvalidRowsError, match=r"label not in classes: 1 \('.*'; id 2\); null label: 1"
    ):
        run(table, classes=["a", "b", "c"])
    done = run(table, classes=["a", "b", "c"], on_invalid="quarantine")
    assert sorted(done.scores["label"].to_pylist()) == ["a", "b"]
    assert sorted(done.quarantine["id"].to_pylist()) == [2, 3]


def test_a_guessed_number_of_classes_decides_over_no_row(run):
    table = with_rows([5, 6], [0, 1], [[0.5, 0.5], [0.4, 0.6]])
    hint = "pred_probs of wrong length: .*; K = 3 was read off the first row, give n_classes"
    for on_invalid in ("fail", "quarantine"):
        with pytest.raises(InvalidRowsError, match=hint):
            run(table, on_invalid=on_invalid)
    done = run(table, on_invalid="quarantine", n_classes=3)
    assert done.report.quarantined == {"pred_probs of wrong length": 2}


def test_sums_are_judged_by_the_tolerance(run):
    table = table_of([1, 2], [0, 1], [[0.72, 0.3], [0.5, 0.5]])
    with pytest.raises(InvalidRowsError, match=r"do not sum to 1: 1 \(id 1\)"):
        run(table)
    assert run(table, tolerance=0.03).scores.num_rows == 2


def test_a_clean_table_has_an_empty_quarantine_of_the_same_columns(run):
    done = run(with_rows([], [], []), on_invalid="quarantine")
    assert done.quarantine.num_rows == 0
    assert done.quarantine.column_names == ["id", "label", "pred_probs", "invalid_reason"]
    counts = {detail: n for name, detail, n in done.report.metrics() if name == "rows_quarantined"}
    assert counts == {None: 0}


@pytest.mark.parametrize(
    "adjust",
    [False, True],
    ids=["plain", "adjusted"],
)
def test_a_table_of_bad_rows_alone_is_set_aside_whole(adjust, run):
    table = table_of([1, 2], [7, 8], PROBS[:2])
    done = run(table, on_invalid="quarantine", adjust_pred_probs=adjust)
    assert (done.scores.num_rows, done.quarantine.num_rows) == (0, 2)


@pytest.mark.parametrize(
    "adjust",
    [False, True],
    ids=["plain", "adjusted"],
)
@pytest.mark.parametrize("told", [{"n_classes": 4}, {"classes": ["a", "b", "c", "d"]}], ids=str)
def test_rows_that_all_have_another_number_of_classes_are_bad_rows(adjust, told, run):
    with pytest.raises(InvalidRowsError, match=r"5 of 5 .*: pred_probs of wrong length: 5 "):
        run(with_rows([], [], []), adjust_pred_probs=adjust, **told)


def test_rows_that_all_have_another_number_of_classes_are_set_aside(run):
    done = run(with_rows([], [], []), n_classes=4, on_invalid="quarantine", adjust_pred_probs=True)
    assert done.report.quarantined == {"pred_probs of wrong length": 5}


def test_a_failed_run_leaves_the_earlier_tables_and_adds_one_row_to_the_metrics(
    run, spark, snapshot, tmp_path
):
    run(with_rows([], [], []), on_invalid="quarantine")
    tables = ["scores", "scores_quarantine"]
    before = [snapshot(tmp_path / table) for table in tables]
    metrics = tmp_path / "scores_metrics"
    metrics_before, n_before = snapshot(metrics), pq.read_table(metrics).num_rows
    started = datetime.datetime.now(datetime.timezone.utc)
    with pytest.raises(InvalidRowsError):
        run(with_rows([5], [9], [GOOD]))
    assert [snapshot(tmp_path / table) for table in tables] == before
    metrics_now = snapshot(metrics)
    assert metrics_before.items() <= metrics_now.items()
    assert len([name for name in metrics_now if name.endswith(".parquet")]) == 2

    rows = pq.read_table(metrics)
    assert rows.num_rows == n_before + 1
    places = {"input": str(tmp_path / "input.parquet"), "output": str(tmp_path / "scores")}
    [row] = [row for row in rows.to_pylist() if row["status"] == "failed"]
    assert row.pop("run_id") not in {
        run_id
        for run_id, status in zip(*(rows[c].to_pylist() for c in ("run_id", "status")), strict=True)
        if status != "failed"
    }
    started_at = row.pop("started_at").replace(tzinfo=datetime.timezone.utc)
    assert datetime.timedelta(0) < started_at - started < datetime.timedelta(minutes=1)
    assert row == {
        "source": places["input"],
        "source_version": None,
        "output": places["output"],
        "config_fingerprint": load_config(None, places).fingerprint,
        "lq_spark_version": lq_spark.__version__,
        "engine": str(engine_of(spark)),
        "status": "failed",
        "metric": "failed",
        "class": "InvalidRowsError",
        "value": 1.0,
    }


@pytest.mark.parametrize(
    ("option", "place", "recorded"),
    [
        ("save_thresholds", "{tmp}/file/thresholds.json", ["TableError"]),
        ("metrics", "{tmp}/file/metrics", []),
        ("save_thresholds", "{tmp}/folder", ["TableError"]),
        ("save_thresholds", "file://{tmp}/thresholds.json", []),  # a config that is not valid
        ("metrics", "{tmp}/file", []),
        ("metrics", "nowhere://host/metrics", []),
    ],
)
def test_a_run_that_cannot_write_all_it_was_asked_for_writes_nothing(
    option, place, recorded, run, snapshot, failed_runs, tmp_path
):
    (tmp_path / "file").write_text("nothing lies below a file\n")
    (tmp_path / "folder").mkdir()
    run(with_rows([], [], []))
    before = snapshot(tmp_path / "scores")
    with pytest.raises(LqError, match=f"^{option}: "):
        run(with_rows([5], [0], [GOOD]), **{option: place.format(tmp=tmp_path)})
    assert snapshot(tmp_path / "scores") == before
    assert failed_runs(tmp_path / "scores_metrics") == recorded
