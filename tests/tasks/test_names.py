"""Columns of any name, in every option of every task."""

import every_task
import pytest


@pytest.mark.parametrize("name", list(every_task.CASES))
def test_columns_of_any_name_give_the_same(spark, name):
    case = every_task.CASES[name]()
    tables = every_task.spark_tables(spark, case)
    others = every_task.spark_tables(spark, case, odd_columns=True)
    columns = every_task.odd_names(case.columns)
    for call in case.calls:
        expected = every_task.values_of(every_task.run(case, call, tables))
        found = every_task.values_of(every_task.run(case, call, others, columns))
        assert found == expected, call
