"""Which classes a table has, and how many (K): what the caller says, what was fitted, the table.

All that say it have to agree; where nobody does, the table's first row, or its labels, are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, DecimalType

from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.engine.arrow import flat_lists
from lq_spark.engine.readings import first_batch
from lq_spark.engine.verbs import select_inputs
from lq_spark.errors import ColumnError, DataError, OptionError, listed, require_ordered
from lq_spark.tasks.shared.streams import comes_later, require_told

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from lq_spark.tasks.shared.probabilities import Probabilities

_ROOM = {"boolean": 2, "byte": 1 << 7, "short": 1 << 15, "float": 1 << 24}


class HasK(Protocol):
    """What was fitted on K classes."""

    @property
    def n_classes(self) -> int:
        """Return K."""


class HasClasses(HasK, Protocol):
    """What was fitted on K classes, which may have names."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Return the names in the order of the probabilities, if there are any."""


def require_kind(option: str, fitted: object, kind: type) -> None:
    """Raise OptionError unless what is given as fitted is None or of its kind."""
    if fitted is not None and not isinstance(fitted, kind):
        raise OptionError(f"{option} must be a {kind.__name__} or None, got {fitted!r}")


def checked_classes(classes: Sequence[str] | None, least: int = 2) -> tuple[str, ...] | None:
    """Return class names as a tuple; raise OptionError if fewer than ``least`` or not unique."""
    if classes is None:
        return None
    require_ordered("classes", classes)
    names = tuple(classes)
    if not all(isinstance(name, str) for name in names):
        raise OptionError(f"classes must be a list of names, got {classes!r}")
    if len(names) < least:
        raise OptionError(f"classes must have at least {least} names, got {listed(names)}")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise OptionError(f"classes must not have a name twice, got {listed(twice)} twice")
    return names


def agreed_classes(
    classes: Sequence[str] | None, fitted: HasClasses | None
) -> tuple[str, ...] | None:
    """Return the classes of the call or of what was fitted; raise OptionError if they differ.

    How many there must be at least is asked where the table is checked.
    """
    names = checked_classes(classes, least=0)
    if fitted is None or fitted.classes is None:
        return names
    if names is not None and names != fitted.classes:
        raise OptionError(
            f"{_option_of(fitted)} has classes {list(fitted.classes)}, classes is {list(names)}"
        )
    return fitted.classes


def agreed_k(
    df: DataFrame,
    n_classes: int | None,
    classes: Sequence[str] | None,
    first: Callable[[], int | None],
    *,
    read: Iterable[Probabilities] = (),
    fitted: HasK | None = None,
    least: int = 2,
    options: Sequence[str] = ("n_classes", "classes"),
) -> int:
    """Return K: what the caller, what was fitted or the columns say, or else the table's rows.

    Parameters
    ----------
    df : DataFrame
    n_classes, classes
        Of the caller; the classes checked before.
    first : callable
        What the rows say, None if nothing; asked only where nobody else says K. A Spark job.
    read : sequence of Probabilities
        Those of the table, whose columns may say K.
    fitted : object with ``n_classes``, optional
    least : int
        How many classes there must be at least; a table that says nothing has so many, and none of
        its rows will be scored.
    options : sequence of str
        What says K of a stream, whose rows cannot.

    Raises
    ------
    OptionError
        If they differ, or n_classes is no whole number.
    DataError
        If K is below ``least``.
    """
    if n_classes is not None and (not isinstance(n_classes, int) or isinstance(n_classes, bool)):
        raise OptionError(
            f"n_classes must be a whole number of at least {least}, got {n_classes!r}"
        )
    of_fitted = None if fitted is None else fitted.n_classes
    of_classes = None if classes is None else len(classes)
    of_columns = sorted({found.n_classes for found in read if found.n_classes is not None})
    known = [k for k in (n_classes, of_fitted, of_classes, *of_columns) if k is not None]
    if known:
        k = known[0]
    else:
        require_told(df, "K", *options)
        k = first() or least
    if fitted is not None and of_fitted != k:
        raise OptionError(f"{_option_of(fitted)} has K = {of_fitted} classes, n_classes is {k}")
    require_n_classes(k, classes, least)
    if others := [found for found in of_columns if found != k]:
        raise OptionError(f"pred_probs is of {others[0]} classes, K is {k}")
    return k


