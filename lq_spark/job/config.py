"""The configuration of a run: YAML keys and flags of the same names, checked before Spark."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lq_spark.core.constants import SUM_TOLERANCE
from lq_spark.core.issue_rules import FILTERS, require_filter
from lq_spark.core.joint import COLLISION_RULES
from lq_spark.core.quotas import require_quota_options
from lq_spark.core.scores import METHODS, require_method
from lq_spark.errors import OptionError, closest, listed

SUFFIXES = (".staging", ".scratch", ".previous")
"""Of the names beside a table's place that :mod:`lq_spark.tables.parquet` uses."""

Name = Annotated[str, Field(min_length=1)]
Config = TypeVar("Config", bound="JobConfig")

_FOR_ISSUES = (
    "filter_by",
    "frac_noise",
    "min_examples_per_class",
    "num_to_remove_per_class",
    "collision_rule",
    "issue_rank",
    "fitted",
    "save_fitted",
)


class JobConfig(BaseModel):
    """What the jobs have in common. Each field is a config key and a command-line flag."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    input: Name = Field(description="Parquet path (with a slash) or catalog table to score")
    output: Name = Field(description="Parquet path that the scores replace")
    pred_probs: Name = Field("pred_probs", description="column of the predicted probabilities")
    classes: list[Name] | None = Field(
        None, description="class names in the order of the probabilities; for string labels"
    )
    n_classes: int | None = Field(
        None, ge=2, description="number of classes, where nothing else says it (else the first row)"
    )
    find_issues: bool = Field(
        False, description="say also which labels are issues, and how healthy each class is"
    )
    filter_by: str = Field("prune_by_noise_rate", description=f"rule: {', '.join(FILTERS)}")
    frac_noise: float = Field(
        1.0, description="share of the estimated issues to flag; for the prune_* rules and both"
    )
    min_examples_per_class: int = Field(
        1, description="classes with no more rows than this have none flagged"
    )
    num_to_remove_per_class: list[Annotated[int, Field(ge=0)]] | None = Field(
        None, description="how many rows of each class to flag instead of the estimated number"
    )
    collision_rule: str | None = Field(
        None,
        description=f"class of a row that reaches several thresholds: {', '.join(COLLISION_RULES)}",
    )
    issue_rank: bool = Field(False, description="rank the issues, 1 the worst")
    fitted: Name | None = Field(
        None, description="JSON file of thresholds and joint saved by an earlier run, used as is"
    )
    save_fitted: Name | None = Field(
        None, description="JSON file to save this run's thresholds and joint to"
    )
    keep_columns: list[Name] = Field([], description="further columns to carry to the output")
    on_invalid: Literal["fail", "quarantine"] = Field(
        "fail", description="rows that cannot be scored: stop before writing, or set them aside"
    )
    quarantine: Name | None = Field(
        None, description="Parquet path for the rows set aside (default: OUTPUT_quarantine)"
    )
    metrics: Name | None = Field(
        None, description="Parquet path that metrics are added to (default: OUTPUT_metrics)"
    )
    tolerance: float = Field(
        SUM_TOLERANCE, ge=0, lt=1, description="how far a row's probabilities may sum from 1"
    )

    @model_validator(mode="after")
    def _rules_and_places_agree(self) -> JobConfig:
        require_filter(
            self.filter_by,
            "highest_of_all" if self.collision_rule is None else self.collision_rule,
            self.frac_noise,
            self.num_to_remove_per_class,
        )
        require_quota_options(self.frac_noise, self.min_examples_per_class)
        for name in _FOR_ISSUES:
            value = getattr(self, name) if name in self.model_fields_set else None
            if value is not None and value is not False and not self.find_issues:
                raise ValueError(f"{name} is given, so find_issues must be true")
        if self.quarantine and self.on_invalid != "quarantine":
            raise ValueError("quarantine is given, so on_invalid must be 'quarantine'")
        for name in ("thresholds", "save_thresholds", "fitted", "save_fitted"):
            if ":/" in (getattr(self, name, None) or ""):
                raise ValueError(
                    f"{name}: must be a path on this machine, got {getattr(self, name)!r}"
                )
        places = [self.input, *self.places]
        resolved = [_resolved(place) for place in places if "/" in place or place != self.input]
        # A run writes a table beside its place first, and clears away what is there.
        beside = [f"{_resolved(place)}{end}" for place in self.staged for end in SUFFIXES]
        for place, other in itertools.permutations(resolved + beside, 2):
            if place == other or place.startswith(f"{other}/"):
                raise ValueError(
                    "input, output, metrics and quarantine must be different places, none inside "
                    f"another or where a run stages an output ({', '.join(SUFFIXES)}), got {places}"
                )
        return self

    @property
    def staged(self) -> list[str]:
        """Return the tables that are written beside their place and moved there."""
        return [self.output, self.quarantine_path]

    @property
    def places(self) -> list[str]:
        """Return where the run writes tables."""
        return [*self.staged, *self.metrics_paths]

    @property
    def metrics_paths(self) -> list[str]:
        """Return where metrics go, and the health of classes if issues are sought."""
        health = [self.class_health_path, self.class_overlaps_path] if self.find_issues else []
        return [self.metrics_path, *health]

    @property
    def metrics_path(self) -> str:
        """Return where metrics go."""
        return self.metrics or f"{self.output.rstrip('/')}_metrics"

    @property
    def quarantine_path(self) -> str:
        """Return where rows go that cannot be scored."""
        return self.quarantine or f"{self.output.rstrip('/')}_quarantine"

    @property
    def class_health_path(self) -> str:
        """Return where the health of the classes goes."""
        return f"{self.metrics_path.rstrip('/')}_classes"

    @property
    def class_overlaps_path(self) -> str:
        """Return where the overlaps of classes go."""
        return f"{self.metrics_path.rstrip('/')}_overlaps"

    @property
    def fingerprint(self) -> str:
        """Return a hash that is the same for the same configuration."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class ScoreConfig(JobConfig):
    """One run of the job that scores rows."""

    id: Name = Field("id", description="column that tells rows apart")
    label: Name = Field("label", description="column of the given label")
    method: str = Field("self_confidence", description=f"score: {', '.join(METHODS)}")
    adjust_pred_probs: bool = Field(
        False, description="correct the probabilities by the class thresholds first (two passes)"
    )
    thresholds: Name | None = Field(
        None, description="JSON file of thresholds saved by an earlier run, used as they are"
    )
    save_thresholds: Name | None = Field(
        None, description="JSON file to save this run's thresholds to"
    )

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


def _resolved(place: str) -> str:
    """Return a place in one spelling, however it was spelt."""
    local = place.removeprefix("file://").removeprefix("file:")
    return place.rstrip("/") if ":/" in local else str(Path(local).resolve())


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
    values: dict[str, Any] = {}
    if path is not None:
        try:
            loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise OptionError(f"config: cannot read {path!r} ({error})") from error
        if not isinstance(loaded, dict):
            raise OptionError(f"config: {path!r} must hold keys and values, got {loaded!r}")
        values = loaded
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
