"""Jobs run as their command runs them, in the tests' own session, and what comes of it.

What the tests take from :mod:`lq_spark.job` beside the command is named here alone.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from lq_spark.job import cli, many, single
from lq_spark.job.config import names_a_place
from lq_spark.job.config_file import load_config
from lq_spark.job.execution import execute
from lq_spark.job.run import JobRun
from lq_spark.job.task import ARROW_BATCHES, READER_BATCHES
from lq_spark.job.tasks.registry import TASKS as ENTRIES

__all__ = ["JobRun", "cli", "execute", "many", "single"]

TASKS = tuple(ENTRIES)


def config_of(task: str = "multiclass", path: str | None = None, /, **keys: Any) -> Any:
    """Return the configuration of a file with keys put over it."""
    return load_config(path, keys, task)


def fields_of(task: str = "multiclass") -> dict[str, Any]:
    """Return the keys of a task's configuration."""
    return ENTRIES[task].config.model_fields


def parsed(task: str, *arguments: str) -> dict[str, Any]:
    """Return the flags of a command line, those alone that are given."""
    return vars(cli.parser(ENTRIES[task]).parse_args(arguments))


def places_of(task: str) -> set[str]:
    """Return the keys of a task's configuration that name a place."""
    return {name for name, field in fields_of(task).items() if names_a_place(field)}


def flags_of(task: str = "multiclass") -> set[str]:
    """Return the flags of a task's command."""
    return {action.dest for action in cli.parser(ENTRIES[task])._actions}


def metrics_of(table: pa.Table) -> dict[str, dict[tuple[str, str | None], float]]:
    """Return the metrics in a metrics table: {run id: {(metric, class): value}}."""
    runs: dict[str, dict[tuple[str, str | None], float]] = {}
    for row in table.to_pylist():
        metrics = runs.setdefault(row["run_id"], {})
        assert (row["metric"], row["class"]) not in metrics
        metrics[row["metric"], row["class"]] = row["value"]
    return runs


@dataclass(frozen=True)
class Done:
    """A run that has ended: with which code, what it printed, and where it wrote.

    ``settings`` are those of the session that the run changed meanwhile, as it first did.
    """

    task: str
    keys: dict[str, Any]
    code: int
    printed: str
    errors: str
    settings: dict[str, str] = field(repr=False)

    @cached_property
    def config(self) -> Any:
        """Return the configuration that the run had."""
        return config_of(self.task, **self.keys)

    @property
    def error(self) -> str:
        """Return the one line of an expected error, without its start."""
        [line] = self.errors.splitlines()
        assert not self.printed
        assert line.startswith("error: ")
        return line.removeprefix("error: ")

    @property
    def run_id(self) -> str:
        """Return which run it was, as the summary says."""
        return re.search(r"\(run (\w+)\)", self.printed)[1]

    @property
    def metrics_place(self) -> str:
        """Return where the metrics lie."""
        return f"{self.keys['output']}_metrics"

    def table(self, ending: str = "") -> pa.Table:
        """Return a table that lies beside the output, or the output itself, as it is now."""
        return pq.read_table(f"{self.keys['output']}{ending}")

    @property
    def scores(self) -> pa.Table:
        """Return the output, as it is now."""
        return self.table()

    @property
    def quarantine(self) -> pa.Table:
        """Return the rows set aside."""
        return self.table("_quarantine")

    @cached_property
    def metrics(self) -> dict[tuple[str, str | None], float]:
        """Return the metrics that the run has recorded."""
        return metrics_of(self.table("_metrics"))[self.run_id]

    def metrics_named(self, name: str) -> dict[str | None, float]:
        """Return a metric of the whole table, under None, and of each class or reason."""
        return {of: value for (metric, of), value in self.metrics.items() if metric == name}

    @property
    def reasons(self) -> dict[str, float]:
        """Return how many rows were set aside for each reason that occurred."""
        counts = self.metrics_named("rows_quarantined")
        return {reason: n for reason, n in counts.items() if reason and n}


def run_job(
    spark: Any,
    folder: Path,
    source: pa.Table | Mapping[str, pa.Table] | str,
    task: str = "multiclass",
    ends: int | tuple[int, ...] = 0,
    dry_run: bool = False,
    **keys: Any,
) -> Done:
    """Run a job on tables written to a folder, or on one that is there; its outputs go there too.

    ``source`` is the input, or tables by the options that name them. The run must end with the
    code ``ends``, or one of them, and leave the session's settings as they were.
    """
    if isinstance(source, pa.Table):
        source = {"input": source}
    if isinstance(source, str):
        places = {"input": source}
    else:
        places = {option: str(folder / f"{option}.parquet") for option in source}
        for option, table in source.items():
            pq.write_table(table, places[option])
    keys = {"task": task, **places, "output": str(folder / "scores"), **keys}
    file = Path(f"{folder}.yaml")  # beside the folder: tests say what is left in it
    file.write_text(yaml.safe_dump(keys, allow_unicode=True), encoding="utf-8")
    before = {name: spark.conf.get(name, None) for name in (ARROW_BATCHES, READER_BATCHES)}
    settings, change = {}, type(spark.conf).set

    def changed(conf, name, value):
        settings.setdefault(name, value)
        change(conf, name, value)

    printed, errors = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(cli, "started_session", lambda app, **_: nullcontext(spark)),
        mock.patch.object(type(spark.conf), "set", changed),
        redirect_stdout(printed),
        redirect_stderr(errors),
    ):
        code = cli.main(["--config", str(file), *["--dry-run"] * dry_run])
    assert {name: spark.conf.get(name, None) for name in before} == before
    assert code in np.atleast_1d(ends), printed.getvalue() + errors.getvalue()
    return Done(task, keys, code, printed.getvalue(), errors.getvalue(), settings)


@dataclass(frozen=True)
class DoneMany:
    """A run of a folder of configurations: its code, and what it printed."""

    code: int
    printed: str
    errors: str

    @property
    def lines(self) -> list[list[str]]:
        """Return the cells of the lines that are printed at the end, the counts not among them."""
        lines = self.printed.splitlines()
        head = next(n for n, line in enumerate(lines) if line.startswith("file "))
        return [re.split(r" {2,}", line) for line in lines[head + 1 : -1]]

    @property
    def status(self) -> dict[str, str]:
        """Return the status of each file, in order."""
        return {cells[0]: cells[2] for cells in self.lines}


def run_folder(spark: Any, folder: Path, *arguments: object) -> DoneMany:
    """Run the configurations of a folder in the tests' own session."""
    printed, errors = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(cli, "started_session", lambda app, **_: nullcontext(spark)),
        redirect_stdout(printed),
        redirect_stderr(errors),
    ):
        code = cli.main(["--config-dir", str(folder), *map(str, arguments)])
    return DoneMany(code, printed.getvalue(), errors.getvalue())


def paths_below(folder: Path) -> set[Path]:
    """Return all files and folders below one where others are at work.

    What they remove meanwhile, or the folder if it is not there, is passed over.
    """
    return {
        Path(parent, name)
        for parent, folders, files in os.walk(folder)
        for name in (*folders, *files)
    }


def left_in(folder: Path) -> set[str]:
    """Return what lies in a folder, without locks."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}
