"""What the job of every task does alike, on the tables of task_cases.py.

What is of one task alone, and that its numbers are those of core, stands in a file a task.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from runs import Done, fields_of, left_in
from task_cases import CASES, Case, counted, rekeyed, spoilt

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
each_fault = pytest.mark.parametrize(
    ("case", "fault"),
    [
        pytest.param(case, fault, id=f"{name}-{fault.reason}")
        for name, case in CASES.items()
        # One for each reason; all others too are in the table of them all.
        for fault in {(fault.table, counted(fault.reason)): fault for fault in case.faults}.values()
    ],
)


@dataclass(frozen=True)
class Good:
    """A good run and a second one of the same rows: the first's tables, and the second run."""

    folder: Path
    first: Done
    tables: dict[str, pa.Table]
    second: Done


@pytest.fixture(scope="module")
def good(run_in, tmp_path_factory):
    """Run each case twice, the second time with conditions; its tables are not to be changed."""
    made: dict[int, Good] = {}

    def of(case: Case) -> Good:
        if id(case) not in made:
            folder = tmp_path_factory.mktemp("good")
            is_fitted = "save_fitted" in fields_of(case.task)
            saved = {"save_fitted": f"{folder}/fitted.json"} if is_fitted else {}
            if case.task in ("multiclass", "tokens") and "find_issues" not in case.options:
                saved = {}
            keys = {**case.options, **saved}
            first = run_in(folder, case.tables(), case.task, **keys)
            tables = {ending: first.table(ending) for ending in case.written}
            scored = "rows_scored"
            conditions = {
                "fail_if": [f"{scored} == previous({scored})", f"{scored} < 0"],
                "warn_if": [f"{name} < -1e9" for name in (*case.metrics, *case.class_metrics)],
            }
            second = run_in(folder, case.tables(), case.task, ends=3, **keys, **conditions)
            made[id(case)] = Good(folder, first, tables, second)
        return made[id(case)]

    return of


def rows_of(table: pa.Table) -> list[str]:
    """Return the rows of a table in one order: equal texts of numbers are equal bits."""
    return sorted(map(repr, table.to_pylist()))


def names_of(case: Case, found: dict[tuple[str, str | None], Any]) -> tuple[set[str], set[str]]:
    """Return the metrics of the table, and those of each class."""
    whole = {name for name, of in found if of is None}
    told = {name for name, of in found if of is not None} - {"seconds", "fail_if", "warn_if"}
    return whole, told - {"rows_quarantined", "annotations_quarantined", "model_weight"}


def inputs_of(case: Case) -> set[str]:
    return {f"{option}.parquet" for option in case.inputs}


@each_case
def test_a_good_run_writes_its_tables_and_nothing_else(case, good):
    found = good(case)
    assert found.first.errors == ""
    for ending, columns in case.written.items():
        assert tuple(found.tables[ending].column_names) == columns
        assert found.tables[ending].num_rows > 0
    records = {Path(spec.name).name for spec in found.first.config.records.values()}
    assert left_in(found.folder) == {
        *inputs_of(case),
        *(f"scores{ending}" for ending in case.written),
        *(["fitted.json"] if "save_fitted" in found.first.keys else []),
        *records,
    }
    for place in (*(f"scores{ending}" for ending in case.written), "scores_metrics"):
        assert str(found.folder / place) in found.first.printed


@each_case
def test_a_run_records_its_metrics(case, good):
    metrics = good(case).first.metrics
    assert names_of(case, metrics) == (set(case.metrics), set(case.class_metrics))
    n_rows = good(case).tables[""].num_rows
    assert metrics["rows", None] == metrics["rows_scored", None] == n_rows
    assert metrics["rows_quarantined", None] == 0
    rows = good(case).first.table("_metrics").to_pylist()
    [first] = {row["status"] for row in rows if row["run_id"] == good(case).first.run_id}
    assert first == "succeeded"
    phases = good(case).first.metrics_named("seconds")
    assert {"open", "keys", "scores", "summary", "write"} <= set(phases)
    assert "invalid rows" not in phases  # rows are looked at one by one only where one is bad
    assert all(0 <= seconds < 180 for seconds in phases.values())


@each_case
def test_a_second_run_replaces_the_tables_and_measures_drift(case, good):
    found = good(case)
    for ending, table in found.tables.items():
        assert rows_of(found.second.table(ending)) == rows_of(table)
    assert not [name for name, _ in found.first.metrics if name.startswith("drift_")]
    drift = {key: value for key, value in found.second.metrics.items() if "drift_" in key[0]}
    assert {name for name, _ in drift} == set(case.drift)
    assert set(drift.values()) == ({0.0} if case.drift else set())
    assert ("drift since the earlier run: " in found.second.printed) == bool(case.drift)
    same = {key: v for key, v in found.first.metrics.items() if key[0] != "seconds"}
    assert same.items() <= found.second.metrics.items()


