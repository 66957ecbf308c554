"""The configurations of a folder, run one after the other in one session."""

import gc
import json
import tempfile
from collections import Counter
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from runs import TASKS, JobRun, cli, config_of, many, places_of, single

from lq_spark.errors import DataError, EngineError


def write_config(folder, name, **keys):
    """Write a configuration whose output lies beside the folder, named as the file."""
    folder.mkdir(exist_ok=True)
    keys = {"input": "./in", "output": str(folder.parent / "out" / name), **keys}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(keys), encoding="utf-8")


@pytest.fixture(scope="module")
def rows(labelled_rows, tmp_path_factory):
    """Two tables to read: good rows, and rows of which one cannot be scored; and an empty one."""
    folder = tmp_path_factory.mktemp("rows")
    _, _, good = labelled_rows(60, 3)
    faulty = good.set_column(1, "label", pa.array([7, *good["label"].to_pylist()[1:]], pa.int32()))
    tables = {"good": good, "faulty": faulty, "empty": good.slice(0, 0)}
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return SimpleNamespace(**{name: str(folder / f"{name}.parquet") for name in tables})


@pytest.fixture(scope="module")
def night(run_many, rows, tmp_path_factory):
    """A run of a folder in which much is wrong."""
    home = tmp_path_factory.mktemp("night")
    folder, own, column = home / "tables", home / "own.json", home / "column.json"
    good = {"input": rows.good, "find_issues": True}
    write_config(folder, "a_good", task="multiclass", **good, run_results=str(own))
    write_config(folder, "b_typo", task="multiclass", **good, metod="normalized_margin")
    write_config(folder, "c_column", **{**good, "label": "given", "run_results": str(column)})
    write_config(folder, "d_gate", task="nulls", input=rows.good, fail_if=["rows > 10"])
    write_config(folder, "e_empty", **{**good, "input": rows.empty, "n_classes": 3})
    write_config(folder, "f_faulty", **{**good, "input": rows.faulty})
    write_config(folder, "g_task", task="null", input=rows.good)
    write_config(folder, "h_yaml", input=rows.good)
    (folder / "h_yaml.yaml").write_text("input: [\n")
    write_config(folder, "i_last", task="imbalance", input=rows.good)
    write_config(folder, ".hidden", input=rows.good)
    write_config(folder / "within", "z", input=rows.good)
    (folder / "notes.txt").write_text("input: x")
    (folder / "folder.yaml").mkdir()
    done = run_many(folder, "--run-results", home / "all.json")
    results = json.loads((home / "all.json").read_text())
    return SimpleNamespace(home=home, own=own, column=column, done=done, results=results)


STATUS = {
    "a_good.yaml": "done",
    "b_typo.yaml": "bad config",
    "c_column.yaml": "failed",
    "d_gate.yaml": "gate failed",
    "e_empty.yaml": "done",
    "f_faulty.yaml": "failed",
    "g_task.yaml": "bad config",
    "h_yaml.yaml": "bad config",
    "i_last.yaml": "done",
}


@pytest.mark.spark
def test_all_that_can_be_run_is_run_in_order_of_the_names(night):
    assert list(night.done.status.items()) == list(STATUS.items())
    good = ["a_good", "d_gate", "e_empty", "i_last"]
    written = {path.name for path in (night.home / "out").iterdir()}
    tables = {path for path in written if not path.startswith(".") and "_metrics" not in path}
    assert tables == set(good)
    heads = [line for line in night.done.printed.splitlines() if line.startswith("== ")]
    assert [head.split()[1] for head in heads] == [f"{name}.yaml:" for name in good]
    assert heads[1] == "== d_gate.yaml: nulls =="


def test_the_exit_code_is_the_worst(night):
    assert night.done.code == night.results["exit_code"] == 1
    codes = [table["exit_code"] for table in night.results["tables"]]
    assert codes == [0, 2, 2, 3, 0, 1, 2, 2, 0]


def test_the_table_at_the_end_says_rows_issues_seconds_and_the_error(night):
    lines = {cells[0]: cells for cells in night.done.lines}
    issues = pq.read_table(night.home / "out" / "a_good")["is_label_issue"].to_pylist()
    assert lines["a_good.yaml"][1:5] == ["multiclass", "done", "60", str(sum(issues))]
    assert float(lines["a_good.yaml"][5]) > 0
    assert lines["e_empty.yaml"][3:5] == ["0", "0"]
    assert lines["i_last.yaml"][1] == "imbalance"
    assert lines["b_typo.yaml"][1:] == [
        *("-", "bad config", "-", "-", "-"),
        "unknown config key 'metod'; did you mean 'method'?",
    ]
    assert lines["c_column.yaml"][3:5] == ["-", "-"]
    assert lines["c_column.yaml"][-1].startswith("label: no column 'given'")
    assert night.done.printed.splitlines()[-1] == (
        "3 done, 3 bad config, 2 failed, 1 gate failed; exit code 1"
    )


