"""Where tables and files lie: names of places, and whether two are the same."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

SUFFIXES = (".staging", ".scratch", ".previous")
"""Of the names beside a table's place that :mod:`lq_spark.tables.staged` uses."""


def beside(place: str, ending: str) -> str:
    """Return the place of a table that is called after another, by an ending of its name.

    >>> beside("out/scores/", "_metrics"), beside("lake.db.`product-scores`", "_metrics")
    ('out/scores_metrics', 'lake.db.`product-scores_metrics`')
    """
    place = place.rstrip("/")
    if place.endswith("`") and "/" not in place:
        return f"{place[:-1]}{ending}`"
    return f"{place}{ending}"


def one_spelling(place: str) -> str:
    """Return a table's place in one spelling, however it was spelt: of a path, or of a name.

    >>> one_spelling("spark_catalog.Lake.`scores`"), one_spelling("/data/../scores/")
    ('lake.scores', '/scores')
    """
    if "/" not in place:  # Spark does not tell the cases of names apart
        return _unquoted(place).lower().removeprefix("spark_catalog.")
    return one_path(place)


def one_path(path: str) -> str:
    """Return the path of a table, a file or a folder in one spelling."""
    local = path.removeprefix("file://").removeprefix("file:")
    return path.rstrip("/") if ":/" in local else os.path.realpath(local)


def staged(places: Iterable[str]) -> list[str]:
    """Return where tables are written first, and clear away what is there, in one spelling."""
    return [f"{one_spelling(place)}{end}" for place in places for end in SUFFIXES]


def overlap(place: str, other: str) -> bool:
    """Return whether two places, in one spelling, are the same or one lies inside the other."""
    return place == other or place.startswith(f"{other}/") or other.startswith(f"{place}/")


def _unquoted(name: str) -> str:
    """Return the name of a table without the quotes of its parts."""
    return re.sub(r"`((?:[^`]|``)*)`", lambda part: part[1].replace("``", "`"), name)
