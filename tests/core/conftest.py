"""What the tests of core share: random data sets, also of several annotators."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

# Hypothesis draws a seed and a few sizes, numpy the arrays: fast, and a failure still shrinks.
SEEDS = st.integers(0, 2**32 - 1)
CONCENTRATIONS = st.sampled_from([1.0, 10.0, 0.1, 0.01])  # nearly uniform to nearly one-hot rows
IMBALANCES = st.sampled_from(
    [10.0, 1.0, 0.05]
)  # balanced classes to one class with nearly all rows
SHARES_RIGHT = st.sampled_from([0.0, 0.5, 0.9])  # how many labels are the model's own prediction


def _random_pred_probs(rng, n_rows, n_classes, concentration, dtype):
    rows = rng.dirichlet(np.full(n_classes, concentration), size=n_rows)
    # cleanlab's entropy score refuses the 1 + 2e-16 that Dirichlet rows may hold.
    return rows.clip(0.0, 1.0).astype(dtype)


def _random_labels(draw, rng, pred_probs):
    n_rows, n_classes = pred_probs.shape
    class_shares = rng.dirichlet(np.full(n_classes, draw(IMBALANCES)))
    labels = rng.choice(n_classes, size=n_rows, p=class_shares)
    return np.where(rng.random(n_rows) < draw(SHARES_RIGHT), pred_probs.argmax(axis=1), labels)


@st.composite
def _data_sets(draw, dtype):
    rng = np.random.default_rng(draw(SEEDS))
    n_rows, n_classes = draw(st.integers(2, 200)), draw(st.integers(2, 50))
    pred_probs = _random_pred_probs(rng, n_rows, n_classes, draw(CONCENTRATIONS), dtype)
    labels = _random_labels(draw, rng, pred_probs)
    labels[:2] = rng.choice(n_classes, size=2, replace=False)  # cleanlab wants two classes
    return labels, pred_probs


@st.composite
def _ensembles(draw, dtype):
    rng = np.random.default_rng(draw(SEEDS))
    n_members, n_classes = draw(st.integers(1, 4)), draw(st.integers(2, 50))
    n_rows = draw(st.integers(n_classes + 1, 200))
    members = [
        _random_pred_probs(rng, n_rows, n_classes, draw(CONCENTRATIONS), dtype)
        for _ in range(n_members)
    ]
    labels = _random_labels(draw, rng, members[0])
    # cleanlab's log loss wants every class, its accuracies one label that one model predicts.
    labels[:n_classes] = rng.permutation(n_classes)
    labels[-1] = members[0][-1].argmax()
    return labels, members


def _crowd(
    rng, n_models, n_items, n_classes, n_annotators, right, n_given, missing, concentrations, sure
):
    truth = rng.integers(n_classes, size=n_items)
    # From annotators who disagree everywhere to such as are mostly right.
    is_right = rng.random((n_items, n_annotators)) < rng.random(n_annotators) * right
    drawn = rng.integers(n_given, size=is_right.shape)  # classes may be absent
    labels = np.where(is_right, truth[:, np.newaxis], drawn).astype(np.float64)
    labels[rng.random(labels.shape) < missing] = np.nan
    # No item and no annotator without a label; one item with two, or cleanlab refuses them all.
    for i in np.flatnonzero(np.isnan(labels).all(axis=1)):
        labels[i, rng.integers(n_annotators)] = rng.integers(n_classes)
    for a in np.flatnonzero(np.isnan(labels).all(axis=0)):
        labels[rng.integers(n_items), a] = rng.integers(n_classes)
    labels[0, :2] = rng.integers(n_classes, size=2)
    # A share of even numbers leaves no exact ties, which cleanlab decides by its rounding.
    models = np.array(
        [
            _random_pred_probs(rng, n_items, n_classes, concentration, np.float64)
            for concentration in concentrations
        ]
    )
    models = 0.6 * models + 0.4 * rng.dirichlet(np.ones(n_classes), size=(n_models, n_items))
    models += sure * np.eye(n_classes)[truth]
    return labels, models / models.sum(axis=2, keepdims=True)


@st.composite
def _crowds(draw, n_models):
    n_classes = draw(st.integers(2, 6))
    return _crowd(
        np.random.default_rng(draw(SEEDS)),
        n_models,
        n_items=draw(st.integers(5, 60)),
        n_classes=n_classes,
        n_annotators=draw(st.sampled_from([2, 3, 5, 10, 50])),
        right=draw(SHARES_RIGHT),
        n_given=draw(st.integers(1, n_classes)),
        missing=draw(st.sampled_from([0.0, 0.4, 0.9, 1.0])),
        concentrations=[draw(CONCENTRATIONS) for _ in range(n_models)],
        sure=draw(st.sampled_from([0.0, 1.0, 9.0])),
    )


NASTY_CROWDS = {
    "more annotators than items": (5, 3, 50, 0.9, 3, 0.4, 1.0, 1.0),
    "one label an item": (40, 4, 10, 0.5, 4, 1.0, 0.1, 0.0),
    "nobody is right": (30, 5, 5, 0.0, 5, 0.0, 10.0, 0.0),
    "one class is drawn alone": (30, 6, 3, 0.0, 1, 0.4, 1.0, 1.0),
    "nearly all are sure and right": (60, 2, 10, 0.9, 2, 0.0, 0.01, 9.0),
    "hardly any label": (60, 6, 50, 0.5, 6, 0.9, 0.01, 0.0),
}
"""Items, classes, annotators, shares of right ones, classes drawn, labels missing; models."""


@pytest.fixture(scope="session")
def crowds():
    """Strategy by number of models: (wide labels with NaN, pred_probs of shape (M, n, K))."""
    return _crowds


@pytest.fixture(params=NASTY_CROWDS)
def nasty_crowd(request):
    """A crowd at an end of what may be: wide labels with NaN, pred_probs of shape (2, n, K)."""
    *sizes, concentration, sure = NASTY_CROWDS[request.param]
    return _crowd(np.random.default_rng(0), 2, *sizes, [concentration, 1.0], sure)


@pytest.fixture(scope="session")
def data_sets():
    """Strategy by dtype: (labels, pred_probs), with absent, rare and common classes."""
    return _data_sets


@pytest.fixture(scope="session")
def ensembles():
    """Strategy by dtype: (labels, list of pred_probs), with every class in the labels."""
    return _ensembles
