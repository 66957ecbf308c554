"""Every error that lq_spark raises on purpose.

The message is the single positional argument and is complete by itself: Spark passes a worker's
exception to the driver as text, so attributes would be lost.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping, Set
from numbers import Integral, Real


class LqError(Exception):
    """Base of all errors of this package."""


class OptionError(LqError, ValueError):
    """An option, a flag or a config key has a value that is not allowed."""


class ColumnError(LqError, ValueError):
    """A column is missing, ambiguous or already there, or has a type that is not allowed."""


class DataError(LqError, ValueError):
    """Rows hold values that cannot be scored."""


class InvalidRowsError(DataError):
    """Some rows of a table cannot be scored; the others may be."""


class TableError(LqError, OSError):
    """A table cannot be read or written."""


class EngineError(LqError, RuntimeError):
    """The requested engine is not installed, or cannot do what is requested."""


def listed(names: Iterable[object], limit: int = 12) -> str:
    """Return names as text for a message, cut after ``limit``.

    >>> listed(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    items = [repr(name) for name in names]
    more = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {more} more" if more > 0 else "")


def closest(name: str, allowed: Iterable[str]) -> str:
    """Return a hint that names the allowed word nearest to ``name``, or an empty text.

    >>> closest("metod", ["method", "input"])
    "; did you mean 'method'?"
    """
    near = difflib.get_close_matches(name, list(allowed), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def require_one_of(option: str, value: object, allowed: Collection[str]) -> None:
    """Raise OptionError unless ``value`` is one of the words that ``option`` allows."""
    if not isinstance(value, str) or value not in allowed:
        hint = closest(str(value), allowed)
        raise OptionError(f"{option} must be one of {listed(allowed)}, got {value!r}{hint}")


def require_number(
    option: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
) -> float:
    """Return a number from ``low``, or above it, to ``high``; raise OptionError for anything else.

    >>> require_number("threshold", 1, 0.0, 1.0)
    1.0
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if is_number and low <= value <= high and not (above and value == low):  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    allowed = {
        (False, False): "",
        (True, False): f" above {low:g}" if above else f" of at least {low:g}",
        (False, True): f" of at most {high:g}",
        (True, True): f" from {low:g} to {high:g}",
    }[math.isfinite(low), math.isfinite(high)]
    raise OptionError(f"{option} must be a number{allowed}, got {value!r}")


def require_share(option: str, share: float) -> None:
    """Raise OptionError unless it is a number above 0, at most 1."""
    if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0.0 < share <= 1.0:
        raise OptionError(f"{option} must be a number above 0 and at most 1, got {share!r}")


def require_whole_number(option: str, value: object, low: int) -> None:
    """Raise OptionError unless ``value`` is a whole number of at least ``low``."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
        raise OptionError(f"{option} must be a whole number of at least {low}, got {value!r}")


def require_unused(by: str, **options: object) -> None:
    """Raise OptionError if an option is given that does not go with what decides."""
    for name, given in options.items():
        if given is not None:
            raise OptionError(f"{name} is given, which does not go with {by}")


def require_ordered(option: str, names: object) -> None:
    """Raise OptionError unless ``names`` has an order that is the same in each run.

    The names of a set are in a different order in each process.
    """
    unordered = isinstance(names, (Set, Mapping))
    if unordered or isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        why = f": a {type(names).__name__} is in no certain order" if unordered else ""
        raise OptionError(f"{option} must be a list of names, got {names!r:.80}{why}")
