"""What a task declares of itself: the run does the rest, see :mod:`lq_spark.job.run`.

Nothing here or at the top of a task's file imports pyspark: a configuration is checked, and the
help printed, without it. The methods that run on Spark import what they need.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from lq_spark.errors import listed
from lq_spark.job.config import JobConfig
from lq_spark.job.summary import Summary
from lq_spark.report.parts import Section
from lq_spark.tasks.shared.names import INVALID_REASON, LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from lq_spark.engine.keys import KeySummary
    from lq_spark.engine.reductions import Reduced, Reductions, Scratch

Config = TypeVar("Config", bound=JobConfig)

ARROW_BATCHES = "spark.sql.execution.arrow.maxRecordsPerBatch"
READER_BATCHES = "spark.sql.parquet.columnarReaderBatchSize"
"""The settings of a session by which a task keeps batches of wide rows small."""

BATCH_BYTES = 32 << 20
"""How much of the probabilities, as doubles, an Arrow batch should hold at most."""


class Fitted(Protocol):
    """What was fitted on the rows, such as thresholds."""

    def save(self, path: str) -> None:
        """Write it to a JSON file."""


class Task(ABC, Generic[Config]):
    """A task over an opened table. A subclass checks columns and options in :meth:`open`.

    Each attempt to score is made on a copy: what :meth:`score` finds and :meth:`summarize` tells
    of is kept in attributes.
    """

    config_type: ClassVar[type[Any]]
    """The class of its configuration."""

    rows: ClassVar[str] = "rows"
    """What the rows of its output are, in the plural."""

    further_rows: ClassVar[Mapping[str, str]] = {}
    """What the rows of its further sources are, by the option that says where bad ones go."""

    passes: ClassVar[str]
    """Which passes over the source it makes beside that over the keys, as a dry run says."""

    score_column: ClassVar[str] = LABEL_QUALITY
    """The column of the output that is null where a row cannot be scored."""

    flag_column: str | None = None
    """The column of the output that says which rows are issues, if one does."""

    comments: ClassVar[Mapping[str, str]] = {}
    """What the columns are that only this task adds."""

    place_in_reason: ClassVar[tuple[str, str]] = ("^$", "")
    """The part of a reason that says where in the row a fault is, as a pattern, and what stands
    for it where reasons are counted."""

    n_classes: int = 0
    classes: Sequence[str] | None = None
    """K and what the classes are called, as a dry run says."""

    def __init__(
        self,
        spark: SparkSession,
        config: Config,
        source: DataFrame,
        timed: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self.spark, self.config, self.source, self.timed = spark, config, source, timed
        self.open()

    @abstractmethod
    def open(self) -> None:
        """Check columns and options, before a pass over the source.

        Raises
        ------
        OptionError, ColumnError, DataError
            If a column is missing or of another type, or options do not go with the table.
        """

    @property
    def classes_text(self) -> str:
        """Return what a dry run says of the classes: how many there are, and their names."""
        names = f": {listed(self.classes)}" if self.classes else ""
        return f"{self.n_classes:,}{names}"

    @abstractmethod
    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""

    @abstractmethod
    def no_rows(self) -> dict[str, DataFrame]:
        """Return the tables of the task, by option, as they are without rows."""

    @abstractmethod
    def score(self, rows: DataFrame, scratch: Scratch) -> Iterable[tuple[str, DataFrame]]:
        """Yield the tables of at least one row, by option: ``output``, then the others.

        A row that cannot be scored has a null in :attr:`score_column` of ``output``, after which
        no further table is asked for; or InvalidRowsError is raised.
        """

    def reductions(self, option: str) -> Reductions:
        """Return what is to be made of the rows of a table while it is written, for its summary."""
        return {}

    @abstractmethod
    def summarize(self, tables: Mapping[str, Reduced]) -> Summary:
        """Return the tables, as they were written, in short."""

    @property
    def distributions(self) -> Mapping[str, tuple[str, str | None]]:
        """Return what a report shows the distribution of: a name -> a score in [0, 1], a flag.

        They are columns of the output; the flag says which rows are issues.
        """
        return {self.score_column: (self.score_column, self.flag_column)}

    def report_sections(self, rows: DataFrame) -> Sequence[Section]:
        """Return what else a report shows, of the rows of the source that were scored."""
        return ()

    def fitted(self) -> Mapping[str, Fitted | None]:
        """Return what was fitted, by the option that says where to save it."""
        return {}

    def not_by_itself(self) -> str:
        """Return why what is found of a row depends on other rows than those that were fitted.

        Nothing, if it does not: then rows that have changed can be scored without the others.
        """
        return f"the task {self.config.task} compares rows with each other"

    def sums(self) -> Mapping[str, Any] | None:
        """Return what was summed up of the rows to fit by, as JSON has it; None if nothing was."""
        return None

    def keys(self, scratch: Scratch) -> KeySummary:
        """Return how many rows the output should have, and whether each has a key of its own.

        A task may make a first pass for its scores on this occasion.
        """
        from lq_spark.engine.keys import summarize_key

        return summarize_key(self.source, self.config.row_id)

    @property
    def shares_key(self) -> bool:
        """Return whether several rows of the source, of one key, make a row of the output."""
        return False

    def first_rows(self, n: int) -> DataFrame:
        """Return some ``n`` rows of the source, for a dry run."""
        return self.source.limit(n)

    def checked(self) -> dict[str, DataFrame]:
        """Return the sources validated, by the option that says where bad rows go."""
        return {"quarantine": self.validate(self.source)}

    def unclear(self, reasons: Mapping[str, int]) -> str:
        """Return why such rows must stop the run, whatever the configuration says; or nothing."""
        return ""

    @property
    def none(self) -> DataFrame:
        """Return the source without rows."""
        from pyspark.sql import functions as F

        return self.source.where(F.lit(False))

    def require_new(self, *names: str) -> None:
        """Raise ColumnError if the key is no key, or a column that would be added is there."""
        from lq_spark.engine.inputs import require_key, require_new_columns

        require_key(self.source, "id", self.config.row_id)
        require_new_columns(self.source, [*names, INVALID_REASON])

    def select(self, df: DataFrame, *names: str) -> DataFrame:
        """Return the key and these columns, each once."""
        from lq_spark.engine.verbs import select

        return select(df, *dict.fromkeys([self.config.row_id, *names]))

    def ranked(self, found: DataFrame, value: Column | None = None) -> DataFrame:
        """Return rows with the rank of their issues, by a value if given, if that is asked for."""
        from lq_spark.engine.verbs import by_workers
        from lq_spark.tasks.shared.ranks import with_issue_rank

        if not getattr(self.config, "issue_rank", False):
            return found
        return with_issue_rank(by_workers(found), self.config.row_id, value)

    def bound_batches(self, bytes_of_row: int) -> None:
        """Keep an Arrow batch of wide rows small; never make it larger than the session says."""
        allowed = int(self.spark.conf.get(ARROW_BATCHES) or 0)
        few = max(1, BATCH_BYTES // bytes_of_row)
        if allowed <= 0 or allowed > few:
            self.spark.conf.set(ARROW_BATCHES, str(few))
