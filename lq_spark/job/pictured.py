"""What a report shows of a few images: their boxes, or their masks, beside the images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lq_spark.core.detection.scores import OVERLOOKED
from lq_spark.job.report import columns_of
from lq_spark.report.charts import short
from lq_spark.report.drawings import can_be_drawn
from lq_spark.report.parts import Box, Drawing, Part, Picture, Pictures, Section
from lq_spark.report.pictures import class_colour, class_picture, picture, sized_picture
from lq_spark.tasks.detection.batches import BOX_INDEX, BOX_ISSUES, BOX_SCORE, KIND
from lq_spark.tasks.detection.columns import CORNERS, LABEL, PROB
from lq_spark.tasks.segmentation.batches import ISSUE_MASK, ISSUE_MASK_SHAPE
from lq_spark.tasks.segmentation.pictures import SmallMasks, any_of, small_masks
from lq_spark.tasks.shared.labels import class_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.tasks.detection.columns import DetectionColumns
    from lq_spark.tasks.segmentation.columns import ImageColumns
    from lq_spark.tasks.segmentation.layout import ImageLayout

N_DRAWN, N_MASKS = 6, 4
"""Images whose boxes are drawn, and whose masks are shown, at most."""

N_BOXES = 30
"""Given boxes of an image that are drawn, and predicted ones, at most of each."""

N_LEGEND = 12
"""Classes that a legend names, at most."""

MASK_SIDE, IMAGE_SIDE = 160, 400
"""Pixels of the longer side of a mask, and of an image below boxes, at most."""

_ISSUE_COLOUR = (217, 84, 30)


class Worst(NamedTuple):
    """The images to show.

    Attributes
    ----------
    key : str
        Column that tells them apart.
    keys : list
        Of the images, the worst first.
    written : DataFrame
        The output.
    image : str or None
        Column of the images themselves.
    """

    key: str
    keys: list[Any]
    written: DataFrame
    image: str | None


def boxes_section(rows: DataFrame, columns: DetectionColumns, worst: Worst) -> Section:
    """Return the worst images with their given and predicted boxes.

    Parameters
    ----------
    rows : DataFrame
        The images that were scored.
    columns : DetectionColumns
        How they are read.
    worst : Worst
    """
    keys = worst.keys[:N_DRAWN]
    if not keys:
        return Section(_BOXES_TITLE, [])
    images = [] if worst.image is None else [worst.image]
    names = [columns.labels, columns.predictions, *images]
    found = columns_of(rows, worst.key, keys, names)
    issues = columns_of(worst.written, worst.key, keys, [BOX_ISSUES])
    parts: list[Part] = []
    for key in keys:
        if key not in found:
            continue
        given, predicted, *of_image = (found[key][name] for name in names)
        kinds = issues.get(key, {}).get(BOX_ISSUES) or []
        title = f"{worst.key} {key}"
        parts.append(_drawing(title, columns, (given, predicted), kinds, of_image))
    return Section(_BOXES_TITLE, parts)


_BOXES_TITLE = "The boxes of the worst images"


def _drawing(
    title: str,
    columns: DetectionColumns,
    boxes: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]],
    issues: Sequence[Mapping[str, Any]],
    of_image: Sequence[Any],
) -> Part:
    kinds: dict[tuple[bool, int], list[str]] = {}
    for issue in issues:
        which = issue[KIND] != OVERLOOKED, issue[BOX_INDEX]
        kinds.setdefault(which, []).append(f"{issue[KIND]} ({issue[BOX_SCORE]:.3f})")
    drawn: list[tuple[bool, Box]] = []
    counts = []
    for is_given, of_kind in zip((True, False), boxes, strict=True):
        places = sorted(range(len(of_kind)), key=lambda i: _order(of_kind[i], is_given, i, kinds))
        for i in places[:N_BOXES]:
            x1, y1, x2, y2 = (float(of_kind[i][corner]) for corner in CORNERS)
            name = class_name(of_kind[i][LABEL], columns.classes)
            issue_text = ", ".join(kinds.get((is_given, i), ()))
            drawn.append((not issue_text, Box((x1, y1, x2, y2), name, is_given, issue_text)))
        kind = "given" if is_given else "predicted"
        n = len(of_kind)
        counts.append(f"{n:,} {kind}" + f" ({N_BOXES} drawn)" * (n > N_BOXES))
    found = [box for _, box in sorted(drawn, key=lambda one: one[0])]
    texts = [f"{short(box.name, 20)}: {box.issue}" for box in found if box.issue]
    meaning = f"Boxes: {', '.join(counts)}; issues: {'; '.join(texts) or 'none'}."
    seen, size = None, None
    if of_image:
        made = sized_picture(of_image[0], title, IMAGE_SIDE)
        if isinstance(made, str):
            meaning = f"{made[0].upper()}{made[1:]}. {meaning}"
        else:
            seen, size = made
    drawing = Drawing(title, found, seen, size, meaning)
    if not can_be_drawn(drawing):
        return f"{title}: the boxes are too large, or too small, to be drawn. {meaning}"
    return drawing


def _order(
    box: Mapping[str, Any], is_given: bool, place: int, kinds: Mapping[tuple[bool, int], Any]
) -> tuple[bool, float, int]:
    """Return what boxes are sorted by: issues first, then the likeliest."""
    return (is_given, place) not in kinds, 0.0 if is_given else -float(box[PROB]), place


def masks_section(
    rows: DataFrame,
    columns: ImageColumns,
    layout: ImageLayout,
    classes: Sequence[str] | None,
    worst: Worst,
) -> Section:
    """Return the worst images with their given and predicted masks, and which pixels are issues.

    Parameters
    ----------
    rows : DataFrame
        The images that were scored.
    columns, layout
        How they are read.
    classes : sequence of str or None
        Names of the classes.
    worst : Worst
    """
    keys = worst.keys[:N_MASKS]
    if not keys:
        return Section(_MASKS_TITLE, [])
    masks = small_masks(rows, columns, layout, worst.key, keys, MASK_SIDE)
    issues = columns_of(worst.written, worst.key, keys, [ISSUE_MASK, ISSUE_MASK_SHAPE])
    images = {} if worst.image is None else columns_of(rows, worst.key, keys, [worst.image])
    colours = [class_colour(k) for k in range(layout.n_classes)]
    parts: list[Part] = []
    for key in keys:
        if key not in masks or key not in issues:
            continue
        of, found = f"of {worst.key} {key}", masks[key]
        shape = issues[key][ISSUE_MASK_SHAPE]
        flagged = np.frombuffer(issues[key][ISSUE_MASK], np.bool_).reshape(shape)
        small = any_of(flagged, MASK_SIDE).astype(np.int64) - 1
        shown: dict[str, Picture | str] = {}
        if worst.image is not None:
            shown["image"] = picture(images.get(key, {}).get(worst.image), f"image {of}")
        shown["given mask"] = class_picture(found.given, colours, f"given mask {of}")
        shown["predicted mask"] = class_picture(found.predicted, colours, f"predicted mask {of}")
        n = int(flagged.sum())
        shown["label issues"] = class_picture(small, [_ISSUE_COLOUR], f"label issues {of}")
        meaning = (
            f"{n:,} of {flagged.size:,} pixels, {shape[0]:,} by {shape[1]:,}, are label issues."
        )
        legend = list(_legend(found, classes, colours))
        parts.append(Pictures(f"{worst.key} {key}", shown, legend, meaning))
    if any(max(issues[key][ISSUE_MASK_SHAPE]) > MASK_SIDE for key in keys if key in issues):
        parts.append(
            f"Masks are made small, to {MASK_SIDE} pixels: every n-th pixel of the classes, and an "
            "issue wherever one of the pixels is one."
        )
    return Section(_MASKS_TITLE, parts)


_MASKS_TITLE = "The masks of the worst images"


def _legend(
    masks: SmallMasks, classes: Sequence[str] | None, colours: Sequence[tuple[int, int, int]]
) -> Iterable[tuple[str, str]]:
    """Yield the colours of the classes in the masks, the commonest first."""
    pixels = np.concatenate([mask.ravel() for mask in masks])
    counts = np.bincount(pixels[pixels >= 0], minlength=len(colours))
    there = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)].tolist()
    for k in there[:N_LEGEND]:
        yield _css(colours[k]), class_name(k, classes)
    if len(there) > N_LEGEND:
        yield "", f"and {len(there) - N_LEGEND:,} more classes"
    yield _css(_ISSUE_COLOUR), "label issue"
    if (pixels < 0).any():
        yield "", "without a colour: ignored"


def _css(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
