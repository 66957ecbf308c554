"""An audit of embeddings with labels and probabilities, beside cleanlab's Datalab."""

from __future__ import annotations

import contextlib
import io
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job, nested_lists

N_FEATURES, N_CLASSES = 64, 10


def make_data(folder: Path, n_rows: int, seed: int = 0) -> int:
    """Write seeded embeddings around a centre a class, labels and probabilities, as Parquet."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, N_CLASSES, n_rows)
    centres = rng.standard_normal((N_CLASSES, N_FEATURES))
    features = (centres[truth] + rng.standard_normal((n_rows, N_FEATURES))).astype(np.float32)
    labels = np.where(rng.random(n_rows) < 0.05, rng.integers(0, N_CLASSES, n_rows), truth)
    probs = rng.dirichlet(np.full(N_CLASSES, 0.3), n_rows) + 2.0 * np.eye(N_CLASSES)[truth]
    probs = (probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)
    columns = {
        "id": np.arange(n_rows),
        "label": labels,
        "pred_probs": nested_lists(probs),
        "features": nested_lists(features),
    }
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=1 << 14)
    return n_rows


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by cleanlab."""
    from cleanlab import Datalab

    def matrix(column: pa.ChunkedArray) -> np.ndarray:
        return column.combine_chunks().flatten().to_numpy().reshape(len(column), -1)

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        with contextlib.redirect_stdout(io.StringIO()):
            lab = Datalab({"y": table["label"].to_pylist()}, label_name="y", verbosity=0)
            lab.find_issues(
                features=matrix(table["features"]), pred_probs=matrix(table["pred_probs"])
            )
        pq.write_table(pa.Table.from_pandas(lab.issues), f"{out}/issues.parquet")

    return run


CASES = (
    Case(
        "audit",
        "audited",
        sizes=("20000",),
        make_data=make_data,
        ours=partial(
            job, task="audit", label="label", pred_probs="pred_probs", features="features"
        ),
        others={"cleanlab": cleanlab},
    ),
)
