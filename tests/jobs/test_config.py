import datetime
import re
import subprocess
import sys
from functools import partial

import pytest
import yaml
from runs import TASKS, config_of, fields_of, flags_of

from lq_spark.errors import OptionError

FIELDS = set(fields_of())
PLACES = {"input": "./in", "output": "./out"}
NEEDED = {
    "multiannotator": {"item": "i", "annotations": "./a"},
    "outliers": {"pred_probs": "p"},  # which the classes are of
}
EXAMPLES = {"multiclass": "dataset"}
EXPLAINED = {"outre", "residual", "uncertainty", "softmin", "num_pixel_issues"}
"""Values, not keys, that an example explains."""
OPTIONAL_PLACES = (
    *("thresholds", "save_thresholds", "fitted", "save_fitted"),
    *("quarantine", "metrics", "report", "run_results"),
)
LISTS = (
    *("classes", "keep_columns", "num_to_remove_per_class"),
    *("partition_by", "fail_if", "warn_if", "report_columns"),
)

BAD_VALUES = [
    *[(field, "") for field in ("input", "output", "id", "label", "pred_probs")],
    *[(field, 5) for field in ("input", "output", "id", "label", "pred_probs")],
    *[(field, None) for field in ("input", "output", "id", "label", "pred_probs")],
    *[(field, "") for field in OPTIONAL_PLACES],
    *[(field, ["a"]) for field in OPTIONAL_PLACES],
    ("classes", "cat,dog"),
    ("classes", ["cat", ""]),
    ("classes", ["no", False]),  # what YAML makes of an unquoted no
    ("classes", [0, 1]),
    ("n_classes", 1),
    ("n_classes", -2),
    ("n_classes", 2.5),
    ("n_classes", 3.0),
    ("n_classes", "3"),
    ("n_classes", True),
    ("task", "tokens"),
    ("task", 1),
    ("method", "entropy"),
    ("method", 1),
    ("adjust_pred_probs", "true"),
    ("adjust_pred_probs", 1),
    ("adjust_pred_probs", None),
    ("keep_columns", "note"),
    ("keep_columns", [""]),
    ("keep_columns", None),
    ("on_invalid", "drop"),
    ("reader", "jvm"),
    ("on_invalid", None),
    ("tolerance", -0.001),
    ("tolerance", 1),
    ("tolerance", float("nan")),
    ("tolerance", float("inf")),
    ("tolerance", "0.1"),
    ("find_issues", "true"),
    ("find_issues", 1),
    ("find_issues", None),
    ("filter_by", "prune"),
    ("filter_by", None),
    ("frac_noise", -0.1),
    ("frac_noise", 1.1),
    ("frac_noise", float("nan")),
    ("frac_noise", "1"),
    ("frac_noise", True),
    ("min_examples_per_class", -1),
    ("min_examples_per_class", 1.5),
    ("min_examples_per_class", 3.0),
    ("min_examples_per_class", "3"),
    ("num_to_remove_per_class", 3),
    ("num_to_remove_per_class", "3,0"),
    ("num_to_remove_per_class", [3, "0"]),
    ("num_to_remove_per_class", [3, 0.5]),
    ("num_to_remove_per_class", [3, True]),
    ("collision_rule", "highest"),
    ("collision_rule", 1),
    ("issue_rank", "true"),
    ("issue_rank", None),
    ("input_format", "csv"),
    ("input_format", "Delta"),
    ("input_format", ""),
    ("input_format", 1),
    ("input_version", "3"),
    ("input_version", 2.5),
    ("input_version", 3.0),
    ("input_version", True),
    ("input_timestamp", ""),
    ("input_timestamp", 2026),
    # What YAML makes of an unquoted time.
    ("input_timestamp", datetime.datetime(2026, 11, 21, 6)),
    ("output_format", "csv"),
    ("output_format", ""),
    ("output_format", 1),
    ("output_format", None),
    ("write_mode", "replace"),
    ("write_mode", ""),
    ("write_mode", True),
    ("write_mode", None),
    ("since_last_run", "yes"),
    ("since_last_run", None),
    ("watermark", ""),
    ("watermark", ["seen"]),
    ("when_not_incremental", "never"),
    ("when_not_incremental", None),
    ("rescore", True),
    ("rescore", "sometimes"),
    ("rescore_tolerance", -0.1),
    ("rescore_tolerance", "small"),
    ("partition_by", "label"),
    ("partition_by", [""]),
    ("partition_by", ["label", 1]),
    ("partition_by", None),
    *[(field, "rows < 1") for field in ("fail_if", "warn_if")],
    *[(field, ["rows < 1", ""]) for field in ("fail_if", "warn_if")],
    *[(field, ["rows < 1", 1]) for field in ("fail_if", "warn_if")],
    *[(field, ["rows < 1", "rows"]) for field in ("fail_if", "warn_if")],
    *[(field, ["rows < 1", "rows <"]) for field in ("fail_if", "warn_if")],
    *[(field, None) for field in ("fail_if", "warn_if")],
    ("report_columns", "note"),
    ("report_columns", [""]),
    ("report_columns", None),
    ("report_image", ""),
    ("report_image", ["image"]),
    ("mlflow", "yes"),
    ("mlflow", 1),
    ("mlflow", None),
    ("reference", ""),
    ("reference", 1),
]


