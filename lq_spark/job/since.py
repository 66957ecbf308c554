"""A run of what has changed since the last one: ``since_last_run``.

What such a run goes on from is in the commit of the output that it replaces rows of: up to where
the input was read, by which configuration it was scored, and the sums that class thresholds are
fitted by. So it is never of another version than the scores are, whenever a run is killed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lq_spark.engine.inputs import column
from lq_spark.engine.kept import kept
from lq_spark.engine.kinds import engine_of, is_sail
from lq_spark.errors import EngineError, OptionError, TableError
from lq_spark.job.changed import n_scored_before, read_changes, require_no_others
from lq_spark.job.refitted import RefittedTask
from lq_spark.tables.changes import (
    Changes,
    NoChangesError,
    Position,
    changes_of_batch,
    changes_since,
    position_of,
)
from lq_spark.tables.commits import last_properties
from lq_spark.tables.formats import existing

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lq_spark.job.config import JobConfig
    from lq_spark.job.run import JobRun
    from lq_spark.job.summary import Report
    from lq_spark.job.task import Task

State = Mapping[str, Any]
"""What a run has kept for the next one, as JSON has it."""

_FORMAT = 1
"""Of what is kept; a later format is not read."""

_STATE = "lq_spark.state"

_OF_NO_SCORE = {
    *("fail_if", "warn_if", "reference", "metrics", "report", "report_columns", "report_image"),
    *("run_results", "mlflow", "reader", "input_version", "input_timestamp"),
    *("when_not_incremental", "rescore", "rescore_tolerance"),
}
"""The options that may change from run to run: no score depends on them."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of a source that a run is of.

    Attributes
    ----------
    rows : DataFrame
        Those that have changed, as they are.
    keys : DataFrame
        The keys of all that have changed: scores that they have, and get no more, are removed.
    """

    rows: DataFrame = field(repr=False)
    keys: DataFrame = field(repr=False)


@dataclass(frozen=True, slots=True)
class Since:
    """What a run since the last one was about.

    Attributes
    ----------
    why_not : str or None
        Why all rows were scored; None if only those were that have changed.
    n_changed, n_removed : int
        Rows that are new or changed; keys whose rows are gone.
    shift : float or None
        How far class thresholds were from those of the scores, at most; None: none were fitted.
    is_rescored : bool
        Whether all rows were scored for that.
    """

    why_not: str | None = None
    n_changed: int = 0
    n_removed: int = 0
    shift: float | None = None
    is_rescored: bool = False

    def metrics(self) -> Iterator[tuple[str, str | None, float | None]]:
        """Yield the metrics of such runs."""
        yield "incremental", None, float(self.why_not is None)
        yield "rows_changed", None, self.n_changed
        yield "rows_removed", None, self.n_removed
        yield "rescored", None, float(self.is_rescored)
        if self.shift is not None:
            yield "threshold_shift", None, self.shift

    @property
    def text(self) -> str:
        """Return in words what was scored."""
        shift = "" if self.shift is None else f", thresholds moved by {self.shift:.2g}"
        if self.why_not is not None:
            return f"all rows were scored: {self.why_not}"
        again = "; all rows were scored again" if self.is_rescored else ""
        return f"{self.n_changed:,} rows new or changed, {self.n_removed:,} gone{shift}{again}"


def run_since(run: JobRun) -> Report:
    """Score what has changed since the last run; or all rows, where the configuration says so.

    Raises
    ------
    OptionError, EngineError
        If the task, the tables or the engine have no such runs.
    TableError
        If it cannot be told what has changed, and all rows are not to be scored.
    """
    position = _position(run)
    run.check_outputs()
    try:
        state = _last_state(run.spark, run.config)
        if state is None:
            return _scored(run, position, Since("there were no scores"))
        changes = changes_since(
            *(run.spark, run.config.input_spec, run.opened, run.config.row_id),
            *(state["position"], position, run.config.watermark),
        )
        return _run_since(run, state, position, changes)
    except NoChangesError as error:
        return _scored(run, position, _of_all(run.config, error))


def planned_since(run: JobRun) -> str:
    """Return what such a run would score, as far as that can be said without a look at the rows.

    Raises as :func:`run_since`.
    """
    _position(run)
    try:
        state = _last_state(run.spark, run.config)
    except NoChangesError as error:
        return _of_all(run.config, error).text
    if state is None:
        return "all rows: there are no scores"
    at = " and ".join(f"{name} {value}" for name, value in state["position"].items())
    return f"what has changed since {at}"


def _position(run: JobRun) -> Position:
    """Check that there are such runs of the task and the tables; return where the input is."""
    _require_increments(run)
    try:
        found: Position = position_of(
            run.spark, run.config.input_spec, run.opened, run.config.watermark
        )
    except NoChangesError as error:
        raise OptionError(f"since_last_run: {error}") from error
    return found


def _of_all(config: JobConfig, error: NoChangesError) -> Since:
    """Return that all rows are scored for a reason; raise TableError if they are not to be."""
    if config.when_not_incremental == "fail":
        raise TableError(
            f"since_last_run: what has changed cannot be told: {error}; when_not_incremental: full "
            "has all rows scored"
        ) from error
    return Since(str(error))


def run_batch(run: JobRun, number: int, state: State | None) -> Report:
    """Score a batch of a stream, of which the run is; it goes on from a state of the last one.

    Raises
    ------
    OptionError, EngineError
        If the task, the tables or the engine have no such runs.
    TableError
        If the batch cannot be merged.
    """
    _require_increments(run)
    run.check_outputs()
    changes = nullcontext(changes_of_batch(run.opened.df, run.config.row_id))
    try:
        return _run_since(run, state, {"batch": number}, changes)
    except NoChangesError as error:
        raise _not_merged(number, error) from error


def state_before(spark: SparkSession, config: JobConfig, number: int) -> tuple[State | None, bool]:
    """Return what the last batch of a stream has kept, and whether it was the one of this number.

    Raises
    ------
    TableError
        If this is not the one that comes next, either.
    """
    try:
        state = _last_state(spark, config)
        last = -1 if state is None else state["position"].get("batch")
        if last is None:
            raise NoChangesError("the last run read a table, not a stream")
        if number not in (last, last + 1):
            raise NoChangesError(
                f"it comes after batch {last}, so the checkpoint is another one; a new one needs a "
                "new output, too"
            )
    except NoChangesError as error:
        raise _not_merged(number, error) from error
    return state, number == last


def _not_merged(number: int, error: NoChangesError) -> TableError:
    return TableError(f"batch {number} cannot be merged into the scores: {error}")


def _require_increments(run: JobRun) -> None:
    spec = run.config.outputs["output"]
    if why := run.task.not_by_itself():
        raise OptionError(f"since_last_run: {why}")
    if spec.format != "parquet" and is_sail(run.spark):
        raise EngineError(
            f"since_last_run: {engine_of(run.spark)} cannot merge into a {spec.format} table with "
            "what a later run goes on from; write Parquet, or run this on Spark (spark-submit, "
            "--engine spark)"
        )


def _run_since(
    run: JobRun,
    state: State | None,
    position: Position,
    changes_now: AbstractContextManager[Changes],
) -> Report:
    """Score the rows that have changed; all of them, if what was fitted has moved too far."""
    config, key, refitted = run.config, run.config.row_id, None
    if state is not None and run.task.n_classes != state["n_classes"]:
        raise NoChangesError(
            f"there are {run.task.n_classes} classes, and were {state['n_classes']}"
        )
    with ExitStack() as stack:
        with run.clock.timed("changes"):
            changes, keys = read_changes(run, stack.enter_context(changes_now), stack)
            n_again = n_scored_before(run, changes, keys)
            if "n_rows" in position and state is not None:
                require_no_others(state["position"], position, keys.n_rows - n_again)
            since = Since(None, keys.n_rows, keys.n_gone)
            task = run.task
            if state is not None and state["sums"] is not None and isinstance(task, RefittedTask):
                if n_again:
                    raise NoChangesError(
                        f"{n_again} rows were written again, and what they were, which is in the "
                        "class thresholds, is not known"
                    )
                refitted = task.fit_anew(state["sums"], changes.before, changes.after)
                since = replace(since, shift=refitted.shift)
        if refitted is not None and config.is_to_rescore(refitted.shift):
            refitted.use(run.task, True)
            return _scored(run, position, replace(since, is_rescored=True))
        rows = changes.after
        if run.task.shares_key:
            whole = keys.near(run.opened.df).join(keys.table, key, "left_semi")
            rows = stack.enter_context(kept(whole.select(*map(column, rows.columns))))
        part = run.part(Part(rows, keys.table.select(column(key))))
        if refitted is not None:
            refitted.use(part.task, False)
        return _scored(part, position, since)


def _scored(run: JobRun, position: Position, since: Since) -> Report:
    """Score all rows that a run is of; a later one goes on from the position."""

    def state_of(task: Task[Any], duplicates: int) -> dict[str, str]:
        state = {
            "format": _FORMAT,
            "scores": _fingerprint(run.config),
            "position": position,
            "n_classes": task.n_classes,
            "duplicate_ids": duplicates,
            "sums": task.sums(),
        }
        return {_STATE: json.dumps(state)}

    return run.run(state_of, since)


def _last_state(spark: SparkSession, config: JobConfig) -> State | None:
    """Return what the last run has kept; None if there are no scores.

    Raises
    ------
    NoChangesError
        If it is not what this run can go on from.
    """
    spec = config.outputs["output"]
    properties = last_properties(spark, spec)
    if properties is None:
        if existing(spark, spec) is None:
            return None
        raise NoChangesError(f"{spec.name!r} was not written by such a run")
    if _STATE not in properties:
        raise NoChangesError(f"the last run that wrote {spec.name!r} was not since_last_run")
    state: State = json.loads(properties[_STATE])
    if state["format"] != _FORMAT:
        raise NoChangesError(
            f"the last run kept format {state['format']}, this version of lq_spark has {_FORMAT}"
        )
    if state["scores"] != _fingerprint(config):
        raise NoChangesError(
            "the last run had another configuration, or other thresholds in the files it names"
        )
    if state["duplicate_ids"]:
        raise NoChangesError(f"the last run set {state['duplicate_ids']} rows aside that share ids")
    return state


def _fingerprint(config: JobConfig) -> str:
    """Return a hash of all that scores depend on beside the rows."""
    found = hashlib.sha256(config.model_dump_json(exclude=_OF_NO_SCORE).encode())
    for option in ("fitted", "thresholds"):
        if name := getattr(config, option, None):
            place = Path(name)
            files = sorted(place.glob("*.json")) if place.is_dir() else [place]
            for path in files:
                if path.is_file():
                    found.update(path.read_bytes())
    return found.hexdigest()
