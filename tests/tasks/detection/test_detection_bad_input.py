"""Bad tables of images with boxes: refused, named by validate, left out by score."""

import pyarrow as pa
import pytest

from lq_spark import DetectionModel, detection
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError
from lq_spark.tasks.detection.batches import read_images, reason_batch, usable_images

NAN = float("nan")
BOXES = "array<struct<x1:double,y1:double,x2:double,y2:double,label:{label}{prob}>>"
GOOD = (0.0, 0.0, 4.0, 4.0)
TYPES = {
    "id": "int",
    "labels": BOXES.format(label="int", prob=""),
    "predictions": BOXES.format(label="int", prob=",prob:float"),
}
FITTED = DetectionModel(0.5, (0.5, 0.5), (1, 1), (1, 1), 1, classes=("cat", "dog"))
FUNCTIONS = [
    detection.score,
    detection.validate,
    detection.find_issues,
    detection.fit,
    detection.summarize,
]

# (label boxes, predicted boxes, reason); classes are cat and dog.
ROWS = [
    ([(*GOOD, "cat")], [(*GOOD, "dog", 0.99)], None),
    ([], [], None),
    ([(2.0, 2.0, 2.0, 2.0, "cat")], [(*GOOD, "dog", 0.0)], None),  # a box of no area
    (None, [], "null labels"),
    ([], None, "null predictions"),
    (None, None, "null labels"),
    ([(*GOOD, "cat"), (5.0, 0.0, 4.0, 4.0, "cat")], [], "label box 1: x2 below x1"),
    ([(0.0, 5.0, 4.0, 4.0, "cat")], [], "label box 0: y2 below y1"),
    ([(NAN, 0.0, 4.0, 4.0, "cat")], [], "label box 0: coordinate null or not finite"),
    ([(None, 0.0, 4.0, 4.0, "cat")], [], "label box 0: coordinate null or not finite"),
    ([None], [], "label box 0: null label"),
    ([(*GOOD, "cat"), None, (*GOOD, "cow")], [], "label box 1: null label"),
    ([(*GOOD, "cat")], [(*GOOD, "cat", 0.5), None], "predicted box 1: null label"),
    ([(*GOOD, None)], [], "label box 0: null label"),
    ([(*GOOD, "cow")], [], "label box 0: label not in classes: 'cow'"),
    ([], [(*GOOD, "cow", 0.5)], "predicted box 0: label not in classes: 'cow'"),
    ([], [(*GOOD, "cat", 0.5), (*GOOD, "cat", 1.5)], "predicted box 1: probability outside 0..1"),
    ([], [(*GOOD, "cat", -0.1)], "predicted box 0: probability outside 0..1"),
    ([], [(*GOOD, "cat", None)], "predicted box 0: probability null or not finite"),
    ([], [(*GOOD, "cat", NAN)], "predicted box 0: probability null or not finite"),
    (
        [],
        [(0.0, float("inf"), 4.0, 4.0, "cat", 0.5)],
        "predicted box 0: coordinate null or not finite",
    ),
    ([(*GOOD, "cow")], [(*GOOD, "cow", 0.5)], "label box 0: label not in classes: 'cow'"),
]
REASONS = [reason for *_, reason in ROWS]


@pytest.fixture
def table(spark):
    """One image for each fault, and good ones."""
    schema = (
        f"id int, labels {BOXES.format(label='string', prob='')}, "
        f"predictions {BOXES.format(label='string', prob=',prob:double')}"
    )
    rows = [(i, labels, predictions) for i, (labels, predictions, _) in enumerate(ROWS)]
    return spark.createDataFrame(rows, schema).repartition(3)


def test_validate_names_the_fault_of_an_image(table, by_id):
    checked = detection.validate(table, id="id", classes=["cat", "dog"])
    assert checked.columns == [*table.columns, "invalid_reason"]
    assert by_id(checked, "invalid_reason") == REASONS
    twice = detection.validate(
        table.where("id = 0")
        .union(table.where("id < 2"))
        .union(table.selectExpr("null", "labels", "predictions").limit(1)),
        id="id",
        classes=["cat", "dog"],
    )
    found = sorted(
        (row["id"] is None, row["id"] or 0, row["invalid_reason"])
        for row in twice.where("id is null or id < 1").collect()
    )
    assert found == [(False, 0, "duplicate id")] * 2 + [(True, 0, "null id")]