def test_errors_name_their_file_and_what_is_wrong_is_said_first(night):
    errors = night.done.errors.splitlines()
    assert [error.split()[:2] for error in errors] == [
        ["error:", f"{name}.yaml:"]
        for name in ("b_typo", "g_task", "h_yaml", "c_column", "f_faulty")
    ]
    assert "task must be one of" in errors[1]
    assert "config: cannot read" in errors[2]
    assert "1 of 60 rows cannot be scored" in errors[4]


def test_a_file_says_how_all_of_them_ended(night):
    results = night.results
    assert (results["format"], results["format_version"]) == ("lq_spark.many_results", 1)
    assert results["started_at"] < results["finished_at"]
    tables = {table["file"]: table for table in results["tables"]}
    assert list(tables) == list(STATUS)
    status = {file: table["status"].replace("_", " ") for file, table in tables.items()}
    assert status == {file: text.replace("done", "succeeded") for file, text in STATUS.items()}
    typo, column = tables["b_typo.yaml"], tables["c_column.yaml"]
    assert (typo["task"], typo["run"], typo["error"]["type"]) == (None, None, "OptionError")
    assert column["error"] == column["run"]["error"]
    assert column["error"]["type"] == "ColumnError"
    runs = [table["run"] for table in tables.values() if table["run"]]
    assert len({run["run_id"] for run in runs}) == len(runs) == 6
    codes = [table["exit_code"] for table in tables.values() if table["run"]]
    assert [run["exit_code"] for run in runs] == codes
    assert tables["a_good.yaml"]["run"]["rows"]["read"] == tables["a_good.yaml"]["rows"] == 60


def test_each_run_writes_its_own_results_too(night):
    for file, place in (("a_good", night.own), ("c_column", night.column)):
        [run] = [t["run"] for t in night.results["tables"] if t["file"] == f"{file}.yaml"]
        assert json.loads(place.read_text()) == run


def test_a_dry_run_checks_all_and_writes_nothing(run_many, rows, tmp_path):
    folder = tmp_path / "tables"
    write_config(folder, "a", input=rows.good)
    write_config(folder, "b", task="nulls", input=rows.good)
    write_config(folder, "c", input=rows.good, label="given")
    done = run_many(folder, "--dry-run", "--run-results", tmp_path / "all.json")
    assert done.code == 2
    assert done.status == {"a.yaml": "checked", "b.yaml": "checked", "c.yaml": "failed"}
    assert done.printed.count("nothing was scored or written") == 2
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == set(folder.iterdir())


@pytest.mark.spark
def test_nothing_of_a_run_is_there_when_the_next_starts(
    run_many, spark, rows, tmp_path, monkeypatch
):
    folder, scratch = tmp_path / "tables", tmp_path / "scratch"
    there, tables, garbage, frame = [], [], [], type(spark.range(1))
    for number in range(5):
        more = {"input": rows.faulty if number % 3 == 1 else rows.good, "find_issues": True}
        write_config(folder, f"t{number}", **more, adjust_pred_probs=True)
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    def done(*arguments, **options):
        kept = [str(path) for path in scratch.iterdir()]
        kinds = Counter(type(thing) for thing in gc.get_objects())
        tables.append(kinds[frame])
        garbage.append(gc.collect())
        views = [table.name for table in spark.catalog.listTables() if table.isTemporary]
        there.append((kinds[JobRun] - earlier, kept, views))
        return single.done(*arguments, **options)

    monkeypatch.setattr(many, "done", done)
    gc.collect()
    earlier = sum(type(thing) is JobRun for thing in gc.get_objects())  # of other tests
    gc.disable()
    try:
        assert run_many(folder).code == 1
    finally:
        gc.enable()
    assert there == [(0, [], [])] * 5
    assert max(tables[1:]) <= tables[0]
    assert garbage[1:] == [0] * 4


