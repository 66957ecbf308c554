"""The query functions of a declarative pipeline: Spark refuses to analyse or to run in them."""

import every_task
import pytest
from pyspark.sql import functions as F
from pyspark.sql.connect.dataframe import DataFrame

from lq_spark import (
    declared,
    detection,
    multiclass,
    multilabel,
    nulls,
    outliers,
    regression,
    segmentation,
    tokens,
)
from lq_spark.engine import kinds
from lq_spark.errors import ColumnError, OptionError

blocking = pytest.importorskip("pyspark.pipelines.block_connect_access", reason="Spark before 4.1")
pytestmark = pytest.mark.connect

K = every_task.K
BY_ROW = ("confident_learning", "predicted_neq_given")

RESOLVED_AT_ONCE = (
    *("withColumn", "withColumns", "withColumnRenamed", "withColumnsRenamed", "drop", "to"),
    *("dropna", "fillna", "replace", "sample", "withWatermark"),
)
"""Methods whose plan the server makes of the tables as they are, not as the pipeline makes them."""


@pytest.fixture
def in_function():
    """Call a function as Spark calls a query function of a pipeline.

    The plan that it gives may be of tables that the pipeline makes, so what is resolved at once may
    not be in it.
    """

    def call(function, *args, **kwargs):
        with pytest.MonkeyPatch.context() as patched:
            for name in RESOLVED_AT_ONCE:
                patched.setattr(DataFrame, name, None)
            with blocking.block_spark_connect_execution_and_analysis():
                return function(*args, **kwargs)

    return call


@pytest.fixture
def table_of(spark):
    """Make the table of a task whose columns are told, so that Spark is not asked for them."""

    def make(name):
        [table, *_] = every_task.spark_tables(spark, every_task.CASES[name]())
        return declared(table.select("*"), table.schema)

    return make


def fitted_multiclass(table, folder):
    fitted = multiclass.fit(table)
    return {"thresholds": fitted.thresholds, "adjust_pred_probs": True, "predicted_label": True}


def fitted_outliers(table, folder):
    outliers.fit(table).save(str(folder))
    return {"fitted": outliers.FittedOutliers.load(table.sparkSession, str(folder))}


SCORES = {
    "multiclass": (multiclass.score, fitted_multiclass),
    "sentences": (tokens.score, lambda *_: {"n_classes": K, "tokens": "tokens"}),
    "tokens": (
        tokens.score,
        lambda *_: {"n_classes": K, "token_index": "token_index", "level": "token"},
    ),
    "multilabel": (
        multilabel.score,
        lambda table, _: {"fitted": multilabel.fit(table), "adjust_pred_probs": True},
    ),
    "regression": (regression.score, lambda *_: {"method": "residual"}),
    "detection": (detection.score, lambda table, _: {"fitted": detection.fit(table)}),
    "segmentation": (segmentation.score, lambda *_: {"n_classes": K}),
    "outliers": (outliers.score, fitted_outliers),
    "nulls": (nulls.score, lambda *_: {"columns": ["value", "text"]}),
}

CHECKS = {
    "multiclass": (multiclass.validate, {"n_classes": K, "id": "id"}),
    "sentences": (tokens.validate, {"n_classes": K, "tokens": "tokens"}),
    "tokens": (tokens.validate, {"n_classes": K, "token_index": "token_index"}),
    "multilabel": (multilabel.validate, {"n_classes": K, "id": "id"}),
    "regression": (regression.validate, {"id": "id"}),
    "detection": (detection.validate, {"n_classes": K, "id": "id"}),
    "segmentation": (segmentation.validate, {"n_classes": K, "id": "id"}),
    "outliers": (outliers.validate, {"n_features": 2, "id": "id"}),
    "nulls": (nulls.validate, {"columns": ["value", "text"], "id": "id"}),
}


@pytest.mark.parametrize("name", list(SCORES))
def test_rows_are_scored_as_elsewhere(in_function, table_of, tmp_path, name):
    score, options_of = SCORES[name]
    table = table_of(name)
    options = options_of(table, tmp_path)
    made = in_function(score, table, **options)
    assert every_task.values_of(made) == every_task.values_of(score(table, **options))


@pytest.mark.parametrize("task", [outliers, nulls])
def test_rows_that_are_judged_by_themselves_are_found_as_elsewhere(
    in_function, table_of, tmp_path, task
):
    name = task.__name__.rpartition(".")[2]
    table = table_of(name)
    options = SCORES[name][1](table, tmp_path)
    made = in_function(task.find_issues, table, **options)
    assert every_task.values_of(made) == every_task.values_of(task.find_issues(table, **options))


@pytest.mark.parametrize("name", list(CHECKS))
def test_rows_are_checked_as_elsewhere(in_function, table_of, name):
    validate, options = CHECKS[name]
    table = table_of(name)
    twice = declared(table.union(table.limit(1)), table.schema)
    made = in_function(validate, twice, **options)
    assert every_task.values_of(made) == every_task.values_of(validate(twice, **options))
    assert made.where("invalid_reason is not null").count() > 0


