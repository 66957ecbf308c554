"""What a report draws of images: boxes at their places, masks in their colours; and calibration."""

import base64
import html
import io
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import PHONE, WIDE
from runs import run_job

from lq_spark.core.health.calibration import (
    finish_calibration,
    finish_label_calibrations,
    partial_calibration,
    partial_label_calibrations,
)
from lq_spark.report.pictures import class_colour

LOOKS = [(WIDE, False), (WIDE, True), (PHONE, False), (PHONE, True)]
HOSTILE = ["<script>alert(1)</script>", '"></svg><img src=x onerror=alert(1)>', "שלום \u202eabc"]
WIDTH, HEIGHT = 200, 100
BOX = [(name, pa.float64()) for name in ("x1", "y1", "x2", "y2")]


@pytest.fixture
def reported(spark, tmp_path, browser):
    """Run a job that writes a report, show it in all looks; return the run and the page's text."""

    def run(source, task, **keys):
        page = tmp_path / "report.html"
        done = run_job(spark, tmp_path, source, task, report=str(page), **keys)
        text = page.read_text(encoding="utf-8")
        assert len(text) < 2 << 20
        for width, dark in LOOKS:
            browser.open(page, width=width, dark=dark)
            assert browser.problems() == []
        return done, text

    return run


def png(width=WIDTH, height=HEIGHT):
    from PIL import Image

    pixels = np.full((height, width, 3), (40, 90, 60), np.uint8)
    pixels[: height // 2] = 150, 190, 220
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def scenes(n=9, names=("car", "dog")):
    """Return images with two given boxes, which are predicted too; in the first few there is more.

    In image 0 a box is overlooked, in image 1 the class of the first is taken for the other.
    """
    labels, predictions = [], []
    for i in range(n):
        given = [
            {"x1": 10.0 + i, "y1": 20.0, "x2": 60.0 + i, "y2": 70.0, "label": names[0]},
            {"x1": 120.0, "y1": 10.0, "x2": 190.0, "y2": 90.0, "label": names[1]},
        ]
        found = [{**box, "prob": 0.97} for box in given]
        if i == 0:
            found.append(
                {"x1": 62.0, "y1": 60.0, "x2": 110.0, "y2": 95.0, "label": names[0], "prob": 0.99}
            )
        if i == 1:
            given[0] = {**given[0], "label": names[1]}
        labels.append(given)
        predictions.append(found)
    return labels, predictions


def images_of(labels, predictions, image=None):
    box = [*BOX, ("label", pa.string())]
    columns = {
        "id": [f"street {i}" for i in range(len(labels))],
        "labels": pa.array(labels, pa.list_(pa.struct(box))),
        "predictions": pa.array(predictions, pa.list_(pa.struct([*box, ("prob", pa.float64())]))),
    }
    return pa.table(columns if image is None else {**columns, "image": image})


def drawings(browser):
    """Return by image: its boxes ([class, title, x, y, width, height]), and texts."""
    found = browser.run("""[...document.querySelectorAll("figure")]
        .filter(figure => figure.querySelector("svg rect.given, svg rect.predicted, svg image"))
        .map(figure => [figure.querySelector("figcaption").textContent, {
          boxes: [...figure.querySelectorAll("rect[class]")].map(r => [
            r.getAttribute("class"), r.querySelector("title").textContent,
            ...["x", "y", "width", "height"].map(n => Number(r.getAttribute(n)))]),
          texts: [...figure.querySelectorAll("text")].map(t => t.textContent),
          images: figure.querySelectorAll("image").length,
          note: figure.querySelector(".note").textContent,
          label: figure.querySelector("[role=img]").getAttribute("aria-label")}])""")
    return dict(found)


def test_the_worst_images_are_drawn_with_their_boxes(reported, browser):
    table = images_of(*scenes(), image=[png()] * 9)
    done, _ = reported(table, "detection", classes=["car", "dog"], report_image="image")
    found = drawings(browser)
    order = done.scores.sort_by([("label_quality", "ascending"), ("id", "ascending")])
    assert list(found) == [f"id {key}" for key in order["id"].to_pylist()[:6]]
    first = found["id street 0"]
    assert first["images"] == 1
    # The picture is 200 wide and drawn over 400 units.
    kinds = {title: (kind, place) for kind, title, *place in first["boxes"]}
    [overlooked] = [title for title in kinds if "overlooked" in title]
    assert overlooked.startswith("predicted: car, overlooked (")
    assert kinds[overlooked] == ("predicted issue", [124, 120, 96, 70])
    assert kinds["given: car"] == ("given", [20, 40, 100, 100])
    assert kinds["predicted: dog"] == ("predicted", [240, 20, 140, 160])
    score = order.filter(pa.compute.equal(order["id"], "street 0"))["box_issues"][0][0]["score"]
    assert f"overlooked ({score.as_py():.3f})" in overlooked
    assert f"car: overlooked ({score.as_py():.3f})" in first["note"]
    assert "2 given, 3 predicted" in first["label"]
    assert any(text.startswith("given box: solid line") for text in first["texts"])
    titles = [title for _, title, *_ in found["id street 1"]["boxes"]]
    assert any(title.startswith("given: dog, swap (") for title in titles)
    assert "issues: none" in found["id street 8"]["note"]


def test_boxes_of_two_tables_are_drawn_without_a_picture(reported, browser, tmp_path):
    labels, predictions = scenes()
    table = images_of(labels, predictions)
    boxes = {"label_boxes": labels, "predicted_boxes": predictions}
    for name, of_images in boxes.items():
        rows = [{"id": f"street {i}", **box} for i, some in enumerate(of_images) for box in some]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    places = {name: str(tmp_path / f"{name}.parquet") for name in boxes}
    reported(table.select(["id"]), "detection", classes=["car", "dog"], **places)
    first = drawings(browser)["id street 0"]
    assert first["images"] == 0
    # As large as the boxes reach: 190.
    [place] = [place for _, title, *place in first["boxes"] if title == "given: car"]
    assert place == pytest.approx([10 * 400 / 190, 20 * 400 / 190, *[50 * 400 / 190] * 2], abs=0.1)


def test_of_many_boxes_some_are_drawn_issues_first(reported, browser):
    labels, predictions = scenes(7)
    rng = np.random.default_rng(0)
    for _ in range(100):
        x, y = rng.uniform(0, 150, 2)
        box = {"x1": x, "y1": y, "x2": x + 9, "y2": y + 9, "label": "car"}
        labels[0].append(box)
        predictions[0].insert(0, {**box, "prob": 0.5})
    done, _ = reported(images_of(labels, predictions), "detection", classes=["car", "dog"])
    of_issues = dict(
        zip(done.scores["id"].to_pylist(), done.scores["box_issues"].to_pylist(), strict=True)
    )
    n_issues = len(of_issues["street 0"])
    assert 1 <= n_issues <= 30
    first = drawings(browser)["id street 0"]
    kinds = [kind.split()[0] for kind, *_ in first["boxes"]]
    assert (kinds.count("given"), kinds.count("predicted")) == (30, 30)
    assert sum("issue" in kind for kind, *_ in first["boxes"]) == n_issues
    assert "102 given (30 drawn), 103 predicted (30 drawn)" in first["note"]
    # Of the others the likeliest.
    assert sum(title == "predicted: dog" for _, title, *_ in first["boxes"]) == 1


def test_names_of_classes_and_images_are_text(reported, browser):
    labels, predictions = scenes(names=HOSTILE[:2])
    table = images_of(labels, predictions)
    ids = [f"{HOSTILE[i % 3]}{i}" for i in range(9)]
    table = table.set_column(0, "id", pa.array(ids))
    _, text = reported(table, "detection", classes=HOSTILE)
    assert browser.run("document.querySelectorAll('img, script, b').length") == 0
    found = drawings(browser)
    assert f"id {ids[0]}" in found
    titles = {title for one in found.values() for _, title, *_ in one["boxes"]}
    assert f"given: {HOSTILE[0]}" in titles
    assert "<script" not in text


@pytest.mark.parametrize(
    ("image", "said"), [(b"<svg onload=alert(1)>", "Not an image."), (None, "No image.")]
)
def test_boxes_of_an_image_that_is_none_say_so(reported, browser, image, said):
    table = images_of(*scenes(), image=pa.array([image] * 9, pa.binary()))
    reported(table, "detection", classes=["car", "dog"], report_image="image")
    first = drawings(browser)["id street 0"]
    assert first["note"].startswith(said)
    assert first["images"] == 0
    assert len(first["boxes"]) == 5


def test_boxes_that_are_too_large_to_be_drawn_say_so(reported, browser):
    labels, predictions = scenes()
    labels[0][0]["x2"] = 1e20
    _, text = reported(images_of(labels, predictions), "detection", classes=["car", "dog"])
    assert "id street 0: the boxes are too large, or too small, to be drawn" in text
    assert "id street 0" not in drawings(browser)


SIDE = 12


def masks_of(n=6, shape=(SIDE, SIDE), k=3):
    """Return masks of stripes, and probabilities that know them; some pixels are given wrongly."""
    rng = np.random.default_rng(0)
    given = np.tile(np.arange(shape[1]) * k // shape[1], (n, shape[0], 1))
    probs = np.full((n, k, *shape), 0.1 / (k - 1), np.float32)
    np.put_along_axis(probs, given[:, None], 0.9, axis=1)
    for i in range(min(n, 3)):
        y, x = rng.integers(0, shape[0], 5), rng.integers(0, shape[1], 5)
        given[i, y, x] = (given[i, y, x] + 1) % k
    return given, probs


def table_of_masks(given, probs, **more):
    columns = {"id": np.arange(len(given))}
    for name, arrays in (("label_mask", given.astype(np.uint8)), ("pred_probs", probs)):
        columns[name] = [array.tobytes() for array in arrays]
        columns[f"{name}_shape"] = pa.array([a.shape for a in arrays], pa.list_(pa.int32()))
        columns[f"{name}_dtype"] = [str(arrays.dtype)] * len(arrays)
    return pa.table({**columns, **more})


def shown_masks(text):
    """Return the pictures of a page by their texts: RGBA pixels."""
    from PIL import Image

    found = re.findall(r'<img src="data:image/\w+;base64,([^"]+)" alt="([^"]+)"', text)
    return {
        html.unescape(name): np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data, name in found
    }


def test_the_worst_masks_are_shown(reported, browser):
    given, probs = masks_of()
    names = ["road", "<b>sky</b>", HOSTILE[0]]
    table = table_of_masks(given, probs, image=[png(64, 64)] * 6)
    done, text = reported(table, "segmentation", classes=names, report_image="image")
    order = done.scores.sort_by([("label_quality", "ascending"), ("id", "ascending")])
    worst = order["id"].to_pylist()[:4]
    pictures = shown_masks(text)
    kinds = ("given mask", "predicted mask", "label issues", "image")
    beside = {f"{kind} of id {key}" for kind in kinds for key in worst}
    assert beside <= set(pictures)
    assert not any(f"given mask of id {key}" in pictures for key in set(range(6)) - set(worst))
    colours = np.array([class_colour(k) for k in range(3)])
    for key, row in zip(worst, order.to_pylist(), strict=False):
        of = f"of id {key}"
        assert (pictures[f"given mask {of}"][..., :3] == colours[given[key]]).all()
        assert (pictures[f"predicted mask {of}"][..., :3] == colours[probs[key].argmax(0)]).all()
        flagged = np.frombuffer(row["issue_mask"], bool).reshape(SIDE, SIDE)
        assert ((pictures[f"label issues {of}"][..., 3] == 255) == flagged).all()
        assert f"{flagged.sum()} of 144 pixels, 12 by 12, are label issues." in text
    legend = browser.run("""[...document.querySelector(".legend").children]
        .map(l => [l.textContent, l.querySelector("span").style.backgroundColor])""")
    assert dict(legend[:3]) == {
        name: "rgb({}, {}, {})".format(*class_colour(k)) for k, name in enumerate(names)
    }
    assert legend[3][0] == "label issue"


def test_large_masks_are_made_small_and_no_issue_is_lost(reported):
    given, probs = masks_of(3, (500, 330))
    given[:, 0, 0] = 255
    table = table_of_masks(given, probs)
    done, text = reported(table, "segmentation", n_classes=3, ignore_label=255)
    pictures = shown_masks(text)
    rows = {row["id"]: row for row in done.scores.to_pylist()}
    for key in range(3):
        small, issues = (pictures[f"{kind} of id {key}"] for kind in ("given mask", "label issues"))
        assert small.shape == issues.shape == (160, 105, 4)
        flagged = np.frombuffer(rows[key]["issue_mask"], bool).reshape(500, 330)
        rows_of, columns_of = np.arange(160) * 500 // 160, np.arange(105) * 330 // 105
        blocks = np.logical_or.reduceat(
            np.logical_or.reduceat(flagged, rows_of, axis=0), columns_of, axis=1
        )
        assert ((issues[..., 3] == 255) == blocks).all()
        assert blocks.any()
    assert "Masks are made small, to 160 pixels" in text


def test_ignored_pixels_have_no_colour_and_few_classes_are_named(reported, browser):
    given, probs = masks_of(2, k=SIDE * 2, shape=(SIDE, SIDE * 2))
    given[:, 0] = 255
    image = pa.array([b"no"] * 2, pa.binary())
    _, text = reported(
        table_of_masks(given, probs, image=image),
        "segmentation",
        n_classes=SIDE * 2,
        ignore_label=255,
        report_image="image",
    )
    assert (shown_masks(text)["given mask of id 0"][0, :, 3] == 0).all()
    assert (shown_masks(text)["given mask of id 0"][1:, :, 3] == 255).all()
    assert "image: not an image" in text
    names = browser.run('[...document.querySelector(".legend").children].map(l => l.textContent)')
    assert len(names) == 15
    assert names[12:] == ["and 12 more classes", "label issue", "without a colour: ignored"]


def test_nested_masks_are_shown_too(reported):
    given, probs = masks_of(2)
    columns = {"id": [0, 1], "label_mask": given.tolist(), "pred_probs": probs.tolist()}
    _, text = reported(pa.table(columns), "segmentation", n_classes=3)
    assert "given mask of id 0" in shown_masks(text)


def sentences(n=60):
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 9, n)
    probs = [rng.dirichlet(np.ones(3), length) for length in lengths]
    labels = [rng.integers(0, 3, length) for length in lengths]
    return labels, probs


@pytest.mark.parametrize("is_nested", [True, False])
def test_the_probabilities_of_tokens_are_compared_with_their_labels(reported, is_nested):
    labels, probs = sentences()
    if is_nested:
        table = pa.table(
            {
                "sentence_id": np.arange(len(labels)),
                "labels": [one.tolist() for one in labels],
                "pred_probs": pa.array(
                    [p.tolist() for p in probs], pa.list_(pa.list_(pa.float64()))
                ),
            }
        )
        keys = {}
    else:
        rows = [
            {"sentence_id": i, "token_index": j, "label": int(label), "pred_probs": p.tolist()}
            for i, (of, ps) in enumerate(zip(labels, probs, strict=True))
            for j, (label, p) in enumerate(zip(of, ps, strict=True))
        ]
        table, keys = pa.Table.from_pylist(rows), {"token_index": "token_index"}
    _, text = reported(table, "tokens", **keys)
    together = partial_calibration(np.concatenate(labels), np.concatenate(probs))
    assert f"expected calibration error {finish_calibration(together).error:.4f}" in text
    assert ">tokens</th>" in text


def test_the_probabilities_of_each_label_are_compared_with_it(reported):
    rng = np.random.default_rng(0)
    probs = rng.uniform(0, 1, (80, 3))
    given = rng.uniform(0, 1, (80, 3)) < probs ** np.array([1, 4, 1])
    table = pa.table(
        {
            "id": np.arange(80),
            "labels": [np.flatnonzero(row).tolist() for row in given],
            "pred_probs": probs.tolist(),
        }
    )
    names = ["red", "<i>green", "blue"]
    _, text = reported(table, "multilabel", classes=names)
    found, of_classes = finish_label_calibrations(partial_label_calibrations(given, probs))
    assert f"expected calibration error {found.error:.4f}" in text
    section = text[text.index("classes whose probabilities are furthest off") :]
    rows = re.findall(r'<td dir="auto">([^<]*)</td><td[^>]*>([\d.]+)</td>', section)[:3]
    order = np.argsort([-one.error for one in of_classes])
    assert [html.unescape(name) for name, _ in rows] == [names[k] for k in order]
    assert [error for _, error in rows] == [f"{of_classes[k].error:.4f}" for k in order]
