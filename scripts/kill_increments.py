"""Change a table round by round, score what has changed, and kill every other run on the way.

    python scripts/kill_increments.py                          # twenty rounds on each format
    python scripts/kill_increments.py --format delta --rounds 3 --fitted
    python scripts/kill_increments.py --rounds 4 --stream      # some twenty batches

In each round rows are inserted, deleted, given other probabilities and other labels. A run of what
has changed (--since-last-run) follows, by class thresholds that are fitted anew, or, with --fitted,
that are given. Every other one is first killed (SIGKILL, driver and JVM together) at a random
moment. In the end the scores must be those of one run of all rows, to the bit.

A stream has each change of a Delta table in a batch of its own. The program that follows it is
killed at random moments, and started again, until it has come to the end.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kill_runs import killed, session_settings, started

FORMATS = ("delta", "iceberg")
K = 4
ADJUSTED = ("--adjust-pred-probs", "--method", "normalized_margin")
THRESHOLDS = "thresholds.json"


class Table:
    """A table that changes, and runs of it."""

    def __init__(self, spark: Any, folder: Path, table_format: str, *, is_fitted: bool) -> None:
        self.spark, self.folder, self.format = spark, folder, table_format
        self.n_rows, self.is_fitted, self.seconds = 0, is_fitted, 0.0
        self.source, self.scores, self.every = map(self.place, ("rows", "scores", "every"))
        self.name = f"delta.`{self.source}`" if table_format == "delta" else self.source
        self.add(2000)

    def place(self, name: str) -> str:
        """Return where a table of this name is."""
        return f"lake.db.{name}" if self.format == "iceberg" else f"{self.folder}/{name}"

    def add(self, n: int) -> None:
        """Append rows."""
        from pyspark.sql import functions as F

        weights = [F.rand(seed=self.n_rows + k) + 0.01 for k in range(K)]
        rows = self.spark.range(self.n_rows, self.n_rows + n)
        rows = rows.select("id", *(weight.alias(f"w{k}") for k, weight in enumerate(weights)))
        total = sum((F.col(f"w{k}") for k in range(1, K)), F.col("w0"))
        probs = F.array(*(F.col(f"w{k}") / total for k in range(K)))
        rows = rows.select(
            "id", (F.col("id") % K).cast("int").alias("label"), probs.alias("pred_probs")
        )
        if self.n_rows and self.format == "iceberg":
            rows.writeTo(self.source).append()
        elif self.format == "iceberg":
            rows.writeTo(self.source).using("iceberg").create()
        else:
            feed = {"delta.enableChangeDataFeed": "true"}
            rows.write.format("delta").mode("append").options(**feed).save(self.source)
        self.n_rows += n

    def change(self) -> None:
        """Insert, delete and update rows, some of them twice."""
        a, b, c, d = (random.randrange(97) for _ in range(4))
        flat = ", ".join(["0.25D"] * K)
        for text in (
            f"UPDATE {self.name} SET label = (label + 1) % {K} WHERE id % 97 = {a}",
            f"DELETE FROM {self.name} WHERE id % 97 = {b} AND id % 2 = 0",
            f"UPDATE {self.name} SET pred_probs = array({flat}) WHERE id % 97 = {c}",
        ):
            self.spark.sql(text)
        self.add(random.randrange(1, 200))
        self.spark.sql(f"UPDATE {self.name} SET label = {d % K} WHERE id > {self.n_rows - 5}")

    def start(self, output: str, *flags: str) -> subprocess.Popen[bytes]:
        """Start a run."""
        places = ["--input", self.source, "--output", output, "--output-format", self.format]
        return started(self.folder, *places, *ADJUSTED, *flags)

    @property
    def fitted(self) -> list[str]:
        """Return the flags of thresholds that are given."""
        return ["--thresholds", f"{self.folder}/{THRESHOLDS}"] if self.is_fitted else []

    def save_thresholds(self) -> None:
        """Save those of the rows that there are now."""
        path = f"{self.folder}/{THRESHOLDS}"
        if self.start(self.place("first"), "--save-thresholds", path).wait():
            raise RuntimeError("no thresholds were saved")

    def since(self, *, is_killed: bool) -> str:
        """Score what has changed; return how that ended."""
        flags = [] if self.is_fitted else ["--rescore", "always"]
        began = time.monotonic()
        job = self.start(self.scores, "--since-last-run", *flags, *self.fitted)
        if not is_killed:
            if job.wait():
                raise RuntimeError(f"a run that was left alone ended with {job.returncode}")
            self.seconds = time.monotonic() - began
            return "done"
        pause = random.uniform(0.3, 1.0) * self.seconds  # a session takes a third to start
        time.sleep(pause)
        return f"{'had ended' if killed(job) else 'killed'} after {pause:.1f} s"

    def follow(self) -> subprocess.Popen[bytes]:
        """Start the program that follows the stream of changes."""
        return started(self.folder, "--follow", str(self.folder), script=Path(__file__))

    def is_right(self) -> bool:
        """Return whether the scores are those of one run of all rows; say so."""
        if self.start(self.every, *self.fitted).wait():
            raise RuntimeError("the run of all rows failed")
        found, wanted = self.rows(self.scores), self.rows(self.every)
        said = "the same as" if found == wanted else "OTHERS than"
        print(f"{self.format:8} {len(found):,} scores, {said} those of all rows", flush=True)
        return found == wanted

    def rows(self, place: str) -> list[Any]:
        """Return the rows of an output."""
        from lq_spark.tables.formats import read_table
        from lq_spark.tables.spec import TableSpec

        self.spark.catalog.clearCache()
        table = read_table(self.spark, TableSpec(place, format=self.format)).df
        return sorted(map(tuple, table.collect()))


@contextmanager
def new_table(table_format: str, *, is_fitted: bool) -> Iterator[Table]:
    from pyspark.sql import SparkSession

    with tempfile.TemporaryDirectory(prefix="kill_") as folder:
        builder = SparkSession.builder.master("local[1]")
        for key, value in session_settings(Path(folder)).items():
            builder = builder.config(key, value)
        spark = builder.getOrCreate()
        spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.db")
        table = Table(spark, Path(folder), table_format, is_fitted=is_fitted)
        if is_fitted:
            table.save_thresholds()
        yield table
        spark.stop()


def try_format(table_format: str, rounds: int, *, is_fitted: bool) -> bool:
    with new_table(table_format, is_fitted=is_fitted) as table:
        table.since(is_killed=False)
        for number in range(1, rounds + 1):
            table.change()
            ended = [table.since(is_killed=True)] if number % 2 else []
            ended.append(table.since(is_killed=False))
            print(f"{table_format:8} {number:3}  {', then '.join(ended)}", flush=True)
        return table.is_right()


def try_stream(rounds: int) -> bool:
    """Follow the changes of some rounds; each batch must be in one commit, and in one alone."""
    with new_table("delta", is_fitted=True) as table:
        for _ in range(rounds):
            table.change()
        n_changes = n_commits(table.source)
        while n_commits(table.scores) < n_changes:
            wanted = n_commits(table.scores) + random.randrange(1, 4)
            job = table.follow()
            while job.poll() is None and n_commits(table.scores) < wanted:
                time.sleep(0.05)
            time.sleep(random.uniform(0, 4))  # a batch takes two or three
            if killed(job) and job.returncode:
                raise RuntimeError(f"the stream ended with {job.returncode}")
            n_scored = n_commits(table.scores)
            print(f"stream   killed, or ended, at {n_scored} of {n_changes} batches", flush=True)
        if table.follow().wait():
            raise RuntimeError("the stream that had come to its end could not go on")
        print(f"stream   {n_commits(table.scores)} commits of {n_changes} batches", flush=True)
        return table.is_right() and n_commits(table.scores) == n_changes


def n_commits(place: str) -> int:
    """Return how many commits a Delta table has."""
    return len(list(Path(place, "_delta_log").glob("*.json")))


def follow(folder: Path) -> None:
    """Score the stream of a table's changes to its end, a commit in a batch."""
    from pyspark.sql import SparkSession

    from lq_spark import incremental

    spark = SparkSession.builder.getOrCreate()
    source, output = str(folder / "rows"), str(folder / "scores")
    merge = incremental.for_each_batch(
        input=source,
        output=output,
        output_format="delta",
        n_classes=K,
        method="normalized_margin",
        adjust_pred_probs=True,
        thresholds=str(folder / THRESHOLDS),
    )
    options = {"readChangeFeed": "true", "startingVersion": "0", "maxFilesPerTrigger": "1"}
    feed = spark.readStream.format("delta").options(**options).load(source)
    query = feed.writeStream.foreachBatch(merge).trigger(availableNow=True)
    query.option("checkpointLocation", str(folder / "checkpoint")).start().awaitTermination()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--format", action="append", choices=FORMATS)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--fitted", action="store_true", help="by thresholds that are given")
    parser.add_argument("--stream", action="store_true", help="the changes in a stream, of Delta")
    parser.add_argument("--follow", type=Path, help=argparse.SUPPRESS)  # what --stream starts
    options = parser.parse_args()
    if options.follow is not None:
        follow(options.follow)
        return 0
    if options.stream:
        return 0 if try_stream(options.rounds) else 1
    formats = options.format or FORMATS
    results = [try_format(name, options.rounds, is_fitted=options.fitted) for name in formats]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
