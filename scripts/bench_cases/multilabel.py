"""The scores and the label issues of rows with any number of labels."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job, lists, nested_lists

BLOCK_PROBABILITIES = 1 << 23


def make_data(folder: Path, n_rows: int, n_classes: int, seed: int = 0) -> int:
    """Write seeded sigmoid output as float32 Parquet: about 5 labels a row, 2 % of bits flipped."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(n_classes)) * 5
    block = max(1, BLOCK_PROBABILITIES // n_classes)
    kinds = {"labels": pa.list_(pa.int32()), "pred_probs": pa.list_(pa.float32())}
    schema = pa.schema({"id": pa.int64(), **kinds})
    with pq.ParquetWriter(folder / "rows.parquet", schema) as writer:
        for start in range(0, n_rows, block):
            n = min(block, n_rows - start)
            truth = rng.random((n, n_classes)) < shares
            logits = rng.standard_normal((n, n_classes), dtype=np.float32) + 4 * truth - 3
            probs = 1 / (1 + np.exp(-logits))
            bits = np.where(
                rng.random((n, n_classes)) < 0.02, rng.random((n, n_classes)) < shares, truth
            )
            labels = lists(bits.sum(axis=1), np.nonzero(bits)[1].astype(np.int32))
            columns = [np.arange(start, start + n), labels, nested_lists(probs)]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=n // 8 + 1)
    return n_rows


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by cleanlab: the file is read for each of the two."""
    from cleanlab.multilabel_classification.filter import find_label_issues
    from cleanlab.multilabel_classification.rank import get_label_quality_scores

    def arrays() -> tuple[pa.Table, list[list[int]], np.ndarray]:
        table = pq.read_table(f"{folder}/rows.parquet")
        probs = table["pred_probs"].combine_chunks().flatten().to_numpy()
        return table, table["labels"].to_pylist(), probs.reshape(len(table), -1)

    def run() -> dict[str, float]:
        start = time.perf_counter()
        table, labels, probs = arrays()
        scores = get_label_quality_scores(labels, probs)
        pq.write_table(pa.table({"id": table["id"], "q": scores}), f"{out}/scores.parquet")
        scored = time.perf_counter()
        table, labels, probs = arrays()
        issues = find_label_issues(labels, probs)
        result = {"id": table["id"], "q": get_label_quality_scores(labels, probs), "i": issues}
        pq.write_table(pa.table(result), f"{out}/issues.parquet")
        return {"scores": scored - start, "issues": time.perf_counter() - scored}

    return run


OURS = partial(job, task="multilabel")

CASES = (
    Case("multilabel", "label_sets", ("100000x100",), make_data, OURS, {"cleanlab": cleanlab}),
)
