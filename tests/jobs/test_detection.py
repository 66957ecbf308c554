"""The job of images with boxes: good and bad runs, by spark-submit and in session."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of

from lq_spark import DetectionModel
from lq_spark.core import detection as core
from lq_spark.core.detection.images import checked_detections
from lq_spark.core.detection.model import fit_detections
from lq_spark.errors import OptionError

CLASSES = ["person", "car"]
FIELDS = ("x1", "y1", "x2", "y2", "label", "prob")


def images(n=20, seed=0):
    """Return rows of labels and predictions of street scenes, some with a label left out."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        corner = rng.uniform(0, 400, (4, 2))
        boxes = np.hstack([corner, corner + rng.uniform(30, 200, (4, 2))]).tolist()
        names = rng.choice(CLASSES, 4).tolist()
        given = [
            dict(zip(FIELDS, [*box, name], strict=False))
            for box, name in zip(boxes, names, strict=True)
        ]
        found = [
            {**box, "x2": box["x2"] + 5 * rng.random(), "prob": float(rng.uniform(0.9, 1))}
            for box in given
        ]
        if rng.random() < 0.3:
            given[0]["label"] = CLASSES[given[0]["label"] == CLASSES[0]]
        made.append((given[: rng.integers(2, 5)], found))
    return made


def table_of(made):
    box = [(name, pa.float64()) for name in FIELDS[:4]] + [("label", pa.string())]
    labels, predictions = zip(*made, strict=True)
    return pa.table(
        {
            "id": [f"image {i:03}" for i in range(len(made))],
            "file_name": [f"{i}.jpg" for i in range(len(made))],
            "labels": pa.array(labels, pa.list_(pa.struct(box))),
            "predictions": pa.array(
                predictions, pa.list_(pa.struct([*box, ("prob", pa.float64())]))
            ),
        }
    )


def lists(made):
    """Return images as core takes them."""
    labels = [
        {
            "bboxes": [[box[name] for name in FIELDS[:4]] for box in given],
            "labels": [CLASSES.index(box["label"]) for box in given],
        }
        for given, _ in made
    ]
    predictions = [
        [
            [
                [box[name] for name in (*FIELDS[:4], "prob")]
                for box in found
                if box["label"] == name_of
            ]
            for name_of in CLASSES
        ]
        for _, found in made
    ]
    return labels, predictions


def assert_output(scores, made):
    rows = scores.sort_by("id").to_pylist()
    data = lists(made)
    assert [row["label_quality"] for row in rows] == core.get_label_quality_scores(*data).tolist()
    issues = core.find_label_issues(*data)
    assert [row["is_label_issue"] for row in rows] == issues.tolist()
    assert [bool(row["box_issues"]) for row in rows] == issues.tolist()
    return rows, issues


@pytest.fixture
def score(run):
    """Run the job on a table of images."""
    return lambda table, ends=0, **keys: run(
        table, "detection", ends, **{"classes": CLASSES, **keys}
    )


def test_a_good_run_writes_what_core_says_and_tells_of_it(submit, tmp_path, read_metrics):
    made = images()
    pq.write_table(table_of(made), tmp_path / "in.parquet")
    done = submit(
        *("--task", "detection", "--input", tmp_path / "in.parquet", "--output", tmp_path / "out"),
        *("--classes", ",".join(CLASSES), "--keep-columns", "file_name", "--issue-rank"),
        *("--save-fitted", tmp_path / "model.json"),
    )
    assert done.code == 0, done.stderr
    assert "Traceback" not in done.stderr
    rows, issues = assert_output(pq.read_table(tmp_path / "out"), made)
    assert 0 < issues.sum() < len(made)
    names = ["id", "file_name", "is_label_issue", "label_quality", "box_issues", "issue_rank"]
    assert list(rows[0]) == names
    model = DetectionModel.load(tmp_path / "model.json")
    found, n_classes = checked_detections(*lists(made))
    assert model == fit_detections(found, n_classes, tuple(CLASSES))
    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    assert metrics["rows_scored", None] == len(made)
    assert metrics["label_issues", None] == issues.sum()
    boxes = [box for row in rows for box in row["box_issues"]]
    for kind in ("overlooked", "badloc", "swap"):
        assert metrics[f"{kind}_boxes", None] == sum(box["kind"] == kind for box in boxes)
    for k, name in enumerate(CLASSES):
        assert metrics["class_boxes", name] == model.label_counts[k]
        assert metrics["class_average_precision", name] == model.average_precision[k]
        assert metrics["class_box_issues", name] == sum(box["label"] == name for box in boxes)
    assert metrics["mean_average_precision", None] == np.mean(model.average_precision)
    lines = done.stdout.splitlines()
    assert lines[1] == "20 of 20 rows scored"
    assert f"label issues in {issues.sum()} of 20 images" in done.stdout
    worst = min(rows, key=lambda row: row["label_quality"])
    at = lines.index("lowest label quality (1 clean, 0 suspect):") + 2
    assert lines[at].split()[:3] == [*worst["id"].split(), f"{worst['label_quality']:.6f}"]


