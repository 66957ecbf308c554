import numpy as np
import pytest

from lq_spark.engine import running
from lq_spark.engine.running import reaching


@pytest.mark.parametrize(
    ("key_type", "most_sorted"),
    [
        pytest.param("bigint", 2, marks=pytest.mark.spark),
        pytest.param("string", running.MAX_SORTED, marks=pytest.mark.connect),
    ],
)
def test_the_key_is_that_of_a_sorted_table(spark, monkeypatch, key_type, most_sorted):
    monkeypatch.setattr(running, "MAX_SORTED", most_sorted)
    rng = np.random.default_rng(0)
    keys = rng.permutation(1000)[:300].tolist()
    if key_type == "string":
        keys = [f"{key:04}" for key in keys]
    counts = rng.integers(1, 9, 300).tolist()
    rows = list(zip(keys, counts, strict=True))
    df = spark.createDataFrame(rows, f"key {key_type}, count bigint").repartition(7)
    totals = np.cumsum([count for _, count in sorted(rows)])
    for total in (1, int(totals[150]), int(totals[-1])):
        place = int(np.searchsorted(totals, total))
        before = int(totals[place - 1]) if place else 0
        assert reaching(df, total) == (sorted(keys)[place], total - before)
