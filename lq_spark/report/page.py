"""A report as one file of HTML: no script, nothing from a network, every value escaped."""

from __future__ import annotations

import importlib.resources
import importlib.util
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from lq_spark.core.shared.saved import write_whole
from lq_spark.errors import OptionError
from lq_spark.report.charts import short, svg
from lq_spark.report.drawings import boxes_svg
from lq_spark.report.parts import (
    Code,
    Drawing,
    Figures,
    Meanings,
    Page,
    Part,
    Picture,
    Pictures,
    Shown,
    Table,
    cell_text,
    figure_text,
)

MAX_TEXT = 200
"""Characters of a cell or a line; longer ones are cut."""

_NEEDED = {"jinja2": "Jinja2", "matplotlib": "Matplotlib"}


def require_extra(option: str) -> None:
    """Raise OptionError if what pages are made with is not installed.

    Parameters
    ----------
    option : str
        What asked for a page.
    """
    missing = [name for module, name in _NEEDED.items() if not importlib.util.find_spec(module)]
    if missing:
        raise OptionError(
            f"{option}: a report needs {' and '.join(missing)}, and there is none: "
            "pip install 'lq-spark[report]'"
        )


def html_of(page: Page) -> str:
    """Return a page as HTML.

    Parameters
    ----------
    page : Page

    Returns
    -------
    str
        A whole file.
    """
    import jinja2
    from markupsafe import Markup

    numbers = iter(range(10**6))
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "short": lambda text: short(text, MAX_TEXT),
        "figure": figure_text,
        "svg": lambda chart: Markup(svg(chart, f"c{next(numbers)}")),
        "boxes": lambda drawing: Markup(boxes_svg(drawing)),
        "cells": _cells,
        "is_number": lambda table, place: any(_is_number(row[place]) for row in table.rows),
    }
    environment.tests["picture"] = lambda cell: isinstance(cell, Picture)
    # Not by a path: the package may be in a zip.
    text = importlib.resources.files("lq_spark.report").joinpath("page.html").read_text("utf-8")
    template = environment.from_string(text)
    sections = [(section.title, list(_blocks(section.parts))) for section in page.sections]
    return template.render(page=page, sections=[s for s in sections if s[1]])


def save(page: Page, path: str) -> None:
    """Write a page to a file.

    Parameters
    ----------
    page : Page
    path : str
        On this machine; a file that is there is replaced.

    Raises
    ------
    OptionError
        If what pages are made with is not installed.
    TableError
        If the file cannot be written.
    """
    require_extra("report")
    write_whole(path, html_of(page), "report")


def _blocks(parts: Iterable[Part]) -> Iterator[tuple[str, Any]]:
    """Yield (kind, what is shown), lines that follow each other together."""
    for is_text, group in groupby(parts, key=lambda part: isinstance(part, str)):
        if is_text:
            lines = [str(line) for line in group if line]
            if lines:
                yield "text", lines
            continue
        for part in group:
            if isinstance(part, Table):
                if part.rows:
                    yield "table", part
            elif isinstance(part, Figures):
                yield "figures", part
            elif isinstance(part, Code):
                yield "code", part
            elif isinstance(part, Meanings):
                yield "meanings", part
            elif isinstance(part, Drawing):
                yield "drawing", part
            elif isinstance(part, Pictures):
                yield "pictures", part
            else:
                yield "chart", part


def _cells(table: Table, row: Any) -> Iterator[dict[str, Any]]:
    """Yield the cells of a row: what is in them, and how long their bars are."""
    for place, (name, cell) in enumerate(zip(table.header, row, strict=True)):
        is_number = _is_number(cell)
        bar = None
        if is_number and name in table.bars:
            full = table.bars[name] or max(_value(other[place]) for other in table.rows)
            bar = f"{100 * min(max(_value(cell) / full, 0.0), 1.0):.1f}%" if full else "0%"
        yield {
            "value": cell,
            "text": short(cell_text(cell), MAX_TEXT),
            "number": is_number or cell is None,
            "bar": bar,
        }


def _is_number(cell: Any) -> bool:
    return isinstance(cell, (Shown, float))


def _value(cell: Any) -> float:
    value = cell.value if isinstance(cell, Shown) else cell
    return float(value) if isinstance(value, float) else 0.0
