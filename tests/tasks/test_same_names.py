"""Tables with several columns of one name, as joins and other tools leave them."""

import every_task
import pytest
from pyspark.sql import functions as F

from lq_spark.errors import ColumnError

CASES = pytest.mark.parametrize("name", list(every_task.CASES))

WHOLE = {"score", "validate", "find_issues"}
"""Functions that return the caller's columns; but not of each shape of table."""

MADE = {
    ("sentences", "find_issues"),  # a table of tokens
    ("crowd", "score"),
    ("active", "score"),
}


def returns_the_table(name, call):
    if name == "sentences" and call.options.get("level") == "token":
        return False
    if name == "tokens" and call.function == "score":
        return call.options.get("level") == "token"
    return call.function in WHOLE and (name, call.function) not in MADE


def unread(spark, table):
    """Return a table of these columns; a job that reads it fails."""
    bomb = F.raise_error(F.lit("the table was read"))
    return spark.range(3).select(*(bomb.cast(kind).alias(name) for name, kind in table.dtypes))


@pytest.mark.parametrize("other", [str, str.upper], ids=["same", "by case"])
@CASES
def test_a_column_that_is_there_twice_is_refused_before_a_job(spark, name, other):
    case = every_task.CASES[name]()
    tables = [unread(spark, table) for table in every_task.spark_tables(spark, case)]
    for call in case.calls:
        for option in call.columns:
            first = case.columns[option]
            first = first if isinstance(first, str) else first[0]
            for place in case.table_of(option):
                twice = list(tables)
                twice[place] = twice[place].select("*", F.lit(1).alias(other(first)))
                with pytest.raises(ColumnError) as error:
                    every_task.run(case, call, twice)
                said = f"{option}: column {first!r} is ambiguous, the table has {first!r}, "
                assert str(error.value).startswith(f"{said}{other(first)!r}; "), call


@CASES
def test_other_columns_of_one_name_are_in_the_way_only_where_they_are_returned(spark, name):
    case = every_task.CASES[name]()
    tables = every_task.spark_tables(spark, case)
    twice = [table.select("*", F.lit(1).alias("x y"), F.lit(2).alias("X y")) for table in tables]
    for call in case.calls:
        if returns_the_table(name, call):
            tables_unread = [unread(spark, table) for table in twice]
            with pytest.raises(
                ColumnError, match=r"all of which is returned, .*: 'x y', 'X y'; re"
            ):
                every_task.run(case, call, tables_unread)
        else:
            expected = every_task.values_of(every_task.run(case, call, tables))
            assert every_task.values_of(every_task.run(case, call, twice)) == expected, call


@pytest.mark.parametrize("taken", ["token_index", "Label", "pred_probs", "token"])
def test_sentences_whose_id_has_the_name_of_a_column_of_tokens_are_refused(spark, taken):
    case = every_task.CASES["sentences"]()
    [table] = every_task.spark_tables(spark, case)
    table = table.withColumnRenamed("pred_probs", "probs").withColumnRenamed("sentence_id", taken)
    columns = {**case.columns, "sentence_id": taken, "pred_probs": "probs"}
    for call in case.calls:
        if call.function in ("find_issues", "fit", "summarize") or call.options:
            if taken == "token" and "tokens" not in call.columns:
                continue
            said = f"sentence_id: column '{taken}' is named as one of a table of tokens "
            with pytest.raises(ColumnError, match=said):
                every_task.run(case, call, [unread(spark, table)], columns)
        else:
            assert every_task.run(case, call, [table], columns).columns
