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


IGNORED = st.sampled_from([255, -1, 1, np.uint8(0)])


@DTYPES
def test_an_image_without_ignored_pixels_is_scored_as_by_cleanlab(dtype, quietly):
    @settings(max_examples=20, deadline=None)
    @given(image_sets(dtype))
    def check(data):
        labels, probs, downsample = data
        how = {"downsample": downsample}
        issues = segmentation.find_label_issues(labels, probs, ignore_label=255, **how)
        doubles = probs.astype(np.float64)
        expected = quietly(cleanlab_filter.find_label_issues, labels, doubles, **how, **QUIET)
        np.testing.assert_array_equal(issues, expected)
        for method in ("softmin", "num_pixel_issues"):
            scores, _ = segmentation.get_label_quality_scores(
                labels, probs, method=method, ignore_label=255
            )
            expected, _ = quietly(
                cleanlab_rank.get_label_quality_scores,
                *(labels, doubles if method == "num_pixel_issues" else probs),
                method=method,
                **QUIET,
            )
            np.testing.assert_allclose(scores, expected, rtol=1e-6)

    check()


@DTYPES
def test_ignored_pixels_are_as_if_they_were_not_there(dtype):
    @settings(max_examples=60, deadline=None)
    @given(image_sets(dtype), IGNORED, st.floats(0.05, 0.95), st.integers(0, 2**32 - 1))
    def check(data, ignored, share, seed):
        labels, probs, _ = data
        rng = np.random.default_rng(seed)
        labels = np.where(rng.random(labels.shape) < share, ignored, labels)
        left_out = labels == ignored
        probs = np.where(left_out[:, None], np.nan, probs)  # nothing is asked of them
        issues = segmentation.find_label_issues(labels, probs, ignore_label=ignored)
        assert not issues[left_out].any()
        if left_out.all():
            return
        # The pixels that remain, as one image of one row.
        rest = labels[~left_out][None, None], np.moveaxis(probs, 1, -1)[~left_out].T[None, :, None]
        expected = segmentation.find_label_issues(*rest)
        np.testing.assert_array_equal(issues[~left_out], expected.reshape(-1))
        softmin, pixels = segmentation.get_label_quality_scores(labels, probs, ignore_label=ignored)
        np.testing.assert_array_equal(np.isnan(pixels), left_out)
        shares, _ = segmentation.get_label_quality_scores(
            labels, probs, method="num_pixel_issues", ignore_label=ignored
        )
        for i, out in enumerate(left_out):
            kept = labels[i][~out][None, None], probs[i][:, ~out][None, :, None]
            assert softmin[i] == (
                1.0 if out.all() else segmentation.get_label_quality_scores(*kept)[0][0]
            )
            assert shares[i] == (1.0 if out.all() else 1.0 - issues[i][~out].mean())
        options = {"ignore_label": ignored}
        table = segmentation.common_label_issues(issues, labels, probs, verbose=False, **options)
        alone = segmentation.common_label_issues(expected, *rest, verbose=False)
        assert table.to_numpy().tolist() == alone.to_numpy().tolist()
        everywhere = np.ones_like(issues)
        for k in range(probs.shape[1]):
            found = segmentation.filter_by_class(k, everywhere, labels, probs, **options)
            assert not found[left_out].any()

    check()


@DTYPES
def test_squares_are_averaged_over_the_pixels_that_are_not_ignored(dtype):
    """Squares of equal pixels: which of them are ignored changes nothing of the others."""
    rng = np.random.default_rng(3)

    def squares(values):
        return values.repeat(2, axis=-1).repeat(2, axis=-2)

    labels = rng.integers(4, size=(6, 5, 4))
    probs = np.moveaxis(rng.dirichlet(np.full(4, 0.4), size=labels.shape).astype(dtype), -1, 1)
    without = rng.random(labels.shape) < 0.2  # squares of ignored pixels alone
    left_out = squares(without) | (rng.random((6, 10, 8)) < 0.4)
    labels = squares(np.where(without, 255, labels)).astype(np.uint8)
    options = {"downsample": 2, "ignore_label": 255}
    expected = segmentation.find_label_issues(labels, squares(probs), **options)
    probs = np.where(left_out[:, None], np.nan, squares(probs))
    issues = segmentation.find_label_issues(
        np.where(left_out, np.uint8(255), labels), probs, **options
    )
    np.testing.assert_array_equal(issues, expected & ~left_out)
    assert 0 < issues.sum() < expected.sum()


def test_images_of_ignored_pixels_alone_have_nothing_suspect():
    labels, probs = np.full((2, 2, 4), 255, dtype=np.uint8), np.full((2, 3, 2, 4), np.nan)
    for downsample in (1, 2):
        options = {"downsample": downsample, "ignore_label": 255}
        assert not segmentation.find_label_issues(labels, probs, **options).any()
        scores, _ = segmentation.get_label_quality_scores(
            labels, probs, method="num_pixel_issues", **options
        )
        assert scores.tolist() == [1.0, 1.0]
    scores, pixels = segmentation.get_label_quality_scores(labels, probs, ignore_label=255)
    assert scores.tolist() == [1.0, 1.0]
    assert segmentation.issues_from_scores(scores, pixels, threshold=1.0).sum() == 0


@pytest.mark.parametrize("ignore_label", [True, 255.0, "255"])
def test_a_label_to_ignore_is_a_whole_number(ignore_label):
    labels, probs = np.zeros((1, 2, 2), dtype=int), np.full((1, 2, 2, 2), 0.5)
    with pytest.raises(OptionError, match="ignore_label must be a whole number or None, got "):
        segmentation.find_label_issues(labels, probs, ignore_label=ignore_label)
