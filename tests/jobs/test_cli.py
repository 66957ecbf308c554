import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from runs import TASKS, cli, fields_of, parsed

from lq_spark.errors import (
    ColumnError,
    DataError,
    InvalidRowsError,
    LqError,
    OptionError,
    TableError,
)

PLACES = ["--input", "./in", "--output", "./out"]


@pytest.fixture
def run_raises(monkeypatch):
    """Let the run itself, which needs Spark, raise an error."""

    def replace(error):
        def run(config, **options):
            raise error

        monkeypatch.setattr(cli, "run", run)

    return replace


@pytest.fixture
def run_ends(monkeypatch):
    """Let a session and the run itself end at once, with a verdict; return what was started."""
    from lq_spark.job import execution

    started = SimpleNamespace(stopped=0, runs=[])

    @contextmanager
    def session(app, **where):
        started.where = where
        yield None
        started.stopped += 1

    def replace(gate_failed):
        def execute(spark, config, which):
            started.runs.append(config.task)
            return SimpleNamespace(
                gate_failed=gate_failed, text=lambda config: f"scored {config.input}"
            )

        monkeypatch.setattr(cli, "started_session", session)
        monkeypatch.setattr(execution, "execute", execute)
        return started

    return replace


@pytest.mark.parametrize(
    ("flag", "value", "key", "expected"),
    [
        ("--input", "db.table", "input", "db.table"),
        ("--output", "./out", "output", "./out"),
        ("--id", "key", "id", "key"),
        ("--label", "given", "label", "given"),
        ("--pred-probs", "probability", "pred_probs", "probability"),
        ("--classes", "cat,dog,sea horse", "classes", ["cat", "dog", "sea horse"]),
        ("--classes", "cat, dog ,sea horse", "classes", ["cat", "dog", "sea horse"]),
        ("--pred-probs", "p_cat, p_dog", "pred_probs", ["p_cat", "p_dog"]),
        ("--pred-probs", "probability", "pred_probs", "probability"),
        ("--n-classes", "7", "n_classes", 7),
        ("--method", "normalized_margin", "method", "normalized_margin"),
        ("--adjust-pred-probs", None, "adjust_pred_probs", True),
        ("--no-adjust-pred-probs", None, "adjust_pred_probs", False),
        ("--thresholds", "t.json", "thresholds", "t.json"),
        ("--save-thresholds", "t.json", "save_thresholds", "t.json"),
        ("--keep-columns", "a,b", "keep_columns", ["a", "b"]),
        ("--on-invalid", "quarantine", "on_invalid", "quarantine"),
        ("--quarantine", "./q", "quarantine", "./q"),
        ("--metrics", "./m", "metrics", "./m"),
        ("--tolerance", "1e-2", "tolerance", 0.01),
        ("--find-issues", None, "find_issues", True),
        ("--no-find-issues", None, "find_issues", False),
        ("--filter-by", "both", "filter_by", "both"),
        ("--frac-noise", "0.5", "frac_noise", 0.5),
        ("--min-examples-per-class", "7", "min_examples_per_class", 7),
        ("--num-to-remove-per-class", "3", "num_to_remove_per_class", [3]),
        ("--num-to-remove-per-class", "3,0, 12", "num_to_remove_per_class", [3, 0, 12]),
        ("--collision-rule", "highest_reached", "collision_rule", "highest_reached"),
        ("--issue-rank", None, "issue_rank", True),
        ("--no-issue-rank", None, "issue_rank", False),
        ("--fitted", "f.json", "fitted", "f.json"),
        ("--save-fitted", "f.json", "save_fitted", "f.json"),
        ("--input-format", "delta", "input_format", "delta"),
        ("--input-version", "7", "input_version", 7),
        ("--input-timestamp", "2026-11-21 06:00:00", "input_timestamp", "2026-11-21 06:00:00"),
        ("--output-format", "iceberg", "output_format", "iceberg"),
        ("--write-mode", "merge", "write_mode", "merge"),
        ("--partition-by", "day,label", "partition_by", ["day", "label"]),
        ("--fail-if", "min(rows, 3) < 1", "fail_if", ["min(rows, 3) < 1"]),
        ("--warn-if", "max(rows, 3) > 9", "warn_if", ["max(rows, 3) > 9"]),
        ("--reference", "0123abcd", "reference", "0123abcd"),
        ("--dry-run", None, "dry_run", True),
        ("--print-schema", None, "print_schema", True),
    ],
)
def test_a_flag_gives_its_key_alone(flag, value, key, expected):
    arguments = [flag] if value is None else [flag, value]
    assert parsed("multiclass", *arguments) == {key: expected}


@pytest.mark.parametrize("level", ["fail_if", "warn_if"])
def test_each_flag_of_a_condition_adds_one_in_order(level):
    flag = f"--{level.replace('_', '-')}"
    arguments = [flag, "rows < 9", flag, "class_rows['a, b'] < 1"]
    expected = {level: ["rows < 9", "class_rows['a, b'] < 1"]}
    assert parsed("multiclass", *arguments) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ["--metod", "x"],
        ["--meth", "normalized_margin"],  # no abbreviations: a later flag could change their sense
        ["--n-classes", "three"],
        ["--tolerance", "little"],
        ["--frac-noise", "half"],
        ["--min-examples-per-class", "2.5"],
        ["--num-to-remove-per-class", "3,x"],
        ["--num-to-remove-per-class", "3,,1"],
        ["--num-to-remove-per-class", "3,1.5"],
        ["--input-version", "newest"],
        ["--input-version", "2.5"],
        ["--fail-if"],
        ["--dry-run=yes"],
        ["--input"],
        ["stray"],
    ],
    ids=" ".join,
)
def test_arguments_that_cannot_be_parsed_end_the_job_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([*PLACES, *arguments])
    assert end.value.code == 2
    printed = capsys.readouterr()
    assert arguments[0].partition("=")[0] in printed.err
    assert printed.out == ""


