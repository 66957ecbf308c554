"""What is kept of an image: doubtful pixels, exact sums, the same whatever the blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.confident.thresholds import Thresholds, partial_class_sums
from lq_spark.core.segmentation import blocks as pixel_blocks
from lq_spark.core.segmentation.issues import (
    SegmentationModel,
    fit_pixels,
    issue_mask,
    issue_pixels,
)
from lq_spark.core.segmentation.pixels import (
    AGREES,
    image_facts,
    image_fault,
    self_confidence,
    softmin_score,
)
from lq_spark.core.shared import segments
from lq_spark.core.shared.checks import row_faults
from lq_spark.errors import DataError

SEEDS = st.integers(0, 2**32 - 1)


def image(seed, shape=(9, 12), n_classes=5, dtype=np.float64):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(n_classes, rng.choice([0.05, 0.5, 5.0])), size=shape)
    probs = np.moveaxis(probs.clip(0.0, 1.0), -1, 0).astype(dtype)
    right = rng.random(shape) < 0.6
    return np.where(right, probs.argmax(axis=0), rng.integers(n_classes, size=shape)), probs


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(["float64", "float32", "float16"]))
def test_the_doubtful_pixels_hold_all_that_may_be_issues(seed, dtype):
    mask, probs = image(seed, dtype=dtype)
    facts = image_facts(mask, probs, tolerance=0.01)
    confidence = self_confidence(mask, probs).reshape(-1)
    predicted = probs.argmax(axis=0).reshape(-1)
    doubtful = facts.doubtful
    np.testing.assert_array_equal(doubtful["confidence"], confidence[doubtful["position"]])
    np.testing.assert_array_equal(doubtful["given"][:, 0], mask.reshape(-1)[doubtful["position"]])
    np.testing.assert_array_equal(doubtful["predicted"][:, 0], predicted[doubtful["position"]])
    others = np.setdiff1d(np.arange(mask.size), doubtful["position"])
    assert (predicted[others] == mask.reshape(-1)[others]).all()
    assert confidence[others].min(initial=1.0) > doubtful["confidence"].max(initial=0.0)
    agrees = doubtful["given"][:, 0] == doubtful["predicted"][:, 0]
    np.testing.assert_array_equal(doubtful["guess"] == AGREES, agrees)
    expected = partial_class_sums(mask.reshape(-1), probs.reshape(5, -1).T)
    for name in ("counts", "high", "low"):
        np.testing.assert_array_equal(getattr(facts.sums, name), getattr(expected, name))


@pytest.mark.parametrize("downsample", [1, 3])
def test_facts_do_not_depend_on_the_blocks(monkeypatch, downsample, assert_same_bits):
    mask, probs = image(1)
    whole, score = image_facts(mask, probs, downsample=downsample), softmin_score(probs[0])
    monkeypatch.setattr(pixel_blocks, "BLOCK_ELEMENTS", 17)
    monkeypatch.setattr(segments, "_BLOCK_ELEMENTS", 17)
    blocks = image_facts(mask, probs, downsample=downsample)
    assert blocks.doubtful.tobytes() == whole.doubtful.tobytes()
    assert_same_bits(blocks.sums.high, whole.sums.high)
    assert_same_bits(blocks.sums.low, whole.sums.low)
    np.testing.assert_allclose(softmin_score(probs[0]), score, rtol=1e-14)
    assert image_fault(mask, probs) is None
    probs[2, 7, 4] += 0.5
    assert image_fault(mask, probs).startswith("pixel (7, 4): probabilit")


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_the_first_bad_pixel_is_that_of_rows(seed):
    rng = np.random.default_rng(seed)
    mask, probs = image(seed)
    for value in rng.choice([np.nan, np.inf, -1.0, 2.0, 0.9], size=rng.integers(0, 3)):
        probs[tuple(rng.integers(probs.shape))] = value
    if rng.random() < 0.3:
        mask[tuple(rng.integers(mask.shape))] = rng.choice([-1, 5])
    faults = row_faults(mask.reshape(-1), probs.reshape(5, -1).T)
    found = image_fault(mask, probs)
    if not faults.any():
        assert found is None
    else:
        row, column = divmod(int(np.flatnonzero(faults)[0]), mask.shape[1])
        assert found.startswith(f"pixel ({row}, {column}): ")


def test_images_may_differ_in_size():
    images = [image(seed, shape) for seed, shape in enumerate([(4, 6), (9, 2), (2, 2), (8, 8)])]
    fitted = fit_pixels([image_facts(*each) for each in images])
    confidence = np.concatenate([self_confidence(*each).reshape(-1) for each in images])
    assert fitted.cut == np.sort(confidence)[fitted.n_lowest - 1]
    for mask, probs in images:
        chosen = issue_pixels(image_facts(mask, probs).doubtful, fitted.cut)
        low = self_confidence(mask, probs) <= fitted.cut
        expected = low & (probs.argmax(axis=0) != mask)
        np.testing.assert_array_equal(issue_mask(chosen, mask.shape), expected)


@pytest.mark.parametrize("cut", [0.1 + 0.2, None])
def test_a_model_is_saved_to_the_bit(tmp_path, cut):
    thresholds = Thresholds((0.1, 2e-6), (10, 0))
    model = SegmentationModel(thresholds, 3, cut, 2, 1, downsample=4)
    model.save(tmp_path / "model.json")
    assert SegmentationModel.load(tmp_path / "model.json") == model
    assert model.n_classes == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"cut": 0.25', '"cut": "low"', "no cut of numbers of pixels"),
        ('"n_tied": 2', '"n_tied": -2', "no cut of numbers of pixels"),
        ('"downsample": 1', '"downsample": 0', "no cut of numbers of pixels"),
        ('"n_taken": 1,', "", "the JSON lacks 'n_taken'"),
    ],
)
def test_a_broken_model_is_refused(old, new, message):
    text = SegmentationModel(Thresholds((0.5, 0.5), (1, 1)), 4, 0.25, 2, 1).to_json()
    assert old in text
    with pytest.raises(DataError, match=message):
        SegmentationModel.from_json(text.replace(old, new))
