import logging

import numpy as np
import pytest
from cleanlab import rank
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.multiclass import get_label_quality_ensemble_scores, get_label_quality_scores
from lq_spark.errors import DataError, OptionError

SCORES = [
    ("self_confidence", False),
    ("self_confidence", True),
    ("normalized_margin", False),
    ("normalized_margin", True),
    ("confidence_weighted_entropy", False),
]
METHODS = ["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
DTYPES = [
    pytest.param(np.float64, 1e-9, id="float64"),
    pytest.param(np.float32, 1e-6, id="float32"),
]

LABELS = np.array([0, 0, 1])
MODELS = [
    np.array([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]),
    np.array([[0.5, 0.5], [1.0, 0.0], [0.125, 0.875]]),
]


def cleanlabs_scores(quietly, labels, members, **options):
    oracle = rank.get_label_quality_ensemble_scores
    return quietly(oracle, labels, members, verbose=False, **options)


@pytest.mark.parametrize(("dtype", "atol"), DTYPES)
@pytest.mark.parametrize("scheme", ["uniform", "accuracy", "custom"])
@settings(deadline=None)
@given(data=st.data(), score=st.sampled_from(SCORES))
def test_scores_equal_cleanlabs(scheme, dtype, atol, data, score, ensembles, quietly):
    labels, members = data.draw(ensembles(dtype))
    options = {"method": score[0], "adjust_pred_probs": score[1]}
    options["weight_ensemble_members_by"] = scheme
    if scheme == "custom":
        weights = st.lists(st.floats(0.0, 2.0), min_size=len(members), max_size=len(members))
        options["custom_weights"] = np.array(data.draw(weights))
    expected = cleanlabs_scores(quietly, labels, members, **options)
    actual = get_label_quality_ensemble_scores(labels, members, **options)
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@settings(deadline=None, max_examples=30)
@given(data=st.data(), method=st.sampled_from(METHODS))
def test_log_loss_weights_equal_cleanlabs_of_the_same_numbers_in_float64(
    dtype, data, method, ensembles, quietly
):
    labels, members = data.draw(ensembles(dtype))
    # cleanlab fails where exp(-T · log loss) of every model underflows to 0, and where an average
    # of models exceeds 1 by rounding. A share of the uniform distribution bounds the log loss; the
    # last of several models goes without and keeps its probabilities down to 0.
    for m in range(max(1, len(members) - 1)):
        members[m] = (0.999 * members[m] + 0.001 / members[m].shape[1]).astype(dtype)
    options = {
        "method": method,
        "weight_ensemble_members_by": "log_loss_search",
        "log_loss_search_T_values": [1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 5e1],
    }
    # The search multiplies the rounding of a float32 log loss by T: of no use as an oracle.
    wide = [member.astype(np.float64) for member in members]
    expected = cleanlabs_scores(quietly, labels, wide, **options)
    actual = get_label_quality_ensemble_scores(labels, members, **options)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)


def test_custom_weights_are_used_as_given_and_not_normalised():
    scores = get_label_quality_ensemble_scores(
        LABELS, MODELS, weight_ensemble_members_by="custom", custom_weights=[2, 4]
    )
    assert scores.tolist() == [2 * 0.75 + 4 * 0.5, 2 * 0.25 + 4 * 1.0, 2 * 0.5 + 4 * 0.875]


@pytest.mark.parametrize("scheme", ["uniform", "accuracy", "log_loss_search"])
@pytest.mark.parametrize(("method", "adjust"), SCORES)
def test_an_ensemble_of_one_model_scores_as_the_model(scheme, method, adjust, assert_same_bits):
    options = {"method": method, "adjust_pred_probs": adjust}
    scores = get_label_quality_ensemble_scores(
        LABELS, MODELS[:1], weight_ensemble_members_by=scheme, **options
    )
    assert_same_bits(scores, get_label_quality_scores(LABELS, MODELS[0], **options))


