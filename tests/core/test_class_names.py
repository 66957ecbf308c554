"""Names of classes are in the order of the classes: what has no order is refused everywhere."""

import numpy as np
import pytest

from lq_spark.core import health, tokens
from lq_spark.core.multilabel import health as multilabel_health
from lq_spark.core.segmentation import summary as pixel_pairs
from lq_spark.errors import OptionError

LABELS, PROBS = [0, 1, 0, 1], np.array([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5], [0.75, 0.25]])
MASKS = np.array([[[0, 1]]])
PIXELS = np.full((1, 2, 1, 2), 0.5)
ISSUES = np.array([[[True, False]]])

FUNCTIONS = {
    "rank_classes": lambda names: health.rank_classes_by_label_quality(
        LABELS, PROBS, class_names=names
    ),
    "overlapping": lambda names: health.find_overlapping_classes(LABELS, PROBS, class_names=names),
    "health_summary": lambda names: health.health_summary(
        LABELS, PROBS, class_names=names, verbose=False
    ),
    "multilabel_rank": lambda names: multilabel_health.rank_classes_by_multilabel_quality(
        [[k] for k in LABELS], PROBS, class_names=names
    ),
    "multilabel_issues": lambda names: multilabel_health.common_multilabel_issues(
        [[k] for k in LABELS], PROBS, class_names=names
    ),
    "multilabel_summary": lambda names: multilabel_health.multilabel_health_summary(
        [[k] for k in LABELS], PROBS, class_names=names, verbose=False
    ),
    "pixels": lambda names: pixel_pairs.common_label_issues(
        ISSUES, MASKS, PIXELS, class_names=names, verbose=False
    ),
    "tokens": lambda names: tokens.common_label_issues(
        [(0, 0)],
        [["a", "b"]],
        labels=[[0, 1]],
        pred_probs=[PROBS[:2]],
        class_names=names,
        verbose=False,
    ),
}

UNORDERED = [{"cat", "dog"}, frozenset({"cat", "dog"}), dict.fromkeys({"cat", "dog"}).keys()]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("names", UNORDERED, ids=lambda names: type(names).__name__)
def test_names_without_an_order_are_refused(function, names):
    with pytest.raises(OptionError, match=r"class_names must be a list of names.*no certain order"):
        FUNCTIONS[function](names)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_names_in_an_order_are_taken(function, kind):
    FUNCTIONS[function](kind(["cat", "dog"]))
