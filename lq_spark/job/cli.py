"""The command line of the scoring job: flags over a config file, a run, an exit code.

Exit codes: 0 done, 1 run-time error (also rows that cannot be scored), 2 bad arguments or config.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, get_args

from lq_spark.errors import ColumnError, LqError, OptionError
from lq_spark.job.config import ScoreConfig, load_config

DONE, RUN_TIME_ERROR, BAD_ARGUMENTS = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; return its exit code."""
    try:
        flags = vars(parser().parse_args(arguments))
        config = load_config(flags.pop("config", None), flags)
        print(run(config))
    except (OptionError, ColumnError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_ARGUMENTS
    except LqError as error:
        print(f"error: {error}", file=sys.stderr)
        return RUN_TIME_ERROR
    except Exception as error:  # noqa: BLE001 - whatever Spark raises is a run-time error
        traceback.print_exc()
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        print(f"error: {type(error).__name__}: {first}", file=sys.stderr)
        return RUN_TIME_ERROR
    return DONE


def run(config: ScoreConfig) -> str:
    """Run the job in the session that spark-submit has configured; return the summary."""
    from pyspark.sql import SparkSession

    from lq_spark.job.run import ScoreRun

    spark = SparkSession.builder.appName("lq_spark score_dataset").getOrCreate()
    try:
        return ScoreRun(spark, config).run().text(config)
    finally:
        spark.stop()


def _list_of(item: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    def listed(text: str) -> list[Any]:
        return [item(part) for part in text.split(",")] if text else []

    return listed


def parser() -> argparse.ArgumentParser:
    """Return the parser: one flag a config key. A flag that is not given is absent."""
    result = argparse.ArgumentParser(
        prog="score_dataset.py",
        description="Add a label quality score (1 clean, 0 suspect) to every row of a table.",
        epilog="exit codes: 0 done, 1 run-time error, 2 bad arguments or config",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    result.add_argument(
        "--config", metavar="FILE", help="YAML file of these keys; flags go over it"
    )
    for name, field in ScoreConfig.model_fields.items():
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
        elif "list" in str(field.annotation):
            item = int if "list[int]" in str(field.annotation) else str
            options.update(type=_list_of(item), metavar="1,2,…" if item is int else "A,B,…")
        elif kind in (int, float):
            options.update(type=kind, metavar=kind.__name__.upper())
        result.add_argument(f"--{name.replace('_', '-')}", **options)
    return result
