"""Wrong columns and options: refused on the driver, before a job reads the table."""

import pytest
from pyspark.sql.types import ArrayType, FloatType

from lq_spark import Thresholds, multiclass
from lq_spark.errors import ColumnError, DataError, OptionError

GOOD = {"label": "int", "pred_probs": "array<float>"}
THRESHOLDS = Thresholds((0.5, 0.6, 0.7), (1, 2, 3))
NAMED_THRESHOLDS = Thresholds((0.5, 0.6), (1, 2), ("a", "b"))
ADJUSTED = {"adjust_pred_probs": True, "thresholds": THRESHOLDS}
FUNCTIONS = [multiclass.fit_thresholds, multiclass.score, multiclass.validate]
K_FROM_OPTIONS = [multiclass.score, multiclass.validate]


def name_of(function):
    return function.__name__ if callable(function) else None


def test_a_job_that_read_the_table_would_fail(unread):
    with pytest.raises(Exception, match="the table was read"):
        multiclass.fit_thresholds(unread(**GOOD))


@pytest.mark.parametrize("function", FUNCTIONS, ids=name_of)
@pytest.mark.parametrize(
    ("types", "message"),
    [
        (
            {"lable": "int", "pred_probs": "array<float>", "id": "int"},
            "label: no column 'label' in the table; it has 'lable', 'pred_probs', 'id'; "
            "did you mean 'lable'?",
        ),
        (
            {"label": "int", "probability": "array<float>"},
            "pred_probs: no column 'pred_probs' in the table; it has 'label', 'probability'",
        ),
        (
            {**GOOD, "label": "decimal(4,2)"},
            "label: column 'label' is decimal(4,2); "
            "allowed are whole numbers (in a float, double or decimal(p,0) too), booleans and str",
        ),
        (
            {**GOOD, "label": "array<int>"},
            "label: column 'label' is array<int>; allowed are whole numbers (in a float",
        ),
        (
            {**GOOD, "label": "string"},
            "label: column 'label' is string, so classes is needed: "
            "the class names in the order of the probabilities",
        ),
        *(
            (
                {**GOOD, "pred_probs": kind},
                f"pred_probs: column 'pred_probs' is {kind}; "
                "allowed are array<float>, array<double> and a Spark ML vector",
            )
            for kind in ["array<int>", "array<string>", "int", "array<array<double>>"]
        ),
    ],
    ids=str,
)
def test_a_wrong_column_is_refused(unread, function, types, message):
    with pytest.raises(ColumnError) as error:
        function(unread(**types))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("function", FUNCTIONS, ids=name_of)
@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "classes must have at least 2 names, got "),
        (["a"], "classes must have at least 2 names, got 'a'"),
        (["a", "b", "a", "c", "c"], "classes must not have a name twice, got 'a', 'c' twice"),
        ("ab", "classes must be a list of names, got 'ab'"),
        ([0, 1], "classes must be a list of names, got [0, 1]"),
        (["a", None], "classes must be a list of names, got ['a', None]"),
    ],
    ids=str,
)
def test_wrong_classes_are_refused(unread, function, classes, message):
    with pytest.raises(OptionError) as error:
        function(unread(**GOOD), classes=classes)
    assert str(error.value) == message


@pytest.mark.parametrize("function", K_FROM_OPTIONS, ids=name_of)
@pytest.mark.parametrize("n_classes", [1, 0, -3])
def test_fewer_than_two_classes_are_refused(unread, function, n_classes):
    with pytest.raises(DataError) as error:
        function(unread(**GOOD), n_classes=n_classes)
    assert str(error.value) == (f"label quality needs K of at least 2 classes, got K = {n_classes}")


@pytest.mark.parametrize("function", K_FROM_OPTIONS, ids=name_of)
def test_one_class_in_the_first_row_is_refused(spark, function):
    table = spark.createDataFrame([(0, [1.0])], "label int, pred_probs array<float>")
    with pytest.raises(DataError, match="K of at least 2 classes, got K = 1"):
        function(table)


