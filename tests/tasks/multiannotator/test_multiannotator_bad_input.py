"""Bad annotations and items: refused, named by validate, left out by score."""

import numpy as np
import pytest

from lq_spark import activelab, multiannotator
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError

ANNOTATIONS = {"item": "int", "annotator": "string", "label": "int"}
ITEMS = {"item": "bigint", "pred_probs": "array<float>"}
OF_CROWDLAB = [multiannotator.fit, multiannotator.score, multiannotator.validate]
FUNCTIONS = [*OF_CROWDLAB, activelab.score, activelab.validate]
EACH = pytest.mark.parametrize(
    "function", FUNCTIONS, ids=lambda f: f"{f.__module__.rpartition('.')[2]}.{f.__name__}"
)


@pytest.mark.parametrize(
    ("annotations", "items", "message"),
    [
        ({"item": None}, {}, "item: no column 'item' in the table; it has 'annotator', 'label'"),
        ({"annotator": None}, {}, "annotator: no column 'annotator' in the table"),
        ({"label": None}, {}, "label: no column 'label' in the table"),
        ({}, {"item": None}, "item: no column 'item' in the table; it has 'pred_probs'"),
        ({}, {"pred_probs": None}, "pred_probs: no column 'pred_probs' in the table"),
        ({"item": "string"}, {}, "item: column 'item' is string in the annotations and bigint in "),
        ({}, {"item": "double"}, "item: column 'item' is double; allowed are whole numbers, str"),
        ({"annotator": "double"}, {}, "annotator: column 'annotator' is double; allowed are tiny"),
        ({"label": "date"}, {}, "label: column 'label' is date; allowed are whole"),
        ({"label": "string"}, {}, "label: column 'label' is string, so classes is needed"),
        ({}, {"pred_probs": "array<int>"}, "pred_probs: column 'pred_probs' is array<int>; allowe"),
    ],
    ids=str,
)
def test_a_wrong_column_is_refused(unread, annotations, items, message):
    tables = [
        unread(**{name: kind for name, kind in {**kinds, **changed}.items() if kind})
        for kinds, changed in ((ANNOTATIONS, annotations), (ITEMS, items))
    ]
    with pytest.raises(ColumnError) as error:
        multiannotator.fit(*tables)
    assert str(error.value).startswith(message)


@EACH
def test_a_wrong_option_is_refused(unread, function):
    tables = unread(**ANNOTATIONS), unread(**ITEMS)
    for options, error, message in (
        ({"item": "id"}, ColumnError, "item: no column 'id' in the table"),
        ({"pred_probs": []}, OptionError, "pred_probs must name a column, or a column for each mo"),
        ({"pred_probs": ["pred_probs"] * 2}, OptionError, "each once, got ['pred_probs', 'pred_p"),
        ({"classes": ["a"]}, OptionError, "classes must have at least 2 names"),
        ({"n_classes": 1}, DataError, "label quality needs K of at least 2 classes, got K = 1"),
        ({"n_classes": 2.5}, OptionError, "n_classes must be a whole number of at least 2"),
        ({"n_classes": 3, "classes": ["a", "b"]}, OptionError, "classes has 2 names, K is 3"),
        ({"tolerance": -1}, OptionError, "tolerance must be "),
    ):
        with pytest.raises(error) as raised:
            function(*tables, **options)
        assert message in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"consensus_method": "best"}, "consensus_method must be one of 'best_quality', 'majorit"),
        ({"quality_method": "agree"}, "quality_method must be one of 'crowdlab', 'agreement'"),
        ({"on_invalid": "drop"}, "on_invalid must be one of 'fail', 'null', got 'drop'"),
    ],
    ids=str,
)
def test_a_wrong_option_of_the_scores_is_refused(unread, options, message):
    functions = OF_CROWDLAB[:2] if "on_invalid" not in options else [*OF_CROWDLAB[:2], FUNCTIONS[3]]
    for function in functions:
        with pytest.raises(OptionError) as raised:
            function(unread(**ANNOTATIONS), unread(**ITEMS), **options)
        assert str(raised.value).startswith(message)
    for options, message in (
        ({"method": "margin"}, "method must be one of "),
        ({"fitted": 3}, "fitted must be a MultiannotatorModel or None, got 3"),
    ):
        with pytest.raises(OptionError, match=message):
            multiannotator.score(unread(**ANNOTATIONS), unread(**ITEMS), **options)


@pytest.fixture(scope="module")
def rows():
    """Fit annotations and items, and bad ones with the reason of each."""
    rng = np.random.default_rng(0)
    items = [(i, *rng.dirichlet(np.ones(3), size=2).tolist(), None) for i in range(40)]
    annotations = [
        (i, f"a{a}", int(rng.integers(3)), None)
        for i in range(40)
        for a in rng.choice(6, size=3, replace=False)
    ]
    half, uniform = [0.5, 0.5, 0.0], [1 / 3] * 3
    items += [
        (100, half, [0.5, 0.5], "p1: pred_probs of wrong length"),
        (101, [0.5, 0.75, -0.25], None, "p0: probability below 0"),
        (102, uniform, uniform, "no annotation"),
        (103, uniform, uniform, "no annotation"),
        (104, uniform, uniform, None),
    ]
    annotations += [
        (100, "a0", 1, "item that cannot be scored"),
        (103, None, 1, "null annotator"),
        (999, "a0", 1, "item not in the items"),
        (None, "a0", 1, "null item"),
        (104, "a0", 1, None),
        (104, "a1", None, "null label"),
        (104, "a2", 3, "label out of range"),
        (104, "a3", -1, "label out of range"),
        (104, "a4", 2**40, "label out of range"),
        (104, "a5", 0, "item labelled twice by the annotator"),
        (104, "a5", 1, "item labelled twice by the annotator"),
        (104, "nobody else", 9, "label out of range"),  # all that this one did
    ]
    return annotations, items


