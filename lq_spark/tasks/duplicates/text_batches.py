"""The functions of batches and groups of texts that may be alike: Arrow in, Arrow out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lq_spark.core.duplicates.minhash import band_codes, bands_for, signatures
from lq_spark.core.duplicates.sets import shingle_sets, similarities
from lq_spark.core.duplicates.shingles import ShingleRule, shingle_codes
from lq_spark.engine.arrow import flat_lists
from lq_spark.engine.numbers import array_of, values_of
from lq_spark.engine.readings import BatchFunction
from lq_spark.tasks.duplicates.batches import ONE, OTHER, PLACE
from lq_spark.tasks.neighbors.batches import ID
from lq_spark.tasks.neighbors.searches import BLOCK, HIGH, LOW, GroupFunction
from lq_spark.tasks.shared.batches import list_array

TEXT, BANDS, BAND, CODE, SIDE = (f"__lq_{n}" for n in ("text", "bands", "band", "code", "side"))

_HASHED_BYTES = 1 << 20
"""Of texts that are hashed at once; of characters each is some forty times as long meanwhile."""


def bands_batch(rule: ShingleRule, similarity: float, seed: int) -> BatchFunction:
    """Return (texts, in UTF-8) -> BANDS: the codes of their bands, none without shingles."""
    bands = bands_for(similarity)

    def run(texts: pa.Array) -> dict[str, pa.Array]:
        found, lengths = [np.zeros(0, dtype=np.int64)], []
        for some in _few_at_once(texts):
            codes, offsets = shingle_codes(some, rule)
            has_any = np.diff(offsets) > 0
            signature = signatures(codes, offsets, seed=seed)[has_any]
            found.append(band_codes(signature, bands).ravel())
            lengths.append(has_any * bands.n_bands)
        ends = np.append(0, np.cumsum(np.concatenate([np.zeros(0, dtype=np.int64), *lengths])))
        return {BANDS: list_array(array_of(np.concatenate(found)), ends.astype(np.int64))}

    return run


def similar_group(rule: ShingleRule, similarity: float, *, between: bool = False) -> GroupFunction:
    """Return (members of buckets) -> pairs of texts that are similar enough: ONE, OTHER, PLACE.

    A bucket is the texts of one BAND with one CODE, or two blocks, LOW and HIGH, of one that has
    many: BLOCK is the member's. With it come ID, TEXT, BANDS and, if only texts ``between`` two
    tables are paired, SIDE. PLACE is the distance, 1 - similarity. A pair is compared where the
    first band is in which both agree: once, in whatever buckets it is.
    """
    names = (BAND, CODE, LOW, HIGH)

    def run(group: pa.Table) -> pa.Table:
        keys = [values_of(group[name]) for name in names]
        order = np.lexsort(keys)
        is_new = np.zeros(len(order), dtype=bool)
        for key in keys:
            is_new[1:] |= key[order][1:] != key[order][:-1]
        bands = values_of(flat_lists(group[BANDS]).values).reshape(len(order), -1)
        apart = [values_of(group[SIDE])] if between else []
        of_block, texts = values_of(group[BLOCK]), group[TEXT].combine_chunks()
        ones, places = [np.zeros((2, 0), dtype=np.int64)], [np.zeros(0)]
        for members in np.split(order, np.flatnonzero(is_new)):
            band, _, low, high = (key[members[0]] for key in keys)
            divided = [*apart, *([of_block] if low != high else [])]
            a, b = _candidates(bands[members], int(band), [side[members] for side in divided])
            if not len(a):
                continue
            compared, pairs = np.unique(np.stack([a, b]), return_inverse=True)
            some = texts.take(array_of(members[compared])).to_pylist()
            one, other = pairs.reshape(2, -1)
            found = similarities(shingle_sets(map(_decoded, some), rule), one, other)
            is_near = found >= similarity
            ones.append(members[np.stack([a, b])[:, is_near]])
            places.append(1.0 - found[is_near])
        one, other = np.concatenate(ones, axis=1)
        ids = group[ID].combine_chunks()
        columns = [ids.take(array_of(one)), ids.take(array_of(other))]
        return pa.table([*columns, array_of(np.concatenate(places))], names=[ONE, OTHER, PLACE])

    return run


def _candidates(
    bands: NDArray[np.int64], band: int, divided: list[NDArray[np.integer]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs (a, b) of members, a below b, which agree in no band before this one.

    ``divided`` are numbers of the members; those of a pair must differ.
    """
    before = bands[:, :band]
    found = [np.zeros((2, 0), dtype=np.int64)]
    for a in range(len(bands) - 1):
        fits = ~(before[a + 1 :] == before[a]).any(axis=1)
        for numbers in divided:
            fits &= numbers[a + 1 :] != numbers[a]
        b = np.flatnonzero(fits) + a + 1
        found.append(np.stack([np.full(len(b), a), b]))
    one, other = np.concatenate(found, axis=1)
    return one, other


def _few_at_once(texts: pa.Array) -> Iterator[list[str]]:
    """Yield texts in their order, some at once; one by one where they are long."""
    sizes = values_of(pc.binary_length(texts))
    parts = np.cumsum(sizes, dtype=np.int64) // _HASHED_BYTES
    for part in np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(parts)) + 1):
        yield [_decoded(text) for text in texts.take(array_of(part)).to_pylist()]


def _decoded(text: bytes) -> str:
    """Return a text; what is no UTF-8, which Spark does not mind, stays what it is."""
    return text.decode("utf-8", "surrogateescape")
