"""Which engine a session uses: Apache Spark, or Sail, which runs in the Python process.

Both have the same DataFrame API. Code that depends on the engine asks here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import pyspark
from pyspark.errors import PySparkException

from lq_spark.engine.pipelines import is_refused

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPARK, SAIL = "Spark", "Sail"


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine by its name, :data:`SPARK` or :data:`SAIL`, and its version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


_KNOWN: WeakKeyDictionary[SparkSession, Engine] = WeakKeyDictionary()


def engine_of(spark: SparkSession) -> Engine:
    """Return the engine of a session."""
    if spark not in _KNOWN:
        try:
            _KNOWN[spark] = _detected(spark)
        except PySparkException as error:
            if not is_refused(error):
                raise
            return Engine(SPARK, pyspark.__version__)  # Sail has no pipelines
    return _KNOWN[spark]


def is_sail(spark: SparkSession) -> bool:
    """Return whether a session runs on Sail."""
    return engine_of(spark).name == SAIL


def is_connect(spark: SparkSession) -> bool:
    """Return whether a session is a client of Spark Connect, as one of Sail always is."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def is_on_one_machine(spark: SparkSession) -> bool:
    """Return whether a session of Spark has its driver for its only executor."""
    master = str(spark.conf.get("spark.master", ""))
    return master.startswith("local") and not master.startswith("local-cluster")


def forget_answers(spark: SparkSession) -> None:
    """Let a client of Spark Connect forget the tables of which it has asked something.

    It keeps each one, with the answer (``isEmpty``, ``inputFiles``), as long as the process lives.
    """
    if is_connect(spark):
        from pyspark.sql.connect.dataframe import DataFrame

        for member in vars(DataFrame).values():
            if hasattr(member, "cache_clear"):
                member.cache_clear()


def _detected(spark: SparkSession) -> Engine:
    api = spark.version
    if not is_connect(spark):
        return Engine(SPARK, api)
    # Sail reports the client's version as Spark's, and its own in SQL; Spark reports one for both.
    [(version,)] = spark.sql("SELECT version()").collect()
    return Engine(SPARK, api) if version.startswith(api) else Engine(SAIL, version)
