"""Runs of what has changed since the last one: the same scores as those of a run of all rows."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark import incremental
from lq_spark.errors import OptionError

K = 4
ANEW = {"adjust_pred_probs": True, "method": "normalized_margin"}


def at(ids, seen, *, seed=0, labels=None):
    """Return rows with a watermark."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(K, 0.5), len(ids))
    given = rng.integers(0, K, len(ids)) if labels is None else labels
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "label": pa.array(given, pa.int32()),
            "pred_probs": pa.array(list(probs)),
            "seen": pa.array([seen] * len(ids), pa.timestamp("us", tz="UTC")),
        }
    )


MORNING, NOON, NIGHT = (1_790_000_000_000_001 + hour * 3_600_000_000 for hour in (6, 12, 23))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rows").mkdir()
    return tmp_path / "rows"


@pytest.fixture
def since(folder, tmp_path, run_in):
    """Run the job of what has changed in a folder of Parquet files, above a watermark."""

    def run(ends=0, **flags):
        flags = {"since_last_run": True, "watermark": "seen", **flags}
        return run_in(tmp_path, str(folder), ends=ends, **flags)

    return run


def add(folder, table):
    pq.write_table(table, folder / f"{len(list(folder.iterdir()))}.parquet")


def sorted_rows(table):
    return table.sort_by("id").to_pylist()


@pytest.mark.parametrize("flags", [{}, ANEW], ids=["without thresholds", "fitted anew"])
def test_rows_above_a_watermark_are_added(folder, since, run_in, tmp_path, flags):
    how = {"rescore": "always"}
    add(folder, at(range(100), MORNING))
    since(**flags, **how)
    for n, seen in enumerate((NOON, NIGHT)):
        add(folder, at(range(100 + 40 * n, 130 + 40 * n), seen, seed=n + 1))
        done = since(**flags, **how)
        assert done.metrics["incremental", None] == 1.0
        assert done.metrics["rows_changed", None] == 30
        assert done.metrics["rows_removed", None] == 0
        assert done.metrics["rows_scored", None] == (30 if not flags else 130 + 30 * n)
        assert done.metrics["rescored", None] == float(bool(flags))
    again = since(**flags, **how)
    assert again.metrics["rows_changed", None] == again.metrics["rows_scored", None] == 0
    found = sorted_rows(again.scores)
    assert len(found) == 160
    every = run_in(tmp_path, str(folder), output=str(tmp_path / "all"), **flags)
    assert found == sorted_rows(every.scores)


def test_scores_are_of_one_set_of_thresholds_until_these_have_moved_too_far(
    folder, since, run_in, tmp_path
):
    add(folder, at(range(400), MORNING))
    used = str(tmp_path / "thresholds.json")
    run_in(tmp_path, str(folder), output=str(tmp_path / "first"), save_thresholds=used, **ANEW)
    first = sorted_rows(since(**ANEW).scores)
    add(folder, at(range(400, 410), NOON, seed=1))
    near = since(**ANEW, rescore_tolerance=0.2)
    shift = near.metrics["threshold_shift", None]
    assert 0.0 < shift < 0.2
    assert near.metrics["rescored", None] == 0.0
    assert f"thresholds moved by {shift:.2g}" in near.printed
    # The new scores are made by the thresholds of the earlier ones, which have not changed.
    assert sorted_rows(near.scores)[:400] == first
    by_used = {**ANEW, "thresholds": used, "output": str(tmp_path / "by_used")}
    assert sorted_rows(near.scores) == sorted_rows(run_in(tmp_path, str(folder), **by_used).scores)
    add(folder, at(range(410, 420), NIGHT, seed=2))
    far = since(**ANEW, rescore_tolerance=shift / 9)
    assert far.metrics["rescored", None] == 1.0
    assert far.metrics["rows_scored", None] == 420
    assert "all rows were scored again" in far.printed
    never = since(**ANEW, rescore="never")
    assert never.metrics["threshold_shift", None] == 0.0


