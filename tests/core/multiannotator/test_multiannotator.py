from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from cleanlab import multiannotator as oracle
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lq_spark.core.multiannotator import (
    convert_long_to_wide_dataset,
    get_label_quality_multiannotator,
    get_label_quality_multiannotator_ensemble,
    get_majority_vote_label,
)
from lq_spark.core.multiannotator.annotations import count_votes
from lq_spark.core.multiannotator.tables import wide_labels
from lq_spark.core.multiannotator.temperature import (
    COARSE_TEMPERATURES,
    fine_temperatures,
    finish_losses,
    partial_losses,
)
from lq_spark.errors import ColumnError, DataError, OptionError

NAN = np.nan
LABELS = np.array([[0, 0, 1], [1, 1, NAN], [0, NAN, 1], [NAN, 1, 1]])
PROBS = np.array([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5], [0.125, 0.875]])
# Nobody chose class 0, which is where cleanlab puts the share of the lowest class chosen.
NO_ZEROS = np.array([[1, 1, 2], [2, 2, 1], [2, 1, 1], [2, 2, 2.0]])
THREE = np.array([[0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]])

BOTH = ["best_quality", "majority_vote"]
OPTIONS = [
    {},
    {"consensus_method": BOTH},
    {"consensus_method": BOTH[::-1]},
    {"quality_method": "agreement"},
    {"quality_method": "agreement", "consensus_method": BOTH[::-1]},
    {"calibrate_probs": True},
    {"label_quality_score_kwargs": {"method": "normalized_margin"}},
    {"label_quality_score_kwargs": {"method": "confidence_weighted_entropy"}},
    {"label_quality_score_kwargs": {"adjust_pred_probs": True}},
    {"label_quality_score_kwargs": {"method": "normalized_margin", "adjust_pred_probs": True}},
    {
        "quality_method": "agreement",
        "consensus_method": "majority_vote",
        "label_quality_score_kwargs": {"adjust_pred_probs": True},
    },
]


def without_some(pred_probs, share, rng):
    """Return probabilities of which a share is exactly 0, not all of a row."""
    kept = rng.random(pred_probs.shape) >= share
    kept[np.arange(len(kept)), rng.integers(kept.shape[1], size=len(kept))] = True
    pred_probs = np.where(kept, pred_probs, 0.0)
    return pred_probs / pred_probs.sum(axis=1, keepdims=True)


def one_temperature_is_best(labels, pred_probs):
    """Return whether no two losses of the search are equal but for their rounding."""
    given_labels = wide_labels(labels).annotations(pred_probs.shape[1])
    votes, temperatures = count_votes(given_labels), COARSE_TEMPERATURES
    for _ in range(2):
        state = partial_losses(
            given_labels, votes, pred_probs, sorted(set(temperatures)), cleanlab_compatible=True
        )
        lowest, second = np.sort(state.high * 2.0**-30 + state.low * 2.0**-60)[:2]
        if second - lowest < 1e-9:
            return False
        temperatures = fine_temperatures(finish_losses(state))
    return True


def drawn_by(call, n_draws=8):
    """Return the answers of some seeds of cleanlab's draws, shape (n_draws, n)."""
    draws = []
    for seed in range(n_draws):
        np.random.seed(seed)
        draws.append(call())
    return np.array(draws)


def assert_equal_results(actual, expected, options=(), atol=1e-9):
    """Assert that dicts of tables are equal; ``options`` are those they were made with."""
    assert actual.keys() == expected.keys()
    for name, wanted in expected.items():
        found = actual[name]
        if name == "annotator_stats":  # cleanlab's order of equal qualities hangs on rounding
            order = found.columns[:2].tolist()
            pd.testing.assert_frame_equal(found, found.sort_values(order, kind="stable"))
            found, wanted = found.sort_index(), wanted.sort_index()
            if "adjust_pred_probs" in dict(options).get("label_quality_score_kwargs", ()):
                # Adjusted by a threshold of a single item, the qualities that decide between
                # worst classes are equal but for rounding.
                found, wanted = (table.drop(columns="worst_class") for table in (found, wanted))
        if isinstance(wanted, pd.DataFrame):
            pd.testing.assert_frame_equal(found, wanted, rtol=0, atol=atol)
        else:
            assert type(found) is type(wanted)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=atol)


