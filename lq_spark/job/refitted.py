"""Class thresholds fitted anew by the sums of an earlier run, and of the rows that have changed.

The sums are of whole numbers, so taking rows out and putting others in gives those of a pass over
all rows, to the bit.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np
from pydantic import Field

from lq_spark.core.confident.thresholds import (
    ClassSums,
    Thresholds,
    merge_class_sums,
    unmerge_class_sums,
)
from lq_spark.job.config import JobConfig
from lq_spark.job.task import Task
from lq_spark.tasks.shared.names import INVALID_REASON

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

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


class RefittedConfig(JobConfig):
    """A job that can fit class thresholds anew by what has changed."""

    rescore: Literal["auto", "never", "always"] = Field(
        "auto",
        description="for since_last_run: score all rows again when class thresholds have moved "
        "beyond rescore_tolerance, never, or whenever they have",
    )
    rescore_tolerance: float = Field(
        0.01, ge=0, description="for rescore auto: how far a class threshold may have moved"
    )

    @property
    @abstractmethod
    def fits_thresholds(self) -> bool:
        """Return whether class thresholds are fitted by the rows, and wanted for their scores."""

    def is_to_rescore(self, shift: float) -> bool:
        """Return whether all rows are to be scored, if class thresholds have moved so far."""
        limit = 0.0 if self.rescore == "always" else self.rescore_tolerance
        return self.fits_thresholds and self.rescore != "never" and shift > limit


Config = TypeVar("Config", bound=RefittedConfig)


class RefittedTask(Task[Config]):
    """A task that can do so: all that it fits are class thresholds."""

    fits_by_sums: ClassVar[bool] = True
    thresholds: Thresholds | None = None
    class_sums: ClassSums | None = None
    """What these were, or can be, fitted by."""

    @property
    def fits(self) -> bool:
        """Return whether thresholds are to be fitted."""
        return self.thresholds is None and bool(self.config.fits_thresholds or self.config.files)

    def fitted_thresholds(self, rows: DataFrame, sums: ClassSums | None) -> Thresholds:
        """Return the thresholds of rows, of which the sums may be there already."""
        if sums is None:
            with self.timed("thresholds"):
                sums = self.sums_of(rows)
        self.class_sums = sums
        return self.thresholds_of(sums)

    def sums(self) -> Mapping[str, Any] | None:
        """Return the sums of each class, and the thresholds that scores are made by."""
        if self.class_sums is None or self.thresholds is None:
            return None
        used = {"values": self.thresholds.values, "class_counts": self.thresholds.class_counts}
        return {**used, **{name: getattr(self.class_sums, name).tolist() for name in _SUMS}}

    def fit_anew(self, sums: Mapping[str, Any], before: DataFrame, after: DataFrame) -> Refitted:
        """Fit the thresholds by earlier sums, without rows as they were and with them as now."""
        found = ClassSums(*(np.array(sums[name], dtype=np.int64) for name in _SUMS))
        found = merge_class_sums(unmerge_class_sums(found, self._sums(before)), self._sums(after))
        classes = tuple(self.classes) if self.classes else None
        used = Thresholds(tuple(sums["values"]), tuple(sums["class_counts"]), classes)
        new = self.thresholds_of(found)

        def use(task: RefittedTask[Any], is_new: bool) -> None:
            task.thresholds, task.class_sums = new if is_new else used, found

        return Refitted(float(np.abs(new.as_array() - used.as_array()).max()), use)

    def _sums(self, rows: DataFrame) -> ClassSums:
        """Return the sums of those of a few rows that can be scored."""
        from lq_spark.engine.inputs import column

        usable = self.validate(rows).where(column(INVALID_REASON).isNull())
        if usable.isEmpty():
            return ClassSums(*np.zeros((3, self.n_classes), dtype=np.int64))
        return self.sums_of(usable)

    @abstractmethod
    def sums_of(self, rows: DataFrame) -> ClassSums:
        """Return the sums of rows that can be scored."""

    @abstractmethod
    def thresholds_of(self, sums: ClassSums) -> Thresholds:
        """Return the thresholds that sums make."""