def test_what_was_fitted_elsewhere_stays_as_it_is(folder, since, run_in, tmp_path):
    add(folder, at(range(100), MORNING))
    saved = str(tmp_path / "thresholds.json")
    run_in(tmp_path, str(folder), output=str(tmp_path / "first"), save_thresholds=saved, **ANEW)
    flags = {**ANEW, "thresholds": saved}
    since(**flags)
    add(folder, at(range(100, 150), NOON, seed=1))
    done = since(**flags)
    assert done.metrics["rows_scored", None] == 50
    assert ("threshold_shift", None) not in done.metrics
    every = run_in(tmp_path, str(folder), output=str(tmp_path / "all"), **flags)
    assert sorted_rows(done.scores) == sorted_rows(every.scores)


def test_rows_that_cannot_be_scored_are_set_aside_until_they_can_be(folder, since):
    flags = {"on_invalid": "quarantine"}
    labels = np.zeros(50, dtype=int)
    labels[3] = 9
    add(folder, at(range(50), MORNING, labels=labels))
    first = since(**flags)
    assert first.quarantine["id"].to_pylist() == [3]
    labels = np.zeros(10, dtype=int)
    labels[5] = 7
    add(folder, at(range(50, 60), NOON, labels=labels))
    done = since(**flags)
    assert sorted(done.quarantine["id"].to_pylist()) == [3, 55]
    assert done.metrics["rows_quarantined", None] == 1
    assert len(done.scores) == 58
    # Rows that are written again: one can be scored now, and one no longer.
    kept = np.delete(np.arange(50), [3, 4])
    pq.write_table(at(kept, MORNING, labels=np.zeros(48, dtype=int)), folder / "0.parquet")
    add(folder, at([3, 4], NIGHT, labels=[0, 9]))
    again = since(**flags)
    assert sorted(again.quarantine["id"].to_pylist()) == [4, 55]
    assert {3, 4}.intersection(again.scores["id"].to_pylist()) == {3}


@pytest.mark.parametrize(
    ("change", "flags", "said"),
    [
        (
            lambda folder: (folder / "0.parquet").unlink(),
            {},
            "of 100 rows, 20 new ones above the watermark should make 120, and there are 20: "
            "others were removed, or written with a lower one",
        ),
        (
            lambda folder: add(folder, at([500], MORNING)),
            {},
            "of 100 rows, 20 new ones above the watermark should make 120, and there are 121: "
            "others were removed, or written with a lower one",
        ),
        (
            lambda _: None,
            {"method": "normalized_margin"},
            "the last run had another configuration, or other thresholds in the files it names",
        ),
        (
            lambda folder: add(folder, at([500], None)),
            {},
            "column 'seen', the watermark, is null in 1 rows",
        ),
    ],
    ids=["rows removed", "rows below the watermark", "another configuration", "a null watermark"],
)
def test_what_cannot_be_told_stops_the_run_or_has_all_rows_scored(
    folder, since, run_in, tmp_path, change, flags, said
):
    add(folder, at(range(100), MORNING))
    first = sorted_rows(since().scores)
    add(folder, at(range(100, 120), NOON))
    change(folder)
    if "null" in said:
        assert since(ends=2).error == f"since_last_run: {said}"
        return
    failed = since(ends=1, **flags)
    assert failed.error == (
        f"since_last_run: what has changed cannot be told: {said}; when_not_incremental: full has "
        "all rows scored"
    )
    assert sorted_rows(failed.scores) == first
    done = since(when_not_incremental="full", **flags)
    assert f"all rows were scored: {said}" in done.printed
    assert done.metrics["incremental", None] == 0.0
    every = run_in(tmp_path, str(folder), output=str(tmp_path / "all"), **flags)
    assert sorted_rows(done.scores) == sorted_rows(every.scores)