def assert_tables_equal_cleanlabs(labels, pred_probs, options, quietly):
    options = {**options, "return_weights": options.get("quality_method") != "agreement"}
    expected = quietly(
        oracle.get_label_quality_multiannotator, labels, pred_probs, verbose=False, **options
    )
    actual = get_label_quality_multiannotator(
        labels, pred_probs, cleanlab_compatible=True, verbose=False, **options
    )
    assert_equal_results(actual, expected, options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_all_tables_equal_cleanlabs(options, crowds, quietly):
    @settings(deadline=None, max_examples=3)
    @given(crowds(1))
    def check(crowd):
        labels, (pred_probs,) = crowd
        assert_tables_equal_cleanlabs(labels, pred_probs, options, quietly)

    check()


def test_all_tables_of_a_nasty_crowd_equal_cleanlabs(nasty_crowd, quietly):
    labels, (pred_probs, _) = nasty_crowd
    for options in (OPTIONS[1], OPTIONS[4], OPTIONS[5], OPTIONS[6]):
        assert_tables_equal_cleanlabs(labels, pred_probs, options, quietly)


@settings(deadline=None, max_examples=25)
@given(data=st.data(), n_models=st.integers(1, 3), calibrate=st.booleans())
def test_all_tables_of_an_ensemble_equal_cleanlabs(data, n_models, calibrate, crowds, quietly):
    labels, models = data.draw(crowds(n_models))
    options = {"calibrate_probs": calibrate, "return_weights": True}
    expected = quietly(
        oracle.get_label_quality_multiannotator_ensemble,
        labels,
        models.copy(),
        verbose=False,
        **options,
    )
    actual = get_label_quality_multiannotator_ensemble(
        labels, models, cleanlab_compatible=True, **options
    )
    assert_equal_results(actual, expected)


def test_a_probability_of_0_stays_0_in_the_search_of_a_temperature(quietly):
    labels, pred_probs = np.array([[0, 1], [0, NAN]]), np.array([[0, 1], [0.75, 0.25]])
    options = {"calibrate_probs": True, "verbose": False}
    found = get_label_quality_multiannotator(
        labels, pred_probs, cleanlab_compatible=True, **options
    )
    quality = found["label_quality"]["consensus_quality_score"]
    np.testing.assert_allclose(quality, [1, 1], atol=1e-4)
    expected = quietly(
        oracle.get_label_quality_multiannotator, labels, pred_probs.copy(), **options
    )
    assert_equal_results(found, expected)


@settings(deadline=None, max_examples=8)
@given(data=st.data(), share=st.sampled_from([0.3, 0.5, 0.8]))
def test_calibrated_tables_equal_cleanlabs_where_probabilities_are_0(data, share, crowds, quietly):
    labels, (pred_probs,) = data.draw(crowds(1))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    pred_probs = without_some(pred_probs, share, rng)
    assume(one_temperature_is_best(labels, pred_probs))
    options = {"calibrate_probs": True, "verbose": False}

    told = []

    def consensus():
        told.append(
            quietly(oracle.get_label_quality_multiannotator, labels, pred_probs.copy(), **options)
        )
        return told[-1]["label_quality"]["consensus_label"].to_numpy()

    draws = drawn_by(consensus, n_draws=16)  # a tie of two is drawn alike once in 2^15
    assume((draws == draws[0]).all())
    expected = told[-1]
    actual = get_label_quality_multiannotator(
        labels, pred_probs, cleanlab_compatible=True, **options
    )
    assert_equal_results(actual, expected)


@settings(deadline=None, max_examples=30)
@given(data=st.data(), options=st.sampled_from(OPTIONS[:2] + OPTIONS[6:10]))
def test_without_the_defects_the_numbers_are_the_same_where_no_class_is_absent(
    data, options, crowds, quietly
):
    labels, (pred_probs,) = data.draw(crowds(1))
    n_classes = pred_probs.shape[1]
    labels[:n_classes, 0] = np.arange(n_classes)[: len(labels)]
    if len(labels) < n_classes:
        return
    expected = quietly(
        oracle.get_label_quality_multiannotator, labels, pred_probs, verbose=False, **options
    )
    actual = get_label_quality_multiannotator(labels, pred_probs, verbose=False, **options)
    assert_equal_results(actual, expected, options)


@pytest.mark.parametrize("with_probs", [True, False])
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_majority_votes_equal_those_that_cleanlab_does_not_draw(with_probs, data, crowds, quietly):
    labels, (pred_probs,) = data.draw(crowds(1))
    # cleanlab fails at a tie where no item has a clear majority.
    labels = np.vstack([labels, np.where(np.arange(labels.shape[1]) == 0, 0, NAN)])
    pred_probs = np.vstack([pred_probs, pred_probs[0]])
    given_probs = pred_probs if with_probs else None
    draws = drawn_by(
        lambda: quietly(oracle.get_majority_vote_label, labels, given_probs, verbose=False), 12
    )
    steady = (draws == draws[0]).all(axis=0)
    actual = get_majority_vote_label(labels, given_probs)
    assert actual.dtype == np.int64
    drawn_by_us = (np.array(draws) == actual).any(axis=0)
    np.testing.assert_array_equal(actual[steady], draws[0][steady])
    assert drawn_by_us.all()


def test_a_table_with_names_keeps_them(quietly):
    index, columns = ["w", "x", "y", "z"], ["ann", "bob", "cyd"]
    table = pd.DataFrame(LABELS, index=index, columns=columns)
    expected = quietly(
        oracle.get_label_quality_multiannotator, table, PROBS, verbose=False, return_weights=True
    )
    actual = get_label_quality_multiannotator(table, PROBS, return_weights=True)
    assert_equal_results(actual, expected)
    nullable = table.astype("Int64")
    assert_equal_results(
        get_label_quality_multiannotator(nullable, PROBS, return_weights=True), expected
    )


def test_an_annotator_with_nothing_in_common_counts_as_the_mean_of_the_others(quietly):
    labels = np.vstack([np.column_stack([LABELS, [NAN] * 4]), [NAN, NAN, NAN, 1]])
    pred_probs = np.vstack([PROBS, [0.25, 0.75]])
    options = {"return_weights": True, "quality_method": "crowdlab"}
    expected = quietly(
        oracle.get_label_quality_multiannotator, labels, pred_probs, verbose=False, **options
    )
    actual = get_label_quality_multiannotator(labels, pred_probs, **options)
    assert_equal_results(actual, expected)
    assert np.isnan(actual["annotator_stats"].loc[3, "annotator_quality"])


def test_float32_probabilities_are_taken_for_the_numbers_they_are(crowds):
    pred_probs = PROBS.astype(np.float32)
    narrow = get_label_quality_multiannotator(LABELS, pred_probs, calibrate_probs=True)
    wide = get_label_quality_multiannotator(
        LABELS, pred_probs.astype(np.float64), calibrate_probs=True
    )
    assert_equal_results(narrow, wide, atol=0)


def test_shares_are_of_their_own_classes_and_not_of_the_first_ones(quietly):
    options = {"quality_method": "agreement"}
    right = get_label_quality_multiannotator(NO_ZEROS, THREE, **options)
    assert right["label_quality"]["consensus_label"].tolist() == [1, 2, 1, 2]
    np.testing.assert_allclose(
        right["label_quality"]["consensus_quality_score"], [2 / 3, 2 / 3, 2 / 3, 1]
    )
    np.testing.assert_allclose(right["detailed_label_quality"].iloc[0], [2 / 3, 2 / 3, 1 / 3])
    # cleanlab takes the shares of classes 1 and 2 for those of 0 and 1.
    wrong = get_label_quality_multiannotator(NO_ZEROS, THREE, cleanlab_compatible=True, **options)
    assert wrong["label_quality"]["consensus_label"].tolist() == [0, 1, 0, 0]
    expected = quietly(
        oracle.get_label_quality_multiannotator, NO_ZEROS, THREE, verbose=False, **options
    )
    assert_equal_results(wrong, expected)


def test_the_temperature_fits_the_labels_and_not_other_classes(quietly):
    options = {"calibrate_probs": True}
    expected = quietly(
        oracle.get_label_quality_multiannotator, NO_ZEROS, THREE, verbose=False, **options
    )
    wrong = get_label_quality_multiannotator(NO_ZEROS, THREE, cleanlab_compatible=True, **options)
    assert_equal_results(wrong, expected)
    right = get_label_quality_multiannotator(NO_ZEROS, THREE, **options)
    column = "consensus_quality_score"
    # The model is right more often than it says: cleanlab makes it unsure, we make it sure.
    plain = get_label_quality_multiannotator(NO_ZEROS, THREE)["label_quality"][column].mean()
    assert wrong["label_quality"][column].mean() < plain < right["label_quality"][column].mean()


def test_a_tie_goes_to_the_class_that_is_rarest_where_one_is_absent(quietly):
    # Classes 1 and 2 have 3 and 5 labels; looked up under 0 and 1, class 2 would have none.
    labels, pred_probs = (
        np.array([[1, 2], [1, 1], [2, 2], [2, 2.0]]),
        np.array([[0.2, 0.4, 0.4]] * 4),
    )
    assert get_majority_vote_label(labels, pred_probs).tolist() == [1, 1, 2, 2]
    assert quietly(oracle.get_majority_vote_label, labels, pred_probs, verbose=False)[0] == 1
    for compatible in (True, False):
        found = get_label_quality_multiannotator(
            labels, pred_probs, consensus_method="majority_vote", cleanlab_compatible=compatible
        )
        assert found["label_quality"]["consensus_label"].tolist() == [1, 1, 2, 2]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_classes=st.integers(3, 6), n_given=st.integers(2, 6))
