"""Columns of any name, in every option of every task."""

import every_task
import pytest


@pytest.mark.parametrize("name", list(every_task.CASES))
def test_columns_of_any_name_give_the_same(spark, name):
    """Names with dots, with quotes and blanks of all kinds, upper case, emoji."""
    case = every_task.CASES[name]()
    tables = every_task.spark_tables(spark, case)
    expected = [every_task.values_of(every_task.run(case, call, tables)) for call in case.calls]
    for end in every_task.ODD.values():
        others = every_task.spark_tables(spark, case, end)
        columns = every_task.odd_names(case.columns, end)
        for call, values in zip(case.calls, expected, strict=True):
            found = every_task.values_of(every_task.run(case, call, others, columns))
            assert found == values, (call, end)
