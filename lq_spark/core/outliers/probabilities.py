"""The outlier score of predicted probabilities: how sure a model is of a row's class.

Sources: Hendrycks and Gimpel, ICLR (2017), arXiv:1610.02136 (least confidence); Kuan and Mueller,
arXiv:2207.03061 (adjusted probabilities, entropy); Liu, Lochman, Zach, "GEN: Pushing the Limits of
Softmax-Based Out-of-Distribution Detection", CVPR (2023), equation 3.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.shared.blocks import Float64, float64_blocks, row_sums
from lq_spark.errors import require_number, require_one_of, require_whole_number

METHODS: Final = ("entropy", "least_confidence", "gen")

THRESHOLD: Final = 0.13
"""By default rows are outliers whose score is below this share of the median score."""

N_LARGEST: Final = 100
"""How many of the largest probabilities of a row "gen" looks at, by default."""

GAMMA: Final = 0.1
"""The exponent of "gen", by default."""


def require_options(method: str, n_largest: object, gamma: object) -> None:
    """Raise OptionError unless the options of a score are allowed."""
    require_one_of("method", method, METHODS)
    require_whole_number("n_largest", n_largest, 1)
    require_number("gamma", gamma, 0.0)


def probability_scores(
    pred_probs: NDArray[np.floating],
    method: str,
    thresholds: Float64 | None = None,
    *,
    n_largest: int = N_LARGEST,
    gamma: float = GAMMA,
) -> Float64:
    """Return the score of each row, shape (n,): 1 typical, 0 an outlier.

    Parameters
    ----------
    pred_probs : ndarray of float, shape (n, K)
        Checked before.
    method : {"entropy", "least_confidence", "gen"}
    thresholds : ndarray of float64, shape (K,), optional
        The probabilities are adjusted by these class thresholds first, as
        :func:`lq_spark.core.multiclass.scores.score_rows` has it.
    n_largest, gamma
        Of "gen".
    """
    scores = np.empty(len(pred_probs))
    for rows, block in float64_blocks(pred_probs):
        if thresholds is not None:
            block += np.max(thresholds) - thresholds
            block /= row_sums(block)[:, np.newaxis]
        if method == "entropy":
            scores[rows] = _certainty(block)
        elif method == "least_confidence":
            scores[rows] = block.max(axis=1)
        else:
            scores[rows] = _gen(block, n_largest, gamma)
    return scores


def _certainty(block: Float64) -> Float64:
    """Return 1 less the entropy in units of the highest one."""
    n_classes = block.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(block > 0.0, block * np.log(block), 0.0)
    certainty: Float64 = 1.0 + row_sums(parts) / np.log(n_classes)
    return certainty


def _gen(block: Float64, n_largest: int, gamma: float) -> Float64:
    shares = np.exp(block)  # probabilities: nothing overflows
    shares /= row_sums(shares)[:, np.newaxis]
    if n_largest < shares.shape[1]:
        place = shares.shape[1] - n_largest
        shares = np.partition(shares, place, axis=1)[:, place:]
        shares.sort(axis=1)  # a sum depends on its order
    parts = shares**gamma * (1.0 - shares) ** gamma
    # Divided by M also where a row has fewer classes, as cleanlab does.
    score: Float64 = 1.0 - row_sums(parts) / n_largest
    return score
