"""Labels of tables that are made wrong at known rates: those of core, whatever the partitions."""

from decimal import Decimal

import numpy as np
import pytest
from pyspark.sql import functions as F

from lq_spark import benchmark, multiclass
from lq_spark.core.benchmark import generate_noise_matrix_from_trace
from lq_spark.core.benchmark.flips import flip_counts, labels_by_place
from lq_spark.engine.draws import row_hash
from lq_spark.errors import DataError, InvalidRowsError

N = 400
NAMES = ("plum", "", "größe 3", "a`b.c")  # not in the order of the alphabet
COUNTS = (101, 57, 222, 20)
NOISE = np.array(
    [
        [0.60, 0.10, 0.05, 0.2],
        [0.30, 0.80, 0.00, 0.2],
        [0.05, 0.10, 0.90, 0.2],
        [0.05, 0.00, 0.05, 0.4],
    ]
)
LABELS = np.random.default_rng(1).permutation(np.repeat(range(4), COUNTS))
IDS = {
    "bigint": lambda n: n * 7919 - 50,
    "int": lambda n: N - n,
    "string": lambda n: f"{'ß' * (n % 3)}{n}",
    "decimal(20,1)": lambda n: Decimal(n) / 2,
}


@pytest.fixture
def table(spark):
    """Make a table of rows that are in no order."""

    def make(id="bigint", label=int, kind="int", n_partitions=1):
        rows = [(IDS[id](n), label(k), f"row {n}", n) for n, k in enumerate(LABELS.tolist())]
        rows = [rows[n] for n in np.random.default_rng(n_partitions).permutation(N)]
        schema = f"id {id}, label {kind}, `a note.1` string, n int"
        return spark.createDataFrame(rows, schema).repartition(n_partitions)

    return make


def labels_of_core(df, seed=0, noise=NOISE):
    """Return what core makes of the labels, for rows in the order of their hashes."""
    own = row_hash(F.col("id"), df.schema["id"].dataType, seed)
    hashed = df.select("n", own.alias("hash"), "id").collect()
    places = np.empty(N, dtype=np.int64)
    seen = dict.fromkeys(range(4), 0)
    for row in sorted(hashed, key=lambda row: (row["hash"], row["id"])):
        label = int(LABELS[row["n"]])
        places[row["n"]], seen[label] = seen[label], seen[label] + 1
    return labels_by_place(LABELS, places, flip_counts(noise, np.array(COUNTS))).tolist()


def given(noisy, name="noisy_label"):
    """Return the labels in the order in which the rows were made."""
    return [row[name] for row in noisy.select("n", name).orderBy("n").collect()]


@pytest.mark.parametrize(
    ("id", "n_partitions"),
    [
        ("bigint", 1),
        ("int", 3),
        ("string", 3),
        ("decimal(20,1)", 2),
        ("bigint", 7),
        pytest.param("string", 7, marks=pytest.mark.spark),
    ],
)
@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_labels_are_those_of_core(table, id, n_partitions, seed):
    df = table(id, n_partitions=n_partitions)
    noisy = benchmark.noisy_labels(df, NOISE, seed=seed)
    assert noisy.dtypes == [*df.dtypes, ("noisy_label", "int")]
    found = given(noisy)
    assert found == labels_of_core(df, seed)
    pairs = np.zeros((4, 4), dtype=int)
    np.add.at(pairs, (found, LABELS), 1)
    wrong = np.trunc(NOISE * (np.array(COUNTS) / N) * N)
    np.fill_diagonal(wrong, np.diag(pairs))
    assert pairs.tolist() == wrong.tolist()
    assert pairs.sum(axis=0).tolist() == list(COUNTS)
    assert sorted(noisy.drop("noisy_label").collect()) == sorted(df.collect())


@pytest.mark.spark
@pytest.mark.connect
def test_which_rows_they_are_is_the_same_on_each_engine_and_for_ever(spark):
    rows = spark.range(24).selectExpr("id", "id % 2 AS label")
    noise = [[0.5, 0.25], [0.5, 0.75]]
    wrong = {}
    for kind in ("bigint", "smallint", "string"):
        df = rows.withColumn("id", F.col("id").cast(kind)).repartition(3)
        noisy = benchmark.noisy_labels(df, noise, seed=4).where("noisy_label != label")
        wrong[kind] = sorted(int(row["id"]) for row in noisy.collect())
    assert wrong == {
        "bigint": [4, 6, 9, 10, 12, 13, 19, 20, 22],
        "smallint": [4, 6, 9, 10, 12, 13, 19, 20, 22],
        "string": [0, 2, 8, 9, 11, 12, 14, 22, 23],
    }


