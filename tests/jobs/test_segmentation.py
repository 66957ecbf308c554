"""The job of images with a label a pixel: what of it no other task has."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of

from lq_spark import SegmentationModel
from lq_spark.core import segmentation as core
from lq_spark.errors import OptionError
from lq_spark.job.task import ARROW_BATCHES, READER_BATCHES

CLASSES = ["road", "sky", "tree"]
NAMES = ("label_mask", "pred_probs")


def images(n=12, shape=(10, 8), seed=0):
    """Return masks and probabilities in eighths, so that pixels tie at the cut."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(3, 0.5), size=(n, *shape))
    probs[..., 1:] = np.floor(probs[..., 1:] * 8) / 8
    probs[..., 0] = 1.0 - probs[..., 1:].sum(axis=-1)
    probs = np.moveaxis(probs, -1, 1).astype(np.float32)
    right = rng.random((n, *shape)) < 0.8
    return np.where(right, probs.argmax(axis=1), rng.integers(3, size=right.shape)), probs


def table_of(masks, probs):
    columns = {"id": [f"image {i:03}" for i in range(len(masks))]}
    columns["file_name"] = [f"{i}.png" for i in range(len(masks))]
    for name, arrays in zip(NAMES, (masks.astype(np.uint8), probs), strict=True):
        columns[name] = [array.tobytes() for array in arrays]
        columns[f"{name}_shape"] = pa.array([a.shape for a in arrays], pa.list_(pa.int32()))
        columns[f"{name}_dtype"] = [str(arrays.dtype)] * len(arrays)
    return pa.table(columns)


def spoilt(table, row, name, value):
    """Return the table with another value in one row."""
    values = table[name].to_pylist()
    values[row] = value
    at = table.column_names.index(name)
    return table.set_column(at, name, pa.array(values, table.schema.field(name).type))


@pytest.fixture
def score(run):
    """Run the job on a table of images."""
    return lambda table, ends=0, **keys: run(table, "segmentation", ends, **keys)


def assert_scores(scores, masks, probs, **options):
    rows = scores.sort_by("id").to_pylist()
    issues = core.find_label_issues(masks, probs, **options)
    for row, expected in zip(rows, issues, strict=True):
        found = np.frombuffer(row["issue_mask"], bool).reshape(row["issue_mask_shape"])
        np.testing.assert_array_equal(found, expected)
        assert row["num_pixel_issues"] == expected.sum()
    quality, _ = core.get_label_quality_scores(masks, probs)
    assert [row["label_quality"] for row in rows] == quality.tolist()
    return rows, issues


def test_a_good_run_writes_what_core_says_and_tells_of_it(submit, tmp_path, read_metrics):
    masks, probs = images()
    pq.write_table(table_of(masks, probs), tmp_path / "in.parquet")
    done = submit(
        *("--task", "segmentation", "--input", tmp_path / "in.parquet"),
        *("--output", tmp_path / "out", "--classes", ",".join(CLASSES)),
        *("--keep-columns", "file_name", "--save-fitted", tmp_path / "model.json"),
    )
    assert done.code == 0, done.stderr
    assert "Traceback" not in done.stderr
    rows, issues = assert_scores(pq.read_table(tmp_path / "out"), masks, probs)
    assert list(rows[0])[:3] == ["id", "file_name", "is_label_issue"]
    model = SegmentationModel.load(tmp_path / "model.json")
    assert 0 < model.n_taken < model.n_tied  # the cut divides pixels that tie
    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    assert metrics["rows_scored", None] == len(masks)
    assert metrics["pixels_scored", None] == masks.size
    assert metrics["label_issues", None] == issues.sum()
    assert metrics["issue_rate", None] == issues.sum() / masks.size
    for k, name in enumerate(CLASSES):
        assert metrics["class_pixels", name] == (masks == k).sum()
        assert metrics["class_label_issues", name] == (issues & (masks == k)).sum()
        assert metrics["class_threshold", name] == model.thresholds.values[k]
    pairs = core.common_label_issues(issues, masks, probs, class_names=CLASSES)
    for given, predicted, count in pairs.itertuples(index=False):
        assert metrics["pair_label_issues", f"{given} → {predicted}"] == count
    lines = done.stdout.splitlines()
    assert lines[1] == "12 of 12 rows scored"
    assert f"label issues at {issues.sum():,} of 960 pixels" in done.stdout
    worst = min(rows, key=lambda row: row["label_quality"])
    found = lines[lines.index("lowest label quality (1 clean, 0 suspect):") + 2]
    quality, count = worst["label_quality"], worst["num_pixel_issues"]
    assert found.strip() == f"{worst['id']}  {quality:.6f}  {count:>12}"


