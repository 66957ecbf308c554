"""Bad tables of images: refused before a job starts, or named by validate."""

import pytest

from lq_spark import SegmentationModel, Thresholds, segmentation
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError

NESTED = {
    "id": "int",
    "label_mask": "array<array<int>>",
    "pred_probs": "array<array<array<float>>>",
}
BINARY = {
    "id": "int",
    "label_mask": "binary",
    "label_mask_shape": "array<int>",
    "label_mask_dtype": "string",
    "pred_probs": "binary",
    "pred_probs_shape": "array<int>",
    "pred_probs_dtype": "string",
}
FUNCTIONS = [
    segmentation.score,
    segmentation.validate,
    segmentation.fit,
    segmentation.find_issues,
    segmentation.summarize,
]
FITTED = SegmentationModel(Thresholds((0.5, 0.5), (1, 1)), 1, 0.25, 1, 1)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    ("types", "message"),
    [
        (NESTED | {"label_mask": None}, "label_mask: no column 'label_mask' in the table; it has"),
        (NESTED | {"pred_probs": None}, "pred_probs: no column 'pred_probs' in the table"),
        (NESTED | {"label_mask": "array<int>"}, "label_mask: column 'label_mask' is array<int>; a"),
        (NESTED | {"label_mask": "array<array<string>>"}, "label_mask: column 'label_mask' is arr"),
        (NESTED | {"pred_probs": "array<array<float>>"}, "pred_probs: column 'pred_probs' is arr"),
        (NESTED | {"pred_probs": "string"}, "pred_probs: column 'pred_probs' is string; allowed"),
        (
            BINARY | {"label_mask_shape": None},
            "label_mask: column 'label_mask' is binary, so columns 'label_mask_shape' (array<int>)",
        ),
        (BINARY | {"pred_probs_dtype": None}, "pred_probs: column 'pred_probs' is binary, so col"),
        (
            BINARY | {"label_mask_shape": "string"},
            "label_mask: column 'label_mask_shape' is string; allowed are arrays of whole numbers",
        ),
        (
            BINARY | {"pred_probs_dtype": "int"},
            "pred_probs: column 'pred_probs_dtype' is int; allowed is string",
        ),
    ],
    ids=str,
)
def test_a_wrong_column_is_refused(unread, function, types, message):
    table = unread(**{name: kind for name, kind in types.items() if kind})
    with pytest.raises(ColumnError) as error:
        function(table)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("function", "options", "error", "message"),
    [
        ("score", {"method": "mean"}, OptionError, "method must be one of "),
        ("score", {"temperature": 0}, OptionError, "temperature must be a number above 0, got 0"),
        ("score", {"on_invalid": "drop"}, OptionError, "on_invalid must be one of "),
        (
            "score",
            {"method": "num_pixel_issues"},
            OptionError,
            "fitted (see segmentation.fit) goes",
        ),
        (
            "score",
            {"fitted": FITTED},
            OptionError,
            "fitted (see segmentation.fit) goes with method",
        ),
        ("score", {"tolerance": 2}, OptionError, "tolerance must be "),
        ("score", {"n_classes": 1}, DataError, "label quality needs K of at least 2 classes"),
        ("score", {"n_classes": 2.5}, OptionError, "n_classes must be a whole number"),
        ("fit", {"downsample": 0}, OptionError, "downsample must be a whole number of at least 1"),
        ("validate", {"downsample": "2"}, OptionError, "downsample must be a whole number of at "),
        ("find_issues", {"method": "mean"}, OptionError, "method must be one of "),
        ("find_issues", {"temperature": -1}, OptionError, "temperature must be a number above 0"),
        ("find_issues", {"id": "key"}, ColumnError, "id: no column 'key' in the table"),
        ("find_issues", {"id": "label_mask"}, ColumnError, "id: column 'label_mask' is array"),
        ("find_issues", {"fitted": 3}, OptionError, "fitted must be a SegmentationModel or None"),
        (
            "find_issues",
            {"fitted": FITTED, "downsample": 2},
            OptionError,
            "fitted was made with downsample 1, got 2",
        ),
        (
            "find_issues",
            {"fitted": FITTED, "n_classes": 3},
            OptionError,
            "fitted has K = 2 classes, n_classes is 3",
        ),
        ("summarize", {"classes": ["a"]}, OptionError, "classes must have at least 2 names"),
        (
            "summarize",
            {"classes": ["a", "b"], "n_classes": 3},
            OptionError,
            "classes has 2 names, K is 3",
        ),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(unread, function, options, error, message):
    with pytest.raises(error) as raised:
        getattr(segmentation, function)(unread(**NESTED), **options)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("function", "name"),
    [("score", "label_quality"), ("validate", "invalid_reason"), ("find_issues", "issue_mask")],
)
def test_a_column_that_would_be_added_may_not_be_there(unread, function, name):
    with pytest.raises(ColumnError, match=f"the table already has '{name}'"):
        getattr(segmentation, function)(unread(**NESTED, **{name: "double"}), n_classes=2)