def test_a_row_written_again_replaces_its_score_but_not_its_part_in_thresholds(folder, since):
    add(folder, at(range(100), MORNING))
    since()
    anew = since(**ANEW, when_not_incremental="full")
    assert anew.metrics["incremental", None] == 0.0
    pq.write_table(at(range(99), MORNING), folder / "0.parquet")
    add(folder, at([99], NOON, labels=[1]))
    assert "1 rows were written again, and what they were" in since(ends=1, **ANEW).error
    since(when_not_incremental="full")
    pq.write_table(at(range(98), MORNING), folder / "0.parquet")
    add(folder, at([98], NIGHT, labels=[2]))
    done = since()
    assert done.metrics["rows_changed", None] == 1
    assert len(done.scores) == 100
    assert {row["id"]: row["label"] for row in sorted_rows(done.scores)}[98] == 2


def test_rows_that_share_an_id_have_all_rows_scored_next_time(folder, since):
    flags = {"on_invalid": "quarantine"}
    add(folder, at(range(50), MORNING))
    since(**flags)
    add(folder, at([60, 60], NOON))
    done = since(**flags)
    assert done.quarantine["id"].to_pylist() == [60, 60]
    assert "set 2 rows aside that share ids" in since(ends=1, **flags).error


def test_an_output_of_another_run_is_not_gone_on_from(folder, since, run_in, tmp_path):
    add(folder, at(range(50), MORNING))
    run_in(tmp_path, str(folder))
    place = str(tmp_path / "scores")
    assert f"the last run that wrote {place!r} was not since_last_run" in since(ends=1).error
    (tmp_path / "scores" / "_lq_spark.json").unlink()
    assert f"{place!r} was not written by such a run" in since(ends=1).error


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"watermark": None}, "a parquet table has no versions; name a watermark"),
        ({"watermark": "there"}, "no column 'there'"),
        ({"watermark": "pred_probs"}, "is array<double>, and must be a number, a text"),
        ({"write_mode": "append"}, "write_mode does not go with it, got 'append'"),
        ({"save_thresholds": "t.json", **ANEW}, "so save_thresholds does not go with it"),
        ({"find_issues": True}, "filter_by 'prune_by_noise_rate' compares all rows"),
        (
            {"find_issues": True, "filter_by": "confident_learning", "issue_rank": True},
            "issue_rank ranks all rows",
        ),
        ({"since_last_run": False}, "watermark is given, so since_last_run must be true"),
    ],
)
def test_what_does_not_go_with_it_is_refused_before_anything_is_scored(folder, since, flags, said):
    add(folder, at(range(50), MORNING))
    assert said in since(ends=2, **flags).error


def test_a_dry_run_says_from_where_it_would_go_on(folder, since):
    add(folder, at(range(50), MORNING))
    assert "since       all rows: there are no scores\n" in since(dry_run=True).printed
    since()
    said = f"since       what has changed since watermark {MORNING} and n_rows 50\n"
    assert said in since(dry_run=True).printed
    other = {"method": "normalized_margin", "dry_run": True}
    assert "another configuration" in since(ends=1, **other).error
    full = since(when_not_incremental="full", **other).printed
    assert "since       all rows were scored: the last run had another configuration" in full


def test_a_stream_scores_nothing_again(tmp_path):
    keys = {"input": "rows", "output": str(tmp_path / "scores"), "n_classes": K}
    with pytest.raises(OptionError, match=r"^earlier rows of a stream cannot be scored again, so"):
        incremental.for_each_batch(**keys, **ANEW)
    incremental.for_each_batch(**keys, **ANEW, rescore="never")
    with pytest.raises(OptionError, match=r"^a stream has no watermark column"):
        incremental.for_each_batch(**keys, watermark="seen")
    with pytest.raises(OptionError, match="labl"):
        incremental.for_each_batch(**keys, labl="label")


def test_a_notebook_has_the_outcome(spark, folder, tmp_path):
    add(folder, at(range(50), MORNING))
    keys = {"input": str(folder), "output": str(tmp_path / "scores"), "watermark": "seen"}
    assert incremental.run(spark, **keys).metrics["incremental", None] == 0.0
    add(folder, at([50], NOON))
    assert incremental.run(spark, **keys).metrics["rows_scored", None] == 1.0