def test_help_names_every_flag_and_exit_code(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in ("--save-thresholds", "normalized_margin", "0.001", "--dry-run", "--print-schema"):
        assert part in text
    for part in (
        *("0 done", "1 run-time error", "2 bad arguments"),
        "3 done, but a condition of fail_if is met",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: input is missing: give it in the config or as --input; output is missing"),
        ([*PLACES, "--method", "entropy"], "method must be one of 'self_confidence', "),
        ([*PLACES, "--task", "token"], "task must be one of 'multiclass', 'tokens'"),
        ([*PLACES, "--find-issues", "--filter-by", "bot"], "; did you mean 'both'?"),
        ([*PLACES, "--filter-by", "both"], "filter_by is given, so find_issues must be true"),
        ([*PLACES, "--on-invalid", "drop"], "on_invalid: Input should be 'fail' or 'quarantine'"),
        ([*PLACES, "--n-classes", "1"], "n_classes: "),
        ([*PLACES, "--keep-columns", "a,,b"], "keep_columns.1: "),
        ([*PLACES, "--config", "nowhere.yaml"], "config: cannot read 'nowhere.yaml'"),
        ([*PLACES, "--input-format", "csv"], "input_format: Input should be 'parquet', 'delta' or"),
        (
            [*PLACES, "--input-format", "parquet", "--input-version", "3"],
            "input: Parquet has no versions; ",
        ),
        ([*PLACES, "--output-format", "csv"], "output_format: Input should be 'parquet', 'delta'"),
        ([*PLACES, "--write-mode", "add"], "write_mode: Input should be 'overwrite', 'append' or"),
        ([*PLACES, "--partition-by", "a,,b"], "partition_by.1: "),
        ([*PLACES, "--fail-if", "row < 1"], "fail_if: a metric must be one of 'rows', "),
        ([*PLACES, "--warn-if", "rows"], "warn_if: a condition must be made with < <= "),
    ],
    ids=[
        "missing",
        "method",
        "task",
        "filter_by",
        "find_issues",
        "on_invalid",
        "n_classes",
        "keep_columns",
        "config",
        "input_format",
        "input_version",
        "output_format",
        "write_mode",
        "partition_by",
        "fail_if",
        "warn_if",
    ],
)
def test_a_bad_config_ends_the_job_with_2_and_one_line(arguments, message, capsys):
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OptionError("method is wrong"), 2),
        (ColumnError("no column 'x'"), 2),
        (DataError("the table is empty"), 1),
        (InvalidRowsError("3 rows"), 1),
        (TableError("cannot write"), 1),
        (LqError("the table has changed"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_expected_error_is_one_line_on_standard_error(error, code, run_raises, capsys):
    run_raises(error)
    assert cli.main(PLACES) == code
    printed = capsys.readouterr()
    assert printed.err == f"error: {error}\n"
    assert printed.out == ""


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RuntimeError("the cluster\nis gone"), id="text"),
        pytest.param(RuntimeError(), id="no text"),
    ],
)
def test_an_unexpected_error_is_shown_whole_and_ends_the_job_with_1(error, run_raises, capsys):
    run_raises(error)
    assert cli.main(PLACES) == 1
    printed = capsys.readouterr()
    assert "Traceback" in printed.err
    assert "RuntimeError" in printed.err.splitlines()[-1]
    assert printed.out == ""


def test_a_good_run_prints_its_summary_and_ends_with_0(run_ends, capsys):
    started = run_ends(gate_failed=False)
    assert cli.main(PLACES) == 0
    assert capsys.readouterr() == ("scored ./in\n", "")
    assert (started.runs, started.stopped) == (["multiclass"], 1)


def test_a_run_whose_gate_fails_prints_its_summary_and_ends_with_3(run_ends, capsys):
    started = run_ends(gate_failed=True)
    arguments = [*PLACES, "--fail-if", "tokens_scored < 1"]
    assert cli.main(arguments, "tokens") == 3
    assert capsys.readouterr() == ("scored ./in\n", "")
    assert (started.runs, started.stopped) == (["tokens"], 1)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_dry_run_is_one_only_if_told(dry_run, monkeypatch):
    told = []

    def run(config, *, dry_run, **where):
        told.append((config.input, config.task, dry_run))
        return cli.DONE

    monkeypatch.setattr(cli, "run", run)
    assert cli.main([*PLACES, *["--dry-run"] * dry_run]) == 0
    assert told == [("./in", "multiclass", dry_run)]


@pytest.mark.parametrize("task", TASKS)
def test_the_schema_of_the_config_is_printed_without_a_config(task, run_raises, capsys):
    run_raises(AssertionError("nothing is to be run"))
    assert cli.main(["--print-schema", "--task", task]) == 0
    printed = capsys.readouterr()
    schema = json.loads(printed.out)
    assert set(schema["properties"]) == set(fields_of(task))
    fields = fields_of(task).items()
    assert schema["required"] == [name for name, field in fields if field.is_required()]
    assert schema["required"][:2] == ["input", "output"]
    assert schema["additionalProperties"] is False
    assert printed.err == ""
