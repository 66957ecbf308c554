"""The job over label sets: its configuration, a run by spark-submit, bad rows."""

import re
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of

from lq_spark.core import multilabel as core
from lq_spark.core.multilabel.health import multilabel_health_summary
from lq_spark.core.multilabel.model import MultilabelModel
from lq_spark.errors import OptionError

CLASSES = ["cat", "dog", "indoor", "night"]
PLACES = {"input": "./in", "output": "./out"}


load = partial(config_of, "multilabel")


def test_without_further_keys_rows_are_scored_by_their_moving_average():
    config = load(**PLACES)
    assert config.aggregator_kwargs == {"method": "exponential_moving_average", "alpha": 0.8}
    assert config.place("issue_output") == "./out_issues"
    softmin = load(**PLACES, aggregator="softmin", temperature=0)
    assert softmin.aggregator_kwargs == {"method": "softmin", "temperature": 0}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"method": "margin"}, "method must be one of"),
        ({"aggregator": "mean"}, "aggregator must be one of .*, got 'mean'"),
        ({"temperature": 0.1}, "temperature goes with aggregator 'softmin', got 'exponential_m"),
        ({"alpha": 1.5}, "alpha must be a number from 0 to 1, got 1.5"),
        ({"filter_by": "prune"}, "filter_by must be one of"),
        ({"filter_by": "confident_learning", "frac_noise": 0.5}, "frac_noise and num_to_remove"),
        ({"fitted": "a", "save_fitted": "b"}, "fitted is given, so save_fitted does not go"),
        ({"issue_output": "./out"}, "must be different places"),
        ({"collision_rule": "x"}, "unknown config key 'collision_rule'"),
        ({"fail_if": ["drift_joint > 1"]}, "^fail_if: a metric must be one of 'rows', "),
    ],
    ids=str,
)
def test_options_that_do_not_agree_are_refused(flags, message):
    with pytest.raises(OptionError) as error:
        load(**{**PLACES, **flags})
    assert re.search(message, str(error.value))


def data_set(n=120, seed=0):
    """Return labels and pred_probs; every row has class 0."""
    rng = np.random.default_rng(seed)
    pred_probs = rng.beta(0.5, 0.5, (n, 4)).clip(1e-6, 1 - 1e-6)
    bits = np.where(rng.random((n, 4)) < 0.8, pred_probs > 0.5, rng.random((n, 4)) < 0.5)
    bits[:, 0] = True
    return [np.flatnonzero(row).tolist() for row in bits], pred_probs


def write(path, labels, pred_probs, **columns):
    names = [None if row is None else [CLASSES[k] for k in row] for row in labels]
    rows = {"id": [f"r{n:03}" for n in range(len(labels))], "labels": names}
    pq.write_table(pa.table({**rows, "pred_probs": list(map(list, pred_probs)), **columns}), path)
    return path


def test_a_good_run_writes_what_core_says(submit, tmp_path, read_metrics):
    labels, pred_probs = data_set()
    source = write(tmp_path / "in.parquet", labels, pred_probs, day=["monday"] * len(labels))
    done = submit(
        *("--task", "multilabel", "--input", source, "--output", tmp_path / "out"),
        *("--classes", ",".join(CLASSES), "--keep-columns", "day", "--issue-rank"),
        *("--save-fitted", tmp_path / "model.json", "--fail-if", "issue_rate > 0.01"),
    )
    assert done.code == 3, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    mask = core.find_multilabel_issues_per_class(labels, pred_probs)
    rows = pq.read_table(tmp_path / "out").sort_by("id").to_pandas()
    added = ["is_label_issue", "suspect_classes", "suggested_labels", "label_quality"]
    assert list(rows) == ["id", "labels", "day", *added, "issue_rank"]
    np.testing.assert_array_equal(rows["is_label_issue"], mask.any(axis=1))
    quality = core.get_label_quality_scores(labels, pred_probs)
    assert rows["label_quality"].tolist() == quality.tolist()
    for i, suspects in enumerate(rows["suspect_classes"]):
        assert suspects.tolist() == [CLASSES[k] for k in np.flatnonzero(mask[i])]
    cells = pq.read_table(tmp_path / "out_issues").to_pandas()
    pairs = {(f"r{i:03}", CLASSES[k]) for i, k in np.argwhere(mask)}
    assert set(zip(cells["id"], cells["class"], strict=True)) == pairs

    health = multilabel_health_summary(labels, pred_probs)
    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    score = health["overall_multilabel_health_score"]
    assert metrics["label_health_score", None] == pytest.approx(score, abs=1e-12)
    for row in health["classes_by_multilabel_quality"].to_dict("records"):
        name = CLASSES[row["Class Index"]]
        assert metrics["class_label_issues", name] == row["Label Issues"]
        assert metrics["class_missing_labels", name] == row["Inverse Label Issues"]
    assert metrics["class_rows", "cat"] == metrics["rows_scored", None] == len(labels)
    model = MultilabelModel.load(tmp_path / "model.json")
    np.testing.assert_array_equal(model.thresholds, core.fit(labels, pred_probs).thresholds)

    worst = int(np.argmin(quality))
    suggested = ", ".join(rows["suggested_labels"][worst])
    given = ", ".join(CLASSES[k] for k in labels[worst])
    text = f"r{worst:03} {given} {suggested} {quality[worst]:.6f}"
    assert text in [" ".join(line.split()) for line in done.stdout.splitlines()]


BAD = [
    (None, [0.5] * 4, "null labels"),
    ([1, 1], [0.5] * 4, "label given twice"),
    ([0], [0.5, 0.5, 0.5, 1.5], "probability above 1"),
    ([0], [0.5] * 3, "pred_probs of wrong length"),
]


def test_a_model_is_applied_as_it_is_to_rows_that_can_be_scored(run, tmp_path):
    labels, pred_probs = data_set(40)
    model = core.fit(*data_set(100, seed=1))
    model.save(tmp_path / "model.json")
    bad = [*labels, *(row[0] for row in BAD)], [*pred_probs, *(row[1] for row in BAD)]
    source = write(tmp_path / "in.parquet", *bad)
    options = {"filter_by": "confident_learning", "fitted": str(tmp_path / "model.json")}
    done = run(str(source), "multilabel", classes=CLASSES, on_invalid="quarantine", **options)
    aside = done.quarantine.sort_by("id")
    assert aside["invalid_reason"].to_pylist() == [row[2] for row in BAD]
    assert "40 of 44 rows scored" in done.printed
    rows = done.scores.sort_by("id").to_pandas()
    bits = np.array([np.isin(range(4), row) for row in labels])
    absent, present = model.thresholds.T - 1e-6
    issues = np.where(
        bits,
        (1 - pred_probs >= absent) & (pred_probs < 0.5),
        (pred_probs >= present) & (pred_probs > 0.5),
    )
    np.testing.assert_array_equal(rows["is_label_issue"], issues.any(axis=1))


def test_names_and_number_of_classes_must_agree(run, tmp_path):
    labels, pred_probs = data_set(5)
    source = write(tmp_path / "in.parquet", labels, pred_probs)
    done = run(str(source), "multilabel", ends=2, classes=CLASSES, n_classes=3)
    assert "classes has 4 names, K is 3" in done.error
