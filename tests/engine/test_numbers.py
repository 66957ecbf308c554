"""Numbers between NumPy and Arrow: as pyarrow converts them, and without pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from lq_spark.engine.numbers import array_of, bytes_of, values_of

DTYPES = ["int8", "int32", "int64", "uint16", "float32", "float64", "bool"]


def numbers(dtype, n=19):
    return np.random.default_rng(0).integers(0, 2, n).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", [1, 2, -1])
def test_numpy_becomes_what_pyarrow_makes_of_it(dtype, step):
    values = numbers(dtype)[::step]
    assert array_of(values).equals(pa.array(values))
    assert array_of(values, pa.int16()).equals(pa.array(values).cast(pa.int16()))
    assert array_of(values[:0]).equals(pa.array(values[:0]))


def test_other_arrays_are_left_to_pyarrow():
    assert array_of(np.array(["a", "b"])).to_pylist() == ["a", "b"]
    assert array_of(np.array([None, 1], dtype=object)).to_pylist() == [None, 1]
    assert values_of(pa.array(["a", None])).tolist() == ["a", None]
    with pytest.raises(pa.ArrowNotImplementedError, match="Byte-swapped"):
        array_of(np.array([1], dtype=">i4"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("part", [slice(None), slice(3, 12), slice(8, 8), slice(17, None)])
def test_arrow_becomes_what_pyarrow_makes_of_it(dtype, part):
    array = pa.array(numbers(dtype))[part]
    for given in (array, pa.chunked_array([array, array])):
        found = values_of(given)
        expected = np.asarray(given)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("is_null", [[True, False, True, False, False], [True] * 5])
def test_nulls_become_a_value(dtype, is_null):
    array = pa.array(np.ones(5, dtype), mask=np.array(is_null)).slice(1)
    found = values_of(array, 0)
    assert found.dtype == np.ones(1, dtype).dtype
    np.testing.assert_array_equal(found, (~np.array(is_null[1:])).astype(dtype))
    no_value = values_of(array)
    np.testing.assert_array_equal(no_value, array.to_numpy(zero_copy_only=False))


def test_arrays_without_values():
    assert values_of(pa.nulls(0, pa.int32())).tolist() == []
    assert values_of(pa.nulls(2, pa.float64()), 0.5).tolist() == [0.5, 0.5]
    assert bytes_of([]).to_pylist() == []


WITHOUT_PANDAS = """
import sys
import numpy as np, pyarrow as pa
from lq_spark.job import scores
from lq_spark.core.label_issues.margins import ClassPairs, LowMargins
from lq_spark.engine.numbers import array_of
from lq_spark.tasks.multiclass import batches, facts, thresholds
from lq_spark.tasks.shared.batches import score_columns, usable_rows_batch
from lq_spark.tasks.shared.names import LABEL_QUALITY, PREDICTED_LABEL
from pyspark.sql.types import FloatType, IntegerType

n, k = 50, 4
index = array_of(np.arange(n) % k)
offsets = array_of(np.arange(0, n * k + 1, k, dtype=np.int32))
lists = pa.ListArray.from_arrays(offsets, array_of(np.full(n * k, 1 / k, np.float32)))
rows = pa.RecordBatch.from_arrays([index, lists], names=["index", "pred_probs"])
made = batches.facts_columns(np.full(k, 0.5), "highest_of_all", None, FloatType())
made = made + score_columns("self_confidence", None, IntegerType(), None)
found = usable_rows_batch(made.function, k, fail=False, tolerance=0.01)(index, lists)
assert thresholds._partial(rows, 0.01).counts.sum() == n
pairs = ClassPairs.ordered(k, np.array([0]), np.array([1]))
cut = batches.cut_batch(LowMargins(k, pairs, np.zeros(1)), None, "below")
cut(found[batches.INDEX], found[batches.DOUBTFUL])
table = pa.RecordBatch.from_pydict({"label": index, "quality": found[LABEL_QUALITY], **found})
of_classes = scores._class_sums(table.select(["label", PREDICTED_LABEL, "quality"]), None)
assert len(of_classes) == k
lowest = table.select(["quality", "label"]).rename_columns(["quality", "key"])
assert len(scores._lowest_rows(lowest)) == scores.N_LOWEST
counted = facts._pairs_of(table.select([batches.INDEX, batches.GUESS, batches.AGREES]), k)
assert counted.n_rows == n
assert "pandas" not in sys.modules, "imported"
"""


def test_scoring_and_its_sums_do_not_import_pandas():
    done = subprocess.run([sys.executable, "-c", WITHOUT_PANDAS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
