"""Boxes: cleanlab's numbers, its defects, and what cannot be scored."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
from cleanlab.object_detection import filter as their_filter
from cleanlab.object_detection import rank, summary
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lq_spark.core import detection
from lq_spark.errors import DataError, OptionError

SEEDS = st.integers(0, 2**32 - 1)


def random_boxes(rng, n, size):
    corner = rng.uniform(0, size, (n, 2))
    return np.hstack([corner, corner + rng.uniform(1, size / 3, (n, 2))])


def moved(rng, boxes, by):
    """Return boxes near others, as a model predicts them."""
    new = boxes + rng.normal(0, by, boxes.shape)
    new[:, 2:] = np.maximum(new[:, 2:], new[:, :2] + 0.5)
    return new


@st.composite
def data_sets(draw, dtype=np.float64):
    """Return labels and predictions of images: overlooked, moved and swapped boxes, empty images.

    Probabilities are different throughout, so that cleanlab has one order of them.
    """
    rng = np.random.default_rng(draw(SEEDS))
    n_images, n_classes = draw(st.integers(1, 15)), draw(st.integers(1, 4))
    size = draw(st.sampled_from([20.0, 300.0, 20_000.0]))  # so far apart that exp underflows
    noise = draw(st.sampled_from([0.0, 0.02, 0.2]))
    labels, predictions = [], []
    for _ in range(n_images):
        truth = random_boxes(rng, rng.integers(0, 6), size)
        classes = rng.integers(n_classes, size=len(truth))
        kept = rng.random(len(truth)) < 0.8
        given_boxes = moved(rng, truth, noise * size * (rng.random() < 0.3))[kept]
        given_classes = np.where(
            rng.random(len(truth)) < 0.15, rng.integers(n_classes, size=len(truth)), classes
        )[kept]
        if len(given_boxes) and rng.random() < 0.2:  # two labels in one place
            given_boxes = np.vstack([given_boxes, given_boxes[:1]])
            given_classes = np.append(given_classes, rng.integers(n_classes))
        labels.append({"bboxes": given_boxes.astype(dtype), "labels": given_classes})
        again = np.concatenate([np.arange(len(truth)), rng.integers(0, 1 + len(truth), 3)])
        again = again[again < len(truth)]
        extra = random_boxes(rng, rng.integers(0, 3), size)
        boxes = np.vstack([moved(rng, truth[again], noise * size), extra])
        of_class = np.append(classes[again], rng.integers(n_classes, size=len(extra)))
        probs = rng.choice([rng.uniform(0, 1, len(boxes)), rng.uniform(0.93, 1, len(boxes))])
        rows = np.column_stack([boxes, probs]).astype(dtype)
        predictions.append([rows[of_class == k] for k in range(n_classes)])
    return labels, predictions


def theirs(function, *args, **kwargs):
    pools = []

    def pool(*_):  # it starts processes, for one too, and does not end them
        pools.append(ThreadPool(1))
        return pools[-1]

    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),  # it prints
    ):
        patch.setattr(their_filter, "Pool", pool)
        patch.setattr(summary, "Pool", pool)
        warnings.simplefilter("ignore")  # of means of nothing, and divisions by 0
        result = function(*args, **kwargs)
    for one in pools:
        one.terminate()
    return result


def assert_close(found, expected, rtol=0):
    assert len(found) == len(expected)
    for ours, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, other, rtol=rtol, atol=1e-9)


def prepared_boxes(labels, predictions):
    """Return what cleanlab makes of labels and predictions before it scores boxes."""
    prepared = []
    for label, image in zip(labels, predictions, strict=True):
        rows = np.concatenate([np.zeros((0, 5)), *image])
        prepared.append(
            {
                "lab_labels": np.asarray(label["labels"]),
                "lab_bboxes": np.asarray(label["bboxes"]),
                "pred_labels": np.repeat(np.arange(len(image)), [len(part) for part in image]),
                "pred_label_probs": rows[:, 4],
                "pred_bboxes": rows[:, :4],
            }
        )
    return prepared


def values(by_class):
    return [list(of_class.values()) for of_class in by_class.values()]


@settings(deadline=None, max_examples=40)
@given(data=data_sets(), seed=SEEDS, defaults=st.booleans())
def test_box_scores_equal_cleanlabs(data, seed, defaults):
    labels, predictions = data
    rng = np.random.default_rng(seed)
    options = {} if defaults else {"alpha": float(rng.random())}
    high = {} if defaults else {"high_probability_threshold": float(rng.random())}
    low = {} if defaults else {"low_probability_threshold": float(rng.random())}
    both = {"labels": labels, "predictions": predictions, **options}
    for name, more in (
        ("compute_overlooked_box_scores", high),
        ("compute_badloc_box_scores", low),
        ("compute_swap_box_scores", high),
        ("compute_swap_box_scores", {**high, "overlapping_label_check": False}),
    ):
        expected = theirs(getattr(rank, name), **both, **more)
        assert_close(getattr(detection, name)(**both, **more), expected)
        prepared = prepared_boxes(labels, predictions)
        found = getattr(detection, name)(auxiliary_inputs=prepared, **options, **more)
        assert_close(found, expected)
    assert detection.object_counts_per_image(
        auxiliary_inputs=prepared
    ) == detection.object_counts_per_image(labels, predictions)


@settings(deadline=None, max_examples=40)
@given(data=data_sets(), seed=SEEDS, check=st.booleans())
def test_image_scores_equal_cleanlabs(data, seed, check):
    shares = np.random.default_rng(seed).dirichlet([1.0, 1.0, 1.0]).tolist()
    weights = dict(zip(("overlooked", "badloc", "swap"), shares, strict=True))
    for options in ({}, {"aggregation_weights": weights, "overlapping_label_check": check}):
        expected = theirs(rank.get_label_quality_scores, *data, **options)
        found = detection.get_label_quality_scores(*data, **options)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(data=data_sets(np.float32))
def test_scores_of_float32_boxes_equal_cleanlabs(data):
    labels, predictions = data
    found = detection.get_label_quality_scores(labels, predictions)
    # Its own arithmetic is of float32 then: where similarities cancel out in it, their square root
    # or third root is left of a score that is 0.
    expected = theirs(rank.get_label_quality_scores, labels, predictions)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-2)
    labels = [{**label, "bboxes": label["bboxes"].astype(np.float64)} for label in labels]
    predictions = [[boxes.astype(np.float64) for boxes in image] for image in predictions]
    expected = theirs(rank.get_label_quality_scores, labels, predictions)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(data=data_sets(), check=st.booleans())
def test_issues_equal_cleanlabs(data, check):
    options = {"overlapping_label_check": check}
    expected = theirs(their_filter.find_label_issues, *data, **options)
    found = detection.find_label_issues(*data, **options)
    np.testing.assert_array_equal(found, expected)
    # cleanlab 2.9.0 raises here with NumPy 2.4, so the order is that of its own scores.
    ranked = detection.find_label_issues(*data, return_indices_ranked_by_score=True, **options)
    scores = theirs(rank.get_label_quality_scores, *data, **options)
    assert sorted(ranked) == np.flatnonzero(expected).tolist()
    assert (np.diff(scores[ranked]) >= -1e-9).all()


@settings(deadline=None, max_examples=12)
@given(data=data_sets())
def test_summaries_equal_cleanlabs(data):
    _, predictions = data
    names = {str(k): f"class {k}" for k in range(len(predictions[0]))}
    for options in ({}, {"class_names": names}):
        expected = theirs(summary.class_label_distribution, *data, **options)
        assert detection.class_label_distribution(*data, **options) == expected
        some = {key: name for key, name in options.get("class_names", names).items() if key != "1"}
        sizes = {"class_names": some} if options else {}
        expected = theirs(summary.bounding_box_size_distribution, *data, **sizes)
        found = detection.bounding_box_size_distribution(*data, **sizes)
        for ours, other in zip(found, expected, strict=True):
            assert set(ours) == set(other)
            assert_close([ours[key] for key in other], list(other.values()))
        expected = theirs(summary.get_average_per_class_confusion_matrix, *data, **options)
        found = detection.get_average_per_class_confusion_matrix(
            *data, **options, cleanlab_compatible=True
        )
        assert list(found) == list(expected)
        assert_close(values(found), values(expected), rtol=1e-6)
        expected = theirs(summary.calculate_per_class_metrics, *data, **options)
        found = detection.calculate_per_class_metrics(*data, **options)
        # It gives NaN where there is nothing to divide by.
        assert_close(values(found), np.nan_to_num(values(expected), nan=0.0), rtol=1e-6)
    expected = theirs(summary.object_counts_per_image, *data)
    assert detection.object_counts_per_image(*data) == expected
    expected = theirs(summary.get_sorted_bbox_count_idxs, *data)
    assert detection.get_sorted_bbox_count_idxs(*data) == expected


@settings(deadline=None, max_examples=60)
@given(
    scores=st.lists(
        st.lists(st.floats(0, 1) | st.just(math.nan), max_size=6), min_size=1, max_size=6
    ),
    temperature=st.sampled_from([None, 0.0, 0.01, 0.1, 1.0]),
)
@example(scores=[[0.5, 0.500001, 0.9]], temperature=0.0)  # 0 is not quite the minimum
def test_pooled_scores_equal_cleanlabs(scores, temperature):
    arrays = [np.array(values) for values in scores]
    expected = theirs(rank.pool_box_scores_per_image, arrays, temperature=temperature)
    found = detection.pool_box_scores_per_image(arrays, temperature=temperature)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@given(
    scores=st.lists(st.floats(0, 1), unique=True, min_size=1, max_size=30),
    threshold=st.sampled_from([0.1, 0.5, 1.0, -1]),
)
def test_issues_from_scores_equal_cleanlabs(scores, threshold):
    expected = theirs(rank.issues_from_scores, np.array(scores), threshold=threshold)
    np.testing.assert_array_equal(
        detection.issues_from_scores(scores, threshold=threshold), expected
    )


def test_confusion_is_a_mean_over_overlaps_and_not_over_classes_too():
    label = {"bboxes": np.array([[0, 0, 20.0, 1]]), "labels": np.array([1])}
    for width in range(8, 20):  # at an overlap of exactly a threshold a box is right
        data = [label], [[np.zeros((0, 5)), np.array([[0, 0, width, 1, 0.9]])]]
        right = max(0, width - 9) / 10
        found = detection.get_average_per_class_confusion_matrix(*data)
        assert found[1] == pytest.approx({"TP": right, "FP": 1 - right, "FN": 1 - right})
        expected = theirs(summary.get_average_per_class_confusion_matrix, *data)
        assert expected[1] == pytest.approx({kind: n / 2 for kind, n in found[1].items()})


def test_a_class_without_boxes_has_metrics_of_zero():
    data = [{"bboxes": [[0, 0, 9, 9]], "labels": [0]}], [[[[0, 0, 9, 9, 0.9]], []]]
    assert detection.calculate_per_class_metrics(*data) == {
        0: {"average precision": 1.0, "average recall": 1.0, "average f1": 1.0},
        1: {"average precision": 0.0, "average recall": 0.0, "average f1": 0.0},
    }
    assert detection.find_label_issues(*data).tolist() == [False]


def test_images_without_boxes_are_clean():
    empty = {"bboxes": [], "labels": []}
    assert detection.get_label_quality_scores([empty], [[[], []]]).tolist() == [1.0]
    assert detection.find_label_issues([empty], [[[], []]]).tolist() == [False]
    assert (
        detection.find_label_issues(
            [empty], [[[], []]], return_indices_ranked_by_score=True
        ).tolist()
        == []
    )
    assert detection.bounding_box_size_distribution([empty], [[[], []]]) == ({}, {})


def test_sizes_are_sorted_by_the_number_of_boxes():
    boxes = [[0, 0, 1, 1], [0, 0, 2, 1], [0, 0, 3, 1]]
    labels = [{"bboxes": boxes, "labels": [0, 2, 2]}]
    predictions = [[[], [[0, 0, 5, 1, 0.5]], []]]
    names = {0: "a", 1: "b", 2: "c"}
    found = detection.bounding_box_size_distribution(
        labels, predictions, class_names=names, sort=True
    )
    assert [list(part.items()) for part in found] == [[("c", [2, 3]), ("a", [1])], [("b", [5])]]


GOOD_LABEL = {"bboxes": [[0, 0, 4, 4], [1, 1, 2, 2]], "labels": [0, 1]}
GOOD_PREDICTION = [[[0, 0, 4, 4, 0.9]], []]


def with_box(**changes):
    return {**GOOD_LABEL, **changes}


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (with_box(labels=[0, 2]), r"image 1, label box 1: label out of range \(K = 2 classes\); 1"),
        (with_box(labels=[0, -1]), "image 1, label box 1: label out of range"),
        (with_box(labels=[0.5, 1]), "labels of image 1: 'labels' has 0.5"),
        (with_box(labels=[0]), r"image 1: 'labels' must be 2 whole numbers, .* got shape \(1,\)"),
        (with_box(labels=["a", "b"]), "image 1: 'labels' must be 2 whole numbers"),
        (with_box(bboxes=[[0, 0, 4], [1, 1, 2]]), "image 1: 'bboxes' must be .* with 4 columns"),
        (with_box(bboxes=[[5, 0, 4, 4], [1, 1, 2, 2]]), "image 1, label box 0: x2 below x1"),
        (with_box(bboxes=[[0, 5, 4, 4], [1, 1, 2, 2]]), "image 1, label box 0: y2 below y1"),
        (with_box(bboxes=[[0, 0, 4, 4], [1, 1, 2, math.nan]]), "label box 1: coordinate null"),
        ({"boxes": []}, "labels of image 1 must be a mapping with 'bboxes' and 'labels'"),
    ],
)
def test_bad_labels_are_named(label, message):
    with pytest.raises(DataError, match=message):
        detection.find_label_issues([GOOD_LABEL, label], [GOOD_PREDICTION] * 2)


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        ([[]], "predictions of image 1 has 1 classes, of image 0 2"),
        ([[[0, 0, 4, 4]], []], r"predictions of image 1 must be .* 5 columns, got shape \(1, 4\)"),
        ([[], [[0, 0, 4, 4, 1.5]]], "image 1, predicted box 0: probability outside 0..1"),
        ([[], [[0, 0, 4, 4, math.nan]]], "image 1, predicted box 0: probability null or"),
        ([[], [[0, math.inf, 4, 4, 0.5]]], "image 1, predicted box 0: coordinate null or not"),
    ],
)
def test_bad_predictions_are_named(prediction, message):
    with pytest.raises(DataError, match=message):
        detection.get_label_quality_scores([GOOD_LABEL] * 2, [GOOD_PREDICTION, prediction])


@pytest.mark.parametrize(
    ("call", "options", "message"),
    [
        (
            "get_label_quality_scores",
            {"aggregation_weights": {"swap": 1}},
            "must be of 'overlooked'",
        ),
        (
            "get_label_quality_scores",
            {"aggregation_weights": {"overlooked": 2, "badloc": -1, "swap": 0}},
            "of at least 0 that sum to 1",
        ),
        ("compute_swap_box_scores", {"alpha": 2}, "alpha must be a number from 0 to 1, got 2"),
        ("compute_badloc_box_scores", {"low_probability_threshold": "a"}, "low_probability_thre"),
        ("compute_overlooked_box_scores", {"auxiliary_inputs": []}, "auxiliary_inputs go wi"),
        ("class_label_distribution", {"class_names": {"0": "a"}}, "class_names has no name of cla"),
        ("calculate_per_class_metrics", {"class_names": ["a"]}, "class_names must map class ind"),
    ],
)
def test_wrong_options_are_refused(call, options, message):
    with pytest.raises(OptionError, match=message):
        getattr(detection, call)(labels=[GOOD_LABEL], predictions=[GOOD_PREDICTION], **options)


def test_wrong_numbers_of_images_and_thresholds_are_refused():
    with pytest.raises(DataError, match="labels has 1 images, predictions has 2"):
        detection.get_label_quality_scores([GOOD_LABEL], [GOOD_PREDICTION] * 2)
    with pytest.raises(DataError, match="must have at least one image"):
        detection.compute_swap_box_scores(labels=[], predictions=[])
    with pytest.raises(OptionError, match="threshold must be a number of at most 1, got"):
        detection.issues_from_scores([0.5], threshold=1.5)
    with pytest.raises(OptionError, match="temperature must be a number of at least 0, got -1"):
        detection.pool_box_scores_per_image([[0.5]], temperature=-1)
