"""Options, columns and rows that find_issues refuses, most of them before a job reads the table."""

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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"filter_by": "prune_by_noise_rates"},
            "filter_by must be one of 'prune_by_noise_rate', 'prune_by_class', 'both', "
            "'confident_learning', 'predicted_neq_given', 'low_normalized_margin', "
            "'low_self_confidence', got 'prune_by_noise_rates'; "
            "did you mean 'prune_by_noise_rate'?",
        ),
        ({"filter_by": None}, "filter_by must be one of "),
        ({"filter_by": "cleanlab"}, "filter_by must be one of "),
        ({"frac_noise": 1.5}, "frac_noise must be between 0 and 1, got 1.5"),
        ({"frac_noise": -0.1}, "frac_noise must be between 0 and 1, got -0.1"),
        ({"frac_noise": NAN}, "frac_noise must be between 0 and 1, got nan"),
        ({"min_examples_per_class": -1}, "min_examples_per_class must be at least 0, got -1"),
        (
            {"filter_by": "confident_learning", "frac_noise": 0.5},
            "frac_noise and num_to_remove_per_class go with "
            "['prune_by_noise_rate', 'prune_by_class', 'both'], not 'confident_learning'",
        ),
        (
            {"filter_by": "low_self_confidence", "num_to_remove_per_class": [1, 1]},
            "frac_noise and num_to_remove_per_class go with ",
        ),
        (
            {"collision_rule": "highest"},
            "collision_rule must be one of 'highest_of_all', 'highest_reached', got 'highest'",
        ),
        ({"method": "margin"}, "method must be one of "),
        (
            {"method": "confidence_weighted_entropy", "adjust_pred_probs": True},
            "adjust_pred_probs=True is not defined for method 'confidence_weighted_entropy'",
        ),
        ({"tolerance": 1.0}, "tolerance must be a number from 0 to below 1, got 1.0"),
        ({"classes": ["a"]}, "classes must have at least 2 names, got 'a'"),
        ({"classes": ["a", "b", "a"]}, "classes must not have a name twice, got 'a' twice"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_before_a_job_starts(unread, options, message):
    with pytest.raises(OptionError) as error:
        multiclass.find_issues(unread(**GOOD), **options)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("types", "message"),
    [
        (
            {"label": "int", "pred_probs": "array<float>"},
            "id: no column 'id' in the table; it has 'label', 'pred_probs'",
        ),
        (
            {"id": "int", "lable": "int", "pred_probs": "array<float>"},
            "label: no column 'label' in the table; it has 'id', 'lable', 'pred_probs'; "
            "did you mean 'lable'?",
        ),
        (
            {"id": "int", "label": "int", "probs": "array<float>"},
            "pred_probs: no column 'pred_probs' in the table",
        ),
        ({**GOOD, "id": "double"}, "id: column 'id' is double; allowed are whole numbers"),
        ({**GOOD, "id": "array<int>"}, "id: column 'id' is array<int>; allowed are"),
        ({**GOOD, "label": "date"}, "label: column 'label' is date; allowed are"),
        ({**GOOD, "label": "string"}, "label: column 'label' is string, so classes is needed"),
        ({**GOOD, "pred_probs": "array<int>"}, "pred_probs: column 'pred_probs' is array<int>"),
        *(
            ({**GOOD, name: "int"}, f"the table already has '{name}', which would be added")
            for name in ("is_label_issue", "predicted_label", "label_quality")
        ),
    ],
    ids=str,
)
def test_a_wrong_column_is_refused_before_a_job_starts(unread, types, message):
    with pytest.raises(ColumnError) as error:
        multiclass.find_issues(unread(**types))
    assert str(error.value).startswith(message)


def test_a_rank_that_is_there_already_is_refused_only_where_one_is_added(unread):
    table = unread(**GOOD, issue_rank="int")
    with pytest.raises(ColumnError, match="the table already has 'issue_rank'"):
        multiclass.find_issues(table, issue_rank=True)
    with pytest.raises(Exception, match="the table was read"):
        multiclass.find_issues(table)


@pytest.mark.parametrize("function", [multiclass.fit, multiclass.summarize])
@pytest.mark.parametrize(
    ("types", "options", "message"),
    [
        ({"label": "int"}, {}, "pred_probs: no column 'pred_probs'"),
        ({**GOOD, "label": "string"}, {}, "so classes is needed"),
        (GOOD, {"classes": ["a"]}, "classes must have at least 2 names"),
        (GOOD, {"tolerance": -1}, "tolerance must be a number"),
    ],
    ids=str,
)
def test_fit_and_summarize_refuse_before_a_job_starts(unread, function, types, options, message):
    with pytest.raises((ColumnError, OptionError), match=message):
        function(unread(**types), **options)


def test_fit_refuses_an_unknown_collision_rule(unread):
    with pytest.raises(OptionError, match="collision_rule must be one of"):
        multiclass.fit(unread(**GOOD), collision_rule="highest")


@pytest.fixture
def table(spark):
    """Make a table of rows (id, label, pred_probs)."""
    return lambda *rows, schema=SCHEMA: spark.createDataFrame(list(rows), schema)


@pytest.mark.parametrize("ids", [[0, None], [1, 1], ["a", None], ["a", "a"]], ids=str)
def test_an_id_that_is_null_or_occurs_twice_is_refused(table, ids):
    schema = SCHEMA.replace("bigint", "string") if isinstance(ids[0], str) else SCHEMA
    rows = table((ids[0], 0, [0.5, 0.5]), (ids[1], 1, [0.5, 0.5]), schema=schema)
    with pytest.raises(InvalidRowsError) as error:
        multiclass.find_issues(rows)
    assert str(error.value) == (
        "id: column 'id' has nulls or values that occur twice; multiclass.validate says which rows"
    )


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
