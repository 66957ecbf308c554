"""Time the scoring of sentences in both table shapes, and cleanlab on a tenth of the rows.

    python scripts/bench_tokens.py                       # 1,000,000 sentences of about 20 tokens
    python scripts/bench_tokens.py --sentences 100000

Each contender runs in a process of its own. Seconds are those of a second run in the same session;
memory is the peak of the resident sets.
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

N_CLASSES = 13
MEAN_LENGTH = 20
BLOCK = 50_000


def make_data(nested: Path, long: Path, n_sentences: int, seed: int = 0) -> int:
    """Write seeded sentences as float32 Parquet in both shapes; return the number of tokens."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    vector = pa.list_(pa.float32())
    nested_schema = pa.schema(
        {"sentence_id": pa.int64(), "labels": pa.list_(pa.int32()), "pred_probs": pa.list_(vector)}
    )
    long_schema = pa.schema(
        {
            "sentence_id": pa.int64(),
            "token_index": pa.int32(),
            "label": pa.int32(),
            "pred_probs": vector,
        }
    )
    n_tokens = 0
    with (
        pq.ParquetWriter(nested, nested_schema) as nested_writer,
        pq.ParquetWriter(long, long_schema) as long_writer,
    ):
        for start in range(0, n_sentences, BLOCK):
            ids = np.arange(start, min(start + BLOCK, n_sentences))
            lengths = rng.integers(1, 2 * MEAN_LENGTH, len(ids))
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
            n = int(offsets[-1])
            n_tokens += n
            truth = np.where(rng.random(n) < 0.9, 0, rng.integers(0, N_CLASSES, n))
            logits = rng.standard_normal((n, N_CLASSES), dtype=np.float32)
            logits[np.arange(n), truth] += 6
            probs = np.exp(logits)
            probs /= probs.sum(axis=1, keepdims=True)
            noise = rng.random(n) < 0.02
            label = np.where(noise, rng.integers(0, N_CLASSES, n), truth).astype(np.int32)
            rows = np.arange(n + 1, dtype=np.int32) * N_CLASSES
            vectors = pa.ListArray.from_arrays(pa.array(rows), pa.array(probs.ravel()))
            columns = [
                pa.array(ids),
                pa.ListArray.from_arrays(pa.array(offsets), pa.array(label)),
                pa.ListArray.from_arrays(pa.array(offsets), vectors),
            ]
            nested_writer.write_table(pa.table(columns, schema=nested_schema))
            place = np.arange(n) - np.repeat(offsets[:-1], lengths)
            columns = [
                pa.array(np.repeat(ids, lengths)),
                pa.array(place.astype(np.int32)),
                pa.array(label),
                vectors,
            ]
            long_writer.write_table(pa.table(columns, schema=long_schema))
    return n_tokens


def spark_body(path: str, out: str, **shape: str) -> Callable[[], None]:
    from lq_spark import tokens

    spark = spark_session()

    def run() -> None:
        df = spark.read.parquet(Path(path).absolute().as_uri())
        scored = tokens.score(df, n_classes=N_CLASSES, sentence_score_method="softmin", **shape)
        if not shape:
            scored = scored.drop("labels", "pred_probs")
        scored.write.mode("overwrite").parquet(f"file://{out}/sentences")

    return run


def cleanlab_body(path: str, out: str) -> Callable[[], None]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from cleanlab.token_classification.rank import get_label_quality_scores

    def run() -> None:
        table = pq.read_table(path)
        labels = table["labels"].to_pylist()
        column = table["pred_probs"].combine_chunks()
        matrix = column.flatten().flatten().to_numpy().reshape(-1, N_CLASSES)
        ends = np.cumsum([len(sentence) for sentence in labels])
        pred_probs = np.split(matrix, ends[:-1])
        scores, per_token = get_label_quality_scores(
            labels, pred_probs, sentence_score_method="softmin"
        )
        result = {
            "sentence_id": table["sentence_id"],
            "sentence_quality": scores,
            "token_qualities": [series.to_numpy() for series in per_token],
        }
        pq.write_table(pa.table(result), f"{out}/sentences.parquet")

    return run


BODIES = {
    "nested": lambda path, out: spark_body(path, out),
    "long": lambda path, out: spark_body(path, out, token_index="token_index"),
    "cleanlab": cleanlab_body,
}


def contend(name: str, path: str) -> None:
    """Run one contender in this process; print one JSON line."""
    memory = PeakMemory()
    memory.start()
    with tempfile.TemporaryDirectory() as out:
        body = BODIES[name](path, out)
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            body()
            seconds.append(time.perf_counter() - start)
    time.sleep(0.1)
    print(json.dumps({"first": seconds[0], "second": seconds[1], **memory.summary()}))
    sys.stdout.flush()
    os._exit(0)  # the JVM goes with its parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=1_000_000)
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parsed(parser)
    if options.contend:
        contend(options.contend, options.data)
    with tempfile.TemporaryDirectory(prefix="bench_") as folder:
        files = {}
        for name, n in (("all", options.sentences), ("tenth", options.sentences // 10)):
            paths = Path(folder, f"{name}_nested.parquet"), Path(folder, f"{name}_long.parquet")
            files[name] = (*paths, make_data(*paths, n))
        runs = [
            (contender, file, files[name][2])
            for name in ("tenth", "all")
            for contender, file in (("nested", files[name][0]), ("long", files[name][1]))
        ]
        runs.append(("cleanlab", files["tenth"][0], files["tenth"][2]))
        print(f"{'':10}{'tokens':>12}{'first s':>9}{'second s':>9}{'tokens/s':>12}  peak MiB")
        for contender, file, n_tokens in runs:
            command = [sys.executable, __file__, "--contend", contender, "--data", str(file)]
            environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT
            )
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{contender:10}{n_tokens:12,}{found['first']:9.2f}{found['second']:9.2f}"
                f"{n_tokens / found['second']:12,.0f}  driver {found['driver_mib']}, "
                f"JVM {found['jvm_mib']}, worker {found['worker_mib']}"
            )


if __name__ == "__main__":
    main()
