"""Kill runs of the job while they write, and look at what they leave.

    python scripts/kill_runs.py                                # ten kills on each format
    python scripts/kill_runs.py --format delta --kills 3

Runs that score by one method and by another take turns on one output. Each is killed (SIGKILL,
driver and JVM together) at a random moment after it has begun to write. The output must then hold
the scores of the one run or of the other, whole; in the end a run that is left alone must give its
own.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench import ROOT
from bench_cases.multiclass import make_data
from fetch_jars import settings

METHODS = ("self_confidence", "normalized_margin")
FORMATS = ("parquet", "delta", "iceberg")


def session_settings(warehouse: Path) -> dict[str, str]:
    jars = sorted(str(jar) for jar in (ROOT / ".jars" / "jars").glob("*.jar"))
    own = {
        "spark.jars": ",".join(jars),
        "spark.sql.catalog.lake.warehouse": str(warehouse / "lake"),
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    from_file = {k: v for k, v in settings().items() if not k.startswith("spark.jars")}
    return {**from_file, **own}


JOB = ROOT / "jobs" / "score_dataset.py"


def started(warehouse: Path, *flags: str, script: Path = JOB) -> subprocess.Popen[bytes]:
    """Start a run of the job, or of another script; it and its JVM are a process group."""
    line = [str(Path(sys.executable).parent / "spark-submit"), "--master", "local[2]"]
    for key, value in session_settings(warehouse).items():
        line += ["--conf", f"{key}={value}"]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    return subprocess.Popen(
        [*line, str(script), *flags],
        cwd=ROOT,
        env={**environment, "PYSPARK_DRIVER_PYTHON": sys.executable},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def killed(job: subprocess.Popen[bytes]) -> bool:
    """Kill a run with all that it has started; return whether it had ended before."""
    had_ended = job.poll() is not None
    with suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    return had_ended


class Place:
    """A source, and an output in one format that runs take turns on."""

    def __init__(self, folder: Path, table_format: str, n_rows: int) -> None:
        self.folder, self.format = folder, table_format
        self.source = folder / "rows.parquet"
        make_data(folder, n_rows, 10)
        self.tables = folder / "tables"
        self.tables.mkdir()
        self.output = "lake.db.scores" if table_format == "iceberg" else f"{self.tables}/scores"

    def start(self, method: str) -> subprocess.Popen[bytes]:
        """Start a run."""
        flags = ["--input", str(self.source), "--output", self.output, "--method", method]
        return started(self.tables, *flags, "--output-format", self.format)

    def files(self) -> set[str]:
        """Return the files below the output and what is written beside it."""
        return {
            path
            # Which passes over what is removed meanwhile.
            for folder, _, names in os.walk(self.tables)
            for path in (f"{folder}/{name}" for name in names)
            if "scores" in path and "scores_" not in path and not path.endswith(".lock")
        }

    def undisturbed(self, method: str) -> float:
        """Run to the end; return the seconds from the first change of the output to the last."""
        job, before, changes = self.start(method), self.files(), []
        while job.poll() is None:
            now = self.files()
            if now != before:
                changes.append(time.monotonic())
                before = now
            time.sleep(0.01)
        if job.returncode or not changes:
            raise RuntimeError(f"a run that was left alone ended with {job.returncode}")
        return changes[-1] - changes[0]

    def killed(self, method: str, writing: float) -> tuple[str, float]:
        """Kill a run while it writes; return how it ended, and after how many seconds of it."""
        job, before, pause = self.start(method), self.files(), random.uniform(0, writing)
        while job.poll() is None and self.files() == before:
            time.sleep(0.005)
        time.sleep(pause)
        return ("had ended" if killed(job) else "killed"), pause


def fingerprint(spark: Any, place: Place) -> tuple[int, int]:
    """Return how many rows the output has, and a sum over their content."""
    from pyspark.sql import functions as F

    from lq_spark.tables.formats import read_table
    from lq_spark.tables.spec import TableSpec

    rows = read_table(spark, TableSpec(place.output, format=place.format)).df
    content = F.sum(F.xxhash64("id", "label", "predicted_label", "label_quality") % (1 << 40))
    [(count, total)] = rows.agg(F.count("*"), content).collect()
    return count, total


def try_format(table_format: str, kills: int, n_rows: int) -> bool:
    from pyspark.sql import SparkSession

    with tempfile.TemporaryDirectory(prefix="kill_") as folder:
        place = Place(Path(folder), table_format, n_rows)
        builder = SparkSession.builder.master("local[1]")
        for key, value in session_settings(place.tables).items():
            builder = builder.config(key, value)
        spark = builder.getOrCreate()
        spark.sql("CREATE NAMESPACE lake.db")
        expected = {}
        for method in METHODS:
            writing = place.undisturbed(method)
            expected[fingerprint(spark, place)] = method
        current, good = METHODS[-1], len(expected) == len(METHODS)
        for number in range(1, kills + 1):
            wanted = METHODS[METHODS.index(current) - 1]
            ended, pause = place.killed(wanted, writing)
            found = expected.get(fingerprint(spark, place))
            state = {current: "the old scores", wanted: "the new scores"}.get(found, "A MIX")
            print(f"{table_format:8} {number:3}  {ended} {pause:5.2f} s into the write: {state}")
            good &= found is not None
            current = found or current
        wanted = METHODS[METHODS.index(current) - 1]
        place.undisturbed(wanted)
        repaired = expected.get(fingerprint(spark, place)) == wanted
        print(f"{table_format:8} a run that was left alone: {'right' if repaired else 'WRONG'}")
        spark.stop()
        return good and repaired


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--format", action="append", choices=FORMATS)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--rows", type=int, default=300_000)
    options = parser.parse_args()
    results = [try_format(name, options.kills, options.rows) for name in options.format or FORMATS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
