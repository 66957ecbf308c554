"""A few images as small masks, to be looked at: the workers make them small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    IntegerType,
    StructField,
    StructType,
)

from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.readings import BatchFunction
from lq_spark.engine.small_tables import small_table
from lq_spark.engine.verbs import with_mapped
from lq_spark.tasks.segmentation.columns import ImageColumns
from lq_spark.tasks.segmentation.layout import ImageLayout

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_KEY, _GIVEN, _PREDICTED, _SHAPE = "__lq_key", "given", "predicted", "shape"


class SmallMasks(NamedTuple):
    """The masks of an image, made small: every n-th pixel.

    Attributes
    ----------
    given, predicted : ndarray of int32, shape (h, w)
        Class indices; ignored pixels are -1.
    """

    given: NDArray[np.int32]
    predicted: NDArray[np.int32]


def small_masks(
    rows: DataFrame,
    columns: ImageColumns,
    layout: ImageLayout,
    key: str,
    keys: Sequence[Any],
    longest: int,
) -> dict[Any, SmallMasks]:
    """Return the given masks of a few images, and those that are predicted, by their keys.

    Parameters
    ----------
    rows : DataFrame
        Of images.
    columns, layout
        How they are read.
    key : str
        Column that tells them apart.
    keys : sequence
        Of the images; those that are not there, or cannot be scored, are left out.
    longest : int
        Pixels of the longer side of a mask, at most.
    """
    wanted = small_table(
        rows.sparkSession,
        [(k,) for k in keys],
        StructType([StructField(_KEY, column_type(rows, key))]),
    )
    near = rows.join(wanted.hint("broadcast"), column(key) == F.col(_KEY))
    schema = StructType(
        [
            StructField(_GIVEN, BinaryType()),
            StructField(_PREDICTED, BinaryType()),
            StructField(_SHAPE, ArrayType(IntegerType())),
        ]
    )
    found = with_mapped(near, _small_batch(layout, longest), columns.inputs, schema, keep=[_KEY])
    return {
        row[_KEY]: SmallMasks(
            *(np.frombuffer(row[name], "<i4").reshape(row[_SHAPE]) for name in schema.names[:2])
        )
        for row in found.collect()  # a few
        if row[_SHAPE] is not None
    }


def _small_batch(layout: ImageLayout, longest: int) -> BatchFunction:
    def run(*arrays: pa.Array) -> dict[str, pa.Array]:
        masks: dict[str, list[Any]] = {_GIVEN: [], _PREDICTED: [], _SHAPE: []}
        for image in layout.images(arrays):
            if isinstance(image, str):
                for values in masks.values():
                    values.append(None)
                continue
            given, probs = image
            near = nearest(given.shape, longest)
            small = given[near].astype("<i4")
            if layout.ignore_label is not None:
                small[given[near] == layout.ignore_label] = -1
            masks[_GIVEN].append(small.tobytes())
            masks[_PREDICTED].append(
                probs[(slice(None), *near)].argmax(axis=0).astype("<i4").tobytes()
            )
            masks[_SHAPE].append(list(small.shape))
        kinds = {_GIVEN: pa.binary(), _PREDICTED: pa.binary(), _SHAPE: pa.list_(pa.int32())}
        return {name: pa.array(values, kinds[name]) for name, values in masks.items()}

    return run


def nearest(shape: tuple[int, ...], longest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which rows and columns of an image are kept, so that no side is longer.

    >>> [kept.ravel().tolist() for kept in nearest((4, 6), 3)]
    [[1, 3], [1, 3, 5]]
    """
    many = max(1.0, max(shape) / longest)
    kept = []
    for side in shape:
        n = max(1, int(side / many)) if side else 0
        kept.append(((np.arange(n) + 0.5) * side / max(n, 1)).astype(np.int64))
    rows, across = kept
    return np.ix_(rows, across)  # type: ignore[return-value]


def any_of(mask: NDArray[np.bool_], longest: int) -> NDArray[np.bool_]:
    """Return a mask made small, a pixel of which is set where any that it stands for is.

    >>> any_of(np.array([[0, 0, 0, 1], [0, 0, 0, 0]], dtype=bool), 2)
    array([[False,  True]])
    """
    for axis, kept in enumerate(nearest(mask.shape, longest)):
        starts = np.arange(kept.size) * mask.shape[axis] // kept.size
        mask = np.logical_or.reduceat(mask, starts, axis=axis)
    return mask
