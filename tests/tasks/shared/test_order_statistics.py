"""The n-th lowest of numbers made of a table's rows: exactly those of the sorted numbers."""

import numpy as np
import pytest

from lq_spark.core.shared import selection
from lq_spark.engine.numbers import values_of
from lq_spark.engine.readings import column_input
from lq_spark.engine.reductions import reduce_all
from lq_spark.errors import DataError
from lq_spark.tasks.shared.order_statistics import first_counts, nth_lowest

RANKS = [1, 250, 251, 499, 500, 250]


def doubled(batch):
    return 2.0 * values_of(batch.column(0))


def values_like(shape, n=500):
    rng = np.random.default_rng(0)
    return {
        "negative too": rng.normal(size=n),
        "nearly all equal": np.where(rng.random(n) < 0.9, 0.25, rng.random(n)),
        "of any size": np.ldexp(rng.normal(size=n), rng.integers(-1074, 900, n)),
        "zeros of either sign": np.where(rng.random(n) < 0.5, -0.0, 0.0),
        "all equal": np.full(n, -3.0),
    }[shape]


@pytest.mark.parametrize("bits", [3, selection.BUCKET_BITS])
@pytest.mark.parametrize("n_partitions", [1, 3])
@pytest.mark.parametrize(
    "shape",
    [
        "negative too",
        pytest.param("of any size", marks=[pytest.mark.spark, pytest.mark.connect]),
        *("nearly all equal", "zeros of either sign", "all equal"),
    ],
)
def test_they_are_those_of_the_sorted_numbers(spark, monkeypatch, shape, n_partitions, bits):
    monkeypatch.setattr(selection, "BUCKET_BITS", bits)
    values = values_like(shape)
    rows = spark.createDataFrame([(value,) for value in values.tolist()], "value double")
    rows = rows.repartition(n_partitions)
    expected = np.sort(2.0 * values)[np.array(RANKS) - 1].tolist()
    found = nth_lowest(rows, doubled, RANKS)
    assert [bracket.value for bracket in found] == expected
    below = [int(np.sum(2.0 * values < value)) for value in expected]
    assert [bracket.n for bracket in found] == [n - m for n, m in zip(RANKS, below, strict=True)]
    tied = [int(np.sum(2.0 * values == value)) for value in expected]
    assert [bracket.count for bracket in found] == tied
    counts = reduce_all(rows, {"first": first_counts({"value": column_input("value")}, doubled)})
    assert nth_lowest(rows, doubled, RANKS, counts["first"]) == found


def test_more_numbers_than_there_are_cannot_be_asked_for(spark):
    rows = spark.createDataFrame([(1.0,), (2.0,)], "value double")
    with pytest.raises(DataError, match="the 3-th lowest of 2 numbers is asked"):
        nth_lowest(rows, doubled, [3])
