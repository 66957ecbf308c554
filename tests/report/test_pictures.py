"""Pictures for a page, of whatever a column has."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from lq_spark.report.parts import Picture
from lq_spark.report.pictures import SIZE, picture


def seen(value):
    """Return the pixels of a picture as a browser would see them."""
    found = picture(value, "it")
    assert isinstance(found, Picture)
    assert found.text == "it"
    head, data = found.source.split(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def file_of(pixels, kind="PNG", mode=None):
    written = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8), mode).save(written, kind)
    return written.getvalue()


RED = [[[255, 0, 0], [0, 0, 255]]]


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "WEBP"])
def test_a_file_is_shown_as_it_is(kind):
    options = {"WEBP": {"lossless": True}}.get(kind, {})
    written = io.BytesIO()
    Image.fromarray(np.array(RED, np.uint8)).save(written, kind, **options)
    np.testing.assert_array_equal(seen(written.getvalue())[..., :3], RED)


@pytest.mark.parametrize("wrap", [bytearray, memoryview, lambda b: {"bytes": b, "path": "x"}])
def test_bytes_come_in_several_ways(wrap):
    np.testing.assert_array_equal(seen(wrap(file_of(RED))), RED)


def test_a_large_one_is_made_small_and_keeps_its_shape():
    noise = np.random.default_rng(0).integers(0, 256, (400, 200, 3))
    assert seen(file_of(noise)).shape == (SIZE, SIZE // 2, 3)
    assert len(picture(file_of(noise), "it").source) < 12_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([0, 16, 8, 4], [[0, 255], [127, 63]]),  # a square, stretched: none above 32
        ([[0, 16], [8, 4]], [[0, 255], [127, 63]]),
        ([[0.0, 1.0], [0.5, 0.25]], [[0, 255], [127, 63]]),
        ([[-1, 1], [0, 0]], [[0, 255], [127, 127]]),
        ([[0, 40], [200, 255]], [[0, 40], [200, 255]]),
        ([[0, 300], [150, 0]], [[0, 255], [127, 0]]),
        ([[[7], [255]]], [[7, 255]]),
        (RED, RED),
        (np.ravel(RED * 2).tolist(), None),
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]]),
        ([[0.0, float("nan")], [1.0, float("inf")]], [[0, 0], [255, 0]]),
    ],
)
def test_pixels_are_bytes_or_stretched_to_them(value, expected):
    if expected is None:
        assert seen(value).shape == (2, 2, 3)
    else:
        np.testing.assert_array_equal(seen(value), expected)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"<svg onload=alert(1)></svg>",
        file_of(RED)[:30],
        [1, 2, 3, 4, 5],
        [[1, 2], [3]],
        [],
        [[None, 1], [2, 3]] and ["a"],
        [[[[1]]]],
        [[[1, 2]]],
    ],
)
def test_what_is_no_image_says_so(value):
    assert picture(value, "it") == "not an image"


def test_no_value_is_no_image():
    assert picture(None, "it") == picture({"bytes": None}, "it") == "no image"


def test_an_image_of_too_many_pixels_is_not_opened(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    assert picture(file_of(RED * 3), "it") == "not an image"
