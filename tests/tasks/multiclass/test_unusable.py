"""Rows that cannot be scored: named by validate, left out or refused by score."""

from math import isnan

import numpy as np
import pytest
from pyspark.errors import PythonException
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql.types import IntegerType, StructField, StructType

from lq_spark import Thresholds, multiclass
from lq_spark.core.multiclass import get_label_quality_scores
from lq_spark.core.multiclass.scores import METHODS, score_rows
from lq_spark.engine import verbs
from lq_spark.errors import ColumnError

NAN, INF = float("nan"), float("inf")
ROWS = [
    (None, 0, [0.5, 0.25, 0.25]),
    ("null label", None, [0.5, 0.25, 0.25]),
    (None, 1, [0.50002, 0.25, 0.25]),  # a float softmax may sum to a little more than 1
    ("label out of range", -1, [0.5, 0.25, 0.25]),
    ("label out of range", 3, [0.5, 0.25, 0.25]),
    (None, 0, [1.00001, 0.0, 0.0]),  # and exceed it
    ("null pred_probs", 0, None),
    ("pred_probs of wrong length", 0, []),
    ("pred_probs of wrong length", 0, [0.5, 0.5]),
    ("pred_probs of wrong length", 0, [0.25, 0.25, 0.25, 0.25]),
    (None, 2, [0.0, 0.0, 1.0]),
    ("null probability", 0, [0.5, None, 0.5]),
    ("probability not finite", 0, [0.5, NAN, 0.5]),
    ("probability not finite", 0, [INF, 0.0, 0.0]),
    ("probability not finite", 0, [-INF, 0.0, 0.0]),
    ("probability below 0", 0, [0.5, -0.1, 0.6]),
    ("probability above 1", 0, [1.1, 0.0, 0.0]),
    ("probabilities do not sum to 1", 0, [0.5, 0.25, 0.2]),
]
REASONS = [reason for reason, _, _ in ROWS]
GOOD = [(label, row) for reason, label, row in ROWS if reason is None]


@pytest.fixture(params=["float", "double"])
def table(spark, request):
    """Good rows among rows with each fault."""
    rows = [(i, label, probs) for i, (_, label, probs) in enumerate(ROWS)]
    return spark.createDataFrame(rows, f"id int, label int, pred_probs array<{request.param}>")


@pytest.fixture
def good_matrix(table):
    dtype = {"float": np.float32, "double": np.float64}
    element = table.schema["pred_probs"].dataType.elementType.simpleString()
    return np.array([row for _, row in GOOD], dtype=dtype[element])


@pytest.fixture(params=["arrow", "pandas"])
def udf_kind(request, monkeypatch):
    """Run under an Arrow UDF where Spark has one, and under a pandas UDF."""
    monkeypatch.setattr(verbs, "HAS_ARROW_UDF", request.param == "arrow" and verbs.HAS_ARROW_UDF)
    return "arrow" if verbs.HAS_ARROW_UDF else "pandas"


@pytest.fixture
def reasons(udf_kind):
    """The reason of each row, None for a good one."""
    if udf_kind == "arrow":
        return REASONS
    # pandas has NaN for a null and for NaN.
    return [
        "null probability" if probs and any(map(isnan, filter(None, probs))) else reason
        for reason, _, probs in ROWS
    ]


def test_validate_names_the_fault_of_each_row(table, by_id, reasons):
    assert by_id(multiclass.validate(table, n_classes=3), "invalid_reason") == reasons


@pytest.mark.usefixtures("udf_kind")
@pytest.mark.parametrize("method", METHODS)
def test_exactly_the_rows_that_validate_names_are_left_without_a_score(
    table, good_matrix, by_id, method
):
    scored = multiclass.score(
        table, n_classes=3, method=method, on_invalid="null", predicted_label=True
    )
    scores = by_id(scored, "label_quality")
    predicted = by_id(scored, "predicted_label")
    assert [score is None for score in scores] == [reason is not None for reason in REASONS]
    assert [label is None for label in predicted] == [reason is not None for reason in REASONS]
    labels = [label for label, _ in GOOD]
    expected = get_label_quality_scores(labels, good_matrix, method=method)
    assert [score for score in scores if score is not None] == expected.tolist()
    assert [label for label in predicted if label is not None] == good_matrix.argmax(1).tolist()


def test_frozen_thresholds_score_the_good_rows_among_bad_ones(table, good_matrix, by_id):
    thresholds = Thresholds((0.5, 0.6, 0.7), (1, 2, 3))
    scored = multiclass.score(
        table, adjust_pred_probs=True, thresholds=thresholds, on_invalid="null"
    )
    labels = np.array([label for label, _ in GOOD])
    expected = score_rows(labels, good_matrix, "self_confidence", thresholds.as_array())
    scores = by_id(scored, "label_quality")
    assert [score for score in scores if score is not None] == expected.tolist()


