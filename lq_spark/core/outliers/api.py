"""Outliers of a data set in memory, under cleanlab's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.confident.thresholds import finish_thresholds, partial_class_sums
from lq_spark.core.neighbors.graph import knn_graph
from lq_spark.core.neighbors.search import nearest
from lq_spark.core.neighbors.vectors import agreed_metric, checked_features, prepared, require_k
from lq_spark.core.outliers.distances import distance_scores, mean_distances, scale_of
from lq_spark.core.outliers.probabilities import (
    GAMMA,
    N_LARGEST,
    probability_scores,
    require_options,
)
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_inputs, checked_pred_probs
from lq_spark.errors import DataError, OptionError, listed, require_number

_DEFAULTS: Final[Mapping[str, Any]] = {
    "k": None,
    "t": 1,
    "metric": None,
    "method": "entropy",
    "adjust_pred_probs": True,
    "confident_thresholds": None,
    "M": N_LARGEST,
    "gamma": GAMMA,
}

_ONE_OF_THEM = "give features or pred_probs, one of them"


class OutOfDistribution:
    """Scores rows by how typical they are of those that it was fitted to: 1 typical, 0 an outlier.

    By features: how far a row is from its nearest neighbours. By predicted probabilities: how sure
    the model is of the row's class.

    Parameters
    ----------
    params : mapping, optional
        By features: ``k``, how many neighbours count (10, or n - 1 where that is less); ``t``, how
        fast the score falls with distance (1); ``metric`` ("cosine", and "euclidean" for up to 3
        features). By probabilities: ``method`` ("entropy", "least_confidence" or "gen"),
        ``adjust_pred_probs`` (True: by class thresholds), ``confident_thresholds`` (instead of
        those of the rows), ``M`` and ``gamma`` of "gen" (100, 0.1).

    Raises
    ------
    OptionError
        If a parameter is unknown or not allowed.

    Notes
    -----
    cleanlab's parameter ``knn``, a fitted index of scikit-learn, is not taken; it has no
    ``metric``. Where labels or thresholds are given and not used, this raises; cleanlab warns.

    Examples
    --------
    >>> features = [[0.0], [1.0], [2.0], [9.0]]
    >>> OutOfDistribution({"k": 2}).fit_score(features=features).round(3)
    array([0.368, 0.513, 0.368, 0.007])
    """

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        given = dict(params or {})
        if unknown := sorted(set(given) - set(_DEFAULTS)):
            raise OptionError(f"params may have {listed(_DEFAULTS)}, got {listed(unknown)}")
        self.params = {**_DEFAULTS, **given}
        require_options(self.params["method"], self.params["M"], self.params["gamma"])
        require_number("t", self.params["t"], 0.0, above=True)
        if self.params["k"] is not None:
            require_k(self.params["k"])
        self._vectors: Float64 | None = None
        self._thresholds: Float64 | None = None
        self._scale = 0.0

    def fit(
        self,
        *,
        features: ArrayLike | None = None,
        pred_probs: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> None:
        """Fit to features, or to probabilities (and labels, if these are adjusted).

        Raises
        ------
        OptionError
            If both are given or none, or what does not go with them.
        DataError
            If they cannot be used.
        """
        self.fit_score(features=features, pred_probs=pred_probs, labels=labels)

    def fit_score(
        self,
        *,
        features: ArrayLike | None = None,
        pred_probs: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> Float64:
        """Fit as :meth:`fit`, and return the score of each row it was fitted to, shape (n,).

        A row is none of its own neighbours, and copies of it are as
        :func:`lq_spark.core.neighbors.knn_graph` has them.
        """
        if features is None and pred_probs is not None:
            return self._fit_probabilities(pred_probs, labels)
        if features is None or pred_probs is not None:
            raise OptionError(_ONE_OF_THEM)
        if labels is not None:
            raise OptionError("labels are given, which go with pred_probs")
        return self._fit_features(features)

    def score(
        self, *, features: ArrayLike | None = None, pred_probs: ArrayLike | None = None
    ) -> Float64:
        """Return the score of new rows, shape (n,), by what was fitted.

        Rows that it was fitted to are their own nearest neighbours here.

        Raises
        ------
        OptionError
            If nothing was fitted that goes with these rows.
        """
        if features is not None and pred_probs is None:
            return self._score_features(features)
        if features is not None or pred_probs is None:
            raise OptionError(_ONE_OF_THEM)
        if self.params["adjust_pred_probs"] and self._thresholds is None:
            raise OptionError(
                "fit it to pred_probs and labels first, or set adjust_pred_probs False"
            )
        return self._score_probabilities(_checked(pred_probs))

    def _fit_features(self, features: ArrayLike) -> Float64:
        graph = knn_graph(features, k=self.params["k"], metric=self.params["metric"])
        means = mean_distances(graph.distances)
        matrix = checked_features(features)
        self._metric = agreed_metric(self.params["metric"], matrix.shape[1])
        self._k = graph.distances.shape[1]
        self._vectors = prepared(matrix, self._metric)
        self._scale = scale_of(float(np.median(means)))
        return distance_scores(means, self._scale, self._metric, self.params["t"])

    def _score_features(self, features: ArrayLike) -> Float64:
        if self._vectors is None:
            raise OptionError("fit it to features first")
        matrix = checked_features(features)
        if matrix.shape[1] != self._vectors.shape[1]:
            raise DataError(
                f"features has {matrix.shape[1]} columns, it was fitted to {self._vectors.shape[1]}"
            )
        metric = self._metric
        ranks = np.arange(len(self._vectors))
        found = nearest(prepared(matrix, metric), self._vectors, ranks, self._k, metric, same=False)
        means = mean_distances(found.distance.reshape(len(matrix), self._k))
        return distance_scores(means, self._scale, metric, self.params["t"])

    def _fit_probabilities(self, pred_probs: ArrayLike, labels: ArrayLike | None) -> Float64:
        given = self.params["confident_thresholds"]
        if not self.params["adjust_pred_probs"]:
            if labels is not None or given is not None:
                raise OptionError(
                    "labels or confident_thresholds are given, and adjust_pred_probs is False"
                )
            return self._score_probabilities(_checked(pred_probs))
        if given is not None:
            probs = _checked(pred_probs)
            self._thresholds = np.asarray(given, dtype=np.float64)
            if self._thresholds.shape != (probs.shape[1],):
                raise OptionError(
                    f"confident_thresholds must have shape ({probs.shape[1]},), "
                    f"got {self._thresholds.shape}"
                )
            return self._score_probabilities(probs)
        if labels is None:
            raise OptionError(
                "labels are needed to adjust pred_probs, or set adjust_pred_probs False"
            )
        checked, probs = checked_inputs(labels, pred_probs)
        self._thresholds = finish_thresholds(partial_class_sums(checked, probs))
        return self._score_probabilities(probs)

    def _score_probabilities(self, pred_probs: NDArray[np.floating]) -> Float64:
        thresholds = self._thresholds if self.params["adjust_pred_probs"] else None
        return probability_scores(
            pred_probs,
            self.params["method"],
            thresholds,
            n_largest=self.params["M"],
            gamma=self.params["gamma"],
        )


def _checked(pred_probs: ArrayLike) -> NDArray[np.floating]:
    probs = checked_pred_probs(pred_probs)
    return checked_inputs(np.zeros(len(probs), dtype=np.int64), probs)[1]
