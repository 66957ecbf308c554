"""What a run over the labels of several annotators found, in short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.core.shared.exact import SCALE_BITS, exact_mean
from lq_spark.engine.inputs import column
from lq_spark.engine.sums import scaled_halves
from lq_spark.job.report import N_WORST_CLASSES, N_WORST_ROWS, aligned
from lq_spark.tasks.multiannotator.batches import (
    AGREEMENT_WITH_CONSENSUS,
    ANNOTATOR_QUALITY,
    N_LABELLED,
    WORST_CLASS,
)
from lq_spark.tasks.multiannotator.results import (
    ANNOTATOR_AGREEMENT,
    CONSENSUS_LABEL,
    CONSENSUS_QUALITY,
    NUM_ANNOTATIONS,
)
from lq_spark.tasks.shared.labels import class_name
from lq_spark.tasks.shared.table import LABEL_QUALITY

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row

    from lq_spark.job.multiannotator_config import MultiannotatorConfig
    from lq_spark.job.task_run import Metric


@dataclass(frozen=True, slots=True)
class ConsensusClass:
    """Items of one consensus label, and their mean consensus quality."""

    name: str
    n_items: int
    mean_quality: float


@dataclass(frozen=True, slots=True)
class CrowdSummary:
    """Items, annotations and annotators in short.

    Attributes
    ----------
    n_rows, n_annotations, n_annotators : int
        Items, annotations and annotators that could be scored.
    bad_annotations : mapping of str to int
        How many annotations were set aside, for each reason.
    classes : list of ConsensusClass
        In the order of their labels.
    quality, agreement, label_quality : float or None
        Means over the items, and over the annotations; None without any.
    models : dict of str to float
        Weight of each model, by its column; empty where the quality is the agreement.
    worst_annotators, worst_items : list of tuple
        The least reliable annotators, the least certain items.
    """

    n_rows: int
    n_annotations: int
    n_annotators: int
    bad_annotations: Mapping[str, int]
    classes: list[ConsensusClass]
    quality: float | None
    agreement: float | None
    label_quality: float | None
    models: dict[str, float]
    worst_annotators: list[tuple[object, ...]]
    worst_items: list[tuple[object, ...]]

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics that only this task has."""
        yield "annotations_scored", None, self.n_annotations
        yield "annotations_quarantined", None, sum(self.bad_annotations.values())
        for reason, count in self.bad_annotations.items():
            yield "annotations_quarantined", reason, count
        yield "annotators", None, self.n_annotators
        yield "mean_label_quality", None, self.label_quality
        yield "mean_consensus_quality", None, self.quality
        yield "mean_annotator_agreement", None, self.agreement
        for found in self.classes:
            yield "class_rows", found.name, found.n_items
            yield "class_mean_consensus_quality", found.name, found.mean_quality
        for name, weight in self.models.items():
            yield "model_weight", name, weight

    def lines(self, config: MultiannotatorConfig) -> Sequence[str]:
        """Return what the job prints below the places of the tables."""
        said = f"{self.n_annotations:,} annotations by {self.n_annotators:,} annotators"
        if self.bad_annotations:
            reasons = "; ".join(f"{reason}: {n:,}" for reason, n in self.bad_annotations.items())
            said += f"; {sum(self.bad_annotations.values()):,} set aside ({reasons})"
        if self.quality is None:
            return [said]
        weights = ", ".join(f"{name} {weight:.4f}" for name, weight in self.models.items())
        lines = [said, *([f"model weights: {weights}"] if weights else []), ""]
        shown = sorted(self.classes, key=lambda found: found.mean_quality)[:N_WORST_CLASSES]
        lines.append(
            f"mean consensus quality {self.quality:.4f}, agreement {self.agreement:.4f}; "
            "by consensus label:"
        )
        lines += aligned(
            ("class", "items", "mean"),
            [(found.name, f"{found.n_items:,}", f"{found.mean_quality:.4f}") for found in shown],
        )
        lines += ["", "least reliable annotators (1 good, 0 bad):"]
        lines += aligned(
            (config.annotator, "labels", "worst class", "agreement", "quality"),
            [(*row[:3], *map(_decimal, row[3:])) for row in self.worst_annotators],
        )
        lines += ["", "least certain items (1 clean, 0 suspect):"]
        lines += aligned(
            (config.item, "consensus", "labels", "agreement", "quality"),
            [(*row[:3], *map(_decimal, row[3:])) for row in self.worst_items],
        )
        return lines


def _decimal(value: object) -> str:
    return f"{value:.6f}" if isinstance(value, float) else "-"


def summarize_crowd(
    items: DataFrame,
    annotations: DataFrame,
    annotators: DataFrame,
    config: MultiannotatorConfig,
    model: MultiannotatorModel,
    bad_annotations: Mapping[str, int],
) -> CrowdSummary:
    """Return the three tables, as they were written, in short."""
    groups = (
        items.groupBy(F.col(CONSENSUS_LABEL).alias("name"))
        .agg(*_sums("quality", CONSENSUS_QUALITY), *_sums("agreement", ANNOTATOR_AGREEMENT))
        .orderBy("name")
        .collect()  # one row a class
    )
    [of_labels] = annotations.agg(*_sums("quality", LABEL_QUALITY)).collect()
    n_rows = sum(group["quality_n"] for group in groups)
    least_reliable = annotators.orderBy(
        F.col(ANNOTATOR_QUALITY).asc_nulls_last(), column(config.annotator)
    )
    of_annotator = (N_LABELLED, WORST_CLASS, AGREEMENT_WITH_CONSENSUS, ANNOTATOR_QUALITY)
    of_item = (CONSENSUS_LABEL, NUM_ANNOTATIONS, ANNOTATOR_AGREEMENT, CONSENSUS_QUALITY)
    least_certain = items.orderBy(CONSENSUS_QUALITY, column(config.item))
    weights = [] if model.weights is None else model.weights.models.tolist()
    return CrowdSummary(
        n_rows,
        of_labels["quality_n"],
        annotators.count(),
        bad_annotations,
        [
            ConsensusClass(
                class_name(group["name"], None),
                group["quality_n"],
                _mean("quality", [group]) or 0.0,
            )
            for group in groups
        ],
        _mean("quality", groups),
        _mean("agreement", groups),
        _mean("quality", [of_labels]),
        dict(zip(config.model_names, weights, strict=False)),
        _first(least_reliable, config.annotator, of_annotator),
        _first(least_certain, config.item, of_item),
    )


def _sums(name: str, value: str) -> list[Column]:
    """Return the number and the exact sum of a column's values, as columns of that name."""
    high, low = scaled_halves(F.col(value), SCALE_BITS)
    parts = {"n": F.count(value), "high": F.sum(high), "low": F.sum(low)}
    return [column.alias(f"{name}_{part}") for part, column in parts.items()]


def _mean(name: str, groups: Sequence[Row]) -> float | None:
    n, high, low = (
        sum(group[f"{name}_{part}"] or 0 for group in groups) for part in ("n", "high", "low")
    )
    return exact_mean(high, low, n) if n else None


def _first(rows: DataFrame, key: str, others: Sequence[str]) -> list[tuple[object, ...]]:
    shown = rows.select(column(key), *others).limit(N_WORST_ROWS)
    return [tuple(row) for row in shown.collect()]
