"""Label quality of images with boxes, and which boxes are label issues; the mathematics is in core.

A table has one row an image, with the label boxes and the predicted boxes as arrays of structs. A
score needs one number of the whole table, the lowest similarity of boxes; issues also need the
average precision of each class: :mod:`lq_spark.tasks.detection.passes` has these passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.core.detection.model import DetectionModel, detection_model
from lq_spark.core.detection.scores import OVERLOOKED, checked_weights
from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.engine.verbs import by_workers, with_mapped
from lq_spark.errors import InvalidRowsError, require_one_of
from lq_spark.tasks.detection.batches import (
    BOX_INDEX,
    BOX_INDICES,
    BOX_ISSUES,
    BOX_SCORE,
    BOX_SCORES,
    KIND,
    KINDS,
    issue_batch,
    issue_schema,
    reason_batch,
    score_batch,
    score_schema,
)
from lq_spark.tasks.detection.columns import (
    LABEL,
    DetectionColumns,
    box_n_classes,
    detection_columns,
)
from lq_spark.tasks.detection.passes import lowest_similarity, table_precisions, table_totals
from lq_spark.tasks.shared.classes import agreed_classes, require_kind
from lq_spark.tasks.shared.keys import require_to_validate, require_unique, with_key_reasons
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, ISSUE_RANK, LABEL_QUALITY
from lq_spark.tasks.shared.ranks import with_issue_rank
from lq_spark.tasks.shared.reasons import REASON_SCHEMA
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def fit(
    df: DataFrame,
    *,
    id: str = "id",
    labels: str = "labels",
    predictions: str = "predictions",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
) -> DetectionModel:
    """Return what a table says as a whole: lowest similarity, average precision of each class.

    Two passes over the table, now, and a third if a class has more than a million predicted boxes.
    The result can be saved, and applied to other images; it does not depend, to the bit, on how
    the table is partitioned.

    Parameters
    ----------
    df, labels, predictions, classes, n_classes
        As for :func:`score`.
    id : str
        Column that tells images apart. Of predicted boxes of one class and probability those of
        the lowest id come first in the order that precision is counted along, then those of the
        first place in the image.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    InvalidRowsError
        If an id is null or occurs twice.
    DataError
        If a label is no class index; when the query runs, for an image that cannot be scored.

    Notes
    -----
    Source: Tkachenko, Thyagarajan, Mueller, "ObjectLab: Automated Diagnosis of Mislabeled Images
    in Object Detection Data" (2023), arXiv:2309.00832.
    """
    refuse_stream(df, "detection.fit")
    columns = detection_columns(df, labels=labels, predictions=predictions, classes=classes)
    require_key(df, "id", id)
    n_classes = box_n_classes(df, columns, n_classes)
    require_unique(df, id, validate="detection.validate")
    return fit_model(df, columns, id, n_classes, fail=True)


def fit_model(
    df: DataFrame, columns: DetectionColumns, id: str, n_classes: int, *, fail: bool
) -> DetectionModel:
    """Return :func:`fit` of a table that is checked.

    An image that cannot be scored fails the query, or else InvalidRowsError is raised after it.
    """
    totals = table_totals(df, columns, n_classes, fail=fail)
    if totals.n_unusable:
        raise InvalidRowsError(
            f"{totals.n_unusable} images cannot be scored with K = {n_classes} classes; "
            "detection.validate says which and why"
        )
    precisions = table_precisions(df, columns, id, totals.counts)
    return detection_model(totals.min_similarity, precisions, totals.counts, columns.classes)


def score(
    df: DataFrame,
    *,
    labels: str = "labels",
    predictions: str = "predictions",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    aggregation_weights: Mapping[str, float] | None = None,
    overlapping_label_check: bool = True,
    fitted: DetectionModel | None = None,
    box_scores: bool = False,
    on_invalid: str = "fail",
) -> DataFrame:
    """Return the table with the label quality of each image: 1 clean, 0 suspect. Lazy.

    Parameters
    ----------
    df : DataFrame
        One row an image; :func:`from_boxes` makes it of tables of one row a box.
    labels : str
        Column of the label boxes: array of structs with the numbers ``x1``, ``y1``, ``x2``, ``y2``
        and ``label``, of the types as for :func:`lq_spark.multiclass.score`. An image without boxes
        has an empty array.
    predictions : str
        Column of the predicted boxes: the same with the number ``prob``, the probability.
    classes : sequence of str, optional
        Class names; needed where labels are strings.
    n_classes : int, optional
        K. Where neither it nor classes nor fitted say it, the highest label does (a Spark job now,
        that reads the labels).
    aggregation_weights : mapping, optional
        Weights of "overlooked", "badloc" and "swap", at least 0, that sum to 1; a third each if not
        given.
    overlapping_label_check : bool
        Whether label boxes of different classes in one place score low.
    fitted : DetectionModel, optional
        What :func:`fit` returned for other images. Where not given, the lowest similarity is that
        of ``df``, which reads it once more, now.
    box_scores : bool
        Whether to add the scores of the boxes.
    on_invalid : {"fail", "null"}
        What to do with an image that cannot be scored: fail the query, or leave its new columns
        null.

    Returns
    -------
    DataFrame
        The caller's rows with ``label_quality`` and, if asked, ``overlooked_scores`` (an array in
        the order of ``predictions``; null for a box that is no evidence for an overlooked object),
        ``badloc_scores`` and ``swap_scores`` (in the order of ``labels``). See
        :mod:`lq_spark.core.detection.scores`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.

    Notes
    -----
    Source: Tkachenko, Thyagarajan, Mueller, "ObjectLab" (2023), arXiv:2309.00832.
    """
    weights = checked_weights(aggregation_weights)
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    if fitted is None:
        refuse_stream(df, "detection.score without fitted")
    require_kind("fitted", fitted, DetectionModel)
    classes = agreed_classes(classes, fitted)
    columns = detection_columns(df, labels=labels, predictions=predictions, classes=classes)
    schema = score_schema(scores_of_boxes=box_scores)
    require_new_columns(df, schema.names)
    n_classes = box_n_classes(df, columns, n_classes, fitted)
    fail = on_invalid == "fail"
    lowest = (
        lowest_similarity(df, columns, n_classes, fail=fail)
        if fitted is None
        else fitted.min_similarity
    )
    function = score_batch(
        n_classes,
        columns.names,
        lowest,
        weights,
        overlapping_label_check=overlapping_label_check,
        scores_of_boxes=box_scores,
        fail=fail,
    )
    return with_mapped(df, function, columns.inputs, schema)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    labels: str = "labels",
    predictions: str = "predictions",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why an image cannot be scored, else null. Lazy.

    An image with several faults has one of them as its reason, of boxes that of the first one:
    ``label box 3: x2 below x1``.

    Parameters
    ----------
    id : str, optional
        Column that must tell the images apart: a null in it and a value that occurs twice are
        faults (of every row that has it).
    df, labels, predictions, classes, n_classes
        As for :func:`score`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    columns = detection_columns(df, labels=labels, predictions=predictions, classes=classes)
    require_to_validate(df, id, "detection.validate")
    n_classes = box_n_classes(df, columns, n_classes)
    function = reason_batch(n_classes, columns.names)
    checked = with_mapped(df, function, columns.inputs, REASON_SCHEMA)
    return with_key_reasons(checked, df, id)


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    labels: str = "labels",
    predictions: str = "predictions",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    aggregation_weights: Mapping[str, float] | None = None,
    overlapping_label_check: bool = True,
    fitted: DetectionModel | None = None,
    issue_rank: bool = False,
) -> DataFrame:
    """Return the table with its label issues, of images and of boxes.

    Adds ``is_label_issue`` (boolean), ``label_quality`` (double: 1 clean, 0 suspect),
    ``box_issues`` and, if asked, ``issue_rank``. ``box_issues`` is an array of structs, the lowest
    score first: ``kind`` ("overlooked", "badloc" or "swap"), ``box_index`` (place from 0 in
    ``predictions`` of an overlooked one, else in ``labels``), ``label`` (of that box) and
    ``score``. A box is an issue if it scores at most 0.2 × the average precision of its class, an
    image if a box is. What is fitted is so now; the result is lazy.

    Parameters
    ----------
    df, labels, predictions, classes, n_classes, aggregation_weights, overlapping_label_check
        As for :func:`score`.
    id : str
        As for :func:`fit`.
    fitted : DetectionModel, optional
        What :func:`fit` returned for other images; where not given, of these.
    issue_rank : bool
        Whether to rank the images with issues by label quality: 1 the worst, null for those without
        one. Reads the table twice more.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    InvalidRowsError, DataError
        As :func:`fit`.

    Notes
    -----
    Source: Tkachenko, Thyagarajan, Mueller, "ObjectLab" (2023), arXiv:2309.00832.
    """
    weights = checked_weights(aggregation_weights)
    refuse_stream(df, "detection.find_issues")
    require_kind("fitted", fitted, DetectionModel)
    classes = agreed_classes(classes, fitted)
    columns = detection_columns(df, labels=labels, predictions=predictions, classes=classes)
    require_key(df, "id", id)
    added = [IS_LABEL_ISSUE, LABEL_QUALITY, BOX_ISSUES]
    require_new_columns(df, [*added, *[ISSUE_RANK] * issue_rank])
    if fitted is None:
        fitted = fit(
            df,
            id=id,
            labels=labels,
            predictions=predictions,
            classes=classes,
            n_classes=n_classes,
        )
    else:
        box_n_classes(df, columns, n_classes, fitted)
    flagged = with_issues(
        df, columns, fitted, weights, overlapping_label_check=overlapping_label_check, fail=True
    )
    return with_issue_rank(flagged, id) if issue_rank else flagged


def with_issues(
    df: DataFrame,
    columns: DetectionColumns,
    fitted: DetectionModel,
    weights: Mapping[str, float] | None,
    *,
    overlapping_label_check: bool,
    fail: bool,
    keep: Sequence[str] | None = None,
) -> DataFrame:
    """Return a table that is checked with its label issues, by what was fitted. Lazy.

    An image that cannot be scored fails the query, or gets nulls. ``keep`` are the columns to keep
    before them; all where not given.
    """
    function = issue_batch(
        fitted, columns.names, weights, overlapping_label_check=overlapping_label_check, fail=fail
    )
    kept = df.columns if keep is None else keep
    labels = [columns.labels, columns.predictions]
    carried = list(dict.fromkeys([*kept, *labels]))
    found = by_workers(with_mapped(df, function, columns.inputs, issue_schema(), keep=carried))
    added = [IS_LABEL_ISSUE, LABEL_QUALITY, BOX_ISSUES]
    return found.withColumn(BOX_ISSUES, _box_issues(columns)).select(*map(column, [*kept, *added]))


def _box_issues(columns: DetectionColumns) -> Column:
    """Return the array of the boxes that are issues, with their labels as the table has them."""
    labels = {name: columns.labels_of(name) for name in (columns.labels, columns.predictions)}

    def issue(kind: Column, number: Column) -> Column:
        place = F.get(F.col(BOX_INDICES), number)
        is_predicted = kind == F.lit(OVERLOOKED)
        label = F.when(is_predicted, F.get(labels[columns.predictions], place)).otherwise(
            F.get(labels[columns.labels], place)
        )
        return F.struct(
            kind.alias(KIND),
            place.alias(BOX_INDEX),
            label.alias(LABEL),
            F.get(F.col(BOX_SCORES), number).alias(BOX_SCORE),
        )

    return F.transform(F.col(KINDS), issue)
