"""The batch functions without a Spark session: Arrow arrays in, Arrow arrays out."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql.types import ByteType, IntegerType, LongType, ShortType, StringType

from lq_spark import Thresholds
from lq_spark.core.multiclass.scores import METHODS, score_rows
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.shared.batches import read_batch, reason_batch, score_columns, usable_rows_batch
from lq_spark.tasks.shared.labels import (
    NULL_LABEL,
    UNKNOWN_LABEL,
)

NAN, INF = float("nan"), float("inf")
LISTS = [
    pytest.param(pa.list_(pa.float32()), id="float"),
    pytest.param(pa.list_(pa.float64()), id="double"),
    pytest.param(pa.large_list(pa.float64()), id="large"),
]
GOOD = [
    (0, [0.5, 0.25, 0.25]),
    (2, [1.0, 0.0, 0.0]),
    (1, [0.50002, 0.25, 0.25]),  # a float softmax may sum to a little more than 1
    (0, [1.00001, 0.0, 0.0]),  # and exceed it
    (0, [1.0, 1e-7, -1e-7]),
    (0, [0.9995, 0.0, 0.0]),
]
FAULTY = [
    ("null label", (NULL_LABEL, [0.5, 0.25, 0.25])),
    ("label not in classes", (UNKNOWN_LABEL, [0.5, 0.25, 0.25])),
    ("label out of range", (-1, [0.5, 0.25, 0.25])),
    ("label out of range", (3, [0.5, 0.25, 0.25])),
    ("label out of range", (2**63 - 1, [0.5, 0.25, 0.25])),
    ("null pred_probs", (0, None)),
    ("pred_probs of wrong length", (0, [])),
    ("pred_probs of wrong length", (0, [0.5, 0.5])),
    ("pred_probs of wrong length", (0, [0.25, 0.25, 0.25, 0.25])),
    ("null probability", (0, [0.5, None, 0.5])),
    ("null probability", (0, [None, None, None])),
    ("probability not finite", (0, [0.5, NAN, 0.5])),
    ("probability not finite", (0, [INF, 0.0, 0.0])),
    ("probability not finite", (0, [INF, -INF, 1.0])),
    ("probability below 0", (0, [0.5, -0.1, 0.6])),
    ("probability above 1", (0, [1.002, 0.0, 0.0])),
    ("probabilities do not sum to 1", (0, [0.5, 0.25, 0.2])),
    ("probabilities do not sum to 1", (0, [0.0, 0.0, 0.0])),
    ("probabilities do not sum to 1", (0, [0.75, 0.75, 0.75])),
]


def batch_of(rows, kind=LISTS[1].values[0]):
    labels, lists = zip(*rows, strict=True) if rows else ((), ())
    return pa.array(labels, pa.int64()), pa.array(lists, kind)


def scoring(method="self_confidence", thresholds=None, predicted=None, classes=None, fail=False):
    scores = score_columns(method, thresholds, predicted, classes)
    return usable_rows_batch(scores.function, 3, fail=fail, tolerance=1e-3)


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize(("reason", "row"), FAULTY, ids=str)
def test_a_faulty_row_among_good_ones_is_named_by_its_reason(kind, reason, row):
    [reasons] = reason_batch(3, 1e-3)(*batch_of([*GOOD, row, *GOOD], kind)).values()
    assert reasons.type == pa.string()
    assert reasons.to_pylist() == [None] * len(GOOD) + [reason] + [None] * len(GOOD)


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("start", [0, 1, 7])
def test_all_faults_of_a_batch_are_named_each_at_its_row(kind, start):
    rows = [row for good, (_, bad) in zip(GOOD * 4, FAULTY, strict=False) for row in (good, bad)]
    labels, lists = batch_of(rows, kind)
    [reasons] = reason_batch(3, 1e-3)(labels[start:], lists[start:]).values()
    expected = [text for reason, _ in FAULTY for text in (None, reason)]
    assert reasons.to_pylist() == expected[start:]


@pytest.mark.parametrize("method", METHODS)
def test_a_row_that_cannot_be_scored_gets_nulls_and_changes_no_other_row(method):
    rows = [row for good, (_, bad) in zip(GOOD * 4, FAULTY, strict=False) for row in (bad, good)]
    result = scoring(method, predicted=IntegerType())(*batch_of(rows))
    batch = read_batch(*batch_of(rows), 3, 1e-3)
    expected = score_rows(batch.labels, batch.pred_probs, method)
    assert result["label_quality"].to_pylist()[0::2] == [None] * len(FAULTY)
    assert result["label_quality"].to_pylist()[1::2] == expected.tolist()
    assert result["predicted_label"].to_pylist()[0::2] == [None] * len(FAULTY)
    assert result["predicted_label"].to_pylist()[1::2] == ([0] * len(GOOD) * 4)[: len(FAULTY)]


@pytest.mark.parametrize(("reason", "row"), FAULTY, ids=str)
def test_a_batch_fails_with_the_reason_and_the_count(reason, row):
    with pytest.raises(InvalidRowsError) as error:
        scoring(fail=True)(*batch_of([*GOOD, row, row]))
    assert str(error.value) == (
        f"rows that cannot be scored with K = 3 classes, in one batch of {len(GOOD) + 2}: "
        f"2 rows with {reason}. multiclass.validate names them all"
    )


def test_a_failing_batch_counts_each_reason():
    with pytest.raises(InvalidRowsError) as error:
        scoring(fail=True)(*batch_of([GOOD[0], *(row for _, row in FAULTY)]))
    for reason in {reason for reason, _ in FAULTY}:
        count = sum(other == reason for other, _ in FAULTY)
        assert f"{count} rows with {reason}" in str(error.value)


@pytest.mark.parametrize("rows", [[], [(0, None)], [(NULL_LABEL, None)] * 3], ids=len)
@pytest.mark.parametrize("thresholds", [None, Thresholds((0.5, 0.6, 0.7), (1, 1, 1))])
def test_a_batch_without_a_row_to_score_is_no_trouble(rows, thresholds):
    result = scoring(thresholds=thresholds, predicted=StringType(), classes=("a", "b", "c"))(
        *batch_of(rows)
    )
    assert result["label_quality"].type == pa.float64()
    assert result["label_quality"].to_pylist() == [None] * len(rows)
    assert result["predicted_label"].to_pylist() == [None] * len(rows)


@pytest.mark.parametrize("faulty", [False, True])
@pytest.mark.parametrize(
    ("kind", "arrow"),
    [
        (ByteType(), pa.int8()),
        (ShortType(), pa.int16()),
        (IntegerType(), pa.int32()),
        (LongType(), pa.int64()),
        (StringType(), pa.string()),
    ],
    ids=str,
)
def test_a_predicted_label_has_the_arrow_type_of_the_label(kind, arrow, faulty):
    rows = [(0, [0.25, 0.5, 0.25])] + [(0, None)] * faulty
    classes = ("a", "b", "c")
    predicted = scoring(predicted=kind, classes=classes)(*batch_of(rows))["predicted_label"]
    assert predicted.type == arrow
    assert predicted[0].as_py() == ("b" if arrow == pa.string() else 1)


def test_a_clean_batch_is_read_without_a_copy():
    labels, lists = batch_of(GOOD)
    batch = read_batch(labels, lists, 3, 1e-3)
    assert batch.reasons is None
    assert np.shares_memory(batch.pred_probs, np.frombuffer(lists.values.buffers()[1]))


@pytest.mark.parametrize(("tolerance", "fine"), [(0.1, True), (0.01, False)])
def test_how_far_a_row_may_sum_from_1_can_be_chosen(tolerance, fine):
    [reasons] = reason_batch(3, tolerance)(*batch_of([(0, [0.5, 0.25, 0.2])])).values()
    assert reasons.to_pylist() == [None if fine else "probabilities do not sum to 1"]
