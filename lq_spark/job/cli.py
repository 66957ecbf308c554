"""The command line of the jobs: flags over a config file, a run, an exit code.

Exit codes: 0 done, 1 run-time error (also rows that cannot be scored), 2 bad arguments or config,
3 done, but a condition of ``fail_if`` is met.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from lq_spark import progress
from lq_spark.errors import (
    ColumnError,
    EngineError,
    LqError,
    OptionError,
    TableError,
    require_one_of,
)
from lq_spark.job.config import JobConfig
from lq_spark.job.config_file import DEFAULT_TASK, load_config, read_config
from lq_spark.job.engine import ENGINES, started_session
from lq_spark.job.results import RunId, ended, failed
from lq_spark.job.tasks.registry import TASKS, Entry
from lq_spark.tables.spec import one_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DONE, RUN_TIME_ERROR, BAD_ARGUMENTS, GATE_FAILED, INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None, task: str | None = None) -> int:
    """Run a job; return its exit code.

    ``task`` is what the arguments and the configuration need not say.
    """
    try:
        entry = TASKS[task or chosen_task(arguments)]
        flags = vars(parser(entry).parse_args(arguments))
        if flags.pop("print_schema", False):
            print(json.dumps(entry.config.model_json_schema(), indent=2))
            return DONE
        where = {name: flags.pop(name, None) for name in ("engine", "memory", "cores")}
        dry_run = flags.pop("dry_run", False)
        progress.show(flags.pop("progress", None))
        config = load_config(flags.pop("config", None), flags, entry.task)
        return run(config, dry_run=dry_run, **where)
    except KeyboardInterrupt:
        sys.tracebacklimit = 0  # the name of the exception says it all
        raise KeyboardInterrupt from None
    except LqError as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_code_of(error)
    except Exception as error:  # noqa: BLE001 - whatever Spark raises is a run-time error
        text = one_line(error)
        if not text.startswith("[FAILED_READ_FILE"):  # which names the file and the column
            traceback.print_exc()
            text = f"{type(error).__name__}: {text}"
        print(f"error: {text}", file=sys.stderr)
        return exit_code_of(error)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a run that an error has ended."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    is_of_user = isinstance(error, (OptionError, ColumnError, EngineError))
    return BAD_ARGUMENTS if is_of_user else RUN_TIME_ERROR


def command() -> None:
    """Run the job as the console command ``lq-spark``, whose exit code it gives."""
    sys.exit(main())


def chosen_task(arguments: Sequence[str] | None) -> str:
    """Return the task that the flags or the configuration name, or else multi-class.

    Raises OptionError if there is no such task, or the file cannot be read.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--task")
    first.add_argument("--config")
    flags, _ = first.parse_known_args(arguments)
    in_file = read_config(flags.config).get("task") if flags.config else None
    task = flags.task or in_file or DEFAULT_TASK
    require_one_of("task", task, TASKS)
    return str(task)


def run(config: JobConfig, *, dry_run: bool = False, **where: Any) -> int:
    """Run a job on the engine that :func:`started_session` gives; print what was done.

    Where the configuration says so, a file tells how it ended, also where it failed.
    """
    which = RunId()
    try:
        return _run(config, which, dry_run=dry_run, **where)
    except BaseException as error:
        if config.run_results is not None and not dry_run:
            with suppress(TableError):  # the first error is the one to be seen
                failed(config, which, error, exit_code_of(error)).save(config.run_results)
        raise


def _run(config: JobConfig, which: RunId, *, dry_run: bool, **where: Any) -> int:
    title = TASKS[config.task].title
    with ExitStack() as stack:
        with progress.step(title), progress.step("session"):
            spark = stack.enter_context(started_session(f"lq_spark {config.task}", **where))
        with progress.step(title):
            text, code = (_planned if dry_run else _done)(spark, config, which)
        print(text)
    return code


def _planned(spark: SparkSession, config: JobConfig, which: RunId) -> tuple[str, int]:
    from lq_spark.job.plan import plan
    from lq_spark.job.record.record import RunRecord
    from lq_spark.job.run import opened_run

    RunRecord(spark, config, which).look_back()
    with opened_run(spark, config) as run_to_be:
        return plan(run_to_be), DONE


def _done(spark: SparkSession, config: JobConfig, which: RunId) -> tuple[str, int]:
    from lq_spark.job.run import execute, written_tables

    outcome = execute(spark, config, which)
    code = GATE_FAILED if outcome.gate_failed else DONE
    if config.run_results is not None:
        tables = written_tables(spark, config)
        ended(config, which, outcome, code, tables).save(config.run_results)
    return outcome.text(config), code


_CONDITIONS = ("fail_if", "warn_if")


def _list_of(item: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    def listed(text: str) -> list[Any]:
        return [item(part.strip()) for part in text.split(",")] if text else []

    return listed


def _one_or_list(text: str) -> str | list[str]:
    names: list[str] = _list_of(str)(text)
    return names if len(names) > 1 else text


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"must be JSON, got {text!r} ({error})") from error
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"must be a JSON object, got {text!r}")
    return found


def parser(entry: Entry) -> argparse.ArgumentParser:
    """Return the parser: one flag a config key. A flag that is not given is absent."""
    tasks = ", ".join(f"{entry.task} ({entry.title})" for entry in TASKS.values())
    result = argparse.ArgumentParser(
        description=entry.description,
        epilog=f"Each task has flags of its own: --task NAME --help; tasks are {tasks}. "
        "exit codes: 0 done, 1 run-time error, 2 bad arguments or config, 3 done, but a "
        "condition of fail_if is met",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    result.add_argument(
        "--config", metavar="FILE", help="YAML file of these keys; flags go over it"
    )
    result.add_argument(
        "--dry-run", action="store_true", help="check all but the scoring, and print the plan"
    )
    result.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="say what is being done (default: if standard error is a terminal)",
    )
    result.add_argument(
        "--print-schema", action="store_true", help="print the JSON Schema of the config file"
    )
    result.add_argument(
        "--engine",
        metavar="|".join(ENGINES),
        help="what runs the job (default: Spark under spark-submit or with SPARK_REMOTE, else "
        "embedded)",
    )
    result.add_argument(
        "--memory", metavar="4G", help="embedded engine: how much sorts and joins may take"
    )
    result.add_argument("--cores", type=int, metavar="INT", help="embedded engine: cores to use")
    for name, field in entry.config.model_fields.items():
        kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
        kind: Any = field.annotation if not kinds else kinds[0]
        default = (
            ""
            if field.is_required() or field.default in (None, [])
            else f" (default: {field.default})"
        )
        options: dict[str, Any] = {"help": f"{field.description}{default}".replace("%", "%%")}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif name in _CONDITIONS:
            # One flag a condition: it may hold a comma.
            options.update(action="append", metavar="CONDITION")
        elif "dict[" in str(field.annotation):
            options.update(type=_json_object, metavar="JSON")
        elif "list" in str(field.annotation) and len(kinds) > 1:
            options.update(type=_one_or_list, metavar="A[,B,…]")
        elif "list" in str(field.annotation):
            item = int if "[int" in str(field.annotation) else str
            options.update(type=_list_of(item), metavar="1,2,…" if item is int else "A,B,…")
        elif kind in (int, float):
            options.update(type=kind, metavar=kind.__name__.upper())
        result.add_argument(f"--{name.replace('_', '-')}", **options)
    return result
