"""ActiveLab: which items to have labelled next, labelled ones once more among them.

Source: Goh, Mueller, "ActiveLab: Active learning with re-labeling by multiple annotators" (2023),
arXiv:2301.11856.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.multiannotator.annotations import Annotations, Votes, count_votes
from lq_spark.core.multiannotator.crowdlab import (
    CrowdlabWeights,
    annotator_weights,
    predicted_labels,
)
from lq_spark.core.multiannotator.items import Dataset
from lq_spark.core.multiannotator.majority import (
    VoteSummary,
    finish_votes,
    majority_votes,
    partial_votes,
    require_annotators,
)
from lq_spark.core.multiannotator.tables import wide_labels
from lq_spark.core.multiannotator.temperature import Model, mean_probabilities
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_members
from lq_spark.errors import DataError, OptionError

if TYPE_CHECKING:
    import pandas as pd

_NO_SCORES = np.zeros(0)


def get_active_learning_scores(
    labels_multiannotator: pd.DataFrame | NDArray[Any] | None = None,
    pred_probs: ArrayLike | None = None,
    pred_probs_unlabeled: ArrayLike | None = None,
    *,
    cleanlab_compatible: bool = False,
) -> tuple[Float64, Float64]:
    """Return how well each item is known: 0 have it labelled next, 1 leave it.

    Parameters
    ----------
    labels_multiannotator : pandas.DataFrame or array-like of float, shape (n, A), optional
        As for :func:`lq_spark.core.multiannotator.get_majority_vote_label`; one annotator is
        enough where each item has one label.
    pred_probs : array-like of float, shape (n, K), optional
        Out-of-sample predicted probabilities of the labelled items.
    pred_probs_unlabeled : array-like of float, shape (U, K), optional
        Predicted probabilities of items that have no label yet.
    cleanlab_compatible : bool
        Whether the probabilities are calibrated as by cleanlab 2.9.0, which compares the shares of
        an item's labels with the probabilities of other classes.

    Returns
    -------
    ndarray of float64, shape (n,)
        Of the labelled items; empty if there are none.
    ndarray of float64, shape (U,)
        Of the unlabelled items, on the same scale; empty if there are none.

    Raises
    ------
    OptionError
        If neither kind of items is given, or only one of labels and pred_probs.
    DataError
        As in :func:`lq_spark.core.multiannotator.get_majority_vote_label`.

    Notes
    -----
    Source: Goh and Mueller (2023).

    Examples
    --------
    >>> probs = [[0.75, 0.25], [0.5, 0.5]]
    >>> get_active_learning_scores(pred_probs_unlabeled=probs)[1]
    array([0.625, 0.5  ])
    """
    return _scores(
        labels_multiannotator,
        None if pred_probs is None else [pred_probs],
        None if pred_probs_unlabeled is None else [pred_probs_unlabeled],
        cleanlab_compatible=cleanlab_compatible,
    )


def get_active_learning_scores_ensemble(
    labels_multiannotator: pd.DataFrame | NDArray[Any] | None = None,
    pred_probs: NDArray[Any] | Sequence[ArrayLike] | None = None,
    pred_probs_unlabeled: NDArray[Any] | Sequence[ArrayLike] | None = None,
    *,
    cleanlab_compatible: bool = False,
) -> tuple[Float64, Float64]:
    """Return what :func:`get_active_learning_scores` does, from M models' probabilities.

    Parameters
    ----------
    pred_probs : array-like of float, shape (M, n, K), optional
    pred_probs_unlabeled : array-like of float, shape (M, U, K), optional
        Both are left as they are, where cleanlab overwrites them.
    labels_multiannotator, cleanlab_compatible
        As there.

    Returns
    -------
    tuple of two ndarray
        As there.

    Raises
    ------
    OptionError, DataError
        As there, or if the two have different numbers of models.
    """
    return _scores(
        labels_multiannotator,
        None if pred_probs is None else list(pred_probs),
        None if pred_probs_unlabeled is None else list(pred_probs_unlabeled),
        cleanlab_compatible=cleanlab_compatible,
    )


def labelled_scores(
    quality: Float64, annotations: Annotations, weights: CrowdlabWeights
) -> Float64:
    """Return the score of each labelled item from the quality of its consensus, shape (n,).

    One more annotator, of mean weight, is thought to label the item at random.
    """
    known = annotator_weights(annotations, weights) + weights.models.sum()
    return _with_a_random_label(quality, known, weights, annotations.n_classes)


def unlabelled_scores(
    models: Sequence[Model], consensus: NDArray[np.int64], weights: CrowdlabWeights
) -> Float64:
    """Return the score of each unlabelled item, shape (U,).

    Parameters
    ----------
    models : sequence of M Model
        Of the items.
    consensus : ndarray of int64, shape (U,)
        The class of each item, of :func:`unlabelled_consensus`.
    weights : CrowdlabWeights
        Of the labelled items.
    """
    known = np.zeros(len(consensus))
    n_classes = models[0].pred_probs.shape[1]
    for model, weight in zip(models, weights.models, strict=True):
        for rows, block in model.blocks():
            known[rows] += weight * block[np.arange(len(block)), consensus[rows]]
    total = weights.models.sum()
    return _with_a_random_label(known / total, np.full(len(known), total), weights, n_classes)


def votes_of_models(models: Sequence[Model]) -> tuple[Annotations, Votes]:
    """Return what M models predict of items as the labels of M annotators."""
    predicted = predicted_labels(models)
    n_models, n_items = predicted.shape
    annotations = Annotations(
        np.tile(np.arange(n_models), n_items),
        predicted.T.ravel(),
        np.arange(n_items + 1) * n_models,
        n_models,
        models[0].pred_probs.shape[1],
    )
    return annotations, count_votes(annotations)


def unlabelled_consensus(
    models: Sequence[Model],
    summary: VoteSummary | None,
    item_ids: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the class of each item that most models predict, shape (U,), ties as by annotators.

    Parameters
    ----------
    models : sequence of M Model
        Of any batch of items.
    summary : VoteSummary or None
        Of the models' votes on all unlabelled items; a single model needs none.
    item_ids : ndarray of int64, shape (U,), optional
        As for :func:`lq_spark.core.multiannotator.majority.majority_votes`.
    """
    if summary is None:
        only: NDArray[np.int64] = predicted_labels(models)[0]
        return only
    return majority_votes(*votes_of_models(models), summary, models, item_ids)


