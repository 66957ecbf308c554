"""What the configurations of all jobs have in common."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lq_spark.core.constants import SUM_TOLERANCE
from lq_spark.core.issue_rules import FILTERS, require_filter
from lq_spark.core.joint import COLLISION_RULES
from lq_spark.core.quotas import require_quota_options
from lq_spark.errors import listed
from lq_spark.job.gate import Condition, parse_condition
from lq_spark.job.metric_names import (
    CLASS_DRIFT,
    CLASS_ISSUES,
    CLASS_ROWS,
    DRIFT,
    ISSUES,
    OF_ISSUES,
    ROWS,
    THRESHOLDS,
)
from lq_spark.tables.spec import FORMATS, TableSpec

SUFFIXES = (".staging", ".scratch", ".previous")
"""Of the names beside a table's place that :mod:`lq_spark.tables.staged` uses."""

Format = Literal["parquet", "delta", "iceberg"]
WriteMode = Literal["overwrite", "append", "merge"]
Name = Annotated[str, Field(min_length=1)]

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

    input: Name = Field(description="path (with a slash) or catalog name of the table to score")
    input_format: Format | None = Field(
        None, description=f"{', '.join(FORMATS)} (default: parquet of a path, else the catalog's)"
    )
    input_version: int | None = Field(
        None, ge=0, description="Delta version or Iceberg snapshot to read (default: the newest)"
    )
    input_timestamp: Name | None = Field(
        None, description="read what was the newest at this time (2026-11-21 06:00:00)"
    )
    output: Name = Field(description="path or catalog name that the scores are written to")
    output_format: Format = Field(
        "parquet", description=f"of all tables that are written: {', '.join(FORMATS)}"
    )
    write_mode: WriteMode = Field(
        "overwrite",
        description="replace the output, append to it, or merge: replace rows of the same id",
    )
    partition_by: list[Name] = Field([], description="columns that the output is partitioned by")
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
        None, description="path or name for the rows set aside (default: OUTPUT_quarantine)"
    )
    metrics: Name | None = Field(
        None, description="path or name that metrics are added to (default: OUTPUT_metrics)"
    )
    fail_if: list[Name] = Field(
        [], description="conditions over the metrics under which the gate fails (exit code 3)"
    )
    warn_if: list[Name] = Field([], description="conditions that are told of, and no more")
    reference: Name | None = Field(
        None, description="run id to measure drift from (default: the last that succeeded)"
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
        for condition in self.conditions:
            if not self.find_issues and (
                named := OF_ISSUES.intersection(reading.metric for reading in condition.readings)
            ):
                raise ValueError(
                    f"{condition.option}: {condition.text!r} is about {listed(sorted(named))}, so "
                    "find_issues must be true"
                )
        self._require_specs()
        # Parquet is written to paths alone: there, an input without a slash is another place.
        elsewhere = self.output_format == "parquet" and "/" not in self.input
        places = [self.input, *self.places]
        compared = self.places if elsewhere else places
        if self.output_format != "parquet":  # Spark does not tell the cases of names apart
            compared = [
                place if "/" in place else place.lower().removeprefix("spark_catalog.")
                for place in compared
            ]
        resolved = [_resolved(place) for place in compared]
        # A run writes a table beside its place first, and clears away what is there.
        beside = [f"{_resolved(place)}{end}" for place in self.staged for end in SUFFIXES]
        for place, other in itertools.permutations(resolved + beside, 2):
            if place == other or place.startswith(f"{other}/"):
                raise ValueError(
                    "input, output, metrics and quarantine must be different places, none inside "
                    f"another or where a run stages an output ({', '.join(SUFFIXES)}), got {places}"
                )
        return self

    def _require_specs(self) -> None:
        """Raise OptionError if a format does not go with a name, a version or a mode."""
        _ = self.input_spec, self.output_spec, self.quarantine_spec, self.record_specs

    @property
    def row_id(self) -> str:
        """Return the column that tells the rows of the source apart."""
        raise NotImplementedError

    @property
    def metric_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the metrics of the table, and those of each class."""
        return ROWS + ISSUES + DRIFT, CLASS_ROWS + CLASS_ISSUES + CLASS_DRIFT + THRESHOLDS

    @property
    def conditions(self) -> list[Condition]:
        """Return the conditions of the gate."""
        return [
            parse_condition(option, text, *self.metric_names)
            for option in ("fail_if", "warn_if")
            for text in getattr(self, option)
        ]

    @property
    def files(self) -> dict[str, str]:
        """Return the files that the run writes, by option."""
        named = {"save_fitted": self.save_fitted}
        return {option: path for option, path in named.items() if path is not None}

    @property
    def input_spec(self) -> TableSpec:
        """Return which table is read."""
        return TableSpec(
            self.input,
            "input",
            self.input_format,
            version=self.input_version,
            timestamp=self.input_timestamp,
        )

    @property
    def output_spec(self) -> TableSpec:
        """Return which table is written, and how."""
        return self._written(
            "output",
            self.output,
            mode=self.write_mode,
            keys=(self.row_id,),
            partition_by=tuple(self.partition_by),
        )

    @property
    def quarantine_spec(self) -> TableSpec:
        """Return where rows go that cannot be scored: as the scores, but never merged by a key."""
        mode = "append" if self.write_mode == "append" else "overwrite"
        return self._written("quarantine", self.quarantine_path, mode=mode)

    @property
    def metrics_spec(self) -> TableSpec:
        """Return where metrics go."""
        return self._written("metrics", self.metrics_path, mode="append")

    @property
    def overlaps_spec(self) -> TableSpec:
        """Return where the overlaps of classes go."""
        return self._written("metrics", self.class_overlaps_path, mode="append")

    @property
    def record_specs(self) -> list[TableSpec]:
        """Return the tables that every run adds to: metrics, and the health of classes."""
        return [self._written("metrics", path, mode="append") for path in self.metrics_paths]

    def _written(self, option: str, name: str, **how: Any) -> TableSpec:
        if self.output_format == "parquet" and "/" not in name:
            name = f"./{name}"  # Parquet is written to paths alone
        return TableSpec(name, option, self.output_format, **how)

    @property
    def staged(self) -> list[str]:
        """Return the tables that are replaced or changed as a whole."""
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


def _resolved(place: str) -> str:
    """Return a place in one spelling, however it was spelt."""
    local = place.removeprefix("file://").removeprefix("file:")
    return place.rstrip("/") if ":/" in local else str(Path(local).resolve())
