"""What stands in for what older versions of Spark lack; ``scripts/test-matrix`` runs on those."""

import pyarrow as pa
import pytest

from lq_spark.engine import versions
from lq_spark.engine.verbs import map_groups


def told(group):
    """Return the keys of a group, how many rows it has, and their sum."""
    return pa.table(
        {
            "a": group["a"].slice(0, 1),
            "b": group["b"].slice(0, 1),
            "n": pa.array([group.num_rows]),
            "total": pa.array([sum(group["value"].to_pylist())]),
        }
    )


@pytest.mark.spark_only
@pytest.mark.parametrize("n_tasks", [None, 3])
def test_groups_are_whole_where_spark_has_none_for_arrow(spark, batch_size, monkeypatch, n_tasks):
    # What Spark 3.5 does not have.
    monkeypatch.delattr("pyspark.sql.pandas.group_ops.PandasGroupedOpsMixin.applyInArrow")
    batch_size(3)
    rows = (
        spark.range(50).selectExpr("id % 4 a", "cast(id % 3 as int) b", "id value").repartition(5)
    )
    made = map_groups(rows, ["a", "b"], told, "a long, b int, n long, total long", n_tasks=n_tasks)
    expected = rows.groupBy("a", "b").agg({"value": "sum", "*": "count"})
    found = sorted(map(tuple, made.collect()))
    assert len(found) == 12
    assert found == sorted(
        map(tuple, expected.select("a", "b", "count(1)", "sum(value)").collect())
    )


def test_a_group_goes_over_any_number_of_batches():
    parts = ([1], [1, 1], [], [1, 2], [3], [3])
    batches = [pa.record_batch({"g": pa.array(part, pa.int64())}) for part in parts]
    groups = [group["g"].to_pylist() for group in versions._whole_groups(batches, ["g"])]
    assert groups == [[1, 1, 1, 1], [2], [3, 3]]
    assert list(versions._whole_groups([], ["g"])) == []


def test_a_spark_that_has_no_client_alone_is_none(monkeypatch):
    assert versions.has_client_alone() in (True, False)
    monkeypatch.delattr("pyspark.util.is_remote_only")
    assert versions.has_client_alone() is False
