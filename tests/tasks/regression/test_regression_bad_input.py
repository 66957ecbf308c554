"""Bad tables of numbers: refused, named by validate, left out by score."""

import numpy as np
import pytest

from lq_spark import regression
from lq_spark.core.regression import get_label_quality_scores
from lq_spark.errors import ColumnError, InvalidRowsError, OptionError

KINDS = {"id": "int", "label": "double", "prediction": "double"}
NAN, INF = float("nan"), float("inf")
ALL = [regression.score, regression.validate, regression.find_issues, regression.summarize]
SCORING = [regression.score, regression.find_issues, regression.summarize]


@pytest.mark.parametrize("function", ALL, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    ("types", "options", "error", "message"),
    [
        ({"label": None}, {}, ColumnError, "label: no column 'label' in the table; it has 'id'"),
        ({"prediction": None}, {}, ColumnError, "prediction: no column 'prediction' in the table"),
        (
            {"label": "string"},
            {},
            ColumnError,
            "label: column 'label' is string; allowed are whole",
        ),
        ({"label": "boolean"}, {}, ColumnError, "label: column 'label' is boolean; allowed are"),
        ({"prediction": "array<double>"}, {}, ColumnError, "prediction: column 'prediction' is ar"),
        ({}, {"uncertainty": "u"}, ColumnError, "uncertainty: no column 'u' in the table"),
        ({}, {"uncertainty": -1}, OptionError, "uncertainty must be the name of a column or a fin"),
        ({}, {"uncertainty": NAN}, OptionError, "uncertainty must be the name of a column or a "),
        ({}, {"uncertainty": True}, OptionError, "uncertainty must be the name of a column or a "),
    ],
    ids=str,
)
def test_a_wrong_column_is_refused(unread, function, types, options, error, message):
    kinds = {name: kind for name, kind in {**KINDS, **types}.items() if kind}
    how = dict(options)
    if options and function is not regression.validate:
        how["method"] = "uncertainty"
        how |= {} if function is regression.score else {"frac_issues": 0.5}
    with pytest.raises(error) as raised:
        function(unread(**kinds), **how)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("function", SCORING, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "outer"},
            "method must be one of 'outre', 'residual', 'uncertainty', got 'oute",
        ),
        ({"method": "uncertainty"}, "method 'uncertainty' needs uncertainty: a column or a number"),
        ({"uncertainty": 1.0}, "uncertainty is given but method is 'outre'; it is for method"),
        ({"exact_up_to": -1}, "exact_up_to must be a whole number of rows, at least 0, got -1"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(unread, function, options, message):
    with pytest.raises(OptionError) as error:
        function(unread(**KINDS), **options)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "residual"},
            "method 'residual' needs threshold or frac_issues: only the",
        ),
        ({"threshold": 0.5, "frac_issues": 0.5}, "threshold and frac_issues are both given; one"),
        ({"threshold": 1.5}, "threshold must be a number from 0 to 1, got 1.5"),
        ({"threshold": NAN}, "threshold must be a number from 0 to 1, got nan"),
        ({"frac_issues": 2}, "frac_issues must be a number from 0 to 1, got 2"),
    ],
    ids=str,
)
def test_a_wrong_rule_is_refused(unread, options, message):
    for function in (regression.find_issues, regression.summarize):
        with pytest.raises(OptionError) as error:
            function(unread(**KINDS), **options)
        assert str(error.value).startswith(message)


def test_other_wrong_calls_are_refused(unread):
    with pytest.raises(OptionError, match="on_invalid must be one of 'fail', 'null', got 'drop'"):
        regression.score(unread(**KINDS), on_invalid="drop")
    with pytest.raises(ColumnError, match="id: column 'id' is double; allowed are"):
        regression.find_issues(unread(**{**KINDS, "id": "double"}))
    for function, name in (
        (regression.score, "label_quality"),
        (regression.validate, "invalid_reason"),
        (regression.find_issues, "predicted_label"),
    ):
        with pytest.raises(ColumnError, match=f"the table already has '{name}'"):
            function(unread(**KINDS, **{name: "double"}))


