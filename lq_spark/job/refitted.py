"""Class thresholds fitted anew by the sums of an earlier run, and of the rows that have changed.

The sums are of whole numbers, so taking rows out and putting others in gives those of a pass over
all rows, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lq_spark.core.confident.thresholds import (
    ClassSums,
    Thresholds,
    merge_class_sums,
    unmerge_class_sums,
)
from lq_spark.tasks.shared.names import INVALID_REASON

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.job.tasks.multiclass import MulticlassTask

_SUMS = ("counts", "high", "low")


@dataclass(frozen=True, slots=True)
class Refitted:
    """What was fitted anew, beside what the scores that are there were made by.

    Attributes
    ----------
    shift : float
        How far the one is from the other, at most.
    use : callable
        (a task, whether what is new) -> has the task score by the one or the other.
    """

    shift: float
    use: Callable[[Any, bool], None]


def as_json(sums: ClassSums, thresholds: Thresholds) -> dict[str, Any]:
    """Return sums of all rows, and the thresholds that these are scored by."""
    found = {name: getattr(sums, name).tolist() for name in _SUMS}
    return {**found, "values": thresholds.values, "class_counts": thresholds.class_counts}


def refitted_thresholds(
    task: MulticlassTask, kept: Mapping[str, Any], before: DataFrame, after: DataFrame
) -> Refitted:
    """Return the thresholds of all rows, of which some were and are otherwise.

    ``kept`` is from :func:`as_json`, of the rows of which some are as ``before``.
    """
    from lq_spark.tasks.multiclass.thresholds import thresholds_of

    sums = ClassSums(*(np.array(kept[name], dtype=np.int64) for name in _SUMS))
    sums = merge_class_sums(unmerge_class_sums(sums, _sums(task, before)), _sums(task, after))
    classes = tuple(task.classes) if task.classes else None
    used = Thresholds(tuple(kept["values"]), tuple(kept["class_counts"]), classes)
    new = thresholds_of(sums, task.table, task.config.label, task.config.pred_probs)

    def use(other: MulticlassTask, is_new: bool) -> None:
        other.thresholds, other.class_sums = new if is_new else used, sums

    return Refitted(float(np.abs(new.as_array() - used.as_array()).max()), use)


def _sums(task: MulticlassTask, rows: DataFrame) -> ClassSums:
    """Return the sums of those of a few rows that can be scored."""
    from lq_spark.engine.inputs import column
    from lq_spark.tasks.multiclass.thresholds import sums_of

    config = task.config
    usable = task.validate(rows).where(column(INVALID_REASON).isNull())
    if usable.isEmpty():
        return ClassSums(*np.zeros((3, task.n_classes), dtype=np.int64))
    return sums_of(usable, task.table, config.label, config.pred_probs, config.tolerance)
