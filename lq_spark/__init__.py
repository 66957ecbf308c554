"""lq_spark: label-quality scoring (confident learning) for Spark tables.

``from lq_spark import multiclass`` gives the functions on DataFrames; ``lq_spark.core`` has the
same mathematics on NumPy arrays. Importing ``lq_spark`` alone never imports pyspark.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lq_spark.core.confident.model import NoiseModel
    from lq_spark.core.confident.thresholds import Thresholds
    from lq_spark.core.detection.model import DetectionModel
    from lq_spark.core.multiannotator.model import MultiannotatorModel
    from lq_spark.core.multilabel.model import MultilabelModel
    from lq_spark.core.segmentation.issues import SegmentationModel
    from lq_spark.engine.declarations import declared
    from lq_spark.job import incremental
    from lq_spark.tables.workers import files
    from lq_spark.tasks import (
        activelab,
        audit,
        benchmark,
        detection,
        duplicates,
        groups,
        identifiers,
        imbalance,
        ml,
        multiannotator,
        multiclass,
        multilabel,
        neighbors,
        noniid,
        nulls,
        outliers,
        regression,
        segmentation,
        spurious,
        tokens,
        training,
        valuation,
    )

__version__ = "0.1.0"

__all__ = [
    "DetectionModel",
    "MultiannotatorModel",
    "MultilabelModel",
    "NoiseModel",
    "SegmentationModel",
    "Thresholds",
    "activelab",
    "audit",
    "benchmark",
    "declared",
    "detection",
    "duplicates",
    "files",
    "groups",
    "identifiers",
    "imbalance",
    "incremental",
    "ml",
    "multiannotator",
    "multiclass",
    "multilabel",
    "neighbors",
    "noniid",
    "nulls",
    "outliers",
    "regression",
    "segmentation",
    "spurious",
    "tokens",
    "training",
    "valuation",
]

_HOMES = {
    "activelab": "lq_spark.tasks.activelab",
    "audit": "lq_spark.tasks.audit",
    "benchmark": "lq_spark.tasks.benchmark",
    "detection": "lq_spark.tasks.detection",
    "duplicates": "lq_spark.tasks.duplicates",
    "groups": "lq_spark.tasks.groups",
    "identifiers": "lq_spark.tasks.identifiers",
    "imbalance": "lq_spark.tasks.imbalance",
    "incremental": "lq_spark.job.incremental",
    "ml": "lq_spark.tasks.ml",
    "multiannotator": "lq_spark.tasks.multiannotator",
    "multiclass": "lq_spark.tasks.multiclass",
    "multilabel": "lq_spark.tasks.multilabel",
    "neighbors": "lq_spark.tasks.neighbors",
    "nulls": "lq_spark.tasks.nulls",
    "noniid": "lq_spark.tasks.noniid",
    "outliers": "lq_spark.tasks.outliers",
    "regression": "lq_spark.tasks.regression",
    "segmentation": "lq_spark.tasks.segmentation",
    "spurious": "lq_spark.tasks.spurious",
    "tokens": "lq_spark.tasks.tokens",
    "training": "lq_spark.tasks.training",
    "valuation": "lq_spark.tasks.valuation",
    "MultiannotatorModel": "lq_spark.core.multiannotator.model",
    "DetectionModel": "lq_spark.core.detection.model",
    "MultilabelModel": "lq_spark.core.multilabel.model",
    "NoiseModel": "lq_spark.core.confident.model",
    "SegmentationModel": "lq_spark.core.segmentation.issues",
    "declared": "lq_spark.engine.declarations",
    "files": "lq_spark.tables.workers",
    "Thresholds": "lq_spark.core.confident.thresholds",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lq_spark' has no attribute {name!r}")
    module = importlib.import_module(_HOMES[name])
    return module if _HOMES[name].endswith(f".{name}") else getattr(module, name)
