"""What a table of images with boxes holds: a few numbers for each class, size and count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F

from lq_spark.core.detection.average_precision import (
    BoxCounts,
    average_confusion,
    class_metrics,
    match_boxes,
    partial_counts,
)
from lq_spark.core.detection.boxes import SIDES, size_classes
from lq_spark.core.shared.display import Displayed, SmallTable, frame_table
from lq_spark.engine.inputs import column, require_key
from lq_spark.engine.sums import summed_vectors
from lq_spark.errors import OptionError
from lq_spark.tasks.detection.batches import usable_images
from lq_spark.tasks.detection.columns import (
    DetectionColumns,
    box_n_classes,
    detection_columns,
    inputs_alone,
)
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_CONFUSION = ("true_positives", "false_positives", "false_negatives")
_METRICS = ("precision", "recall", "f1")
_IMAGES = ("num_images_by_labels", "num_images_by_predictions")


@dataclass(frozen=True, eq=False, repr=False)
class DetectionSummary(Displayed):
    """What a table of images with boxes holds.

    Attributes
    ----------
    classes : pandas.DataFrame
        A row a class: "class", "num_labels", "num_predictions" (boxes), "label_share",
        "prediction_share"; "true_positives", "false_positives", "false_negatives" (means over the
        overlaps 0.50, 0.55, …, 0.95) and "precision", "recall", "f1" of them.
    box_sizes : pandas.DataFrame
        A row a class and size that has boxes: "class", "side_from" and "side_to" (below it; 0 or
        powers of 2), "num_labels", "num_predictions". The size of a box is the side of a square of
        its area.
    object_counts : pandas.DataFrame
        How many images have so many boxes: "num_boxes", "num_images_by_labels",
        "num_images_by_predictions".
    most_labels, most_predictions : pandas.DataFrame
        The images of most boxes: their id and "num_boxes"; of equal numbers the lowest ids.
    """

    classes: pd.DataFrame
    box_sizes: pd.DataFrame
    object_counts: pd.DataFrame
    most_labels: pd.DataFrame
    most_predictions: pd.DataFrame

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": len(self.classes),
            "images": self.object_counts["num_images_by_labels"].sum(),
            "labelled boxes": self.classes["num_labels"].sum(),
            "predicted boxes": self.classes["num_predictions"].sum(),
        }

    def _tables(self) -> list[SmallTable]:
        labelled = self.classes[self.classes["num_labels"] > 0].sort_values("f1", kind="stable")
        metrics = {name: name for name in _METRICS}
        counts = {"labelled boxes": "num_labels", "predicted boxes": "num_predictions"}
        most, boxes = self.most_labels, {"boxes": "num_boxes"}
        return [
            frame_table(
                "worst predicted classes",
                labelled,
                {"class": "class"},
                {**counts, **metrics},
                dict.fromkeys(metrics, 1.0),
            ),
            frame_table(
                "images with most labelled boxes",
                most,
                {"image": most.columns[0]},
                boxes,
                {"boxes": None},
            ),
        ]


def summarize(
    df: DataFrame,
    *,
    id: str = "id",
    labels: str = "labels",
    predictions: str = "predictions",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    top: int = 10,
) -> DetectionSummary:
    """Return what a table of images with boxes holds: a Python pass and three native ones, now.

    Parameters
    ----------
    df, labels, predictions, classes, n_classes
        As for :func:`lq_spark.detection.score`.
    id : str
        Column that tells images apart.
    top : int
        How many of the images of most boxes.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        When the query runs, for an image that cannot be scored.
    """
    if not isinstance(top, int) or top < 1:
        raise OptionError(f"top must be a whole number of at least 1, got {top!r}")
    refuse_stream(df, "detection.summarize")
    columns = detection_columns(df, labels=labels, predictions=predictions, classes=classes)
    require_key(df, "id", id)
    n_classes = box_n_classes(df, columns, n_classes)
    counts, sizes = _counted(df, columns, n_classes)
    names = np.arange(n_classes) if columns.classes is None else np.array(columns.classes)
    return DetectionSummary(
        _class_table(counts, names),
        _size_table(sizes, names),
        _object_counts(df, columns),
        _most_boxes(df, id, columns.labels, top),
        _most_boxes(df, id, columns.predictions, top),
    )


def class_counts(
    df: DataFrame, columns: DetectionColumns, n_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many label boxes and how many predicted boxes each class has, shape (K,) each.

    Of a table that can all be scored; reads the labels alone.
    """
    place = {name: k for k, name in enumerate(columns.names or range(n_classes))}

    def of(boxes: str) -> NDArray[np.int64]:
        counts = np.zeros(n_classes, dtype=np.int64)
        labels = df.select(F.explode(columns.labels_of(boxes)).alias("label"))
        for label, count in labels.groupBy("label").count().collect():
            counts[place[label]] = count
        return counts

    return of(columns.labels), of(columns.predictions)