@each_case
def test_a_met_condition_ends_the_run_with_3_and_its_tables_are_there(case, good):
    second, scored = good(case).second, "rows_scored"
    n_rows = good(case).tables[""].num_rows
    lines = second.printed.splitlines()
    assert f"fail_if MET: {scored} == previous({scored}): {scored} {n_rows}" in second.printed
    assert f"fail_if not met: {scored} < 0: {scored} {n_rows}" in lines
    assert second.metrics["fail_if", f"{scored} == previous({scored})"] == 1.0
    assert second.metrics["fail_if", f"{scored} < 0"] == 0.0
    warnings = second.metrics_named("warn_if")
    assert len(warnings) == len(case.metrics) + len(case.class_metrics)  # each can be named
    assert not any(warnings.values())
    rows = second.table("_metrics").to_pylist()
    [status] = {row["status"] for row in rows if row["run_id"] == second.run_id}
    assert status == "gate_failed"


@each_case
def test_what_a_run_saved_judges_the_same_rows_alike(case, good, run):
    first = good(case).first
    if "save_fitted" not in first.keys:
        pytest.skip("nothing is fitted that could be saved")
    if first.config.folders:
        pytest.skip("rows are saved, for others to be compared with: test_outlier_references")
    again = run(case.tables(), case.task, **case.options, fitted=first.keys["save_fitted"])
    for ending, table in good(case).tables.items():
        assert rows_of(again.table(ending)) == rows_of(table)


def assert_named(
    case: Case, tables: dict[str, pa.Table], bad: dict[str, list[dict[str, Any]]], done: Done
) -> None:
    """Assert that an error tells of each reason how many rows it has, and names their keys."""
    keys = tables["input"][case.key].to_pylist()
    n_rows = len(set(keys) if case.shape == "tokens" else keys)
    for option, rows in bad.items():
        counts = counts_of(case, option, rows)
        of = f" of {n_rows} {case.counted}" if option == "input" else " annotations"
        assert not rows or f"{sum(counts.values())}{of} cannot be scored: " in done.error
        for reason, count in counts.items():
            keys = {row[case.key] for row in rows if counted(row["invalid_reason"]) == reason}
            some = ", ".join(map(str, sorted(keys, key=repr)[:5])) + ", …" * (len(keys) > 5)
            assert f"{reason}: {count} ({case.key} {some})" in done.error