def test_images_that_cannot_be_scored_are_left_null_or_fail(table, by_id):
    options = {"classes": ["cat", "dog"], "box_scores": True}
    scored = detection.score(table, on_invalid="null", **options)
    for name in ("label_quality", "overlooked_scores", "badloc_scores", "swap_scores"):
        values = by_id(scored, name)
        assert [value is None for value in values] == [reason is not None for reason in REASONS]
    good = detection.score(table.where("id < 3"), **options)
    assert by_id(good, "label_quality") == by_id(scored, "label_quality")[:3]
    bad = table.where("id in (0, 6)").coalesce(1)
    with pytest.raises(Exception, match="1 images with label box: x2 below x1"):
        detection.score(bad, fitted=FITTED).collect()
    for call in (detection.score, detection.find_issues, detection.summarize):
        with pytest.raises(Exception, match="images with label box: x2 below x1"):
            call(bad, classes=["cat", "dog"])


def test_a_label_beyond_the_classes_is_named(spark, by_id):
    boxes = [[(*GOOD, 0)], [(*GOOD, 2)], [(*GOOD, -1)], [(*GOOD, 10**18)], [(*GOOD, None)]]
    rows = [(i, labels, []) for i, labels in enumerate(boxes)]
    schema = {**TYPES, "labels": BOXES.format(label="bigint", prob="")}
    df = spark.createDataFrame(rows, ", ".join(f"{name} {kind}" for name, kind in schema.items()))
    out = "label box 0: label out of range"
    reasons = by_id(detection.validate(df, n_classes=2), "invalid_reason")
    assert reasons == [None, out, out, out, "label box 0: null label"]
    reasons = by_id(detection.validate(df.where("id < 3")), "invalid_reason")
    assert reasons == [None, None, out]  # nobody says that there are not three classes
    with pytest.raises(DataError, match=r"a label is 1000000000000000000, .* give n_classes"):
        detection.validate(df)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"labels": None}, "labels: no column 'labels' in the table; it has 'id', 'predictions'"),
        ({"predictions": None}, "predictions: no column 'predictions' in the table"),
        ({"labels": "array<double>"}, "labels: column 'labels' is array<double>; allowed is an a"),
        (
            {"predictions": BOXES.format(label="int", prob="")},
            "predictions: the boxes of column 'predictions' have no field 'prob'; they have 'x1'",
        ),
        (
            {"predictions": BOXES.format(label="int", prob=",prob:string")},
            "predictions: field 'prob' of column 'predictions' is string; allowed are numbers",
        ),
        (
            {"labels": BOXES.format(label="date", prob="")},
            "labels: field 'label' of column 'labels' is date; allowed are whole numbers (in a",
        ),
        ({"labels": BOXES.format(label="string", prob="")}, "are string and int; both must be"),
        (
            {
                "labels": BOXES.format(label="string", prob=""),
                "predictions": BOXES.format(label="string", prob=",prob:double"),
            },
            "labels: the labels of column 'labels' are strings, so classes is needed",
        ),
    ],
)
def test_wrong_columns_are_refused_before_a_job(unread, function, types, message):
    columns = {name: kind for name, kind in {**TYPES, **types}.items() if kind}
    with pytest.raises(ColumnError) as error:
        function(unread(**columns))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("function", "options", "error", "message"),
    [
        (detection.score, {"on_invalid": "drop"}, OptionError, "on_invalid must be one of"),
        (detection.score, {"n_classes": 0}, DataError, "K of at least 1 classes, got K = 0"),
        (detection.validate, {"n_classes": 2.0}, OptionError, "n_classes must be a whole number"),
        (detection.score, {"classes": []}, OptionError, "classes must have at least 1 names"),
        (detection.fit, {"classes": ["a", "a"]}, OptionError, "classes must not have a name twice"),
        (detection.fit, {"classes": ["a"], "n_classes": 2}, OptionError, "classes has 1 names"),
        (detection.score, {"fitted": 3}, OptionError, "fitted must be a DetectionModel or None"),
        (detection.score, {"fitted": FITTED, "classes": ["a"]}, OptionError, "fitted has classes"),
        (
            detection.find_issues,
            {"fitted": FITTED, "n_classes": 3},
            OptionError,
            "fitted has K = 2",
        ),
        (
            detection.find_issues,
            {"aggregation_weights": {"swap": 1.0}},
            OptionError,
            "aggregation_weights must be of 'overlooked', 'badloc', 'swap', got 'swap'",
        ),
        (detection.find_issues, {"id": "key"}, ColumnError, "id: no column 'key' in the table"),
        (detection.summarize, {"top": 0, "id": "id"}, OptionError, "top must be a whole number"),
    ],
)
def test_wrong_options_are_refused_before_a_job(unread, function, options, error, message):
    with pytest.raises(error) as raised:
        function(unread(**TYPES), **options)
    assert message in str(raised.value)


def test_columns_that_are_there_are_not_replaced(unread):
    for function in (detection.score, detection.find_issues):
        with pytest.raises(ColumnError, match="the table already has 'label_quality'"):
            function(unread(**TYPES, Label_Quality="int"))
    with pytest.raises(ColumnError, match="the table already has 'invalid_reason'"):
        detection.validate(unread(**TYPES, invalid_reason="string"))