@pytest.mark.parametrize("function", K_FROM_OPTIONS, ids=name_of)
def test_classes_and_k_that_differ_are_refused(unread, function):
    with pytest.raises(OptionError, match=r"^classes has 2 names, K is 3$"):
        function(unread(**GOOD), classes=["a", "b"], n_classes=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "self_confidenc"},
            "method must be one of 'self_confidence', 'normalized_margin', "
            "'confidence_weighted_entropy', got 'self_confidenc'; "
            "did you mean 'self_confidence'?",
        ),
        (
            {"method": "confidence_weighted_entropy", "adjust_pred_probs": True},
            "adjust_pred_probs=True is not defined for method 'confidence_weighted_entropy'; "
            "use 'self_confidence' or 'normalized_margin'",
        ),
        (
            {"on_invalid": "quarantine"},
            "on_invalid must be one of 'fail', 'null', got 'quarantine'",
        ),
        (
            {"thresholds": THRESHOLDS},
            "thresholds are given but adjust_pred_probs is False; set it to True",
        ),
        (
            {**ADJUSTED, "n_classes": 4},
            "thresholds has K = 3 classes, n_classes is 4",
        ),
        (
            {**ADJUSTED, "classes": ["a", "b"]},
            "classes has 2 names, K is 3",
        ),
        (
            {**ADJUSTED, "thresholds": NAMED_THRESHOLDS, "classes": ["b", "a"]},
            "thresholds has classes ['a', 'b'], classes is ['b', 'a']",
        ),
        (
            {**ADJUSTED, "thresholds": NAMED_THRESHOLDS, "classes": ["a", "b", "c"]},
            "thresholds has classes ['a', 'b'], classes is ['a', 'b', 'c']",
        ),
        (
            {**ADJUSTED, "thresholds": NAMED_THRESHOLDS, "n_classes": 3},
            "thresholds has K = 2 classes, n_classes is 3",
        ),
    ],
    ids=str,
)
def test_a_wrong_option_of_score_is_refused(unread, options, message):
    with pytest.raises(OptionError) as error:
        multiclass.score(unread(**GOOD), **options)
    assert str(error.value) == message


def test_thresholds_bring_their_classes(unread):
    table = unread(label="string", pred_probs="array<float>")
    scored = multiclass.score(table, adjust_pred_probs=True, thresholds=NAMED_THRESHOLDS)
    assert scored.columns == ["label", "pred_probs", "label_quality"]


@pytest.mark.parametrize(
    ("function", "there", "options"),
    [
        (multiclass.score, "label_quality", {}),
        (multiclass.score, "predicted_label", {"predicted_label": True}),
        (multiclass.validate, "invalid_reason", {}),
    ],
)
def test_a_column_that_is_there_already_is_not_replaced(unread, function, there, options):
    with pytest.raises(ColumnError) as error:
        function(unread(**GOOD, **{there: "double"}), n_classes=3, **options)
    assert str(error.value) == (
        f"the table already has '{there}', which would be added; rename or drop it first"
    )


def test_a_predicted_label_that_is_there_stays_where_none_is_asked_for(unread):
    table = unread(**GOOD, predicted_label="int")
    assert multiclass.score(table, n_classes=3).columns == [*table.columns, "label_quality"]


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({}, "id: no column 'id' in the table; it has 'label', 'pred_probs'"),
        ({"id": "double"}, "id: column 'id' is double; allowed are whole numbers, strings,"),
        ({"id": "array<int>"}, "id: column 'id' is array<int>; allowed are whole numbers,"),
    ],
    ids=str,
)
def test_a_wrong_id_is_refused(unread, types, message):
    with pytest.raises(ColumnError) as error:
        multiclass.validate(unread(**GOOD, **types), id="id", n_classes=3)
    assert str(error.value).startswith(message)


def test_validate_starts_no_job_where_k_is_known(unread):
    checked = multiclass.validate(unread(**GOOD, id="int"), id="id", n_classes=3)
    assert checked.columns == ["label", "pred_probs", "id", "invalid_reason"]
    assert checked.schema["pred_probs"].dataType == ArrayType(FloatType())
