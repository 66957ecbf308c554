"""How the label issues of the pixels of a table of images spread over the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.confident.joint import SparseMatrix
from lq_spark.core.segmentation.issues import SegmentationModel
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.core.shared.display import Displayed, SmallTable, frame_table
from lq_spark.engine.inputs import require_key
from lq_spark.engine.kept import kept
from lq_spark.tasks.segmentation.columns import image_columns
from lq_spark.tasks.segmentation.issues import agreed_downsample, facts_of, image_layout
from lq_spark.tasks.segmentation.passes import (
    all_pixels_at_the_cut,
    class_sums_of,
    fitted_model,
    issue_pairs,
    pixels_taken,
)
from lq_spark.tasks.shared.classes import checked_classes, require_n_classes
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class SegmentationHealth(Displayed):
    """What the pixels with label issues of a table of images have in common.

    Attributes
    ----------
    n_images, n_pixels, n_pixel_issues : int
        Pixels without ignored ones.
    classes : pandas.DataFrame
        "class", "num_pixels" with this label, "num_pixel_issues" of them, "pixel_issue_share", and
        "num_predicted": pixels with issues that are predicted as this class. Highest share first.
    common_issues : pandas.DataFrame
        "given_label", "predicted_label", "num_pixel_issues": most first.
    """

    n_images: int
    n_pixels: int
    n_pixel_issues: int
    classes: pd.DataFrame
    common_issues: pd.DataFrame

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": len(self.classes),
            "images": self.n_images,
            "pixels": self.n_pixels,
            "pixel issues": self.n_pixel_issues,
        }

    def _tables(self) -> list[SmallTable]:
        figures = {"pixels": "num_pixels", "issues": "num_pixel_issues"}
        figures["share of issues"] = "pixel_issue_share"
        labels = {"given": "given_label", "predicted": "predicted_label"}
        pixels, bars = {"pixels": "num_pixel_issues"}, {"share of issues": None}
        return [
            frame_table("worst classes", self.classes, {"class": "class"}, figures, bars),
            frame_table(
                "most confused pairs", self.common_issues, labels, pixels, {"pixels": None}
            ),
        ]


def summarize(
    df: DataFrame,
    *,
    id: str = "id",
    label_mask: str = "label_mask",
    pred_probs: str = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    downsample: int | None = None,
    ignore_label: int | None = None,
    fitted: SegmentationModel | None = None,
    tolerance: float = SUM_TOLERANCE,
) -> SegmentationHealth:
    """Return how the label issues of pixels spread over classes, in one pass over the images.

    Parameters
    ----------
    df, id, label_mask, pred_probs, n_classes, downsample, ignore_label, fitted, tolerance
        As for :func:`find_issues`.
    classes : sequence of str, optional
        Names of the classes, in the order of the probabilities.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    require_tolerance(tolerance)
    names = checked_classes(classes)
    side = agreed_downsample(downsample, fitted)
    refuse_stream(df, "segmentation.summarize")
    require_key(df, "id", id)
    columns = image_columns(df, label_mask=label_mask, pred_probs=pred_probs)
    n_classes = n_classes if names is None or n_classes is not None else len(names)
    layout = image_layout(df, columns, n_classes, fitted, side, tolerance, ignore_label)
    require_n_classes(layout.n_classes, names)
    keys = require_unique(df, id, validate="segmentation.validate")
    with kept(facts_of(df, columns, layout, [id])) as facts:
        counts, sums = class_sums_of(facts, layout.n_classes)
        model, taken = fitted, all_pixels_at_the_cut(id)
        if model is None:
            model = fitted_model(facts, sums, side)
            taken = pixels_taken(facts, model, id)
        pairs = issue_pairs(facts, model, taken)
    return segmentation_health(keys.n_rows, counts, pairs, names)


def segmentation_health(
    n_images: int,
    pixel_counts: NDArray[np.int64],
    pairs: SparseMatrix,
    classes: Sequence[str] | None = None,
) -> SegmentationHealth:
    """Return the health of images by the pixels of each class and the pairs of issues."""
    import pandas as pd

    n_classes = pairs.n_classes
    names = np.arange(n_classes) if classes is None else np.array(classes, dtype=object)
    issues, predicted = np.zeros((2, n_classes), dtype=np.int64)
    np.add.at(issues, pairs.given, pairs.values)
    np.add.at(predicted, pairs.guess, pairs.values)
    by_class = pd.DataFrame(
        {
            "class": names,
            "num_pixels": pixel_counts,
            "num_pixel_issues": issues,
            "pixel_issue_share": issues / np.maximum(pixel_counts, 1),
            "num_predicted": predicted,
        }
    )
    by_count = np.argsort(-pairs.values, kind="stable")
    common = pd.DataFrame(
        {
            "given_label": names[pairs.given[by_count]],
            "predicted_label": names[pairs.guess[by_count]],
            "num_pixel_issues": pairs.values[by_count],
        }
    )
    order = np.argsort(-by_class["pixel_issue_share"].to_numpy(), kind="stable")
    return SegmentationHealth(
        n_images,
        int(pixel_counts.sum()),
        int(issues.sum()),
        by_class.iloc[order].reset_index(drop=True),
        common,
    )
