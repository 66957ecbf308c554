"""Time the label issues and scores of images in both forms of columns, and cleanlab on the same.

    python scripts/bench_segmentation.py               # 32 images of 512 x 512 pixels, 20 classes
    python scripts/bench_segmentation.py --images 160 --contenders binary

Each contender runs in a process of its own: from a Parquet file to a Parquet file of the scores and
masks. The JVM has 4 GiB. cleanlab runs as its defaults are, and on one core, where it is faster; it
has nothing to warm up, and runs once, the others twice.
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

N_CLASSES, SIDE = 20, 512


def make_data(binary: Path, nested: Path, n_images: int, seed: int = 0) -> None:
    """Write seeded float32 softmax output in both forms, 5 % of the labels replaced by chance."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    shape = (SIDE, SIDE)
    sizes = pa.list_(pa.int32())
    kinds = {"id": pa.int64(), "label_mask": pa.binary(), "pred_probs": pa.binary()}
    kinds |= {"label_mask_shape": sizes, "pred_probs_shape": sizes}
    kinds |= {"label_mask_dtype": pa.string(), "pred_probs_dtype": pa.string()}
    binary_schema = pa.schema(kinds)
    nested_schema = pa.schema(
        {
            "id": pa.int64(),
            "label_mask": pa.list_(pa.list_(pa.int32())),
            "pred_probs": pa.list_(pa.list_(pa.list_(pa.float32()))),
        }
    )
    how = {"compression": None, "use_dictionary": False}  # probabilities do not compress
    with (
        pq.ParquetWriter(binary, binary_schema, **how) as of_bytes,
        pq.ParquetWriter(nested, nested_schema, **how) as of_lists,
    ):
        for i in range(n_images):
            truth = rng.integers(0, N_CLASSES, shape)
            logits = rng.standard_normal((N_CLASSES, *shape), dtype=np.float32)
            rows, columns = np.indices(shape)
            logits[truth, rows, columns] += 6
            probs = np.exp(logits)
            probs /= probs.sum(axis=0)
            noise = rng.random(shape) < 0.05
            mask = np.where(noise, rng.integers(0, N_CLASSES, shape), truth).astype(np.int32)
            small = mask.astype(np.uint8)
            row = {
                "id": i,
                "label_mask": small.tobytes(),
                "pred_probs": probs.tobytes(),
                "label_mask_shape": mask.shape,
                "pred_probs_shape": probs.shape,
                "label_mask_dtype": "uint8",
                "pred_probs_dtype": "float32",
            }
            of_bytes.write_table(pa.Table.from_pylist([row], schema=binary_schema))
            lists = [pa.array([i]), _lists(mask), _lists(probs)]
            of_lists.write_table(pa.table(lists, schema=nested_schema))


def _lists(array: Any) -> Any:
    """Return an array as one Arrow value of nested lists."""
    import numpy as np
    import pyarrow as pa

    values = pa.array(array.reshape(-1))
    for size in reversed(array.shape):
        offsets = np.arange(0, len(values) + 1, size, dtype=np.int32)
        values = pa.ListArray.from_arrays(pa.array(offsets), values)
    return values


def spark_body(path: str, out: str) -> Callable[[], None]:
    from lq_spark import segmentation

    spark = spark_session()

    def run() -> None:
        images = spark.read.parquet(Path(path).absolute().as_uri())
        found = segmentation.find_issues(images)
        new = ["num_pixel_issues", "label_quality", "issue_mask"]
        found.select("id", *new).write.mode("overwrite").parquet(f"{out}/scores")

    return run


def cleanlab_body(path: str, out: str, n_jobs: int | None) -> Callable[[], None]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from cleanlab.segmentation.filter import find_label_issues
    from cleanlab.segmentation.rank import get_label_quality_scores

    def run() -> None:
        table = pq.read_table(path)
        n, shape = len(table), (SIDE, SIDE)
        masks, probs = np.empty((n, *shape), np.uint8), np.empty((n, N_CLASSES, *shape), np.float32)
        for i in range(n):
            mask, image = (table[name][i].as_buffer() for name in ("label_mask", "pred_probs"))
            masks[i] = np.frombuffer(mask, np.uint8).reshape(shape)
            probs[i] = np.frombuffer(image, np.float32).reshape(N_CLASSES, *shape)
        issues = find_label_issues(masks, probs, n_jobs=n_jobs, verbose=False)
        scores, _ = get_label_quality_scores(masks, probs, verbose=False)
        result = {
            "id": table["id"],
            "num_pixel_issues": issues.sum(axis=(1, 2)),
            "label_quality": scores,
            "issue_mask": [mask.tobytes() for mask in issues],
        }
        pq.write_table(pa.table(result), f"{out}/scores.parquet")

    return run


BODIES = {
    "binary": spark_body,
    "nested": spark_body,
    "cleanlab": lambda path, out: cleanlab_body(path, out, None),
    "cleanlab_1": lambda path, out: cleanlab_body(path, out, 1),
}


def contend(name: str, path: str) -> None:
    """Run one contender in this process; print one JSON line."""
    memory = PeakMemory()
    memory.start()
    with tempfile.TemporaryDirectory() as out:
        body = BODIES[name](path, out)
        seconds = []
        for _ in range(1 if "cleanlab" in name else 2):
            start = time.perf_counter()
            body()
            seconds.append(time.perf_counter() - start)
    time.sleep(0.1)
    print(json.dumps({"first": seconds[0], "last": seconds[-1], **memory.summary()}))
    sys.stdout.flush()
    os._exit(0)  # the JVM goes with its parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--contenders", default=",".join(BODIES))
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parsed(parser)
    if options.contend:
        contend(options.contend, options.data)
    with tempfile.TemporaryDirectory(prefix="bench_") as folder:
        files = {form: Path(folder, f"{form}.parquet") for form in ("binary", "nested")}
        make_data(files["binary"], files["nested"], options.images)
        n_pixels = options.images * SIDE * SIDE
        print(f"{n_pixels:,} pixels, {N_CLASSES} classes")
        print(f"{'':12}{'first s':>9}{'last s':>9}{'pixels/s':>12}  peak MiB")
        for contender in options.contenders.split(","):
            file = files.get(contender, files["binary"])
            command = [sys.executable, __file__, "--contend", contender, "--data", str(file)]
            environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
            environment["PYSPARK_SUBMIT_ARGS"] = "--driver-memory 4g pyspark-shell"
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT
            )
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{contender:12}{found['first']:9.2f}{found['last']:9.2f}"
                f"{n_pixels / found['last']:12,.0f}  driver {found['driver_mib']}, "
                f"JVM {found['jvm_mib']}, worker {found['worker_mib']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
