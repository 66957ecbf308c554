"""The health of label sets, against cleanlab."""

import numpy as np
import pandas as pd
import pytest
from cleanlab.multilabel_classification import dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import cleanlabs, ours

from lq_spark.core.multilabel import fit
from lq_spark.core.multilabel.health import (
    common_multilabel_issues,
    multilabel_health_summary,
    overall_multilabel_health_score,
    rank_classes_by_multilabel_quality,
)
from lq_spark.errors import DataError, OptionError

RUNS = settings(deadline=None, max_examples=10)


def data_set(seed, n=60, n_classes=4):
    rng = np.random.default_rng(seed)
    pred_probs = rng.beta(0.5, 0.5, (n, n_classes)).clip(1e-6, 1 - 1e-6)
    bits = np.where(rng.random(pred_probs.shape) < 0.8, pred_probs > 0.5, rng.random() < 0.5)
    bits[:2] = [[False], [True]]
    return [np.flatnonzero(row).tolist() for row in bits], pred_probs


def assert_same_table(found, expected, by, count):
    """Compare tables that equal scores may leave in another order; counts may be one too low."""
    assert list(found.columns) == list(expected.columns)
    found, expected = (table.sort_values(by, ignore_index=True) for table in (found, expected))
    for name in count:
        assert (found[name] - expected[name]).between(0, 1).all()
    same = found.columns.difference(count)
    pd.testing.assert_frame_equal(found[same], expected[same], rtol=0, atol=1e-9)


@RUNS
@given(seed=st.integers(0, 2**32 - 1), with_joint=st.booleans(), named=st.booleans())
def test_health_equals_cleanlabs(seed, with_joint, named):
    labels, pred_probs = data_set(seed)
    joint = np.random.default_rng(seed).integers(0, 30, (4, 2, 2)) if with_joint else None
    options = {"confident_joint": joint}
    found = ours(overall_multilabel_health_score, labels, pred_probs, **options)
    expected = cleanlabs(dataset.overall_multilabel_health_score, labels, pred_probs, **options)
    assert found == pytest.approx(expected, abs=1e-9)
    options["class_names"] = list("wxyz") if named else None
    issues = ours(common_multilabel_issues, labels, pred_probs, **options)
    expected = cleanlabs(dataset.common_multilabel_issues, labels, pred_probs, **options)
    by = ["Class Index", "In Given Label"]
    assert_same_table(issues, expected, by, [])
    assert (issues["Num Examples"].diff().dropna() <= 0).all()

    # What cleanlab calls joint, it takes for a confident joint, and that one it does not look at.
    theirs = {"joint": joint, "class_names": options["class_names"]}
    ranked = ours(rank_classes_by_multilabel_quality, labels, pred_probs, **options)
    expected = cleanlabs(dataset.rank_classes_by_multilabel_quality, labels, pred_probs, **theirs)
    counts = ["Label Issues", "Inverse Label Issues"]
    assert_same_table(ranked, expected, ["Class Index"], counts)
    assert (ranked["Label Quality Score"].diff().dropna() >= 0).all()

    summary = ours(multilabel_health_summary, labels, pred_probs, **options)
    assert summary["overall_multilabel_health_score"] == pytest.approx(found, abs=1e-9)
    pd.testing.assert_frame_equal(summary["common_multilabel_issues"], issues)
    pd.testing.assert_frame_equal(summary["classes_by_multilabel_quality"], ranked)


def test_counts_are_not_cut_off():
    bits = np.zeros((100, 2), dtype=bool)
    bits[:60] = True
    pred_probs = np.where(bits, 0.9, 0.1) + np.linspace(0, 0.01, 200).reshape(100, 2)
    pred_probs[:29, 0] = 0.01  # 29 / 100 * 100 is 28.999…
    labels = [np.flatnonzero(row).tolist() for row in bits]
    tables = (
        ours(rank_classes_by_multilabel_quality, labels, pred_probs),
        cleanlabs(dataset.rank_classes_by_multilabel_quality, labels, pred_probs),
    )
    assert [table["Label Issues"][0] for table in tables] == [29, 28]


def test_a_joint_distribution_is_scaled_to_the_labels():
    labels, pred_probs = data_set(6)
    joint = fit(labels, pred_probs).joint
    expected = ours(rank_classes_by_multilabel_quality, labels, pred_probs)
    assert expected["Label Issues"].sum() > 0
    found = ours(rank_classes_by_multilabel_quality, labels, pred_probs, joint=joint)
    pd.testing.assert_frame_equal(found, expected)
    theirs = cleanlabs(dataset.rank_classes_by_multilabel_quality, labels, pred_probs, joint=joint)
    assert theirs["Label Issues"].sum() == 0  # cleanlab cuts shares off to 0


def test_a_class_that_all_rows_have_gets_a_row():
    labels, pred_probs = [[0, 1], [0]] * 4, np.tile([[0.9, 0.2], [0.8, 0.1]], (4, 1))
    table = rank_classes_by_multilabel_quality(labels, pred_probs)
    assert sorted(table["Class Index"]) == [0, 1]
    assert table.set_index("Class Index")["Label Quality Score"][0] == 1.0


def test_wrong_options_are_refused():
    labels, pred_probs = data_set(1)
    with pytest.raises(OptionError, match="class_names must have 4 names, got 2"):
        common_multilabel_issues(labels, pred_probs, class_names=["a", "b"])
    joint = np.ones((4, 2, 2))
    with pytest.raises(OptionError, match="joint and confident_joint are both given"):
        rank_classes_by_multilabel_quality(labels, pred_probs, joint=joint, confident_joint=joint)
    with pytest.raises(DataError, match=r"must be an array of counts of shape \(4, 2, 2\)"):
        rank_classes_by_multilabel_quality(labels, pred_probs, joint=joint[:2])