def _counted(
    df: DataFrame, columns: DetectionColumns, n_classes: int
) -> tuple[BoxCounts, NDArray[np.int64]]:
    """Return the counts of a table, and its boxes by class and size, shape (2, K, sizes)."""
    names = columns.names

    def partial(batch: pa.RecordBatch) -> NDArray[np.int64]:
        found = usable_images(batch.columns, n_classes, names, fail=True).found
        counts = partial_counts(found, match_boxes(found), n_classes)
        sizes = [
            np.bincount(
                boxes.classes * len(SIDES) + size_classes(boxes.coordinates),
                minlength=n_classes * len(SIDES),
            )
            for boxes in (found.labels, found.predictions)
        ]
        return np.concatenate([counts.as_vector(), *sizes])

    n_counts = BoxCounts.length(n_classes)
    length = n_counts + 2 * n_classes * len(SIDES)
    vector = summed_vectors(inputs_alone(df, columns), partial, length)
    sizes = vector[n_counts:].reshape(2, n_classes, len(SIDES))
    return BoxCounts.of_vector(vector[:n_counts], n_classes), sizes


def _class_table(counts: BoxCounts, names: NDArray[Any]) -> pd.DataFrame:
    confusion = average_confusion(counts)
    n_predictions = counts.predictions.sum(axis=1)
    return pd.DataFrame(
        {
            "class": names,
            "num_labels": counts.labels,
            "num_predictions": n_predictions,
            "label_share": counts.labels / max(counts.labels.sum(), 1),
            "prediction_share": n_predictions / max(n_predictions.sum(), 1),
            **dict(zip(_CONFUSION, confusion, strict=True)),
            **dict(zip(_METRICS, class_metrics(confusion), strict=True)),
        }
    )


def _size_table(sizes: NDArray[np.int64], names: NDArray[Any]) -> pd.DataFrame:
    of_class, size = np.nonzero(sizes.sum(axis=0))
    return pd.DataFrame(
        {
            "class": names[of_class],
            "side_from": SIDES[size],
            "side_to": np.append(SIDES[1:], np.inf)[size],
            "num_labels": sizes[0, of_class, size],
            "num_predictions": sizes[1, of_class, size],
        }
    )


def _object_counts(df: DataFrame, columns: DetectionColumns) -> pd.DataFrame:
    """Return how many images have so many boxes."""
    numbers = F.array(*(F.size(column(name)) for name in (columns.labels, columns.predictions)))
    rows = df.select(F.posexplode(numbers).alias("kind", "num_boxes"))
    counts = [F.count_if(F.col("kind") == kind).alias(name) for kind, name in enumerate(_IMAGES)]
    return rows.groupBy("num_boxes").agg(*counts).orderBy("num_boxes").toPandas()


def _most_boxes(df: DataFrame, id: str, boxes: str, top: int) -> pd.DataFrame:
    rows = df.select(column(id).alias(id), F.size(column(boxes)).alias("num_boxes"))
    return rows.orderBy(F.desc("num_boxes"), column(id)).limit(top).toPandas()
