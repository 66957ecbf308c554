"""Pixels with label issues: fitted over the pixels of all images of a table, flagged by image.

Fitting reads the images once, in a Python pass, for their facts: class sums, and the few pixels
whose label has no more than about half of the probability. All that follows reads the facts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lq_spark.core.segmentation.api import (
    DEFAULT_TEMPERATURE,
    IMAGE_METHODS,
    require_downsample,
    require_temperature,
)
from lq_spark.core.segmentation.issues import SegmentationModel
from lq_spark.core.segmentation.summary import require_ignore_label
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.engine.inputs import require_key, require_new_columns
from lq_spark.engine.kept import kept
from lq_spark.engine.readings import Input, column_input
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import OptionError, require_one_of
from lq_spark.tasks.segmentation.batches import (
    DOUBTFUL,
    FACTS,
    IMAGE_SHAPE,
    ISSUES,
    NUM_PIXELS,
    facts_batch,
    flags_batch,
    image_schema,
    issues_batch,
)
from lq_spark.tasks.segmentation.columns import ImageColumns, image_columns, image_n_classes
from lq_spark.tasks.segmentation.layout import ImageLayout
from lq_spark.tasks.segmentation.passes import (
    all_pixels_at_the_cut,
    class_sums_of,
    fitted_model,
    pixels_taken,
)
from lq_spark.tasks.shared.classes import require_kind
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.shared.names import LABEL_QUALITY
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame


def fit(
    df: DataFrame,
    *,
    label_mask: str = "label_mask",
    pred_probs: str = "pred_probs",
    n_classes: int | None = None,
    downsample: int = 1,
    ignore_label: int | None = None,
    tolerance: float = SUM_TOLERANCE,
) -> SegmentationModel:
    """Return what a table of images says of its labels: class thresholds, and where to cut.

    One pass over the images, now. The result can be saved, and applied to other images by
    :func:`find_issues`; it does not depend, to the bit, on how the table is partitioned.

    Parameters
    ----------
    df, label_mask, pred_probs, n_classes, ignore_label, tolerance
        As for :func:`lq_spark.segmentation.score`.
    downsample : int
        Side of the squares of pixels to average first, see
        :func:`lq_spark.core.segmentation.find_label_issues`; divides the height and width of each
        image. Of a square that holds ignored pixels the others are averaged.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        If K is 1; when the images are read, if one cannot be scored.
    """
    require_downsample(downsample)
    require_tolerance(tolerance)
    refuse_stream(df, "segmentation.fit")
    columns = image_columns(df, label_mask=label_mask, pred_probs=pred_probs)
    layout = image_layout(df, columns, n_classes, None, downsample, tolerance, ignore_label)
    with kept(facts_of(df, columns, layout, [])) as facts:
        return fitted_model(facts, class_sums_of(facts, layout.n_classes)[1], downsample)


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    label_mask: str = "label_mask",
    pred_probs: str = "pred_probs",
    n_classes: int | None = None,
    downsample: int | None = None,
    ignore_label: int | None = None,
    fitted: SegmentationModel | None = None,
    method: str = "softmin",
    temperature: float = DEFAULT_TEMPERATURE,
    tolerance: float = SUM_TOLERANCE,
) -> DataFrame:
    """Return the table with the label issues of its pixels.

    Adds ``is_label_issue`` (whether any pixel has one), ``num_pixel_issues``,
    ``pixel_issue_share`` (of the pixels that are not ignored), ``label_quality`` (1 clean, 0
    suspect), ``issue_mask`` (binary, a byte a pixel, row by row: 1 for an issue) and
    ``issue_mask_shape`` (array<int>, height and width). So
    ``np.frombuffer(row.issue_mask, np.bool_).reshape(row.issue_mask_shape)`` is the mask.

    Which pixels are flagged is decided now, in a pass over the images; the result is lazy, and a
    second one. Masks equal those of :func:`lq_spark.core.segmentation.find_label_issues` on the
    images in the order of their ids, whatever the partitions: of pixels with equal self-confidence
    at the cut those of the lowest ids are taken, row by row.

    Parameters
    ----------
    df, label_mask, pred_probs, n_classes, ignore_label, tolerance
        As for :func:`lq_spark.segmentation.score`.
    id : str
        Column that tells the images apart.
    downsample : int, optional
        As for :func:`fit`. Where not given, that of ``fitted``, or 1.
    fitted : SegmentationModel, optional
        What :func:`fit` returned, of these or other images, applied as it is and in the lazy pass
        alone: all pixels at its cut are taken.
    method : {"softmin", "num_pixel_issues"}
        The score in ``label_quality``, as for
        :func:`lq_spark.core.segmentation.get_label_quality_scores`.
    temperature : float
        Of "softmin".

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        If K is 1; when the images are read, if one cannot be scored.
    InvalidRowsError
        If an id is null or occurs twice.

    Notes
    -----
    Source: Lad and Mueller (2023), arXiv:2307.05080.
    """
    require_one_of("method", method, IMAGE_METHODS)
    require_temperature(temperature)
    require_tolerance(tolerance)
    side = agreed_downsample(downsample, fitted)
    refuse_stream(df, "segmentation.find_issues")
    require_key(df, "id", id)
    columns = image_columns(df, label_mask=label_mask, pred_probs=pred_probs)
    require_new_columns(df, ISSUES)
    layout = image_layout(df, columns, n_classes, fitted, side, tolerance, ignore_label)
    require_unique(df, id, validate="segmentation.validate")
    taken = all_pixels_at_the_cut(id)
    if fitted is None:
        with kept(facts_of(df, columns, layout, [id])) as facts:
            sums = class_sums_of(facts, layout.n_classes)[1]
            fitted = fitted_model(facts, sums, side)
            taken = pixels_taken(facts, fitted, id)
    function = issues_batch(layout, fitted, method, temperature, fail=True)
    return with_mapped(df, function, [*columns.inputs, taken], image_schema(ISSUES))


def image_layout(
    df: DataFrame,
    columns: ImageColumns,
    n_classes: int | None,
    fitted: SegmentationModel | None,
    downsample: int,
    tolerance: float,
    ignore_label: int | None,
) -> ImageLayout:
    """Return how the images of a table are read; the first says K where nothing else does."""
    require_ignore_label(ignore_label)
    return ImageLayout(
        len(columns.mask) > 1,
        len(columns.pred_probs) > 1,
        image_n_classes(df, columns, n_classes, fitted),
        downsample,
        tolerance,
        None if ignore_label is None else int(ignore_label),
    )


def agreed_downsample(downsample: int | None, fitted: SegmentationModel | None) -> int:
    """Return the side of the call or the model, else 1; raise OptionError if they differ."""
    require_kind("fitted", fitted, SegmentationModel)
    if downsample is not None:
        require_downsample(downsample)
    if fitted is None:
        return 1 if downsample is None else downsample
    if downsample not in (None, fitted.downsample):
        raise OptionError(f"fitted was made with downsample {fitted.downsample}, got {downsample}")
    return fitted.downsample


def facts_of(
    df: DataFrame,
    columns: ImageColumns,
    layout: ImageLayout,
    keep: Sequence[str],
    temperature: float = DEFAULT_TEMPERATURE,
    *,
    fail: bool = True,
) -> DataFrame:
    """Return the facts of images and the columns to keep. Lazy.

    An image that cannot be scored fails the query, or has nulls.
    """
    function = facts_batch(layout, temperature, fail=fail)
    return with_mapped(df, function, columns.inputs, image_schema(FACTS), keep=keep)


def flagged_facts(
    facts: DataFrame, fitted: SegmentationModel, taken: Input, method: str, keep: Sequence[str]
) -> DataFrame:
    """Return the issues of images by their facts, beside the columns to keep. Lazy."""
    inputs = [*map(column_input, (LABEL_QUALITY, IMAGE_SHAPE, NUM_PIXELS, DOUBTFUL)), taken]
    return with_mapped(facts, flags_batch(fitted, method), inputs, image_schema(ISSUES), keep=keep)
