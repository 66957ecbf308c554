"""Earlier runs, as the metrics table has them, and how a run differs from one: its drift."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lq_spark.errors import OptionError
from lq_spark.job.gate import Metrics
from lq_spark.job.record.metrics import (
    GATE_FAILED,
    METRICS,
    OVERLAPS,
    SUCCEEDED,
    schema_of,
)
from lq_spark.job.summary import Metric
from lq_spark.tables.additions import last_where, rows_where

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import SparkSession

    from lq_spark.job.config import JobConfig
    from lq_spark.tables.spec import TableSpec

N_RUNS = 100
"""Runs whose metrics are shown together, at most."""

Joint = Mapping[tuple[str, str], float]
"""(given, true) class -> share of the rows; pairs of two classes alone."""


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A run that has succeeded: what it measured."""

    run_id: str
    metrics: dict[tuple[str, str | None], float | None]

    def reasons(self) -> dict[tuple[str, str | None], float | None]:
        """Return a count of 0 for each reason for which this run set rows aside, or counted 0.

        So a reason that was found once has a count in every later run: counts can be compared.
        """
        return {
            (metric, reason): 0.0
            for metric, reason in self.metrics
            if metric.endswith("_quarantined") and reason is not None
        }

    def joint(self, spark: SparkSession, spec: TableSpec) -> Joint:
        """Return the joint of labels that it has estimated, without the diagonal.

        ``spec`` is the table of overlaps.
        """
        columns = ["given", "true", "joint_probability"]
        # As many as pairs of classes that overlap.
        rows = rows_where(spark, spec, schema_of(OVERLAPS), columns, {"run_id": self.run_id})
        return {(given, true): value for given, true, value in rows}


def earlier_run(spark: SparkSession, config: JobConfig, run_id: str | None) -> EarlierRun | None:
    """Return a run by its id, or the last of the same source and output, that succeeded.

    Raises
    ------
    OptionError
        If no run with this id has succeeded.
    """
    spec, schema = config.records["metrics"], schema_of(METRICS)
    wanted = {"status": SUCCEEDED}
    if run_id is not None:
        wanted |= {"run_id": run_id}
    else:  # several jobs may share the table, and a source
        wanted |= {"source": config.input, "output": config.output}
    newest = last_where(spark, spec, schema, ["started_at", "run_id"], wanted)
    if newest is None:
        if run_id is not None:
            raise OptionError(f"reference: no successful run {run_id!r} in {spec.name!r}")
        return None
    run_id = str(newest[1])
    rows = rows_where(spark, spec, schema, ["metric", "class", "value"], {"run_id": run_id})
    return EarlierRun(run_id, {(metric, name): value for metric, name, value in rows})


class History(NamedTuple):
    """Metrics of runs, in the order of time.

    Attributes
    ----------
    started_at : list of datetime, length r
    values : dict of str to list of float or None
        Of each metric r values; None: the run does not have it.
    """

    started_at: list[datetime]
    values: dict[str, list[float | None]]


def metric_history(
    spark: SparkSession,
    config: JobConfig,
    names: Sequence[str],
    started_at: datetime,
    now: Metrics,
) -> History:
    """Return metrics of the whole table, of the last earlier runs and of one that is not recorded.

    The earlier ones are those of the same source and output that have written it, whatever their
    gate said.
    """
    equal = {"source": config.input, "output": config.output}
    among = {"metric": names, "status": [SUCCEEDED, GATE_FAILED]}
    columns = ["started_at", "run_id", "metric", "class", "value"]
    table = config.records["metrics"]
    rows = rows_where(spark, table, schema_of(METRICS), columns, equal, among)
    runs: dict[tuple[datetime, str], dict[str, float | None]] = {}
    for when, run_id, metric, name, value in rows:
        if name is None:
            runs.setdefault((when, run_id), {})[metric] = value
    kept = sorted(runs)[-(N_RUNS - 1) :]
    started = [when for when, _ in kept]
    values = {
        name: [*(runs[run].get(name) for run in kept), now.get((name, None))] for name in names
    }
    return History([*started, started_at], values)


def drift(
    now: Metrics,
    before: Metrics,
    joint: Joint | None,
    joint_before: Joint,
    class_counts: str | None,
) -> Iterator[Metric]:
    """Yield (metric, class or None, now minus before), of what both runs have.

    ``class_counts`` is the metric of each class whose shares are compared.

    Distances between shares, and between joints, are total variation distances: half the sum of
    the absolute differences, 0 the same, 1 nothing in common.
    """
    shares, shares_before = (_shares(run, class_counts) for run in (now, before))
    if shares and shares_before:
        for label in dict.fromkeys([*shares, *shares_before]):
            change = shares.get(label, 0.0) - shares_before.get(label, 0.0)
            yield "drift_class_share", label, change
        yield "drift_class_shares", None, _distance(shares, shares_before)
        if joint is not None and before.get(("label_issues", None)) is not None:
            full, full_before = _full(joint, shares), _full(joint_before, shares_before)
            yield "drift_joint", None, _distance(full, full_before)
    for (metric, name), value in now.items():
        if metric == "class_threshold":
            yield from _difference("drift_class_threshold", name, value, before.get((metric, name)))
    rate = ("issue_rate", None)
    yield from _difference("drift_issue_rate", None, now.get(rate), before.get(rate))


def _difference(
    metric: str, name: str | None, now: float | None, before: float | None
) -> Iterator[Metric]:
    if now is not None and before is not None:
        yield metric, name, now - before


def _shares(metrics: Metrics, class_counts: str | None) -> dict[str, float]:
    """Return the share of each class; nothing of an empty table."""
    counts = {
        str(name): value
        for (metric, name), value in metrics.items()
        if metric == class_counts and value is not None
    }
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total else {}


def _full(joint: Joint, shares: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Return a joint with its diagonal: each class has its share of the rows in all."""
    diagonal: defaultdict[str, float] = defaultdict(float, shares)
    for (given, _), value in joint.items():
        diagonal[given] -= value
    return {**joint, **{(name, name): value for name, value in diagonal.items()}}


def _distance(now: Mapping[Any, float], before: Mapping[Any, float]) -> float:
    return 0.5 * sum(abs(now.get(key, 0.0) - before.get(key, 0.0)) for key in {**now, **before})
