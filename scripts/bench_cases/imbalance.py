"""The rows of each class, one of which is rare."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job

N_CLASSES = 100


def make_data(folder: Path, n_rows: int, seed: int = 0) -> int:
    """Write seeded labels as Parquet: a class is rare."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, N_CLASSES - 1, n_rows)
    labels[rng.random(n_rows) < 1e-4] = N_CLASSES - 1
    columns = {"id": np.arange(n_rows), "label": labels}
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=1 << 20)
    return n_rows


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by cleanlab."""
    from cleanlab.datalab.datalab import Datalab

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        lab = Datalab({"label": table["label"].to_numpy()}, label_name="label", verbosity=0)
        lab.find_issues(issue_types={"class_imbalance": {}})
        found = lab.get_issues("class_imbalance")
        scores = found["class_imbalance_score"].to_numpy()
        pq.write_table(pa.table({"id": table["id"], "score": scores}), f"{out}/scores.parquet")

    return run


CASES = (
    Case(
        "imbalance",
        "classes",
        sizes=("4000000",),
        make_data=make_data,
        ours=partial(job, task="imbalance", n_classes=N_CLASSES),
        others={"cleanlab": cleanlab},
    ),
)