@pytest.mark.spark
@pytest.mark.connect
def test_score_fails_with_every_reason_in_its_message(table, reasons):
    with pytest.raises(PythonException) as error:
        multiclass.score(table.repartition(1), n_classes=3).collect()
    message = str(error.value)
    assert "rows that cannot be scored with K = 3 classes, in one batch of 18: " in message
    for reason in set(reasons) - {None}:
        assert f"{reasons.count(reason)} rows with {reason}" in message


def test_score_fails_for_one_bad_row_among_good_ones(spark):
    rows = [*GOOD * 50, (3, [0.5, 0.25, 0.25])]
    table = spark.createDataFrame(rows, "label int, pred_probs array<double>").repartition(3)
    with pytest.raises(PythonException, match="1 rows with label out of range"):
        multiclass.score(table).collect()


@pytest.mark.parametrize("bad", [None, "b", "A", "a ", ""])
def test_a_name_that_is_no_class_is_a_fault(spark, by_id, bad):
    rows = [(0, "a", [0.75, 0.25]), (1, bad, [0.75, 0.25]), (2, "c", [0.75, 0.25])]
    table = spark.createDataFrame(rows, "id int, label string, pred_probs array<float>")
    checked = multiclass.validate(table, classes=["a", "c"])
    reason = "null label" if bad is None else f"label not in classes: '{bad}'"
    assert by_id(checked, "invalid_reason") == [None, reason, None]
    scored = multiclass.score(table, classes=["a", "c"], on_invalid="null", predicted_label=True)
    assert by_id(scored, "label_quality") == [0.75, None, 0.25]
    assert by_id(scored, "predicted_label") == ["a", None, "a"]


@pytest.mark.parametrize(
    "id",
    ["count", "label", "invalid"],
)
def test_an_id_may_have_any_name(spark, id):
    rows = [(0, [0.5, 0.5]), (1, [0.5, 0.5]), (1, [0.5, 0.5])]
    table = spark.createDataFrame(rows, "label int, pred_probs array<double>")
    if id != "label":
        table = table.selectExpr(f"label as {id}", "*")
    reasons = [row["invalid_reason"] for row in multiclass.validate(table, id=id).collect()]
    assert sorted(reasons, key=str) == [None, "duplicate id", "duplicate id"]


def test_how_far_a_row_may_sum_from_1_can_be_chosen(spark, by_id):
    rows = [(0, 0, [0.5, 0.4]), (1, 1, [0.5, 0.5])]
    table = spark.createDataFrame(rows, "id int, label int, pred_probs array<double>")
    checked = multiclass.validate(table, tolerance=0.125)
    assert by_id(checked, "invalid_reason") == [None, None]
    assert by_id(multiclass.score(table, tolerance=0.125), "label_quality") == [0.5, 0.5]


def test_vectors_are_checked_as_arrays_are(spark, by_id):
    vectors = [Vectors.dense([0.5, 0.5]), Vectors.sparse(3, {0: 1.0}), Vectors.sparse(2, {}), None]
    fields = {"id": IntegerType(), "label": IntegerType(), "pred_probs": VectorUDT()}
    schema = StructType([StructField(name, kind) for name, kind in fields.items()])
    table = spark.createDataFrame([(i, 0, vector) for i, vector in enumerate(vectors)], schema)
    assert by_id(multiclass.validate(table, n_classes=2), "invalid_reason") == [
        None,
        "pred_probs of wrong length",
        "probabilities do not sum to 1",
        "null pred_probs",
    ]


@pytest.mark.parametrize("probs", [None, [], [None, None]], ids=str)
def test_a_batch_without_a_good_row_is_no_trouble(spark, udf_kind, batch_size, by_id, probs):
    batch_size(1)
    rows = [(0, 0, probs), (1, 0, [0.5, 0.5])]
    table = spark.createDataFrame(rows, "id int, label int, pred_probs array<double>")
    scored = multiclass.score(table, n_classes=2, on_invalid="null", predicted_label=True)
    assert by_id(scored, "label_quality") == [None, 0.5]
    assert by_id(scored, "predicted_label") == [None, 0]
    reasons = by_id(multiclass.validate(table, n_classes=2), "invalid_reason")
    assert [reason is None for reason in reasons] == [False, True]


def test_a_predicted_label_that_the_labels_type_cannot_hold_is_refused(spark):
    row = [0.0] * 200
    row[150] = 1.0
    table = spark.createDataFrame([(3, row)], "label tinyint, pred_probs array<double>")
    with pytest.raises(ColumnError, match=r"'label' is tinyint, too small .* of K = 200 classes"):
        multiclass.score(table, predicted_label=True)