def tables_of(spark, rows, item="bigint"):
    annotations, items = rows
    schemas = (
        f"item {item}, annotator string, label bigint, reason string",
        f"item {item}, p0 array<double>, p1 array<double>, reason string",
    )
    return [
        spark.createDataFrame(table, schema).repartition(3)
        for table, schema in zip((annotations, items), schemas, strict=True)
    ]


MODELS = {"pred_probs": ["p0", "p1"], "n_classes": 3}


def test_all_that_cannot_be_scored_is_named(spark, rows):
    annotations, items = tables_of(spark, rows)
    checked = multiannotator.validate(annotations, items, **MODELS)
    assert checked.items.columns == [*items.columns, "invalid_reason"]
    assert checked.annotations.columns == [*annotations.columns, "invalid_reason"]
    for table, given in zip(checked, (annotations, items), strict=True):
        found = table.collect()
        assert len(found) == given.count()
        assert [row for row in found if row.reason != row.invalid_reason] == []
    for_active_learning = activelab.validate(annotations, items, **MODELS).items
    reasons = {row.item: row.invalid_reason for row in for_active_learning.collect()}
    assert (reasons[102], reasons[103]) == (None, None)
    assert reasons[101] == "p0: probability below 0"


def test_items_that_are_there_twice_are_named_and_refused(spark, rows):
    annotations, items = tables_of(spark, rows)
    twice = items.unionByName(items.where("item = 7"))
    checked = multiannotator.validate(annotations, twice, **MODELS)
    found = checked.items.where("item = 7").collect()
    assert [row.invalid_reason for row in found] == ["duplicate item"] * 2
    found = checked.annotations.where("item = 7").collect()
    assert [row.invalid_reason for row in found] == ["item that cannot be scored"] * 3
    for function in (multiannotator.score, activelab.score):
        with pytest.raises(InvalidRowsError, match="'item' of the items has nulls or values that"):
            function(annotations, twice, **MODELS, on_invalid="null")


def test_what_cannot_be_scored_fails_or_is_left_out(spark, rows):
    annotations, items = tables_of(spark, rows)
    with pytest.raises(InvalidRowsError) as error:
        multiannotator.fit(annotations, items, **MODELS)
    assert "; 4 annotations with label out of range; " in str(error.value)
    assert "1 items with pred_probs of wrong length" in str(error.value)

    scores = multiannotator.score(annotations, items, **MODELS, on_invalid="null")
    fit = [table.where("reason is null") for table in (annotations, items)]
    expected = multiannotator.score(*fit, **MODELS)
    assert "nobody else" not in scores.model.annotators
    assert scores.model.to_json() == expected.model.to_json()
    for name, n_bad in (("items", 4), ("annotations", 11)):
        found, wanted = (getattr(table, name).collect() for table in (scores, expected))
        good = [row for row in found if row[-1] is not None]
        assert sorted(good) == sorted(wanted)
        assert len(found) == len(good) + n_bad
    assert sorted(scores.annotators.collect()) == sorted(expected.annotators.collect())
    names = {row.annotator for row in scores.annotations.where("label_quality is null").collect()}
    assert {"nobody else", None} < names


def test_annotators_that_were_not_fitted_are_named(spark, rows):
    annotations, items = tables_of(spark, rows)
    annotations, items = annotations.where("reason is null"), items.where("reason is null")
    fitted = multiannotator.fit(annotations.where("annotator != 'a5'"), items, **MODELS)
    with pytest.raises(Exception, match="annotations with annotator not fitted"):
        multiannotator.score(annotations, items, fitted=fitted, **MODELS).items.collect()
    scores = multiannotator.score(annotations, items, fitted=fitted, **MODELS, on_invalid="null")
    unknown = [row.annotator for row in scores.annotations.where("label_quality is null").collect()]
    checked = multiannotator.validate(annotations, items, fitted=fitted, **MODELS).annotations
    reasons = [row for row in checked.collect() if row.invalid_reason is not None]
    assert {row.invalid_reason for row in reasons} == {"annotator not fitted"}
    assert unknown == ["a5"] * len(reasons) != []
    for options, message in (
        ({**MODELS, "pred_probs": "p0"}, "fitted has 2 models, pred_probs names the columns 'p0'"),
        ({**MODELS, "n_classes": 7}, "fitted has K = 3 classes, n_classes is 7"),
        ({"quality_method": "agreement", **MODELS}, "'quality_method' is for fitting; fitted has"),
    ):
        with pytest.raises(OptionError, match=message):
            multiannotator.score(annotations, items, fitted=fitted, **options)
    numbers = annotations.selectExpr("item", "length(annotator) as annotator", "label")
    with pytest.raises(OptionError, match="fitted has annotators such as 'a0', column 'annotator'"):
        multiannotator.score(numbers, items, fitted=fitted, **MODELS)