ROWS = [
    (0, 1.0, 1.5, 0.5, None),
    (1, None, 1.0, 1.0, "null label"),
    (2, 1.0, None, 1.0, "null prediction"),
    (3, NAN, 1.0, 1.0, "label not finite"),
    (4, -INF, 1.0, 1.0, "label not finite"),
    (5, 1.0, INF, 1.0, "prediction not finite"),
    (6, 1.0, 1.1e300, 1.0, "prediction not finite"),
    (7, 1e300, -1e300, 1.0, None),
    (8, 1.0, 2.0, None, "null uncertainty"),
    (9, 1.0, 3.0, NAN, "uncertainty not finite"),
    (10, 1.0, 4.0, -0.5, "uncertainty below 0"),
    (11, 2.0, 2.0, 0.0, None),
    (12, 2.0, 2.0, 1.0, "duplicate id"),
    (12, NAN, 2.0, 1.0, "duplicate id"),
    (None, 2.0, 2.0, 1.0, "null id"),
]


@pytest.fixture
def table(spark):
    """Rows with each fault among good ones; ``row`` tells them apart, ``reason`` is why."""
    rows = [(n, *row) for n, row in enumerate(ROWS)]
    schema = "row int, `row.id` int, label double, prediction double, u double, reason string"
    return spark.createDataFrame(rows, schema).coalesce(1)


def test_validate_names_the_fault_of_each_row(table, by_id):
    checked = regression.validate(table, id="row.id", uncertainty="u")
    assert checked.columns == [*table.columns, "invalid_reason"]
    assert by_id(checked, "invalid_reason", id="row") == [row[-1] for row in ROWS]
    # Without an id and an uncertainty to look at:
    of_numbers = {n: row[-1] for n, row in enumerate(ROWS) if n in (1, 2, 3, 4, 5, 6)}
    of_numbers[13] = "label not finite"
    found = by_id(regression.validate(table), "invalid_reason", id="row")
    assert found == [of_numbers.get(n) for n in range(len(ROWS))]


def test_rows_that_cannot_be_scored_are_left_null_and_change_no_other(table, by_id):
    rows = table.where("abs(label) < 1e300 or label is null or isnan(label)")
    faulty = {1, 2, 3, 5, 6, 13}
    good = [n for n in range(len(ROWS)) if n not in {*faulty, 4, 7}]
    scores = get_label_quality_scores([ROWS[n][1] for n in good], [ROWS[n][2] for n in good])
    scored = regression.score(rows, on_invalid="null").select("row", "label_quality").collect()
    expected = {**dict.fromkeys(faulty), **dict(zip(good, scores.tolist(), strict=True))}
    assert dict(map(tuple, scored)) == expected


@pytest.mark.spark
def test_rows_that_cannot_be_scored_fail(table):
    with pytest.raises(InvalidRowsError, match=r"^7 of 15 rows cannot be scored; regression\.vali"):
        regression.score(table)
    with pytest.raises(InvalidRowsError, match=r"^10 of 15 rows cannot be scored"):
        regression.score(table, method="uncertainty", uncertainty="u")
    with pytest.raises(Exception, match=r"null prediction; regression\.validate names all such"):
        regression.score(table.where("row = 2"), method="residual").collect()
    with pytest.raises(InvalidRowsError, match=r"^id: column 'row\.id' has nulls or values that o"):
        regression.find_issues(table, id="row.id")


def test_the_largest_numbers_are_scored(table, by_id):
    rows = table.where("row in (0, 7, 11)")
    labels, predictions = np.array([1.0, 1e300, 2.0]), np.array([1.5, -1e300, 2.0])
    expected = get_label_quality_scores(labels, predictions)
    assert by_id(regression.score(rows), "label_quality", id="row") == expected.tolist()
    assert np.isfinite(expected).all()


def test_columns_may_have_any_names(table):
    rows = table.where("row = 0").toDF("a.b", "row.id", "given`label", "p p", "u.u", "reason")
    names = {"label": "given`label", "prediction": "p p"}
    [row] = regression.find_issues(
        rows, id="row.id", **names, method="uncertainty", uncertainty="u.u", frac_issues=1
    ).collect()
    assert (row["a.b"], row["is_label_issue"], row["label_quality"]) == (0, True, np.exp(-1.0))
