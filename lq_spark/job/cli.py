"""The command line of the jobs: flags over a config file, a run, an exit code.

Exit codes: 0 done, 1 run-time error (also rows that cannot be scored), 2 bad arguments or config,
3 done, but a condition of ``fail_if`` is met. Of several runs the first of
1, 2, 3, 0 that is there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import NoneType
from typing import Any, get_args

from pydantic.fields import FieldInfo

from lq_spark import progress
from lq_spark.engine.files import expanded
from lq_spark.errors import OptionError, listed, require_number
from lq_spark.job.config import JobConfig, names_a_place, require_local
from lq_spark.job.config_file import chosen_task, load_config
from lq_spark.job.engine import ENGINES, chosen_engine, started_session
from lq_spark.job.exits import DONE, exit_code_of, tell
from lq_spark.job.folder import ENDING, read_folder
from lq_spark.job.many import ManyRuns
from lq_spark.job.results import RunId
from lq_spark.job.single import done, noted_failure, planned
from lq_spark.job.tasks.registry import TASKS, Entry
from lq_spark.tables.staged import require_writable


def main(arguments: Sequence[str] | None = None, task: str | None = None) -> int:
    """Run a job; return its exit code.

    ``task`` is what the arguments and the configuration need not say.
    """
    try:
        first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        for flag in ("--task", "--config", "--config-dir"):
            first.add_argument(flag)
        told, _ = first.parse_known_args(arguments)
        if told.config_dir is not None:
            return run_folder(arguments, task)
        entry = TASKS[task or chosen_task(told.task, told.config)]
        flags = vars(parser(entry).parse_args(arguments))
        if flags.pop("print_schema", False):
            print(json.dumps(entry.config.model_json_schema(), indent=2))
            return DONE
        where, dry_run = _taken(flags)
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


def run_folder(arguments: Sequence[str] | None, task: str | None = None) -> int:
    """Run a job for each configuration of a folder, on one session; print what was done.

    Raises
    ------
    OptionError
        If a flag does not go with all of them or is wrong, or the folder has no configuration.
    """
    flags_of_all = folder_parser()
    told, unknown = flags_of_all.parse_known_args(arguments)
    if unknown:
        wrong = [text.partition("=")[0] for text in unknown if text.startswith("--")] or unknown
        names = (action.option_strings for action in flags_of_all._actions)
        allowed = [next(flag for flag in flags if flag.startswith("--")) for flags in names]
        raise OptionError(
            f"{listed(wrong)} does not go with --config-dir, where each config says that itself; "
            f"what goes for all is {', '.join(sorted(allowed))}"
        )
    flags = vars(told)
    where, dry_run = _taken(flags)
    folder, run_results = flags.pop("config_dir"), flags.pop("run_results", None)
    max_seconds = flags.pop("max_seconds", None)
    chosen_engine(where["engine"])
    if max_seconds is not None:
        require_number("max_seconds", max_seconds, 0.0)
    if run_results is not None:
        run_results = expanded(run_results)
        require_local("run_results", run_results)
        require_writable("run_results", run_results, folder=False)
    files = read_folder(folder, flags, task, run_results)
    many = ManyRuns(files, dry_run, max_seconds, run_results)
    return many.run(lambda: started_session("lq_spark", **where))


def _taken(flags: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Take what is no key of a config out of flags; return what says where it is run, and how."""
    progress.show(flags.pop("progress", None))
    where = {name: flags.pop(name, None) for name in ("engine", "memory", "cores")}
    return where, flags.pop("dry_run", False)


_EXIT_CODES = (
    "exit codes: 0 done, 1 run-time error, 2 bad arguments or config, 3 done, but a condition of "
    "fail_if is met"
)
_OF_ONE_TABLE = ("task", "input_version", "reference")
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
    result = _parser(
        entry.description,
        f"Each task has flags of its own: --task NAME --help; tasks are {tasks}. {_EXIT_CODES}",
    )
    result.add_argument(
        "--config", metavar="FILE", help="YAML file of these keys; flags go over it"
    )
    result.add_argument(
        "--config-dir",
        metavar="FOLDER",
        help=f"run each *{ENDING} of a folder in one session; has flags of its own: "
        "--config-dir FOLDER --help",
    )
    result.add_argument(
        "--print-schema", action="store_true", help="print the JSON Schema of the config file"
    )
    _add_keys(result, entry.config.model_fields)
    return result


def folder_parser() -> argparse.ArgumentParser:
    """Return the parser for a folder of configs: flags that go for all, so none is a place."""
    result = _parser(
        f"Run a job for each *{ENDING} of a folder, by name, one after the other in one session. "
        "One that fails, or is wrong, takes no other with it.",
        f"{_EXIT_CODES}; of several tables the first of 1, 2, 3, 0 that one of them has",
    )
    result.add_argument("--config-dir", metavar="FOLDER", help="folder of config files")
    result.add_argument(
        "--max-seconds",
        type=float,
        metavar="N",
        help="start no further table when so much time has passed; exit code 1 if one is left",
    )
    result.add_argument(
        "--run-results", metavar="FILE", help="JSON file for how all of the runs ended"
    )
    of_all = {
        name: field
        for name, field in JobConfig.model_fields.items()
        if name not in _OF_ONE_TABLE and not names_a_place(field)
    }
    _add_keys(result, of_all)
    return result


def _parser(description: str, epilog: str) -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        description=description,
        epilog=epilog,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
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
        "--engine",
        metavar="|".join(ENGINES),
        help="what runs the job (default: Spark under spark-submit or with SPARK_REMOTE, else "
        "embedded)",
    )
    result.add_argument(
        "--memory", metavar="4G", help="embedded engine: how much sorts and joins may take"
    )
    result.add_argument("--cores", type=int, metavar="INT", help="embedded engine: cores to use")
    return result


def _add_keys(parser: argparse.ArgumentParser, fields: Mapping[str, FieldInfo]) -> None:
    """Add a flag for each key of a config."""
    for name, field in fields.items():
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
        parser.add_argument(f"--{name.replace('_', '-')}", **options)
