"""Time the issues of images with boxes, and cleanlab on a hundredth of the images.

    python scripts/bench_detection.py                    # 100,000 images of about 7 and 50 boxes

Each contender runs in a process of its own. Seconds are those of a second run in the same session;
memory is the peak of the resident sets. cleanlab's time is without the making of its lists.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import ROOT, PeakMemory, parsed, spark_session

N_CLASSES = 80
MEAN_LABELS, MEAN_PREDICTIONS = 7, 50
SIZE = 640
BLOCK = 5_000


def make_data(path: Path, n_images: int, seed: int = 0) -> None:
    """Write seeded images as Parquet: objects found, missed and misplaced."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(N_CLASSES, 0.3))

    def boxes(image, corners, classes, n_images, probs=None):
        order = np.argsort(image, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(image, minlength=n_images))])
        fields = dict(
            zip(("x1", "y1", "x2", "y2"), corners[order].T.astype(np.float32), strict=True)
        )
        fields["label"] = classes[order].astype(np.int32)
        if probs is not None:
            fields["prob"] = probs[order].astype(np.float32)
        values = pa.StructArray.from_arrays(list(map(pa.array, fields.values())), list(fields))
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)

    writer = None
    for start in range(0, n_images, BLOCK):
        n = min(BLOCK, n_images - start)
        image = np.repeat(np.arange(n), rng.poisson(MEAN_LABELS, n))
        corner = rng.uniform(0, SIZE, (len(image), 2))
        truth = np.hstack([corner, corner + rng.lognormal(4, 0.8, (len(image), 2))])
        classes = rng.choice(N_CLASSES, len(image), p=shares)
        kept = rng.random(len(image)) < 0.98
        wrong = rng.random(len(image)) < 0.02
        given = np.where(wrong, rng.integers(N_CLASSES, size=len(image)), classes)
        found = np.repeat(np.arange(len(image)), rng.poisson(1.5, len(image)))
        near = truth[found] + rng.normal(0, 6, (len(found), 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        other = np.repeat(np.arange(n), rng.poisson(MEAN_PREDICTIONS - 1.5 * MEAN_LABELS, n))
        corner = rng.uniform(0, SIZE, (len(other), 2))
        far = np.hstack([corner, corner + rng.lognormal(4, 0.8, corner.shape)])
        probs = np.concatenate([rng.beta(4, 1, len(found)), rng.beta(0.4, 4, len(other))])
        of_class = np.concatenate([classes[found], rng.choice(N_CLASSES, len(other), p=shares)])
        table = pa.table(
            {
                "id": pa.array(np.arange(start, start + n)),
                "labels": boxes(image[kept], truth[kept], given[kept], n),
                "predictions": boxes(
                    np.concatenate([image[found], other]),
                    np.vstack([near, far]),
                    of_class,
                    n,
                    probs,
                ),
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=1000)
    writer.close()


def spark_body(path: str, out: str) -> Callable[[], float]:
    from lq_spark import detection

    spark = spark_session()

    def run() -> float:
        start = time.perf_counter()
        df = spark.read.parquet(Path(path).absolute().as_uri())
        found = detection.find_issues(df, n_classes=N_CLASSES).drop("labels", "predictions")
        found.write.mode("overwrite").parquet(f"file://{out}/images")
        return time.perf_counter() - start

    return run


def lists_of(path: str):
    """Return images as cleanlab takes them."""
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(path).combine_chunks()

    def images(name, fields):
        lists = table[name].combine_chunks()
        flat = lists.flatten()
        columns = [flat.field(field).to_numpy(zero_copy_only=False) for field in fields]
        ends = lists.offsets.to_numpy()[1:-1]
        labels = np.split(flat.field("label").to_numpy(), ends)
        return zip(np.split(np.column_stack(columns), ends), labels, strict=True)

    corners = ["x1", "y1", "x2", "y2"]
    labels = [{"bboxes": boxes, "labels": of} for boxes, of in images("labels", corners)]
    predictions = [
        [rows[of == k] for k in range(N_CLASSES)]
        for rows, of in images("predictions", [*corners, "prob"])
    ]
    return labels, predictions


def lists_body(package: str) -> Callable[[str, str], Callable[[], float]]:
    def body(path: str, out: str) -> Callable[[], float]:
        if package == "cleanlab":
            from cleanlab.object_detection.filter import find_label_issues
            from cleanlab.object_detection.rank import get_label_quality_scores
        else:
            from lq_spark.core.detection import find_label_issues, get_label_quality_scores
        labels, predictions = lists_of(path)

        def run() -> float:
            start = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                find_label_issues(labels, predictions)
                get_label_quality_scores(labels, predictions)
            return time.perf_counter() - start

        return run

    return body


BODIES = {"spark": spark_body, "core": lists_body("core"), "cleanlab": lists_body("cleanlab")}


def contend(name: str, path: str) -> None:
    """Run one contender in this process; print one JSON line."""
    memory = PeakMemory()
    memory.start()
    with tempfile.TemporaryDirectory() as out:
        body = BODIES[name](path, out)
        seconds = [body() for _ in range(1 if name == "cleanlab" else 2)]
    time.sleep(0.1)
    print(json.dumps({"seconds": seconds[-1], **memory.summary()}))
    sys.stdout.flush()
    os._exit(0)  # the JVM goes with its parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parsed(parser)
    if options.contend:
        contend(options.contend, options.data)
    with tempfile.TemporaryDirectory(prefix="bench_") as folder:
        files = {n: Path(folder, f"{n}.parquet") for n in (options.images, options.images // 100)}
        for n, path in files.items():
            make_data(path, n)
        few, everything = options.images // 100, options.images
        runs = [("spark", everything), ("spark", few), ("core", few), ("cleanlab", few)]
        print(f"{'':10}{'images':>10}{'s':>9}{'images/s':>10}  peak MiB")
        for contender, n in runs:
            command = [sys.executable, __file__, "--contend", contender, "--data", str(files[n])]
            environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT
            )
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{contender:10}{n:10,}{found['seconds']:9.2f}{n / found['seconds']:10,.0f}"
                f"  driver {found['driver_mib']}, JVM {found['jvm_mib']}, "
                f"worker {found['worker_mib']}"
            )


if __name__ == "__main__":
    main()
