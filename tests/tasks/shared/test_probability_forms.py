"""Probabilities in every form that tables have, in every task: the numbers are those of arrays."""

from decimal import Decimal

import pytest

from lq_spark import (
    activelab,
    detection,
    multiannotator,
    multiclass,
    multilabel,
    segmentation,
    tokens,
)
from lq_spark.errors import ColumnError, OptionError

CLASSES = ["cat", "dog"]
LABELS = ["cat", "dog", "dog", "cat", "dog", "cat"]
PROBS = [[0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0.125, 0.875], [0.875, 0.125], [1.0, 0.0]]
TWO = {"classes": CLASSES}

FORMS = {
    "array of decimals": ("array<decimal(5,4)>", lambda p: [*map(Decimal, p)], TWO),
    "struct": ("struct<dog:double,cat:double>", lambda p: (p[1], p[0]), TWO),
    "struct of decimals": (
        "struct<cat:decimal(5,4),dog:float>",
        lambda p: (Decimal(p[0]), p[1]),
        TWO,
    ),
    "struct without classes": ("struct<cat:double,dog:double>", tuple, {}),
    "map": ("map<string,double>", lambda p: {"dog": p[1], "cat": p[0]}, TWO),
    "map of floats": ("map<string,float>", lambda p: dict(zip(CLASSES, p, strict=True)), TWO),
    "one number": ("double", lambda p: p[1], TWO),
    "one float": ("float", lambda p: p[1], TWO),
    "one decimal": ("decimal(5,4)", lambda p: Decimal(p[1]), TWO),
}


def of_rows(spark, kind, values, **options):
    rows = [(i, x, p) for i, (x, p) in enumerate(zip(LABELS, values, strict=True))]
    table = spark.createDataFrame(rows, f"id int, label string, pred_probs {kind}")
    yield multiclass.validate(table, **options)
    yield multiclass.score(table, adjust_pred_probs=True, predicted_label=True, **options)
    yield multiclass.find_issues(table, filter_by="predicted_neq_given", **options)
    yield multiclass.find_issues(table, **options)
    multiclass.summarize(table, **options)


