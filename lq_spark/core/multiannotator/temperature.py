"""Temperature scaling of a model's probabilities so that they fit the labels of annotators.

Source: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML (2017),
section 4.2; Goh, Mueller, "ActiveLab: Active learning with re-labeling by multiple annotators"
(2023), arXiv:2301.11856.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.multiannotator.annotations import Annotations, Votes
from lq_spark.core.shared.blocks import BLOCK_ELEMENTS, Float64, float64_blocks, row_sums
from lq_spark.core.shared.exact import SCALE_BITS, scaled_halves

COARSE_TEMPERATURES: Final = (0.1, 0.2, 0.5, 0.8, 1.0, 2.0, 3.0, 5.0, 8.0)

SMALLEST_PROBABILITY: Final = 1e-30
"""Floor of a scaled probability in the loss, and of one before it is scaled, as in cleanlab."""

_LOSS_UNIT: Final = 128.0
"""A loss is at most -ln(1e-30) / ln 2 = 99.7; in this unit it lies in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Model:
    """Predicted probabilities, shape (n, K), and the temperature they are scaled with, if any."""

    pred_probs: NDArray[np.floating]
    temperature: float | None = None

    def blocks(self) -> Iterator[tuple[slice, Float64]]:
        """Yield (rows, block): scaled probabilities in a scratch that the caller may change."""
        for rows, block in float64_blocks(self.pred_probs):
            self.scale(block)
            yield rows, block

    def scale(self, block: Float64) -> None:
        """Scale rows of probabilities in place."""
        if self.temperature is not None:
            _to_logs(block, SMALLEST_PROBABILITY)
            _softmax(block, self.temperature)


def mean_probabilities(
    models: Sequence[Model], rows: NDArray[np.int64], classes: NDArray[np.int64]
) -> Float64:
    """Return the mean of the models' scaled probabilities of each (row, class)."""
    total = np.zeros(len(rows))
    step = max(1, BLOCK_ELEMENTS // models[0].pred_probs.shape[1])
    for model in models:
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            block = model.pred_probs[rows[part]].astype(np.float64)
            model.scale(block)
            total[part] += block[np.arange(len(block)), classes[part]]
    return total / len(models)


@dataclass(frozen=True, slots=True)
class TemperatureLosses:
    """The summed loss of items at each temperature.

    Attributes
    ----------
    n_items : int
    high, low : ndarray of int64, shape (T,)
        Sums of the halves (:mod:`lq_spark.core.shared.exact`) of the losses in units of 128.
    """

    n_items: int
    high: NDArray[np.int64]
    low: NDArray[np.int64]


def partial_losses(
    annotations: Annotations,
    votes: Votes,
    pred_probs: NDArray[np.floating],
    temperatures: Sequence[float],
    *,
    cleanlab_compatible: bool = False,
) -> TemperatureLosses:
    """Return the state of a batch: how badly its scaled probabilities fit its labels.

    The loss of an item is the cross entropy, in units of ln K, of the scaled probabilities under
    the shares of its labels. A probability of 0 is 0 at each temperature here, as in cleanlab: only
    what is scaled in the end has a floor before its logarithm (:meth:`Model.scale`).

    Parameters
    ----------
    annotations, votes
        Of n items.
    pred_probs : ndarray of float, shape (n, K)
        Of one model.
    temperatures : sequence of float, length T
    cleanlab_compatible : bool
        Whether the shares of an item's classes are compared with the probabilities of classes 0,
        1, 2…, whichever classes they are of, as in cleanlab 2.9.0.
    """
    places = votes.ranks if cleanlab_compatible else votes.labels
    lowest_log, unit = np.log(SMALLEST_PROBABILITY), np.log(annotations.n_classes) * _LOSS_UNIT
    sums = np.zeros((2, len(temperatures)), dtype=np.int64)
    for rows, block in float64_blocks(pred_probs):
        _to_logs(block, floor=0.0)
        part = slice(votes.offsets[rows.start], votes.offsets[rows.stop])
        items, shares = votes.items[part] - rows.start, votes.counts[part]
        sizes = annotations.sizes[rows]
        for t, temperature in enumerate(temperatures):
            logs = block[items, places[part]] / temperature
            logs -= np.log(row_sums(np.exp(block / temperature)))[items]
            np.maximum(logs, lowest_log, out=logs)
            likelihood = np.bincount(items, weights=shares * logs, minlength=len(sizes))
            for half, values in enumerate(scaled_halves(-likelihood / (sizes * unit))):
                sums[half, t] += int(values.sum())
    return TemperatureLosses(annotations.n_items, sums[0], sums[1])


def merge_losses(a: TemperatureLosses, b: TemperatureLosses) -> TemperatureLosses:
    """Return the state of the items of ``a`` and ``b`` together."""
    return TemperatureLosses(a.n_items + b.n_items, a.high + b.high, a.low + b.low)


def finish_losses(losses: TemperatureLosses) -> int:
    """Return the place of the temperature with the lowest loss, the first of equal ones."""
    sums = [
        (int(high) << SCALE_BITS) + int(low)
        for high, low in zip(losses.high, losses.low, strict=True)
    ]
    return sums.index(min(sums))


def fine_temperatures(best: int) -> tuple[float, ...]:
    """Return the temperatures tried around the best of the coarse ones, as in cleanlab.

    They end below the highest coarse one, also if that is the best.

    Examples
    --------
    >>> fine_temperatures(4)[4:]
    (1.0, 1.25, 1.5, 1.75, 2.0)
    """
    grid: list[float] = []
    for left, right, points in ((best - 1, best, 4), (best, best + 1, 5)):
        if left >= 0 and right < len(COARSE_TEMPERATURES):
            ends = COARSE_TEMPERATURES[left], COARSE_TEMPERATURES[right]
            grid += np.linspace(*ends, points, endpoint=points == 5).tolist()
    return tuple(grid)


def fit_temperature(
    annotations: Annotations,
    votes: Votes,
    pred_probs: NDArray[np.floating],
    *,
    cleanlab_compatible: bool = False,
) -> float:
    """Return the temperature of one model, from two passes over all items."""

    def best_of(temperatures: Sequence[float]) -> int:
        losses = partial_losses(
            annotations, votes, pred_probs, temperatures, cleanlab_compatible=cleanlab_compatible
        )
        return finish_losses(losses)

    fine = fine_temperatures(best_of(COARSE_TEMPERATURES))
    return fine[best_of(fine)]


def _to_logs(block: Float64, floor: float) -> None:
    """Replace rows of probabilities by their logarithms; that of 0 is -inf."""
    np.maximum(block, floor, out=block)
    block /= row_sums(block)[:, np.newaxis]
    with np.errstate(divide="ignore"):
        np.log(block, out=block)


def _softmax(block: Float64, temperature: float) -> None:
    # The highest of the logarithms is at least -ln K: their powers neither overflow nor vanish.
    block /= temperature
    np.exp(block, out=block)
    block /= row_sums(block)[:, np.newaxis]
