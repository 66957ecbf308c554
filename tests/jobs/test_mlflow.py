"""Runs in MLflow: by a stand-in for it, which is there everywhere, and by itself where it is."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from runs import config_of, left_in

from lq_spark.job.mlflow import MAX_METRICS, metric_name, params_of

CLASSES = ["cat", "dog/wolf", "."]


class Recorded:
    """What stands in for the module: it writes down what it is told."""

    def __init__(self, broken=()):
        self.broken, self.active = set(broken), []
        self.params, self.metrics, self.tags, self.artifacts = {}, {}, {}, {}
        self.ended, self.requests = [], []

    def _breaks(self, name):
        if name in self.broken:
            raise ConnectionError(f"{name}: no one is there\nat all")

    def active_run(self):
        return self.active[-1] if self.active else None

    def start_run(self, run_name, nested, tags):
        self._breaks("start_run")
        assert nested == bool(self.active)
        self.active.append(run_name)
        self.tags.update(tags)
        return SimpleNamespace()

    def set_tag(self, name, value):
        self.tags[name] = value

    def set_tags(self, tags):
        self._breaks("set_tags")
        self.tags.update(tags)

    def log_params(self, params):
        self._breaks("log_params")
        self.params.update(params)

    def log_metrics(self, metrics):
        self._breaks("log_metrics")
        self.requests.append(len(metrics))
        self.metrics.update(metrics)

    def log_artifact(self, path):
        self.artifacts[path] = Path(path).read_text(encoding="utf-8")

    def end_run(self, status):
        self._breaks("end_run")
        self.ended.append((self.active.pop(), status))


@pytest.fixture
def mlflow(monkeypatch):
    """Put the stand-in in the place of MLflow."""

    def put(*broken):
        made = Recorded(broken)
        monkeypatch.setitem(sys.modules, "mlflow", made)
        return made

    return put


@pytest.fixture
def rows(labelled_rows):
    return labelled_rows(60, 3, classes=CLASSES)[2]


def test_a_run_is_logged_with_its_keys_metrics_and_files(run, rows, mlflow, tmp_path):
    there = mlflow()
    files = {name: str(tmp_path / name) for name in ("save_fitted", "save_thresholds", "report")}
    keys = {"classes": CLASSES, "find_issues": True, "fail_if": ["rows > 1"]}
    done = run(rows, mlflow=True, **keys, **files, ends=3)
    assert there.ended == [("lq_spark multiclass", "FINISHED")]
    assert there.tags["lq_spark.status"] == "gate_failed"
    assert there.tags["lq_spark.run_id"] == done.run_id
    assert there.tags["lq_spark.config_fingerprint"] == done.config.fingerprint
    assert there.params["input"] == done.keys["input"]
    assert there.params["classes"] == json.dumps(CLASSES)
    assert there.params["find_issues"] == "true"
    assert "partition_by" not in there.params  # an empty list
    assert "thresholds" not in there.params
    told = {
        metric_name(*key): value
        for key, value in done.metrics.items()
        if value is not None and key[0] not in ("fail_if", "seconds")
    }
    assert told.items() <= there.metrics.items()
    assert there.metrics["class_rows/dog_2f_wolf"] == done.metrics["class_rows", "dog/wolf"]
    assert there.metrics["class_rows/_2e_"] == done.metrics["class_rows", "."]
    assert there.metrics["seconds/scores"] > 0
    assert all(math.isfinite(value) for value in there.metrics.values())
    assert set(there.artifacts) == set(files.values())
    assert "lq_spark.noise_model" in there.artifacts[files["save_fitted"]]


def test_a_run_within_a_run_is_nested(run, rows, mlflow):
    there = mlflow()
    there.active.append("outer")
    run(rows, mlflow=True, classes=CLASSES)
    assert there.active == ["outer"]


def test_nothing_is_imported_that_is_not_asked_for(run, rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    run(rows, classes=CLASSES)


@pytest.mark.parametrize("dry_run", [True, False])
def test_without_mlflow_nothing_is_run(run, rows, monkeypatch, tmp_path, dry_run):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    done = run(rows, mlflow=True, classes=CLASSES, ends=2, dry_run=dry_run)
    assert done.error.startswith("mlflow: MLflow is not installed (")
    assert done.error.endswith("): pip install mlflow-skinny")
    assert left_in(tmp_path) == {"input.parquet"}


def test_a_dry_run_is_not_logged(run, rows, mlflow):
    there = mlflow()
    run(rows, mlflow=True, classes=CLASSES, dry_run=True)
    assert there.tags == {}
    assert there.ended == []


def test_a_run_that_fails_is_logged_as_failed(run, rows, mlflow):
    there = mlflow()
    bad = rows.set_column(1, "label", pa.array(["cow"] * 60))
    done = run(bad, mlflow=True, classes=CLASSES, ends=1)
    assert "cannot be scored" in done.error
    assert there.ended == [("lq_spark multiclass", "FAILED")]
    assert there.tags["lq_spark.status"] == "failed"
    assert there.tags["lq_spark.error"] == "InvalidRowsError"
    there = mlflow("set_tags", "end_run")
    assert "cannot be scored" in run(bad, mlflow=True, classes=CLASSES, ends=1).error


@pytest.mark.parametrize("broken", ["start_run", "log_params"])
def test_nothing_is_run_where_mlflow_cannot_be_reached(run, rows, mlflow, tmp_path, broken):
    mlflow(broken)
    done = run(rows, mlflow=True, classes=CLASSES, ends=1)
    assert done.error == (
        f"mlflow: MLflow failed, nothing has been run yet: {broken}: no one is there"
    )
    assert left_in(tmp_path) == {"input.parquet"}


@pytest.mark.parametrize("broken", ["log_metrics", "end_run"])
def test_a_run_whose_end_is_not_logged_says_so(run, rows, mlflow, tmp_path, broken):
    mlflow(broken)
    done = run(rows, mlflow=True, classes=CLASSES, ends=1)
    assert done.error == f"mlflow: MLflow failed, the tables are written: {broken}: no one is there"
    assert done.scores.num_rows == 60


def test_no_request_holds_too_many_metrics(run, labelled_rows, mlflow):
    there = mlflow()
    run(labelled_rows(600, 400)[2], mlflow=True, n_classes=400)
    assert len(there.requests) == 2
    assert there.requests[0] == MAX_METRICS
    assert sum(there.requests) == len(there.metrics) > MAX_METRICS


def test_params_and_names_are_no_longer_than_mlflow_allows():
    names = [f"class {k}" for k in range(200)]
    params = params_of(config_of(input="./in", output="./out", classes=names))
    assert len(params["classes"]) == 500
    assert params["classes"].endswith("…")
    assert len(metric_name("class_rows", "x" * 1000)) == 250
    assert metric_name("class_rows", "") == "class_rows/_"
    assert metric_name("class_rows", "a.b") != metric_name("class_rows", "a/b")


@pytest.mark.filterwarnings("ignore")  # of MLflow's own packages
def test_mlflow_itself_has_the_run(run, rows, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # which needs no database
    place = f"file://{tmp_path}/mlruns"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    mlflow.set_tracking_uri(place)
    saved = str(tmp_path / "fitted.json")
    keys = {"mlflow": True, "classes": CLASSES, "find_issues": True}
    done = run(rows, **keys, save_fitted=saved)
    bad = rows.set_column(1, "label", pa.array(["cow"] * 60))
    run(bad, **keys, ends=1)
    client = mlflow.MlflowClient(place)
    failed, good = client.search_runs(["0"], order_by=["attributes.start_time DESC"])
    assert (good.info.status, failed.info.status) == ("FINISHED", "FAILED")
    assert good.data.tags["lq_spark.run_id"] == done.run_id
    assert good.data.metrics["label_issues"] == done.metrics["label_issues", None]
    assert good.data.metrics["class_rows/dog_2f_wolf"] > 0
    assert good.data.params["task"] == "multiclass"
    assert [file.path for file in client.list_artifacts(good.info.run_id)] == ["fitted.json"]
    assert failed.data.tags["lq_spark.error"] == "InvalidRowsError"
