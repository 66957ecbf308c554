"""Images with boxes: tables against core to the bit, in any partitions, types and shapes."""

from __future__ import annotations

import numpy as np
import pytest

from lq_spark import DetectionModel, detection
from lq_spark.core import detection as core
from lq_spark.core.detection.images import checked_detections
from lq_spark.core.detection.model import fit_detections
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.detection import passes

N_CLASSES = 3
CLASSES = ["cat", "größe 2", ""]
BOX = "x1:{number},y1:{number},x2:{number},y2:{number}"


def images(n=40, seed=0, ties=True):
    """Return (label boxes, predicted boxes) of images: rows x1, y1, x2, y2, label (, prob)."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        truth = rng.integers(0, 60, (rng.integers(0, 6), 4)).astype(float)
        truth[:, 2:] = truth[:, :2] + 5 + truth[:, 2:]
        labels = rng.integers(N_CLASSES, size=len(truth))
        kept = rng.random(len(truth)) < 0.8
        given = np.where(rng.random(len(truth)) < 0.2, rng.integers(N_CLASSES), labels)
        around = truth[rng.integers(len(truth), size=8)] if len(truth) and i % 9 else truth
        moved = around + rng.choice([0.0, 0.5, 4.0], around.shape) * np.array([1, 1, 1.5, 1.5])
        of_class = rng.integers(N_CLASSES, size=len(moved))
        probs = rng.choice(
            [0.25, 0.5, 0.875, 0.99, 0.999, 1.0] if ties else rng.random(99), len(moved)
        )
        made.append(
            (
                [(*box, int(k)) for box, k in zip(truth[kept].tolist(), given[kept], strict=True)],
                [
                    (*box, int(k), float(prob))
                    for box, k, prob in zip(moved.tolist(), of_class, probs, strict=True)
                ],
            )
        )
    return made


def lists(made):
    """Return images as core takes them, and where each predicted box stands there."""
    labels = [
        {"bboxes": [box[:4] for box in given], "labels": [box[4] for box in given]}
        for given, _ in made
    ]
    predictions = [
        [[(*box[:4], box[5]) for box in found if box[4] == k] for k in range(N_CLASSES)]
        for _, found in made
    ]
    orders = [np.argsort([box[4] for box in found], kind="stable") for _, found in made]
    return labels, predictions, orders


@pytest.fixture
def table_of(spark):
    """Make a table of images, with their place as id."""

    def make(made, number="double", label="int", id="bigint", name=lambda k: k):
        box = BOX.format(number=number)
        schema = (
            f"id {id}, labels array<struct<{box},label:{label}>>, "
            f"predictions array<struct<{box},label:{label},prob:double>>"
        )
        rows = [
            (
                str(i).zfill(3) if id == "string" else i,
                [(*box[:4], name(box[4])) for box in given],
                [(*box[:4], name(box[4]), box[5]) for box in found],
            )
            for i, (given, found) in enumerate(made)
        ]
        return spark.createDataFrame(rows, schema)

    return make


def core_model(made):
    labels, predictions, _ = lists(made)
    return fit_detections(*checked_detections(labels, predictions))


def rows_of(df):
    return sorted(df.drop("labels", "predictions").collect(), key=lambda row: row["id"])


@pytest.fixture
def assert_scores_equal_core(assert_same_bits):
    """Assert that scores of images and boxes are those of core, in every bit."""

    def check(scored, made):
        labels, predictions, orders = lists(made)
        both = {"labels": labels, "predictions": predictions}
        rows = rows_of(scored)
        quality = np.array([row["label_quality"] for row in rows])
        assert_same_bits(quality, core.get_label_quality_scores(**both))
        for kind in ("badloc", "swap"):
            expected = getattr(core, f"compute_{kind}_box_scores")(**both)
            assert [row[f"{kind}_scores"] for row in rows] == [part.tolist() for part in expected]
        expected = core.compute_overlooked_box_scores(**both)
        for row, part, order in zip(rows, expected, orders, strict=True):
            found = [np.nan if score is None else score for score in row["overlooked_scores"]]
            np.testing.assert_array_equal(np.array(found)[order], part)

    return check


def assert_issues_equal_core(found, made, label=int):
    labels, predictions, orders = lists(made)
    both = {"labels": labels, "predictions": predictions}
    rows = rows_of(found)
    assert [row["is_label_issue"] for row in rows] == core.find_label_issues(**both).tolist()
    limits = core_model(made).issue_thresholds()
    scores = {
        kind: getattr(core, f"compute_{kind}_box_scores")(**both)
        for kind in ("overlooked", "badloc", "swap")
    }
    for i, issues in enumerate(row["box_issues"] for row in rows):
        expected = []
        for n, kind in enumerate(scores):
            boxes = made[i][1] if kind == "overlooked" else made[i][0]
            places = orders[i] if kind == "overlooked" else np.arange(len(boxes))
            for place, score in zip(places.tolist(), scores[kind][i], strict=True):
                if score <= limits[boxes[place][4]]:
                    expected.append((score, n, place, kind))
        expected = [
            (kind, place, made[i][kind == "overlooked"][place][4], score)
            for score, _, place, kind in sorted(expected)
        ]
        assert [(*issue[:2], label(issue["label"]), issue["score"]) for issue in issues] == expected


@pytest.mark.parametrize("n_partitions", [2, 7, 64])
def test_any_partitions_equal_core(table_of, assert_scores_equal_core, monkeypatch, n_partitions):
    made = images()
    df = table_of(made).repartition(n_partitions)
    # Small runs in the odd cases: a class in several of them is walked twice.
    monkeypatch.setattr(passes, "RUN_BOXES", 16 if n_partitions in (2, 7) else 1 << 20)
    fitted = detection.fit(df, n_classes=N_CLASSES)
    assert fitted == core_model(made)
    assert sum(fitted.average_precision) > 0.1
    if n_partitions == 2:
        assert_scores_equal_core(detection.score(df, box_scores=True), made)
    elif n_partitions == 7:
        assert_issues_equal_core(detection.find_issues(df, fitted=fitted), made)


def test_batches_may_be_of_any_size(table_of, assert_scores_equal_core, batch_size):
    batch_size(3)
    made = images(seed=1, ties=False)
    df = table_of(made)
    fitted = detection.fit(df)
    assert fitted == core_model(made)
    assert_scores_equal_core(detection.score(df, box_scores=True, fitted=fitted), made)


@pytest.mark.parametrize(
    ("number", "label", "id"),
    [("float", "string", "string"), ("decimal(9,2)", "tinyint", "date")],
)
def test_types_of_numbers_labels_and_ids(spark, table_of, number, label, id):
    made = images(n=12)
    kind = "double" if number.startswith("decimal") else number
    name = CLASSES.__getitem__ if label == "string" else int
    df = table_of(made, kind, label, "string" if id == "string" else "int", name)
    if id == "date":
        df = df.selectExpr("date_add('2026-01-01', id) id", "labels", "predictions")
    if kind != number:
        box = BOX.format(number=number)
        df = df.withColumn("labels", df["labels"].cast(f"array<struct<{box},label:tinyint>>"))
    options = {"classes": CLASSES} if label == "string" else {"n_classes": N_CLASSES}
    found = detection.find_issues(df, **options)
    assert_issues_equal_core(found, made, CLASSES.index if label == "string" else int)
    expected = [*df.dtypes, ("is_label_issue", "boolean"), ("label_quality", "double")]
    issues = f"array<struct<kind:string,box_index:int,label:{label},score:double>>"
    assert found.dtypes == [*expected, ("box_issues", issues)]


def test_options_reach_core(table_of):
    made = images(n=15)
    weights = {"overlooked": 0.5, "badloc": 0.25, "swap": 0.25}
    options = {"aggregation_weights": weights, "overlapping_label_check": False}
    labels, predictions, _ = lists(made)
    expected = core.get_label_quality_scores(labels, predictions, **options)
    found = detection.find_issues(table_of(made), issue_rank=True, n_classes=N_CLASSES, **options)
    rows = rows_of(found)
    assert [row["label_quality"] for row in rows] == expected.tolist()
    flags = core.find_label_issues(labels, predictions, overlapping_label_check=False)
    assert [row["is_label_issue"] for row in rows] == flags.tolist()
    ranks = [row["issue_rank"] for row in rows]
    by_rank = sorted((rank, i) for i, rank in enumerate(ranks) if rank is not None)
    order = sorted(np.flatnonzero(flags).tolist(), key=lambda i: (expected[i], i))
    assert by_rank == list(enumerate(order, start=1))


def test_what_was_fitted_is_applied_to_other_images(table_of, tmp_path):
    fitted = core_model(images(seed=2))
    fitted.save(tmp_path / "fitted.json")
    again = DetectionModel.load(tmp_path / "fitted.json")
    assert again == fitted
    scored = detection.score(table_of(images(n=3, seed=3)), fitted=again)
    for row, image in zip(rows_of(scored), images(n=3, seed=3), strict=True):
        [alone] = detection.score(table_of([image]), fitted=again).collect()
        assert row["label_quality"] == alone["label_quality"]


def test_the_summary_is_that_of_core(table_of):
    made = images()
    labels, predictions, _ = lists(made)
    df = table_of(made).repartition(3)
    found = detection.summarize(df, classes=CLASSES, top=3)
    names = dict(enumerate(CLASSES))
    classes = found.classes.set_index("class")
    confusion = core.get_average_per_class_confusion_matrix(labels, predictions, class_names=names)
    metrics = core.calculate_per_class_metrics(labels, predictions, class_names=names)
    shares = core.class_label_distribution(labels, predictions, class_names=names)
    for name in CLASSES:
        row = classes.loc[name]
        of_class = (row["true_positives"], row["false_positives"], row["false_negatives"])
        assert of_class == tuple(confusion[name].values())
        assert (row["precision"], row["recall"], row["f1"]) == tuple(metrics[name].values())
        assert round(row["label_share"], 2) == shares[0][name]
        assert round(row["prediction_share"], 2) == shares[1][name]
    sizes = core.bounding_box_size_distribution(labels, predictions, class_names=names)
    for row in found.box_sizes.itertuples():
        for count, areas in zip((row.num_labels, row.num_predictions), sizes, strict=True):
            sides = np.sqrt(areas[row[1]])
            assert count == ((sides >= row.side_from) & (sides < row.side_to)).sum()
    assert found.box_sizes["num_labels"].sum() == classes["num_labels"].sum()
    counts = core.object_counts_per_image(labels, predictions)
    for row in found.object_counts.itertuples(index=False):
        n_boxes, *n_images = row
        assert n_images == [part.count(n_boxes) for part in counts]
    most = core.get_sorted_bbox_count_idxs(labels, predictions)
    for table, part in zip((found.most_labels, found.most_predictions), most, strict=True):
        assert list(table.itertuples(index=False, name=None)) == part[:3]


@pytest.mark.parametrize("box_format", ["xyxy", "xywh"])
def test_rows_of_boxes_make_the_same_images(spark, table_of, box_format):
    made = [(sorted(given), sorted(found)) for given, found in images(n=20)]
    wide = table_of(made)
    ids = wide.selectExpr("id `image.id`", "concat('image ', id) file_name")
    labels = wide.selectExpr("id `image.id`", "inline(labels)")
    predictions = wide.selectExpr("id `image.id`", "inline(predictions)")
    names = {"image_id": "image.id", "prob": "prob"}
    if box_format == "xywh":  # as COCO has it
        bbox = "array(x1, y1, x2 - x1, y2 - y1) bbox"
        labels = labels.selectExpr("`image.id`", bbox, "label", "monotonically_increasing_id() n")
        predictions = predictions.selectExpr("`image.id`", bbox, "label", "prob")
        names |= {"box": "bbox", "box_format": "xywh", "box_id": "n"}
    both = [df.orderBy("label").repartition(5) for df in (labels, predictions)]
    found = detection.from_boxes(*both, images=ids, **names)
    assert found.columns == ["image.id", "file_name", "labels", "predictions"]
    if box_format == "xywh":
        boxes = found.selectExpr("inline(labels)")
        assert boxes.columns[-1] == "box_id"
        assert boxes.select("box_id").distinct().count() == labels.count()
        fields = ", ".join(f"'{name}', b.{name}" for name in ("x1", "y1", "x2", "y2", "label"))
        plain = f"transform(labels, b -> named_struct({fields})) labels"
        found = found.selectExpr("`image.id`", "file_name", plain, "predictions")
    assert sorted(found.drop("file_name").collect()) == sorted(wide.collect())
    # Without the table of images, those of any box.
    some = detection.from_boxes(*both, **names)
    assert some.count() == sum(bool(given or found) for given, found in made)


def test_an_image_with_boxes_of_one_kind_is_kept(spark):
    schema = "image_id string, x1 int, y1 int, x2 int, y2 int, label string"
    labels = spark.createDataFrame([("a", 0, 0, 4, 4, "cat"), (None, 0, 0, 1, 1, "cat")], schema)
    predictions = spark.createDataFrame([("b", 0, 0, 4, 4, "cat", 0.5)], f"{schema}, prob float")
    images_table = spark.createDataFrame([("c",)], "image_id string")
    found = detection.from_boxes(labels, predictions, images=images_table)
    rows = {row[0]: (len(row["labels"]), len(row["predictions"])) for row in found.collect()}
    assert rows == {"a": (1, 0), "b": (0, 1), "c": (0, 0), None: (1, 0)}


def test_tables_without_rows_have_results_without_rows(table_of):
    empty = table_of(images(n=1)).limit(0)
    assert detection.score(empty, box_scores=True).collect() == []
    assert detection.find_issues(empty).collect() == []
    assert detection.validate(empty, id="id").collect() == []
    assert detection.fit(empty, n_classes=2) == DetectionModel(
        1.0, (0.0,) * 2, (0,) * 2, (0,) * 2, 0
    )
    assert len(detection.summarize(empty, n_classes=2).box_sizes) == 0


def test_ids_must_tell_images_apart(table_of):
    df = table_of(images(n=2))
    with pytest.raises(InvalidRowsError, match="'id' has nulls or values that occur twice"):
        detection.find_issues(df.union(df))
