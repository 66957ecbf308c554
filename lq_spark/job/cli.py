"""The command line of the jobs: flags over a config file, a run, an exit code.

Exit codes: 0 done, 1 run-time error (also rows that cannot be scored), 2 bad arguments or config.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from lq_spark.errors import ColumnError, LqError, OptionError
from lq_spark.job.config import JobConfig, ScoreConfig, load_config
from lq_spark.job.token_config import TokensConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DONE, RUN_TIME_ERROR, BAD_ARGUMENTS = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Job:
    """A job: what it is called, what it does, its configuration and its body."""

    name: str
    description: str
    config: type[JobConfig]
    body: Callable[[Any, Any], str]


def score_dataset(spark: SparkSession, config: ScoreConfig) -> str:
    """Score rows; return the summary."""
    from lq_spark.job.run import ScoreRun

    return ScoreRun(spark, config).run().text(config)


def score_tokens(spark: SparkSession, config: TokensConfig) -> str:
    """Score tokens and sentences; return the summary."""
    from lq_spark.job.token_run import TokensRun

    return TokensRun(spark, config).run().text(config)


SCORE_DATASET = Job(
    "score_dataset",
    "Add a label quality score (1 clean, 0 suspect) to every row of a table.",
    ScoreConfig,
    score_dataset,
)
SCORE_TOKENS = Job(
    "score_tokens",
    "Score the labels of tokens, and sentences by their tokens (1 clean, 0 suspect).",
    TokensConfig,
    score_tokens,
)


def main(arguments: Sequence[str] | None = None, job: Job = SCORE_DATASET) -> int:
    """Run a job; return its exit code."""
    try:
        flags = vars(parser(job).parse_args(arguments))
        config = load_config(flags.pop("config", None), flags, job.config)
        print(run(config, job))
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


def run(config: JobConfig, job: Job = SCORE_DATASET) -> str:
    """Run a job in the session that spark-submit has configured; return the summary."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName(f"lq_spark {job.name}").getOrCreate()
    try:
        return job.body(spark, config)
    finally:
        spark.stop()


def _list_of(item: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    def listed(text: str) -> list[Any]:
        return [item(part) for part in text.split(",")] if text else []

    return listed


def parser(job: Job = SCORE_DATASET) -> argparse.ArgumentParser:
    """Return the parser: one flag a config key. A flag that is not given is absent."""
    result = argparse.ArgumentParser(
        prog=f"{job.name}.py",
        description=job.description,
        epilog="exit codes: 0 done, 1 run-time error, 2 bad arguments or config",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    result.add_argument(
        "--config", metavar="FILE", help="YAML file of these keys; flags go over it"
    )
    for name, field in job.config.model_fields.items():
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
            item = int if "[int" in str(field.annotation) else str
            options.update(type=_list_of(item), metavar="1,2,…" if item is int else "A,B,…")
        elif kind in (int, float):
            options.update(type=kind, metavar=kind.__name__.upper())
        result.add_argument(f"--{name.replace('_', '-')}", **options)
    return result
