"""Labels of every type in every task: whole numbers in floats and decimals, booleans, char(n)."""

from decimal import Decimal

import numpy as np
import pytest
from pyspark.errors import PythonException
from pyspark.sql import functions as F

from lq_spark import (
    activelab,
    detection,
    multiannotator,
    multiclass,
    multilabel,
    segmentation,
    tokens,
)
from lq_spark.errors import ColumnError, InvalidRowsError, OptionError

NAN, INF = float("nan"), float("inf")
LABELS = [0, 1, 1, 0, 1, 0]
PROBS = [[0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0.125, 0.875], [0.875, 0.125], [1.0, 0.0]]
TYPES = {"double": float, "float": float, "decimal(3,0)": Decimal, "boolean": bool, "bigint": int}
BOX = "x1:double,y1:double,x2:double,y2:double,label:{}"
CORNERS = (0.0, 0.0, 4.0, 4.0)


def of_rows(spark, labels, kind, **options):
    rows = [(i, x, p) for i, (x, p) in enumerate(zip(labels, PROBS, strict=True))]
    table = spark.createDataFrame(rows, f"id int, label {kind}, pred_probs array<double>")
    table = with_char(table, "label", options.pop("char", None))
    given = {"classes": options["classes"]} if "classes" in options else {}
    issues = multiclass.find_issues
    return {
        "scores": lambda: multiclass.score(table, predicted_label=True, **options),
        "issues": lambda: issues(table, filter_by="predicted_neq_given", **given),
        "fit": lambda: multiclass.fit_thresholds(table, **given),
        "reasons": lambda: multiclass.validate(table, **options),
    }


