"""Label quality of images with a label a pixel; the mathematics is in lq_spark.core.

A row is an image: a label mask of shape (H, W) and probabilities of shape (K, H, W), as nested
arrays or as bytes. Images may differ in height and width. :func:`score` reads them in one Python
pass; :func:`fit`, :func:`find_issues`, :func:`summarize`: see
:mod:`lq_spark.tasks.segmentation.issues`.

An image goes to Python whole, and Spark puts several into one Arrow batch. Spark 4.1 ends a batch
at 64 MiB (``spark.sql.execution.arrow.maxBytesPerBatch``); on older Spark set
``spark.sql.execution.arrow.maxRecordsPerBatch`` to as many images as a Python worker can hold.
Where images of many MiB come from Parquet, ``spark.sql.parquet.columnarReaderBatchSize`` says how
many of them the JVM reads at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lq_spark.core.segmentation.api import DEFAULT_TEMPERATURE, IMAGE_METHODS, require_temperature
from lq_spark.core.segmentation.issues import SegmentationModel
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.engine.inputs import require_new_columns
from lq_spark.engine.verbs import with_mapped
from lq_spark.errors import OptionError, require_one_of
from lq_spark.tasks.segmentation.batches import (
    image_reason_batch,
    image_schema,
    issues_batch,
    score_batch,
)
from lq_spark.tasks.segmentation.columns import image_columns
from lq_spark.tasks.segmentation.issues import agreed_downsample, image_layout
from lq_spark.tasks.segmentation.passes import all_pixels_at_the_cut
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons
from lq_spark.tasks.shared.names import LABEL_QUALITY
from lq_spark.tasks.shared.reasons import REASON_SCHEMA

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def score(
    df: DataFrame,
    *,
    label_mask: str = "label_mask",
    pred_probs: str = "pred_probs",
    n_classes: int | None = None,
    method: str = "softmin",
    temperature: float = DEFAULT_TEMPERATURE,
    ignore_label: int | None = None,
    fitted: SegmentationModel | None = None,
    on_invalid: str = "fail",
    tolerance: float = SUM_TOLERANCE,
) -> DataFrame:
    """Return the table with the label quality of its images: 1 clean, 0 suspect. Lazy.

    Adds ``label_quality`` (double). See
    :func:`lq_spark.core.segmentation.get_label_quality_scores` for the scores.

    Parameters
    ----------
    df : DataFrame
        One row an image.
    label_mask : str
        Column of the given classes 0..K-1, whole numbers of any type or booleans: nested arrays
        such as ``array<array<int>>`` of height H and width W; or binary, beside columns of its name
        with ``_shape`` (array<int>, [H, W]) and ``_dtype`` (string: numpy's name of the type,
        "uint8" or "|u1") added: the bytes row by row (C order), as ``array.tobytes()`` gives them;
        little-endian, unless the type says big-endian (">i4").
    pred_probs : str
        Column of the probabilities, (K, H, W) of "float16", "float32" or "float64": nested arrays
        of float or double; or binary, as the label mask, which is faster.
    n_classes : int, optional
        K. Where neither it nor fitted says it, the first image does (a small Spark job now).
    method : {"softmin", "num_pixel_issues"}
        "softmin": the mean of the pixels' self-confidence s, weighted by
        ``softmax((1 - s) / temperature)``. "num_pixel_issues": the share of pixels without a label
        issue by ``fitted``.
    temperature : float
        Of "softmin": near 0 the minimum, towards infinity the mean.
    ignore_label : int, optional
        Label of pixels that are left out, as if they were not there (255, say, of borders): nothing
        is asked of their probabilities, they add nothing to what is fitted and scored, and are
        never issues. An image of such pixels alone has label quality 1: nothing is suspect.
    fitted : SegmentationModel, optional
        What :func:`fit` returned; for "num_pixel_issues", and only for it.
    on_invalid : {"fail", "null"}
        What to do with an image that cannot be scored: fail the query, or leave its new column
        null.
    tolerance : float
        How far a pixel's probabilities may sum from 1, and one of them exceed 1.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        If K is 1; when the query runs, for an image that cannot be scored.

    Notes
    -----
    Source: Lad and Mueller, "Estimating label quality and errors in semantic segmentation data via
    any model" (2023), arXiv:2307.05080.
    """
    require_one_of("method", method, IMAGE_METHODS)
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    require_temperature(temperature)
    require_tolerance(tolerance)
    if (fitted is not None) != (method == "num_pixel_issues"):
        raise OptionError(
            "fitted (see segmentation.fit) goes with method 'num_pixel_issues', and only with it; "
            f"method is {method!r}, fitted {fitted!r:.80}"
        )
    columns = image_columns(df, label_mask=label_mask, pred_probs=pred_probs)
    require_new_columns(df, [LABEL_QUALITY])
    side = agreed_downsample(None, fitted)
    layout = image_layout(df, columns, n_classes, fitted, side, tolerance, ignore_label)
    fail = on_invalid == "fail"
    schema = image_schema([LABEL_QUALITY])
    if fitted is None:
        function = score_batch(layout, temperature, fail=fail)
        return with_mapped(df, function, columns.inputs, schema)
    function = issues_batch(layout, fitted, method, temperature, fail=fail)
    all_tied = all_pixels_at_the_cut(columns.mask[0])
    return with_mapped(df, function, [*columns.inputs, all_tied], schema)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    label_mask: str = "label_mask",
    pred_probs: str = "pred_probs",
    n_classes: int | None = None,
    downsample: int = 1,
    ignore_label: int | None = None,
    tolerance: float = SUM_TOLERANCE,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why an image cannot be scored, else null. Lazy.

    A pixel that cannot be scored is named by its row and column; of several faults one is named.

    Parameters
    ----------
    id : str, optional
        Column that must tell the images apart: a null in it and a value that occurs twice are
        faults (of every row that has it).
    df, label_mask, pred_probs, n_classes, ignore_label, tolerance
        As for :func:`score`.
    downsample : int
        As for :func:`fit`: it must divide the height and width of each image.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    require_tolerance(tolerance)
    side = agreed_downsample(downsample, None)
    columns = image_columns(df, label_mask=label_mask, pred_probs=pred_probs)
    require_to_validate(df, id, "segmentation.validate")
    layout = image_layout(df, columns, n_classes, None, side, tolerance, ignore_label)
    checked = with_mapped(df, image_reason_batch(layout), columns.inputs, REASON_SCHEMA)
    return with_key_reasons(checked, df, id)
