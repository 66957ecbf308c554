"""The command line of the jobs: flags over a config file, a run, an exit code.

Exit codes: 0 done, 1 run-time error (also rows that cannot be scored), 2 bad arguments or config,
3 done, but a condition of ``fail_if`` is met.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import NoneType
from typing import Any, get_args

from lq_spark import progress
from lq_spark.job.config import JobConfig
from lq_spark.job.config_file import chosen_task, load_config
from lq_spark.job.engine import ENGINES, started_session
from lq_spark.job.exits import DONE, exit_code_of, tell
from lq_spark.job.results import RunId
from lq_spark.job.single import done, noted_failure, planned
from lq_spark.job.tasks.registry import TASKS, Entry


def main(arguments: Sequence[str] | None = None, task: str | None = None) -> int:
    """Run a job; return its exit code.

    ``task`` is what the arguments and the configuration need not say.
    """
    try:
        first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        for flag in ("--task", "--config"):
            first.add_argument(flag)
        told, _ = first.parse_known_args(arguments)
        entry = TASKS[task or chosen_task(told.task, told.config)]
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
    except Exception as error:  # noqa: BLE001 - whatever Spark raises is a run-time error
        tell(error)
        return exit_code_of(error)


def command() -> None:
    """Run the job as the console command ``lq-spark``, whose exit code it gives."""
    sys.exit(main())


def run(config: JobConfig, *, dry_run: bool = False, **where: Any) -> int:
    """Run a job on the engine that :func:`started_session` gives; print what was done.

    Where the configuration says so, a file tells how it ended, also where it failed.
    """
    which, title = RunId(), TASKS[config.task].title
    try:
        with ExitStack() as stack:
            with progress.step(title), progress.step("session"):
                spark = stack.enter_context(started_session(f"lq_spark {config.task}", **where))
            with progress.step(title):
                ended = (planned if dry_run else done)(spark, config, which)
            print(ended.text)
        return ended.code
    except BaseException as error:
        if not dry_run:
            noted_failure(config, which, error)
        raise


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
