"""The jobs, by their task."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lq_spark.job.common_config import JobConfig
from lq_spark.job.config import ScoreConfig
from lq_spark.job.detection_config import DetectionConfig
from lq_spark.job.multiannotator_config import MultiannotatorConfig
from lq_spark.job.multilabel_config import MultilabelConfig
from lq_spark.job.regression_config import RegressionConfig
from lq_spark.job.segmentation_config import SegmentationConfig
from lq_spark.job.token_config import TokensConfig

if TYPE_CHECKING:
    from lq_spark.job.base import JobRun


@dataclass(frozen=True, slots=True)
class Job:
    """A job: what it does, its configuration and its kind of run.

    ``run`` is a module of :mod:`lq_spark.job` and a class in it; it is imported when the job runs,
    since it needs Spark.
    """

    description: str
    config: type[JobConfig]
    run: tuple[str, str]

    @property
    def task(self) -> str:
        """Return the task."""
        return str(self.config.model_fields["task"].default)

    def kind(self) -> type[JobRun[Any]]:
        """Return the kind of run."""
        module, name = self.run
        kind: type[JobRun[Any]] = getattr(importlib.import_module(f"lq_spark.job.{module}"), name)
        return kind


_ALL = (
    Job(
        "Add a label quality score (1 clean, 0 suspect) to every row of a table.",
        ScoreConfig,
        ("run", "ScoreRun"),
    ),
    Job(
        "Score the labels of tokens, and sentences by their tokens (1 clean, 0 suspect).",
        TokensConfig,
        ("token_run", "TokensRun"),
    ),
    Job(
        "Find the consensus of several annotators, and how good items, labels and annotators are.",
        MultiannotatorConfig,
        ("multiannotator_run", "MultiannotatorRun"),
    ),
    Job(
        "Score images with a label a pixel (1 clean, 0 suspect), and say which pixels are issues.",
        SegmentationConfig,
        ("segmentation_run", "SegmentationRun"),
    ),
    Job(
        "Score rows with any number of labels (1 clean, 0 suspect), and say which are issues.",
        MultilabelConfig,
        ("multilabel_run", "MultilabelRun"),
    ),
    Job(
        "Score images with boxes (1 clean, 0 suspect), and say which boxes are label issues.",
        DetectionConfig,
        ("detection_run", "DetectionRun"),
    ),
    Job(
        "Score labels that are numbers by their predictions (1 clean, 0 suspect), find the issues.",
        RegressionConfig,
        ("regression_run", "RegressionRun"),
    ),
)

JOBS = {job.task: job for job in _ALL}
