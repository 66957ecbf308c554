"""Outliers of embeddings, all rows different or many of them copies."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job, nested_lists

N_FEATURES = 128


def make_data(folder: Path, n_rows: int, *, copies: float = 0.0, seed: int = 0) -> int:
    """Write seeded float32 embeddings around 50 centres as Parquet; a share of rows are copies."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((50, N_FEATURES))
    noise = rng.standard_normal((n_rows, N_FEATURES))
    features = (centres[rng.integers(0, 50, n_rows)] + noise).astype(np.float32)
    is_copy = rng.random(n_rows) < copies
    features[is_copy] = features[rng.integers(0, max(1, n_rows // 50), int(is_copy.sum()))]
    columns = {"id": np.arange(n_rows), "features": nested_lists(features)}
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=1 << 14)
    return n_rows


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by cleanlab."""
    from cleanlab.outlier import OutOfDistribution

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        flat = table["features"].combine_chunks().flatten().to_numpy()
        features = flat.reshape(len(table), -1)
        scores = OutOfDistribution().fit_score(features=features, verbose=False)
        pq.write_table(pa.table({"id": table["id"], "score": scores}), f"{out}/scores.parquet")

    return run


_CASE = partial(
    Case,
    "outliers",
    sizes=("50000",),
    make_data=make_data,
    ours=partial(job, task="outliers"),
    others={"cleanlab": cleanlab},
)

CASES = (
    _CASE("embeddings"),
    _CASE("embeddings_copied", data_options={"copies": 0.6}),
)
