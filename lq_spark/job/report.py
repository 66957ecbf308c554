"""The report of a run: what is gathered for it while the run lasts, and its page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, NumericType, StructField, StructType

from lq_spark import __version__
from lq_spark.engine.inputs import column, column_type, require_columns
from lq_spark.engine.small_tables import small_table
from lq_spark.errors import ColumnError, OptionError
from lq_spark.job.tasks.registry import TASKS
from lq_spark.report.parts import (
    Code,
    Curve,
    Figure,
    Figures,
    Meanings,
    Page,
    Part,
    Section,
    Shown,
    Table,
    count,
    figure_text,
)
from lq_spark.report.pictures import picture
from lq_spark.tasks.shared.histograms import binned_scores, histogram_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

    from lq_spark.engine.reductions import Reductions, States
    from lq_spark.job.config import JobConfig
    from lq_spark.job.record.history import History
    from lq_spark.job.record.record import Outcome
    from lq_spark.job.task import Task

N_HISTORIES = 8
"""Metrics whose history is drawn, at most."""

N_CHANGES = 20
"""Metrics of classes that have changed that are shown, at most."""

N_REASONS = 20
"""Reasons for which rows could not be scored that are shown, at most."""

_HISTOGRAM = "report: "


def require_shown(task: Task[Any]) -> None:
    """Raise if columns that a report is to show are not there, or hold no images.

    Raises
    ------
    ColumnError, OptionError
    """
    config = task.config
    if not config.shown_columns:
        return
    for name in config.report_columns:
        require_columns(task.source, report_columns=name)
    if task.shares_key:
        raise OptionError(
            "report_columns, report_image: several rows of the input share a key, so none of them "
            "can be shown"
        )
    if config.report_image is not None:
        require_columns(task.source, report_image=config.report_image)
        kind = column_type(task.source, config.report_image)
        if not _holds_images(kind):
            raise ColumnError(
                f"report_image: column {config.report_image!r} is {kind.simpleString()}; it must "
                "be binary (files of images), a struct with such bytes, or an array of pixels"
            )


def _holds_images(kind: DataType) -> bool:
    if isinstance(kind, StructType):
        return "bytes" in kind.names and isinstance(kind["bytes"].dataType, BinaryType)
    if not isinstance(kind, ArrayType):
        return isinstance(kind, BinaryType)
    while isinstance(kind, ArrayType):
        kind = kind.elementType
    return isinstance(kind, NumericType)


def histogram_reductions(task: Task[Any]) -> Reductions:
    """Return what counts the scores of the output by how they lie, as its rows are written."""
    return {
        f"{_HISTOGRAM}{name}": binned_scores(score, flag)
        for name, (score, flag) in task.distributions.items()
    }


def shown_parts(
    task: Task[Any], parts: Sequence[Part], states: States, rows: DataFrame
) -> list[Section]:
    """Return what a report shows of a run's rows, from the tables that the run has written.

    Parameters
    ----------
    task : Task
    parts : sequence of Part
        What the run's summary says.
    states : dict
        Of the output, with those of :func:`histogram_reductions`.
    rows : DataFrame
        The rows of the source that were scored.
    """
    histograms: list[Part] = [
        histogram_of(name, states[f"{_HISTOGRAM}{name}"], flag)
        for name, (_, flag) in task.distributions.items()
    ]
    return [
        Section("What was found", _with_columns(task.config, parts, rows)),
        Section("How the scores lie", histograms),
        *task.report_sections(rows),
    ]


def _with_columns(config: JobConfig, parts: Sequence[Part], rows: DataFrame) -> list[Part]:
    """Return parts, tables of rows of the source with what else is to be shown of these."""
    names, image = config.report_columns, config.report_image
    keys = dict.fromkeys(k for part in parts if isinstance(part, Table) for k in part.keys)
    if not config.shown_columns or not keys:
        return list(parts)
    found = columns_of(rows, config.row_id, list(keys), config.shown_columns)

    def extended(table: Table) -> Table:
        pictures = [] if image is None else [image]
        header = [table.header[0], *pictures, *table.header[1:], *names]
        cells = []
        for key, (first, *row) in zip(table.keys, table.rows, strict=True):
            of_row = found.get(key, {})
            seen = [picture(of_row.get(n), f"{n} of {config.row_id} {key}") for n in pictures]
            cells.append([first, *seen, *row, *(_plain(of_row.get(name)) for name in names)])
        return replace(table, header=header, rows=cells)

    return [extended(p) if isinstance(p, Table) and p.keys else p for p in parts]


def _plain(value: Any) -> Any:
    """Return a value of a column as it is shown: a number as its own text."""
    return None if value is None else str(value)


def columns_of(
    rows: DataFrame, key: str, keys: Sequence[Any], names: Iterable[str]
) -> dict[Any, Mapping[str, Any]]:
    """Return columns of a few rows, by their keys."""
    kind = column_type(rows, key)
    schema = StructType([StructField("__lq_key", kind)])
    wanted = small_table(rows.sparkSession, [(k,) for k in keys], schema)
    columns = {f"__lq_{place}": name for place, name in enumerate(names)}
    named = [column(name).alias(alias) for alias, name in columns.items()]
    near = rows.select(column(key).alias("__lq_of"), *named)
    found = near.join(wanted.hint("broadcast"), F.col("__lq_of") == F.col("__lq_key"))
    of_rows = (row.asDict(recursive=True) for row in found.collect())  # a few
    return {
        row["__lq_of"]: {name: row[alias] for alias, name in columns.items()} for row in of_rows
    }


def page_of(config: JobConfig, outcome: Outcome) -> Page:
    """Return the page of a run that has written its tables."""
    report = outcome.report
    aside = [
        (option, reason, count(n))
        for option, rows in report.set_aside.items()
        for reason, n in list(rows.reasons.items())[:N_REASONS]
    ]
    verdicts = [_verdict_row(verdict) for verdict in outcome.verdicts]
    sections = [
        Section("Key figures", [_figures(config, outcome)]),
        Section(
            "The gate",
            [Table("conditions over the metrics", ("option", "verdict", "why"), verdicts)],
        ),
        Section(
            "Rows that could not be scored", [Table("reasons", ("table", "reason", "rows"), aside)]
        ),
        Section("Classes since the run before", _changed_classes(config, outcome)),
        *report.shown,
        Section("Earlier runs", list(_histories(outcome.history))),
        Section("What was read and written", _facts(config, outcome)),
        Section("What the numbers mean", [Meanings("metrics", _meanings(config, outcome))]),
    ]
    title = f"{TASKS[config.task].title}: {config.input}"
    when = outcome.started_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Page(title, f"run {report.run_id}, {when}", [s for s in sections if s.parts])


def _verdict_row(verdict: Any) -> tuple[str, str, str]:
    met = {True: "MET", False: "not met", None: "not judged"}[verdict.met]
    why = verdict.explanation + (f"; {verdict.warning}" if verdict.warning else "")
    return verdict.condition.option, met, why


def _figures(config: JobConfig, outcome: Outcome) -> Figures:
    of_table, _ = config.meanings
    before = {} if outcome.previous is None else outcome.previous.metrics
    now = outcome.metrics
    figures = [
        Figure(name, now[name, None], before.get((name, None)))
        for name in of_table
        if name != "read_by_workers" and (name, None) in now
    ]
    return Figures("", figures)


def _changed_classes(config: JobConfig, outcome: Outcome) -> list[Part]:
    """Return the metrics of classes that have changed most since the run before, if there is one.

    Of metrics of different size the relative changes are compared.
    """
    before = {} if outcome.previous is None else outcome.previous.metrics
    changes = []
    for key, value in outcome.metrics.items():
        metric, name = key
        earlier = before.get(key)
        is_of_class = metric in config.metrics_of_classes and name is not None
        if is_of_class and value is not None and earlier is not None and value != earlier:
            size = abs(value - earlier) / max(abs(value), abs(earlier))
            changes.append((-size, metric, str(name), earlier, value))
    rows = [
        (name, metric.removeprefix("class_").replace("_", " "), *map(_figure, (then, now)))
        for _, metric, name, then, now in sorted(changes)[:N_CHANGES]
    ]
    title = "what has changed most" + f", of {len(changes):,}" * (len(changes) > N_CHANGES)
    return [Table(title, ("class", "metric", "before", "now"), rows)] if rows else []


def _figure(value: float) -> Shown:
    return Shown(figure_text(value), value)


def _histories(history: History) -> Iterator[Part]:
    """Yield the metrics that have changed, run by run."""
    days = [when.strftime("%Y-%m-%d") for when in history.started_at]
    drawn = 0
    for name, values in history.values.items():
        known = {value for value in values if value is not None}
        if len(known) < 2 or drawn == N_HISTORIES:
            continue
        drawn += 1
        labels = (days[0], days[-1])
        yield Curve(name, list(range(len(days))), values, ("run", name), labels)


def _facts(config: JobConfig, outcome: Outcome) -> list[Part]:
    report, source = outcome.report, outcome.source
    facts = {
        "input": f"{config.input} ({source.text})",
        "read by": str(report.reader),
        "rows": f"{report.n_scored:,} of {report.n_rows:,} scored",
        "engine": f"{outcome.engine}, lq_spark {__version__}",
        "run": report.run_id,
        "configuration": config.fingerprint[:16],
        **{option: f"{spec.name} ({spec.format})" for option, spec in config.outputs.items()},
        "metrics": config.place("metrics"),
        **config.files,
        **config.folders,
        "time": ", ".join(f"{phase} {s:.1f} s" for phase, s in report.seconds.items()),
    }
    given = config.model_dump(mode="json", exclude_unset=True)
    text = yaml.safe_dump(given, sort_keys=False, allow_unicode=True)
    return [
        Table("this run", ("what", "where"), list(facts.items())),
        Code("Its configuration", text),
    ]


def _meanings(config: JobConfig, outcome: Outcome) -> dict[str, str]:
    of_table, of_classes = config.meanings
    there = {metric for metric, _ in outcome.metrics}
    return {name: text for name, text in {**of_table, **of_classes}.items() if name in there}
