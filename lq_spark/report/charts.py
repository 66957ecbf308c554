"""Charts as SVG that goes into a page: its text is text, its colours are those of the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from lq_spark.report.parts import Chart, Curve, Heatmap, Histogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT, ACCENT, ALERT = "#010203", "#040506", "#070809", "#0a0b0c"
"""Colours that the page gives: they stand for its variables, light and dark."""

_VARIABLES = {INK: "ink", FAINT: "faint", ACCENT: "accent", ALERT: "alert"}
_KINDS = (ACCENT, ALERT)

WIDTH, HEIGHT = 4.6, 2.7
"""Inches, of 72 points each; a chart is as wide as a phone."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lq_spark",
    "text.parse_math": False,
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}

MAX_NAME = 16
"""Characters of a name at an axis."""


def svg(chart: Chart, name: str) -> str:
    """Return a chart as SVG, to be put into a page; ``name`` is its own there."""
    with _axes(chart) as (axes, written):
        _draw(chart, axes)
    text = written.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    # Of the many charts of a page each has identifiers of its own.
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # As wide as there is room.
    return re.sub(r'\b(width|height)="[^"]*pt" ?', "", text, count=2)


@contextmanager
def _axes(chart: Chart) -> Iterator[tuple[Axes, io.StringIO]]:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    written = io.StringIO()
    height = WIDTH if isinstance(chart, Heatmap) else HEIGHT
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A browser has the letters that its font has not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure.subplots(), written
        figure.patch.set_alpha(0.0)
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(written, metadata={"Date": None})


@singledispatch
def _draw(chart: Any, axes: Axes) -> None:
    raise TypeError(f"no chart: {chart!r}")


@_draw.register(Histogram)
def _histogram(chart: Histogram, axes: Axes) -> None:
    axes.patch.set_alpha(0.0)
    below = np.zeros(len(next(iter(chart.counts.values()))))
    edges = np.linspace(0.0, 1.0, len(below) + 1)
    for (name, counts), colour in zip(chart.counts.items(), _KINDS, strict=False):
        axes.bar(edges[:-1], counts, np.diff(edges), below, align="edge", color=colour, label=name)
        below = below + np.asarray(counts)
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel(chart.title)
    axes.set_ylabel("rows")
    axes.yaxis.set_major_locator(_whole_numbers())
    axes.yaxis.set_major_formatter(_counts)
    if len(chart.counts) > 1:
        axes.legend(loc="best", fontsize=8)


@_draw.register(Heatmap)
def _heatmap(chart: Heatmap, axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    axes.patch.set_alpha(0.0)
    values = np.array(chart.values, dtype=np.float64)
    np.fill_diagonal(values, 0.0)
    n, most = len(values), values.max() or 1.0
    for row, column in zip(*np.nonzero(values > 0), strict=True):
        strength = 0.08 + 0.62 * float(values[row, column] / most)
        axes.add_patch(Rectangle((column, row), 1, 1, facecolor=ALERT, alpha=strength, linewidth=0))
        if n <= 12 and values[row, column] >= 0.5:
            text = f"{values[row, column]:,.0f}"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7)
    for place in range(n):
        axes.add_patch(Rectangle((place, place), 1, 1, facecolor=FAINT, alpha=0.15, linewidth=0))
    names = [short(name, MAX_NAME) for name in chart.names]
    places = np.arange(n) + 0.5
    axes.set_xticks(places, names, rotation=90, fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    axes.tick_params(length=0)
    axes.set_xlim(0, n)
    axes.set_ylim(n, 0)
    axes.set_aspect("equal")
    axes.set_ylabel(chart.axes[0])
    axes.set_xlabel(chart.axes[1])


@_draw.register(Curve)
def _curve(chart: Curve, axes: Axes) -> None:
    axes.patch.set_alpha(0.0)
    y = np.array([np.nan if value is None else value for value in chart.y], dtype=np.float64)
    if chart.is_share:
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle="--")
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(0.0, 1.05)
    axes.plot(chart.x, y, color=ACCENT, marker="o", markersize=3.5, linewidth=1.4)
    axes.set_xlabel(chart.axes[0])
    axes.set_ylabel(chart.axes[1])
    if chart.labels:
        axes.set_xticks([chart.x[0], chart.x[-1]], chart.labels)
        axes.margins(x=0.06)
        first, last = axes.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")
        axes.yaxis.set_major_formatter(_counts if np.nanmax(np.abs(y)) >= 1000 else "{x:.4g}")


def _whole_numbers() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=5, integer=True)


def _counts(value: float, _place: float) -> str:
    return f"{value:,.0f}"


def short(text: object, length: int) -> str:
    """Return a text on one line, cut if it is longer; signs that no page may hold are replaced.

    >>> short("a" + chr(0) + "b", 9) == "a" + chr(0xFFFD) + "b", short("a  long name", 8)
    (True, 'a long …')
    """
    words = " ".join(str(text)[: 4 * length + 40].split())
    words = re.sub("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]", "\ufffd", words)
    return words if len(words) <= length else f"{words[: length - 1]}…"
