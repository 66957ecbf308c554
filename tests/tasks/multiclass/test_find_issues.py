"""Label issues of tables, against core and cleanlab on the same rows in the order of their ids."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oracle import cleanlabs_flags
from pyspark.sql import functions as F

from lq_spark import multiclass
from lq_spark.core.label_issues import find_label_issues
from lq_spark.core.multiclass import get_label_quality_scores
from lq_spark.engine import verbs

OWN = ["group", "value", "key", "index", "pair"]  # names that are used on the way


def noisy(rng, n_classes):
    """Return labels and pred_probs: absent, rare and common classes, many labels wrong."""
    n = int(rng.integers(n_classes + 2, 150))
    labels = rng.choice(n_classes, n, p=rng.dirichlet(np.full(n_classes, rng.choice([0.3, 3.0]))))
    pred_probs = rng.dirichlet(np.full(n_classes, rng.choice([0.2, 1.0, 5.0])), n)
    likely = rng.random(n) < 0.6
    pred_probs[likely] *= 0.5
    pred_probs[likely, labels[likely]] += 0.5
    return labels, pred_probs


def eighths(rng, n, n_classes):
    """Return labels and pred_probs of 8 levels."""
    pred_probs = rng.multinomial(8, rng.dirichlet(np.ones(n_classes), n)) / 8
    right = rng.random(n) < 0.6
    return np.where(right, pred_probs.argmax(axis=1), rng.integers(0, n_classes, n)), pred_probs


def saturated(rng, n, n_classes):
    """Return labels and pred_probs of 0 and 1 alone."""
    predicted = rng.integers(0, n_classes, n)
    labels = np.where(rng.random(n) < 0.7, predicted, rng.integers(0, n_classes, n))
    return labels, np.eye(n_classes)[predicted]


def lopsided(rng, n):
    """Return labels and pred_probs: 99 % in class 2, one row in 0 and in 4, none in 3."""
    labels = np.full(n, 2)
    labels[: n // 100] = 1
    labels[-2:] = 0, 4
    pred_probs = rng.dirichlet(np.ones(5), n)
    pred_probs[:, 2] += rng.random(n)
    return labels, pred_probs / pred_probs.sum(axis=1, keepdims=True)


def undecided(rng, n, n_classes):
    """Return labels and pred_probs so nearly uniform that many rows reach several thresholds."""
    pred_probs = rng.dirichlet(np.full(n_classes, 3.0), n) + rng.random(n_classes)
    labels = rng.integers(0, n_classes, n)
    return labels, pred_probs / pred_probs.sum(axis=1, keepdims=True)


def side_by_side(parts):
    """Return one data set that holds each part on classes of its own."""
    n_classes = sum(pred_probs.shape[1] for _, pred_probs in parts)
    all_labels, rows, start = [], [], 0
    for labels, pred_probs in parts:
        wide = np.zeros((len(labels), n_classes))
        wide[:, start : start + pred_probs.shape[1]] = pred_probs
        all_labels.append(labels + start)
        rows.append(wide)
        start += pred_probs.shape[1]
    return np.concatenate(all_labels), np.concatenate(rows)


def mixed(element="double"):
    """Return eleven data sets of different kinds side by side."""
    parts = [noisy(np.random.default_rng(seed), 2 + seed) for seed in range(6)]
    rng = np.random.default_rng(100)
    parts += [eighths(rng, 150, 3), eighths(rng, 100, 6), saturated(rng, 80, 3)]
    labels, pred_probs = side_by_side(
        [*parts, undecided(np.random.default_rng(8), 100, 4), lopsided(rng, 250)]
    )
    return labels, pred_probs.astype(np.float32 if element == "float" else np.float64)


@pytest.fixture
def table_of(spark, tmp_path):
    """Make a table of labels and probabilities, its rows in random order, in some partitions."""

    def make(labels, pred_probs, n_partitions=2):
        order = np.random.default_rng(7).permutation(len(labels))
        columns = {"id": order, "label": np.asarray(labels, dtype=np.int32)[order]}
        rows = pa.array(list(pred_probs[order]))
        pq.write_table(pa.table({**columns, "pred_probs": rows}), tmp_path / "rows.parquet")
        table = spark.read.parquet(str(tmp_path / "rows.parquet"))
        return table.coalesce(1) if n_partitions == 1 else table.repartition(n_partitions)

    return make


@pytest.fixture
def flags(quietly):
    """Return the flags of a table in the order of id, as an array."""

    def find(table, **options):
        found = quietly(multiclass.find_issues, table, **options)
        rows = found.select("id", "is_label_issue").toPandas().sort_values("id")
        return rows["is_label_issue"].to_numpy()

    return find


@pytest.mark.parametrize(
    ("filter_by", "n_partitions", "element"),
    [
        ("prune_by_noise_rate", 1, "double"),
        ("prune_by_noise_rate", 7, "float"),
        ("prune_by_class", 2, "float"),
        ("both", 7, "vector"),
        ("confident_learning", 7, "float"),
        ("predicted_neq_given", 2, "double"),
        ("low_normalized_margin", 7, "double"),
        ("low_self_confidence", 2, "float"),
    ],
)
def test_flags_and_scores_equal_cores_and_cleanlabs(
    table_of, as_vectors, quietly, assert_same_bits, filter_by, n_partitions, element
):
    labels, pred_probs = mixed(element)
    table = table_of(labels, pred_probs, n_partitions)
    if element == "vector":
        table = as_vectors(table, n_partitions)
    found = quietly(multiclass.find_issues, table, filter_by=filter_by)
    found = found.drop("pred_probs").toPandas().sort_values("id")
    expected = cleanlabs_flags(labels, pred_probs, filter_by=filter_by)
    assert 0 < expected.sum() < len(labels)
    np.testing.assert_array_equal(found["is_label_issue"], expected)
    ours = quietly(find_label_issues, labels, pred_probs, filter_by=filter_by)
    np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(found["predicted_label"], pred_probs.argmax(axis=1))
    scores = get_label_quality_scores(labels, pred_probs)
    assert_same_bits(found["label_quality"].to_numpy(), scores)


@pytest.mark.parametrize(
    ("filter_by", "n_partitions"),
    [
        ("prune_by_noise_rate", 7),
        ("prune_by_class", 64),
        ("low_self_confidence", 1),
    ],
)
def test_thousands_of_ties_at_the_cut_are_told_apart_by_id(
    table_of, flags, filter_by, n_partitions
):
    labels, pred_probs = eighths(np.random.default_rng(3), 4000, 4)
    expected = cleanlabs_flags(labels, pred_probs, filter_by=filter_by)
    backwards = cleanlabs_flags(labels[::-1], pred_probs[::-1], filter_by=filter_by)
    assert (expected != backwards[::-1]).any()  # the order of the rows decides
    table = table_of(labels, pred_probs, n_partitions)
    np.testing.assert_array_equal(flags(table, filter_by=filter_by), expected)


def test_options_of_pruning_do_what_cleanlabs_do(table_of, flags):
    labels, pred_probs = mixed()
    options = {"frac_noise": 0.5, "min_examples_per_class": 10}
    expected = cleanlabs_flags(labels, pred_probs, **options)
    for less in ({"frac_noise": 0.5}, {"min_examples_per_class": 10}):  # both have their say
        assert (expected != cleanlabs_flags(labels, pred_probs, **less)).any()
    np.testing.assert_array_equal(flags(table_of(labels, pred_probs), **options), expected)


@pytest.mark.parametrize(
    ("filter_by", "seed"),
    [
        ("prune_by_noise_rate", 5),
        ("prune_by_class", 5),
        pytest.param(
            *("prune_by_noise_rate", 1198),
            marks=pytest.mark.xfail(reason="another last bit rounds another of two equal shares"),
        ),
    ],
)
def test_numbers_to_remove_are_those_of_cleanlab(table_of, flags, filter_by, seed):
    labels, pred_probs = eighths(np.random.default_rng(seed), 200, 4)
    options = {"filter_by": filter_by, "num_to_remove_per_class": [20, 0, 5, 30]}
    expected = cleanlabs_flags(labels, pred_probs, **options)
    assert (expected != cleanlabs_flags(labels, pred_probs, filter_by=filter_by)).any()
    np.testing.assert_array_equal(flags(table_of(labels, pred_probs), **options), expected)


@pytest.mark.parametrize("filter_by", ["prune_by_noise_rate", "confident_learning"])
def test_the_papers_collision_rule_is_cores(table_of, flags, quietly, filter_by):
    labels, pred_probs = mixed()
    options = {"filter_by": filter_by, "collision_rule": "highest_reached"}
    expected = quietly(find_label_issues, labels, pred_probs, **options)
    assert (expected != quietly(find_label_issues, labels, pred_probs, filter_by=filter_by)).any()
    np.testing.assert_array_equal(flags(table_of(labels, pred_probs), **options), expected)


ID_TYPES = {
    "bigint": "id",
    "string": "lpad(string(id), 5, '0')",
    "binary": "binary(lpad(string(id), 5, '0'))",
    "decimal": "cast(id / 8 as decimal(9, 3))",
    "date": "date_add(date'1969-06-01', int(id))",
    # Across an hour that clocks skip, and one that they repeat.
    "timestamp": "timestamp_micros(1711600000000000 + id * 60000000000)",
}


@pytest.mark.spark
@pytest.mark.parametrize("arrow", [True, False], ids=["arrow", "pandas"])
@pytest.mark.parametrize("kind", ID_TYPES)
def test_ties_are_told_apart_by_ids_of_each_type(kind, arrow, table_of, quietly, monkeypatch):
    monkeypatch.setattr(verbs, "HAS_ARROW_UDF", arrow and verbs.HAS_ARROW_UDF)
    labels, pred_probs = eighths(np.random.default_rng(3), 400, 3)
    expected = cleanlabs_flags(labels, pred_probs)
    table = table_of(labels, pred_probs).withColumn("key", F.expr(ID_TYPES[kind]))
    found = quietly(multiclass.find_issues, table, id="key").select("id", "is_label_issue")
    rows = found.toPandas().sort_values("id")
    np.testing.assert_array_equal(rows["is_label_issue"].to_numpy(), expected)


def test_flags_are_the_same_in_small_batches_and_where_spark_has_no_arrow_udf(
    table_of, flags, batch_size, monkeypatch
):
    labels, pred_probs = mixed("float")
    batch_size(100)
    monkeypatch.setattr(verbs, "HAS_ARROW_UDF", False)
    np.testing.assert_array_equal(
        flags(table_of(labels, pred_probs)), cleanlabs_flags(labels, pred_probs)
    )


@pytest.fixture
def kept(spark, monkeypatch):
    """The tables that are persisted, and not let go of."""
    tables, kind = [], type(spark.range(1))
    persist, unpersist = kind.persist, kind.unpersist
    monkeypatch.setattr(kind, "persist", lambda df: tables.append(df) or persist(df))
    monkeypatch.setattr(kind, "unpersist", lambda df: tables.remove(df) or unpersist(df))
    return tables


def test_what_is_found_stands_beside_the_callers_columns(
    table_of, quietly, assert_same_bits, kept, capsys
):
    key, label, pred_probs = "row.id", "given`label", "pred probs"
    labels, probs = mixed()
    classes = [f"class {len(probs[0]) - k}" for k in range(len(probs[0]))]
    table = table_of(labels, probs).select(
        F.col("id").cast("string").alias(key),
        *((F.col("id") + n).alias(name) for n, name in enumerate(OWN)),
        F.element_at(F.array(*map(F.lit, classes)), F.col("label") + 1).alias(label),
        F.col("pred_probs").alias(pred_probs),
    )
    options = {"label": label, "pred_probs": pred_probs, "classes": classes}
    options |= {"method": "normalized_margin", "adjust_pred_probs": True}
    found = quietly(
        multiclass.find_issues, table, id=key, filter_by="both", issue_rank=True, **options
    )
    assert kept == []
    assert found.dtypes == [
        *table.dtypes,
        ("is_label_issue", "boolean"),
        ("predicted_label", "string"),
        ("label_quality", "double"),
        ("issue_rank", "bigint"),
    ]
    found.explain()
    assert "InMemoryRelation" not in capsys.readouterr().out  # lazy: it reads the caller's table

    rows = found.toPandas().sort_values(key).reset_index(drop=True)
    order = sorted(range(len(labels)), key=str)
    assert rows[key].tolist() == [str(i) for i in order]
    expected = quietly(find_label_issues, labels[order], probs[order], filter_by="both")
    np.testing.assert_array_equal(rows["is_label_issue"], expected)
    assert (np.flatnonzero(rows["issue_rank"].notna()) == np.flatnonzero(expected)).all()
    issues = rows[expected].sort_values(["label_quality", key])
    assert issues["issue_rank"].tolist() == list(range(1, expected.sum() + 1))
    for n, name in enumerate(OWN):
        np.testing.assert_array_equal(rows[name], np.array(order) + n)
    scored = multiclass.score(table, predicted_label=True, **options).toPandas().sort_values(key)
    assert rows["predicted_label"].tolist() == scored["predicted_label"].tolist()
    assert_same_bits(rows["label_quality"].to_numpy(), scored["label_quality"].to_numpy())


def test_a_class_of_one_row_is_never_pruned(table_of, flags):
    labels, pred_probs = np.array([0, 1, 1, 1]), np.array([[0.1, 0.9]] * 4)
    assert not cleanlabs_flags(labels, pred_probs, min_examples_per_class=0).any()
    assert not flags(table_of(labels, pred_probs), min_examples_per_class=0).any()


def test_classes_too_small_to_prune_are_named_where_issues_are_asked_for(table_of):
    table = table_of([0, 1, 0], np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]))
    with pytest.warns(UserWarning, match="classes 1 are given to at most 1 rows") as warned:
        multiclass.find_issues(table)
    assert [one.filename for one in warned if one.category is UserWarning] == [__file__]
