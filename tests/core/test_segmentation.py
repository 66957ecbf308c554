"""Label quality of images and label issues of pixels, against cleanlab 2.9.0."""

import numpy as np
import pytest
from cleanlab.segmentation import filter as cleanlab_filter
from cleanlab.segmentation import rank as cleanlab_rank
from cleanlab.segmentation import summary as cleanlab_summary
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core import segmentation
from lq_spark.errors import DataError, OptionError

QUIET = {"verbose": False, "n_jobs": 1}
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@st.composite
def image_sets(draw, dtype):
    """Draw masks (N, H, W), pred_probs (N, K, H, W) and a downsample that divides H and W."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_images, n_classes = draw(st.integers(1, 4)), draw(st.integers(2, 12))
    downsample = draw(st.sampled_from([1, 1, 2, 3]))
    height, width = rng.integers(1, 9, 2) * downsample
    shape = (n_images, height, width)
    concentration = np.full(n_classes, draw(st.sampled_from([10.0, 1.0, 0.3, 0.05])))
    probs = np.moveaxis(rng.dirichlet(concentration, size=shape).clip(0.0, 1.0), -1, 1)
    shares = rng.dirichlet(np.full(n_classes, draw(st.sampled_from([10.0, 1.0, 0.05]))))
    random = rng.choice(n_classes, size=shape, p=shares)  # some classes may be absent
    right = rng.random(shape) < draw(st.sampled_from([0.0, 0.5, 0.9]))
    return np.where(right, probs.argmax(axis=1), random), probs.astype(dtype), downsample


@DTYPES
def test_issues_and_their_tables_equal_cleanlab(dtype, quietly):
    @settings(max_examples=60, deadline=None)
    @given(image_sets(dtype))
    def check(data):
        labels, probs, downsample = data
        issues = segmentation.find_label_issues(labels, probs, downsample=downsample)
        # As doubles: cleanlab averages float32 in float32, which decides a pixel in 100,000.
        doubles = probs.astype(np.float64)
        expected = quietly(
            cleanlab_filter.find_label_issues, labels, doubles, downsample=downsample, **QUIET
        )
        np.testing.assert_array_equal(issues, expected)
        for k in range(probs.shape[1]):
            np.testing.assert_array_equal(
                segmentation.filter_by_class(k, issues, labels, probs),
                cleanlab_summary.filter_by_class(k, issues, labels, probs),
            )
        names = [f"class {k}" for k in range(probs.shape[1])]
        for options in ({}, {"top": 3}, {"class_names": names, "exclude": [0, 2]}):
            table = segmentation.common_label_issues(issues, labels, probs, **options)
            theirs = quietly(
                cleanlab_summary.common_label_issues,
                *(issues, labels, probs),
                **options,
                verbose=False,
            )
            assert table.columns.tolist() == theirs.columns.tolist() or not len(theirs)
            assert table.to_numpy().tolist() == theirs.to_numpy().tolist()

    check()


@DTYPES
def test_scores_equal_cleanlab(dtype, quietly):
    @settings(max_examples=60, deadline=None)
    @given(image_sets(dtype), st.sampled_from([0.1, 0.02, 1.0, 1e-7]))
    def check(data, temperature):
        labels, probs, downsample = data
        tolerance = {"rtol": 1e-9 if dtype == np.float64 else 1e-6}
        images, pixels = segmentation.get_label_quality_scores(
            labels, probs, temperature=temperature
        )
        expected, expected_pixels = quietly(
            cleanlab_rank.get_label_quality_scores,
            *(labels, probs),
            temperature=temperature,
            verbose=False,
        )
        np.testing.assert_allclose(images, expected, **tolerance)
        np.testing.assert_array_equal(pixels, expected_pixels)
        options = {"method": "num_pixel_issues", "downsample": downsample}
        images, _ = segmentation.get_label_quality_scores(labels, probs, **options)
        doubles = probs.astype(np.float64)
        expected, _ = quietly(
            cleanlab_rank.get_label_quality_scores, labels, doubles, **options, **QUIET
        )
        np.testing.assert_allclose(images, expected, **tolerance)
        np.testing.assert_array_equal(
            segmentation.issues_from_scores(images, pixels, threshold=0.4),
            cleanlab_rank.issues_from_scores(images, pixels, threshold=0.4),
        )

    check()


def test_a_threshold_finds_the_images_below_it_where_cleanlab_finds_one_more():
    scores = np.array([0.5, 0.05, 0.02, 0.3])
    assert segmentation.issues_from_scores(scores).tolist() == [2, 1]
    assert cleanlab_rank.issues_from_scores(scores).tolist() == [2, 1, 3]
    assert segmentation.issues_from_scores(scores, threshold=0.0).tolist() == []
    assert cleanlab_rank.issues_from_scores(scores, threshold=0.0).tolist() == [2]
    assert segmentation.issues_from_scores(scores, threshold=0.5).tolist() == [2, 1, 3]


def test_of_equal_pixels_at_the_cut_the_first_are_taken():
    # Five pixels of class 0 at 0.25: all predicted as class 1, three of them confidently.
    first = np.array([0.9, 0.9, 0.25, 0.9, 0.25, 0.9, 0.25, 0.25, 0.9, 0.9, 0.4, 0.25])
    second = np.array([0.1, 0.1, 0.375, 0.1, 0.75, 0.1, 0.375, 0.75, 0.1, 0.1, 0.6, 0.75])
    probs = np.stack([first, second, 1.0 - first - second]).reshape(1, 3, 3, 4)
    labels = (first == 0.4).astype(int).reshape(1, 3, 4)
    issues = segmentation.find_label_issues(labels, probs)
    assert np.flatnonzero(issues).tolist() == [2, 4, 6]


def test_two_classes_agree_within_nothing():
    """A pixel whose label ties for the highest probability is an issue only as a later class."""
    probs = np.full((1, 2, 1, 4), 0.5)
    labels = np.array([[[0, 1, 0, 1]]])
    assert segmentation.find_label_issues(labels, probs).tolist() == [[[False, True, False, False]]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, p: (y[:1], p), "labels of shape (1, 2, 4) do not fit"),
        (lambda y, p: (y[:, :1], p), "do not fit pred_probs of shape (2, 3, 2, 4)"),
        (lambda y, p: (y, p[0]), "labels must be whole numbers of shape (N, H, W)"),
        (lambda y, p: (y.astype(float), p), "got float64 (2, 2, 4)"),
        (lambda y, p: (y, p[:, :1]), "fewer than 2 classes"),
        (lambda y, p: (y[:0], p[:0]), "there are no pixels"),
        (lambda y, p: (y + 2, p), "image 0, pixel (0, 1): label out of range (K = 3 classes)"),
        (lambda y, p: (y - 1, p), "image 0, pixel (0, 0): label out of range"),
        (lambda y, p: (y, p * np.nan), "pixel (0, 0): probability not finite"),
        (lambda y, p: (y, p - 0.5), "probability below 0"),
        (lambda y, p: (y, p * 3.5), "probability above 1"),
        (lambda y, p: (y, p / 2), "probabilities do not sum to 1"),
    ],
)
def test_images_that_cannot_be_scored_are_named(change, message):
    labels = np.tile([0, 1], (2, 2, 2))
    data = change(labels, np.full((2, 3, 2, 4), 1 / 3))
    for function in (segmentation.find_label_issues, segmentation.get_label_quality_scores):
        with pytest.raises(DataError) as error:
            function(*data)
        assert message in str(error.value)


def test_the_bad_pixel_is_named_by_row_and_column():
    probs = np.full((2, 2, 5, 7), 0.5)
    probs[1, 0, 3, 6] = 0.7
    with pytest.raises(DataError, match=r"image 1, pixel \(3, 6\): probabilities do not sum to 1"):
        segmentation.find_label_issues(np.zeros((2, 5, 7), dtype=int), probs)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("find_label_issues", {"downsample": 0}, "downsample must be a whole number of at least 1"),
        ("find_label_issues", {"downsample": 2.0}, "downsample must be a whole number"),
        ("find_label_issues", {"downsample": 3}, "downsample must divide height and width, got 3"),
        ("get_label_quality_scores", {"method": "mean"}, "method must be one of 'softmin', 'num"),
        ("get_label_quality_scores", {"temperature": 0}, "temperature must be a number above 0"),
        ("get_label_quality_scores", {"temperature": None}, "temperature must be a number above"),
        ("get_label_quality_scores", {"temperature": np.nan}, "temperature must be a number above"),
        ("get_label_quality_scores", {"downsample": 2}, "downsample goes with method 'num_pixel"),
    ],
)
def test_a_wrong_option_is_refused(function, options, message):
    labels, probs = np.zeros((1, 2, 2), dtype=int), np.full((1, 2, 2, 2), 0.5)
    with pytest.raises(OptionError) as error:
        getattr(segmentation, function)(labels, probs, **options)
    assert str(error.value).startswith(message)


def test_wrong_arguments_of_the_tables_are_refused():
    labels, probs = np.zeros((1, 2, 2), dtype=int), np.full((1, 2, 2, 2), 0.5)
    with pytest.raises(OptionError, match=r"threshold must be a number from 0 to 1, got 1\.5"):
        segmentation.issues_from_scores([0.5], threshold=1.5)
    with pytest.raises(DataError, match=r"issues must be a mask of shape \(1, 2, 2\), got int64"):
        segmentation.filter_by_class(0, labels, labels, probs)
    with pytest.raises(OptionError, match="class_names must have 2 names, got 1"):
        segmentation.common_label_issues(labels > 0, labels, probs, class_names=["a"])
