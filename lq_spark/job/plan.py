"""What a run would do: all that can be checked without scoring, in words."""

from __future__ import annotations

from pyspark.sql import functions as F

from lq_spark.engine.inputs import column
from lq_spark.errors import InvalidRowsError
from lq_spark.job.reasons import count_reasons, reasons_text
from lq_spark.job.run import JobRun
from lq_spark.job.since import planned_since
from lq_spark.tasks.shared.names import INVALID_REASON

N_SAMPLE = 1000
"""How many rows a dry run looks at."""


def plan(run: JobRun) -> str:
    """Check all that can be checked without scoring; return what a run would do.

    Raises
    ------
    OptionError, TableError
        If an output cannot be written, or it cannot be told what has changed.
    InvalidRowsError
        If some of the first rows cannot be scored and are to stop the run.
    """
    config, task, outputs = run.config, run.task, run.check_outputs()
    kind = F.regexp_replace(column(INVALID_REASON), *task.place_in_reason).alias(INVALID_REASON)
    invalid = task.validate(task.first_rows(N_SAMPLE)).select(column(config.row_id), kind)
    invalid = invalid.where(column(INVALID_REASON).isNotNull())
    faults = reasons_text(invalid, config.row_id, count_reasons(invalid))
    if faults and config.on_invalid == "fail":
        raise InvalidRowsError(f"of the first {N_SAMPLE:,} rows some cannot be scored: {faults}")
    lines = [f"input       {config.input} ({run.opened.text})"]
    if config.since_last_run:
        lines.append(f"since       {planned_since(run)}")
    lines += [f"  {name}  {kind}" for name, kind in task.source.dtypes]
    lines.append(f"reader      {run.reader}")
    lines.append(f"passes      the keys; {task.passes}")
    lines.append(f"sample      {faults or f'the first {N_SAMPLE:,} rows can be scored'}")
    lines.append(f"classes     {task.classes_text}")
    for spec, schema in outputs:
        lines.append(f"{spec.option:<11} {spec.name} ({spec.format}, {spec.mode})")
        lines += [f"  {name.name}  {name.dataType.simpleString()}" for name in schema]
    lines += [f"metrics     {spec.name} ({spec.format})" for spec in config.records.values()]
    for level in ("fail_if", "warn_if"):
        lines += [f"{level:<12}{text}" for text in getattr(config, level)]
    lines.append("nothing was scored or written")
    return "\n".join(lines)
