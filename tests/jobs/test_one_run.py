"""What the one run does for every task: when rows are looked at one by one, and what is refused."""

from pathlib import Path

import every_task
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark.engine import parquet_files
from lq_spark.errors import DataError, InvalidRowsError, LqError
from lq_spark.job.clock import Clock
from lq_spark.job.config_file import load_config
from lq_spark.job.execution import execute
from lq_spark.job.run import opened_run
from lq_spark.job.tasks.registry import TASKS

FLAGS = {
    "multiclass": {},
    "issues": {"find_issues": True, "issue_rank": True, "adjust_pred_probs": True},
    "sentences": {"find_issues": True},
    "tokens": {},
    "multilabel": {"issue_rank": True},
    "regression": {"issue_rank": True},
    "residuals": {"method": "residual", "frac_issues": 0.2},
    "detection": {"issue_rank": True},
    "boxes": {"id": "image_id"},
    "segmentation": {},
    "crowd": {},
    "outliers": {},
    "duplicates": {},
    "texts": {"similarity": 0.5},
    "imbalance": {"n_classes": 3},
    "nulls": {},
    "valuation": {},
    "noniid": {},
    "groups": {"clusters": "cluster_of", "min_cluster_samples": 1},
    "audit": {"checks": ["null", "class_imbalance", "outlier"], "n_classes": 3},
    "training": {"n_folds": 2, "min_examples_per_class": 1},
}
CASES = {"issues": "multiclass", "residuals": "regression"}
PLACES = {"boxes": ("label_boxes", "predicted_boxes", "input"), "crowd": ("annotations", "input")}

# The column and the value that cannot be scored, in the last row of the (last) table.
BAD = {
    "multiclass": ("label", 9),
    "issues": ("pred_probs", [2.0, 0.0, 0.0]),
    "sentences": ("labels", None),
    "tokens": ("label", -1),
    "multilabel": ("pred_probs", [2.0, 0.0, 0.0]),
    "regression": ("prediction", float("inf")),
    "residuals": ("label", float("nan")),
    "detection": ("predictions", None),
    "segmentation": ("label_mask", None),
    "crowd": ("p0", [2.0, 0.0, 0.0]),
    "outliers": ("features", [1.0, 2.0, 3.0, float("nan")]),
    "duplicates": ("features", None),
    "texts": ("text", None),
    "imbalance": ("label", 3),
    "nulls": ("id", None),
    "valuation": ("label", None),
    "noniid": ("features", [1.0, 2.0, 3.0, float("nan")]),
    "groups": ("pred_probs", [2.0, 0.0, 0.0]),
    "audit": ("features", [1.0, 2.0, 3.0, float("nan")]),
    "training": ("site", None),
}


def tables_of(name, bad=False):
    """Return the tables of a case, on request with a row that cannot be scored."""
    case = every_task.CASES[CASES.get(name, name)]()
    tables = list(case.tables)
    if name == "boxes":
        tables.append(pa.table({"image_id": np.arange(9)}))
    if bad:
        column, value = BAD[name]
        at = tables[-1].column_names.index(column)
        values = tables[-1][column].to_pylist()
        values[-1] = value
        made = pa.array(values, tables[-1].schema.field(column).type)
        tables[-1] = tables[-1].set_column(at, column, made)
    return case, tables


@pytest.fixture
def config_of(tmp_path):
    """Write the tables of a case; return the configuration of a job on them."""

    def config(name, bad=False, **flags):
        case, tables = tables_of(name, bad)
        places = dict(zip(PLACES.get(name, ("input",)), tables, strict=True))
        for place, table in places.items():
            pq.write_table(table, tmp_path / f"{place}.parquet", row_group_size=3)
        where = {place: str(tmp_path / f"{place}.parquet") for place in places}
        fields = TASKS[case.job].config.model_fields
        columns = {option: names for option, names in case.columns.items() if option in fields}
        if name == "tokens":
            columns["token_index"] = "token_index"
        if name == "regression":
            del columns["uncertainty"]
        if name == "residuals":
            del columns["uncertainty"]
        flags = {**where, "output": str(tmp_path / "out"), **columns, **FLAGS[name], **flags}
        return load_config(None, flags, case.job)

    return config