def equal_weights(n_annotators: int, n_models: int) -> CrowdlabWeights:
    """Return weights of 1: where no item has several labels, nobody can be compared."""
    return CrowdlabWeights(np.ones(n_annotators), np.ones(n_models), 1.0, 1.0)


def _with_a_random_label(
    quality: Float64, known: Float64, weights: CrowdlabWeights, n_classes: int
) -> Float64:
    more = weights.annotators.mean()
    scores: Float64 = (quality * known + more / n_classes) / (known + more)
    return scores


def _scores(
    labels: pd.DataFrame | NDArray[Any] | None,
    pred_probs: Sequence[ArrayLike] | None,
    unlabeled: Sequence[ArrayLike] | None,
    *,
    cleanlab_compatible: bool,
) -> tuple[Float64, Float64]:
    if (labels is None) != (pred_probs is None):
        raise OptionError(
            "labels_multiannotator and pred_probs go together, got "
            f"{'pred_probs' if labels is None else 'labels_multiannotator'} alone"
        )
    if pred_probs is None and unlabeled is None:
        raise OptionError(
            "there must be labels_multiannotator and pred_probs, or pred_probs_unlabeled; got none"
        )
    others = [] if unlabeled is None else checked_members(unlabeled, name="pred_probs_unlabeled")
    if labels is None or pred_probs is None:
        models = tuple(map(Model, others))
        weights = equal_weights(1, len(models))
        return _NO_SCORES, _unlabelled(models, weights)
    wide = wide_labels(labels)
    members = checked_members(pred_probs, len(wide.index))
    if others and (len(others), others[0].shape[1]) != (len(members), members[0].shape[1]):
        raise DataError(
            f"pred_probs is of {len(members)} models and {members[0].shape[1]} classes, "
            f"pred_probs_unlabeled of {len(others)} and {others[0].shape[1]}"
        )
    annotations = wide.annotations(members[0].shape[1])
    if annotations.n_items == len(annotations.labels):
        require_annotators(np.bincount(annotations.annotators, minlength=len(wide.columns)))
        weights = equal_weights(annotations.n_annotators, len(members))
        models = tuple(map(Model, members))
        quality = mean_probabilities(models, np.arange(annotations.n_items), annotations.labels)
    else:
        dataset = Dataset.of(
            annotations, members, calibrate=True, cleanlab_compatible=cleanlab_compatible
        )
        models, consensus = dataset.items.models, dataset.best_consensus()
        weights = dataset.weights_under(consensus)
        quality = dataset.items.rated(consensus, weights).quality
    scores = labelled_scores(quality, annotations, weights)
    if not others:
        return scores, _NO_SCORES
    unseen = [
        Model(member, model.temperature) for member, model in zip(others, models, strict=True)
    ]
    return scores, _unlabelled(unseen, weights)


def _unlabelled(models: Sequence[Model], weights: CrowdlabWeights) -> Float64:
    summary = None
    if len(models) > 1 and len(models[0].pred_probs):
        summary = finish_votes(partial_votes(*votes_of_models(models)))
    return unlabelled_scores(models, unlabelled_consensus(models, summary), weights)
