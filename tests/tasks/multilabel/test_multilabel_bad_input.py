"""Wrong options and columns fail before a job starts; bad rows are named, not scored."""

import numpy as np
import pytest

from lq_spark import multilabel
from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.errors import ColumnError, InvalidRowsError, LqError, OptionError

FIT = {"id": "int", "labels": "array<int>", "pred_probs": "array<float>"}
NAMED = {**FIT, "labels": "array<string>"}
MODEL = MultilabelModel(
    np.full((2, 2), 0.5), np.ones((2, 2), int), np.ones((2, 2, 2), int), 0, ("a", "b")
)

EACH = [multilabel.score, multilabel.fit, multilabel.find_issues, multilabel.find_issues_per_class]
EACH += [multilabel.validate, multilabel.summarize]


@pytest.mark.parametrize("function", EACH)
@pytest.mark.parametrize(
    ("types", "options", "message"),
    [
        (FIT, {"labels": "label"}, "labels: no column 'label' in the table; .*did you mean"),
        ({**FIT, "labels": "int"}, {}, "labels: column 'labels' is int; allowed are arrays of"),
        ({**FIT, "labels": "array<date>"}, {}, "labels: column 'labels' is array<date>; allowed"),
        ({**FIT, "pred_probs": "array<int>"}, {}, "pred_probs: column 'pred_probs' is array<int>"),
        (NAMED, {}, "labels: column 'labels' holds strings, so classes is needed"),
        (NAMED, {"classes": ["a", "a"]}, "classes must not have a name twice"),
        (NAMED, {"classes": ["a", "b"], "n_classes": 3}, "classes has 2 names, K is 3"),
        (FIT, {"n_classes": 1}, "K of at least 2 classes, got K = 1"),
        (FIT, {"n_classes": "2"}, "n_classes must be a whole number"),
        ({**FIT, "labels": "array<tinyint>"}, {"n_classes": 200}, "is tinyint, too small"),
    ],
)
def test_wrong_columns_are_refused_before_a_job(unread, function, types, options, message):
    with pytest.raises(LqError, match=message):
        function(unread(**types), **options)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (multilabel.score, {"method": "margin"}, "method must be one of"),
        (multilabel.score, {"on_invalid": "drop"}, "on_invalid must be one of"),
        (multilabel.score, {"aggregator_kwargs": {"method": "max"}}, "method must be one of"),
        (multilabel.score, {"fitted": MODEL}, "adjust_pred_probs is False; set it to True"),
        (
            multilabel.score,
            {"fitted": MODEL, "adjust_pred_probs": True, "classes": ["b", "a"]},
            r"fitted has classes \['a', 'b'\], classes is \['b', 'a'\]",
        ),
        (multilabel.find_issues, {"filter_by": "prune"}, "filter_by must be one of"),
        (multilabel.find_issues, {"frac_noise": -1}, "frac_noise must be between 0 and 1"),
        (multilabel.find_issues, {"id": "key"}, "id: no column 'key'"),
        (multilabel.find_issues, {"fitted": 1}, "fitted must be a MultilabelModel or None, got 1"),
        (multilabel.find_issues, {"fitted": MODEL, "n_classes": 3}, "fitted has K = 2 classes"),
        (multilabel.find_issues, {"num_to_remove_per_class": [1]}, "must be 2 numbers"),
        (multilabel.find_issues_per_class, {"filter_by": "all"}, "filter_by must be one of"),
        (multilabel.find_issues_per_class, {"id": "class"}, "id: column 'class' is named as"),
    ],
)
def test_wrong_options_are_refused_before_a_job(unread, function, options, message):
    with pytest.raises(LqError, match=message):
        function(unread(**FIT, **{"class": "int"}), **{"n_classes": 2, **options})


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (multilabel.score, "label_quality"),
        (multilabel.validate, "Invalid_reason"),
        (multilabel.find_issues, "is_label_issue"),
        (multilabel.find_issues, "suggested_labels"),
    ],
)
def test_a_column_that_would_be_added_may_not_be_there(unread, function, name):
    with pytest.raises(ColumnError, match="the table already has"):
        function(unread(**FIT, **{name: "int"}), n_classes=2)


