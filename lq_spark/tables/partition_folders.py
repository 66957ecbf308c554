"""The values of partitions, from the folders that Parquet files are in: ``day=1/part.parquet``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from posixpath import normpath
from urllib.parse import unquote

from lq_spark.tables.staged import GLOB

_NULL = "__HIVE_DEFAULT_PARTITION__"

_AUTHORITY = re.compile(r"[A-Za-z][\w+.-]*:(//[^/]*)?")


def folders_of(uri: str, *, under: str = "") -> list[str] | None:
    """Return the folders between a place, which may be a pattern, and a file; None if elsewhere.

    >>> folders_of("file:///a/b/p=1/x.parquet", under="file:///a/*")
    ['p=1']
    """
    root, path = _parts(under), _parts(uri)
    fixed = list(takewhile(lambda part: not GLOB & set(part), root))
    return path[len(root) : -1] if path[: len(fixed)] == fixed else None


def _parts(uri: str) -> list[str]:
    path = _AUTHORITY.sub("", uri, count=1).strip("/")
    return normpath(path).split("/") if path else []


def values_of(folders: Sequence[str], *, by_sail: bool) -> dict[str, str | None]:
    """Return the values of partition columns that the names of folders give.

    As both engines read them, from the file upwards: folders that are no partition, then partitions
    until one is none. Sail knows no null, and takes escaped bytes as UTF-8, Spark as characters.

    >>> values_of(["x", "a=1", "b=y%2Fz"], by_sail=False)
    {'a': '1', 'b': 'y/z'}
    """

    def text(name: str) -> str:
        return unquote(name, encoding="utf-8" if by_sail else "latin-1")

    upwards = list(reversed(folders))
    while upwards and "=" not in upwards[0]:
        del upwards[0]
    named = reversed(list(takewhile(lambda folder: "=" in folder, upwards)))
    pairs = [folder.split("=", 1) for folder in named]
    return {
        text(name): None if value == _NULL and not by_sail else text(value) for name, value in pairs
    }
