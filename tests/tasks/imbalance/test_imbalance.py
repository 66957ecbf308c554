"""Class imbalance of tables: that of core, whatever the partitions and the type of the labels."""

import numpy as np
import pytest

from lq_spark import imbalance
from lq_spark.core.imbalance import find_class_imbalance
from lq_spark.errors import DataError, InvalidRowsError, OptionError

NAMES = ("ant", "bee", "cat", "dog")


def labels_of(n_rare, n=400):
    rng = np.random.default_rng(n_rare)
    labels = rng.integers(0, 3, n)
    labels[rng.permutation(n)[:n_rare]] = 3
    return labels


@pytest.fixture
def table(spark):
    def make(labels, kind="int"):
        return spark.createDataFrame(list(enumerate(labels)), f"id int, label {kind}")

    return make


def found_in(rows):
    found = rows.orderBy("id").collect()
    flags = [row["is_class_imbalance_issue"] for row in found]
    return flags, [row["class_imbalance_score"] for row in found]


@pytest.mark.parametrize(
    ("n_rare", "n_partitions"),
    [(9, 1), pytest.param(10, 7, marks=pytest.mark.spark), (11, 64), (80, 3), (0, 2)],
)
def test_it_is_that_of_core(table, n_rare, n_partitions):
    labels = labels_of(n_rare)
    flags, scores, expected = find_class_imbalance(labels, n_classes=4)
    rows = table(labels.tolist()).repartition(n_partitions)
    issues = imbalance.find_issues(rows, n_classes=4)
    assert found_in(issues) == (flags.tolist(), scores.tolist())
    assert any(found_in(issues)[0]) == (n_rare == 9)
    health = imbalance.summarize(rows, n_classes=4)
    assert health.class_rows == tuple(np.bincount(labels, minlength=4).tolist())
    assert (health.rarest, health.score, health.absent) == (
        expected.rarest,
        expected.score,
        expected.absent,
    )
    assert health.n_issues == flags.sum()
    named = table([NAMES[k] for k in labels], "string")
    assert found_in(imbalance.find_issues(named, classes=NAMES))[0] == flags.tolist()
    assert imbalance.summarize(named, classes=NAMES).rarest_class == NAMES[expected.rarest]


@pytest.mark.parametrize("kind", ["bigint", "double", "float", "decimal(4,0)", "tinyint"])
def test_the_type_of_the_labels_does_not_matter(table, kind):
    labels = labels_of(5)
    rows = table(labels.tolist()).selectExpr("id", f"cast(label as {kind}) label")
    assert found_in(imbalance.find_issues(rows)) == found_in(
        imbalance.find_issues(table(labels.tolist()), n_classes=4)
    )


def test_the_threshold_is_a_part_of_an_equal_share(table):
    rows = table([0] * 95 + [1] * 5)
    for threshold, issues in ((0.1, 0), (0.1 + 1e-9, 5), (1.0, 5), (0.0, 0)):
        assert imbalance.summarize(rows, threshold=threshold).n_issues == issues
        assert sum(found_in(imbalance.find_issues(rows, threshold=threshold))[0]) == issues
    booleans = table([True] * 99 + [False], "boolean")
    assert imbalance.summarize(booleans).class_rows == (1, 99)
    assert imbalance.summarize(booleans).n_issues == 1


def test_without_rows(table):
    nothing = table([])
    assert imbalance.find_issues(nothing).collect() == []
    health = imbalance.summarize(nothing, n_classes=2)
    assert (health.n_rows, health.class_rows, health.rarest, health.score) == (
        0,
        (0, 0),
        None,
        None,
    )
    assert health.absent == (0, 1)


@pytest.mark.spark
def test_labels_that_are_no_class_are_named(table):
    rows = table([0.0, 1.0, None, 0.5, 3.0, -1.0], "double")
    checked = imbalance.validate(rows, id="id", n_classes=3).orderBy("id").collect()
    assert [row["invalid_reason"] for row in checked] == [
        *(None, None, "null label", "label not a whole number"),
        *("label out of range", "label out of range"),
    ]
    with pytest.raises(
        InvalidRowsError, match=r"^4 of 6 rows cannot be scored, for want of a class;"
    ):
        imbalance.find_issues(rows, n_classes=3)
    scored = imbalance.score(rows, n_classes=3, on_invalid="null").orderBy("id").collect()
    assert [row["class_imbalance_score"] for row in scored] == [0.5, 1.0, None, None, None, None]
    named = table(["ant", "cow", None], "string")
    with pytest.raises(
        InvalidRowsError,
        match=r"^2 of 3 rows cannot .*\('cow'\); imbala",
    ):
        imbalance.summarize(named, classes=("ant", "bee"))
    checked = imbalance.validate(named, classes=("ant", "bee")).orderBy("id").collect()
    assert [row["invalid_reason"] for row in checked] == [
        *(None, "label not in classes: 'cow'", "null label")
    ]


def test_what_is_no_column_of_classes_is_refused(table):
    with pytest.raises(DataError, match="label: column 'label' has label 2000000; give n_classes"):
        imbalance.find_issues(table([0, 2_000_000]))
    with pytest.raises(OptionError, match="threshold must be a number from 0 to 1, got 2"):
        imbalance.find_issues(table([0]), threshold=2)
    with pytest.raises(OptionError, match="classes has 2 names, K is 3"):
        imbalance.find_issues(table([0]), classes=("a", "b"), n_classes=3)
