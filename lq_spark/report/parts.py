"""What a report consists of: lines of text, tables, charts, pictures; not how they look.

A report is small whatever the size of the table that it is about: who makes its parts bounds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, NamedTuple, TypeAlias

import numpy as np


class Shown(NamedTuple):
    """A number in a table, and the text that stands for it."""

    text: str
    value: float


class Picture(NamedTuple):
    """A picture in a table.

    Attributes
    ----------
    source : str
        A ``data:`` address with all of it.
    text : str
        What it shows, for those who do not see it.
    """

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a few rows.

    Attributes
    ----------
    title : str
    header : sequence of str
    rows : sequence of sequence
        Cells: a :class:`Shown` number, a float (six digits after the point), None (not known), a
        :class:`Picture`, or anything else as its text.
    bars : mapping of str to float or None
        Which columns have bars in a page, and the value of a full bar; None: the largest.
    keys : sequence
        Where rows are those of the source that is reported on: what tells them apart there.
    meaning : str
        A sentence on what it shows, for a page.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    bars: Mapping[str, float | None] = field(default_factory=dict)
    keys: Sequence[Any] = ()
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How values lie in [0, 1].

    Attributes
    ----------
    title : str
    counts : mapping of str to sequence of int
        Of each kind of rows, by its name, how many lie in each bin of equal width; stacked.
    meaning : str
    """

    title: str
    counts: Mapping[str, Sequence[int]]
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Heatmap:
    """A matrix of a few classes by a few classes; the diagonal is left out.

    Attributes
    ----------
    title : str
    names : sequence of str
        Of the classes, which are its rows and columns.
    values : sequence of sequence of float
    axes : (str, str)
        What its rows are, and its columns.
    meaning : str
    """

    title: str
    names: Sequence[str]
    values: Sequence[Sequence[float]]
    axes: tuple[str, str]
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """Values along an axis.

    Attributes
    ----------
    title : str
    x, y : sequence of float or None
        Of equal lengths; None is a gap.
    axes : (str, str)
        What they are.
    labels : sequence of str
        What stands at the ends of the x axis, in place of numbers.
    is_share : bool
        Whether both axes go from 0 to 1, and a diagonal says where they are equal.
    meaning : str
    """

    title: str
    x: Sequence[float]
    y: Sequence[float | None]
    axes: tuple[str, str]
    labels: Sequence[str] = ()
    is_share: bool = False
    meaning: str = ""


class Figure(NamedTuple):
    """A key figure of a report.

    Attributes
    ----------
    name : str
    value : float or None
        None: not known.
    before : float or None
        What it was in the earlier run.
    """

    name: str
    value: float | None
    before: float | None = None

    @property
    def change(self) -> float | None:
        """Return by how much it differs from the earlier run; None where one is not known."""
        known = self.value is not None and self.before is not None
        return self.value - self.before if known else None  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class Figures:
    """Key figures beside each other."""

    title: str
    figures: Sequence[Figure]
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """A text as it is, such as a configuration."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Meanings:
    """Words, each with a sentence on what it means."""

    title: str
    meanings: Mapping[str, str]


class Box(NamedTuple):
    """A box of a drawing.

    Attributes
    ----------
    corners : (float, float, float, float)
        x1, y1, x2, y2.
    name : str
        Of its class.
    is_given : bool
        Whether it is given, and not predicted.
    issue : str
        What is wrong with it; nothing where it is no issue.
    """

    corners: tuple[float, float, float, float]
    name: str
    is_given: bool
    issue: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Given and predicted boxes over a picture.

    Attributes
    ----------
    title : str
    boxes : sequence of Box
        Those that matter most first.
    picture : Picture or None
        What lies below them; where there is none they lie on an empty canvas.
    size : (int, int) or None
        Width and height of the picture that coordinates are of, which may be larger than what is
        shown of it.
    meaning : str
    """

    title: str
    boxes: Sequence[Box]
    picture: Picture | None = None
    size: tuple[int, int] | None = None
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Pictures:
    """A few pictures beside each other.

    Attributes
    ----------
    title : str
    pictures : mapping of str to Picture or str
        Each with what it is of; a text says why there is none.
    legend : sequence of (str, str)
        What its colours, such as #0a64c8, are of.
    meaning : str
    """

    title: str
    pictures: Mapping[str, Picture | str]
    legend: Sequence[tuple[str, str]] = ()
    meaning: str = ""


Chart: TypeAlias = Histogram | Heatmap | Curve
Part: TypeAlias = str | Table | Chart | Figures | Code | Meanings | Drawing | Pictures
"""A str is a line of text; an empty one keeps lines apart in a console."""


@dataclass(frozen=True, slots=True)
class Section:
    """Parts under a heading."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Page:
    """A report: its title, a line below it, and its sections."""

    title: str
    subtitle: str
    sections: Sequence[Section]


def count(n: int) -> Shown:
    """Return a number of things.

    >>> count(1797).text
    '1,797'
    """
    return Shown(f"{n:,}", float(n))


def share(value: float) -> Shown:
    """Return a share of a whole.

    >>> share(0.0415).text
    '4.15%'
    """
    return Shown(f"{value:.2%}", value)


def number(value: float | None, digits: int = 4) -> Shown | None:
    """Return a number with some digits after the point.

    >>> number(0.95).text
    '0.9500'
    """
    return None if value is None else Shown(f"{value:.{digits}f}", value)


def figure_text(value: float | None) -> str:
    """Return a key figure: a count in full, else four digits that count.

    >>> [figure_text(value) for value in (1797.0, 0.955432, 1234.56, None)]
    ['1,797', '0.9554', '1,235', '-']
    """
    if value is None or np.isnan(value):
        return "-"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def cell_text(cell: Any) -> str:
    """Return the text of a cell of a table.

    >>> [cell_text(cell) for cell in (None, 0.5, share(0.5), 1797, "cat")]
    ['-', '0.500000', '50.00%', '1797', 'cat']
    """
    if cell is None:
        return "-"
    if isinstance(cell, (Shown, Picture)):
        return cell.text
    if isinstance(cell, float) and not isinstance(cell, Integral):
        return f"{cell:.6f}"
    return str(cell)


def text_of(parts: Iterable[Part]) -> list[str]:
    """Return the lines and tables among parts as lines for a console.

    >>> text_of(["2 rows", Table("lowest", ("id", "score"), [("a", 0.25)])])
    ['2 rows', '', 'lowest:', '  id     score', '   a  0.250000']
    """
    lines: list[str] = []
    for part in parts:
        if isinstance(part, str):
            lines.append(part)
        elif isinstance(part, Table) and part.rows:
            lines += ["", f"{part.title}:", *aligned(part.header, part.rows)]
    return lines


def aligned(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return a small table as lines, columns aligned to the right but for a last one of text."""
    cells = [[cell_text(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, columns)) for columns in zip(*cells, strict=True)]
    if any(isinstance(row[-1], str) for row in rows):
        widths[-1] = 0
    return [
        ("  " + "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True))).rstrip()
        for row in cells
    ]