@pytest.mark.spark_only
def test_no_rows_are_kept_by_runs_that_have_ended(run_many, spark, rows, tmp_path):
    for number in range(4):
        source = rows.faulty if number % 2 else rows.good
        write_config(tmp_path / "t", f"t{number}", input=source, find_issues=True, reader="spark")

    def persisted():
        gc.collect()
        return {int(rdd) for rdd in spark.sparkContext._jsc.getPersistentRDDs().keySet()}

    # What earlier tests held may go meanwhile: only what these runs add is looked at.
    before = persisted()
    assert run_many(tmp_path / "t").code == 1
    assert persisted() <= before


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Let runs end at once as their input says; return what was run, and how to run a folder."""
    seen = SimpleNamespace(configs=[], sessions=[], stopped=0, folder=tmp_path / "tables")
    seen.alive, seen.starts, seen.now = True, None, 1000.0

    class Session:
        def sql(self, text):
            if not seen.alive:
                raise ConnectionError("the JVM is gone")
            return SimpleNamespace(collect=list)

    @contextmanager
    def session(app, **where):
        seen.sessions.append(where)
        if seen.starts is not None:
            raise seen.starts
        yield Session()
        seen.stopped += 1

    def done(spark, config, which, *, with_results):
        seen.configs.append(config)
        seen.now += 4.0
        action = ACTIONS.get(config.input)
        if isinstance(action, BaseException):
            raise action
        if action == "dies":
            seen.alive = False
            raise ConnectionError("the JVM is gone\nwith much text. And more.")
        return single.Ended(config.input, action or 0)

    def write(**inputs):
        for name, text in inputs.items():
            write_config(seen.folder, name, input=text)

    seen.write = write
    seen.run = lambda *arguments: cli.main(["--config-dir", str(seen.folder), *arguments])
    monkeypatch.setattr(cli, "started_session", session)
    monkeypatch.setattr(many, "done", done)
    return seen


ACTIONS = {
    "./gate": 3,
    "./data": DataError("rows are wrong"),
    "./odd": RuntimeError("Something odd. It goes on.\nand on"),
    "./dies": "dies",
    "./stop": KeyboardInterrupt(),
}


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ("in in", 0),
        ("in gate", 3),
        ("gate typo in", 2),
        ("typo data gate", 1),
        ("odd typo", 1),
        ("typo", 2),
    ],
)
def test_the_exit_code_is_the_first_of_1_2_3_0_that_a_table_has(inputs, code, told):
    for number, name in enumerate(inputs.split()):
        more = {"metod": "x"} if name == "typo" else {}
        write_config(told.folder, f"t{number}", input=f"./{name}", **more)
    assert told.run() == code
    assert len(told.configs) == len(inputs.replace("typo", "").split())
    assert len(told.sessions) == told.stopped == bool(told.configs)


def test_an_unexpected_error_is_shown_whole_and_its_first_sentence_at_the_end(told, capsys):
    told.write(a="./odd", b="./in")
    assert told.run() == 1
    printed = capsys.readouterr()
    assert printed.err.count("Traceback") == 1
    assert printed.err.splitlines()[-1] == "error: a.yaml: RuntimeError: Something odd. It goes on."
    assert printed.out.splitlines()[-3].endswith("  RuntimeError: Something odd.")


@pytest.mark.parametrize(("seconds", "n_run"), [("0", 0), ("8", 2), ("8.5", 3), ("99", 4)])
def test_no_run_starts_after_the_seconds_that_are_given(seconds, n_run, told, monkeypatch, capsys):
    clock = partial(many.ManyRuns, clock=lambda: told.now)
    monkeypatch.setattr(cli, "ManyRuns", clock)
    told.write(a="./gate", b="./in", c="./in", d="./in")  # each takes 4 s
    assert told.run("--max-seconds", seconds) == (3 if n_run == 4 else 1)
    assert len(told.configs) == n_run
    assert len(told.sessions) == bool(n_run)
    *_, last, counts = capsys.readouterr().out.splitlines()
    if n_run < 4:
        assert f"{4 - n_run} not started" in counts
        passed = f"{4 * n_run} s had passed, and no run starts after {seconds} s"
        assert last.split(maxsplit=7)[-1] == passed


@pytest.mark.spark
def test_a_session_that_has_ended_is_said_in_a_sentence_for_each_table(told, capsys):
    told.write(a="./in", b="./dies", c="./in", d="./in")
    assert told.run() == 1
    assert [config.input for config in told.configs] == ["./in", "./dies"]
    errors = capsys.readouterr().err
    assert errors.count("Traceback") == 1
    assert errors.splitlines()[-2:] == [
        f"error: {name}.yaml: the session ended while b.yaml was run" for name in "cd"
    ]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (EngineError("pyspark is not installed"), 2, "pyspark is not installed"),
        (OSError("no java"), 1, "the session could not be started (OSError: no java)"),
    ],
)
def test_a_session_that_cannot_be_started_fails_all(error, code, text, told, capsys):
    told.write(a="./in", b="./in")
    told.starts = error
    assert told.run() == code
    assert (len(told.sessions), told.configs) == (1, [])
    assert capsys.readouterr().err.splitlines()[-1] == f"error: b.yaml: {text}"


def test_an_interruption_ends_all_and_is_written_down(told, tmp_path, capsys):
    told.write(a="./in", b="./stop", c="./in")
    with pytest.raises(KeyboardInterrupt):
        told.run("--run-results", str(tmp_path / "all.json"))
    assert [config.input for config in told.configs] == ["./in", "./stop"]
    results = json.loads((tmp_path / "all.json").read_text())
    tables = [(table["status"], table["exit_code"]) for table in results["tables"]]
    assert tables == [("succeeded", 0), ("failed", 130), ("not_started", 1)]
    assert results["exit_code"] == 130
    assert told.stopped == 1


@pytest.mark.parametrize("task", TASKS)
def test_flags_that_name_a_place_are_refused(task, told, capsys):
    told.write(a="./in")
    places = places_of(task) - {"run_results"}  # which is one file for all of them
    assert places >= {"input", "output", "report", "metrics", "quarantine"}
    for place in sorted(places):
        flag = f"--{place.replace('_', '-')}"
        assert told.run(flag, "./x") == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: '{flag}' does not go with --config-dir, where each config")
    assert told.sessions == []


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--task", "nulls"], ["--input-version=3"], ["--reference", "r"], ["--method", "m"]),
        *(["--print-schema"], ["--config", "c.yaml"], ["stray"], ["--max-seconds", "-1"]),
        *(["--engine", "sail"], ["--run-results", "s3://b/r.json"], ["--run-results", "/proc/1/x"]),
    ],
    ids=" ".join,
)
def test_arguments_that_do_not_go_for_all_or_are_wrong_stop_before_the_first(
    arguments, told, capsys
):
    told.write(a="./in")
    assert told.run(*arguments) in ((1,) if "/proc/1/x" in arguments else (2,))
    printed = capsys.readouterr()
    assert (printed.out, told.sessions) == ("", [])
    [line] = printed.err.splitlines()
    assert arguments[0].partition("=")[0].lstrip("-").replace("-", "_") in line.replace("-", "_")


def test_flags_that_go_for_all_go_over_each_config(told):
    write_config(told.folder, "a", input="./in", fail_if=["rows < 1"])
    write_config(told.folder, "b", input="./in", task="nulls", output_format="delta")
    flags = ["--fail-if", "rows < 5", "--reader", "spark", "--cores", "2", "--engine", "embedded"]
    assert told.run(*flags, "--no-progress") == 0
    assert [config.task for config in told.configs] == ["multiclass", "nulls"]
    assert [config.fail_if for config in told.configs] == [["rows < 5"]] * 2
    assert [config.reader for config in told.configs] == ["spark"] * 2
    assert [config.output_format for config in told.configs] == ["parquet", "delta"]
    assert told.sessions == [{"engine": "embedded", "memory": None, "cores": 2}]


def test_the_job_of_one_task_takes_configs_of_that_task_alone(told, capsys):
    write_config(told.folder, "a", input="./in", task="nulls")
    write_config(told.folder, "b", input="./in")
    assert cli.main(["--config-dir", str(told.folder)], "nulls") == 0
    assert [config.task for config in told.configs] == ["nulls", "nulls"]
    write_config(told.folder, "b", input="./in", task="imbalance")
    assert cli.main(["--config-dir", str(told.folder)], "nulls") == 2
    assert "b.yaml: task: Input should be 'nulls'" in capsys.readouterr().err


CLASHES = {
    "output": ({"output": "./o/x"}, {"output": "o/y/../x/"}),
    "inside": ({"output": "./o/x"}, {"output": "./o/x/y"}),
    "metrics": ({"output": "./o/x"}, {"output": "./o/y", "metrics": "./o/x"}),
    "metrics of the other": ({"output": "./o/x"}, {"output": "./o/x_metrics"}),
    "metrics inside": ({"metrics": "./o/m"}, {"metrics": "./o/m/x"}),
    "staged": ({"output": "./o/x"}, {"output": "./o/x.staging"}),
    "report": ({"report": "r.html"}, {"report": "./r.html"}),
    "results": ({"run_results": "r.json"}, {"run_results": "r.json"}),
    "two files": ({"run_results": "r.json"}, {"save_thresholds": "r.json"}),
    "name": (
        {"output": "lake.db.x", "output_format": "delta"},
        {"output": "Lake.db.`x`", "output_format": "iceberg"},
    ),
    "quarantine": (
        {"on_invalid": "quarantine", "quarantine": "./q"},
        {"on_invalid": "quarantine", "quarantine": "./q"},
    ),
}


@pytest.mark.parametrize("first_comes_first", [True, False])
@pytest.mark.parametrize("name", CLASHES)
def test_configs_that_would_write_one_place_are_refused(name, first_comes_first, told, capsys):
    one, other = CLASHES[name] if first_comes_first else CLASHES[name][::-1]
    write_config(told.folder, "a", **one)
    write_config(told.folder, "b", input="./other")
    write_config(told.folder, "c", **other)
    assert told.run() == 2
    assert [config.input for config in told.configs] == ["./other"]
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: a.yaml: ")
    assert "; c.yaml has " in first
    assert second.startswith("error: c.yaml: ")
    assert "; a.yaml has " in second
    assert "each run must have places of its own, but for tables of metrics, got " in first


ALLOWED = {
    "metrics": ({"metrics": "./o/m"}, {"metrics": "o/m/"}),
    "names": (
        {"output": "lake.db.x", "output_format": "delta"},
        {"output": "lake.db.y", "output_format": "delta"},
    ),
    "beginnings": ({"output": "./o/x"}, {"output": "./o/x1"}),
    "input": ({"output": "./o/x"}, {"input": "./o/x"}),
    "no quarantine": ({"output": "./o/x"}, {"output": "./o/x_quarantine"}),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_configs_may_read_one_place_and_share_tables_of_metrics(name, told, capsys):
    for file, keys in zip("ac", ALLOWED[name], strict=True):
        write_config(told.folder, file, **keys)
    assert told.run() == 0, capsys.readouterr().err
    assert len(told.configs) == 2


def test_the_file_of_all_results_is_no_place_of_a_run(told, tmp_path, capsys):
    results = str(tmp_path / "r.json")
    write_config(told.folder, "a", run_results=results)
    write_config(told.folder, "b", input="./other")
    assert told.run("--run-results", results) == 2
    assert [config.input for config in told.configs] == ["./other"]
    assert f"the command has run_results {results!r}" in capsys.readouterr().err


@pytest.mark.parametrize("files", [[], ["a.yml", ".b.yaml"]])
def test_a_folder_without_configs_is_refused(files, tmp_path, capsys):
    for file in files:
        (tmp_path / file).touch()
    assert cli.main(["--config-dir", str(tmp_path)]) == 2
    assert f"there is {'no file' if not files else repr('a.yml')}" in capsys.readouterr().err
    assert cli.main(["--config-dir", str(tmp_path / "nowhere")]) == 2
    assert "config_dir: cannot read" in capsys.readouterr().err


def test_the_help_of_a_folder_names_its_flags_and_the_order_of_codes(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--config-dir", "x", "--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in ("--max-seconds", "--run-results", "--fail-if", "--dry-run", "1, 2, 3, 0"):
        assert part in text
    assert "--output " not in text


def test_each_task_says_which_metric_counts_its_issues():
    needed = {"multiannotator": {"annotations": "./a"}, "outliers": {"features": "f"}}
    config = {"input": "./in", "output": "./out"}
    counts = {task: config_of(task, **config, **needed.get(task, {})).issue_count for task in TASKS}
    assert counts == {
        **dict.fromkeys(("multiclass", "tokens", "multilabel", "detection"), "label_issues"),
        **dict.fromkeys(("regression", "segmentation", "train"), "label_issues"),
        "audit": "rows_with_issues",
        "outliers": "outliers",
        "duplicates": "near_duplicates",
        "groups": "underperforming_rows",
        "imbalance": "imbalance_issues",
        "nulls": "null_issues",
        "valuation": "data_valuation_issues",
        "noniid": None,
        "multiannotator": None,
    }


@pytest.mark.spark
def test_the_examples_run(submit, repository, tmp_path):
    done = submit("--config-dir", "conf/tables", "--run-results", tmp_path / "all.json")
    assert done.code == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "all.json").read_text())
    assert [table["rows"] for table in results["tables"]] == [1797, 1797]
    assert done.stdout.splitlines()[-1] == "2 done; exit code 0"
