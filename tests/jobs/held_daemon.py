"""Spark's own daemon of Python workers; a worker waits where the test that runs asks it to.

It waits as it writes a table's file, which is half there: the first so many that come by, in the
place that is named, until the test opens the gate.
"""

import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pyspark.daemon

GATE = Path(os.environ["GATE"])

write_table = pq.ParquetWriter.write_table


def written(self, *arguments, **options):
    write_table(self, *arguments, **options)
    if "/.attempts/" in str(self.where):
        hold()


def hold():
    """Wait until the gate is open, unless so many wait as are to."""
    for number in range(int(os.environ["HELD"])):
        try:
            (GATE / f"held-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        while not (GATE / "open").exists():
            time.sleep(0.02)
        return


if __name__ == "__main__":
    pq.ParquetWriter.write_table = written
    pyspark.daemon.manager()
