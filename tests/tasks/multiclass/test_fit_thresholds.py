import numpy as np
import pytest
from pyspark.sql import functions as F

from lq_spark.core.confident import get_confident_thresholds
from lq_spark.core.confident.thresholds import (
    finish_thresholds,
    merge_class_sums,
    partial_class_sums,
)
from lq_spark.engine.arrow import list_rows
from lq_spark.engine.verbs import reduce_rows
from lq_spark.errors import ColumnError, DataError, InvalidRowsError
from lq_spark.tasks.multiclass.thresholds import fit_thresholds

SCHEMA = "label int, pred_probs array<double>"
GOOD = [(0, [0.5, 0.25, 0.25]), (2, [0.0, 0.25, 0.75])]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", [64, "shuffled"])
def test_thresholds_equal_cores_to_the_bit_however_the_table_is_split(
    table_of, data_set, assert_same_bits, layout, dtype
):
    labels, pred_probs = data_set(dtype=dtype)
    table = table_of(labels, pred_probs)
    table = table.orderBy(F.rand(1)) if layout == "shuffled" else table.repartition(layout)
    fitted = fit_thresholds(table)
    assert_same_bits(fitted.as_array(), get_confident_thresholds(labels, pred_probs))
    assert fitted.class_counts == tuple(np.bincount(labels, minlength=5).tolist())
    assert (fitted.n_rows, fitted.n_classes, fitted.classes) == (300, 5, None)


@pytest.mark.parametrize("partitions", [1, 7])
def test_the_native_pass_and_the_partial_states_of_core_agree_to_the_bit(
    table_of, data_set, assert_same_bits, partitions
):
    labels, pred_probs = data_set(n_classes=40)
    table = table_of(labels, pred_probs).repartition(partitions)

    def partial(batch):
        matrix = list_rows(batch.column(1), 40).matrix
        return partial_class_sums(batch.column(0).to_numpy(), matrix)

    state = reduce_rows(table.select("label", "pred_probs"), partial, merge_class_sums)
    fitted = fit_thresholds(table)
    assert_same_bits(fitted.as_array(), finish_thresholds(state))
    assert fitted.class_counts == tuple(state.counts.tolist())


def test_labels_may_be_class_names(table_of, data_set, assert_same_bits):
    labels, pred_probs = data_set()
    names = ["e", "b", "d", "a", "c"]
    table = table_of(np.array(names)[labels], pred_probs, "string")
    fitted = fit_thresholds(table, classes=names)
    assert_same_bits(fitted.as_array(), get_confident_thresholds(labels, pred_probs))
    assert fitted.classes == tuple(names)


def test_a_class_that_no_row_has_gets_the_threshold_that_none_reaches(spark):
    fitted = fit_thresholds(spark.createDataFrame(GOOD, SCHEMA))
    assert fitted.values == (0.5, 2.0, 0.75)
    assert fitted.class_counts == (1, 0, 1)


def test_a_class_of_hardly_any_confidence_gets_the_lowest_threshold(spark):
    rows = [(0, [1e-9, 1.0]), (0, [0.0, 1.0]), (1, [0.0, 1.0])]
    fitted = fit_thresholds(spark.createDataFrame(rows, SCHEMA))
    assert fitted.values == (2e-6, 1.0)


def test_columns_are_found_by_names_that_need_quoting(spark):
    table = spark.createDataFrame(GOOD, SCHEMA).toDF("given.label", "pred `probs`")
    fitted = fit_thresholds(table, label="given.label", pred_probs="pred `probs`")
    assert fitted.values == (0.5, 2.0, 0.75)


@pytest.mark.parametrize(
    "row",
    [
        (None, [0.5, 0.25, 0.25]),
        (-1, [0.5, 0.25, 0.25]),
        (3, [0.5, 0.25, 0.25]),
        (0, None),
        (0, []),
        (2, [0.5, 0.5]),
        (0, [None, 0.5, 0.5]),
        (0, [float("nan"), 0.5, 0.5]),
        (0, [float("inf"), 0.0, 0.0]),
        (0, [float("-inf"), 0.0, 0.0]),
        (0, [-0.1, 0.6, 0.5]),
        (0, [1.1, 0.0, 0.0]),
    ],
    ids=str,
)
def test_a_row_without_a_usable_probability_of_its_label_is_refused(spark, row):
    with pytest.raises(InvalidRowsError) as error:
        fit_thresholds(spark.createDataFrame([*GOOD, row, *GOOD], SCHEMA))
    assert str(error.value) == (
        "1 of 5 rows have no usable pred_probs[label]; multiclass.validate says which and why"
    )


@pytest.mark.parametrize("row", [(0, [0.5, 0.5]), (0, [0.25] * 4), (3, [0.25] * 4)], ids=str)
def test_rows_of_several_lengths_are_refused(spark, row):
    with pytest.raises(InvalidRowsError) as error:
        fit_thresholds(spark.createDataFrame([*GOOD, row], SCHEMA))
    shortest, longest = sorted([3, len(row[1])])
    assert str(error.value) == (
        f"column 'pred_probs' has rows of {shortest} and rows of {longest} probabilities"
    )


@pytest.mark.parametrize("confidence", [1.00001, 1.0005, -1e-7])
def test_rounding_below_0_and_above_1_is_fine(spark, confidence):
    rows = [(0, [confidence, 1.0 - confidence]), (1, [0.5, 0.5])]
    fitted = fit_thresholds(spark.createDataFrame(rows, SCHEMA))
    assert fitted.values == (pytest.approx(max(confidence, 2e-6), rel=1e-9), 0.5)


def test_how_far_a_probability_may_exceed_1_can_be_chosen(spark):
    table = spark.createDataFrame([(0, [1.0625, 0.0]), (1, [0.5, 0.5])], SCHEMA)
    assert fit_thresholds(table, tolerance=0.125).values == (1.0625, 0.5)
    with pytest.raises(InvalidRowsError, match="1 of 2 rows"):
        fit_thresholds(table)


def test_an_unknown_name_is_refused(spark):
    rows = [("a", [0.5, 0.5]), ("c", [0.5, 0.5])]
    table = spark.createDataFrame(rows, "label string, pred_probs array<float>")
    with pytest.raises(InvalidRowsError, match=r"^1 of 2 rows have no usable"):
        fit_thresholds(table, classes=["a", "b"])


def test_an_empty_table_is_refused(spark):
    with pytest.raises(DataError, match=r"^the table is empty; class thresholds need at least 1"):
        fit_thresholds(spark.createDataFrame([], SCHEMA))


@pytest.mark.parametrize("classes", [["a", "b"], ["a", "b", "c", "d"]], ids=len)
def test_classes_of_another_length_are_refused(spark, classes):
    with pytest.raises(InvalidRowsError, match=f"rows of 3 .* classes has {len(classes)} names$"):
        fit_thresholds(spark.createDataFrame(GOOD, SCHEMA), classes=classes)


def test_one_class_is_refused(spark):
    with pytest.raises(DataError, match="K of at least 2 classes, got K = 1"):
        fit_thresholds(spark.createDataFrame([(0, [1.0])], SCHEMA))


def test_a_wrong_column_is_refused_before_a_job_starts(unread):
    with pytest.raises(
        ColumnError, match=r"^label: no column 'label' in the table; it has 'lable'"
    ):
        fit_thresholds(unread(lable="int", pred_probs="array<float>"))
