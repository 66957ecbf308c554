"""The graph of nearest neighbours of embeddings, beside scikit-learn's."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run
from bench_cases.outliers import make_data


def ours(spark: Any, folder: str, out: str, reader: str) -> Run:
    """Return the function on DataFrames, written to a table."""
    from lq_spark import files, neighbors

    source = f"{folder}/rows.parquet"

    def run() -> None:
        df = spark.read.parquet(source) if reader == "spark" else files(spark, source)
        neighbors.graph(df).write.mode("overwrite").parquet(f"file://{out}/edges")

    return run


def scikit_learn(folder: str, out: str) -> Run:
    """Return the same by brute force in memory, as cleanlab has it made."""
    from sklearn.neighbors import NearestNeighbors

    def run() -> None:
        table = pq.read_table(f"{folder}/rows.parquet")
        features = table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        index = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute").fit(features)
        distances, places = index.kneighbors()
        edges = {"distance": distances.ravel(), "neighbor": places.ravel()}
        pq.write_table(pa.table(edges), f"{out}/edges.parquet")

    return run


CASES = (Case("neighbors", "graph", ("50000",), make_data, ours, {"scikit_learn": scikit_learn}),)
