"""What the runs of all jobs have in common: their source, their outputs, their plan."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lq_spark import __version__
from lq_spark.engine.inputs import column, require_columns
from lq_spark.errors import InvalidRowsError, OptionError, listed
from lq_spark.job.common_config import JobConfig
from lq_spark.job.invalid import count_reasons, reasons_text
from lq_spark.tables.formats import Source, output_table, read_table
from lq_spark.tables.staged import require_writable
from lq_spark.tasks.shared.table import INVALID_REASON

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from lq_spark.tables.spec import TableSpec

N_SAMPLE = 1000
"""How many rows a dry run looks at."""

BATCH_BYTES = 32 << 20
"""How much of the probabilities, as doubles, an Arrow batch should hold at most."""

Config = TypeVar("Config", bound=JobConfig)


@dataclass(frozen=True, slots=True)
class RunId:
    """Which run it is."""

    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


def run_properties(config: JobConfig, which: RunId) -> dict[str, str]:
    """Return what the commits of a run say of it."""
    return {
        "lq_spark.version": __version__,
        "lq_spark.run_id": which.run_id,
        "lq_spark.config_fingerprint": config.fingerprint,
    }


class JobRun(ABC, Generic[Config]):
    """A run: its configuration and its source, opened at one version.

    Raises
    ------
    OptionError, ColumnError
        If there is no such table or version, or a column to keep is missing.
    """

    def __init__(self, spark: SparkSession, config: Config, which: RunId | None = None) -> None:
        self.spark, self.config, self.which = spark, config, which or RunId()
        self.seconds: dict[str, float] = {}
        with self._timed("open"):
            self.opened: Source = read_table(spark, config.input_spec)
        self.source: DataFrame = self.opened.df
        for kept in config.keep_columns:
            require_columns(self.source, keep_columns=kept)

    @abstractmethod
    def outputs(self) -> list[tuple[TableSpec, StructType]]:
        """Return the tables that the run writes, with the columns of their rows."""

    @abstractmethod
    def checked(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""

    def kind_of_reason(self, reason: Column) -> Column:
        """Return a reason without the place in the row that it names: reasons are counted."""
        return reason

    def first_rows(self) -> DataFrame:
        """Return some rows of the source, for a dry run."""
        return self.source.limit(N_SAMPLE)

    @abstractmethod
    def said_of_classes(self) -> str:
        """Return what a dry run says of the classes."""

    @abstractmethod
    def run(self) -> Any:
        """Score the table and put the scores in place; return a report."""

    @property
    def properties(self) -> dict[str, str]:
        """Return what the outputs say of the run that wrote them."""
        return run_properties(self.config, self.which)

    def check_outputs(self) -> list[tuple[TableSpec, StructType]]:
        """Return :meth:`outputs`; raise if a table or a file of the run cannot be written."""
        outputs = self.outputs()
        for spec, schema in outputs:
            if missing := [name for name in spec.partition_by if name not in schema.names]:
                raise OptionError(
                    f"partition_by: {spec.option} has no {listed(missing)}; "
                    f"it has {listed(schema.names)}"
                )
            output_table(self.spark, spec).check(schema)
        for option, path in self.config.files.items():
            require_writable(option, path, folder=False)
        return outputs

    def plan(self) -> str:
        """Check all that can be checked without scoring; return what a run would do.

        Raises
        ------
        OptionError, TableError
            If an output cannot be written.
        InvalidRowsError
            If some of the first rows cannot be scored and are to stop the run.
        """
        outputs = self.check_outputs()
        sample = self.checked(self.first_rows())
        kind = self.kind_of_reason(column(INVALID_REASON)).alias(INVALID_REASON)
        invalid = sample.select(column(self.config.row_id), kind)
        invalid = invalid.where(column(INVALID_REASON).isNotNull())
        reasons = count_reasons(invalid)
        said = reasons_text(invalid, self.config.row_id, reasons)
        if reasons and self.config.on_invalid == "fail":
            raise InvalidRowsError(f"of the first {N_SAMPLE:,} rows some cannot be scored: {said}")
        lines = [f"input       {self.config.input} ({self.opened.text})"]
        lines += [f"  {name}  {kind}" for name, kind in self.source.dtypes]
        lines.append(f"sample      {said or f'the first {N_SAMPLE:,} rows can be scored'}")
        lines.append(f"classes     {self.said_of_classes()}")
        for spec, schema in outputs:
            lines.append(f"{spec.option:<12}{spec.name} ({spec.format}, {spec.mode})")
            lines += [f"  {name.name}  {name.dataType.simpleString()}" for name in schema]
        lines += [f"metrics     {spec.name} ({spec.format})" for spec in self.config.record_specs]
        for level in ("fail_if", "warn_if"):
            lines += [f"{level:<12}{text}" for text in getattr(self.config, level)]
        lines.append("nothing was scored or written")
        return "\n".join(lines)

    def bound_batches(self, bytes_of_row: int) -> None:
        """Keep an Arrow batch of wide rows small; never make it larger than the session says."""
        key = "spark.sql.execution.arrow.maxRecordsPerBatch"
        told = int(self.spark.conf.get(key) or 0)
        fit = max(1, BATCH_BYTES // bytes_of_row)
        if told <= 0 or told > fit:
            self.spark.conf.set(key, str(fit))

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start
