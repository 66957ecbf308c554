"""Consensus labels of several annotators, their quality, and the quality of the annotators.

Source: Goh, Tkachenko, Mueller, "CROWDLAB: Supervised learning to infer consensus labels and
quality scores for data with multiple annotators" (2022), arXiv:2210.06812.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.multiannotator.tables import (
    ReportParts,
    dataset_of,
    label_quality_report,
    log_agreement,
    wide_labels,
)
from lq_spark.errors import ColumnError, DataError, OptionError, listed, require_one_of

if TYPE_CHECKING:
    import pandas as pd

CONSENSUS_METHODS = ("best_quality", "majority_vote")
QUALITY_METHODS = ("crowdlab", "agreement")


def get_majority_vote_label(
    labels_multiannotator: pd.DataFrame | NDArray[Any],
    pred_probs: ArrayLike | None = None,
    verbose: bool = True,
) -> NDArray[np.int64]:
    """Return the most frequent label of each item.

    Of tied classes wins the one with the highest predicted probability, then the rarest in the
    data set, then the one whose annotators are most often with a clear majority; the last resort is
    a hash of the item's position, where cleanlab draws at random.

    Parameters
    ----------
    labels_multiannotator : pandas.DataFrame or array-like of float, shape (n, A)
        A row an item, a column an annotator, NaN where there is no label; labels in 0..K-1.
    pred_probs : array-like of float, shape (n, K), optional
        Out-of-sample predicted probabilities.
    verbose : bool
        Whether to log that no two annotators agree.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    DataError
        If an item or an annotator has no label, there are fewer than 2 annotators, a label is no
        whole number in 0..K-1, or a row of pred_probs cannot be scored.

    Notes
    -----
    Source: Goh et al. (2022).

    Examples
    --------
    >>> labels = [[0, 1, 1], [0, np.nan, 1], [2, np.nan, np.nan]]
    >>> get_majority_vote_label(np.array(labels))
    array([1, 0, 2])
    >>> probs = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]]
    >>> get_majority_vote_label(np.array(labels), probs)
    array([1, 1, 2])
    """
    members = [] if pred_probs is None else [pred_probs]
    dataset = dataset_of(wide_labels(labels_multiannotator), members)
    if verbose:
        log_agreement(dataset)
    return dataset.items.majority


def get_label_quality_multiannotator(
    labels_multiannotator: pd.DataFrame | NDArray[Any],
    pred_probs: ArrayLike,
    *,
    consensus_method: str | Sequence[str] = "best_quality",
    quality_method: str = "crowdlab",
    calibrate_probs: bool = False,
    return_detailed_quality: bool = True,
    return_annotator_stats: bool = True,
    return_weights: bool = False,
    verbose: bool = True,
    label_quality_score_kwargs: Mapping[str, Any] = {},
    cleanlab_compatible: bool = False,
) -> dict[str, Any]:
    """Return consensus labels and the quality of them, of each label, and of each annotator.

    Parameters
    ----------
    labels_multiannotator, pred_probs
        As for :func:`get_majority_vote_label`.
    consensus_method : {"best_quality", "majority_vote"} or a list of them
        The consensus: the class of the highest quality, or the most frequent label. Of a list the
        first is the one the tables are of; the others add columns with their name.
    quality_method : {"crowdlab", "agreement"}
        Annotators and model together, or the share of the labels that agree.
    calibrate_probs : bool
        Whether to scale the probabilities first by the temperature that fits the labels best.
    return_detailed_quality, return_annotator_stats, return_weights : bool
        What else to return; the weights only with "crowdlab".
    verbose : bool
        Whether to log what may surprise.
    label_quality_score_kwargs : mapping
        "method" and "adjust_pred_probs" of
        :func:`lq_spark.core.multiclass.get_label_quality_scores`.
    cleanlab_compatible : bool
        Whether the shares of the classes among an item's labels are put into the first places, as
        in cleanlab 2.9.0, which changes "agreement" and the calibration.

    Returns
    -------
    dict
        "label_quality" (pandas.DataFrame): per item "consensus_label", "consensus_quality_score"
        and "annotator_agreement" (1 clean, 0 suspect), "num_annotations". "detailed_label_quality"
        (pandas.DataFrame): a column an annotator. "annotator_stats" (pandas.DataFrame), worst
        first: "annotator_quality", "agreement_with_consensus", "worst_class",
        "num_examples_labeled". "model_weight" (float), "annotator_weight" (ndarray, shape (A,)).

    Raises
    ------
    OptionError
        If an option is unknown, or weights are asked of "agreement".
    DataError
        As in :func:`get_majority_vote_label`, or if each item has one label.

    Notes
    -----
    Source: Goh et al. (2022).

    Examples
    --------
    >>> labels = np.array([[0, 0], [1, 1], [0, 1]])
    >>> probs = [[0.75, 0.25], [0.25, 0.75], [0.25, 0.75]]
    >>> found = get_label_quality_multiannotator(labels, probs, quality_method="agreement")
    >>> found["label_quality"]["consensus_quality_score"].tolist()
    [1.0, 1.0, 0.5]
    """
    methods = _consensus_methods(consensus_method)
    require_one_of("quality_method", quality_method, QUALITY_METHODS)
    if return_weights and quality_method != "crowdlab":
        raise OptionError(
            f"return_weights=True goes with quality_method='crowdlab' alone, got {quality_method!r}"
        )
    found = label_quality_report(
        labels_multiannotator,
        [pred_probs],
        ReportParts(return_detailed_quality, return_annotator_stats, return_weights),
        consensus_methods=methods,
        quality_method=quality_method,
        score_options=label_quality_score_kwargs,
        calibrate=calibrate_probs,
        verbose=verbose,
        cleanlab_compatible=cleanlab_compatible,
    )
    if return_weights:
        found["model_weight"] = found["model_weight"][0]
    return found


def get_label_quality_multiannotator_ensemble(
    labels_multiannotator: pd.DataFrame | NDArray[Any],
    pred_probs: NDArray[Any] | Sequence[ArrayLike],
    *,
    calibrate_probs: bool = False,
    return_detailed_quality: bool = True,
    return_annotator_stats: bool = True,
    return_weights: bool = False,
    verbose: bool = True,
    label_quality_score_kwargs: Mapping[str, Any] = {},
    cleanlab_compatible: bool = False,
) -> dict[str, Any]:
    """Return what :func:`get_label_quality_multiannotator` does, from M models' probabilities.

    Each model has a weight of its own; the consensus is the class of the highest quality.

    Parameters
    ----------
    pred_probs : array-like of float, shape (M, n, K)
        Left as it is, where cleanlab overwrites it with the calibrated probabilities.
    labels_multiannotator, calibrate_probs, return_detailed_quality, return_annotator_stats, \
