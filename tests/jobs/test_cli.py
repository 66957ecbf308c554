import pytest

from lq_spark.errors import (
    ColumnError,
    DataError,
    InvalidRowsError,
    LqError,
    OptionError,
    TableError,
)
from lq_spark.job import cli

PLACES = ["--input", "./in", "--output", "./out"]


@pytest.fixture
def run_raises(monkeypatch):
    """Let the run itself, which needs Spark, raise an error."""

    def replace(error):
        def run(config, job):
            raise error

        monkeypatch.setattr(cli, "run", run)

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
    ],
)
def test_a_flag_gives_its_key_alone(flag, value, key, expected):
    arguments = [flag] if value is None else [flag, value]
    assert vars(cli.parser().parse_args(arguments)) == {key: expected}


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
        ["--input"],
        ["stray"],
    ],
    ids=" ".join,
)
def test_arguments_that_cannot_be_parsed_end_the_job_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([*PLACES, *arguments])
    assert end.value.code == cli.BAD_ARGUMENTS == 2
    printed = capsys.readouterr()
    assert arguments[0] in printed.err
    assert printed.out == ""


def test_help_names_every_flag_and_exit_code(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for part in ("--save-thresholds", "normalized_margin", "0.001", "0 done", "2 bad arguments"):
        assert part in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: input is missing: give it in the config or as --input; output is missing"),
        ([*PLACES, "--method", "entropy"], "method must be one of 'self_confidence', "),
        ([*PLACES, "--find-issues", "--filter-by", "bot"], "; did you mean 'both'?"),
        ([*PLACES, "--filter-by", "both"], "filter_by is given, so find_issues must be true"),
        ([*PLACES, "--on-invalid", "drop"], "on_invalid: Input should be 'fail' or 'quarantine'"),
        ([*PLACES, "--n-classes", "1"], "n_classes: "),
        ([*PLACES, "--keep-columns", "a,,b"], "keep_columns.1: "),
        ([*PLACES, "--config", "nowhere.yaml"], "config: cannot read 'nowhere.yaml'"),
    ],
    ids=[
        "missing",
        "method",
        "filter_by",
        "find_issues",
        "on_invalid",
        "n_classes",
        "keep_columns",
        "config",
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


def test_a_good_run_prints_its_summary_and_ends_with_0(monkeypatch, capsys):
    monkeypatch.setattr(cli, "run", lambda config, job: f"scored {config.input}")
    assert cli.main(PLACES) == cli.DONE == 0
    assert capsys.readouterr() == ("scored ./in\n", "")
