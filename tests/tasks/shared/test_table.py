import pytest
from pyspark.sql.types import ShortType

from lq_spark import Thresholds
from lq_spark.errors import DataError
from lq_spark.tasks.shared.classes import agreed_classes, resolved_n_classes
from lq_spark.tasks.shared.labels import (
    NULL_LABEL,
    UNKNOWN_LABEL,
)
from lq_spark.tasks.shared.table import labelled_table

NAMES = ("a", "b", "c")
THRESHOLDS = Thresholds((0.5, 0.6, 0.7), (1, 2, 3))
NAMED = Thresholds((0.5, 0.6, 0.7), (1, 2, 3), NAMES)


@pytest.fixture
def table_of(spark):
    """Make a table of labels of one type, with two probabilities each."""

    def make(labels, label_type="int"):
        rows = [(label, [0.5, 0.5]) for label in labels]
        return spark.createDataFrame(rows, f"label {label_type}, pred_probs array<double>")

    return make


def indices(df, classes=None):
    table = labelled_table(df, label="label", pred_probs="pred_probs", classes=classes)
    return [row[0] for row in df.select(table.index).collect()]


@pytest.mark.parametrize("label_type", ["tinyint", "smallint", "int", "bigint"])
def test_the_index_of_a_number_is_the_number(table_of, label_type):
    assert indices(table_of([3, 0, -1, 127], label_type)) == [3, 0, -1, 127]


def test_the_index_of_a_name_is_its_place_in_the_classes(table_of):
    assert indices(table_of(["c", "a", "b"], "string"), NAMES) == [2, 0, 1]


def test_no_label_and_an_unknown_label_have_indices_of_their_own(table_of):
    assert indices(table_of([None, 1])) == [NULL_LABEL, 1]
    assert indices(table_of([None, "d"], "string"), NAMES) == [NULL_LABEL, UNKNOWN_LABEL]


def test_a_table_knows_the_type_of_its_labels_and_its_classes(table_of):
    table = labelled_table(
        table_of([], "smallint"), label="label", pred_probs="pred_probs", classes=list(NAMES)
    )
    assert table.label_type == ShortType()
    assert table.classes == NAMES


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"n_classes": 3}, 3),
        ({"n_classes": None, "fitted": THRESHOLDS}, 3),
        ({"n_classes": 3, "fitted": NAMED}, 3),
    ],
    ids=str,
)
def test_k_is_what_the_caller_or_the_thresholds_say(unread, options, expected):
    df = unread(label="int", pred_probs="array<float>")
    table = labelled_table(df, label="label", pred_probs="pred_probs", classes=None)
    assert resolved_n_classes(df, table.probabilities, table.label_type, **options) == expected


def test_k_is_the_number_of_classes(unread):
    df = unread(label="int", pred_probs="array<float>")
    table = labelled_table(df, label="label", pred_probs="pred_probs", classes=NAMES)
    assert resolved_n_classes(df, table.probabilities, table.label_type, None) == 3


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ([[0.5, 0.5, 0.0]], 3),
        ([None, [], [0.5, 0.5]], 2),
        ([None, []], 2),
        ([], 2),
    ],
    ids=str,
)
def test_else_k_is_the_length_of_the_first_row_that_has_probabilities(spark, lists, expected):
    rows = [(0, probs) for probs in lists]
    df = spark.createDataFrame(rows, "size int, pred_probs array<double>").coalesce(1)
    table = labelled_table(df, label="size", pred_probs="pred_probs", classes=None)
    assert resolved_n_classes(df, table.probabilities, table.label_type, None) == expected


def test_one_class_is_refused(unread):
    df = unread(label="int", pred_probs="array<float>")
    table = labelled_table(df, label="label", pred_probs="pred_probs", classes=None)
    with pytest.raises(DataError, match="K of at least 2 classes, got K = 1"):
        resolved_n_classes(df, table.probabilities, table.label_type, 1)


@pytest.mark.parametrize(
    ("classes", "thresholds", "expected"),
    [
        (None, None, None),
        (NAMES, None, NAMES),
        (None, THRESHOLDS, None),
        (NAMES, THRESHOLDS, NAMES),
        (None, NAMED, NAMES),
        (list(NAMES), NAMED, NAMES),
    ],
)
def test_classes_come_from_the_call_or_from_the_thresholds(classes, thresholds, expected):
    assert agreed_classes(classes, thresholds) == expected
