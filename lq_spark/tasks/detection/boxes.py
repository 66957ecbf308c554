"""Tables of boxes put together into tables of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, NumericType

from lq_spark.engine.inputs import (
    column,
    column_type,
    require_columns,
    require_joined_key,
    require_new_columns,
)
from lq_spark.errors import ColumnError, OptionError, require_one_of
from lq_spark.tasks.detection.columns import CORNERS, LABEL, PROB
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_LABELS, _PREDICTIONS = "labels", "predictions"
BOX_ID = "box_id"


def from_boxes(
    label_boxes: DataFrame,
    predicted_boxes: DataFrame,
    *,
    images: DataFrame | None = None,
    image_id: str = "image_id",
    box: str | Sequence[str] = CORNERS,
    box_format: str = "xyxy",
    label: str = "label",
    prob: str = "prob",
    box_id: str | None = None,
) -> DataFrame:
    """Return one row an image of tables of one row a box, as COCO keeps them. Lazy.

    Parameters
    ----------
    label_boxes, predicted_boxes : DataFrame
        One row a box, in any order; with ``image_id``, ``box``, ``label``, and ``prob`` in
        predicted_boxes.
    images : DataFrame, optional
        One row an image, with ``image_id`` and any other columns, which are kept. An image without
        any box is in the result only if it is here.
    image_id : str
        Column that tells images apart.
    box : str or sequence of 4 str
        One column of arrays of 4 numbers (COCO's ``bbox``), or 4 columns of numbers.
    box_format : {"xyxy", "xywh"}
        Two corners x1, y1, x2, y2; or a corner, width and height, as COCO has it.
    label, prob : str
        Class of a box, a whole number or string; predicted probability (COCO's ``score``).
    box_id : str, optional
        Column of label_boxes that tells its boxes apart: kept in each label box as ``box_id``.

    Returns
    -------
    DataFrame
        ``image_id``, the other columns of images, ``labels`` (array of structs x1, y1, x2, y2,
        label) and ``predictions`` (with prob besides), empty where an image has none. The boxes of
        an image are in the order of their fields, so the rows' order does not matter.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    require_one_of("box_format", box_format, ("xyxy", "xywh"))
    numbers = [box] if isinstance(box, str) else list(box)
    if len(numbers) not in (1, len(CORNERS)):
        raise OptionError(f"box must be one column of arrays or 4 of numbers, got {numbers!r}")
    tables = {"label_boxes": label_boxes, "predicted_boxes": predicted_boxes}
    if images is not None:
        tables["images"] = images
    require_joined_key("image_id", image_id, **tables)
    for df in (label_boxes, predicted_boxes):
        refuse_stream(df, "detection.from_boxes")
        require_columns(df, label=label)
        _require_numbers(df, numbers)
    require_columns(predicted_boxes, prob=prob)
    corners = [*_corners(numbers, box_format), column(label).alias(LABEL)]
    ids = []
    if box_id is not None:
        require_columns(label_boxes, box_id=box_id)
        ids.append(column(box_id).alias(BOX_ID))
    labels = _by_image(label_boxes, image_id, [*corners, *ids], _LABELS)
    probs = column(prob).alias(PROB)
    both = labels.join(
        _by_image(predicted_boxes, image_id, [*corners, probs], _PREDICTIONS),
        image_id,
        "full_outer",
    )
    if images is not None:
        refuse_stream(images, "detection.from_boxes")
        require_new_columns(images, [_LABELS, _PREDICTIONS])
        both = images.join(both, image_id, "full_outer")
    lists = [
        F.coalesce(F.col(name), F.array().cast(both.schema[name].dataType)).alias(name)
        for name in (_LABELS, _PREDICTIONS)
    ]
    return both.select(*map(column, both.columns[:-2]), *lists)


def _require_numbers(df: DataFrame, names: Sequence[str]) -> None:
    """Raise ColumnError unless columns of boxes are one of arrays of numbers, or numbers."""
    for name in names:
        require_columns(df, box=name)
        kind = column_type(df, name)
        number = kind.elementType if len(names) == 1 and isinstance(kind, ArrayType) else kind
        if not isinstance(number, NumericType) or (len(names) == 1) != isinstance(kind, ArrayType):
            wanted = "an array of 4 numbers" if len(names) == 1 else "a number"
            raise ColumnError(f"box: column {name!r} is {kind.simpleString()}; allowed is {wanted}")


def _corners(names: Sequence[str], box_format: str) -> list[Column]:
    """Return x1, y1, x2, y2; an array of another length than 4 gives nulls."""
    if len(names) == 1:
        whole = F.when(F.size(column(names[0])) == len(CORNERS), column(names[0]))
        numbers = [F.get(whole, F.lit(i)) for i in range(len(CORNERS))]
    else:
        numbers = [column(name) for name in names]
    x1, y1, *rest = (number.cast("double") for number in numbers)
    x2, y2 = (x1 + rest[0], y1 + rest[1]) if box_format == "xywh" else rest
    return [number.alias(name) for number, name in zip((x1, y1, x2, y2), CORNERS, strict=True)]


def _by_image(df: DataFrame, image_id: str, fields: Sequence[Column], name: str) -> DataFrame:
    boxes = F.sort_array(F.collect_list(F.struct(*fields)))
    return df.groupBy(column(image_id).alias(image_id)).agg(boxes.alias(name))
