"""Boxes over a picture, as SVG that goes into a page; its colours are those of the page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from lq_spark.report.charts import short
from lq_spark.report.parts import Box, Drawing

SIDE = 400
"""Units of the longer side of a picture; a drawing is as wide."""

MAX_NAME = 20
"""Characters of the name of a class at a box."""

MAX_TITLE = 200
"""Characters of it where somebody points at the box."""

_LEAST, _FONT, _LETTER, _LINE = 40, 11, 6.2, 13
_THIN, _THICK = 1.8, 4.0

_SHORTEST, _LONGEST = 1e-9, 1e15
"""Of the sides of a canvas: beyond them nothing would be seen."""

_STYLES = {True: "stroke: var(--accent)", False: "stroke: var(--ink); stroke-dasharray: 7 4"}
_INKS = {True: "var(--accent)", False: "var(--ink)"}
_HALO = "fill: none; stroke: var(--paper); stroke-opacity: 0.65"
_TEXT = "paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round"


def boxes_svg(drawing: Drawing) -> str:
    """Return a drawing as SVG, to be put into a page, with a legend below it.

    Boxes reach no further than the picture if there is one; else the canvas is as large as they
    reach. Where all coordinates are within 0..1 they are shares of the picture.
    """
    left, top, width, height = _canvas(drawing)
    scale = SIDE / max(width, height)
    wide, high = (max(side * scale, _LEAST) for side in (width, height))
    in_units = [
        box._replace(corners=_scaled(box.corners, left, top, _stretch(drawing), scale))
        for box in drawing.boxes
    ]
    inner = [f'<rect width="{wide:.1f}" height="{high:.1f}" style="fill: var(--card)"/>']
    if drawing.picture is not None:
        inner.append(
            f'<image href="{escape(drawing.picture.source)}" width="{wide:.1f}" '
            f'height="{high:.1f}" preserveAspectRatio="none"/>'
        )
    # Dashes over solid lines, issues over others: all are seen where they lie on each other.
    on_top = sorted(in_units, key=lambda box: (not box.is_given, bool(box.issue)))
    inner += [_halo(box) for box in on_top]
    inner += [_rectangle(box) for box in on_top]
    names = list(_names(in_units, high))
    legend = list(_legend(high + 2 * _LINE))
    total = high + (len(legend) // 2 + 2) * _LINE
    return "\n".join(
        [
            f'<svg viewBox="0 0 {SIDE} {total:.0f}" font-size="{_FONT}">',
            f'<svg width="{wide:.1f}" height="{high:.1f}" overflow="hidden">',
            *inner,
            "</svg>",
            f'<rect width="{wide:.1f}" height="{high:.1f}" style="fill: none; stroke: '
            'var(--line)"/>',
            *names,
            *legend,
            "</svg>",
        ]
    )


def can_be_drawn(drawing: Drawing) -> bool:
    """Return whether its boxes reach over an area that there are numbers for."""
    left, top, width, height = _canvas(drawing)
    longer = max(width, height)
    return _SHORTEST <= longer <= _LONGEST and max(abs(left), abs(top)) <= _LONGEST


def _stretch(drawing: Drawing) -> tuple[float, float]:
    """Return what coordinates are multiplied by: the sides of the picture where they are shares."""
    if drawing.size is None or any(not 0 <= c <= 1 for box in drawing.boxes for c in box.corners):
        return 1.0, 1.0
    return float(drawing.size[0]), float(drawing.size[1])


def _canvas(drawing: Drawing) -> tuple[float, float, float, float]:
    """Return x, y, width and height of what is drawn."""
    if drawing.size is not None:
        return 0.0, 0.0, float(drawing.size[0]), float(drawing.size[1])
    xs = [0.0, *(x for box in drawing.boxes for x in box.corners[::2])]
    ys = [0.0, *(y for box in drawing.boxes for y in box.corners[1::2])]
    return min(xs), min(ys), (max(xs) - min(xs)) or 1.0, (max(ys) - min(ys)) or 1.0


def _scaled(
    corners: tuple[float, float, float, float],
    left: float,
    top: float,
    stretch: tuple[float, float],
    scale: float,
) -> tuple[float, float, float, float]:
    def place(value: float, start: float, factor: float) -> float:
        # Far beyond the edge is beyond it as well.
        return min(max((value * factor - start) * scale, -SIDE), 2.0 * SIDE)

    x1, y1, x2, y2 = corners
    across, down = stretch
    return (
        *(place(x1, left, across), place(y1, top, down)),
        *(place(x2, left, across), place(y2, top, down)),
    )


def _halo(box: Box) -> str:
    return f'<rect {_place(box)} style="{_HALO}; stroke-width: {_stroke(box) + 2}px"/>'


def _rectangle(box: Box) -> str:
    kind = "given" if box.is_given else "predicted"
    title = f"{kind}: {short(box.name, MAX_TITLE)}" + f", {box.issue}" * bool(box.issue)
    return (
        f'<rect class="{kind}{" issue" * bool(box.issue)}" {_place(box)} '
        f'style="fill: none; {_STYLES[box.is_given]}; stroke-width: {_stroke(box)}px">'
        f"<title>{escape(title)}</title></rect>"
    )


def _place(box: Box) -> str:
    x1, y1, x2, y2 = box.corners
    return f'x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"'


def _stroke(box: Box) -> float:
    return _THICK if box.issue else _THIN


def _names(boxes: list[Box], height: float) -> Iterator[str]:
    """Yield the names of boxes, where there is room: above given ones, below predicted ones."""
    taken: list[tuple[float, float, float]] = []
    for box in boxes:
        # Isolated, so that a name cannot turn the words beside it round.
        name = f"\u2068{short(box.name, MAX_NAME)}\u2069"
        text = name + f": {box.issue}" * bool(box.issue)
        long = _LETTER * len(text)
        x = max(2.0, min(box.corners[0], SIDE - long))
        first = box.corners[1] - 3 if box.is_given else box.corners[3] + _FONT
        step = _LINE if box.is_given else -_LINE
        for place in (first, first + step, first + 2 * step, first - step):
            y = min(max(place, float(_FONT)), height + _LINE - 2)
            if all(abs(y - v) >= _FONT or x > b or x + long < a for a, b, v in taken):
                taken.append((x, x + long, y))
                ink = "var(--alert)" if box.issue else _INKS[box.is_given]
                yield (
                    f'<text x="{x:.1f}" y="{y:.1f}" style="{_TEXT}; fill: {ink}">'
                    f"{escape(text)}</text>"
                )
                break


def _legend(top: float) -> Iterator[str]:
    texts = [
        (_STYLES[True], _THIN, "given box: solid line, its class above"),
        (_STYLES[False], _THIN, "predicted box: dashed line, its class below"),
        (_STYLES[True], _THICK, "label issue: thick line, its kind after the class"),
    ]
    for number, (style, stroke, text) in enumerate(texts):
        y = top + number * _LINE
        yield (
            f'<line x1="2" x2="34" y1="{y - 4:.1f}" y2="{y - 4:.1f}" '
            f'style="{style}; stroke-width: {stroke}px"/>'
        )
        yield f'<text x="42" y="{y:.1f}" style="fill: var(--ink)">{text}</text>'