def test_ties_of_equal_probabilities_go_where_cleanlabs_go(seed, n_classes, n_given, quietly):
    rng = np.random.default_rng(seed)
    some = rng.permutation(n_classes)[:n_given]
    labels = rng.choice(some, (rng.integers(3, 12), rng.integers(2, 5))).astype(np.float64)
    labels[0] = labels[0, 0]  # cleanlab fails at a tie where no item has a clear majority
    even = np.full((len(labels), n_classes), 1 / n_classes)
    for pred_probs in (even, None):
        draws = drawn_by(
            lambda: quietly(oracle.get_majority_vote_label, labels, pred_probs, verbose=False)  # noqa: B023
        )
        steady = (draws == draws[0]).all(axis=0)
        found = get_majority_vote_label(labels, pred_probs)
        np.testing.assert_array_equal(found[steady], draws[0][steady])


def test_weights_are_of_the_consensus_that_the_tables_are_of(quietly):
    labels = np.array([[0, 1, 0], [1, 0, 1], [0, 0, 1], [1, 1, NAN], [0, NAN, 1]])
    pred_probs = np.array([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.3, 0.7], [0.6, 0.4]])
    options = {"return_weights": True}
    one = get_label_quality_multiannotator(labels, pred_probs, **options)
    two = get_label_quality_multiannotator(labels, pred_probs, consensus_method=BOTH, **options)
    last = get_label_quality_multiannotator(
        labels, pred_probs, consensus_method="majority_vote", **options
    )
    assert two["model_weight"] == one["model_weight"] != last["model_weight"]
    # cleanlab's are of the last.
    expected = quietly(
        oracle.get_label_quality_multiannotator,
        labels,
        pred_probs,
        consensus_method=BOTH,
        verbose=False,
        **options,
    )
    assert expected["model_weight"] == pytest.approx(last["model_weight"], rel=1e-12)


