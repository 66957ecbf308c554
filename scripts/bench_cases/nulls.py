"""The nulls of a table of numbers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job

N_COLUMNS = 20


def make_data(folder: Path, n_rows: int, seed: int = 0) -> int:
    """Write seeded numbers as Parquet, a tenth of them null."""
    rng = np.random.default_rng(seed)
    columns = {
        f"x{place}": pa.array(rng.standard_normal(n_rows), mask=rng.random(n_rows) < 0.1)
        for place in range(N_COLUMNS)
    }
    table = pa.table({"id": np.arange(n_rows), **columns})
    pq.write_table(table, folder / "rows.parquet", row_group_size=1 << 18)
    return n_rows


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by cleanlab."""
    from cleanlab.datalab.datalab import Datalab

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        columns = [table[f"x{place}"].to_numpy() for place in range(N_COLUMNS)]
        lab = Datalab({"id": table["id"].to_numpy()}, verbosity=0)
        lab.find_issues(features=np.column_stack(columns), issue_types={"null": {}})
        scores = lab.get_issues("null")["null_score"].to_numpy()
        pq.write_table(pa.table({"id": table["id"], "score": scores}), f"{out}/scores.parquet")

    return run


CASES = (
    Case(
        "nulls",
        "missing",
        sizes=("1000000",),
        make_data=make_data,
        ours=partial(job, task="nulls"),
        others={"cleanlab": cleanlab},
    ),
)