def require_n_classes(n_classes: int, classes: Sequence[str] | None, least: int = 2) -> None:
    """Raise DataError if K is too low; OptionError unless there are K names, if there are names."""
    if n_classes < least:
        raise DataError(f"label quality needs K of at least {least} classes, got K = {n_classes}")
    if classes is not None and len(classes) != n_classes:
        raise OptionError(f"classes has {len(classes)} names, K is {n_classes}")


def first_size(df: DataFrame, size: Column) -> int | None:
    """Return the first number above 0 of a table; None if there is none."""
    first = df.select(size.alias("size")).where("size > 0").first()
    return None if first is None else int(first["size"])


def first_length(df: DataFrame, read: Probabilities) -> int | None:
    """Return the first length above 0 of the probabilities of a table; None if there is none."""
    first = first_batch(select_inputs(df, probabilities=read.input))
    if first is not None:
        lengths = flat_lists(first.column(0)).lengths
        if lengths.any():
            return int(lengths[lengths > 0][0])
    return first_size(df, F.size(read.array))


def resolved_n_classes(
    df: DataFrame,
    read: Probabilities,
    label_type: DataType,
    n_classes: int | None,
    fitted: HasK | None = None,
    *,
    label: str = "label",
) -> int:
    """Return K of a table of one array of probabilities a row: see :func:`agreed_k`.

    Only what the first row says takes a (small) Spark job.

    Raises
    ------
    OptionError, DataError
        As :func:`agreed_k`.
    ColumnError
        If labels are booleans and K is not 2.
    """
    k = agreed_k(
        df,
        n_classes,
        read.classes,
        lambda: first_length(df, read),
        read=[read],
        fitted=fitted,
    )
    require_two_of_boolean(label_type, label, k)
    return k


def agreed_n_classes(
    df: DataFrame,
    read: Probabilities,
    label_type: DataType,
    fitted: HasK | None,
    n_classes: int | None = None,
) -> int:
    """Return K as :func:`resolved_n_classes`; raise OptionError if no row has that of the fitted.

    A table has the K of what was fitted if any of its rows has as many probabilities.
    """
    k = resolved_n_classes(df, read, label_type, n_classes, fitted)
    if fitted is None or read.classes or read.n_classes or comes_later(df):
        return k
    found = first_length(df, read)
    if found not in (None, k):
        sizes = df.select(F.size(read.array).alias("size"))
        if sizes.where(F.col("size") == k).isEmpty():
            raise OptionError(
                f"{_option_of(fitted)} has K = {k} classes, the table has K = {found}"
            )
    return k


def require_two_of_boolean(label_type: DataType, label: str, n_classes: int) -> None:
    """Raise ColumnError if labels are booleans and there are not two classes."""
    if isinstance(label_type, BooleanType) and n_classes != 2:
        raise ColumnError(
            f"label: column {label!r} is boolean, which are two classes, and K is {n_classes}"
        )


def require_room(label_type: DataType, label: str, n_classes: int) -> None:
    """Raise ColumnError if a label's type cannot hold each class index."""
    room = _ROOM.get(label_type.typeName(), n_classes)
    if isinstance(label_type, DecimalType):
        room = 10**label_type.precision
    if n_classes > room:
        raise ColumnError(
            f"label: column {label!r} is {label_type.simpleString()}, too small for a "
            f"predicted label of K = {n_classes} classes; cast it to int"
        )


def _option_of(fitted: HasK) -> str:
    """Return the option that what was fitted is given by."""
    return "thresholds" if isinstance(fitted, Thresholds) else "fitted"