GOOD, PROBS = [[0, 1]], [[[0.75, 0.5]], [[0.25, 0.5]]]
ROWS = [
    (1, GOOD, PROBS, None),
    (2, GOOD, None, "null pred_probs"),
    (3, [[0, 5]], PROBS, "pixel (0, 1): label out of range"),
    (4, GOOD, [[[0.75, 0.5, 0.5]], [[0.25, 0.5, 0.5]]], "label_mask and pred_probs differ in "),
    (5, GOOD, [[[float("nan"), 0.5]], [[0.25, 0.5]]], "pixel (0, 0): probability not finite"),
    (6, GOOD, [*PROBS, [[0.0, 0.0]]], "pred_probs of another number of classes"),
    (7, GOOD, PROBS, "duplicate id"),
    (7, None, PROBS, "duplicate id"),
    (None, GOOD, PROBS, "null id"),
]


@pytest.fixture
def table(spark):
    """Images with each fault among good ones."""
    schema = "n int, id int, label_mask array<array<int>>, pred_probs array<array<array<double>>>"
    rows = [(n, *row[:3]) for n, row in enumerate(ROWS)]
    return spark.createDataFrame(rows, schema).coalesce(1)


def test_validate_names_the_fault_of_each_image(table, by_id):
    checked = segmentation.validate(table.repartition(3), id="id", n_classes=2)
    assert checked.columns == [*table.columns, "invalid_reason"]
    for (*_, expected), reason in zip(ROWS, by_id(checked, "invalid_reason", id="n"), strict=True):
        assert (reason or "").startswith(expected or "")
        assert (reason is None) == (expected is None)


def test_the_number_of_classes_is_that_of_the_first_image(table, by_id):
    found = by_id(segmentation.validate(table), "invalid_reason", id="n")
    assert found == by_id(segmentation.validate(table, n_classes=2), "invalid_reason", id="n")
    three = segmentation.validate(table.where("id = 6")).collect()
    assert [row["invalid_reason"] for row in three] == [None]


@pytest.mark.parametrize("function", [segmentation.find_issues, segmentation.summarize])
def test_ids_that_are_null_or_occur_twice_are_refused(table, function):
    for rows in ("id is null", "id = 7"):
        with pytest.raises(InvalidRowsError, match="'id' has nulls or values that occur twice"):
            function(table.where(rows), n_classes=2)


@pytest.mark.parametrize("dtype", ["uint64", "<U1", "pixel", ""])
def test_a_type_that_is_none_of_a_mask_is_named(spark, dtype):
    rows = [(1, bytes(8), [1, 2], dtype, PROBS)]
    schema = (
        "id int, label_mask binary, label_mask_shape array<int>, label_mask_dtype string, "
        "pred_probs array<array<array<double>>>"
    )
    [row] = segmentation.validate(spark.createDataFrame(rows, schema)).collect()
    assert row["invalid_reason"] == "unknown label_mask_dtype"
