"""Which engine a job runs on: the embedded one, or the Spark that this process was given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lq_spark.errors import EngineError, OptionError, require_one_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EMBEDDED, SPARK = "embedded", "spark"
ENGINES = (EMBEDDED, SPARK)

_SIGNS_OF_SPARK = (
    "SPARK_REMOTE",  # a Spark Connect server is named
    "PYSPARK_GATEWAY_PORT",  # set by spark-submit
    "DATABRICKS_RUNTIME_VERSION",
)


def chosen_engine(engine: str | None) -> str:
    """Return the engine that is asked for; if none is, Spark where this process was given one.

    Raises OptionError for another word.
    """
    if engine is not None:
        require_one_of("engine", engine, ENGINES)
        return engine
    return SPARK if any(map(os.environ.get, _SIGNS_OF_SPARK)) else EMBEDDED


@contextmanager
def started_session(
    app: str, engine: str | None, memory: str | None = None, cores: int | None = None
) -> Iterator[SparkSession]:
    """Give a session of an engine; a session of Spark is stopped at the end.

    Raises
    ------
    OptionError
        If there is no such engine, or memory or cores are given for Spark.
    EngineError
        If the engine is not installed.
    """
    chosen = chosen_engine(engine)
    if chosen == EMBEDDED:
        from lq_spark import local

        yield local.session(memory=memory, cores=cores)  # which goes with the process
    else:
        for option, value in (("memory", memory), ("cores", cores)):
            if value is not None:
                raise OptionError(
                    f"{option}: is of the embedded engine (--engine embedded), and this runs on "
                    "Spark, which has its own settings"
                )
        spark = _spark(app)
        try:
            yield spark
        finally:
            with suppress(Exception):  # its JVM or server may be gone, which another error says
                spark.stop()


def _spark(app: str) -> SparkSession:
    try:
        from pyspark.sql import SparkSession

        from lq_spark.engine.versions import has_client_alone
    except ImportError as error:
        raise EngineError(f"pyspark is not installed ({error}): pip install pyspark") from error
    if has_client_alone() and not os.environ.get("SPARK_REMOTE"):
        raise EngineError(
            "engine: this Python has the client of Spark Connect alone; name a server in "
            "SPARK_REMOTE, use spark-submit, or --engine embedded"
        )
    return SparkSession.builder.appName(app).getOrCreate()
