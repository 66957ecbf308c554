"""The batch functions of many annotators: Arrow arrays in, Arrow arrays out, no Spark session.

A batch has gathered items (:mod:`lq_spark.tasks.multiannotator.columns`): its columns are whether
the item is one, its hash, its labels, and the probabilities of each model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lq_spark.core.multiannotator.annotations import Annotations
from lq_spark.engine.arrow import flat_lists
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.multiannotator.columns import (
    CODE_BITS,
    FRACTIONAL_CODE,
    NO_ANNOTATOR,
    NULL_CODE,
    UNKNOWN_CODE,
)
from lq_spark.tasks.shared.batches import is_usable, read_batch
from lq_spark.tasks.shared.names import NO_CLASS, NO_LABEL, NOT_WHOLE, OUT_OF_RANGE

State = TypeVar("State")

UNKNOWN_ITEM, UNUSABLE_ITEM = "item not in the items", "item that cannot be scored"
NULL_ANNOTATOR, UNKNOWN_ANNOTATOR = "null annotator", "annotator not fitted"
TWICE = "item labelled twice by the annotator"
NO_ANNOTATION = "no annotation"


@dataclass(frozen=True, slots=True)
class ItemBatch:
    """The items of a batch that can be scored, and their labels.

    Attributes
    ----------
    annotations : Annotations
        Of the n labelled items.
    pred_probs : tuple of M ndarray of float, shape (n, K)
    ids : ndarray of int64, shape (n,)
        Hashes of the items.
    rows : ndarray of int64, shape (n,)
        Where in the batch the items are.
    usable_labels : ndarray of bool
        For each label of the batch: whether it is among the annotations.
    offsets : ndarray of int64
        Where the labels of each item of the batch begin, whether it can be scored or not.
    unlabelled : ndarray of int64, shape (U,)
        Where in the batch the items are that can be scored but have no label.
    unlabelled_probs : tuple of M ndarray of float, shape (U, K)
    unlabelled_ids : ndarray of int64, shape (U,)
    faults : Counter of str
        How many items and labels cannot be scored, by reason.
    """

    annotations: Annotations
    pred_probs: tuple[NDArray[np.floating], ...]
    ids: NDArray[np.int64]
    rows: NDArray[np.int64]
    usable_labels: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    unlabelled: NDArray[np.int64]
    unlabelled_probs: tuple[NDArray[np.floating], ...]
    unlabelled_ids: NDArray[np.int64]
    faults: Counter[str]


@dataclass(frozen=True, slots=True)
class ItemReader:
    """How batches are read: what numbers of annotators, classes and models they have.

    Attributes
    ----------
    n_annotators, n_classes : int
        Labels of annotators numbered higher are left out.
    tolerance : float
        How far an item's probabilities may sum from 1, and one of them exceed 1.
    fail : bool
        Whether what cannot be scored fails the batch, or is left out.
    needs_labels : bool
        Whether an item without a label cannot be scored.
    validate : str
        Name of the function that names what cannot be scored.
    """

    n_annotators: int
    n_classes: int
    tolerance: float
    fail: bool
    needs_labels: bool = True
    validate: str = "multiannotator.validate"

    def read(self, columns: Sequence[pa.Array]) -> ItemBatch:
        """Return :meth:`sort`; raise InvalidRowsError if asked, and not all can be scored."""
        batch = self.sort(columns)
        if self.fail and batch.faults:
            raise self.error(batch.faults, f", in one batch of {len(columns[0])} items")
        return batch

    def error(self, faults: Counter[str], where: str = "", named: str = "") -> InvalidRowsError:
        """Return the error that says how many items and labels cannot be scored, and why.

        ``named``: some labels that are none of the classes, as text.
        """
        texts = "; ".join(
            f"{count} {reason}" + (named if reason.endswith(NO_CLASS) else "")
            for reason, count in sorted(faults.items())
        )
        return InvalidRowsError(
            f"items or annotations cannot be scored with K = {self.n_classes} classes{where}: "
            f"{texts}. {self.validate} names them all"
        )

    def sort(self, columns: Sequence[pa.Array]) -> ItemBatch:
        """Sort the items and labels of a batch into those that can be scored and the others."""
        is_item, hashes, labels, *probabilities = columns
        in_items = is_item.to_numpy(zero_copy_only=False)
        flat, lengths, _ = flat_lists(labels)
        packed = flat.to_numpy()
        item = np.repeat(np.arange(len(in_items)), lengths)
        usable_items, matrices, faults = self._probabilities(in_items, probabilities)
        numbers, codes = packed >> CODE_BITS, packed & ((1 << CODE_BITS) - 1)
        twice = np.zeros(len(packed), dtype=bool)
        same = (numbers[1:] == numbers[:-1]) & (item[1:] == item[:-1])
        twice[1:] |= same
        twice[:-1] |= same
        usable_labels = usable_items[item] & (numbers < self.n_annotators)
        usable_labels &= (codes < self.n_classes) & ~twice
        counts = np.bincount(item[usable_labels], minlength=len(in_items))
        labelled = usable_items & (counts > 0)
        unlabelled = usable_items & (counts == 0)
        if not usable_labels.all():
            faults += self._label_faults(in_items[item], usable_items[item], numbers, codes, twice)
        if self.needs_labels:
            faults += Counter({f"items with {NO_ANNOTATION}": int(unlabelled.sum())})
        ids = hashes.to_numpy(zero_copy_only=False)
        return ItemBatch(
            Annotations(
                numbers[usable_labels],
                codes[usable_labels],
                np.append(0, np.cumsum(counts[labelled])),
                self.n_annotators,
                self.n_classes,
            ),
            tuple(_rows(matrix, labelled[usable_items]) for matrix in matrices),
            ids[labelled],
            np.flatnonzero(labelled),
            usable_labels,
            np.append(0, np.cumsum(lengths)),
            np.flatnonzero(unlabelled),
            tuple(_rows(matrix, unlabelled[usable_items]) for matrix in matrices),
            ids[unlabelled],
            faults,
        )

    def _probabilities(
        self, in_items: NDArray[np.bool_], columns: Sequence[pa.Array]
    ) -> tuple[NDArray[np.bool_], list[NDArray[np.floating]], Counter[str]]:
        """Return which items have probabilities of all models, these, and what others lack."""
        nothing = pa.array(np.zeros(len(in_items), dtype=np.int64))
        batches = [read_batch(nothing, c, self.n_classes, self.tolerance) for c in columns]
        usable, faults = in_items.copy(), Counter[str]()
        for batch in batches:
            if batch.reasons is not None:
                bad = ~is_usable(batch.reasons)
                faults.update(f"items with {reason}" for reason in batch.reasons[bad & in_items])
                usable &= ~bad
        matrices = [
            _rows(
                batch.pred_probs,
                usable if batch.reasons is None else usable[is_usable(batch.reasons)],
            )
            for batch in batches
        ]
        return usable, matrices, faults

    def _label_faults(
        self,
        in_items: NDArray[np.bool_],
        usable_items: NDArray[np.bool_],
        numbers: NDArray[np.int64],
        codes: NDArray[np.int64],
        twice: NDArray[np.bool_],
    ) -> Counter[str]:
        """Return how many labels there are for each reason, the first that applies to each."""
        conditions = {
            UNKNOWN_ITEM: ~in_items,
            UNUSABLE_ITEM: ~usable_items,
            NULL_ANNOTATOR: numbers == NO_ANNOTATOR,
            UNKNOWN_ANNOTATOR: numbers >= self.n_annotators,
            NO_LABEL: codes == NULL_CODE,
            NO_CLASS: codes == UNKNOWN_CODE,
            NOT_WHOLE: codes == FRACTIONAL_CODE,
            OUT_OF_RANGE: codes >= self.n_classes,
            TWICE: twice,
        }
        first = np.select(list(conditions.values()), range(len(conditions)), len(conditions))
        counts = np.bincount(first, minlength=len(conditions) + 1)
        texts = (f"annotations with {reason}" for reason in conditions)
        return Counter(dict(zip(texts, counts.tolist(), strict=False)))


def _rows(matrix: NDArray[np.floating], wanted: NDArray[np.bool_]) -> NDArray[np.floating]:
    return matrix if wanted.all() else matrix[wanted]


def over_batches(
    reader: ItemReader, partial: Callable[[ItemBatch], State]
) -> Callable[[pa.RecordBatch], State]:
    """Return gathered columns -> state, for :func:`lq_spark.engine.verbs.reduce_rows`."""

    def run(batch: pa.RecordBatch) -> State:
        return partial(reader.read(batch.columns))

    return run
