"""The value of rows of embeddings for the prediction of labels, beside cleanlab's."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job
from bench_cases.outliers import make_data as make_features


def make_data(folder: Path, n_rows: int, seed: int = 0) -> int:
    """Write seeded embeddings with labels as Parquet."""
    make_features(folder, n_rows, seed=seed)
    table = pq.read_table(folder / "rows.parquet")
    labels = np.random.default_rng(seed).integers(0, 10, n_rows)
    table = table.append_column("label", [labels])
    pq.write_table(table, folder / "rows.parquet", row_group_size=1 << 14)
    return n_rows


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by cleanlab."""
    from cleanlab.data_valuation import data_shapley_knn

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        features = table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        scores = data_shapley_knn(table["label"].to_numpy(), features=features)
        scored = table.select(["id"]).append_column("score", [scores])
        pq.write_table(scored, f"{out}/scores.parquet")

    return run


CASES = (
    Case(
        "valuation",
        "labels_near",
        sizes=("50000",),
        make_data=make_data,
        ours=partial(job, task="valuation"),
        others={"cleanlab": cleanlab},
    ),
)