def load(path, keys):
    return config_of("multiclass", path, **keys)


@pytest.fixture
def yaml_file(tmp_path):
    """Write a config file; return its path."""

    def write(text):
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_each_field_has_a_bad_value_here():
    assert {field for field, _ in BAD_VALUES} == FIELDS


@pytest.mark.parametrize(("field", "value"), BAD_VALUES)
def test_a_bad_value_is_refused_with_its_key_and_what_was_given(field, value):
    with pytest.raises(OptionError) as error:
        load(None, {**PLACES, field: value})
    given = value[-1] if isinstance(value, list) and field in LISTS else value
    assert str(error.value).startswith(field)
    assert repr(given) in str(error.value)


@pytest.mark.parametrize("field", ["input", "output"])
def test_a_missing_key_is_named_as_key_and_as_flag(field):
    given = {key: value for key, value in PLACES.items() if key != field}
    with pytest.raises(OptionError, match=f"^{field} is missing: .* --{field}$"):
        load(None, given)


def test_all_faults_are_named_at_once():
    with pytest.raises(OptionError) as error:
        load(None, {"output": "./out", "n_classes": 1, "metod": "x"})
    for part in ("input is missing", "n_classes: ", "unknown config key 'metod'"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("unknown", "known"),
    [
        ("metod", "method"),
        ("n_clases", "n_classes"),
        ("pred_prob", "pred_probs"),
        ("save_threshold", "save_thresholds"),
        ("filterby", "filter_by"),
        ("find_issue", "find_issues"),
        ("on-invalid", "on_invalid"),
        ("input_fromat", "input_format"),
        ("write-mode", "write_mode"),
        ("fail_iff", "fail_if"),
    ],
)
def test_an_unknown_key_is_refused_with_the_closest_known_one(unknown, known, yaml_file):
    path = yaml_file(f"input: ./in\noutput: ./out\n{unknown}: x\n")
    with pytest.raises(OptionError, match=f"'{unknown}'; did you mean '{known}'"):
        load(path, {})


def test_an_unknown_key_like_no_other_is_refused_with_all_that_are_known(yaml_file):
    with pytest.raises(OptionError) as error:
        load(yaml_file("input: ./in\noutput: ./out\nzzz: x\n"), {})
    assert all(repr(field) in str(error.value) for field in FIELDS)


@pytest.mark.parametrize("text", ["", "- input\n- output\n", "just text\n", "5\n"])
def test_a_file_without_keys_and_values_is_refused(text, yaml_file):
    with pytest.raises(OptionError, match="must hold keys and values"):
        load(yaml_file(text), PLACES)


def test_a_key_that_is_no_text_is_refused(yaml_file):
    with pytest.raises(OptionError, match="5"):
        load(yaml_file("5: x\n"), PLACES)


@pytest.mark.parametrize(
    "text", ["input: [\n", "input: 'open\n", "a: b: c\n", "\tinput: x\n", "a: 2026-13-01"]
)
def test_a_file_that_is_no_yaml_is_refused(text, yaml_file):
    with pytest.raises(OptionError, match="cannot read"):
        load(yaml_file(text), PLACES)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"input: \xff\xfe\n")
    for path in (tmp_path / "nowhere.yaml", tmp_path, tmp_path / "bytes.yaml"):
        with pytest.raises(OptionError, match=re.escape(f"cannot read {str(path)!r}")):
            load(str(path), PLACES)