@pytest.mark.parametrize("kind", ["double", "decimal(3,0)", "tinyint", "string"])
def test_labels_of_any_type_get_labels_of_that_type(table, kind):
    label = {"string": lambda k: NAMES[k], "decimal(3,0)": Decimal, "double": float}.get(kind, int)
    classes = NAMES if kind == "string" else None
    df = table(label=label, kind=kind, n_partitions=2)
    noisy = benchmark.noisy_labels(df, NOISE.tolist(), classes=classes, noisy_label="a wrong.one")
    assert noisy.dtypes[-1] == ("a wrong.one", kind)
    found = [row[-1] for row in sorted(noisy.collect(), key=lambda row: row["n"])]
    assert found == [label(k) for k in labels_of_core(df)]


@pytest.mark.spark
def test_true_and_false_are_two_classes(spark):
    rows = spark.range(40).selectExpr("id", "id % 4 > 0 AS label")
    noisy = benchmark.noisy_labels(rows, [[0.9, 0.1], [0.1, 0.9]])
    counts = noisy.groupBy("label", "noisy_label").count().collect()
    assert sorted(tuple(row) for row in counts) == [
        *((False, False, 9), (False, True, 1), (True, False, 3), (True, True, 27)),
    ]


def test_another_seed_draws_other_rows(table):
    df = table()
    made = [given(benchmark.noisy_labels(df, NOISE, seed=seed)) for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]
    assert sorted(made[0]) == sorted(made[2])


def test_a_matrix_without_noise_leaves_all_labels(table):
    assert given(benchmark.noisy_labels(table(), np.eye(4))) == LABELS.tolist()


def test_noise_is_where_a_method_finds_it(spark, table):
    """A model that knows the true labels finds each wrong one, and no other."""
    noise = generate_noise_matrix_from_trace(4, 3.2, py=np.array(COUNTS) / N, seed=1)
    probs = ", ".join(f"CASE WHEN label = {k} THEN 0.97D ELSE 0.01D END" for k in range(4))
    df = benchmark.noisy_labels(table(), noise).selectExpr("*", f"array({probs}) AS pred_probs")
    found = multiclass.find_issues(df, label="noisy_label", filter_by="predicted_neq_given")
    flags = found.selectExpr("is_label_issue", "label != noisy_label").collect()
    assert {flag == wrong for flag, wrong in flags} == {True}
    assert sum(wrong for _, wrong in flags) > 40


@pytest.mark.spark_only
def test_rows_are_not_moved(table, capfd):
    benchmark.noisy_labels(table(n_partitions=3), NOISE).explain()
    plan = capfd.readouterr().out
    assert "BroadcastHashJoin" in plan
    assert "SortMergeJoin" not in plan
    assert "Exchange hashpartitioning" not in plan.replace("REPARTITION", "")


def test_a_class_without_a_row_is_refused(table):
    df = table(label=lambda k: NAMES[k], kind="string").where("label != 'plum'")
    message = r"^noise_matrix is of K = 4 classes, and no row is of class 'plum'$"
    with pytest.raises(DataError, match=message):
        benchmark.noisy_labels(df, NOISE, classes=NAMES)


def test_a_matrix_by_which_labels_say_nothing_is_refused(table):
    noise = np.full((4, 4), 0.25)
    with pytest.raises(DataError) as refused:
        benchmark.noisy_labels(table(), noise)
    assert str(refused.value) == (
        "noise_matrix is not valid for these labels: class 0 given as 0 must be likelier than by "
        "chance, 0.063125, and is 0.063125"
    )


@pytest.mark.spark
def test_rows_without_a_class_or_an_id_of_their_own_are_refused_and_named(spark):
    rows = [(n, n % 2) for n in range(10)]
    noise = [[0.9, 0.1], [0.1, 0.9]]
    bad = spark.createDataFrame([*rows, (10, None), (11, 2)], "id int, label int")
    message = r"^2 of 12 rows cannot be scored, for want of a class; benchmark\.validate says which"
    with pytest.raises(InvalidRowsError, match=message):
        benchmark.noisy_labels(bad, noise)
    twice = spark.createDataFrame([*rows, (9, 1)], "id int, label int")
    message = r"^id: column 'id' has nulls or values that occur twice; benchmark\.validate says"
    with pytest.raises(InvalidRowsError, match=message):
        benchmark.noisy_labels(twice, noise)
    reasons = [
        {row["id"]: row["invalid_reason"] for row in checked.where("id > 8").collect()}
        for checked in (
            benchmark.validate(bad, id="id", n_classes=2),
            benchmark.validate(twice, id="id", n_classes=2),
        )
    ]
    assert reasons[0] == {9: None, 10: "null label", 11: "label out of range"}
    assert reasons[1] == {9: "duplicate id"}
