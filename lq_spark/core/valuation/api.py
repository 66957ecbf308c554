"""The value of each row under cleanlab's name, from the nearest neighbours of all rows."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_labels
from lq_spark.core.shared.positions import require_positions
from lq_spark.core.valuation.contributions import finish_values, partial_contributions
from lq_spark.errors import DataError, OptionError, require_whole_number


class SparseRows(Protocol):
    """A matrix stored as ``scipy.sparse.csr_matrix`` is: the columns of each row in turn."""

    @property
    def indices(self) -> NDArray[Any]:
        """Return the columns, row by row."""

    @property
    def indptr(self) -> NDArray[Any]:
        """Return where each row starts, and where the last one ends."""


def data_shapley_knn(
    labels: ArrayLike,
    *,
    neighbors: ArrayLike | None = None,
    knn_graph: SparseRows | None = None,
    k: int = 10,
) -> Float64:
    """Return how much each row helps to predict the labels near to it: 1 helps, 0 harms.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Given labels.
    neighbors : array-like of int, shape (n, w), optional
        Positions of the nearest other rows of each row, nearest first; the first k count.
    knn_graph : scipy.sparse.csr_matrix, shape (n, n), optional
        The same as cleanlab takes it: each row's neighbours, nearest first, w in every row. The
        distances themselves are not used.
    k : int
        How many neighbours predict a label.

    Returns
    -------
    ndarray of float64, shape (n,)
        0.5 for a row that is nobody's neighbour; below, the row does more harm than good.

    Raises
    ------
    OptionError
        If not one of ``neighbors`` and ``knn_graph`` is given, or k is below 1 or above w.
    DataError
        If labels are not whole numbers, or the neighbours are not those of n rows.

    Notes
    -----
    The graph of nearest neighbours comes first; cleanlab also makes it here, of ``features``.
    Source: Jia et al. (2019), arXiv:1908.08619, theorem 1, as cleanlab 2.9.0 has it.

    Examples
    --------
    >>> data_shapley_knn([0, 0, 1], neighbors=[[1, 2], [0, 2], [1, 0]], k=2).round(4)
    array([0.5833, 0.5833, 0.5   ])
    """
    require_whole_number("k", k, 1)
    given = checked_labels(labels)
    nearest = _nearest(neighbors, knn_graph, len(given))
    if k > nearest.shape[1]:
        raise OptionError(f"k must be at most {nearest.shape[1]}, the neighbours given, got {k}")
    nearest = nearest[:, :k]
    require_positions(nearest, len(given))
    matches = given[nearest] == given[:, np.newaxis]
    return finish_values(partial_contributions(nearest, matches), len(given), k)


def _nearest(
    neighbors: ArrayLike | None, knn_graph: SparseRows | None, n_rows: int
) -> NDArray[np.integer]:
    """Return the positions of each row's neighbours, shape (n, w)."""
    if (neighbors is None) == (knn_graph is None):
        given = "none" if neighbors is None else "both"
        raise OptionError(f"neighbors or knn_graph must be given, one of the two, got {given}")
    if knn_graph is None:
        array = np.asarray(neighbors)
    else:
        widths = np.diff(knn_graph.indptr)
        if len(widths) == 0 or (widths != widths[0]).any():
            raise DataError("knn_graph must have the same number of neighbours in every row")
        array = knn_graph.indices.reshape(len(widths), -1)
    if array.ndim != 2 or len(array) != n_rows or array.dtype.kind not in "iu":
        raise DataError(
            f"neighbors must be whole numbers of shape ({n_rows}, k), "
            f"got shape {array.shape} of {array.dtype}"
        )
    return array