def of_tokens(spark, kind, values, **options):
    rows = [(i // 2, i % 2, x, p) for i, (x, p) in enumerate(zip(LABELS, values, strict=True))]
    kinds = f"sentence_id int, token_index int, label string, pred_probs {kind}"
    table = spark.createDataFrame(rows, kinds)
    options["token_index"] = "token_index"
    yield tokens.validate(table, **options)
    yield tokens.score(table, **options)
    yield tokens.find_issues(table, **options)
    tokens.summarize(table, **options)


def of_sentences(spark, kind, values, **options):
    rows = [(i, LABELS[i : i + 2], values[i : i + 2]) for i in range(0, len(LABELS), 2)]
    kinds = f"sentence_id int, labels array<string>, pred_probs array<{kind}>"
    table = spark.createDataFrame(rows, kinds)
    yield tokens.validate(table, **options)
    yield tokens.score(table, **options)
    yield tokens.score(table, level="token", **options)
    yield tokens.find_issues(table, **options)


def of_sets(spark, kind, values, **options):
    rows = [(i, [x], p) for i, (x, p) in enumerate(zip(LABELS, values, strict=True))]
    table = spark.createDataFrame(rows, f"id int, labels array<string>, pred_probs {kind}")
    yield multilabel.validate(table, **options)
    yield multilabel.score(table, **options)
    yield multilabel.find_issues(table, **options)


def of_crowd(task):
    def make(spark, kind, values, **options):
        given = [(i, who, x) for i, x in enumerate(LABELS) for who in ("ann", "bob")]
        given += [(0, "cy", "dog"), (1, "cy", "cat")]
        annotations = spark.createDataFrame(given, "item int, annotator string, label string")
        items = spark.createDataFrame([*enumerate(values)], f"item int, pred_probs {kind}")
        yield task.validate(annotations, items, **options).items
        yield task.score(annotations, items, **options).items

    return make


TASKS = {
    "multiclass": of_rows,
    "tokens": of_tokens,
    "sentences": of_sentences,
    "multilabel": of_sets,
    "multiannotator": of_crowd(multiannotator),
    "activelab": of_crowd(activelab),
}


def rows_of(table):
    shown = [name for name in table.columns if name != "pred_probs"]
    return sorted((tuple(row) for row in table.select(*shown).collect()), key=repr)


@pytest.fixture(scope="module")
def made_of_arrays():
    """What was made of arrays, by task."""
    return {}


@pytest.fixture
def of_arrays(spark, made_of_arrays):
    """Return the rows of all that a task makes of arrays, in the order in which it does."""

    def make(task):
        if task not in made_of_arrays:
            tables = TASKS[task](spark, "array<double>", PROBS, **TWO)
            made_of_arrays[task] = [rows_of(table) for table in tables]
        return made_of_arrays[task]

    return make


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("form", FORMS)
def test_probabilities_mean_the_same_in_every_form(spark, of_arrays, task, form):
    kind, made, options = FORMS[form]
    values = [made(p) for p in PROBS]
    if task == "multilabel" and form.startswith("one "):
        with pytest.raises(ColumnError, match="one number; a row may have several labels"):
            list(TASKS[task](spark, kind, values, **options))
        return
    found = TASKS[task](spark, kind, values, **options)
    for got, expected in zip(found, of_arrays(task), strict=True):
        assert rows_of(got) == expected


@pytest.mark.parametrize(
    "task", ["multiclass", "tokens", "multilabel", "multiannotator", "activelab"]
)
@pytest.mark.parametrize(
    "kinds", [("double", "double"), ("float", "float"), ("decimal(5,4)", "float")]
)
@pytest.mark.parametrize("names", [("cat", "dog"), ("p_cat", "p.dog")])
def test_a_column_a_class_is_an_array(spark, of_arrays, task, kinds, names):
    values = [
        tuple(Decimal(x) if "dec" in k else x for x, k in zip(p, kinds, strict=True)) for p in PROBS
    ]

    class Apart:
        """Gives a session whose tables have two columns in place of ``pred_probs``."""

        @staticmethod
        def createDataFrame(rows, schema):
            if "pred_probs" not in schema:
                return spark.createDataFrame(rows, schema)
            table = spark.createDataFrame(rows, schema)
            kept = [name for name in table.columns if name != "pred_probs"]
            parts = [table["pred_probs"][f"_{k}"].alias(name) for k, name in enumerate(names)]
            return table.select(*kept, *parts)

    struct = f"struct<_0:{kinds[0]},_1:{kinds[1]}>"
    models = [list(names)] if task in ("multiannotator", "activelab") else list(names)
    options = {} if names == ("cat", "dog") else TWO
    found = TASKS[task](Apart, struct, values, pred_probs=models, **options)
    for got, expected in zip(found, of_arrays(task), strict=True):
        assert rows_of(got.drop(*names)) == expected


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"cat": 0.5}, "pred_probs of wrong length"),
        ({"cat": 0.5, "dog": 0.5, "cow": 0.0}, "pred_probs of wrong length"),
        ({"cat": 0.5, "cow": 0.5}, "null probability"),
        ({"cat": None, "dog": 0.5}, "null probability"),
        (None, "null pred_probs"),
        ({}, "pred_probs of wrong length"),
    ],
    ids=str,
)
def test_a_map_without_a_class_or_with_others_is_a_fault_of_its_row(spark, task, bad, reason):
    values = [dict(zip(CLASSES, p, strict=True)) for p in PROBS]
    values[3] = bad
    checked = next(TASKS[task](spark, "map<string,double>", values, **TWO))
    reasons = [row["invalid_reason"] for row in checked.collect()]
    found = [text for text in reasons if text is not None]
    assert found
    assert all(text.endswith(reason) for text in found)


ROWS = {"label": "string", "id": "int"}
NUMBERS = {"label": "int", "id": "int"}


