import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, IntegerType, LongType, StructField, StructType

from lq_spark.engine import verbs
from lq_spark.engine.arrow import list_rows
from lq_spark.engine.verbs import map_rows, map_sorted, reduce_rows

# A function that goes to the workers is made inside another one: so it travels by value, and the
# workers need not be able to import this module.

needs_arrow_udf = pytest.mark.skipif(
    not verbs.HAS_ARROW_UDF, reason="Spark before 4.1 has no Arrow UDF"
)
UDF_KINDS = [
    pytest.param(True, id="arrow", marks=needs_arrow_udf),
    pytest.param(False, id="pandas"),
]
ON_SPARK = [pytest.mark.spark, pytest.mark.connect]
FACTS = StructType(
    [
        StructField("total", DoubleType()),
        StructField("highest", IntegerType()),
        StructField("doubled", LongType()),
    ]
)


@pytest.fixture
def row_facts():
    """A batch function: (key, list of 3) -> sum, place of the highest value, key times 2."""

    def function(keys, lists):
        matrix = list_rows(lists, 3).matrix
        return {
            "doubled": pa.array(keys.to_numpy() * 2),
            "total": pa.array(matrix.astype(np.float64).sum(axis=1)),
            "highest": pa.array(matrix.argmax(axis=1).astype(np.int32)),
        }

    return function


@pytest.fixture
def adding():
    """Make a batch function that adds a number."""

    def factory(number):
        return lambda keys: {"sum": pa.array(keys.to_numpy() + number)}

    return factory


@pytest.fixture
def matrix():
    return np.random.default_rng(0).dirichlet(np.ones(3), size=200)


@pytest.fixture
def table(spark, matrix):
    """200 rows: key 0..199 and the rows of the matrix, as float and as double."""
    rows = [(key, row, row) for key, row in enumerate(matrix.tolist())]
    return spark.createDataFrame(rows, "key bigint, float array<float>, double array<double>")


def facts(table, row_facts, values, **options):
    new = map_rows(row_facts, [F.col("key"), F.col(values)], FACTS, **options)
    mapped = table.withColumn("new", new).select("key", "new.*").collect()
    return np.array(sorted(tuple(row) for row in mapped))


@needs_arrow_udf
@pytest.mark.parametrize("values", ["float", "double"])
@pytest.mark.parametrize("partitions", [1, 2, pytest.param(7, marks=ON_SPARK)])
def test_an_arrow_udf_and_a_pandas_udf_give_the_same_bits(
    table, matrix, row_facts, assert_same_bits, values, partitions
):
    table = table.repartition(partitions)
    arrow = facts(table, row_facts, values, arrow=True)
    pandas = facts(table, row_facts, values, arrow=False)
    dtype = {"float": np.float32, "double": np.float64}[values]
    assert_same_bits(arrow, pandas)
    assert_same_bits(arrow[:, 1], matrix.astype(dtype).astype(np.float64).sum(axis=1))
    np.testing.assert_array_equal(arrow[:, 2], matrix.argmax(axis=1))
    np.testing.assert_array_equal(arrow[:, 3], 2 * np.arange(200))


@pytest.mark.spark
@pytest.mark.connect
def test_where_spark_has_no_arrow_udf_a_pandas_udf_is_used(
    table, row_facts, assert_same_bits, monkeypatch
):
    expected = facts(table, row_facts, "float")
    monkeypatch.setattr(verbs, "HAS_ARROW_UDF", False)
    monkeypatch.delattr(verbs.F, "arrow_udf", raising=False)
    assert_same_bits(facts(table, row_facts, "float"), expected)


@pytest.mark.spark_only
@pytest.mark.parametrize("arrow", UDF_KINDS)
def test_several_new_columns_come_from_one_python_pass(table, row_facts, capsys, arrow):
    new = map_rows(row_facts, [F.col("key"), F.col("double")], FACTS, arrow=arrow)
    mapped = table.withColumn("new", new).select("key", "new.total", "new.highest", "new.doubled")
    mapped.where("key > 0").explain()
    assert capsys.readouterr().out.count("ArrowEvalPython") == 1


@pytest.mark.spark_only
@pytest.mark.parametrize("arrow", UDF_KINDS)
def test_a_filter_on_a_new_column_takes_no_second_python_pass(table, row_facts, capsys, arrow):
    new = map_rows(row_facts, [F.col("key"), F.col("double")], FACTS, arrow=arrow)
    table.withColumn("new", new).select("key", "new.*").where("highest > 0").explain()
    assert capsys.readouterr().out.count("ArrowEvalPython") == 1


@pytest.mark.spark
@pytest.mark.parametrize("arrow", UDF_KINDS)
def test_a_udf_keeps_the_values_that_it_was_made_with(table, adding, arrow):
    schema = StructType([StructField("sum", LongType())])
    for number in (1, 2, 3):
        new = map_rows(adding(number), [F.col("key")], schema, arrow=arrow)
        table = table.withColumn(f"plus{number}", new.getField("sum"))
    [row] = table.where("key = 10").select("plus1", "plus2", "plus3").collect()
    assert row == (11, 12, 13)


