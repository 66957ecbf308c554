"""Runs of what has changed, from a notebook or a stream; see :mod:`lq_spark.job.since`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lq_spark.errors import LqError, OptionError
from lq_spark.job.config_file import load_config

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lq_spark.job.record.record import Outcome


def run(spark: SparkSession, task: str = "multiclass", **keys: Any) -> Outcome:
    """Score what has changed in a table since the last run, and merge it into the output.

    The first run scores all rows. What later ones go on from is in the commit of the output: up to
    where the input was read, and the sums that class thresholds are fitted by.

    Parameters
    ----------
    spark : SparkSession
    task : str
    **keys
        The keys of the task's configuration: ``input``, ``output``, and so on.

    Returns
    -------
    Outcome
        ``metrics``, by (name, class or None), and ``verdicts`` of the gate.

    Raises
    ------
    OptionError, ColumnError, EngineError
        If a key is wrong, or the task, the tables or the engine have no such runs.
    TableError
        If it cannot be told what has changed; ``when_not_incremental="full"`` has all rows scored.
    InvalidRowsError
        If rows cannot be scored, and ``on_invalid`` is "fail".
    """
    from lq_spark.job.execution import execute

    return execute(spark, load_config(None, {**keys, "since_last_run": True}, task))


def for_each_batch(task: str = "multiclass", **keys: Any) -> Callable[[DataFrame, int], None]:
    """Return a function that scores each batch of a stream, and merges it into the output.

    For ``stream.writeStream.foreachBatch(...)`` with a checkpoint, of a change data feed or of rows
    that are new; of the latter one replaces an earlier one of its id. A batch that comes again, as
    after a crash, changes nothing: the number of the last one is in the commit of the output.

    Parameters
    ----------
    task : str
    **keys
        The keys of the task's configuration. ``input`` is what the metrics call the source. Class
        thresholds that are fitted stay as the first batch has them, and the metric
        ``threshold_shift`` says how far those of all rows are from them: ``rescore`` must be
        "never", as earlier rows of a stream cannot be scored again.

    Raises
    ------
    OptionError
        If a key is wrong; at the first batch, if it does not go with the rows.
    LqError
        In a batch, if a condition of ``fail_if`` is met, when the scores have been written.

    Examples
    --------
    >>> from lq_spark import incremental
    >>> merge = incremental.for_each_batch(
    ...     input="labels", output="scores/", method="self_confidence", n_classes=3
    ... )
    >>> # feed.writeStream.foreachBatch(merge).option("checkpointLocation", "scores_checkpoint/")
    """
    config = load_config(None, {**keys, "since_last_run": True}, task)
    if config.watermark is not None:
        raise OptionError("a stream has no watermark column; its checkpoint says what it has read")
    if config.is_to_rescore(math.inf):
        raise OptionError(
            "earlier rows of a stream cannot be scored again, so rescore must be 'never'"
        )

    def merge(batch: DataFrame, number: int) -> None:
        from lq_spark.job.execution import execute_batch

        outcome = execute_batch(batch, number, config)
        if outcome is not None and outcome.gate_failed:
            met = [verdict.explanation for verdict in outcome.verdicts if verdict.met]
            raise LqError(f"batch {number} was scored, and the gate failed: {'; '.join(met)}")

    return merge