def test_flags_go_over_the_file_and_the_file_over_the_defaults(yaml_file):
    path = yaml_file(
        "input: ./in\noutput: ./out\nmethod: normalized_margin\nid: key\nn_classes: 4\n"
    )
    config = load(path, {"id": "other", "output": "./elsewhere"})
    assert (config.id, config.output) == ("other", "./elsewhere")
    assert (config.method, config.n_classes, config.input) == ("normalized_margin", 4, "./in")
    assert (config.label, config.keep_columns, config.tolerance) == ("label", [], 1e-3)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"quarantine": "./q"}, "quarantine is given, so on_invalid must be 'quarantine'"),
        ({"thresholds": "t.json"}, "thresholds is given, so adjust_pred_probs must be true"),
        (
            {"thresholds": "t.json", "save_thresholds": "u.json", "adjust_pred_probs": True},
            "save_thresholds is given, but thresholds are loaded",
        ),
        (
            {"method": "confidence_weighted_entropy", "adjust_pred_probs": True},
            "not defined for method 'confidence_weighted_entropy'",
        ),
        (
            {"input_format": "delta", "input_version": 3, "input_timestamp": "2026-11-21"},
            "input_version and input_timestamp do not go together, got 3 and '2026-11-21'",
        ),
        (
            {"input_format": "parquet", "input_version": 3},
            "input: Parquet has no versions; input_version and ",
        ),
        (
            {"input_format": "parquet", "input_timestamp": "2026-11-21"},
            "input: Parquet has no versions; input_version and ",
        ),
        (
            {"input": "db.table", "input_format": "parquet", "input_version": 3},
            "input: Parquet has no versions; input_version and ",
        ),
        (
            {"fail_if": ["issue_rate > 0.1"]},
            "fail_if: 'issue_rate > 0.1' is about 'issue_rate', so find_issues must be true",
        ),
        (
            {"warn_if": ["class_rows < 9", "class_label_issues['a'] > 9"]},
            "warn_if: \"class_label_issues['a'] > 9\" is about 'class_label_issues', so ",
        ),
    ],
)
def test_keys_that_contradict_each_other_are_refused(flags, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        config_of(**{**PLACES, **flags})


@pytest.mark.parametrize("known", [{"classes": ["0", "1"]}, {"n_classes": 2}], ids=str)
@pytest.mark.parametrize("task", TASKS)
def test_a_condition_about_a_class_that_is_not_there_is_refused(task, known):
    names = ("1", "2")
    if task == "regression":
        known, names = {}, ("0.5", "0.51")
    if task == "train":  # which counts the classes of its labels, where it has no names
        known = {"classes": ["0", "1"]}
    if task == "nulls":
        known, names = {"columns": ["1", "3"]}, ("1", "2")
    issues = {"find_issues": True} if "find_issues" in fields_of(task) else {}
    known = {name: value for name, value in known.items() if name in fields_of(task)}
    told = partial(config_of, task, **PLACES, **NEEDED.get(task, {}), **known, **issues)
    for metric in told().meanings[1]:
        assert told(fail_if=[f"{metric}['{names[0]}'] < 1"])
        with pytest.raises(OptionError, match=f"{metric} has no '{names[1]}'; it has '"):
            told(fail_if=[f"{metric}['{names[1]}'] < 1"])


@pytest.mark.parametrize(
    "places",
    [
        {"output": "./in"},
        {"output": "in"},
        {"output": "./in/"},
        {"metrics": "./out"},
        {"metrics": "./in"},
        {"quarantine": "./out", "on_invalid": "quarantine"},
        {"quarantine": "./out_metrics", "on_invalid": "quarantine"},
        {"metrics": "./out_quarantine", "on_invalid": "quarantine"},
        {"input": "./out_metrics"},
        {"input": "file:///data/t", "output": "file:///data/t"},
        {"input": "file:///data/t", "output": "file:///data/t/"},
        {"input": "/data/t", "output": "file:///data/t"},
        {"output": "./there/../in"},
        # The input would be deleted with the earlier output.
        {"input": "/data/t/a.parquet", "output": "/data/t"},
    ],
    ids=str,
)
def test_no_table_is_written_over_another(places):
    with pytest.raises(OptionError, match="input, output, metrics and quarantine"):
        load(None, {**PLACES, **places})


def test_metrics_and_quarantine_lie_beside_the_output_unless_told():
    config = load(None, {"input": "db.table", "output": "./out/"})
    assert (config.place("metrics"), config.place("quarantine")) == (
        "./out_metrics",
        "./out_quarantine",
    )
    told = {"metrics": "./m", "quarantine": "./q", "on_invalid": "quarantine"}
    config = load(None, {**PLACES, **told})
    assert (config.place("metrics"), config.place("quarantine")) == ("./m", "./q")


def test_the_fingerprint_is_of_the_values_alone(yaml_file):
    by_flags = load(None, {**PLACES, "method": "normalized_margin"})
    by_file = load(yaml_file("method: normalized_margin\ninput: ./in\noutput: ./out\n"), {})
    said = load(None, {**PLACES, "method": "normalized_margin", "tolerance": 0.001})
    assert by_flags.fingerprint == by_file.fingerprint == said.fingerprint
    assert re.fullmatch("[0-9a-f]{64}", by_flags.fingerprint)


def test_the_fingerprint_differs_with_each_key():
    others = {
        **dict.fromkeys(["input", "output", "id", "label", "pred_probs", "metrics"], "other"),
        "classes": ["a", "b"],
        "n_classes": 3,
        "method": "normalized_margin",
        "adjust_pred_probs": True,
        "save_thresholds": "t.json",
        "keep_columns": ["note"],
        "on_invalid": "quarantine",
        "reader": "spark",
        "tolerance": 0.01,
        "find_issues": True,
        "input_format": "delta",
        "output_format": "delta",
        "write_mode": "append",
        "partition_by": ["label"],
        "fail_if": ["rows < 1"],
        "warn_if": ["rows < 1"],
        "reference": "other",
        "report": "r.html",
        "run_results": "r.json",
        "mlflow": True,
    }
    of_issues = {
        "filter_by": "both",
        "frac_noise": 0.5,
        "min_examples_per_class": 2,
        "num_to_remove_per_class": [1, 2],
        "collision_rule": "highest_reached",
        "issue_rank": True,
        "fitted": "f.json",
        "save_fitted": "f.json",
    }
    configs = [load(None, PLACES)]
    configs += [load(None, {**PLACES, key: value}) for key, value in others.items()]
    finding = {**PLACES, "find_issues": True}
    configs += [load(None, {**finding, key: value}) for key, value in of_issues.items()]
    adjusted = {**PLACES, "adjust_pred_probs": True, "thresholds": "t.json"}
    set_aside = {**PLACES, "on_invalid": "quarantine", "quarantine": "./q"}
    configs += [load(None, adjusted), load(None, set_aside)]
    reported = {**PLACES, "report": "r.html"}
    shown = {"report_columns": ["note"], "report_image": "image"}
    configs += [load(None, {**reported, key: value}) for key, value in shown.items()]
    of_versions = {"input_version": 3, "input_timestamp": "2026-11-21"}
    delta = {**PLACES, "input_format": "delta"}
    configs += [load(None, {**delta, key: value}) for key, value in of_versions.items()]
    since = {"watermark": "seen", "when_not_incremental": "full", "rescore": "never"}
    since |= {"rescore_tolerance": 0.5, "since_last_run": True}
    last = {**PLACES, "since_last_run": True}
    configs += [load(None, {**last, key: value}) for key, value in since.items()]
    told = {*others, *of_issues, *of_versions, *since, *shown, "thresholds", "quarantine"}
    assert told == FIELDS - {"task"}  # each has its own class
    assert len({config.fingerprint for config in configs}) == len(configs)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    """In every path of a config, and in that of the config itself."""
    monkeypatch.setenv("HOME", str(tmp_path))
    files = ("fitted", "save_fitted", "thresholds", "save_thresholds")
    places = ("input", "output", "quarantine", "metrics")
    (tmp_path / "c.yaml").write_text(
        "\n".join([*(f"{name}: ~/{name}" for name in places), "on_invalid: quarantine"])
    )
    config = load("~/c.yaml", {})
    assert [getattr(config, name) for name in places] == [f"{tmp_path}/{name}" for name in places]
    for name in files:
        needed = {"thresholds": {"adjust_pred_probs": True}, "fitted": {"find_issues": True}}
        flags = {**PLACES, name: f"~/{name}", **needed.get(name.removeprefix("save_"), {})}
        assert getattr(load(None, flags), name) == f"{tmp_path}/{name}"
    with pytest.raises(
        OptionError, match=r"^input: '~nobody-here/t' begins with ~, but there is no"
    ):
        load(None, {**PLACES, "input": "~nobody-here/t"})
    with pytest.raises(OptionError, match=r"^input, output, metrics and quarantine must be differ"):
        load(None, {"input": f"{tmp_path}/t", "output": "~/t"})


@pytest.mark.parametrize("task", TASKS)
def test_the_example_config_is_one(task, repository):
    path = repository / "conf" / f"score_{EXAMPLES.get(task, task)}.yaml"
    assert config_of(task, str(path)).task == task
    text = path.read_text(encoding="utf-8")
    commented = set(re.findall(r"^# ([a-z_]+):", text, flags=re.MULTILINE))
    assert set(yaml.safe_load(text)) | commented - EXPLAINED <= set(fields_of(task))


def test_the_example_of_lakehouse_tables_is_a_config(repository):
    assert config_of("multiclass", str(repository / "conf" / "lakehouse.yaml"))


@pytest.mark.parametrize("module", ["lq_spark.job.cli", "lq_spark.job.config"])
def test_a_config_is_checked_without_pyspark(module):
    code = f"import sys, {module}; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize("task", TASKS)
def test_every_flag_is_a_key_and_every_key_a_flag(task):
    of_the_process = {"help", "config", "config_dir", "dry_run", "print_schema", "progress"}
    of_the_process |= {"engine", "memory", "cores"}
    assert flags_of(task) - of_the_process == set(fields_of(task))
