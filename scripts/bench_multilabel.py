"""Time the scoring and the label issues of rows with any number of labels, and cleanlab's.

    python scripts/bench_multilabel.py                       # 100,000 rows of 100 classes
    python scripts/bench_multilabel.py --size 20000x1000

Each contender runs in a process of its own, on the same file and cores: lq_spark scores the rows
and finds their issues in a session that is there (first and second run); cleanlab reads the file
into arrays and does the same. Memory is the peak of the resident sets.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import ROOT, PeakMemory, parsed, spark_session

BLOCK_PROBABILITIES = 1 << 23


def make_data(path: Path, n_rows: int, n_classes: int, seed: int = 0) -> None:
    """Write seeded sigmoid output as float32 Parquet: about 5 labels a row, 2 % of bits flipped."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(n_classes)) * 5
    block = max(1, BLOCK_PROBABILITIES // n_classes)
    kinds = {"labels": pa.list_(pa.int32()), "pred_probs": pa.list_(pa.float32())}
    schema = pa.schema({"id": pa.int64(), **kinds})
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n_rows, block):
            n = min(block, n_rows - start)
            truth = rng.random((n, n_classes)) < shares
            logits = rng.standard_normal((n, n_classes), dtype=np.float32) + 4 * truth - 3
            probs = 1 / (1 + np.exp(-logits))
            bits = np.where(
                rng.random((n, n_classes)) < 0.02, rng.random((n, n_classes)) < shares, truth
            )
            row, column = np.nonzero(bits)
            ends = np.searchsorted(row, np.arange(n + 1)).astype(np.int32)
            offsets = np.arange(n + 1, dtype=np.int32) * n_classes
            columns = [
                pa.array(np.arange(start, start + n)),
                pa.ListArray.from_arrays(pa.array(ends), pa.array(column.astype(np.int32))),
                pa.ListArray.from_arrays(pa.array(offsets), pa.array(probs.ravel())),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=n // 8 + 1)


def lq_spark_body(path: str, out: str) -> Callable[[], dict[str, float]]:
    from lq_spark import multilabel

    spark = spark_session()

    def run() -> dict[str, float]:
        df, seconds = spark.read.parquet(Path(path).absolute().as_uri()), {}
        for name, verb in (("score", multilabel.score), ("issues", multilabel.find_issues)):
            start = time.perf_counter()
            verb(df).drop("pred_probs").write.mode("overwrite").parquet(f"file://{out}/{name}")
            seconds[name] = time.perf_counter() - start
        return seconds

    return run


def cleanlab_body(path: str, out: str) -> Callable[[], dict[str, float]]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from cleanlab.multilabel_classification.filter import find_label_issues
    from cleanlab.multilabel_classification.rank import get_label_quality_scores

    def read() -> tuple[pa.Table, list[list[int]], Any]:
        table = pq.read_table(path)
        probs = table["pred_probs"].combine_chunks().flatten().to_numpy()
        return table, table["labels"].to_pylist(), probs.reshape(len(table), -1)

    def run() -> dict[str, float]:
        start = time.perf_counter()
        table, labels, probs = read()
        scores = get_label_quality_scores(labels, probs)
        pq.write_table(pa.table({"id": table["id"], "q": scores}), f"{out}/score.parquet")
        scored = time.perf_counter()
        table, labels, probs = read()
        issues = find_label_issues(labels, probs)
        result = {"id": table["id"], "q": get_label_quality_scores(labels, probs), "i": issues}
        pq.write_table(pa.table(result), f"{out}/issues.parquet")
        return {"score": scored - start, "issues": time.perf_counter() - scored}

    return run


BODIES = {"lq_spark": lq_spark_body, "cleanlab": cleanlab_body}


def contend(name: str, path: str) -> None:
    """Run one contender in this process; print one JSON line."""
    memory = PeakMemory()
    memory.start()
    with tempfile.TemporaryDirectory() as out:
        body = BODIES[name](path, out)
        runs = [body() for _ in range(2 if name == "lq_spark" else 1)]
    time.sleep(0.1)
    print(json.dumps({"first": runs[0], "last": runs[-1], **memory.summary()}))
    sys.stdout.flush()
    os._exit(0)  # the JVM goes with its parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="100000x100", help="ROWSxCLASSES")
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parsed(parser)
    if options.contend:
        contend(options.contend, options.data)
    with tempfile.TemporaryDirectory(prefix="bench_") as folder:
        path = Path(folder, "rows.parquet")
        make_data(path, *map(int, options.size.split("x")))
        found = {}
        for name in BODIES:
            command = [sys.executable, __file__, "--contend", name, "--data", str(path)]
            environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT
            )
            found[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{options.size} float32\n{'':10}{'score s':>9}{'issues s':>9}  peak MiB")
        for name, result in found.items():
            for state in ("first", "last") if name == "lq_spark" else ("last",):
                print(
                    f"{name:10}{result[state]['score']:9.2f}{result[state]['issues']:9.2f}  "
                    f"driver {result['driver_mib']}, JVM {result['jvm_mib']}, "
                    f"worker {result['worker_mib']}  {state}"
                )
        ours, theirs = found["lq_spark"]["last"], found["cleanlab"]["last"]
        told = ", ".join(f"{name} {ours[name] / theirs[name]:.2f}" for name in ours)
        print(f"lq_spark / cleanlab: {told}")


if __name__ == "__main__":
    main()