@pytest.fixture
def validations(monkeypatch):
    """Count how often each task validates rows."""
    calls = []
    for entry in TASKS.values():
        kind = entry.load()

        def validate(self, *rows, of=kind, checked=kind.checked):
            calls.append(of)
            return checked(self, *rows)

        monkeypatch.setattr(kind, "checked", validate)
    return calls


def test_there_is_a_case_of_each_task():
    assert {every_task.CASES[CASES.get(name, name)]().job for name in FLAGS} == set(TASKS)


@pytest.mark.parametrize("name", FLAGS)
def test_a_clean_table_is_not_validated_row_by_row(name, spark, config_of, validations):
    report = execute(spark, config_of(name)).report
    assert validations == []
    assert "invalid rows" not in report.seconds
    assert report.n_scored == report.n_rows > 5
    assert report.quarantined == {}


@pytest.mark.parametrize("name", BAD)
def test_a_row_without_a_score_has_all_of_them_looked_at(name, spark, config_of, validations):
    with pytest.raises(InvalidRowsError, match=r"^1 of \d+ \w+ cannot be scored: .*: 1 \(") as one:
        execute(spark, config_of(name, bad=True))
    assert len(validations) == 1
    report = execute(spark, config_of(name, bad=True, on_invalid="quarantine")).report
    assert "invalid rows" in report.seconds
    assert report.n_rows == report.n_scored + 1
    [(reason, count)] = report.quarantined.items()
    assert count == 1
    assert reason in str(one.value)


@pytest.mark.parametrize("name", FLAGS)
def test_a_row_that_is_lost_while_the_table_is_read_is_refused(
    name, spark, config_of, monkeypatch, tmp_path
):
    config = config_of(name)
    kind = TASKS[config.task].load()
    score = kind.score

    def losing(self, *arguments):
        for option, table in score(self, *arguments):
            fewer = table.limit(5) if option == "output" else table
            yield option, fewer

    monkeypatch.setattr(kind, "score", losing)
    with pytest.raises(LqError, match=r"read, but 5 scored and 0 set aside; did the table change"):
        execute(spark, config)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["multiclass", "regression"])
def test_a_row_without_a_score_or_a_fault_is_refused(name, spark, config_of, monkeypatch, tmp_path):
    config = config_of(name, bad=True)
    kind = TASKS[config.task].load()
    _, (table,) = tables_of(name)
    pq.write_table(table, tmp_path / "good.parquet")
    validate = kind.validate

    def of_another(self, rows):
        return validate(self, spark.read.parquet(str(tmp_path / "good.parquet")))

    monkeypatch.setattr(kind, "validate", of_another)
    with pytest.raises(LqError, match="could not be scored, but no one has a fault; did the table"):
        execute(spark, config)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [DataError("all of one class"), RuntimeError("no memory")])
def test_other_errors_of_scoring_are_no_reason_to_validate(
    error, spark, config_of, monkeypatch, validations
):
    config = config_of("multilabel")

    def score(self, *arguments):
        raise error
        yield

    monkeypatch.setattr(TASKS["multilabel"].load(), "score", score)
    with pytest.raises(type(error), match=str(error)):
        execute(spark, config)
    assert validations == []


def test_annotations_without_any_item_are_named(spark, config_of, tmp_path):
    config = config_of("crowd")
    pq.write_table(pq.read_table(config.input).slice(0, 0), config.input)
    with pytest.raises(InvalidRowsError, match=r"annotations cannot be scored: item not in the it"):
        execute(spark, config)


def test_a_reason_that_was_found_once_is_counted_ever_after(spark, config_of, read_metrics):
    counts = []
    for bad in (False, True, False, False):
        config = config_of("regression", bad=bad, on_invalid="quarantine")
        run_id = execute(spark, config).report.run_id
        metrics = read_metrics(config.place("metrics"))[run_id]
        counts.append({key[1]: n for key, n in metrics.items() if key[0] == "rows_quarantined"})
    reason = "prediction not finite"
    assert counts == [{None: 0}, {None: 1, reason: 1}, *[{None: 0, reason: 0}] * 2]


