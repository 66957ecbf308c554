"""The nearest references of each query, by distance and then by rank: exact, block by block.

Matrix products say which references may be among the nearest, with a bound on their rounding; the
distances of these few are then computed one by one. So the result has the same bits whatever the
blocks are that queries and references come in, and the products may be in float32: those of faiss,
where it is installed, or NumPy's.
"""

from __future__ import annotations

import functools
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.neighbors.vectors import COSINE, distances
from lq_spark.core.shared.blocks import Float64

Int64 = NDArray[np.int64]

_QUERIES: Final = 1024
_FIRST, _REFERENCES = 512, 8192
"""Products of so many queries with so many references at once: 32 MiB as float32. Few references
first, which say how near the nearest are at least."""

_SPARE: Final = 16
"""How many more than k references faiss is asked for: to know that no other is near enough."""

_MOST_BY_FAISS: Final = 100
"""Beyond it is slower: it keeps a heap for each query."""


class Neighbors(NamedTuple):
    """Pairs of a query and a reference: arrays of shape (m,), ordered by query, distance and rank.

    Attributes
    ----------
    query, reference : ndarray of int64
        Places in their blocks.
    distance : ndarray of float64
    """

    query: Int64
    reference: Int64
    distance: Float64


def nearest(
    queries: Float64, references: Float64, ranks: Int64, k: int, metric: str, *, same: bool
) -> Neighbors:
    """Return the k nearest references of each query, or all where they are fewer.

    Memory beside the vectors: another copy of each, and some 100 MiB.

    Parameters
    ----------
    queries, references : ndarray of float64, shapes (n, d) and (m, d)
        From :func:`lq_spark.core.neighbors.vectors.prepared`.
    ranks : ndarray of int64, shape (m,)
        Of references equally near the one of lower rank comes first; no two have the same.
    k : int
    metric : str
    same : bool
        Whether the queries are the references; none is then its own neighbour.
    """
    product = _Product.of(queries, references, metric)
    nothing = Neighbors(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    found = [nothing]
    for start in range(0, len(queries), _QUERIES):
        some = slice(start, start + _QUERIES)
        query, reference = _candidates(product, some, k, same=same)
        distance = distances(queries, references, (query, reference), metric)
        kept = lowest_of_each(query, distance, ranks[reference], k)
        found.append(Neighbors(query[kept], reference[kept], distance[kept]))
    return Neighbors(*map(np.concatenate, zip(*found, strict=True)))


def lowest_of_each(group: Int64, distance: Float64, rank: Int64, k: int) -> Int64:
    """Return the places of the k lowest entries of each group, by distance and then by rank.

    They are ordered by group, distance and rank.
    """
    order = np.lexsort((rank, distance, group))
    grouped = group[order]
    starts = np.flatnonzero(np.diff(grouped, prepend=-1)) if len(grouped) else grouped
    place = np.arange(len(grouped)) - np.repeat(starts, np.diff(np.append(starts, len(grouped))))
    return order[place < k]


class _Product(NamedTuple):
    """Products that are higher for nearer references, and how far they may be off.

    Attributes
    ----------
    queries, references : ndarray, shapes (n, d') and (m, d')
    slack : ndarray of float, shape (n,)
        Two products of a query, whose difference is larger, are in the order of the distances.
    """

    queries: NDArray[np.floating]
    references: NDArray[np.floating]
    slack: Float64

    @classmethod
    def of(cls, queries: Float64, references: Float64, metric: str) -> _Product:
        """Return what is to be multiplied."""
        n_features = queries.shape[1]
        if metric == COSINE:
            # A sum of d products of numbers that are rounded themselves, of vectors of length 1.
            unit = float(np.finfo(np.float32).eps) * (n_features + 8)
            slack = np.full(len(queries), 2.0 * unit)
            return cls(queries.astype(np.float32), references.astype(np.float32), slack)
        # |q - r|^2 = |q|^2 - 2 (q r - |r|^2 / 2): one more feature holds the second part. Around
        # the references' middle, or little would be left of vectors that lie far off.
        middle = references.mean(axis=0) if len(references) else 0.0
        q, r = queries - middle, references - middle
        halves = -0.5 * np.add.reduce(r * r, axis=1)
        widest = np.sqrt(-2.0 * halves.min(initial=0.0))
        lengths = np.sqrt(np.add.reduce(q * q, axis=1))
        unit = float(np.finfo(np.float64).eps) * (n_features + 8)
        slack = 4.0 * unit * (lengths + widest) ** 2
        return cls(
            np.concatenate([q, np.ones((len(q), 1))], axis=1),
            np.concatenate([r, halves[:, np.newaxis]], axis=1),
            slack,
        )

    def limit(self, least: Float64, slack: Float64) -> NDArray[np.floating]:
        """Return the lowest product that may be of a reference as near as a product says."""
        limit = (least - slack).astype(self.queries.dtype)
        lower: NDArray[np.floating] = np.nextafter(limit, limit.dtype.type(-np.inf))
        return lower  # however it was rounded


def _candidates(product: _Product, some: slice, k: int, *, same: bool) -> tuple[Int64, Int64]:
    """Return pairs of some queries and the references that may be among their nearest."""
    rows = np.arange(*some.indices(len(product.queries)))
    if (faiss := _faiss()) is None or product.queries.dtype != np.float32 or k > _MOST_BY_FAISS:
        return _looked_at(product, rows, k, same=same)
    wanted = min(k + same + _SPARE, len(product.references))
    products, places = faiss.knn(
        product.queries[some], product.references, wanted, faiss.METRIC_INNER_PRODUCT
    )
    last = products[:, -1].copy()
    if same:
        products[places == rows[:, np.newaxis]] = -np.inf
    least = np.partition(products, -min(k, wanted), axis=1)[:, -min(k, wanted)]
    limit = product.limit(least, product.slack[some])
    is_near = (products >= limit[:, np.newaxis]) & np.isfinite(products)
    # Unless the last that was looked at is too far off, others may be near enough.
    is_sure = (last < limit) | (wanted == len(product.references))
    row, at = np.nonzero(is_near & is_sure[:, np.newaxis])
    query, reference = rows[row], places[row, at]
    if is_sure.all():
        return query, reference
    others = _looked_at(product, rows[~is_sure], k, same=same)
    return np.concatenate([query, others[0]]), np.concatenate([reference, others[1]])


def _looked_at(product: _Product, rows: Int64, k: int, *, same: bool) -> tuple[Int64, Int64]:
    candidates = _Candidates(product, rows, k, same=same)
    start, step = 0, _FIRST
    while start < len(product.references):
        candidates.look(slice(start, start + step))
        start, step = start + step, min(2 * step, _REFERENCES)
    return candidates.places()


@functools.cache
def _faiss() -> Any:
    """Return the module faiss, which finds candidates faster, or None where it is not installed."""
    try:
        import faiss
    except ImportError:
        return None
    return faiss


class _Candidates:
    """The references that may be among the k nearest of some queries, as looked at so far."""

    def __init__(self, product: _Product, rows: Int64, k: int, *, same: bool) -> None:
        self._product, self._k, self._same = product, k, same
        self._rows = rows
        self._queries, self._slack = product.queries[rows], product.slack[rows]
        # As near as this the k-th nearest is at least.
        self._least = np.full(len(self._queries), -np.inf)
        nothing = np.zeros(0, dtype=np.int64)
        self._query, self._reference = nothing, nothing
        self._product_of = np.zeros(0, dtype=product.queries.dtype)

    def look(self, block: slice) -> None:
        """Look at some references."""
        references = self._product.references[block]
        products = self._queries @ references.T
        if self._same:
            own = self._rows - block.start
            rows = np.flatnonzero((own >= 0) & (own < len(references)))
            products[rows, own[rows]] = -np.inf
        least = self._least
        if np.isneginf(least).any() and products.shape[1] > self._k:
            place = products.shape[1] - self._k
            least = np.maximum(least, np.partition(products, place, axis=1)[:, place])
        is_near = products >= self._product.limit(least, self._slack)[:, np.newaxis]
        if self._same:
            is_near[rows, own[rows]] = False
        at = np.flatnonzero(is_near)
        query, place = np.divmod(at, products.shape[1])
        self._query = np.concatenate([self._query, query])
        self._reference = np.concatenate([self._reference, place + block.start])
        self._product_of = np.concatenate([self._product_of, products.ravel()[at]])
        self._narrow()

    def _narrow(self) -> None:
        """Leave out what is further than the k-th nearest of those that were looked at."""
        order = _ordered(self._query, self._product_of)
        query, product = self._query[order], self._product_of[order]
        counts = np.bincount(query, minlength=len(self._queries))
        starts = np.cumsum(counts) - counts
        is_met = counts >= self._k
        self._least[is_met] = product[starts[is_met] + self._k - 1]
        kept = product >= self._product.limit(self._least, self._slack)[query]
        self._query, self._product_of = query[kept], product[kept]
        self._reference = self._reference[order][kept]

    def places(self) -> tuple[Int64, Int64]:
        """Return the places of the queries and of the candidates, one pair each."""
        return self._rows[self._query], self._reference


def _ordered(query: Int64, product: NDArray[np.floating]) -> Int64:
    """Return the order by query, and then of the highest product first."""
    if product.dtype != np.float32:
        return np.lexsort((-product, query))
    # One whole number for both sorts several times as fast.
    bits = (-product + np.float32(0.0)).view(np.int32).astype(np.int64)
    bits = np.where(bits < 0, bits ^ np.iinfo(np.int32).max, bits)
    return np.argsort((query << 32) + bits)
