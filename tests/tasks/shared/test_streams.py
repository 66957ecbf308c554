"""Streams: rows are scored one by one; what has to see all rows says so before a job."""

import every_task
import pyarrow.parquet as pq
import pytest

from lq_spark import detection, multiclass, multilabel, regression, segmentation, tokens
from lq_spark.errors import OptionError

TAKES = {
    ("multiclass", "score"): {"adjust_pred_probs": False},
    ("sentences", "score"): {},
    ("multilabel", "score"): {"adjust_pred_probs": False},
    ("regression", "score"): {"method": "residual"},
    ("segmentation", "score"): {},
    ("nested_images", "score"): {},
}
"""Calls that take a stream, with which options, once K is told."""


@pytest.fixture
def as_streams(monkeypatch):
    """Let tables say that they are streams."""

    def make(tables):
        monkeypatch.setattr(type(tables[0]), "isStreaming", property(lambda table: True))
        return tables

    return make


@pytest.mark.parametrize("name", list(every_task.CASES))
def test_what_has_to_see_all_rows_says_what_takes_a_stream(unread, as_streams, spark, name):
    case = every_task.CASES[name]()
    made = every_task.spark_tables(spark, case)
    tables = as_streams([unread(**dict(table.dtypes)) for table in made])
    for call in case.calls:
        takes = name in ("sentences", "segmentation", "nested_images")
        if (call.function == "score" and takes) or call.options.get("level") == "token":
            continue
        if name == "nulls" and call.function in ("score", "find_issues"):
            continue  # each row is looked at by itself
        with pytest.raises(OptionError) as error:
            every_task.run(case, call, tables)
        said = str(error.value)
        assert said.startswith(f"{case.task}."), call
        assert "has to see all rows, and this table is a stream: " in said
        assert "foreachBatch" in said


@pytest.mark.parametrize("key", list(TAKES), ids=str)
def test_a_stream_needs_to_be_told_how_many_classes_there_are(unread, as_streams, spark, key):
    case = every_task.CASES[key[0]]()
    if case.task == "regression":
        return
    made = every_task.spark_tables(spark, case)
    tables = as_streams([unread(**dict(table.dtypes)) for table in made])
    call = next(call for call in case.calls if call.function == "score")
    call = every_task.Call("score", call.columns, TAKES[key])
    with pytest.raises(OptionError, match="is a stream, so its first row cannot say K: give n_cl"):
        every_task.run(case, call, tables)
    told = every_task.Call("score", call.columns, {**TAKES[key], "n_classes": every_task.K})
    assert every_task.run(case, told, tables).columns


@pytest.mark.parametrize("check", [multiclass, multilabel, detection, segmentation])
def test_rows_of_a_stream_are_checked_by_themselves(unread, as_streams, spark, check):
    name = check.__name__.rpartition(".")[2]
    case = every_task.CASES[name]()
    [table] = as_streams([unread(**dict(every_task.spark_tables(spark, case)[0].dtypes))])
    assert "invalid_reason" in check.validate(table, n_classes=every_task.K).columns
    with pytest.raises(OptionError, match=f"{name}.validate with id has to see all rows, and this"):
        check.validate(table, id="id", n_classes=every_task.K)


@pytest.mark.spark_only
@pytest.mark.parametrize("name", ["multiclass", "sentences", "tokens", "multilabel", "regression"])
def test_a_stream_is_scored_as_a_table(spark, tmp_path, name):
    case = every_task.CASES[name]()
    (tmp_path / "in").mkdir()
    pq.write_table(case.tables[0], tmp_path / "in" / "part.parquet")
    table = spark.read.parquet(str(tmp_path / "in"))
    stream = spark.readStream.schema(table.schema).parquet(str(tmp_path / "in"))
    assert stream.isStreaming
    options = {
        "multiclass": lambda: {
            "n_classes": every_task.K,
            "adjust_pred_probs": True,
            "thresholds": multiclass.fit_thresholds(table),
            "predicted_label": True,
        },
        "sentences": lambda: {"n_classes": every_task.K, "tokens": "tokens"},
        "tokens": lambda: {
            "n_classes": every_task.K,
            "token_index": "token_index",
            "level": "token",
        },
        "multilabel": lambda: {"fitted": multilabel.fit(table), "adjust_pred_probs": True},
        "regression": lambda: {"method": "residual"},
    }[name]()
    score = {
        "multiclass": multiclass.score,
        "sentences": tokens.score,
        "tokens": tokens.score,
        "multilabel": multilabel.score,
        "regression": regression.score,
    }[name]
    expected = every_task.values_of(score(table, **options))
    assert streamed(spark, score(stream, **options), tmp_path) == expected


@pytest.mark.spark_only
@pytest.mark.parametrize("filter_by", ["confident_learning", "predicted_neq_given"])
def test_rows_of_a_stream_are_judged_by_what_was_fitted(spark, tmp_path, filter_by):
    (tmp_path / "in").mkdir()
    pq.write_table(every_task.CASES["multiclass"]().tables[0], tmp_path / "in" / "part.parquet")
    table = spark.read.parquet(str(tmp_path / "in"))
    stream = spark.readStream.schema(table.schema).parquet(str(tmp_path / "in"))
    options = {"fitted": multiclass.fit(table), "filter_by": filter_by}
    expected = every_task.values_of(multiclass.find_issues(table, **options))
    assert streamed(spark, multiclass.find_issues(stream, **options), tmp_path) == expected


@pytest.mark.spark_only
@pytest.mark.parametrize("name", ["detection", "segmentation"])
def test_a_stream_of_images_is_scored_as_a_table(spark, tmp_path, name):
    case = every_task.CASES[name]()
    task = {"detection": detection, "segmentation": segmentation}[name]
    (tmp_path / "in").mkdir()
    pq.write_table(case.tables[0], tmp_path / "in" / "part.parquet")
    table = spark.read.parquet(str(tmp_path / "in"))
    stream = spark.readStream.schema(table.schema).parquet(str(tmp_path / "in"))
    options = {"fitted": task.fit(table)}
    if name == "segmentation":
        options["method"] = "num_pixel_issues"
    expected = every_task.values_of(task.score(table, **options))
    assert streamed(spark, task.score(stream, **options), tmp_path) == expected


def streamed(spark, scores, folder):
    """Return the values that a stream writes until nothing is left."""
    query = (
        scores.writeStream.format("parquet")
        .option("path", str(folder / "out"))
        .option("checkpointLocation", str(folder / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    assert query.awaitTermination(120)
    return every_task.values_of(spark.read.parquet(str(folder / "out")))
