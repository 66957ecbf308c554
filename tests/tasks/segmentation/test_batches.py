"""The batch functions of images without a Spark session: Arrow arrays in, Arrow arrays out."""

import numpy as np
import pyarrow as pa
import pytest

from lq_spark.core import segmentation as core
from lq_spark.core.segmentation.api import IMAGE_METHODS
from lq_spark.core.segmentation.issues import fit_pixels
from lq_spark.core.segmentation.pixels import image_facts
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.segmentation import layout as image_layout
from lq_spark.tasks.segmentation.batches import (
    ALL_TIED,
    DOUBTFUL,
    IMAGE_SHAPE,
    NUM_PIXELS,
    facts_batch,
    flags_batch,
    image_reason_batch,
    issues_batch,
    score_batch,
)
from lq_spark.tasks.segmentation.layout import ImageLayout

SHAPES = [(4, 6), (2, 2), (8, 4)]


def images(dtype=np.float64, n_classes=3):
    rng = np.random.default_rng(0)
    made = []
    for shape in SHAPES:
        probs = np.moveaxis(rng.dirichlet(np.full(n_classes, 0.4), size=shape), -1, 0).clip(0, 1)
        right = rng.random(shape) < 0.7
        mask = np.where(right, probs.argmax(axis=0), rng.integers(n_classes, size=shape))
        made.append((mask.astype(np.int32), probs.astype(dtype)))
    return made


def nested(arrays):
    ndim = arrays[0].ndim
    kind = pa.from_numpy_dtype(arrays[0].dtype)
    for _ in range(ndim):
        kind = pa.list_(kind)
    return [pa.array([array.tolist() for array in arrays], kind)]


def binary(arrays):
    shapes = pa.array([array.shape for array in arrays], pa.list_(pa.int32()))
    data = pa.array([array.tobytes() for array in arrays])
    return [data, shapes, pa.array([str(array.dtype) for array in arrays])]


def layout(mask=False, probs=False, downsample=1, tolerance=1e-3):
    return ImageLayout(mask, probs, 3, downsample, tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("of_mask", "of_probs"), [(nested, nested), (binary, binary), (nested, binary)]
)
def test_scores_are_those_of_core_in_each_form(of_mask, of_probs, dtype):
    data = images(dtype)
    columns = [*of_mask([mask for mask, _ in data]), *of_probs([probs for _, probs in data])]
    function = score_batch(layout(of_mask is binary, of_probs is binary), 0.2, fail=True)
    scores = [
        core.get_label_quality_scores(mask[None], probs[None], temperature=0.2)[0][0]
        for mask, probs in data
    ]
    assert function(*columns)["label_quality"].to_pylist() == scores
    # Spark before 4.1 hands over pandas series: nested lists become arrays of arrays.
    through_pandas = [pa.Array.from_pandas(column.to_pandas()) for column in columns]
    assert function(*through_pandas)["label_quality"].to_pylist() == scores


def test_half_precision_is_read_where_the_tolerance_allows_it():
    data = [(mask, probs.astype(np.float16)) for mask, probs in images()]
    columns = [*binary([mask for mask, _ in data]), *binary([probs for _, probs in data])]
    scores = score_batch(layout(True, True, tolerance=0.01), 0.1, fail=True)(*columns)
    exact = score_batch(layout(), 0.1, fail=True)(
        *nested([mask for mask, _ in images()]), *nested([probs for _, probs in images()])
    )
    for a, b in zip(
        *(found["label_quality"].to_pylist() for found in (scores, exact)), strict=True
    ):
        assert abs(a - b) < 1e-3


@pytest.mark.parametrize("downsample", [1, 2])
@pytest.mark.parametrize("method", IMAGE_METHODS)
def test_issues_from_facts_equal_those_from_images_and_core(downsample, method):
    data = images()
    columns = [*nested([mask for mask, _ in data]), *nested([probs for _, probs in data])]
    how = layout(downsample=downsample)
    fitted = fit_pixels([image_facts(*each, downsample=downsample) for each in data], downsample)
    taken = pa.array([ALL_TIED] * len(data))
    direct = issues_batch(how, fitted, method, 0.1, fail=True)(*columns, taken)
    facts = facts_batch(how, 0.1, fail=True)(*columns)
    inputs = [facts["label_quality"], facts[IMAGE_SHAPE], facts[NUM_PIXELS], facts[DOUBTFUL], taken]
    assert flags_batch(fitted, method)(*inputs) == direct
    shares = np.array(direct["num_pixel_issues"]) / [h * w for h, w in SHAPES]
    assert direct["pixel_issue_share"].to_pylist() == shares.tolist()
    assert direct["is_label_issue"].to_pylist() == (shares > 0).tolist()
    if method == "num_pixel_issues":
        assert direct["label_quality"].to_pylist() == (1 - shares).tolist()
    assert direct["issue_mask_shape"].to_pylist() == [list(shape) for shape in SHAPES]
    if downsample == 1:
        for i, (mask, probs) in enumerate(data):
            found = np.frombuffer(direct["issue_mask"][i].as_py(), bool).reshape(mask.shape)
            of_label = np.take_along_axis(probs, mask[None].astype(np.intp), axis=0)[0]
            expected = (of_label <= fitted.cut) & (probs.argmax(axis=0) != mask)
            np.testing.assert_array_equal(found, expected)


