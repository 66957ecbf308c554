"""The arguments of the summaries of label health, and what they print."""

import numpy as np
import pytest
from cleanlab import dataset

from lq_spark.core import health
from lq_spark.errors import OptionError

LABELS = np.array([0, 0, 1, 1, 1])
PROBS = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.9, 0.1]])
JOINT = np.array([[0.5, 0.1], [0.2, 0.2]])
COUNTS = np.array([[5, 1], [2, 2]])


@pytest.mark.parametrize(
    "options",
    [
        {"num_examples": 50},
        {"num_examples": 50, "joint": JOINT},
        {"num_examples": 50, "confident_joint": COUNTS},
        {"pred_probs": None, "confident_joint": COUNTS},
        {"labels": None, "pred_probs": None, "confident_joint": COUNTS},
        {"labels": None, "pred_probs": None, "num_examples": 7, "joint": JOINT},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*(is ignored|is not used)")
def test_health_scores_of_all_arguments_equal_cleanlabs(options):
    options = {"labels": LABELS, "pred_probs": PROBS, "verbose": False, **options}
    found = health.overall_label_health_score(**options)
    assert found == pytest.approx(dataset.overall_label_health_score(**options), abs=1e-12)


def test_the_number_of_examples_is_what_issues_are_counted_of():
    score = health.overall_label_health_score(LABELS, PROBS, num_examples=50, verbose=False)
    assert score == pytest.approx(0.98)
    options = {"num_examples": 50, "verbose": False}
    found = health.health_summary(LABELS, PROBS, **options)
    expected = dataset.health_summary(LABELS, PROBS, **options)
    assert found["overall_label_health_score"] == pytest.approx(0.98)
    assert expected["overall_label_health_score"] == pytest.approx(0.98)
    for table in ("classes_by_label_quality", "overlapping_classes"):
        np.testing.assert_allclose(found[table], expected[table], atol=1e-12)
    for function in (health.overall_label_health_score, health.health_summary):
        with pytest.raises(OptionError, match="num_examples must be at least 1, got 0"):
            function(LABELS, PROBS, num_examples=0)


def test_a_joint_beside_what_is_computed_is_said_not_to_be_used():
    with pytest.warns(UserWarning, match="^joint is not used"):
        health.overall_label_health_score(LABELS, PROBS, joint=JOINT, verbose=False)
    with pytest.warns(UserWarning, match="^confident_joint is not used"):
        health.overall_label_health_score(LABELS, PROBS, confident_joint=COUNTS, verbose=False)
    with pytest.warns(UserWarning, match="^confident_joint is not used"):
        health.health_summary(LABELS, PROBS, joint=JOINT, confident_joint=COUNTS, verbose=False)


def test_summaries_print_if_they_are_verbose(capsys):
    health.overall_label_health_score(LABELS, PROBS)
    line = "Label issues: 1 of 5 labels (20.0 %). Health score: 0.80, where 1 is clean.\n"
    assert capsys.readouterr().out == line
    health.health_summary(LABELS, PROBS, class_names=["cat", "dog"], num_examples=50)
    printed = capsys.readouterr().out
    assert printed.startswith("Label health of 50 rows\n")
    assert "cat" in printed
    assert "Overlapping classes" in printed
    assert printed.endswith(
        line.replace("of 5", "of 50").replace("20", "2").replace("0.80", "0.98")
    )
    health.overall_label_health_score(joint=JOINT)
    assert capsys.readouterr().out == "Health score: 0.70, where 1 is clean.\n"
    health.overall_label_health_score(LABELS, PROBS, verbose=False)
    health.health_summary(LABELS, PROBS, verbose=False)
    assert capsys.readouterr().out == ""