ROWS = [
    (1, ["a"], [0.75, 0.5], None),
    (2, ["a", "b", "a"], [0.5, 0.5], "label given twice"),
    (3, ["c"], [0.5, 0.5], "label not in classes: 'c'"),
    (4, None, [0.5, 0.5], "null labels"),
    (5, [None], [0.5, 0.5], "null label"),
    (6, [], [0.5, None], "null probability"),
    (7, [], [0.5], "pred_probs of wrong length"),
    (8, [], [0.5, 1.5], "probability above 1"),
    (9, [], [float("nan"), 0.5], "probability not finite"),
    (10, [], None, "null pred_probs"),
    (11, [], [0.0, 0.0], "duplicate id"),
    (11, ["c"], [0.0, 0.0], "duplicate id"),
    (None, ["b"], [0.0, 1.0], "null id"),
]


@pytest.fixture
def table(spark):
    """A good row, and rows with each fault; ``row`` tells them apart."""
    schema = "id int, labels array<string>, pred_probs array<double>, reason string, row int"
    rows = [(*row, n) for n, row in enumerate(ROWS)]
    return spark.createDataFrame(rows, schema).repartition(3)


def test_validate_names_the_fault_of_each_row(table, by_id):
    options = {"classes": ["a", "b"]}
    checked = multilabel.validate(table, id="id", **options)
    assert checked.columns == [*table.columns, "invalid_reason"]
    assert by_id(checked, "invalid_reason", id="row") == [row[3] for row in ROWS]
    of_rows = [row[3] if not str(row[3]).endswith(" id") else None for row in ROWS]
    of_rows[11] = "label not in classes: 'c'"
    checked = multilabel.validate(table, **options)
    assert by_id(checked, "invalid_reason", id="row") == of_rows

    scored = multilabel.score(table, on_invalid="null", **options)
    quality = by_id(scored, "label_quality", id="row")
    assert [value is None for value in quality] == [reason is not None for reason in of_rows]
    assert quality[0] == pytest.approx(0.8 * 0.5 + 0.2 * 0.75)


def test_a_row_that_cannot_be_scored_fails_what_needs_them_all(table):
    one, options = table.where("id in (1, 2)"), {"classes": ["a", "b"]}
    with pytest.raises(Exception, match="1 rows with label given twice"):
        multilabel.score(one, **options).collect()
    text = "1 of 2 rows cannot be scored with K = 2 classes; multilabel.validate says which and why"
    for function in (multilabel.fit, multilabel.find_issues, multilabel.summarize):
        with pytest.raises(InvalidRowsError, match=text):
            function(one, **options)
    with pytest.raises(InvalidRowsError, match="'id' has nulls or values that occur twice"):
        multilabel.find_issues_per_class(table, **options)


def test_numbers_of_other_classes_are_refused(table):
    good = table.where("id = 1").selectExpr("id", "array(0) labels", "array(0.1D, 0.2D, 0.3D) p")
    with pytest.raises(OptionError, match="fitted has K = 2 classes, the table has K = 3"):
        unnamed = MultilabelModel(MODEL.thresholds, MODEL.class_counts, MODEL.confident_counts, 0)
        multilabel.find_issues(good, pred_probs="p", fitted=unnamed)
    with pytest.raises(OptionError, match="num_to_remove_per_class must be 3 numbers"):
        multilabel.find_issues(good, pred_probs="p", num_to_remove_per_class=[2, 0, 0])


@pytest.mark.parametrize("function", [multilabel.fit, multilabel.summarize])
def test_a_table_without_rows_says_nothing_of_its_noise(table, function):
    with pytest.raises(LqError, match="the table is empty"):
        function(table.where("id = 0"), classes=["a", "b"])