return_weights, verbose, label_quality_score_kwargs, cleanlab_compatible
        As for :func:`get_label_quality_multiannotator`.

    Returns
    -------
    dict
        As there, with "model_weight" an ndarray of shape (M,).

    Raises
    ------
    OptionError, DataError
        As there.
    """
    return label_quality_report(
        labels_multiannotator,
        list(pred_probs),
        ReportParts(return_detailed_quality, return_annotator_stats, return_weights),
        score_options=label_quality_score_kwargs,
        calibrate=calibrate_probs,
        verbose=verbose,
        cleanlab_compatible=cleanlab_compatible,
    )


def convert_long_to_wide_dataset(labels_multiannotator_long: pd.DataFrame) -> pd.DataFrame:
    """Return a table of labels, items down and annotators across, NaN where there is no label.

    Parameters
    ----------
    labels_multiannotator_long : pandas.DataFrame
        With the columns "task", "annotator" and "label".

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If an annotator labelled a task twice.

    Examples
    --------
    >>> import pandas as pd
    >>> long = pd.DataFrame({"task": [3, 1], "annotator": ["a", "b"], "label": [1, 0]})
    >>> convert_long_to_wide_dataset(long)
         a    b
    1  NaN  0.0
    3  1.0  NaN
    """
    long = labels_multiannotator_long
    missing = [name for name in ("task", "annotator", "label") if name not in long.columns]
    if missing:
        raise ColumnError(
            f"the table must have the columns 'task', 'annotator' and 'label', "
            f"got {listed(long.columns)}"
        )
    twice = long[long.duplicated(["task", "annotator"])]
    if len(twice):
        raise DataError(
            f"an annotator may label a task once, got task {twice['task'].iloc[0]} labelled "
            f"again by {twice['annotator'].iloc[0]} ({len(twice)} such labels)"
        )
    wide = long.pivot(index="task", columns="annotator", values="label")
    return wide.rename_axis(index=None, columns=None)


def _consensus_methods(methods: str | Sequence[str]) -> tuple[str, ...]:
    chosen = (methods,) if isinstance(methods, str) else tuple(methods)
    for method in chosen:
        require_one_of("consensus_method", method, CONSENSUS_METHODS)
    if not chosen or len(set(chosen)) < len(chosen):
        raise OptionError(
            f"consensus_method must be one of {listed(CONSENSUS_METHODS)} or a list of them, "
            f"each once, got {list(chosen)}"
        )
    return chosen