def test_an_ensemble_is_scored_by_other_methods_too():
    options = {"label_quality_score_kwargs": {"method": "normalized_margin"}}
    one = get_label_quality_multiannotator(LABELS, PROBS, **options)
    ensemble = get_label_quality_multiannotator_ensemble(LABELS, PROBS[np.newaxis], **options)
    assert_equal_results(ensemble, one, atol=0)


@pytest.mark.parametrize("compatible", [True, False])
def test_no_input_is_changed(compatible):
    labels, models = LABELS.copy(), np.array([PROBS, PROBS[::-1]])
    before = models.copy()
    get_label_quality_multiannotator_ensemble(
        labels, models, calibrate_probs=True, cleanlab_compatible=compatible
    )
    get_majority_vote_label(labels, models[0])
    np.testing.assert_array_equal(models, before)
    np.testing.assert_array_equal(labels, LABELS)


def test_what_is_not_asked_for_is_not_there():
    found = get_label_quality_multiannotator(
        LABELS, PROBS, return_detailed_quality=False, return_annotator_stats=False
    )
    assert list(found) == ["label_quality"]


@pytest.mark.parametrize(("verbose", "n_messages"), [(True, 2), (False, 0)])
def test_what_may_surprise_is_logged_if_verbose(verbose, n_messages, caplog):
    labels = np.array([[0, 1, NAN], [1, 0, NAN], [NAN, NAN, 1]])
    with caplog.at_level(logging.INFO, logger="lq_spark"):
        get_majority_vote_label(labels, verbose=verbose)
    assert len(caplog.messages) == n_messages
    if verbose:
        assert caplog.messages[0] == "no two annotators agree on any item"
        assert caplog.messages[1].startswith("1 annotators have no item in common with others (")