MASK, PROBS = [[0, 1]], [[[0.5, 0.5]], [[0.5, 0.25]], [[0.0, 0.25]]]


@pytest.mark.parametrize(
    ("mask", "probs", "reason"),
    [
        (MASK, PROBS, None),
        (None, PROBS, "null label_mask"),
        (MASK, None, "null pred_probs"),
        ([[0, None]], PROBS, "null in label_mask"),
        ([None], PROBS, "null in label_mask"),
        ([[0, 1], [0]], PROBS, "label_mask is no whole array of shape (H, W)"),
        (MASK, [*PROBS[:2], [[0.0]]], "pred_probs is no whole array of shape (K, H, W)"),
        (MASK, PROBS[:2], image_layout.WRONG_CLASSES),
        ([[0], [1]], PROBS, image_layout.DIFFERENT_SHAPES),
        ([[0, 3]], PROBS, "pixel (0, 1): label out of range"),
        ([[-1, 0]], PROBS, "pixel (0, 0): label out of range"),
        (MASK, [[[0.5, np.nan]], *PROBS[1:]], "pixel (0, 1): probability not finite"),
        (MASK, [[[0.5, 0.75]], *PROBS[1:]], "pixel (0, 1): probabilities do not sum to 1"),
    ],
    ids=str,
)
def test_an_image_that_cannot_be_scored_says_why(mask, probs, reason):
    columns = (
        pa.array([MASK, mask], pa.list_(pa.list_(pa.int32()))),
        pa.array([PROBS, probs], pa.list_(pa.list_(pa.list_(pa.float64())))),
    )
    assert image_reason_batch(layout())(*columns)["invalid_reason"].to_pylist() == [None, reason]
    scores = score_batch(layout(), 0.1, fail=False)(*columns)["label_quality"].to_pylist()
    assert [score is None for score in scores] == [False, reason is not None]
    if reason:
        with pytest.raises(InvalidRowsError) as error:
            score_batch(layout(), 0.1, fail=True)(*columns)
        assert f"1 images with {reason}" in str(error.value)
        assert "segmentation.validate names them all" in str(error.value)


@pytest.mark.parametrize(
    ("part", "change", "reason"),
    [
        ("mask", {"dtype": "complex64"}, "unknown label_mask_dtype"),
        ("probs", {"dtype": "uint8"}, "unknown pred_probs_dtype"),
        ("mask", {"shape": [1, 2, 1]}, "label_mask_shape is no (H, W)"),
        ("probs", {"shape": None}, "pred_probs_shape is no (K, H, W)"),
        ("probs", {"dtype": "float32"}, "pred_probs has another number of bytes than its shape "),
        ("mask", {"data": b"\x01"}, "label_mask has another number of bytes than its shape and "),
        ("mask", {"data": None}, "null label_mask"),
    ],
    ids=str,
)
def test_bytes_that_are_no_image_say_why(part, change, reason):
    mask, probs = np.array(MASK, dtype=np.uint8), np.array(PROBS)
    columns = []
    for name, array in (("mask", mask), ("probs", probs)):
        values = {"data": array.tobytes(), "shape": array.shape, "dtype": str(array.dtype)}
        values |= change if name == part else {}
        columns += [
            pa.array([values["data"]], pa.binary()),
            pa.array([values["shape"]], pa.list_(pa.int32())),
            pa.array([values["dtype"]]),
        ]
    [found] = image_reason_batch(layout(True, True))(*columns)["invalid_reason"].to_pylist()
    assert found.startswith(reason)


def test_a_side_that_does_not_divide_is_named():
    columns = [*nested([np.array(MASK, dtype=np.int32)]), *nested([np.array(PROBS)])]
    reason = image_reason_batch(layout(downsample=2))(*columns)["invalid_reason"].to_pylist()
    assert reason == [image_layout.NOT_DIVISIBLE]
