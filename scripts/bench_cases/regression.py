"""The OUTRE scores of numbers, exact and by cells, and their residuals."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job


def make_data(folder: Path, n_rows: int, seed: int = 0) -> int:
    """Write seeded prices and predictions of them as Parquet, 2 % of the labels wrong."""
    rng = np.random.default_rng(seed)
    label = 2e5 * np.exp(0.6 * rng.standard_normal(n_rows))
    prediction = label * np.exp(0.15 * rng.standard_normal(n_rows))
    wrong = rng.random(n_rows) < 0.02
    label[wrong] = rng.permutation(label[wrong])
    columns = {"id": np.arange(n_rows), "label": label, "prediction": prediction}
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=1 << 17)
    return n_rows


def cleanlab(folder: str, out: str, *, method: str) -> Run:
    """Return the same by cleanlab."""
    from cleanlab.regression.rank import get_label_quality_scores

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        labels, predictions = (table[name].to_numpy() for name in ("label", "prediction"))
        scores = get_label_quality_scores(labels, predictions, method=method)
        pq.write_table(pa.table({"id": table["id"], "score": scores}), f"{out}/scores.parquet")

    return run


def _case(name: str, method: str, *, with_cleanlab: bool, **options: Any) -> Case:
    others = {"cleanlab": partial(cleanlab, method=method)} if with_cleanlab else {}
    issues = {"frac_issues": 0.02} if method == "residual" else {}
    ours_by = partial(job, task="regression", method=method, **issues)
    return Case("regression", name, ("5000000",), make_data, ours_by, others, **options)


CASES = (
    # Each row with each other one, which is as much as cleanlab bears.
    _case("outre_exact", "outre", with_cleanlab=True, share=0.003),
    _case("outre_cells", "outre", with_cleanlab=False),
    _case("residual", "residual", with_cleanlab=True, runs_of_others=2),
)
