"""The rows of lowest scores, found a batch at a time: those of the sorted table."""

import functools

import numpy as np
import pyarrow as pa
import pytest

from lq_spark.engine.readings import column_input
from lq_spark.engine.reductions import Reduced
from lq_spark.job.scores import N_LOWEST, Lowest

KEYS = {"numbers": lambda n: n, "strings": lambda n: [f"row {i}" for i in n]}


@pytest.mark.parametrize("n_rows", [3, 400])
@pytest.mark.parametrize("n_scores", [1, 4, 1000])
@pytest.mark.parametrize("is_apart", [False, True])
@pytest.mark.parametrize("kind", KEYS)
def test_they_are_those_of_the_sorted_table(spark, kind, is_apart, n_scores, n_rows):
    rng = np.random.default_rng(n_scores + n_rows)
    quality = rng.integers(n_scores, size=n_rows) / n_scores
    columns = {
        "id": KEYS[kind](rng.permutation(n_rows).tolist()),
        "label_quality": np.where((quality == 0.0) & (rng.random(n_rows) < 0.5), -0.0, quality),
        "a": rng.integers(5, size=n_rows) * 1.0,
        "b": rng.integers(5, size=n_rows) * 1.0,
    }
    rows = pa.table(columns)
    df = spark.createDataFrame(rows.slice(0, 1).to_pandas())
    apart = tuple(map(column_input, "ab")) if is_apart else ()
    shown = tuple(map(column_input, columns))
    lowest = Lowest("id", "label_quality", shown, apart)
    [reduction] = lowest.reductions(df).values()

    def state(part):
        names = {name: made.source for name, made in reduction.inputs.items()}
        return reduction.partial(pa.RecordBatch.from_pydict({n: part[s] for n, s in names.items()}))

    parts = [state(batch) for batch in rows.to_batches(max_chunksize=90)]
    found = lowest.of(Reduced(df, {"lowest": functools.reduce(reduction.merge, parts)}))
    order = sorted(
        rows.to_pylist(),
        key=lambda row: (row["label_quality"], -abs(row["a"] - row["b"]) * is_apart, row["id"]),
    )
    assert found == [tuple(row.values()) for row in order[:N_LOWEST]]
