"""Why a label is no class: reasons, which show a string that is none; counted without it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from lq_spark.engine.inputs import column, column_type
from lq_spark.tasks.shared.labels import FRACTIONAL_LABEL, NULL_LABEL, UNKNOWN_LABEL
from lq_spark.tasks.shared.names import INVALID_REASON, NO_CLASS, NO_LABEL, NOT_WHOLE, OUT_OF_RANGE

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

REASON_SCHEMA = StructType([StructField(INVALID_REASON, StringType())])

LABEL_REASONS = {NULL_LABEL: NO_LABEL, UNKNOWN_LABEL: NO_CLASS, FRACTIONAL_LABEL: NOT_WHOLE}
"""Why a label is no class, by its index."""

N_EXAMPLES = 5
"""So many labels that are no class are named."""

_MAX_SHOWN = 40
"""So many characters of a label are shown."""

_FIRST = "__lq_first_reason"

_NAMED_LABEL = rf"(?s)^(.*{NO_CLASS}): ('.*')$"


def with_further_reasons(
    checked: DataFrame, validate: Callable[..., DataFrame], **columns: Any
) -> DataFrame:
    """Return a table whose reasons, where it has none yet, are those of another validation.

    Parameters
    ----------
    checked : DataFrame
        With the column ``invalid_reason``.
    validate : callable
        ``validate(df, **columns)`` adds this column to a table without it.
    """
    further = validate(checked.withColumnRenamed(INVALID_REASON, _FIRST), **columns)
    reason = F.coalesce(_FIRST, INVALID_REASON)
    return further.withColumn(INVALID_REASON, reason).drop(_FIRST)


def label_reason(index: Column, n_classes: int | None) -> Column:
    """Return why a class index is none of K classes, null if it is one; K may not be known."""
    reason = F.when(index == NULL_LABEL, LABEL_REASONS[NULL_LABEL])
    for code in (UNKNOWN_LABEL, FRACTIONAL_LABEL):
        reason = reason.when(index == code, LABEL_REASONS[code])
    is_class = index >= 0 if n_classes is None else index.between(0, n_classes - 1)
    return reason.when(~is_class, OUT_OF_RANGE)


def unknown_label(index: Column, label: Column) -> Column:
    """Return a string label that is none of the classes; null for the others."""
    return F.when(index == UNKNOWN_LABEL, label)


def named_label(label: object) -> str:
    """Return the reason of a label that is none of the classes, which shows it if it is a string.

    >>> named_label("cat ")
    "label not in classes: 'cat '"
    """
    return f"{NO_CLASS}: '{label[:_MAX_SHOWN]}'" if isinstance(label, str) else NO_CLASS


def with_label_named(reason: Column, label: Column) -> Column:
    """Return a reason with the label in it where that is none of the classes."""
    shown = F.concat(F.lit(f"{NO_CLASS}: '"), F.substring(label, 1, _MAX_SHOWN), F.lit("'"))
    return F.when(reason == NO_CLASS, shown).otherwise(reason)


def without_label(reason: Column) -> Column:
    """Return a reason without the label that it shows: reasons are counted."""
    return F.regexp_replace(reason, _NAMED_LABEL, "$1")


def shown_label(reason: Column) -> Column:
    """Return the label that a reason shows, in quotes; an empty text where it shows none."""
    return F.regexp_extract(reason, _NAMED_LABEL, 2)


def count_reasons(reasons: Iterable[str]) -> list[tuple[str, int]]:
    """Return reasons without the labels that they show, and how many there are of each.

    A few of the labels are put behind the reason.

    >>> count_reasons([named_label("Dog"), "null label", named_label("cat ")])
    [("label not in classes ('Dog', 'cat ')", 2), ('null label', 1)]
    """
    counts, shown = Counter[str](), dict[str, set[str]]()
    for reason in reasons:
        found = re.match(_NAMED_LABEL, reason)
        kind = found[1] if found else reason
        counts[kind] += 1
        if found:
            shown.setdefault(kind, set()).add(found[2])
    return [(kind + examples(sorted(shown.get(kind, ()))), n) for kind, n in sorted(counts.items())]


def examples(labels: Sequence[str]) -> str:
    """Return the first few labels, which are in quotes, in brackets; nothing without any."""
    more = ", …" if len(labels) > N_EXAMPLES else ""
    return f" ({', '.join(labels[:N_EXAMPLES])}{more})" if labels else ""


def unknown_labels_text(df: DataFrame, index: Column, label: str) -> str:
    """Return how a message of rows that cannot be scored goes on: see :func:`unknown_labels`."""
    shown = unknown_labels(df, index, label)
    return f"; {NO_CLASS}{shown}" if shown else ""


def unknown_labels(df: DataFrame, index: Column, label: str) -> str:
    """Return some labels that are none of the classes, in brackets.

    Nothing where there are none, or labels are no strings; one native pass, for a few values.
    """
    if not isinstance(column_type(df, label), StringType):
        return ""
    return _few(df.where(index == UNKNOWN_LABEL).select(column(label).alias("label")))


def unknown_labels_of_sets(df: DataFrame, labels: Column, classes: Sequence[str]) -> str:
    """Return :func:`unknown_labels` of arrays of string labels, as a message goes on."""
    given = df.select(F.explode(labels).alias("label"))
    shown = _few(given.where(~F.col("label").isin(list(classes))))
    return f"; {NO_CLASS}{shown}" if shown else ""


def _few(labels: DataFrame) -> str:
    rows = labels.distinct().orderBy("label").limit(N_EXAMPLES + 1).collect()
    return examples([f"'{row['label'][:_MAX_SHOWN]}'" for row in rows])
