"""Calls written for cleanlab: what they may give, and what is said of what is not used."""

import ast
import importlib
import inspect
import pathlib
import warnings

import numpy as np
import pandas as pd
import pytest
from cleanlab import count, multiannotator, rank
from cleanlab import filter as rules
from cleanlab.multilabel_classification import rank as multilabel_rank

import lq_spark
from lq_spark.core import (
    confident,
    detection,
    health,
    label_issues,
    multiclass,
    multilabel,
    segmentation,
    tokens,
)
from lq_spark.core import multiannotator as ours
from lq_spark.core.multilabel import health as multilabel_health
from lq_spark.errors import DataError, OptionError

LABELS = np.array([0, 0, 1, 1, 1])
PROBS = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]])
COUNTS = np.array([[2, 0], [1, 2]])
SETS = [[0], [0], [], [0, 1], [1]]
SET_PROBS = np.array([[0.9, 0.1], [0.1, 0.2], [0.1, 0.3], [0.2, 0.1], [0.4, 0.6]])
MODULES = {
    "multiclass": ["rank"],
    "label_issues": ["filter"],
    "confident": ["count"],
    "health": ["dataset"],
    "tokens": [f"token_classification.{name}" for name in ("rank", "filter", "summary")],
    "multilabel": [f"multilabel_classification.{name}" for name in ("rank", "filter", "dataset")],
    "regression": ["regression.rank"],
    "detection": [f"object_detection.{name}" for name in ("rank", "filter", "summary")],
    "segmentation": [f"segmentation.{name}" for name in ("rank", "filter", "summary")],
    "multiannotator": ["multiannotator"],
    "activelab": ["multiannotator"],
    "benchmark": ["benchmarking.noise_generation"],
}


def pairs():
    for name, theirs in MODULES.items():
        module = importlib.import_module(f"lq_spark.core.{name}")
        for oracle in map(importlib.import_module, (f"cleanlab.{other}" for other in theirs)):
            for function, value in vars(module).items():
                if inspect.isfunction(value) and inspect.isfunction(getattr(oracle, function, 0)):
                    yield pytest.param(value, getattr(oracle, function), id=f"{name}.{function}")


