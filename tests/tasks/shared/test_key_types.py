"""Ids of types that cannot be compared or grouped by, in every function of every task."""

import every_task
import pytest
from pyspark.sql import functions as F

from lq_spark.errors import ColumnError

KEYS = ("id", "sentence_id", "item", "image_id")


@pytest.mark.parametrize("kind", ["variant", "interval day to second", "array<int>"])
@pytest.mark.parametrize("name", list(every_task.CASES))
def test_an_id_of_no_order_is_refused_before_a_job(unread, spark, name, kind):
    case = every_task.CASES[name]()
    key = next(option for option in KEYS if option in case.columns)
    tables = [
        unread(**dict(table.dtypes)).withColumn(key, F.lit(None).cast(kind))
        for table in every_task.spark_tables(spark, case)
    ]
    for call in case.calls:
        if key in call.columns:
            with pytest.raises(ColumnError) as error:
                every_task.run(case, call, tables)
            said = f"{key}: column {key!r} is {kind}; allowed are whole numbers, strings, dates and"
            assert str(error.value).startswith(said), call
