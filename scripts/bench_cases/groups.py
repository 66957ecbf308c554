"""The group of rows that a model knows least, among given clusters."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job, nested_lists, softmax

N_CLASSES = 10


def make_data(folder: Path, n_rows: int, seed: int = 0) -> int:
    """Write seeded labels, probabilities and clusters as Parquet."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, N_CLASSES, n_rows)
    columns = {
        "id": np.arange(n_rows),
        "label": labels,
        "pred_probs": nested_lists(softmax(rng, labels, N_CLASSES, 3.0)),
        "cluster_id": rng.integers(-1, 200, n_rows),
    }
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=1 << 18)
    return n_rows


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by cleanlab."""
    from cleanlab.datalab.datalab import Datalab

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        probs = table["pred_probs"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        lab = Datalab({"label": table["label"].to_numpy()}, label_name="label", verbosity=0)
        options = {"cluster_ids": table["cluster_id"].to_numpy()}
        lab.find_issues(pred_probs=probs, issue_types={"underperforming_group": options})
        scores = lab.get_issues("underperforming_group")["underperforming_group_score"]
        rows = pa.table({"id": table["id"], "score": scores.to_numpy()})
        pq.write_table(rows, f"{out}/scores.parquet")

    return run


CASES = (
    Case(
        "groups",
        "clusters",
        sizes=("1000000",),
        make_data=make_data,
        ours=partial(job, task="groups", clusters="cluster_id", n_classes=N_CLASSES),
        others={"cleanlab": cleanlab},
    ),
)