@pytest.mark.parametrize(
    ("types", "options", "message"),
    [
        ({}, {}, "image_id: no column 'image_id' in the table; it has 'image'"),
        ({}, {"image_id": "image", "box": "box"}, "box: no column 'box' in the table"),
        ({}, {"image_id": "image", "box": "bbox", "label": "class"}, "label: no column 'class'"),
        ({}, {"image_id": "image", "box": "bbox", "box_id": "n"}, "box_id: no column 'n' in"),
        ({}, {"image_id": "image", "box": ["x", "y"]}, "box must be one column of arrays or 4 of"),
        ({}, {"image_id": "image", "box_format": "yx"}, "box_format must be one of 'xyxy', 'xywh'"),
        (
            {"bbox": "double"},
            {"image_id": "image", "box": "bbox"},
            "'bbox' is double; allowed is a",
        ),
        ({"bbox": "array<string>"}, {"image_id": "image", "box": "bbox"}, "is array<string>; all"),
    ],
)
def test_wrong_tables_of_boxes_are_refused_before_a_job(unread, types, options, message):
    df = unread(
        **{"image": "int", "bbox": "array<double>", "label": "int", "prob": "float", **types}
    )
    with pytest.raises((ColumnError, OptionError)) as error:
        detection.from_boxes(df, df, **options)
    assert message in str(error.value)


def test_an_array_that_is_no_box_is_named(spark):
    schema = "image_id int, bbox array<float>, label int"
    labels = spark.createDataFrame([(1, [0.0, 1.0, 2.0], 0), (2, [0.0, 1.0, 2.0, 3.0], 0)], schema)
    none = spark.createDataFrame([], f"{schema}, prob double")
    found = detection.from_boxes(labels, none, box="bbox", box_format="xywh")
    reasons = {row[0]: row[-1] for row in detection.validate(found, n_classes=1).collect()}
    assert reasons == {1: "label box 0: coordinate null or not finite", 2: None}


def arrays_of(rows):
    """Return images as Arrow arrays, as Spark hands them over."""
    labels, predictions = ([row[part] for row in rows] for part in (0, 1))

    def field(images, place, kind):
        values = [
            None if boxes is None else [None if box is None else box[place] for box in boxes]
            for boxes in images
        ]
        return pa.array(values, pa.list_(kind))

    numbers = [field(labels, place, pa.float64()) for place in range(4)]
    more = [field(predictions, place, pa.float64()) for place in (0, 1, 2, 3, 5)]
    names = [field(images, 4, pa.string()) for images in (labels, predictions)]
    return [*numbers, names[0], *more, names[1]]


def test_batches_are_read_also_where_they_are_slices():
    arrays = arrays_of(ROWS)
    classes = ("cat", "dog")
    whole = reason_batch(2, classes)(*arrays)["invalid_reason"].to_pylist()
    assert whole == REASONS
    for start, stop in ((0, 3), (5, 12), (2, 20), (20, 20)):
        part = [array.slice(start, stop - start) for array in arrays]
        assert reason_batch(2, classes)(*part)["invalid_reason"].to_pylist() == REASONS[start:stop]
        batch = read_images(part, 2, classes)
        assert batch.found.n_images == REASONS[start:stop].count(None)
    batch = read_images(arrays, 2, classes)
    assert [reason is None for reason in batch.reasons] == [not reason for reason in REASONS]
    assert batch.found.labels.offsets.tolist() == [0, 1, 1, 2]
    assert batch.found.predictions.classes.tolist() == [1, 1]
    assert batch.found.probs.tolist() == [0.99, 0.0]


def test_a_batch_that_fails_counts_its_reasons():
    with pytest.raises(InvalidRowsError) as error:
        usable_images(arrays_of(ROWS[6:7] * 2 + ROWS[:1]), 2, ("cat", "dog"), fail=True)
    assert "2 images with label box: x2 below x1. detection.validate names" in str(error.value)


def test_ids_of_joined_tables_are_of_one_kind(spark):
    box = "x1 double, y1 double, x2 double, y2 double, label int"
    labels = spark.createDataFrame([(1, 0.0, 0.0, 1.0, 1.0, 0)], f"image_id bigint, {box}")
    found = spark.createDataFrame(
        [("1", 0.0, 0.0, 1.0, 1.0, 0, 0.5)], f"image_id string, {box}, prob double"
    )
    with pytest.raises(ColumnError) as error:
        detection.from_boxes(labels, found)
    assert str(error.value) == (
        "image_id: column 'image_id' is bigint in the label_boxes and string in the "
        "predicted_boxes; cast one of them"
    )
