"""The query functions of a declarative pipeline: Spark refuses to analyse or to run in them."""

import every_task
import pytest
from pyspark.sql import functions as F
from pyspark.sql.connect.dataframe import DataFrame

from lq_spark import declared, detection, multiclass, multilabel, regression, segmentation, tokens
from lq_spark.engine import kinds
from lq_spark.errors import ColumnError, OptionError

blocking = pytest.importorskip("pyspark.pipelines.block_connect_access", reason="Spark before 4.1")
pytestmark = pytest.mark.connect_only

K = every_task.K
BY_ROW = ("confident_learning", "predicted_neq_given")


RESOLVED_AT_ONCE = ("withColumn", "withColumns", "drop", "to", "dropDuplicates", "fillna", "dropna")
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


def fitted_multiclass(table):
    fitted = multiclass.fit(table)
    return {"thresholds": fitted.thresholds, "adjust_pred_probs": True, "predicted_label": True}


SCORES = {
    "multiclass": (multiclass, fitted_multiclass),
    "sentences": (tokens, lambda table: {"n_classes": K, "tokens": "tokens"}),
    "tokens": (
        tokens,
        lambda table: {"n_classes": K, "token_index": "token_index", "level": "token"},
    ),
    "multilabel": (
        multilabel,
        lambda table: {"fitted": multilabel.fit(table), "adjust_pred_probs": True},
    ),
    "regression": (regression, lambda table: {"method": "residual"}),
    "detection": (detection, lambda table: {"fitted": detection.fit(table)}),
    "segmentation": (segmentation, lambda table: {"n_classes": K}),
}


@pytest.mark.parametrize("name", list(SCORES))
def test_rows_are_scored_as_elsewhere(in_function, table_of, name):
    task, options_of = SCORES[name]
    table = table_of(name)
    options = options_of(table)
    made = in_function(task.score, table, **options)
    assert every_task.values_of(made) == every_task.values_of(task.score(table, **options))


@pytest.mark.parametrize("options", [{}, {"id": "id"}], ids=str)
def test_rows_are_checked_as_elsewhere(in_function, table_of, options):
    table = table_of("multiclass")
    twice = table.withColumn("id", F.col("id") % 20).withColumn("label", F.col("label") * 2)
    twice = declared(twice.select(*map(F.col, table.columns)), table.schema)
    made = in_function(multiclass.validate, twice, n_classes=K, **options)
    found = every_task.values_of(made)
    assert found == every_task.values_of(multiclass.validate(twice, n_classes=K, **options))
    assert made.where("invalid_reason is not null").count() > 0


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


def test_the_engine_is_not_asked_for_its_name(in_function, spark, monkeypatch):
    monkeypatch.setattr(kinds, "_KNOWN", {})
    assert in_function(kinds.engine_of, spark).name == kinds.SPARK
    assert not kinds._KNOWN


def test_columns_have_to_be_told(in_function, table_of):
    untold = table_of("multiclass").select("*")
    for call in (multiclass.score, multiclass.validate):
        with pytest.raises(ColumnError) as error:
            in_function(call, untold, n_classes=K)
        assert str(error.value) == (
            "a query function of a pipeline cannot ask which columns a table has: say it by "
            "lq_spark.declared(df, schema), of a schema that is made outside the function"
        )


def test_k_has_to_be_told(in_function, table_of):
    for call in (multiclass.score, multiclass.validate):
        with pytest.raises(OptionError) as error:
            in_function(call, table_of("multiclass"))
        assert str(error.value) == (
            "a query function of a pipeline reads no rows, so its first row cannot say K: give "
            "n_classes or classes"
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
