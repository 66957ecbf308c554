"""Rows and numbers that find_issues refuses when it has read the table."""

import numpy as np
import pytest
from pyspark.errors import PythonException

from lq_spark import NoiseModel, Thresholds, multiclass
from lq_spark.core.confident.joint import sparse
from lq_spark.core.label_issues.rules import COMPARING, FILTERS
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError

GOOD = {"id": "bigint", "label": "int", "pred_probs": "array<float>"}
SCHEMA = ", ".join(f"{name} {kind}" for name, kind in GOOD.items())
NAN = float("nan")


def test_a_rank_that_is_there_already_is_refused_only_where_one_is_added(unread):
    table = unread(**GOOD, issue_rank="int")
    with pytest.raises(ColumnError, match="the table already has 'issue_rank'"):
        multiclass.find_issues(table, issue_rank=True)
    with pytest.raises(Exception, match="the table was read"):
        multiclass.find_issues(table)


@pytest.fixture
def table(spark):
    """Make a table of rows (id, label, pred_probs)."""
    return lambda *rows, schema=SCHEMA: spark.createDataFrame(list(rows), schema)


GOOD_ROWS = [(0, 0, [0.9, 0.1]), (1, 1, [0.2, 0.8]), (2, 0, [0.3, 0.7])]
UNUSABLE = [  # by their label alone, or the probability of their label
    (3, None, [0.5, 0.5]),
    (4, 2, [0.5, 0.5]),
    (5, -1, [0.5, 0.5]),
    (6, 0, None),
    (7, 0, [NAN, 0.5]),
    (8, 0, [None, 0.5]),
]
UNFIT = [
    (9, 0, [0.5, NAN]),
    (10, 0, [0.5, None]),
    (11, 0, [0.5, 0.2]),
    (12, 1, [-0.5, 0.5]),
    (13, 1, [1.5, 0.5]),
]


def test_rows_that_cannot_be_scored_are_counted(table):
    with pytest.raises(InvalidRowsError, match=r"^6 of 9 rows have no usable pred_probs\[label\]"):
        multiclass.find_issues(table(*GOOD_ROWS, *UNUSABLE))
    unfit = r"^5 of 8 rows cannot be scored; multiclass\.validate says which and why$"
    for call in (multiclass.find_issues, multiclass.fit, multiclass.summarize):
        with pytest.raises(InvalidRowsError, match=unfit):
            call(table(*GOOD_ROWS, *UNFIT))


def test_rows_of_several_lengths_are_refused(table):
    rows = table(*GOOD_ROWS, (3, 0, [0.5, 0.25, 0.25]))
    with pytest.raises(InvalidRowsError, match="rows of 2 and rows of 3 probabilities"):
        multiclass.find_issues(rows)


def test_rows_that_a_model_cannot_judge_are_counted(table):
    model = NoiseModel(Thresholds((0.5, 0.5), (10, 10)), sparse(np.diag([8, 8])), 0)
    rows = table(*GOOD_ROWS, *UNUSABLE, *UNFIT, (14, 0, [0.5, 0.25, 0.25]))
    with pytest.raises(InvalidRowsError, match=r"^12 of 15 rows cannot be scored"):
        multiclass.find_issues(rows, fitted=model)


@pytest.mark.spark
def test_rows_judged_by_themselves_fail_the_query(table):
    found = multiclass.find_issues(table(*GOOD_ROWS, *UNFIT), filter_by="confident_learning")
    with pytest.raises(PythonException, match="rows that cannot be scored with K = 2 classes"):
        found.collect()


@pytest.mark.parametrize("filter_by", FILTERS)
def test_where_all_rows_have_one_label_none_is_an_issue(table, by_id, filter_by):
    rows = table((0, 1, [0.1, 0.9]), (1, 1, [0.9, 0.1]), (2, 1, [0.4, 0.6]))
    if filter_by in COMPARING:
        with pytest.raises(DataError) as error:
            multiclass.find_issues(rows, filter_by=filter_by)
        assert str(error.value) == (
            f"filter_by '{filter_by}' needs labels of at least 2 classes, all rows are of class 1"
        )
    else:
        found = multiclass.find_issues(rows, filter_by=filter_by)
        assert by_id(found, "is_label_issue") == [False] * 3


def test_one_class_or_no_row_is_refused(table):
    with pytest.raises(DataError, match="K of at least 2 classes, got K = 1"):
        multiclass.find_issues(table((0, 0, [1.0])))
    for call in (multiclass.find_issues, multiclass.fit, multiclass.summarize):
        with pytest.raises(DataError, match=r"^the table is empty"):
            call(table())


@pytest.fixture
def kept(spark, monkeypatch):
    """The tables that are persisted, and not let go of."""
    tables, kind = [], type(spark.range(1))
    persist, unpersist = kind.persist, kind.unpersist
    monkeypatch.setattr(kind, "persist", lambda df: tables.append(df) or persist(df))
    monkeypatch.setattr(kind, "unpersist", lambda df: tables.remove(df) or unpersist(df))
    return tables


@pytest.mark.parametrize("numbers", [[1], [3, 0]], ids=str)
def test_numbers_to_remove_that_the_classes_do_not_have_are_refused(table, kept, numbers):
    with pytest.raises(OptionError) as error:
        multiclass.find_issues(table(*GOOD_ROWS), num_to_remove_per_class=numbers)
    assert str(error.value) == (
        "num_to_remove_per_class must be 2 numbers, each between 0 and the rows of its class, "
        f"or one number for all, got {numbers}"
    )
    assert kept == []


def test_a_label_column_too_small_for_a_predicted_label_is_refused(table):
    schema = SCHEMA.replace("label int", "label tinyint")
    row = [0.0] * 199 + [1.0]
    with pytest.raises(ColumnError, match=r"'label' is tinyint, too small .* of K = 200 classes"):
        multiclass.find_issues(table((0, 3, row), (1, 4, row), schema=schema))
