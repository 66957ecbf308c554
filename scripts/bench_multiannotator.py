"""Time CROWDLAB and ActiveLab on long annotations, and cleanlab on parts that its matrix can hold.

    python scripts/bench_multiannotator.py                       # 5,000,000 annotations
    python scripts/bench_multiannotator.py --annotations 500000

1,500,000 items by 20,000 annotators, three or four labels each; a tenth of the items; and for
cleanlab, whose time grows with items times annotators, a few hundred of the items ("part"), and
items that fifty annotators labelled ("few"). Each contender runs in a process of its own; memory is
the peak of the resident sets.
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

N_CLASSES = 10
N_ANNOTATORS = 20_000
ITEMS_PER_ANNOTATION = 0.3
BLOCK = 100_000


def make_data(folder: Path, n_items: int, n_annotators: int, seed: int = 0) -> int:
    """Write seeded items and annotations as Parquet; return the number of annotations."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    skill = rng.beta(8, 2, n_annotators)
    items_schema = pa.schema({"item": pa.int64(), "pred_probs": pa.list_(pa.float32())})
    annotations_schema = pa.schema(
        {"item": pa.int64(), "annotator": pa.string(), "label": pa.int32()}
    )
    names = np.array([f"annotator {a:05d}" for a in range(n_annotators)])
    n_annotations = 0
    with (
        pq.ParquetWriter(folder / "items.parquet", items_schema) as items,
        pq.ParquetWriter(folder / "annotations.parquet", annotations_schema) as annotations,
    ):
        for start in range(0, n_items, BLOCK):
            ids = np.arange(start, min(start + BLOCK, n_items))
            truth = rng.integers(0, N_CLASSES, len(ids))
            logits = rng.standard_normal((len(ids), N_CLASSES), dtype=np.float32)
            logits[np.arange(len(ids)), truth] += 3
            probs = np.exp(logits)
            probs /= probs.sum(axis=1, keepdims=True)
            offsets = np.arange(len(ids) + 1, dtype=np.int32) * N_CLASSES
            lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(probs.ravel()))
            items.write_table(pa.table([pa.array(ids), lists], schema=items_schema))
            item = np.repeat(
                np.arange(len(ids)), 1 + rng.poisson(1 / ITEMS_PER_ANNOTATION - 1, len(ids))
            )
            who = rng.integers(0, n_annotators, len(item))
            pairs = np.unique(np.stack([item, who]), axis=1)
            item, who = pairs[:, rng.permutation(pairs.shape[1])]
            right = rng.random(len(item)) < skill[who]
            label = np.where(right, truth[item], rng.integers(0, N_CLASSES, len(item)))
            columns = [pa.array(ids[item]), pa.array(names[who]), pa.array(label.astype(np.int32))]
            annotations.write_table(pa.table(columns, schema=annotations_schema))
            n_annotations += len(item)
    return n_annotations


def crowdlab_body(folder: str, out: str) -> Callable[[], None]:
    from lq_spark import multiannotator

    spark = spark_session()

    def run() -> None:
        tables = [spark.read.parquet(f"file://{folder}/{name}.parquet") for name in TABLES]
        scores = multiannotator.score(*tables, n_classes=N_CLASSES)
        scores.rated.persist()
        for name in ("items", "annotations", "annotators"):
            getattr(scores, name).write.mode("overwrite").parquet(f"file://{out}/{name}")
        scores.rated.unpersist()

    return run


def activelab_body(folder: str, out: str) -> Callable[[], None]:
    from lq_spark import activelab

    spark = spark_session()

    def run() -> None:
        tables = [spark.read.parquet(f"file://{folder}/{name}.parquet") for name in TABLES]
        scores = activelab.score(*tables, n_classes=N_CLASSES)
        scores.items.write.mode("overwrite").parquet(f"file://{out}/active")

    return run


def cleanlab_body(folder: str, out: str) -> Callable[[], None]:
    import pyarrow.parquet as pq
    from cleanlab.multiannotator import (
        convert_long_to_wide_dataset,
        get_label_quality_multiannotator,
    )

    def run() -> None:
        long = pq.read_table(f"{folder}/annotations.parquet").to_pandas()
        column = pq.read_table(f"{folder}/items.parquet")["pred_probs"].combine_chunks()
        pred_probs = column.flatten().to_numpy().reshape(-1, N_CLASSES)
        wide = convert_long_to_wide_dataset(long.rename(columns={"item": "task"}))
        found = get_label_quality_multiannotator(wide, pred_probs, verbose=False)
        for name in ("label_quality", "detailed_label_quality", "annotator_stats"):
            found[name].to_parquet(f"{out}/{name}.parquet")

    return run


TABLES = ("annotations", "items")
BODIES = {"crowdlab": crowdlab_body, "activelab": activelab_body, "cleanlab": cleanlab_body}


def contend(name: str, folder: str, runs: int) -> None:
    """Run one contender in this process; print one JSON line."""
    memory = PeakMemory()
    memory.start()
    with tempfile.TemporaryDirectory() as out:
        body = BODIES[name](folder, out)
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
    parser.add_argument("--annotations", type=int, default=5_000_000)
    parser.add_argument("--part", type=int, default=500, help="items of all, for cleanlab too")
    parser.add_argument("--few", type=int, default=200_000, help="items of fifty annotators")
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=1, help=argparse.SUPPRESS)
    options = parsed(parser)
    if options.contend:
        contend(options.contend, options.data, options.runs)
    n_items = int(options.annotations * ITEMS_PER_ANNOTATION)
    with tempfile.TemporaryDirectory(prefix="bench_") as made:
        sizes = {"all": n_items, "tenth": n_items // 10, "part": options.part, "few": options.few}
        counts = {}
        for name, n in sizes.items():
            folder = Path(made, name)
            folder.mkdir()
            counts[name] = make_data(folder, n, 50 if name == "few" else N_ANNOTATORS)
        plan = [
            ("crowdlab", "tenth", 1),
            ("crowdlab", "all", 1),
            ("activelab", "tenth", 1),
            ("activelab", "all", 1),
            ("crowdlab", "part", 2),
            ("cleanlab", "part", 1),
            ("crowdlab", "few", 2),
            ("cleanlab", "few", 1),
        ]
        print(f"{'':16}{'items':>11}{'annotations':>13}{'first s':>9}{'last s':>9}  peak MiB")
        for contender, name, runs in plan:
            command = [sys.executable, __file__, "--contend", contender]
            command += ["--data", str(Path(made, name)), "--runs", str(runs)]
            environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT
            )
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{contender:10}{name:6}{sizes[name]:11,}{counts[name]:13,}{found['first']:9.2f}"
                f"{found['last']:9.2f}  driver {found['driver_mib']}, JVM {found['jvm_mib']}, "
                f"worker {found['worker_mib']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
