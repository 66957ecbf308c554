"""cleanlab's pandas tables of several annotators: labels read from them, and the dict of results.

Wide tables have items times annotators elements, like those they come from; nothing below them has.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lq_spark.core.multiannotator.annotations import Annotations, checked_annotations
from lq_spark.core.multiannotator.annotators import AnnotatorTable
from lq_spark.core.multiannotator.items import Dataset, Rated
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.checks import checked_members
from lq_spark.errors import DataError, OptionError, closest, listed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class WideLabels:
    """The labels of a wide table, and the names of its rows and columns."""

    items: NDArray[np.int64]
    annotators: NDArray[np.int64]
    labels: NDArray[np.int64]
    index: pd.Index[Any]
    columns: pd.Index[Any]

    def annotations(self, n_classes: int | None = None) -> Annotations:
        """Return the labels in long form; K, if not given, is up to the highest label."""
        if n_classes is None:
            n_classes = int(self.labels.max(initial=0)) + 1
        return checked_annotations(
            self.items,
            self.annotators,
            self.labels,
            n_items=len(self.index),
            n_annotators=len(self.columns),
            n_classes=n_classes,
        )


def wide_labels(labels_multiannotator: pd.DataFrame | NDArray[Any]) -> WideLabels:
    """Return the labels of a table, shape (n, A), that has NaN, None or pd.NA where there is none.

    Raises
    ------
    DataError
        If it is no 2-D table of numbers, or holds something else than whole numbers.
    """
    import pandas as pd

    table = labels_multiannotator
    if not isinstance(table, pd.DataFrame):
        array = np.asarray(table)
        if array.ndim != 2:
            raise DataError(
                "labels_multiannotator must have a row an item and a column an annotator, "
                f"got shape {array.shape}"
            )
        table = pd.DataFrame(array)
    try:
        # Objects first: of columns of objects pandas takes no pd.NA for NaN.
        numbers = table.astype(object).where(table.notna(), np.nan).to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"labels_multiannotator must hold whole numbers 0..K-1 or NaN ({error})"
        ) from error
    items, annotators = np.nonzero(~np.isnan(numbers))
    given = numbers[items, annotators]
    bad = np.flatnonzero(~((np.floor(given) == given) & (np.abs(given) < 2.0**53)))
    if len(bad):
        raise DataError(
            f"labels_multiannotator must hold whole numbers 0..K-1 or NaN, got {given[bad[0]]} "
            f"at row {items[bad[0]]} ({len(bad)} such labels)"
        )
    return WideLabels(items, annotators, given.astype(np.int64), table.index, table.columns)


def quality_table(rated: Rated, annotations: Annotations, index: pd.Index[Any]) -> pd.DataFrame:
    """Return a row an item, under cleanlab's column names."""
    import pandas as pd

    return pd.DataFrame(
        {
            "consensus_label": rated.consensus,
            "consensus_quality_score": rated.quality,
            "annotator_agreement": rated.agreement,
            "num_annotations": annotations.sizes,
        },
        index=index,
    )


def detailed_table(label_quality: Float64, wide: WideLabels) -> pd.DataFrame:
    """Return the quality of each label where the label is in the wide table, NaN elsewhere."""
    import pandas as pd

    values = np.full((len(wide.index), len(wide.columns)), np.nan)
    values[wide.items, wide.annotators] = label_quality
    columns = [f"quality_annotator_{name}" for name in wide.columns]
    return pd.DataFrame(values, index=wide.index, columns=columns)


def annotator_frame(table: AnnotatorTable, names: pd.Index[Any]) -> pd.DataFrame:
    """Return a row an annotator, worst first; equal ones in the order of the columns."""
    import pandas as pd

    frame = pd.DataFrame(
        {
            "annotator_quality": table.quality,
            "agreement_with_consensus": table.agreement,
            "worst_class": table.worst_class,
            "num_examples_labeled": table.num_labels,
        },
        index=names,
    )
    return frame.sort_values(["annotator_quality", "agreement_with_consensus"], kind="stable")


_SCORE_OPTIONS = ("method", "adjust_pred_probs")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReportParts:
    """What is returned besides the quality of the items."""

    detailed_quality: bool
    annotator_stats: bool
    weights: bool