def test_accuracy_weights_a_model_by_how_many_labels_it_predicts():
    right, half = [[0.75, 0.25], [0.25, 0.75]], [[0.5, 0.5], [0.5, 0.5]]  # a tie is class 0
    scores = get_label_quality_ensemble_scores([0, 1], [right, half])
    np.testing.assert_allclose(scores, [2 / 3 * 0.75 + 1 / 3 * 0.5] * 2, rtol=1e-15)


def test_temperatures_at_which_every_weight_underflows_are_passed_over(assert_same_bits):
    one, both = (
        get_label_quality_ensemble_scores(
            LABELS,
            MODELS,
            weight_ensemble_members_by="log_loss_search",
            log_loss_search_T_values=temperatures,
        )
        for temperatures in ([1.0], [1e9, 1.0])
    )
    assert_same_bits(both, one)


@pytest.mark.parametrize("temperatures", [[], [1e9]])
def test_temperatures_that_give_no_weights_are_refused(temperatures):
    with pytest.raises(OptionError, match=r"no value of log_loss_search_T_values gives weights: "):
        get_label_quality_ensemble_scores(
            LABELS,
            MODELS,
            weight_ensemble_members_by="log_loss_search",
            log_loss_search_T_values=temperatures,
        )


@pytest.mark.parametrize(("verbose", "n_messages"), [(True, 1), (False, 0)])
def test_the_weights_are_logged_if_verbose(verbose, n_messages, caplog):
    with caplog.at_level(logging.INFO, logger="lq_spark"):
        get_label_quality_ensemble_scores(LABELS, MODELS, verbose=verbose)
    assert [m.split(":")[0] for m in caplog.messages] == [
        "ensemble weights by accuracy"
    ] * n_messages


@pytest.mark.parametrize("scheme", ["uniform", "accuracy", "log_loss_search"])
@pytest.mark.parametrize(("method", "adjust"), SCORES)
def test_scoring_changes_no_input(scheme, method, adjust):
    labels, members = LABELS.copy(), [member.copy() for member in MODELS]
    get_label_quality_ensemble_scores(
        labels,
        members,
        method=method,
        adjust_pred_probs=adjust,
        weight_ensemble_members_by=scheme,
    )
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(members, MODELS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "margin"}, "method must be one of 'self_confidence', "),
        (
            {"method": "confidence_weighted_entropy", "adjust_pred_probs": True},
            "adjust_pred_probs=True is not defined for method 'confidence_weighted_entropy'",
        ),
        (
            {"weight_ensemble_members_by": "acuracy"},
            "weight_ensemble_members_by must be one of 'accuracy', 'uniform', 'log_loss_search', "
            "'custom', got 'acuracy'; did you mean 'accuracy'?",
        ),
        ({"custom_weights": [1, 1]}, "got 'accuracy' with custom_weights"),
        ({"weight_ensemble_members_by": "custom"}, "got 'custom' without custom_weights"),
        (
            {"weight_ensemble_members_by": "custom", "custom_weights": [1, 1, 1]},
            "custom_weights must be 2 finite numbers, got [1. 1. 1.]",
        ),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(options, message):
    with pytest.raises(OptionError) as error:
        get_label_quality_ensemble_scores(LABELS, MODELS, **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("labels", "members", "message"),
    [
        ([0], [], "pred_probs_list is empty; at least 1 model's pred_probs are needed"),
        ([0], [[[1, 0]], [[1, 0, 0]]], r"members of shapes \[\(1, 2\), \(1, 3\)\]"),
        ([0], [[[1, 0]], [[1, 0], [1, 0]]], "labels has 1 rows, pred_probs has 2"),
        ([0], [[[1, 0]], [[np.nan, 0]]], "probability not finite: 1 rows, for instance row 0"),
        ([2], [[[1, 0]], [[1, 0]]], r"label out of range: 1 rows, .* K = 2 classes"),
        ([0], [[[0, 1]], [[0, 1]]], "use weight_ensemble_members_by='uniform'"),
    ],
)
def test_bad_data_is_refused(labels, members, message):
    with pytest.raises(DataError, match=message):
        get_label_quality_ensemble_scores(labels, members)
