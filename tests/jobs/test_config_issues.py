"""What of a config goes with find_issues, and what does not."""

import re

import pytest
from runs import config_of

from lq_spark.core.label_issues.rules import FILTERS, PRUNING
from lq_spark.errors import OptionError

PLACES = {"input": "./in", "output": "./out"}
FINDING = {**PLACES, "find_issues": True}


def load(path, keys):
    return config_of("multiclass", path, **keys)


FOR_ISSUES = {
    "filter_by": "both",
    "frac_noise": 0.5,
    "min_examples_per_class": 3,
    "num_to_remove_per_class": [3, 0],
    "collision_rule": "highest_reached",
    "issue_rank": True,
    "fitted": "f.json",
    "save_fitted": "f.json",
}


@pytest.mark.parametrize("field", FOR_ISSUES)
def test_an_option_of_issues_is_refused_where_none_are_sought(field):
    value = FOR_ISSUES[field]
    for flags in ({}, {"find_issues": False}):
        with pytest.raises(OptionError, match=f"^{field} is given, so find_issues must be true$"):
            load(None, {**PLACES, field: value, **flags})
    assert getattr(load(None, {**FINDING, field: value}), field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("filter_by", "prune_by_noise_rate"),  # the default, but said
        ("frac_noise", 1.0),
        ("frac_noise", 0.0),
        ("min_examples_per_class", 0),
        ("num_to_remove_per_class", []),
    ],
)
def test_any_value_of_such_an_option_is_refused(field, value):
    with pytest.raises(OptionError, match=f"^{field} is given, so find_issues must be true$"):
        load(None, {**PLACES, field: value})


def test_saying_no_to_what_is_off_is_no_fault():
    said = load(None, {**PLACES, "find_issues": False, "issue_rank": False, "fitted": None})
    assert said.fingerprint == load(None, PLACES).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        {"save_fitted": "g.json"},
        {"save_thresholds": "t.json"},
        {"thresholds": "t.json", "adjust_pred_probs": True},
    ],
    ids=str,
)
def test_what_is_loaded_is_not_fitted_again_or_saved(other):
    message = f"fitted is given, so {next(iter(other))} does not go with it"
    with pytest.raises(OptionError, match=f"^{message}$"):
        load(None, {**FINDING, "fitted": "f.json", **other})


def test_thresholds_alone_do_not_do_for_issues():
    flags = {"thresholds": "t.json", "adjust_pred_probs": True}
    with pytest.raises(OptionError, match=r"^thresholds does not go with find_issues; give"):
        load(None, {**FINDING, **flags})


def test_thresholds_and_joint_can_both_be_saved():
    config = load(None, {**FINDING, "save_fitted": "f.json", "save_thresholds": "t.json"})
    assert (config.save_fitted, config.save_thresholds) == ("f.json", "t.json")


def test_thresholds_and_joint_are_not_saved_to_one_file():
    with pytest.raises(OptionError, match="save_fitted"):
        load(None, {**FINDING, "save_fitted": "f.json", "save_thresholds": "f.json"})


@pytest.mark.parametrize("field", ["fitted", "save_fitted"])
def test_a_file_of_what_is_fitted_is_on_this_machine(field):
    with pytest.raises(OptionError, match=f"^{field}: must be a path on this machine, got 'hdfs:"):
        load(None, {**FINDING, field: "hdfs://host/f.json"})


@pytest.mark.parametrize(
    ("field", "value", "closest"),
    [
        ("filter_by", "prune_by_noise", "prune_by_noise_rate"),
        ("filter_by", "predicted_not_given", "predicted_neq_given"),
        ("filter_by", "low_confidence", "low_self_confidence"),
        ("collision_rule", "highest_of_any", "highest_of_all"),
    ],
)
def test_an_unknown_rule_is_refused_with_the_closest_named(field, value, closest):
    with pytest.raises(OptionError) as error:
        load(None, {**FINDING, field: value})
    message = f"{field} must be one of .*'{closest}'.*, got '{value}'; did you mean '{closest}'\\?"
    assert re.fullmatch(message, str(error.value))


def test_an_empty_collision_rule_is_refused():
    with pytest.raises(OptionError, match=r"^collision_rule must be one of "):
        load(None, {**FINDING, "collision_rule": ""})


@pytest.mark.parametrize("option", [{"frac_noise": 0.5}, {"num_to_remove_per_class": [1, 2]}])
@pytest.mark.parametrize("filter_by", FILTERS)
def test_what_bounds_pruning_goes_with_the_rules_that_prune(filter_by, option):
    flags = {**FINDING, "filter_by": filter_by, **option}
    if filter_by in PRUNING:
        load(None, flags)
        return
    message = f"frac_noise and num_to_remove_per_class go with .*, not '{filter_by}'"
    with pytest.raises(OptionError, match=message):
        load(None, flags)


@pytest.mark.parametrize("value", [0, 0.0, 0.25, 1, 1.0])
def test_a_share_may_be_all_or_nothing(value):
    assert load(None, {**FINDING, "frac_noise": value}).frac_noise == value


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_share_out_of_range_is_refused(value):
    with pytest.raises(OptionError, match=f"^frac_noise must be between 0 and 1, got {value}$"):
        load(None, {**FINDING, "frac_noise": value})


def test_numbers_of_fewer_than_none_are_refused():
    with pytest.raises(OptionError, match=r"^min_examples_per_class must .* 0, got -1$"):
        load(None, {**FINDING, "min_examples_per_class": -1})


def test_a_number_to_remove_below_0_is_refused():
    with pytest.raises(OptionError, match=r"^num_to_remove_per_class.*-1"):
        load(None, {**FINDING, "num_to_remove_per_class": [3, -1]})


def test_numbers_to_remove_may_stand_in_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "input: ./in\noutput: ./out\nfind_issues: true\nnum_to_remove_per_class: [3, 0, 1]\n"
    )
    assert load(str(path), {}).num_to_remove_per_class == [3, 0, 1]
    flags = {"num_to_remove_per_class": [5, 5, 5]}
    assert load(str(path), flags).num_to_remove_per_class == [5, 5, 5]


def test_health_tables_lie_beside_the_metrics():
    config = load(None, FINDING)
    assert config.place("class_health") == "./out_metrics_classes"
    assert config.place("class_overlaps") == "./out_metrics_overlaps"
    config = load(None, {**FINDING, "metrics": "./m/"})
    assert (config.place("class_health"), config.place("class_overlaps")) == (
        "./m_classes",
        "./m_overlaps",
    )


@pytest.mark.parametrize(
    "places",
    [
        {"input": "./out_metrics_classes"},
        {"input": "./m_overlaps", "metrics": "./m"},
        {"metrics": "./m", "output": "./m_classes"},
        {"quarantine": "./out_metrics_overlaps", "on_invalid": "quarantine"},
        {"quarantine": "./out_metrics_classes/q", "on_invalid": "quarantine"},
    ],
    ids=str,
)
def test_no_table_is_written_over_those_of_health(places):
    with pytest.raises(OptionError, match="input, output, metrics and quarantine"):
        load(None, {**FINDING, **places})
    load(None, {**PLACES, **places})  # they are not written where no issues are sought


@pytest.mark.parametrize("suffix", ["scratch", "staging", "previous"])
@pytest.mark.parametrize("place", ["input", "metrics", "quarantine"])
def test_no_table_lies_where_a_run_puts_its_own(place, suffix):
    flags = {"on_invalid": "quarantine"} if place == "quarantine" else {}
    with pytest.raises(OptionError, match=rf"\./out\.{suffix}"):
        load(None, {**FINDING, **flags, place: f"./out.{suffix}"})