def of_tokens(spark, labels, kind, **options):
    rows = [(i // 2, i % 2, x, p) for i, (x, p) in enumerate(zip(labels, PROBS, strict=True))]
    kinds = f"sentence_id int, token_index int, label {kind}, pred_probs array<double>"
    table = spark.createDataFrame(rows, kinds)
    table = with_char(table, "label", options.pop("char", None))
    options["token_index"] = "token_index"
    return {
        "scores": lambda: tokens.score(table, **options),
        "issues": lambda: tokens.find_issues(table, filter_by="predicted_neq_given", **options),
        "fit": lambda: tokens.fit(table, **options),
        "reasons": lambda: tokens.validate(table, **options),
    }


def of_sentences(spark, labels, kind, **options):
    rows = [(i, labels[i : i + 2], PROBS[i : i + 2]) for i in range(0, len(labels), 2)]
    kinds = f"sentence_id int, labels array<{kind}>, pred_probs array<array<double>>"
    table = spark.createDataFrame(rows, kinds)
    table = with_char(table, "labels", options.pop("char", None))
    return {
        "scores": lambda: tokens.score(table, **options),
        "issues": lambda: tokens.find_issues(table, filter_by="predicted_neq_given", **options),
        "fit": lambda: tokens.fit(table, **options),
        "reasons": lambda: tokens.validate(table, **options),
    }


def of_sets(spark, labels, kind, **options):
    rows = [(i, [x], p) for i, (x, p) in enumerate(zip(labels, PROBS, strict=True))]
    table = spark.createDataFrame(rows, f"id int, labels array<{kind}>, pred_probs array<double>")
    table = with_char(table, "labels", options.pop("char", None))
    issues = multilabel.find_issues
    return {
        "scores": lambda: multilabel.score(table, **options),
        "issues": lambda: issues(table, filter_by="predicted_neq_given", **options),
        "fit": lambda: multilabel.fit(table, **options),
        "reasons": lambda: multilabel.validate(table, **options),
    }


def of_boxes(spark, labels, kind, **options):
    rows = [
        (i, [(*CORNERS, x)], [(*CORNERS, labels[0], p[0])])
        for i, (x, p) in enumerate(zip(labels, PROBS, strict=True))
    ]
    box = BOX.format(kind)
    kinds = f"id int, labels array<struct<{box}>>, predictions array<struct<{box},prob:double>>"
    table = spark.createDataFrame(rows, kinds)
    table = with_char(table, "labels", options.pop("char", None))
    return {
        "scores": lambda: detection.score(table, **options),
        "issues": lambda: detection.find_issues(table, **options),
        "fit": lambda: detection.fit(table, **options),
        "reasons": lambda: detection.validate(table, **options),
    }


def of_crowd(task):
    def make(spark, labels, kind, **options):
        given = [(i, who, x) for i, x in enumerate(labels) for who in ("ann", "bob")]
        given += [(0, "cy", labels[1]), (1, "cy", labels[1])]
        annotations = spark.createDataFrame(given, f"item int, annotator string, label {kind}")
        annotations = with_char(annotations, "label", options.pop("char", None))
        rows = list(enumerate(PROBS))
        items = spark.createDataFrame(rows, "item int, pred_probs array<double>")

        def scores():
            return task.score(annotations, items, **options).items

        def of_labels():
            made = task.score(annotations, items, **options)
            return made.annotations if task is multiannotator else made.items

        return {
            "scores": scores,
            "issues": of_labels,
            "fit": scores,
            "reasons": lambda: task.validate(annotations, items, **options).annotations,
        }

    return make


def of_pixels(spark, labels, kind, **options):
    masks = [[labels[:3]], [labels[3:]]]
    probs = [[[[p[k] for p in PROBS[at : at + 3]]] for k in range(2)] for at in (0, 3)]
    rows = list(zip([0, 1], masks, probs, strict=True))
    kinds = f"id int, label_mask array<array<{kind}>>, pred_probs array<array<array<double>>>"
    table = spark.createDataFrame(rows, kinds)
    return {
        "scores": lambda: segmentation.score(table, **options),
        "issues": lambda: segmentation.find_issues(table, downsample=1, **options),
        "fit": lambda: segmentation.fit(table, downsample=1, **options),
        "reasons": lambda: segmentation.validate(table, downsample=1, **options),
    }


TASKS = {
    "multiclass": of_rows,
    "tokens": of_tokens,
    "sentences": of_sentences,
    "multilabel": of_sets,
    "detection": of_boxes,
    "multiannotator": of_crowd(multiannotator),
    "activelab": of_crowd(activelab),
    "segmentation": of_pixels,
}
NAMED = [name for name in TASKS if name != "segmentation"]


def with_char(table, name, char):
    """Return the table with a column as Spark shows one of char(n)."""
    if char is None:
        return table
    return table.withMetadata(name, {"__CHAR_VARCHAR_TYPE_STRING": char})


def plain(value):
    """Return a value of a table with each label as a float, which compares with any number."""
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return float(value) if isinstance(value, (bool, int, Decimal)) else value


def two(task):
    """Return the option that says K, where the functions of a task have it."""
    return {} if task in ("sentences", "tokens") else {"n_classes": 2}


def rows_of(table):
    return sorted((plain(tuple(row)) for row in table.collect()), key=repr)


STEPS = ("scores", "issues", "reasons")


@pytest.fixture(scope="module")
def of_integers():
    """The rows that were made of whole numbers, by task."""
    return {}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", TYPES)
def test_a_label_means_the_same_in_every_type(spark, of_integers, task, kind):
    def made(kind):
        return TASKS[task](spark, [TYPES.get(kind, int)(x) for x in LABELS], kind, **two(task))

    if task not in of_integers:
        as_integers = made("int")
        of_integers[task] = {step: rows_of(as_integers[step]()) for step in STEPS}
    found = made(kind)
    for step in STEPS:
        assert rows_of(found[step]()) == of_integers[task][step], step
    reasons = found["reasons"]().select("invalid_reason").collect()
    assert [row[0] for row in reasons] == [None] * len(reasons)


@pytest.mark.parametrize(
    ("task", "step", "column", "expected"),
    [
        ("multiclass", "scores", "predicted_label", "{}"),
        ("multiclass", "issues", "predicted_label", "{}"),
        ("tokens", "scores", "worst_given_label", "{}"),
        ("tokens", "issues", "predicted_label", "{}"),
        ("sentences", "scores", "worst_predicted_label", "{}"),
        ("sentences", "issues", "predicted_label", "{}"),
        ("multilabel", "issues", "suspect_classes", "array<{}>"),
        ("multilabel", "issues", "suggested_labels", "array<{}>"),
        ("multiannotator", "scores", "consensus_label", "{}"),
        ("activelab", "scores", "consensus_label", "{}"),
    ],
)
@pytest.mark.parametrize("kind", TYPES)
def test_labels_of_results_have_the_type_of_the_given_ones(
    spark, task, step, column, expected, kind
):
    table = TASKS[task](spark, [TYPES[kind](x) for x in LABELS], kind)[step]()
    assert dict(table.dtypes)[column] == expected.format(kind)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("bad", [0.5, NAN, INF, -INF, 1.0000001], ids=str)
def test_a_number_that_is_not_whole_is_a_fault_of_its_row(spark, task, bad):
    labels = [float(x) for x in LABELS]
    labels[3] = bad
    checked = TASKS[task](spark, labels, "double", **two(task))["reasons"]()
    reasons = {row["invalid_reason"] for row in checked.collect()} - {None}
    assert len(reasons) == 1
    assert all(reason.endswith("label not a whole number") for reason in reasons)
    with pytest.raises((InvalidRowsError, PythonException), match=r"cannot be scored|no usable"):
        made = TASKS[task](spark, labels, "double", **two(task))["issues"]()
        made.collect()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("bad", "kind"), [(2.0, "double"), (1e300, "double"), (-1.0, "float")])
def test_a_whole_number_that_is_no_class_is_out_of_range(spark, task, bad, kind):
    labels = [float(x) for x in LABELS]
    labels[3] = bad
    checked = TASKS[task](spark, labels, kind, **two(task))["reasons"]()
    reasons = {row["invalid_reason"] for row in checked.collect()} - {None}
    assert reasons
    assert all("out of range" in reason or "outside 0..K-1" in reason for reason in reasons)


@pytest.mark.parametrize("task", [name for name in TASKS if name not in ("detection",)])
def test_booleans_are_two_classes(unread, task):
    types = {"label": "boolean", "labels": "array<boolean>", "id": "int", "item": "int"}
    types |= {"pred_probs": "array<double>", "annotator": "string", "sentence_id": "int"}
    calls = {
        "multiclass": lambda: multiclass.score(unread(**types), n_classes=3),
        "multilabel": lambda: multilabel.score(unread(**types), n_classes=3),
        "multiannotator": lambda: multiannotator.fit(unread(**types), unread(**types), n_classes=3),
        "activelab": lambda: activelab.score(unread(**types), unread(**types), n_classes=3),
        "sentences": lambda: tokens.score(
            unread(**types | {"pred_probs": "array<array<double>>"}), n_classes=3
        ),
        "tokens": lambda: tokens.score(
            unread(**types, token_index="int"), token_index="token_index", n_classes=3
        ),
    }
    if task in calls:
        with pytest.raises(ColumnError, match="boolean"):
            calls[task]()


@pytest.mark.parametrize("task", NAMED)
@pytest.mark.parametrize("told", [["cat", "dog"], ["cat  ", "dog"]], ids=str)
def test_blanks_at_the_end_of_char_do_not_count(spark, task, told):
    names = ["cat", "dog"]
    plain_labels = [names[x] for x in LABELS]
    padded = [f"{name:5}" for name in plain_labels]
    char = {"sentences": "array<char(5)>", "multilabel": "array<char(5)>"}.get(task, "char(5)")
    char = f"array<struct<{BOX.format('char(5)')}>>" if task == "detection" else char
    expected = TASKS[task](spark, plain_labels, "string", classes=names)
    found = TASKS[task](spark, padded, "string", classes=told, char=char)
    reasons = [row["invalid_reason"] for row in found["reasons"]().collect()]
    assert reasons == [None] * len(reasons)

    def numbers(table):
        names = [name for name, kind in table.dtypes if kind in ("double", "boolean")]
        return rows_of(table.select(*names))

    for step in ("scores", "issues"):
        assert numbers(found[step]()) == numbers(expected[step]()), step
    # varchar has no padding: a blank is one.
    unknown = TASKS[task](
        spark, padded, "string", classes=names, char=char.replace("char", "varchar")
    )
    reasons = [row["invalid_reason"] or "" for row in unknown["reasons"]().collect()]
    assert any("label not in classes: 'cat  '" in reason for reason in reasons)
    with pytest.raises(OptionError, match="differ by blanks at the end alone"):
        TASKS[task](spark, padded, "string", classes=["cat", "cat "], char=char)["reasons"]()


@pytest.mark.parametrize("dtype", ["bool", "float32", "float64", "uint8", "int64"])
def test_a_mask_of_bytes_may_be_of_any_type_of_numbers(spark, dtype):
    mask = np.array([LABELS[:3], LABELS[3:]], dtype)
    probs = np.array(PROBS).T.reshape(2, 2, 3)
    names = ("data", "shape", "dtype")

    def made(mask):
        columns, row = [], [0]
        for name, array in (("label_mask", mask), ("pred_probs", probs)):
            row += [array.tobytes(), list(array.shape), str(array.dtype)]
            kinds = ("binary", "array<int>", "string")
            columns += [
                f"{name}{'' if part == 'data' else '_' + part} {kind}"
                for part, kind in zip(names, kinds, strict=True)
            ]
        return spark.createDataFrame([tuple(row)], f"id int, {', '.join(columns)}")

    def found(table):
        [row] = segmentation.find_issues(table).collect()
        return row["label_quality"], row["num_pixel_issues"], row["issue_mask"]

    assert found(made(mask)) == found(made(mask.astype("int32")))
    if mask.dtype.kind == "f":
        for bad, reason in ((0.5, "label not a whole number"), (2.0, "label out of range")):
            other = mask.copy()
            other[1, 2] = bad
            [row] = segmentation.validate(made(other)).collect()
            assert row["invalid_reason"] == f"pixel (1, 2): {reason}"


@pytest.mark.parametrize("kind", TYPES)
def test_boxes_are_counted_by_labels_of_every_type(spark, kind):
    boxes = f"array<struct<{BOX.format(kind)}>>"
    predicted = f"array<struct<{BOX.format(kind)},prob:double>>"
    made = TYPES[kind]
    rows = [(i, [(*CORNERS, made(x))], [(*CORNERS, made(x), 0.5)]) for i, x in enumerate(LABELS)]
    table = spark.createDataFrame(rows, f"id int, labels {boxes}, predictions {predicted}")
    counted = detection.summarize(table).classes
    assert counted.iloc[:, 1].tolist() == [3, 3]


@pytest.mark.parametrize("task", NAMED)
def test_labels_that_are_no_classes_are_shown(spark, task):
    names = ["cat", "dog"]
    labels = [names[x] for x in LABELS]
    labels[2:4] = ["cat ", "Dog"]
    found = TASKS[task](spark, labels, "string", classes=names)
    checked = found["reasons"]()
    reasons = " ".join(row["invalid_reason"] or "" for row in checked.collect())
    assert "label not in classes: 'cat '" in reasons
    for step in ("scores", "issues", "fit"):
        with pytest.raises((InvalidRowsError, PythonException), match=r"\('Dog'|\('cat '"):
            found[step]().select(F.lit(1), "*").collect()