def test_classes_that_are_no_consensus_are_logged(caplog):
    with caplog.at_level(logging.INFO, logger="lq_spark"):
        get_label_quality_multiannotator(
            np.array([[0, 0, 1], [0, 0, 0]]), PROBS[[0, 0]], consensus_method="majority_vote"
        )
    assert caplog.messages == ["no consensus by majority_vote is one of the classes 1"]


def test_long_labels_become_cleanlabs_wide_table():
    long = pd.DataFrame(
        {"task": ["t", "s", "s"], "annotator": [7, 7, 5], "label": [1, 0, 2], "when": [1, 2, 3]}
    )
    pd.testing.assert_frame_equal(
        convert_long_to_wide_dataset(long), oracle.convert_long_to_wide_dataset(long)
    )
    with pytest.raises(ColumnError, match=r"must have the columns 'task', .* got 'task', 'annot"):
        convert_long_to_wide_dataset(long.drop(columns="label"))
    with pytest.raises(DataError, match="got task s labelled again by 7 \\(1 such labels\\)"):
        convert_long_to_wide_dataset(pd.concat([long, long.iloc[1:2]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality_method": "agree"}, "quality_method must be one of 'crowdlab', 'agreement', got"),
        ({"consensus_method": "best"}, "consensus_method must be one of 'best_quality', "),
        ({"consensus_method": []}, "or a list of them, each once, got []"),
        ({"consensus_method": ["majority_vote"] * 2}, "each once, got ['majority_vote', 'major"),
        (
            {"quality_method": "agreement", "return_weights": True},
            "return_weights=True goes with quality_method='crowdlab' alone, got 'agreement'",
        ),
        (
            {"label_quality_score_kwargs": {"methd": 1}},
            "label_quality_score_kwargs takes 'method', 'adjust_pred_probs', got 'methd'; did you",
        ),
        ({"label_quality_score_kwargs": {"method": "x"}}, "method must be one of 'self_confide"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(options, message):
    with pytest.raises(OptionError) as error:
        get_label_quality_multiannotator(LABELS, PROBS, **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("labels", "pred_probs", "message"),
    [
        (LABELS[0], PROBS, r"a row an item and a column an annotator, got shape \(3,\)"),
        (LABELS[:, :1], PROBS, r"each item must have a label, got none for item 3 \(1 such items"),
        (LABELS[:2, :1], PROBS[:2], "there must be at least 2 annotators, got 1"),
        (
            np.column_stack([LABELS, [NAN] * 4]),
            PROBS,
            "each annotator must have given a label, annotator 3 gave none",
        ),
        (LABELS + 1, PROBS, r"labels must lie in 0..1, got 2 for item 0 \(6 such labels\)"),
        (LABELS - 1, PROBS, r"labels must lie in 0..1, got -1 for item 0"),
        (LABELS / 2, PROBS, r"whole numbers 0..K-1 or NaN, got 0.5 at row 0"),
        (np.where(LABELS == 1, np.inf, 0), PROBS, "whole numbers 0..K-1 or NaN, got inf at row 0"),
        (np.array([["a", "b"]]), PROBS[:1], "must hold whole numbers 0..K-1 or NaN"),
        (LABELS, PROBS[:3], "the labels are of 4 items, pred_probs of 3"),
        (LABELS, PROBS[np.newaxis], "pred_probs must be a 2-D array of numbers"),
        (LABELS, np.where(PROBS == 0.5, NAN, PROBS), "probability not finite: 1 rows, .* row 2"),
        (LABELS, PROBS * 2, "probability above 1: 3 rows.* do not sum to 1: 1 rows"),
        (
            np.array([[0, NAN], [NAN, 1]]),
            PROBS[:2],
            "each item has one label.*; use lq_spark.core.multiclass.get_label_quality_scores",
        ),
    ],
)
def test_bad_data_is_refused(labels, pred_probs, message):
    with pytest.raises(DataError, match=message):
        get_label_quality_multiannotator(labels, pred_probs)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "pred_probs is empty; at least 1 model's pred_probs are needed"),
        ([PROBS, PROBS[:3]], r"pred_probs has models of shapes \[\(4, 2\), \(3, 2\)\]"),
        (PROBS, "pred_probs must be a 2-D array of numbers, got shape"),
    ],
)
def test_bad_ensembles_are_refused(models, message):
    with pytest.raises(DataError, match=message):
        get_label_quality_multiannotator_ensemble(LABELS, models)