def test_bad_images_are_set_aside_and_the_others_averaged(score):
    masks, probs = images()
    table = spoilt(table_of(masks, probs), 4, "pred_probs", None)
    table = spoilt(table, 7, "id", "image 006")
    done = score(table, on_invalid="quarantine", downsample=2)
    fit = np.setdiff1d(np.arange(len(masks)), [4, 6, 7])
    assert_scores(done.scores, masks[fit], probs[fit], downsample=2)
    assert done.reasons == {"duplicate id": 2, "null pred_probs": 1}


def test_new_images_are_judged_by_an_earlier_run(score, tmp_path):
    score(table_of(*images()), save_fitted=str(tmp_path / "model.json"))
    fitted = SegmentationModel.load(tmp_path / "model.json")
    masks, probs = images(4, shape=(6, 5), seed=3)
    keys = {"fitted": str(tmp_path / "model.json"), "method": "num_pixel_issues"}
    done = score(table_of(masks, probs), **keys)
    of_label = np.take_along_axis(probs, masks[:, None], axis=1)[:, 0]
    issues = (of_label <= fitted.cut) & (probs.argmax(axis=1) != masks)
    rows = done.scores.sort_by("id").to_pylist()
    assert [row["num_pixel_issues"] for row in rows] == issues.sum(axis=(1, 2)).tolist()
    assert [row["label_quality"] for row in rows] == (1 - issues.mean(axis=(1, 2))).tolist()
    assert ("drift_class_shares", None) in done.metrics


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"method": "mean"}, "method must be one of 'softmin', 'num_pixel_issues', got 'mean'"),
        ({"temperature": 0.0}, "temperature must be a number above 0"),
        ({"downsample": 0}, "downsample"),
        ({"fitted": "a.json", "save_fitted": "b.json"}, "fitted is given, so save_fitted does not"),
        ({"label": "y"}, "label"),
        ({"fail_if": ["tokens_scored < 5"]}, "tokens_scored"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(flags, message):
    with pytest.raises(OptionError, match=message):
        config_of("segmentation", input="a/b", output="c/d", **flags)


def test_a_run_reads_few_large_images_at_a_time(score):
    done = score(table_of(*images(2, shape=(600, 600))))
    few = (32 << 20) // (3 * 600 * 600 * 8)
    assert few == 3
    assert {int(done.settings[name]) for name in (ARROW_BATCHES, READER_BATCHES)} == {few}


@pytest.mark.spark_only
def test_an_image_that_spark_cannot_hold_is_refused_before_it_is_read(score, tmp_path):
    table = spoilt(table_of(*images(1)), 0, "pred_probs_shape", [20, 4096, 4096])
    said = r"335,544,320 probabilities needs some 15 GiB .* spark\.driver\.memory is 1g"
    assert re.search(said, score(table, ends=1).error)
    assert not (tmp_path / "scores").exists()


def test_a_wrong_class_count_stops_a_run(score):
    done = score(table_of(*images(2)), ends=2, classes=["a", "b"], n_classes=3)
    assert "classes has 2 names, K is 3" in done.error
    done = score(table_of(*images(2)), ends=1, classes=["a", "b"])
    assert "pred_probs of another number of classes: 2" in done.error


def test_ignored_pixels_count_nowhere_and_another_run_judges_alike(score, tmp_path):
    masks, probs = images()
    left_out = np.random.default_rng(1).random(masks.shape) < 0.3
    left_out[2] = True
    masks, probs = np.where(left_out, 255, masks), np.where(left_out[:, None], np.nan, probs)
    table = table_of(masks, probs)
    model = str(tmp_path / "model.json")
    done = score(table, ignore_label=255, save_fitted=model)
    rows = done.scores.sort_by("id").to_pylist()
    expected = core.find_label_issues(masks, probs, ignore_label=255)
    assert [row["num_pixel_issues"] for row in rows] == expected.sum(axis=(1, 2)).tolist()
    quality, _ = core.get_label_quality_scores(masks, probs, ignore_label=255)
    assert [row["label_quality"] for row in rows] == quality.tolist()
    assert done.metrics["pixels_scored", None] == (~left_out).sum()
    assert done.metrics["rows_quarantined", None] == 0
    again = score(table, ignore_label=255, fitted=model).scores.sort_by("id").to_pylist()
    assert [row["label_quality"] for row in again] == quality.tolist()


def test_images_of_ignored_pixels_alone_are_told_of(score):
    masks, probs = images(2)
    done = score(table_of(np.full_like(masks, 255), probs), ignore_label=255)
    assert "label issues at 0 of 0 pixels (0.00%), in 0 images" in done.printed
