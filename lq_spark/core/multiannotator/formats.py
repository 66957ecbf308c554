"""Labels of several annotators as cleanlab's pandas tables, items down and annotators across.

These tables have items times annotators elements, like those they come from; nothing below them
has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.multiannotator.annotations import Annotations, checked_annotations
from lq_spark.core.multiannotator.annotators import AnnotatorTable
from lq_spark.core.multiannotator.items import Rated
from lq_spark.core.shared.blocks import Float64
from lq_spark.errors import DataError

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
