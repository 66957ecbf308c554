"""Runs of what has changed, of each task: the tables of a run of all rows, or why not."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import fields_of
from task_cases import CASES

BY_ITSELF = {
    "multiclass": {},
    "multiclass adjusted": {"rescore": "always"},
    "multiclass with issues": {"filter_by": "confident_learning", "issue_rank": False},
    "sentences": {"find_issues": False, "issue_rank": False},
    "tokens": {"find_issues": False, "issue_rank": False},
    "multilabel": {"filter_by": "confident_learning", "issue_rank": False},
    "regression": {
        "method": "residual",
        "uncertainty": None,
        "frac_issues": None,
        "threshold": 0.4,
        "issue_rank": False,
    },
    "outliers": {},
    "nulls": {},
    "detection": {"issue_rank": False},
    "segmentation": {},
    "nested images": {},
}
"""The tasks whose rows are judged one by one, and with which options."""


def rows_of(table):
    return sorted(map(repr, table.to_pylist()))


def keys_of(case, options):
    return {name: value for name, value in {**case.options, **options}.items() if value}


@pytest.mark.parametrize("name", BY_ITSELF)
def test_what_has_changed_gives_the_tables_of_a_run_of_all_rows(name, run_in, tmp_path):
    case, folder = CASES[name], tmp_path / "rows"
    table, keys = case.tables()["input"], keys_of(case, BY_ITSELF[name])
    folder.mkdir()
    if "save_fitted" in fields_of(case.task) and case.task not in ("multiclass", "tokens"):
        saved = str(tmp_path / "fitted.json")
        first = {**keys, "save_fitted": saved, "output": str(tmp_path / "first")}
        run_in(tmp_path, {"input": table}, case.task, **first)
        keys["fitted"] = saved
    how = {"rescore": keys.pop("rescore")} if "rescore" in keys else {}
    half = len(table) // 2
    for n, part in enumerate((table.slice(0, half), table.slice(half))):
        seen = pa.array([n] * len(part), pa.int32())
        pq.write_table(part.append_column("seen", seen), folder / f"{n}.parquet")
        since = {"since_last_run": True, "watermark": "seen", **how}
        done = run_in(tmp_path, str(folder), case.task, **keys, **since)
    assert done.metrics["incremental", None] == 1.0
    assert done.metrics["rows_changed", None] == len(table) - half
    every = run_in(tmp_path, str(folder), case.task, output=str(tmp_path / "all"), **keys)
    for ending in case.written:
        assert rows_of(done.table(ending)) == rows_of(every.table(ending))


@pytest.mark.parametrize("name", sorted(set(CASES) - set(BY_ITSELF)))
def test_tasks_that_compare_rows_have_no_such_runs(name, run_in, tmp_path):
    case = CASES[name]
    since = {"since_last_run": True, "watermark": case.key}
    done = run_in(tmp_path, case.tables(), case.task, ends=2, **case.options, **since)
    assert f"since_last_run: the task {case.task} compares rows with each other" in done.error