def counts_of(case: Case, option: str, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many rows there are for each reason; of a row a token, sentences."""
    told = [(counted(row["invalid_reason"]), row[case.key]) for row in rows]
    return Counter(reason for reason, _ in (set(told) if case.shape == "tokens" else told))


@each_fault
def test_one_bad_row_stops_a_run_and_is_named(case, fault, run, failed_runs, tmp_path):
    tables, bad = spoilt(case, [fault])
    assert_named(case, tables, bad, run(tables, case.task, ends=1, **case.options))
    assert left_in(tmp_path) == {*inputs_of(case), "scores_metrics"}
    assert failed_runs(tmp_path / "scores_metrics") == ["InvalidRowsError"]


@each_case
def test_bad_rows_stop_a_run_and_leave_the_earlier_tables(
    case, good, run, snapshot, failed_runs, tmp_path
):
    shutil.copytree(good(case).folder, tmp_path, dirs_exist_ok=True)
    tables, bad = spoilt(case, case.faults)
    before = snapshot(tmp_path)
    keys = {**case.options, "save_fitted": f"{tmp_path}/fitted.json"}
    keys = {name: keys[name] for name in keys if name in good(case).first.keys}
    done = run(tables, case.task, ends=1, **keys)
    assert_named(case, tables, bad, done)
    now = snapshot(tmp_path)
    changed = {name for name in now if now[name] != before.get(name)} | set(before) - set(now)
    of_metrics = {name for name in changed if name.startswith("scores_metrics/")}
    assert changed - of_metrics == inputs_of(case)
    assert not of_metrics & set(before)  # files are added
    assert failed_runs(tmp_path / "scores_metrics") == ["InvalidRowsError"]

    planned = run(tables, case.task, ends=1, dry_run=True, **keys)
    assert counted(case.faults[-1].reason) in planned.error or case.shape == "crowd"
    assert snapshot(tmp_path) == now


@each_case
def test_bad_rows_are_set_aside_and_the_others_are_scored_as_if_alone(case, good, run):
    tables, bad = spoilt(case, case.faults)
    done = run(tables, case.task, on_invalid="quarantine", **case.options)
    for ending, table in good(case).tables.items():
        assert rows_of(done.table(ending)) == rows_of(table)
    for option, ending in (("input", ""), ("annotations", "_annotations")):
        if option not in bad:
            continue
        aside = done.table(f"_quarantine{ending}")
        assert aside.column_names == [*tables[option].column_names, "invalid_reason"]
        assert rows_of(aside) == sorted(map(repr, bad[option]))
        counts = counts_of(case, option, bad[option])
        name = f"{'rows' if option == 'input' else option}_quarantined"
        assert done.metrics_named(name) == {None: sum(counts.values()), **counts}
    counts = counts_of(case, "input", bad["input"])
    n_bad, n_good = sum(counts.values()), good(case).tables[""].num_rows
    assert "invalid rows" in done.metrics_named("seconds")
    assert done.metrics["rows_scored", None] == n_good
    assert done.metrics["rows", None] == n_good + n_bad
    told = "; ".join(f"{reason}: {n}" for reason, n in most_first(counts))
    assert f"scores_quarantine ({n_bad} {case.counted}: {told})" in done.printed


@each_case
def test_a_table_of_bad_rows_alone_is_set_aside_whole(case, good, run):
    tables, bad = spoilt(case, case.faults)
    for option, table in tables.items():
        tables[option] = table.slice(table.num_rows - len(bad[option]))
    done = run(tables, case.task, on_invalid="quarantine", **case.options)
    for ending in case.written:
        assert done.table(ending).num_rows == 0
        assert done.table(ending).column_names == good(case).tables[ending].column_names
    assert done.quarantine.num_rows == len(bad["input"])


def most_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


@each_case
def test_a_rerun_merges_or_appends_as_configured(case, good, run, tmp_path):
    some = rekeyed(case, {k: k + 12 for k in range(12)} | {k: k + 88 for k in range(12, 18)})
    places = {mode: str(tmp_path / mode) for mode in ("merge", "append")}
    alone = run(some, case.task, **case.options, on_invalid="quarantine")
    assert alone.quarantine.num_rows == 0
    assert alone.quarantine.column_names[-1] == "invalid_reason"
    for mode, output in places.items():
        for ending in case.written:
            shutil.copytree(good(case).folder / f"scores{ending}", f"{output}{ending}")
        done = run(some, case.task, **case.options, write_mode=mode, output=output)
        for ending, key in case.merged.items():
            new = alone.table(ending).to_pylist()
            replaced = {row[key] for row in new} if mode == "merge" else set()
            old = good(case).tables[ending].to_pylist()
            kept = [row for row in old if row[key] not in replaced]
            assert bool(replaced) == (len(kept) < len(old))
            assert rows_of(done.table(ending)) == sorted(map(repr, [*kept, *new]))


@each_case
def test_a_dry_run_tells_the_columns_of_the_tables_and_writes_nothing(case, good, run, tmp_path):
    planned = run(case.tables(), case.task, dry_run=True, **case.options)
    assert left_in(tmp_path) == inputs_of(case)
    lines = planned.printed.splitlines()
    assert lines[-1] == "nothing was scored or written"
    assert any(line.startswith("passes      the keys; ") for line in lines)
    assert lines[0].startswith(f"input       {tmp_path}/input.parquet (parquet")
    for ending, table in good(case).tables.items():
        [at] = [n for n, line in enumerate(lines) if f" {tmp_path}/scores{ending} (" in line]
        told = lines[at + 1 : at + 1 + table.num_columns]
        assert {line.split()[0] for line in told} == set(table.column_names)
        assert not lines[at + 1 + table.num_columns].startswith("  ")


def types_of(table: pa.Table) -> dict[str, str]:
    """Return the types of columns; what the elements of lists are called is the engine's."""
    kinds = ((field.name, str(field.type)) for field in table.schema)
    return {
        name: kind.replace("<element: ", "<item: ").replace(" not null", "") for name, kind in kinds
    }


@each_case
def test_a_table_without_rows_gives_tables_without_rows(case, good, run):
    tables = {option: table.slice(0, 0) for option, table in case.tables().items()}
    done = run(tables, case.task, on_invalid="quarantine", **case.options)
    for ending, table in good(case).tables.items():
        assert done.table(ending).num_rows == 0
        assert types_of(done.table(ending)) == types_of(table)
    aside = done.quarantine
    assert aside.num_rows == 0
    assert aside.column_names == [*tables["input"].column_names, "invalid_reason"]
    assert f"0 of 0 {case.counted} scored" in done.printed
    whole, _ = names_of(case, done.metrics)
    assert whole == set(case.metrics)
    not_of_rows = ("seconds", "classes", "read_by_workers")
    numbers = {key: v for key, v in done.metrics.items() if key[0] not in not_of_rows}
    assert set(numbers.values()) == {0.0, None}
    assert done.metrics["rows_scored", None] == 0


def columns_of(*, but: tuple[str, ...] = ()) -> Any:
    """Return each case with each of its columns: the option and the name of the first."""
    return pytest.mark.parametrize(
        ("case", "option"),
        [
            pytest.param(case, option, id=f"{name}-{option}")
            for name, case in CASES.items()
            for option in case.columns()
            if option not in but
        ],
    )


def first_name(case: Case, option: str) -> str:
    names = case.columns()[option]
    return names if isinstance(names, str) else names[0]


def assert_refused(done: Done, failed_runs: Any, folder: Path, case: Case) -> None:
    assert done.code == 2
    assert left_in(folder) == {*inputs_of(case), "scores_metrics"}
    assert failed_runs(folder / "scores_metrics") == ["ColumnError"]


@columns_of()
def test_a_missing_column_is_named(case, option, run, failed_runs, tmp_path):
    names = case.columns()[option]
    told = "no_such" if isinstance(names, str) else ["no_such", *names[1:]]
    done = run(case.tables(), case.task, ends=2, **{**case.options, option: told})
    assert re.match(rf"{option}: no column 'no_such' in the table; it has '", done.error)
    assert_refused(done, failed_runs, tmp_path, case)


@columns_of(but=("token", "columns", "by"))  # which may be anything that can be shown, or null
def test_a_column_of_another_type_is_refused(case, option, run, failed_runs, tmp_path):
    name = first_name(case, option)
    tables = case.tables()
    for place, table in tables.items():
        if name in table.column_names:
            kind = pa.map_(pa.date32(), pa.date32())
            at = table.column_names.index(name)
            tables[place] = table.set_column(at, name, pa.nulls(table.num_rows, kind))
    done = run(tables, case.task, ends=2, **case.options)
    assert re.match(rf"{option}: column '{name}'.* is map", done.error)
    assert_refused(done, failed_runs, tmp_path, case)


@each_case
def test_a_column_of_the_name_of_a_new_one_is_refused(case, run, failed_runs, tmp_path):
    # Of a row a token, a sentence's columns are in no one's way; of a crowd's, those that are kept.
    made = case.written["_tokens" if case.shape == "tokens" else ""]
    kept = case.shape == "crowd"
    added = [name for name in made if name not in case.tables()["input"].column_names]
    for name in (*added, added[0].upper(), "invalid_reason"):
        tables = {
            option: table.append_column(name, pa.nulls(table.num_rows, pa.float64()))
            for option, table in case.tables().items()
        }
        keys = {"on_invalid": "quarantine", "keep_columns": [name] if kept else []}
        done = run(tables, case.task, ends=2, **keys, **case.options)
        assert re.search(rf"(?i)the table already has '{name}'", done.error)
    assert left_in(tmp_path) == {*inputs_of(case), "scores_metrics"}


@each_case
def test_a_kept_column_must_be_there(case, run, failed_runs, tmp_path):
    done = run(case.tables(), case.task, ends=2, **case.options, keep_columns=["no_such"])
    assert re.match("keep_columns.*'no_such'", done.error)
    assert_refused(done, failed_runs, tmp_path, case)


@each_case
@pytest.mark.parametrize(
    ("keys", "message"),
    [
        pytest.param({"no_such": 1}, "unknown config key 'no_such'; known are 'task', ", id="key"),
        pytest.param({"fail_if": ["no_such > 1"]}, "a metric must be one of '", id="metric"),
        pytest.param({"quarantine": "./q"}, "on_invalid must be 'quarantine'", id="quarantine"),
        pytest.param({"metrics": "{tmp}/scores"}, "must be different places", id="places"),
        pytest.param({}, "", id="of the task"),
    ],
)
def test_a_config_that_does_not_agree_is_refused_and_nothing_is_written(
    case, keys, message, run, tmp_path
):
    if not keys:
        keys, message = case.refused
    keys = {k: v.format(tmp=tmp_path) if isinstance(v, str) else v for k, v in keys.items()}
    done = run(case.tables(), case.task, ends=2, **{**case.options, **keys})
    assert message in done.error
    assert left_in(tmp_path) == inputs_of(case)
