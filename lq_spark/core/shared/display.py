"""How objects show themselves: in one line, and in a notebook as a few small tables with bars."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

N_SHOWN = 5
"""Rows of a table in a notebook."""

MAX_TEXT = 40
"""Characters of a name; longer ones are cut."""

MAX_SENTENCE = 300
"""Characters of a sentence, which is wrapped; longer ones are cut."""

_BAR = "background:linear-gradient(90deg,rgba(70,130,180,.35) {0:.0f}%,transparent {0:.0f}%)"


class SmallTable(NamedTuple):
    """The first rows of a table, to be shown.

    Attributes
    ----------
    title : str
    columns : mapping of str to sequence
        Of equal lengths.
    bars : mapping of str to float or None
        Which columns have bars in their cells, and the value of a full bar; None: the largest.
    sentences : collection of str
        Which columns have sentences, to be read to their ends, in place of names.
    """

    title: str
    columns: Mapping[str, Sequence[Any]]
    bars: Mapping[str, float | None] = {}
    sentences: Collection[str] = ()


class Displayed(ABC):
    """An object that is shown in one line, or as small tables: a subclass names the figures.

    Of a dataclass, ``repr=False`` keeps the representation of all fields away.
    """

    __slots__ = ()

    @abstractmethod
    def _facts(self) -> Mapping[str, Any]:
        """Return the key figures by name, None for one that is not known.

        Whole numbers are shown before their names, which are plurals; anything else after them.
        """

    def _tables(self) -> Sequence[SmallTable]:
        """Return what a notebook shows below the key figures."""
        return ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {facts_text(self._facts())}>"

    def _repr_html_(self) -> str:
        head = f"<b>{type(self).__name__}</b>: {html.escape(facts_text(self._facts()))}"
        tables = "".join(map(_table_html, self._tables()))
        style = "display:flex;flex-wrap:wrap;gap:0 2em;align-items:flex-start"
        return f'<div>{head}<div style="{style}">{tables}</div></div>'


def facts_text(facts: Mapping[str, Any]) -> str:
    """Return key figures as text; those that are None are left out.

    >>> facts_text({"classes": 10, "rows": 1797, "label issues": 1, "health score": 0.95543})
    '10 classes, 1,797 rows, 1 label issue, health score 0.9554'
    """
    texts = []
    for name, value in facts.items():
        if isinstance(value, Integral):
            texts.append(f"{_text(value)} {_singular(name) if value == 1 else name}")
        elif value is not None:
            texts.append(f"{name} {_text(value)}")
    return ", ".join(texts)


def frame_table(
    title: str,
    frame: Any,
    labels: Mapping[str, str],
    numbers: Mapping[str, str],
    bars: Mapping[str, float | None],
) -> SmallTable:
    """Return the first rows of a pandas table.

    Parameters
    ----------
    title : str
    frame : pandas.DataFrame
    labels, numbers : mapping of str to str
        Heading -> column, of what names the rows and of their figures. A label that the table does
        not have is left out.
    bars : mapping of str to float or None
        As for :class:`SmallTable`.
    """
    rows = frame.head(N_SHOWN)
    names = {title: [*map(str, rows[name])] for title, name in labels.items() if name in rows}
    figures = {title: rows[name].tolist() for title, name in numbers.items()}
    return SmallTable(title, {**names, **figures}, bars)


def class_column(frame: Any, end: str = "") -> str:
    """Return the column of a pandas table that has the classes' names, or else their indices."""
    name = f"Class Name{end}"
    return name if name in frame else f"Class Index{end}"


def names_at(classes: Sequence[object] | None, places: ArrayLike) -> list[str]:
    """Return the names of classes, or their indices where they have no names.

    >>> names_at(("cat", "dog"), [1]), names_at(None, [1])
    (['dog'], ['1'])
    """
    return [str(place if classes is None else classes[place]) for place in np.asarray(places)]


def _singular(name: str) -> str:
    if name.endswith("ss"):
        return name
    if name.endswith("ies"):
        return f"{name.removesuffix('ies')}y"
    return name.removesuffix("es" if name.endswith(("sses", "xes")) else "s")


def _text(value: Any, length: int = MAX_TEXT) -> str:
    if value is None:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        number = float(value)
        return f"{number:,.0f}" if 1e4 <= abs(number) < 1e15 else f"{number:.4g}"
    text = " ".join(str(value).split())
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _table_html(table: SmallTable) -> str:
    rows = list(zip(*table.columns.values(), strict=True))
    if not rows:
        return ""
    bars = {
        name: max(table.columns[name]) if full is None else full
        for name, full in table.bars.items()
    }
    head = "".join(
        f'<th style="text-align:{_side(values[0])}">{html.escape(_text(name))}</th>'
        for name, values in table.columns.items()
    )
    body = "".join(
        "<tr>"
        + "".join(
            _sentence_html(value) if name in table.sentences else _cell_html(value, bars.get(name))
            for name, value in zip(table.columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    caption = (
        f'<caption style="text-align:left;white-space:nowrap">{html.escape(table.title)}</caption>'
    )
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def _side(value: Any) -> str:
    return "right" if _is_number(value) else "left"


def _cell_html(value: Any, full: float | None) -> str:
    style = f"text-align:{_side(value)}"
    if _is_number(value) and full and np.isfinite(value):
        style += ";min-width:6em;" + _BAR.format(100 * min(max(float(value) / full, 0.0), 1.0))
    return f'<td style="{style}">{html.escape(_text(value))}</td>'


def _sentence_html(value: Any) -> str:
    style = "text-align:left;white-space:normal;min-width:16em;max-width:40em"
    return f'<td style="{style}">{html.escape(_text(value, MAX_SENTENCE))}</td>'
