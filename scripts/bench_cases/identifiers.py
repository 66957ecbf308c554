"""Which columns of a table number its rows: some do, some nearly, some are far from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run


def make_data(folder: Path, n_rows: int, seed: int = 0) -> int:
    """Write seeded whole numbers as Parquet: five columns of each of four kinds."""
    rng = np.random.default_rng(seed)
    columns = {}
    for place in range(5):
        columns[f"numbers{place}"] = rng.permutation(n_rows)
        columns[f"hole{place}"] = np.where((up := np.arange(n_rows)) == 7, 8, up)
        columns[f"codes{place}"] = rng.integers(0, 20, n_rows)
        columns[f"far{place}"] = rng.integers(0, 1 << 40, n_rows)
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=1 << 18)
    return n_rows


def ours(spark: Any, folder: str, out: str, reader: str) -> Run:
    """Return the function on DataFrames, written to a table."""
    from lq_spark import files, identifiers

    source = f"{folder}/rows.parquet"

    def run() -> None:
        df = spark.read.parquet(source) if reader == "spark" else files(spark, source)
        found = identifiers.find_issues(df)
        found.write.mode("overwrite").parquet(f"file://{out}/identifiers")

    return run


def numpy_alone(folder: str, out: str) -> Run:
    """Return the same by the sorted distinct values, which cleanlab's check looks at."""

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        distinct = [np.unique(table[name].to_numpy()) for name in table.column_names]
        found = [len(d) > 1 and bool((np.diff(d) == 1).all()) for d in distinct]
        columns = {"column": table.column_names, "is_identifier": found}
        pq.write_table(pa.table(columns), f"{out}/identifiers.parquet")

    return run


CASES = (
    Case(
        "identifiers",
        "whole_numbers",
        ("1000000",),
        make_data,
        ours,
        {"numpy": numpy_alone},
    ),
)
