"""Time the OUTRE scores of numbers, exact and by cells, and cleanlab on as many rows as it bears.

    python scripts/bench_regression.py                 # 15,000 rows exact, 5,000,000 by cells
    python scripts/bench_regression.py --rows 1000000

Each contender runs in a process of its own. Seconds are those of a second run in the same session,
cleanlab's of its only one; memory is the peak of the resident sets.
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

from bench import ROOT, PeakMemory, parsed, spark_session


def make_data(path: Path, n_rows: int, seed: int = 0) -> None:
    """Write seeded prices and predictions of them as Parquet, 2 % of the labels wrong."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    label = 2e5 * np.exp(0.6 * rng.standard_normal(n_rows))
    prediction = label * np.exp(0.15 * rng.standard_normal(n_rows))
    wrong = rng.random(n_rows) < 0.02
    label[wrong] = rng.permutation(label[wrong])
    columns = {"id": np.arange(n_rows), "label": label, "prediction": prediction}
    pq.write_table(pa.table(columns), path, row_group_size=1 << 17)


def spark_body(path: str, out: str, method: str) -> Callable[[], None]:
    from lq_spark import regression

    spark = spark_session()

    def run() -> None:
        df = spark.read.parquet(Path(path).absolute().as_uri())
        scored = regression.score(df, method=method)
        scored.write.mode("overwrite").parquet(f"file://{out}/scores")

    return run


def cleanlab_body(path: str, out: str, method: str) -> Callable[[], None]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from cleanlab.regression.rank import get_label_quality_scores

    def run() -> None:
        table = pq.read_table(path)
        labels, predictions = (table[name].to_numpy() for name in ("label", "prediction"))
        scores = get_label_quality_scores(labels, predictions, method=method)
        pq.write_table(pa.table({"id": table["id"], "score": scores}), f"{out}/scores.parquet")

    return run


BODIES = {"lq_spark": spark_body, "cleanlab": cleanlab_body}


def contend(name: str, path: str, method: str, runs: int) -> None:
    """Run one contender in this process; print one JSON line."""
    memory = PeakMemory()
    memory.start()
    with tempfile.TemporaryDirectory() as out:
        body = BODIES[name](path, out, method)
        seconds = []
        for _ in range(runs):
            start = time.perf_counter()
            body()
            seconds.append(time.perf_counter() - start)
    time.sleep(0.1)
    print(json.dumps({"first": seconds[0], "last": seconds[-1], **memory.summary()}))
    sys.stdout.flush()
    os._exit(0)  # the JVM goes with its parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--few", type=int, default=15_000)
    parser.add_argument("--contend", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parsed(parser)
    if options.contend:
        name, method, runs = options.contend
        contend(name, options.data, method, int(runs))
    with tempfile.TemporaryDirectory(prefix="bench_") as folder:
        few, many = Path(folder, "few.parquet"), Path(folder, "many.parquet")
        make_data(few, options.few)
        make_data(many, options.rows)
        runs = [
            ("lq_spark", "outre", few, options.few, 2),
            ("cleanlab", "outre", few, options.few, 1),
            ("lq_spark", "outre", many, options.rows, 2),
            ("lq_spark", "residual", many, options.rows, 2),
            ("cleanlab", "residual", many, options.rows, 2),
        ]
        print(
            f"{'':10}{'method':10}{'rows':>12}{'first s':>9}{'last s':>9}{'rows/s':>12}  peak MiB"
        )
        for name, method, file, n_rows, times in runs:
            command = [sys.executable, __file__, "--contend", name, method, str(times)]
            environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
            done = subprocess.run(
                [*command, "--data", str(file)],
                check=True,
                capture_output=True,
                text=True,
                env=environment,
                cwd=ROOT,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{name:10}{method:10}{n_rows:12,}{found['first']:9.2f}{found['last']:9.2f}"
                f"{n_rows / found['last']:12,.0f}  driver {found['driver_mib']}, "
                f"JVM {found['jvm_mib']}, worker {found['worker_mib']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