def test_faults_of_a_row_itself_are_found_as_elsewhere(in_function, table_of):
    table = table_of("multiclass")
    labels = (F.col("label") * 2).cast("int").alias("label")
    wrong = declared(table.select("id", labels, "pred_probs"), table.schema)
    made = in_function(multiclass.validate, wrong, n_classes=K)
    expected = every_task.values_of(multiclass.validate(wrong, n_classes=K))
    assert every_task.values_of(made) == expected
    assert made.where("invalid_reason is not null").count() > 0


def test_what_is_left_of_a_declared_table_is_declared(in_function, table_of):
    table = table_of("multiclass")
    made = in_function(lambda: multiclass.score(table.where("id > 3"), n_classes=K))
    expected = every_task.values_of(multiclass.score(table.where("id > 3"), n_classes=K))
    assert every_task.values_of(made) == expected


@pytest.mark.parametrize("filter_by", BY_ROW)
def test_rows_are_judged_by_what_was_fitted(in_function, table_of, filter_by):
    table = table_of("multiclass")
    options = {"fitted": multiclass.fit(table), "filter_by": filter_by, "adjust_pred_probs": True}
    made = in_function(multiclass.find_issues, table, **options)
    expected = every_task.values_of(multiclass.find_issues(table, **options))
    assert every_task.values_of(made) == expected
    assert made.where("is_label_issue").count() > 0


def test_no_row_is_read_before_the_query_runs(in_function, spark, table_of):
    table = table_of("multiclass")
    fitted = multiclass.fit(table)
    bomb = F.raise_error(F.lit("the table was read"))
    columns = [bomb.cast(field.dataType).alias(field.name) for field in table.schema]
    unread = declared(spark.range(3).select(*columns), table.schema)
    for made in (
        in_function(multiclass.score, unread, n_classes=K),
        in_function(multiclass.validate, unread, n_classes=K, id="id"),
        in_function(multiclass.find_issues, unread, fitted=fitted, filter_by=BY_ROW[0]),
    ):
        with pytest.raises(Exception, match="the table was read"):
            made.collect()


@pytest.mark.connect_only
def test_the_engine_is_not_asked_for_its_name(in_function, spark, monkeypatch):
    monkeypatch.setattr(kinds, "_KNOWN", {})
    assert in_function(kinds.engine_of, spark).name == kinds.SPARK
    assert not kinds._KNOWN


@pytest.mark.parametrize("calls", [SCORES, CHECKS], ids=["score", "validate"])
@pytest.mark.parametrize("name", list(SCORES))
def test_columns_have_to_be_told(in_function, table_of, tmp_path, calls, name):
    call, options = calls[name]
    options = options(table_of(name), tmp_path) if callable(options) else options
    untold = table_of(name).select("*")
    with pytest.raises(ColumnError) as error:
        in_function(call, untold, **options)
    assert str(error.value) == (
        "a query function of a pipeline cannot ask which columns a table has: say it by "
        "lq_spark.declared(df, schema), of a schema that is made outside the function"
    )


@pytest.mark.parametrize(
    ("name", "call", "what", "options"),
    [
        ("multiclass", multiclass.score, "K", "n_classes or classes"),
        ("multiclass", multiclass.validate, "K", "n_classes or classes"),
        ("outliers", outliers.validate, "how many features there are", "n_features"),
    ],
)
def test_what_the_first_row_says_has_to_be_told(in_function, table_of, name, call, what, options):
    with pytest.raises(OptionError) as error:
        in_function(call, table_of(name))
    assert str(error.value) == (
        f"a query function of a pipeline reads no rows, so its first row cannot say {what}: give "
        f"{options}"
    )


@pytest.mark.parametrize(
    ("call", "options"),
    [
        (multiclass.fit, {}),
        (multiclass.fit_thresholds, {}),
        (multiclass.summarize, {}),
        (multiclass.find_issues, {"filter_by": BY_ROW[0]}),
        (multiclass.score, {"adjust_pred_probs": True}),
    ],
)
def test_what_has_to_see_all_rows_is_called_before(in_function, table_of, call, options):
    with pytest.raises(OptionError) as error:
        in_function(call, table_of("multiclass"), **options)
    assert "has to see all rows, and a query function of a pipeline reads none: multiclass." in str(
        error.value
    )
    assert str(error.value).endswith("; call the rest before, in a job")


@pytest.mark.parametrize("options", [{}, {"filter_by": BY_ROW[0], "issue_rank": True}], ids=str)
def test_rules_that_compare_rows_name_those_that_do_not(in_function, table_of, options):
    table = table_of("multiclass")
    with pytest.raises(OptionError) as error:
        in_function(multiclass.find_issues, table, fitted=multiclass.fit(table), **options)
    assert str(error.value).startswith(
        "multiclass.find_issues, but with fitted and filter_by 'confident_learning' or "
        "'predicted_neq_given', has to see all rows, and a query function of a pipeline reads none"
    )


def test_tasks_that_score_no_row_by_itself_say_so(in_function, table_of):
    from lq_spark import valuation

    with pytest.raises(OptionError, match=r"reads none: call it before, in a job$"):
        in_function(valuation.score, table_of("multiclass"))


def test_other_errors_of_spark_stay_what_they_are(spark):
    missing = spark.read.table("there_is_no_such_table")
    for call in (multiclass.score, multiclass.fit):
        with pytest.raises(Exception, match="there_is_no_such_table"):
            call(missing)
