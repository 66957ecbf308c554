"""The configuration of a run: YAML keys and flags of the same names, checked before Spark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from lq_spark.core.multiclass.scores import METHODS, require_method
from lq_spark.engine.files import expanded
from lq_spark.errors import OptionError, closest, listed
from lq_spark.job.common_config import JobConfig, Name, Place
from lq_spark.job.labelled_config import LabelledConfig
from lq_spark.job.metric_names import (
    CLASS_DRIFT,
    CLASS_ISSUES,
    CLASS_ROWS,
    DRIFT,
    ISSUES,
    ROWS,
    THRESHOLDS,
)

Config = TypeVar("Config", bound=JobConfig)


class ScoreConfig(LabelledConfig):
    """One run of the job that scores rows."""

    task: Literal["multiclass"] = Field("multiclass", description="what the labels are")
    id: Name = Field("id", description="column that tells rows apart")
    label: Name = Field("label", description="column of the given label")
    method: str = Field("self_confidence", description=f"score: {', '.join(METHODS)}")
    adjust_pred_probs: bool = Field(
        False, description="correct the probabilities by the class thresholds first (two passes)"
    )
    thresholds: Place | None = Field(
        None, description="JSON file of thresholds saved by an earlier run, used as they are"
    )
    save_thresholds: Place | None = Field(
        None, description="JSON file to save this run's thresholds to"
    )

    @property
    def row_id(self) -> str:
        """Return the column that tells the rows of the source apart."""
        return self.id

    @property
    def metric_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the metrics of the table, and those of each class."""
        return ROWS + ISSUES + DRIFT, CLASS_ROWS + CLASS_ISSUES + CLASS_DRIFT + THRESHOLDS

    @property
    def _local_files(self) -> tuple[str, ...]:
        return (*super()._local_files, "thresholds", "save_thresholds")

    @model_validator(mode="after")
    def _scores_agree(self) -> ScoreConfig:
        require_method(self.method, adjust_pred_probs=self.adjust_pred_probs)
        if self.fitted and (self.thresholds or self.save_fitted or self.save_thresholds):
            raise ValueError(
                "fitted is given, so thresholds and joint are loaded, not fitted: thresholds, "
                "save_fitted and save_thresholds do not go with it"
            )
        if self.save_fitted and self.save_fitted == self.save_thresholds:
            raise ValueError(
                f"save_fitted and save_thresholds must be two files, got {self.save_fitted!r} twice"
            )
        if self.thresholds and self.find_issues:
            raise ValueError("thresholds does not go with find_issues; give fitted")
        if self.thresholds and not self.adjust_pred_probs:
            raise ValueError("thresholds is given, so adjust_pred_probs must be true")
        if self.thresholds and self.save_thresholds:
            raise ValueError("save_thresholds is given, but thresholds are loaded, not fitted")
        return self

    @property
    def carried(self) -> list[str]:
        """Return the source's columns that the output has, each once."""
        return list(dict.fromkeys([self.id, self.label, *self.keep_columns]))


def read_config(path: str) -> dict[str, Any]:
    """Return the keys and values of a YAML file; raise OptionError if it cannot be read."""
    try:
        loaded = yaml.safe_load(Path(expanded(path)).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OptionError(f"config: cannot read {path!r} ({error})") from error
    if not isinstance(loaded, dict):
        raise OptionError(f"config: {path!r} must hold keys and values, got {loaded!r}")
    return loaded


def load_config(
    path: str | None,
    flags: Mapping[str, Any],
    kind: type[Config] = ScoreConfig,  # type: ignore[assignment]
) -> Config:
    """Return the configuration of a YAML file with flags put over it.

    Raises
    ------
    OptionError
        If the file cannot be read, a key is unknown (the closest known one is named), or a value
        is missing or not allowed.
    """
    values = {} if path is None else read_config(path)
    try:
        return kind.model_validate({**values, **flags})
    except ValidationError as error:
        raise OptionError("; ".join(_sentence(item, kind) for item in error.errors())) from error


def _sentence(item: Any, kind: type[JobConfig]) -> str:
    key = ".".join(str(part) for part in item["loc"])
    known = list(kind.model_fields)
    if item["type"] == "extra_forbidden":
        hint = closest(key, known) or f"; known are {listed(known, limit=len(known))}"
        return f"unknown config key {key!r}{hint}"
    if item["type"] == "missing":
        return f"{key} is missing: give it in the config or as --{key.replace('_', '-')}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{key}: {message}, got {item['input']!r}" if key else message
