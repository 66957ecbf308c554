import inspect

import numpy as np
import pytest
from cleanlab import rank
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core import multiclass
from lq_spark.errors import DataError, OptionError

SCORES = [
    pytest.param({"method": method, "adjust_pred_probs": adjust}, id=method + "-adjusted" * adjust)
    for method, adjust in [
        ("self_confidence", False),
        ("self_confidence", True),
        ("normalized_margin", False),
        ("normalized_margin", True),
        ("confidence_weighted_entropy", False),
    ]
]
METHODS = ["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
# cleanlab computes in the type of its input, we in float64.
DTYPES = [
    pytest.param(np.float64, 1e-9, id="float64"),
    pytest.param(np.float32, 1e-6, id="float32"),
]

PROBS = np.array([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])


@pytest.mark.parametrize(("dtype", "atol"), DTYPES)
@pytest.mark.parametrize("options", SCORES)
@settings(deadline=None)
@given(data=st.data())
def test_scores_equal_cleanlabs(options, dtype, atol, data, data_sets, quietly):
    labels, pred_probs = data.draw(data_sets(dtype))
    expected = quietly(rank.get_label_quality_scores, labels, pred_probs, **options)
    actual = multiclass.get_label_quality_scores(labels, pred_probs, **options)
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(("dtype", "atol"), DTYPES)
@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_each_score_of_its_own_name_equals_cleanlabs(method, dtype, atol, data, data_sets, quietly):
    labels, pred_probs = data.draw(data_sets(dtype))
    name = f"get_{method}_for_each_label"
    expected = quietly(getattr(rank, name), labels, pred_probs)
    actual = getattr(multiclass, name)(labels, pred_probs)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


@settings(deadline=None)
@given(
    scores=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=100, unique=True),
    top=st.none() | st.integers(0, 120),
)
def test_top_issues_of_distinct_scores_equal_cleanlabs(scores, top, quietly):
    expected = quietly(rank.find_top_issues, np.array(scores), top=top)
    np.testing.assert_array_equal(multiclass.find_top_issues(scores, top=top), expected)


@pytest.mark.parametrize("options", SCORES)
@settings(deadline=None)
@given(data=st.data())
def test_ordered_issues_of_distinct_scores_equal_cleanlabs(options, data, data_sets, quietly):
    labels, pred_probs = data.draw(data_sets(np.float64))
    scores = multiclass.get_label_quality_scores(labels, pred_probs, **options)
    by_score = np.argsort(scores)
    # cleanlab's order of ties is that of an unstable sort: flag rows that are no near-ties.
    distinct = by_score[np.diff(scores[by_score], prepend=-1.0) > 1e-9]
    mask = np.zeros(len(labels), dtype=bool)
    mask[distinct[: data.draw(st.integers(0, len(distinct)))]] = True

    ranking = {
        "rank_by": options["method"],
        "rank_by_kwargs": {"adjust_pred_probs": options["adjust_pred_probs"]},
    }
    expected = quietly(rank.order_label_issues, mask, labels, pred_probs, **ranking)
    actual = multiclass.order_label_issues(mask, labels, pred_probs, **ranking)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", multiclass.__all__)
def test_parameters_and_defaults_are_cleanlabs(name):
    def parameters(function):
        return [
            (p.name, p.kind, list(p.default) if isinstance(p.default, tuple) else p.default)
            for p in inspect.signature(function).parameters.values()
        ]

    assert parameters(getattr(multiclass, name)) == parameters(getattr(rank, name))


def test_equal_scores_are_ranked_by_position():
    scores = np.tile([0.5, 0.25], 50)
    expected = [*range(1, 100, 2), *range(0, 100, 2)]
    assert multiclass.find_top_issues(scores, top=None).tolist() == expected
    assert multiclass.find_top_issues(scores, top=60).tolist() == expected[:60]


def test_flagged_rows_of_equal_scores_are_ordered_by_position():
    pred_probs = np.tile([[0.5, 0.5], [0.25, 0.75]], (50, 1))
    mask = np.arange(100) >= 10
    order = multiclass.order_label_issues(mask, np.zeros(100, dtype=int), pred_probs)
    assert order.tolist() == [*range(11, 100, 2), *range(10, 100, 2)]