def test_bad_images_are_set_aside_and_the_others_scored(score):
    made = images()
    made[3][1][0]["prob"] = 1.5
    made[5][0][0]["label"] = "tree"
    done = score(table_of(made), on_invalid="quarantine")
    assert_output(done.scores, [one for i, one in enumerate(made) if i not in (3, 5)])
    aside = done.quarantine.sort_by("id").to_pylist()
    reasons = [
        "predicted box 0: probability outside 0..1",
        "label box 0: label not in classes: 'tree'",
    ]
    assert [row["invalid_reason"] for row in aside] == reasons
    kinds = [reason.replace(" 0:", ":").removesuffix(": 'tree'") for reason in reasons]
    assert done.reasons == dict.fromkeys(kinds, 1)


def test_boxes_may_be_tables_of_their_own(score, tmp_path):
    made = images(12)
    for name, part in (("annotations", 0), ("detections", 1)):
        rows = [
            {
                "id": f"image {i:03}",
                "bbox": [box["x1"], box["y1"], box["x2"], box["y2"]],
                "category": box["label"],
                **({"score": box["prob"]} if part else {}),
            }
            for i, image in enumerate(made)
            for box in image[part]
        ]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    table = table_of([*made, ([], [])]).drop_columns(["labels", "predictions"])
    flags = {"box": ["bbox"], "label": "category", "prob": "score", "keep_columns": ["file_name"]}
    flags |= {"label_boxes": str(tmp_path / "annotations.parquet")}
    flags |= {"predicted_boxes": str(tmp_path / "detections.parquet")}
    first = score(table, save_fitted=str(tmp_path / "model.json"), **flags)
    rows, _ = assert_output(first.scores, [*made, ([], [])])
    assert [row["file_name"] for row in rows] == [f"{i}.jpg" for i in range(13)]
    # Judged by what was saved: the same, and the counts are those of the rows.
    second = score(table, fitted=str(tmp_path / "model.json"), **flags)
    assert_output(second.scores, [*made, ([], [])])
    names = {name for name in second.metrics if name[0].startswith(("class_", "label_"))}
    assert all(first.metrics[name] == second.metrics[name] for name in names)
    assert ("drift_class_shares", None) not in first.metrics
    assert second.metrics["drift_class_shares", None] == 0.0


def test_a_wrong_class_stops_a_run_before_it_starts(score):
    done = score(table_of(images(3)), ends=1, classes=["cat", "dog"])
    assert "label box: label not in classes" in done.error
    done = score(table_of(images(3)), ends=2, n_classes=3)
    assert "classes has 2 names, K is 3" in done.error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"swap_weight": 0.5}, "aggregation_weights must be numbers of at least 0 that sum to 1"),
        ({"label_boxes": "a/c"}, "label_boxes and predicted_boxes go together"),
        ({"box_format": "xywh"}, "box_format is given, so label_boxes and predicted_boxes must"),
        (
            {"label_boxes": "a/c", "predicted_boxes": "a/d", "labels": "y"},
            "label_boxes is given, so 'labels' must not be",
        ),
        ({"label_boxes": "c/d", "predicted_boxes": "a/d"}, "must be different places"),
        ({"fitted": "a.json", "save_fitted": "b.json"}, "fitted is given, so save_fitted does not"),
        ({"n_classes": 0}, "n_classes"),
        ({"pred_probs": "y"}, "pred_probs"),
        ({"fail_if": ["label_health_score < 0.5"]}, "label_health_score"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(flags, message):
    with pytest.raises(OptionError, match=message):
        config_of("detection", input="a/b", output="c/d", **flags)
