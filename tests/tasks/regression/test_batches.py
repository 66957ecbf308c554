"""The batch functions of numbers without a Spark session: Arrow arrays in, Arrow arrays out."""

import numpy as np
import pyarrow as pa
import pytest

from lq_spark.core.regression.api import residual_deviations
from lq_spark.core.regression.outre import ArrayRows, fit_distances
from lq_spark.core.regression.plane import deviations
from lq_spark.errors import DataError
from lq_spark.tasks.regression.passes import DEVIATION, score_batch


def test_rows_without_numbers_have_none_and_change_no_other():
    numbers = pa.array([1.0, None, 3.0, None]), pa.array([1.0, None, 5.0, None])
    for given in (numbers, tuple(number[1:] for number in numbers)):
        result = score_batch(residual_deviations, None, fail=False)(*given)
        wanted = [0.0, None, 2.0, None][-len(given[0]) :]
        assert result[DEVIATION].to_pylist() == wanted
        scores = [None if value is None else np.exp(-value) for value in wanted]
        assert result["label_quality"].to_pylist() == scores


@pytest.mark.parametrize("n_rows", [0, 3])
@pytest.mark.parametrize("kind", [pa.float64(), pa.null()], ids=str)
def test_a_batch_without_a_number_is_no_trouble(n_rows, kind):
    nothing = pa.nulls(n_rows, kind)
    result = score_batch(residual_deviations, None, fail=False)(nothing, nothing)
    for column in (result[DEVIATION], result["label_quality"]):
        assert column.type == pa.float64()
        assert column.to_pylist() == [None] * n_rows


@pytest.mark.parametrize("exact_up_to", [0, 100])
def test_a_row_that_was_not_there_before_fails_the_batch(exact_up_to):
    rng = np.random.default_rng(0)
    labels, predictions = rng.normal(size=(2, 100))
    distances = fit_distances(ArrayRows(labels, predictions), exact_up_to)
    own = deviations(distances, labels, predictions)
    assert own.min() > 0.0
    with pytest.raises(DataError, match=r"1 rows were not there when the table was read before"):
        deviations(distances, np.append(labels, 2.5), np.append(predictions, -3.0))