@pytest.mark.parametrize(("function", "theirs"), list(pairs()))
def test_every_argument_of_cleanlabs_function_is_taken(function, theirs):
    found = inspect.signature(function).parameters
    wanted = inspect.signature(theirs).parameters.values()
    named = [p for p in wanted if p.kind is not p.VAR_KEYWORD]
    assert [p.name for p in named if p.name not in found] == []
    by_place = [p.name for p in named if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert list(found)[: len(by_place)] == by_place
    for p in named:
        assert found[p.name].kind is p.kind
        if p.name not in ("labels", "pred_probs"):  # without them there is nothing to do
            assert (found[p.name].default is p.empty) == (p.default is p.empty)


OF_SPEED = {"n_jobs", "num_procs", "low_memory", "verbose"}
"""Arguments that a function may take and not look at, as its docstring says."""


def test_no_public_function_takes_an_argument_that_it_does_not_use():
    unread = {}
    package = pathlib.Path(lq_spark.__file__).parent
    for path in [*package.joinpath("core").rglob("*.py"), *package.joinpath("tasks").rglob("*.py")]:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                names = {n.id for part in node.body for n in ast.walk(part) if hasattr(n, "id")}
                args = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                left = {arg.arg for arg in args} - names - OF_SPEED
                if left:
                    unread[f"{path.relative_to(package)}: {node.name}"] = left
    assert unread == {}


@pytest.mark.parametrize(
    ("function", "arguments", "instead"),
    [
        (label_issues.find_label_issues, (LABELS, PROBS), "multilabel.find_label_issues"),
        (label_issues.find_predicted_neq_given, (LABELS, PROBS), "multilabel.find_label_issues"),
        (confident.get_confident_thresholds, (LABELS, PROBS), "multilabel.fit"),
        (confident.compute_confident_joint, (LABELS, PROBS), "multilabel.fit"),
        (confident.estimate_joint, (LABELS, PROBS), "multilabel.fit"),
        (confident.num_label_issues, (LABELS, PROBS), "multilabel.fit"),
        (
            confident.calibrate_confident_joint,
            (COUNTS, LABELS),
            "multilabel.model.calibrated_joints",
        ),
        (
            health.overall_label_health_score,
            (LABELS, PROBS),
            "multilabel.overall_multilabel_health_score",
        ),
        (
            health.rank_classes_by_label_quality,
            (LABELS, PROBS),
            "multilabel.rank_classes_by_multilabel_quality",
        ),
        (
            health.find_overlapping_classes,
            (LABELS, PROBS),
            "multilabel.common_multilabel_issues",
        ),
        (health.health_summary, (LABELS, PROBS), "multilabel.multilabel_health_summary"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_sets_of_labels_are_sent_to_the_function_that_is_for_them(function, arguments, instead):
    with pytest.raises(OptionError) as error:
        function(*arguments, multi_label=True)
    assert str(error.value) == (
        f"multi_label must be False, got True: sets of labels are for lq_spark.core.{instead}"
    )
    module, name = instead.rsplit(".", 1)
    assert callable(getattr(importlib.import_module(f"lq_spark.core.{module}"), name))
    function(*arguments, multi_label=False)


@pytest.mark.parametrize("filter_by", ["prune_by_class", "prune_by_noise_rate", "both"])
@pytest.mark.parametrize("n_present", [3, 4])
@pytest.mark.parametrize("number", [0, 1, 3])
def test_one_number_to_remove_is_that_of_each_class(filter_by, n_present, number):
    rng = np.random.default_rng(number)
    labels, pred_probs = rng.integers(0, n_present, 200), rng.dirichlet(np.ones(4), 200)
    options = {"filter_by": filter_by, "num_to_remove_per_class": number}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = rules.find_label_issues(labels, pred_probs, n_jobs=1, **options)
    found = label_issues.find_label_issues(labels, pred_probs, **options)
    np.testing.assert_array_equal(found, expected)


def test_one_number_to_remove_is_that_of_each_class_of_label_sets():
    for function in (multilabel.find_label_issues, multilabel.find_multilabel_issues_per_class):
        found = function(SETS, SET_PROBS, num_to_remove_per_class=1)
        expected = function(SETS, SET_PROBS, num_to_remove_per_class=[1, 1])
        np.testing.assert_array_equal(found, expected)
        assert found.any()


@pytest.mark.parametrize("method", ["off_diagonal", "off_diagonal_calibrated"])
def test_a_joint_that_is_not_asked_for_is_said_not_to_be_used(method):
    options = {"confident_joint": COUNTS, "estimation_method": method}
    with pytest.warns(UserWarning, match="^confident_joint is not used.*off_diagonal_custom") as w:
        found = confident.num_label_issues(LABELS, PROBS, **options)
    assert w[0].filename == __file__
    with pytest.warns(UserWarning, match="ignored"):
        assert found == count.num_label_issues(LABELS, PROBS, **options)
    with pytest.raises(OptionError, match="'off_diagonal_custom' needs a confident_joint"):
        confident.num_label_issues(LABELS, PROBS, estimation_method="off_diagonal_custom")


@pytest.mark.parametrize("filter_by", ["confident_learning", "predicted_neq_given"])
@pytest.mark.parametrize(
    ("function", "data", "joint"),
    [
        (label_issues.find_label_issues, (LABELS, PROBS), COUNTS),
        (multilabel.find_label_issues, (SETS, SET_PROBS), [COUNTS] * 2),
        (multilabel.find_multilabel_issues_per_class, (SETS, SET_PROBS), [COUNTS] * 2),
    ],
    ids=["multiclass", "sets", "sets by class"],
)
def test_what_a_rule_does_not_look_at_is_said_not_to_be_used(function, data, joint, filter_by):
    expected = function(*data, filter_by=filter_by)
    for option, value in {"frac_noise": 0.5, "confident_joint": joint}.items():
        with pytest.warns(UserWarning, match=f"^{option} is not used: it goes with") as warned:
            found = function(*data, filter_by=filter_by, **{option: value})
        assert warned[0].filename == __file__
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("method", [np.min, np.mean, lambda s, **k: s.max(**k)])
def test_any_function_may_make_one_score_of_a_rows(method):
    options = {"aggregator_kwargs": {"method": method}}
    expected = multilabel_rank.get_label_quality_scores(SETS, SET_PROBS, **options)
    found = multilabel.get_label_quality_scores(SETS, SET_PROBS, **options)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("method", [lambda s: s.min(axis=1), np.minimum.reduce])
def test_a_function_without_an_axis_is_called_without_one(method):
    options = {"aggregator_kwargs": {"method": method}}
    found = multilabel.get_label_quality_scores(SETS, SET_PROBS, **options)
    np.testing.assert_allclose(found, [0.9, 0.1, 0.7, 0.1, 0.6])


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (segmentation.issues_from_scores, "image_scores"),
        (tokens.issues_from_scores, "sentence_scores"),
        (detection.issues_from_scores, "label_quality_scores"),
        (multiclass.find_top_issues, "quality_scores"),
    ],
)
@pytest.mark.parametrize("scores", [None, 0.5, [[0.5]], ["a"]], ids=str)
def test_scores_that_are_none_are_refused(function, name, scores):
    with pytest.raises(DataError, match=f"^{name} must be a 1-D array of numbers, got "):
        function(scores)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batches_of_no_pixels_are_refused(batch_size):
    labels, probs = np.zeros((1, 2, 2), dtype=int), np.full((1, 2, 2, 2), 0.5)
    for function in (segmentation.find_label_issues, segmentation.get_label_quality_scores):
        with pytest.raises(OptionError, match="batch_size must be None or at least 1, got"):
            function(labels, probs, batch_size=batch_size)
        function(labels, probs, batch_size=1)


def test_tables_print_if_they_are_verbose(capsys):
    words = [["in", "May", "we"], ["May"]]
    issues = [(0, 1), (1, 0), (0, 0), (0, 2)]
    tokens.common_label_issues(issues, words, top=2)
    printed = capsys.readouterr().out
    assert printed.startswith("Words with most label issues\n")
    assert ("May" in printed, "in" in printed, "we" in printed) == (True, True, False)
    tokens.common_label_issues(issues, words, verbose=False)
    probs = np.array([[[[0.9, 0.8, 0.9, 0.2]], [[0.1, 0.2, 0.1, 0.8]]]])
    pixels = ([[[False, False, True, False]]], [[[0, 0, 1, 1]]], probs)
    assert capsys.readouterr().out == ""
    segmentation.common_label_issues(*pixels, class_names=["sky", "road"])
    assert "road" in capsys.readouterr().out
    multilabel_health.multilabel_health_summary(SETS, SET_PROBS, num_examples=50)
    printed = capsys.readouterr().out
    assert printed.startswith("Label health of 50 rows\n")
    assert "Label Quality Score" in printed
    assert "Issue Probability" in printed
    assert printed.endswith("where 1 is clean.\n")
    segmentation.common_label_issues(*pixels, verbose=False)
    multilabel_health.multilabel_health_summary(SETS, SET_PROBS, verbose=False)
    assert capsys.readouterr().out == ""
    with pytest.raises(OptionError, match="num_examples must be at least 1, got 0"):
        multilabel_health.multilabel_health_summary(SETS, SET_PROBS, num_examples=0)


@pytest.mark.parametrize("missing", [pd.NA, None, np.nan], ids=str)
@pytest.mark.filterwarnings("ignore:.*Downcasting")
def test_annotations_may_be_objects_with_any_sign_of_nothing(missing):
    labels = pd.DataFrame(
        {"a": [0, 1, missing], "b": [0, missing, 1], "c": [1, 1, 1]}, dtype=object
    )
    probs = np.array([[0.7, 0.3], [0.2, 0.8], [0.4, 0.6]])
    found = ours.get_label_quality_multiannotator(labels, probs, verbose=False)
    expected = multiannotator.get_label_quality_multiannotator(labels, probs, verbose=False)
    for name in ("label_quality", "detailed_label_quality"):
        pd.testing.assert_frame_equal(found[name], expected[name])
    of_array = ours.get_majority_vote_label(labels.to_numpy())
    assert of_array.tolist() == ours.get_majority_vote_label(labels).tolist() == [0, 1, 1]


@pytest.mark.parametrize("positions", [[4, 2], [], [0, 1, 2, 3, 4], [4, 4, 2]])
def test_issues_may_be_named_by_position(positions):
    positions = np.array(positions, dtype=np.int64)
    found = multiclass.order_label_issues(positions, LABELS, PROBS)
    expected = rank.order_label_issues(positions, LABELS, PROBS)
    np.testing.assert_array_equal(PROBS[found, LABELS[found]], PROBS[expected, LABELS[expected]])
    assert sorted(found) == sorted(expected)