@pytest.mark.spark
@pytest.mark.parametrize("arrow", UDF_KINDS)
@pytest.mark.parametrize("rows", [0, 2])
def test_empty_partitions_are_no_trouble(table, row_facts, arrow, rows):
    few = table.where(F.col("key") < rows).repartition(7)
    assert len(facts(few, row_facts, "double", arrow=arrow)) == rows


@pytest.fixture
def key_facts():
    """(partial, merge): how many rows, the sum of their keys, the highest key."""

    def partial(batch):
        keys = batch.column(0).to_pylist()
        return len(keys), sum(keys), max(keys)

    def merge(a, b):
        return a[0] + b[0], a[1] + b[1], max(a[2], b[2])

    return partial, merge


@pytest.mark.parametrize("rows_a_batch", [10_000, 9])
@pytest.mark.parametrize("partitions", [1, 2, pytest.param(7, marks=ON_SPARK)])
def test_rows_reduce_to_one_state_however_the_table_is_split(
    table, key_facts, batch_size, partitions, rows_a_batch
):
    batch_size(rows_a_batch)
    assert reduce_rows(table.select("key").repartition(partitions), *key_facts) == (
        200,
        sum(range(200)),
        199,
    )


@pytest.mark.spark
def test_empty_partitions_add_nothing_to_a_state(table, key_facts):
    two_rows = table.select("key").where("key < 2").repartition(7)
    assert reduce_rows(two_rows, *key_facts) == (2, 1, 1)


@pytest.mark.spark
@pytest.mark.connect
def test_a_table_without_rows_has_no_state(table, key_facts):
    assert reduce_rows(table.select("key").where("key < 0"), *key_facts) is None


@pytest.fixture
def telling():
    """Make a function: what is seen of each group, in its order, as one text, once that is over."""

    def factory(kind):
        def told(seen):
            texts = [" ".join(places) for places in seen.values()]
            columns = [pa.array(list(seen), kind), pa.array(texts, pa.string())]
            return pa.RecordBatch.from_arrays(columns, names=["group", "text"])

        def run(batches):
            seen = {}
            for batch in batches:
                assert batch.schema.names == ["place", "group"]
                columns = (batch[name].to_pylist() for name in ("group", "place"))
                for group, place in zip(*columns, strict=True):
                    if seen and group not in seen:
                        yield told(seen)
                        seen = {}
                    seen.setdefault(group, []).append(str(place))
            yield told(seen)

        return run

    return factory


@pytest.mark.spark
@pytest.mark.connect
@pytest.mark.parametrize(
    ("key", "kind", "n_tasks"), [("string", pa.string(), None), ("bigint", pa.int64(), 1)]
)
def test_groups_are_walked_through_in_their_order(spark, telling, batch_size, key, kind, n_tasks):
    batch_size(7)  # the larger groups are in several batches
    rng = np.random.default_rng(0)
    sizes = {0: 40, 1: 1, 2: 7, 3: 90}
    name = (lambda n: f"g{'ß' * n}") if key == "string" else (lambda n: n)
    rows = [
        (name(group), score, tie, 1000 * group + place)
        for group, size in sizes.items()
        for place, (score, tie) in enumerate(
            sorted(((int(rng.integers(3)), n) for n in range(size)), key=lambda x: (-x[0], x[1]))
        )
    ]
    shuffled = [rows[n] for n in rng.permutation(len(rows))]
    table = spark.createDataFrame(shuffled, f"group {key}, score int, tie int, place int")
    found = map_sorted(
        table.repartition(5),
        ["group"],
        {"score": "descending", "tie": "ascending"},
        ["place", "group"],
        telling(kind),
        f"group {key}, text string",
        n_tasks=n_tasks,
    )
    places = {group: [] for group, *_ in rows}
    for group, *_, place in rows:
        places[group].append(str(place))
    assert sorted(map(tuple, found.collect())) == sorted(
        (group, " ".join(texts)) for group, texts in places.items()
    )


@pytest.mark.spark
@pytest.mark.skipif(not hasattr(DataFrame, "repartitionById"), reason="Spark before 4.1 hashes")
def test_groups_of_as_many_tasks_are_in_one_each(spark):
    def run(batches):
        groups = {group for batch in batches for group in batch["group"].to_pylist()}
        yield pa.RecordBatch.from_pydict({"n": pa.array([len(groups)], pa.int64())})

    table = spark.range(40).selectExpr("CAST(id % 5 AS int) AS group", "id")
    found = map_sorted(table, ["group"], {"id": "ascending"}, ["group"], run, "n bigint", n_tasks=5)
    assert [row["n"] for row in found.collect()] == [1] * 5


@pytest.mark.spark
def test_of_no_rows_there_is_nothing_to_walk_through(spark, telling):
    table = spark.createDataFrame([], "group string, score int, place int")
    order, given = {"score": "ascending"}, ["place", "group"]
    found = map_sorted(
        table, ["group"], order, given, telling(pa.string()), "group string, text string"
    )
    assert found.collect() == []