@pytest.mark.parametrize(
    ("types", "options", "message"),
    [
        (ROWS | {"pred_probs": "map<string,double>"}, {}, "so classes is needed: .* its keys"),
        (ROWS | {"pred_probs": "map<int,double>"}, TWO, "maps by class names, which are strings"),
        (ROWS | {"pred_probs": "struct<p_cat:double,p_dog:double>"}, TWO, "are not the classes"),
        (ROWS | {"pred_probs": "struct<cat:double>"}, TWO, "are not the classes"),
        (NUMBERS | {"pred_probs": "struct<cat:double,dog:double>"}, {}, "no strings: give classes"),
        (ROWS | {"pred_probs": "double"}, {"classes": ["a", "b", "c"]}, "classes has 3 names"),
        (ROWS | {"pred_probs": "double"}, {}, "label: column 'label' is string, so classes is"),
        (
            NUMBERS | {"pred_probs": "double"},
            {"n_classes": 3},
            "pred_probs is of 2 classes, K is 3",
        ),
        (
            ROWS | {"p_cat": "double", "p_dog": "double"},
            {"pred_probs": ["p_cat", "p_dog"]},
            "do not look like labels: give classes",
        ),
        (ROWS | {"a": "double"}, {"pred_probs": ["a"]}, "at least two, one a class"),
        (ROWS | {"a": "double"}, {"pred_probs": ["a", "a"]}, "at least two, one a class"),
        (ROWS | {"a": "double"}, {"pred_probs": ["a", "b"]}, "no column 'b'"),
        (ROWS | {"a": "double", "b": "int"}, {"pred_probs": ["a", "b"]}, "column 'b' is int"),
        (
            ROWS | {"a": "double", "b": "double"},
            {"pred_probs": {"a": 0, "b": 1}.keys()},
            "no certain order",
        ),
        (
            ROWS | {"a": "double", "b": "double"},
            {"pred_probs": ["a", "b"], "classes": ["x", "y", "z"]},
            "classes has 3 names, pred_probs names 2 columns",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "function", [multiclass.score, multiclass.validate], ids=lambda function: function.__name__
)
def test_what_is_not_clear_is_refused_before_a_job(unread, function, types, options, message):
    with pytest.raises((ColumnError, OptionError), match=message):
        function(unread(**types), **options)


def test_fields_named_as_indices_are_read_in_their_order(spark, by_id):
    rows = [(0, 0, (0.125, 0.75, 0.125)), (1, 2, (0.5, 0.25, 0.25))]
    kinds = "id int, label int, pred_probs struct<`1`:double,`0`:double,`2`:double>"
    table = spark.createDataFrame(rows, kinds)
    assert by_id(multiclass.score(table), "label_quality") == [0.75, 0.25]


def test_columns_of_one_number_are_no_models(unread):
    annotations = unread(item="int", annotator="string", label="int")
    items = unread(item="int", a="double", b="double")
    for task in (multiannotator.fit, activelab.score):
        with pytest.raises(OptionError, match="give them as a list in a list"):
            task(annotations, items, pred_probs=["a", "b"])


def test_sentences_have_one_column(unread):
    table = unread(sentence_id="int", labels="array<int>", a="array<double>", b="array<double>")
    with pytest.raises(OptionError, match="must be a column of arrays in a table of sentences"):
        tokens.score(table, pred_probs=["a", "b"])


UNORDERED = [{"cat", "dog"}, frozenset({"cat", "dog"}), dict.fromkeys({"cat", "dog"}).keys()]


@pytest.mark.parametrize("names", UNORDERED, ids=lambda names: type(names).__name__)
def test_classes_without_an_order_are_refused(unread, names):
    box = "array<struct<x1:double,y1:double,x2:double,y2:double,label:string{}>>"
    rows = unread(**ROWS, pred_probs="array<double>")
    sentences = unread(sentence_id="int", labels="array<string>", pred_probs="array<array<double>>")
    sets = unread(id="int", labels="array<string>", pred_probs="array<double>")
    boxes = unread(id="int", labels=box.format(""), predictions=box.format(",prob:double"))
    given = unread(item="int", annotator="string", label="string")
    items = unread(item="int", pred_probs="array<double>")
    pixels = unread(
        id="int", label_mask="array<array<int>>", pred_probs="array<array<array<double>>>"
    )
    modules = {
        multiclass: (rows,),
        tokens: (sentences,),
        multilabel: (sets,),
        detection: (boxes,),
        multiannotator: (given, items),
        activelab: (given, items),
    }
    for module, tables in modules.items():
        for name in ("score", "find_issues", "fit", "fit_thresholds", "summarize", "validate"):
            if function := getattr(module, name, None):
                with pytest.raises(OptionError, match="classes must be a list of names"):
                    function(*tables, classes=names)
    with pytest.raises(OptionError, match="classes must be a list of names"):
        segmentation.summarize(pixels, classes=names)
