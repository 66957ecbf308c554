"""Drawings of boxes and pictures of masks: what is where, in what colour, and what is text."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from lq_spark.report.drawings import SIDE, boxes_svg, can_be_drawn
from lq_spark.report.page import html_of
from lq_spark.report.parts import Box, Drawing, Page, Picture, Pictures, Section
from lq_spark.report.pictures import class_colour, class_picture, sized_picture

DOG = Box((10.0, 20.0, 50.0, 60.0), "dog", True)
CAT = Box((100.0, 0.0, 200.0, 100.0), "cat", False, "overlooked (0.010)")
PICTURE = Picture("data:image/png;base64,AA", "a picture")


def drawn(drawing):
    """Return the boxes of a drawing: (class, title) -> x, y, width, height; and its texts."""
    tree = ElementTree.fromstring(boxes_svg(drawing))
    boxes = {
        (rect.get("class"), rect.findtext("title")): [
            float(rect.get(name)) for name in ("x", "y", "width", "height")
        ]
        for rect in tree.iter("rect")
        if rect.get("class")
    }
    return boxes, [text.text for text in tree.iter("text")], tree


def test_boxes_lie_where_they_are_and_are_told_apart():
    boxes, texts, tree = drawn(Drawing("", [CAT, DOG]))
    # 200 is the farthest, so a pixel is two units.
    assert boxes == {
        ("given", "given: dog"): [20, 40, 80, 80],
        ("predicted issue", "predicted: cat, overlooked (0.010)"): [200, 0, 200, 200],
    }
    assert texts[:2] == ["\u2068cat\u2069: overlooked (0.010)", "\u2068dog\u2069"]
    assert [text.split(":")[0] for text in texts[2:]] == [
        "given box",
        "predicted box",
        "label issue",
    ]
    styles = {rect.get("class"): rect.get("style") for rect in tree.iter("rect")}
    assert "var(--accent)" in styles["given"]
    assert "dasharray" not in styles["given"]
    assert "var(--ink)" in styles["predicted issue"]
    assert "dasharray" in styles["predicted issue"]
    widths = {k: float(re.search(r"width: ([\d.]+)px", s)[1]) for k, s in styles.items() if k}
    assert widths["predicted issue"] > widths["given"]


def test_boxes_below_zero_are_on_the_canvas():
    boxes, _, _ = drawn(Drawing("", [DOG._replace(corners=(-100.0, -50.0, 100.0, 50.0))]))
    assert boxes["given", "given: dog"] == [0, 0, SIDE, SIDE / 2]


def test_boxes_are_scaled_as_their_picture_is():
    boxes, _, tree = drawn(Drawing("", [DOG], PICTURE, (800, 400)))
    assert boxes["given", "given: dog"] == [5, 10, 20, 20]
    [image] = tree.iter("image")
    assert (image.get("width"), image.get("height")) == ("400.0", "200.0")
    assert image.get("href") == PICTURE.source


def test_shares_of_a_picture_are_stretched_over_it():
    boxes, _, _ = drawn(
        Drawing("", [DOG._replace(corners=(0.5, 0.5, 1.0, 1.0))], PICTURE, (800, 400))
    )
    assert boxes["given", "given: dog"] == [200, 100, 200, 100]


@pytest.mark.parametrize(
    ("corners", "can"),
    [
        ((0.0, 0.0, 1e300, 1.0), False),
        ((0.0, 0.0, 1e-300, 1e-300), False),
        ((-1.7e308, 0.0, 1.7e308, 1.0), False),
        ((1e6, 0.0, 1e6 + 1, 1.0), True),
        ((0.0, 0.0, 0.0, 0.0), True),
    ],
)
def test_what_has_no_area_to_be_seen_is_not_drawn(corners, can):
    drawing = Drawing("", [DOG._replace(corners=corners)])
    assert can_be_drawn(drawing) == can
    if can:
        assert "nan" not in boxes_svg(drawing)
        assert "inf" not in boxes_svg(drawing)


def test_names_that_would_lie_on_each_other_are_left_out():
    boxes, texts, _ = drawn(Drawing("", [DOG._replace(name=f"dog {i}") for i in range(30)]))
    assert len(boxes) == 30
    assert 1 < len(texts) - 3 < 10
    assert texts[0] == "\u2068dog 0\u2069"


@pytest.mark.parametrize("name", ['"><script>', "</svg></title>", "a\x00\x07b", "&amp; <b>", "'"])
def test_names_of_classes_are_text(name):
    boxes, texts, tree = drawn(Drawing("", [DOG._replace(name=name, issue="swap")]))
    shown = re.sub("[\x00-\x1f]", "\ufffd", name)
    assert list(boxes) == [("given issue", f"given: {shown}, swap")]
    assert texts[0] == f"\u2068{shown}\u2069: swap"
    assert {node.tag for node in tree.iter()} == {"svg", "rect", "title", "text", "line"}


def decoded(found):
    import base64
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found.source.split(",")[1]))))


def test_a_picture_of_classes_has_a_colour_for_each():
    colours = [class_colour(k) for k in range(3)]
    pixels = decoded(class_picture(np.array([[0, 1, 2], [2, -1, 0]]), colours, "mask"))
    assert pixels[..., :3][0].tolist() == [list(colour) for colour in colours]
    assert pixels[..., 3].tolist() == [[255, 255, 255], [255, 0, 255]]
    assert len({class_colour(k) for k in range(200)}) > 190


def test_a_picture_knows_how_large_it_was():
    noise = np.random.default_rng(0).integers(0, 256, (300, 900)).tolist()
    found, size = sized_picture(noise, "noise", 400)
    assert size == (900, 300)
    assert decoded(found).shape == (133, 400, 3)
    assert found.source.startswith("data:image/jpeg")
    assert sized_picture(b"none", "x", 400) == "not an image"
    assert sized_picture(None, "x", 400) == "no image"


def test_pictures_beside_each_other_say_why_one_is_missing():
    pictures = Pictures(
        "id <1>", {"image": "not an image", "mask": PICTURE}, [("#0a64c8", "<b>cat"), ("", "more")]
    )
    text = html_of(Page("t", "", [Section("masks", [pictures])]))
    assert "image: not an image" in text
    assert "background: #0a64c8" in text
    assert "&lt;b&gt;cat" in text
    assert text.count("<img") == 1