def dataset_of(
    wide: WideLabels,
    pred_probs: Sequence[ArrayLike],
    *,
    calibrate: bool = False,
    cleanlab_compatible: bool = False,
) -> Dataset:
    """Return the data set of a table of labels and M models' probabilities.

    Raises
    ------
    DataError
        If labels or probabilities cannot be used, or do not go together.
    """
    members = checked_members(pred_probs, len(wide.index)) if len(pred_probs) else []
    annotations = wide.annotations(members[0].shape[1] if members else None)
    return Dataset.of(
        annotations, members, calibrate=calibrate, cleanlab_compatible=cleanlab_compatible
    )


def label_quality_report(
    labels_multiannotator: pd.DataFrame | NDArray[Any],
    pred_probs: Sequence[ArrayLike],
    parts: ReportParts,
    *,
    consensus_methods: Sequence[str] = ("best_quality",),
    quality_method: str = "crowdlab",
    score_options: Mapping[str, Any],
    calibrate: bool,
    verbose: bool,
    cleanlab_compatible: bool,
) -> dict[str, Any]:
    """Return the tables of M models; the options are those of the public functions, checked there.

    "model_weight" has the shape (M,).
    """
    _require_score_options(score_options)
    if not len(pred_probs):
        raise DataError("pred_probs is empty; at least 1 model's pred_probs are needed")
    wide = wide_labels(labels_multiannotator)
    dataset = dataset_of(
        wide, pred_probs, calibrate=calibrate, cleanlab_compatible=cleanlab_compatible
    )
    dataset.require_several()
    if verbose:
        log_agreement(dataset)
    found: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    for method in consensus_methods:
        consensus = dataset.items.majority
        if method == "best_quality":
            consensus = dataset.best_consensus(quality_method)
        if verbose:
            _log_lost_classes(dataset, consensus, method)
        rated = dataset.rated(consensus, quality_method, **score_options)
        table = quality_table(rated, dataset.items.annotations, wide.index)
        of_tables = not found
        # cleanlab's weights are of the last consensus, though its tables are of the first.
        if parts.weights and rated.weights is not None and (of_tables or cleanlab_compatible):
            weights = {
                "model_weight": rated.weights.models,
                "annotator_weight": rated.weights.annotators,
            }
        if not of_tables:
            further = table.drop(columns="num_annotations").add_suffix(f"_{method}")
            found["label_quality"] = found["label_quality"].assign(**further)
            continue
        found["label_quality"] = table
        if parts.detailed_quality:
            found["detailed_label_quality"] = detailed_table(rated.label_quality, wide)
        if parts.annotator_stats:
            found["annotator_stats"] = annotator_frame(dataset.annotator_table(rated), wide.columns)
    return {**found, **weights}


def log_agreement(dataset: Dataset) -> None:
    """Log that no two annotators agree, and who labelled nothing that others labelled."""
    if not dataset.counts.n_agreeing:
        _log.warning("no two annotators agree on any item")
    alone = np.flatnonzero(dataset.counts.others == 0)
    if len(alone):
        _log.info(
            "%d annotators have no item in common with others (for instance number %d); their "
            "agreement is taken to be the mean of the others",
            len(alone),
            alone[0],
        )


def _log_lost_classes(dataset: Dataset, consensus: NDArray[np.int64], method: str) -> None:
    counts = np.bincount(consensus, minlength=dataset.items.annotations.n_classes)
    lost = np.flatnonzero((dataset.counts.class_counts > 0) & (counts == 0))
    if len(lost):
        _log.info("no consensus by %s is one of the classes %s", method, listed(lost.tolist()))


def _require_score_options(options: Mapping[str, Any]) -> None:
    unknown = [str(key) for key in options if key not in _SCORE_OPTIONS]
    if unknown:
        raise OptionError(
            f"label_quality_score_kwargs takes {listed(_SCORE_OPTIONS)}, "
            f"got {unknown[0]!r}{closest(unknown[0], _SCORE_OPTIONS)}"
        )
    require_method(
        options.get("method", "self_confidence"),
        adjust_pred_probs=options.get("adjust_pred_probs", False),
    )
