"""The health of a data set as pandas tables, under cleanlab's column names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.health.classes import ClassHealth, Overlaps, class_health, class_overlaps
from lq_spark.core.shared.display import Displayed, SmallTable, class_column, frame_table
from lq_spark.errors import require_ordered

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class DatasetHealth(Displayed):
    """The health of a data set.

    Attributes
    ----------
    overall_label_health_score : float
        Share of labels that are no confident label issue: 1 clean.
    classes_by_label_quality : pandas.DataFrame
        A row a class, worst first: see :func:`lq_spark.core.health.rank_classes_by_label_quality`.
    overlapping_classes : pandas.DataFrame
        A row a pair of classes that overlap at all, most first: see
        :func:`lq_spark.core.health.find_overlapping_classes`.
    """

    overall_label_health_score: float
    classes_by_label_quality: pd.DataFrame
    overlapping_classes: pd.DataFrame

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": len(self.classes_by_label_quality),
            "estimated issues": self.classes_by_label_quality["Label Issues"].sum(),
            "overlapping pairs": len(self.overlapping_classes),
            "health score": self.overall_label_health_score,
        }

    def _tables(self) -> list[SmallTable]:
        classes, pairs = self.classes_by_label_quality, self.overlapping_classes
        score = {"health score": [self.overall_label_health_score]}
        figures = {"estimated issues": "Label Issues", "label quality": "Label Quality Score"}
        ends = {"class": class_column(pairs, " A"), "and": class_column(pairs, " B")}
        rows = {"rows": "Num Overlapping Examples"}
        return [
            SmallTable("overall", score, {"health score": 1.0}),
            frame_table(
                "worst classes",
                classes,
                {"class": class_column(classes)},
                figures,
                {"label quality": 1.0},
            ),
            frame_table("most confused pairs", pairs, ends, rows, {"rows": None}),
        ]


def dataset_health(model: NoiseModel, *, asymmetric: bool = False) -> DatasetHealth:
    """Return the health of the data set that a model was computed from.

    The pairs that do not overlap are left out, so that K classes do not make K² / 2 rows.
    """
    return DatasetHealth(
        model.health_score,
        class_table(class_health(model.joint, model.n_rows), model.classes),
        overlap_table(
            class_overlaps(model.joint, model.n_rows, asymmetric=asymmetric), model.classes
        ),
    )


def class_table(health: ClassHealth, class_names: Sequence[str] | None) -> pd.DataFrame:
    """Return the health of classes as a table."""
    import pandas as pd

    columns: dict[str, Any] = {
        "Class Index": health.class_index,
        "Label Issues": health.label_issues,
        "Inverse Label Issues": health.inverse_label_issues,
        "Label Noise": health.label_noise,
        "Inverse Label Noise": health.inverse_label_noise,
        "Label Quality Score": 1.0 - health.label_noise,
    }
    if class_names is not None:
        require_ordered("class_names", class_names)
        columns = {"Class Name": np.asarray(class_names)[health.class_index], **columns}
    return pd.DataFrame(columns)


def overlap_table(overlaps: Overlaps, class_names: Sequence[str] | None) -> pd.DataFrame:
    """Return overlapping classes as a table."""
    import pandas as pd

    columns: dict[str, Any] = {
        "Class Index A": overlaps.class_a,
        "Class Index B": overlaps.class_b,
        "Num Overlapping Examples": overlaps.num_overlapping,
        "Joint Probability": overlaps.joint_probability,
    }
    if class_names is not None:
        require_ordered("class_names", class_names)
        names = np.asarray(class_names)
        columns = {
            "Class Name A": names[overlaps.class_a],
            "Class Name B": names[overlaps.class_b],
            **columns,
        }
    return pd.DataFrame(columns)