@pytest.mark.parametrize("name", FLAGS)
def test_each_column_that_is_added_has_a_comment(name, spark, config_of):
    config = config_of(name, on_invalid="quarantine")
    with opened_run(spark, config) as run:
        columns, outputs = run.task.source.columns, run.check_outputs()
    given = {*columns, "item", "annotator", "label", "id", "token_index", "token"}
    for spec, schema in outputs:
        added = [field for field in schema if field.name not in given]
        assert added or spec.option == "label_boxes"
        assert [field.name for field in added if "comment" not in field.metadata] == []


@pytest.mark.parametrize("name", FLAGS)
def test_conditions_may_read_what_a_run_measures(name, spark, config_of):
    config = config_of(name)
    of_table, of_classes = config.meanings
    with opened_run(spark, config) as run:
        measured = {(metric, detail is None) for metric, detail, _ in run.run().metrics()}
    for metric, is_of_table in measured - {("seconds", False), ("model_weight", False)}:
        assert metric in (of_table if is_of_table else of_classes)


@pytest.mark.parametrize("name", [name for name in FLAGS if name != "residuals"])
def test_an_empty_table_has_nothing_to_save(name, spark, config_of, tmp_path):
    if "save_fitted" not in TASKS[config_of(name).task].config.model_fields:
        return
    issues = {"find_issues": True} if name in ("multiclass", "tokens") else {}
    of_classes = {} if name in ("outliers", "training") else {"n_classes": 3}
    options = {**issues, **of_classes}
    config = config_of(name, save_fitted=str(tmp_path / "fitted.json"), **options)
    for spec in config.inputs:
        pq.write_table(pq.read_table(spec.name).slice(0, 0), spec.name)
    with pytest.raises(DataError, match=r"^save_fitted: the table is empty"):
        execute(spark, config)
    assert not (tmp_path / "fitted.json").exists()


def test_a_phase_within_another_counts_for_itself(monkeypatch):
    times = iter([0.0, 1.0, 3.0, 7.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    clock = Clock()
    with clock.timed("scores"), clock.timed("cuts"):
        pass
    assert clock.seconds == {"cuts": 2.0, "scores": 5.0}


def test_each_row_of_the_registry_is_a_file_that_declares_its_task():
    for word, entry in TASKS.items():
        assert entry.config.model_fields["task"].default == entry.task == word
        assert entry.title and entry.description.endswith(".")


def rows_written(config):
    """Return the rows of the tables of a run, in order, without what tells runs apart."""
    of_run = {"run_id", "started_at", "output", "config", "config_fingerprint"}
    found = {}
    for option, spec in config.tables.items():
        if Path(spec.name).exists():
            rows = pq.read_table(spec.name).to_pylist()
            rows = [{k: v for k, v in row.items() if k not in of_run} for row in rows]
            rows = [row for row in rows if row.get("metric") not in ("seconds", "read_by_workers")]
            found[option] = sorted(map(repr, rows))
    return found


ON_SPARK = ("issues", "sentences", "boxes", "texts")  # of each way to read a table
READ = [
    pytest.param(name, n, marks=[pytest.mark.spark] if (name in ON_SPARK and n == 1) else [])
    for name in FLAGS
    for n in (1, 2, 7)
]


@pytest.mark.parametrize(("name", "n_splits"), READ)
def test_either_reader_gives_the_same_bits(name, n_splits, spark, config_of, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_files, "split_bytes", lambda _, total: total / n_splits)
    found = {}
    for reader in ("spark", "files"):
        config = config_of(name, reader=reader, output=str(tmp_path / reader))
        report = execute(spark, config).report
        assert report.reader.is_workers == (reader == "files")
        found[reader] = rows_written(config)
    assert len(found["files"]["output"]) > 5
    assert found["files"] == found["spark"]