@pytest.mark.parametrize("label", [0, 1, 2])
def test_a_one_hot_row_has_entropy_score_0_whatever_its_label(label):
    score = multiclass.get_confidence_weighted_entropy_for_each_label([label], [[0.0, 1.0, 0.0]])
    assert score == [0.0]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param([0.50001, 0.50001], id="sums to 1.00002"),
        pytest.param([1.00001, 0.0], id="above 1 by 1e-5"),
        pytest.param([1.0, -1e-7], id="below 0 by 1e-7"),
    ],
)
@pytest.mark.parametrize("options", SCORES)
def test_rounding_of_a_softmax_is_tolerated(row, options):
    tolerated = multiclass.get_label_quality_scores([0, 1], [row, row], **options)
    exact = np.clip(row, 0.0, 1.0) / np.clip(row, 0.0, 1.0).sum()
    expected = multiclass.get_label_quality_scores([0, 1], [exact, exact], **options)
    np.testing.assert_allclose(tolerated, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "labels",
    [
        [0, 0, 1],
        (0, 0, 1),
        np.array([0.0, 0.0, 1.0]),
        np.array([False, False, True]),
        np.array([0, 0, 1], dtype=np.uint8),
    ],
    ids=["list", "tuple", "float", "bool", "uint8"],
)
def test_labels_may_be_of_any_type_that_holds_whole_numbers(labels):
    scores = multiclass.get_label_quality_scores(labels, PROBS.tolist())
    assert scores.tolist() == [0.75, 0.25, 0.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", SCORES)
def test_scoring_changes_no_input(options, dtype):
    labels, pred_probs, mask = np.array([0, 0, 1]), PROBS.astype(dtype), np.array([True] * 3)
    scores = np.array([0.5, 0.25, 0.75])
    adjust = {"adjust_pred_probs": options["adjust_pred_probs"]}
    multiclass.get_label_quality_scores(labels, pred_probs, **options)
    multiclass.order_label_issues(
        mask, labels, pred_probs, rank_by=options["method"], rank_by_kwargs=adjust
    )
    multiclass.find_top_issues(scores)
    assert labels.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(pred_probs, PROBS)
    assert mask.all()
    assert scores.tolist() == [0.5, 0.25, 0.75]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "self_confidance"}, "'self_confidance'; did you mean 'self_confidence'?"),
        ({"method": "xyz"}, "method must be one of 'self_confidence', 'normalized_margin', "),
        ({"method": None}, "got None"),
        (
            {"method": "confidence_weighted_entropy", "adjust_pred_probs": True},
            "'confidence_weighted_entropy'; use 'self_confidence' or 'normalized_margin'",
        ),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(options, message):
    with pytest.raises(OptionError) as error:
        multiclass.get_label_quality_scores([0, 0, 1], PROBS, **options)
    assert message in str(error.value)
    assert isinstance(error.value, ValueError)


def test_an_unknown_rank_by_is_refused_with_what_is_allowed():
    with pytest.raises(OptionError, match="did you mean 'normalized_margin'"):
        multiclass.order_label_issues([True] * 3, [0, 0, 1], PROBS, rank_by="normalised_margin")


def test_a_negative_top_is_refused():
    with pytest.raises(OptionError, match="top must be None or at least 0, got -1"):
        multiclass.find_top_issues([0.5], top=-1)


@pytest.mark.parametrize(
    ("mask", "given_text"),
    [
        ([0, 3], r"int64 of shape \(2,\)"),
        ([-1], r"int64 of shape \(1,\)"),
        ([0.0, 1.0], r"float64 of shape \(2,\)"),
        ([True, False], r"bool of shape \(2,\)"),
    ],
)
def test_a_mask_of_another_length_or_positions_of_no_rows_are_refused(mask, given_text):
    text = rf"boolean array of shape \(3,\) or positions 0\.\.2, got {given_text}"
    with pytest.raises(DataError, match=text):
        multiclass.order_label_issues(mask, [0, 0, 1], PROBS)


@pytest.mark.parametrize("method", METHODS)
def test_each_score_of_its_own_name_refuses_bad_rows(method):
    score = getattr(multiclass, f"get_{method}_for_each_label")
    with pytest.raises(DataError, match="label out of range: 1 rows, for instance row 2"):
        score([0, 0, 2], PROBS)
