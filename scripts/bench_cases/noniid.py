"""Whether embeddings are in random order, beside cleanlab's Datalab."""

from __future__ import annotations

from functools import partial

import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job
from bench_cases.outliers import make_data


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by Datalab."""
    from cleanlab import Datalab

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        features = table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        lab = Datalab({"id": table["id"].to_numpy()}, verbosity=0)
        lab.find_issues(features=features, issue_types={"non_iid": {}})
        scores = lab.get_issues("non_iid")["non_iid_score"].to_numpy()
        scored = table.select(["id"]).append_column("score", [scores])
        pq.write_table(scored, f"{out}/scores.parquet")

    return run


CASES = (
    Case(
        "noniid",
        "order",
        sizes=("50000",),
        make_data=make_data,
        ours=partial(job, task="noniid"),
        others={"cleanlab": cleanlab},
    ),
)
