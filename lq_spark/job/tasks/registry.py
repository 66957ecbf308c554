"""The tasks of the job: a row each, and the file of its name in this folder."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lq_spark.job.config import JobConfig

if TYPE_CHECKING:
    from lq_spark.job.task import Task


@dataclass(frozen=True, slots=True)
class Entry:
    """A task: its word, which names its file, what users call it, and what its job does."""

    task: str
    title: str
    description: str

    def load(self) -> type[Task[Any]]:
        """Return its declaration; the file is imported when it is asked for."""
        kind: type[Task[Any]] = importlib.import_module(f"lq_spark.job.tasks.{self.task}").TASK
        return kind

    @property
    def config(self) -> type[JobConfig]:
        """Return the class of its configuration."""
        config: type[JobConfig] = self.load().config_type
        return config


_ENTRIES = (
    Entry(
        "multiclass",
        "multi-class",
        "Add a label quality score (1 clean, 0 suspect) to every row of a table.",
    ),
    Entry(
        "tokens",
        "token classification",
        "Score the labels of tokens, and sentences by their tokens (1 clean, 0 suspect).",
    ),
    Entry(
        "multiannotator",
        "multi-annotator",
        "Find the consensus of several annotators, and how good items, labels and annotators are.",
    ),
    Entry(
        "segmentation",
        "semantic segmentation",
        "Score images with a label a pixel (1 clean, 0 suspect), and say which pixels are issues.",
    ),
    Entry(
        "multilabel",
        "multi-label",
        "Score rows with any number of labels (1 clean, 0 suspect), and say which are issues.",
    ),
    Entry(
        "detection",
        "object detection",
        "Score images with boxes (1 clean, 0 suspect), and say which boxes are label issues.",
    ),
    Entry(
        "regression",
        "regression",
        "Score labels that are numbers by their predictions (1 clean, 0 suspect), find the issues.",
    ),
    Entry(
        "outliers",
        "outliers",
        "Score rows by how typical they are of the others (1 typical, 0 an outlier).",
    ),
    Entry(
        "duplicates",
        "duplicates",
        "Find rows that are there twice, or nearly (0 there twice), and which of them to keep.",
    ),
    Entry(
        "imbalance",
        "class imbalance",
        "Say how many rows each class has, and flag those of a class that is too rare.",
    ),
    Entry(
        "nulls",
        "nulls",
        "Say how many values of each column are missing, and flag the rows that have none.",
    ),
    Entry(
        "valuation",
        "data valuation",
        "Score rows by how much they help to predict the labels near to them (1 helps, 0 harms).",
    ),
    Entry(
        "noniid",
        "order of the rows",
        "Say whether rows are in random order, and where near ones lie together.",
    ),
    Entry(
        "groups",
        "underperforming groups",
        "Find the clusters and slices of rows whose labels a model knows least (0 bad, 1 not).",
    ),
    Entry(
        "train",
        "training",
        "Find the label issues of rows by their features, and train a model without these.",
    ),
    Entry(
        "audit",
        "audit",
        "Make every check over a table: say of each row what is wrong with it (1 good, 0 bad).",
    ),
)

TASKS = {entry.task: entry for entry in _ENTRIES}
"""By their words."""
