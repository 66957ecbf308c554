"""Which engine a session is of: Apache Spark, or Sail, which runs in the Python process.

Both speak the same DataFrame API. What one of them lacks is asked for here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

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
        _KNOWN[spark] = _asked(spark)
    return _KNOWN[spark]


def is_sail(spark: SparkSession) -> bool:
    """Return whether a session is Sail's."""
    return engine_of(spark).name == SAIL


def _asked(spark: SparkSession) -> Engine:
    api = spark.version
    if not type(spark).__module__.startswith("pyspark.sql.connect"):
        return Engine(SPARK, api)
    # Sail gives the client's version for Spark's, and its own in SQL; Spark the same for both.
    [(told,)] = spark.sql("SELECT version()").collect()
    return Engine(SPARK, api) if told.startswith(api) else Engine(SAIL, told)
