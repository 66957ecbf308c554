import numpy as np
import pytest
from pyspark.sql import functions as F

from lq_spark.core.shared import exact
from lq_spark.engine.sums import scaled_halves, summed_vectors

NUMBERS = [
    0.0, 1.0, 1.00001, 0.5, 1 / 3, 0.1, 1e-300, 5e-324, 1e-9, 2.0**-31, 2.0**-62, 2.0**-63,
    1 - 2.0**-53, 1 + 2.0**-52, -1e-7, 0.999999,
    *np.random.default_rng(0).random(200).tolist(),
]  # fmt: skip


@pytest.mark.spark
@pytest.mark.parametrize("bits", [exact.SCALE_BITS, 20])
@pytest.mark.parametrize(("kind", "dtype"), [("double", np.float64), ("float", np.float32)])
def test_spark_and_numpy_cut_numbers_into_the_same_halves(
    spark, assert_same_bits, monkeypatch, kind, dtype, bits
):
    values = np.array(NUMBERS, dtype=dtype)
    rows = list(enumerate(values.tolist()))
    table = spark.createDataFrame(rows, f"id int, value {kind}")
    high, low = scaled_halves(F.col("value"), bits)
    halves = table.select("id", high.alias("high"), low.alias("low")).orderBy("id").collect()
    monkeypatch.setattr(exact, "SCALE_BITS", bits)
    expected_high, expected_low = exact.scaled_halves(values)
    assert_same_bits(np.array([row["high"] for row in halves]), expected_high.astype(np.int64))
    assert_same_bits(np.array([row["low"] for row in halves]), expected_low.astype(np.int64))


def test_the_halves_are_whole_numbers_that_sum_exactly(spark):
    high, low = scaled_halves(F.col("value"), exact.SCALE_BITS)
    table = spark.createDataFrame([(value,) for value in NUMBERS], "value double")
    sums = table.select(high.alias("high"), low.alias("low")).agg(F.sum("high"), F.sum("low"))
    assert [field.dataType.simpleString() for field in sums.schema] == ["bigint", "bigint"]
    [(high_sum, low_sum)] = sums.repartition(1).collect()
    again = table.repartition(7).select(high.alias("high"), low.alias("low"))
    assert again.agg(F.sum("high"), F.sum("low")).first() == (high_sum, low_sum)
    mean = exact.exact_mean(high_sum, low_sum, len(NUMBERS))
    assert mean == pytest.approx(np.mean(NUMBERS), rel=1e-12)


def test_a_null_has_no_halves(spark):
    high, low = scaled_halves(F.col("value"), exact.SCALE_BITS)
    table = spark.createDataFrame([(None,)], "value double")
    assert table.select(high, low).first() == (None, None)


@pytest.mark.parametrize(
    "n_partitions", [1, pytest.param(7, marks=[pytest.mark.spark, pytest.mark.connect])]
)
def test_vectors_of_batches_add_up_whatever_the_partitions(spark, batch_size, n_partitions):
    batch_size(10)
    table = spark.range(0, 95, 1, n_partitions)

    def squares(batch):
        values = batch["id"].to_numpy()
        return np.bincount(values % 7, weights=values**2, minlength=9).astype(np.int64)

    values = np.arange(95)
    expected = np.bincount(values % 7, weights=values**2, minlength=9).astype(np.int64)
    assert summed_vectors(table, squares, 9).tolist() == expected.tolist()
    assert summed_vectors(table.where("id < 0"), squares, 9).tolist() == [0] * 9
