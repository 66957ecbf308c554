"""The health of tables, against cleanlab's on the same rows, and what it is computed from."""

import numpy as np
import pytest
from cleanlab import count, dataset
from oracle import cleanlabs

from lq_spark import Thresholds, multiclass
from lq_spark.core.health.tables import dataset_health
from lq_spark.errors import DataError, OptionError

NAMES = ["plum", "apple", "", "größe 3", "a`b.c", "fig", "nut"]
BY = {
    "classes_by_label_quality": ["Class Index"],
    "overlapping_classes": ["Class Index A", "Class Index B"],
}


@pytest.fixture
def rows(data_set):
    """Labels and pred_probs of 7 classes: none given in class 3, one row alone in class 6."""
    labels, pred_probs = data_set(500, 7, seed=3)
    labels = np.where(np.isin(labels, [3, 6]), 0, labels)
    labels[0] = 6
    return labels, pred_probs


def in_order(table, by):
    return table.sort_values(by).reset_index(drop=True)


@pytest.mark.parametrize(
    ("asymmetric", "n_partitions"),
    [(False, 1), (False, 7), (True, 2)],
)
def test_a_table_is_as_healthy_as_cleanlab_says(table_of, rows, asymmetric, n_partitions):
    labels, pred_probs = rows
    table = table_of(np.array(NAMES)[labels], pred_probs, "string").repartition(n_partitions)
    found = multiclass.summarize(table, classes=NAMES, asymmetric=asymmetric)
    expected = cleanlabs(
        dataset.health_summary,
        *rows,
        class_names=NAMES,
        asymmetric=asymmetric,
        verbose=False,
    )
    score = found.overall_label_health_score
    assert score == pytest.approx(expected["overall_label_health_score"], abs=1e-12)
    overlaps = expected["overlapping_classes"]
    expected["overlapping_classes"] = overlaps[overlaps["Joint Probability"] > 0]
    assert 0 < len(expected["overlapping_classes"]) < len(overlaps)
    for name, by in BY.items():
        ours, theirs = in_order(getattr(found, name), by), in_order(expected[name], by)
        assert list(ours.columns) == list(theirs.columns)
        for column in ours:
            if ours[column].dtype.kind == "f":
                np.testing.assert_allclose(ours[column], theirs[column], rtol=0, atol=1e-12)
            else:
                assert ours[column].tolist() == theirs[column].tolist(), column


def test_worst_stands_first_and_equal_ones_in_the_order_of_classes(table_of, rows):
    found = multiclass.summarize(table_of(*rows))
    classes, overlaps = found.classes_by_label_quality, found.overlapping_classes
    assert "Class Name" not in classes
    assert "Class Name A" not in overlaps
    keys = list(zip(classes["Label Quality Score"], classes["Class Index"], strict=True))
    assert keys == sorted(keys)
    keys = list(
        zip(
            -overlaps["Joint Probability"],
            overlaps["Class Index A"],
            overlaps["Class Index B"],
            strict=True,
        )
    )
    assert keys == sorted(keys)
    assert len(set(overlaps["Joint Probability"])) < len(overlaps)  # there are equal ones


def test_what_is_fitted_does_not_depend_on_partitions(table_of, rows):
    labels, pred_probs = rows
    table = table_of(labels, pred_probs)
    models = [multiclass.fit(table.repartition(n)) for n in (1, 64)]
    assert {model.to_json() for model in models} == {models[0].to_json()}
    joint = cleanlabs(count.compute_confident_joint, labels, pred_probs)
    np.testing.assert_array_equal(models[0].confident_joint, joint)
    assert models[0].n_label_issues == cleanlabs(count.num_label_issues, labels, pred_probs)


def test_the_joint_is_counted_by_given_thresholds(table_of, rows):
    labels, pred_probs = rows
    table = table_of(labels, pred_probs)
    own = multiclass.fit(table)
    thresholds = np.linspace(0.2, 0.9, pred_probs.shape[1])
    given = Thresholds(tuple(thresholds), (1,) * len(thresholds))
    model = multiclass.fit(table, thresholds=given)
    joint = cleanlabs(count.compute_confident_joint, labels, pred_probs, thresholds=thresholds)
    np.testing.assert_array_equal(model.confident_joint, joint)
    assert (joint != own.confident_joint).any()
    assert model.thresholds.values == given.values
    assert model.thresholds.class_counts == own.thresholds.class_counts
    with pytest.raises(DataError, match="the table is empty; a noise model needs at least 1 row"):
        multiclass.fit(table.where("id < 0"), thresholds=given)
    with pytest.raises(OptionError, match="thresholds must be a Thresholds or None, got"):
        multiclass.fit(table, thresholds=0.5)


def test_the_papers_rule_counts_other_rows(table_of, by_id):
    rng = np.random.default_rng(8)
    pred_probs = rng.dirichlet(np.full(4, 3.0), 200) + rng.random(4)
    pred_probs /= pred_probs.sum(axis=1, keepdims=True)
    labels = rng.integers(0, 4, 200)
    table = table_of(labels, pred_probs)
    model = multiclass.fit(table, collision_rule="highest_reached")
    assert model.collision_rule == "highest_reached"
    options = {"filter_by": "confident_learning", "fitted": model}
    flags = by_id(multiclass.find_issues(table, **options), "is_label_issue")
    assert sum(flags) == model.n_label_issues != multiclass.fit(table).n_label_issues
    assert dataset_health(model).overall_label_health_score == 1 - sum(flags) / 200
