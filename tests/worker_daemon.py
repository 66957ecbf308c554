"""Spark's own daemon of Python workers, which imports what they need before it forks them.

A worker of Spark imports the packages of its functions itself, for a second or more, and ends with
the first task that fails: in a test run there are hundreds of them.
"""

import pandas  # noqa: F401
import pyspark.daemon

import lq_spark.tasks.shared.batches  # noqa: F401
from lq_spark.engine.worker import forget_zip_importers

if __name__ == "__main__":
    forget_zip_importers()
    pyspark.daemon.manager()
