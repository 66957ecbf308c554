"""What the configurations of all jobs have in common."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lq_spark.engine.files import expanded
from lq_spark.job.conditions import Condition, parse_condition, require_classes
from lq_spark.tables.spec import FORMATS, TableSpec

SUFFIXES = (".staging", ".scratch", ".previous")
"""Of the names beside a table's place that :mod:`lq_spark.tables.staged` uses."""

Format = Literal["parquet", "delta", "iceberg"]
WriteMode = Literal["overwrite", "append", "merge"]
Name = Annotated[str, Field(min_length=1)]
Place = Annotated[Name, AfterValidator(expanded)]
"""A path, whose ``~`` is the home folder, or the name of a table."""


class JobConfig(BaseModel):
    """What the jobs have in common. Each field is a config key and a command-line flag.

    A job's own class says its ``task``, which column tells rows apart and which metrics it has.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    task: str
    input: Place = Field(description="path (with a slash) or catalog name of the table to score")
    input_format: Format | None = Field(
        None, description=f"{', '.join(FORMATS)} (default: what the folder or the catalog says)"
    )
    input_version: int | None = Field(
        None, ge=0, description="Delta version or Iceberg snapshot to read (default: the newest)"
    )
    input_timestamp: Name | None = Field(
        None, description="read what was the newest at this time (2026-11-21 06:00:00)"
    )
    output: Place = Field(description="path or catalog name that the scores are written to")
    output_format: Format = Field(
        "parquet", description=f"of all tables that are written: {', '.join(FORMATS)}"
    )
    write_mode: WriteMode = Field(
        "overwrite",
        description="replace the output, append to it, or merge: replace rows of the same id",
    )
    partition_by: list[Name] = Field([], description="columns that the output is partitioned by")
    keep_columns: list[Name] = Field([], description="further columns to carry to the output")
    on_invalid: Literal["fail", "quarantine"] = Field(
        "fail", description="rows that cannot be scored: stop before writing, or set them aside"
    )
    quarantine: Place | None = Field(
        None, description="path or name for the rows set aside (default: OUTPUT_quarantine)"
    )
    metrics: Place | None = Field(
        None, description="path or name that metrics are added to (default: OUTPUT_metrics)"
    )
    fail_if: list[Name] = Field(
        [], description="conditions over the metrics under which the gate fails (exit code 3)"
    )
    warn_if: list[Name] = Field([], description="conditions that are told of, and no more")
    reference: Name | None = Field(
        None, description="run id to measure drift from (default: the last that succeeded)"
    )

    @model_validator(mode="after")
    def _places_agree(self) -> JobConfig:
        if self.quarantine and self.on_invalid != "quarantine":
            raise ValueError("quarantine is given, so on_invalid must be 'quarantine'")
        names = self.class_names
        for condition in self.conditions:
            if names is not None:
                require_classes(condition, names)
        self._require_specs()
        places = [*self.inputs, *self.places]
        compared = places
        if self.output_format == "parquet":
            # It is written to paths alone: there, an input without a slash is another place.
            compared = [*(place for place in self.inputs if "/" in place), *self.places]
        else:  # Spark does not tell the cases of names apart
            compared = [
                place if "/" in place else _unquoted(place).lower().removeprefix("spark_catalog.")
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
    @abstractmethod
    def row_id(self) -> str:
        """Return the column that tells the rows of the source apart."""

    @property
    @abstractmethod
    def metric_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the metrics of the table, and those of each class."""

    @property
    def class_names(self) -> list[str] | None:
        """Return what metrics of each class call the classes, where the configuration says it."""
        told = dict(self)
        if told.get("classes") is not None:
            return list(told["classes"])
        if told.get("n_classes") is None or told.get("fitted") or told.get("thresholds"):
            return None
        return [str(k) for k in range(told["n_classes"])]

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
        return {}

    @property
    def inputs(self) -> list[str]:
        """Return the tables that are read."""
        return [self.input]

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
    def record_specs(self) -> list[TableSpec]:
        """Return the tables that every run adds to, the metrics first."""
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
        """Return the places of these tables."""
        return [self.metrics_path]

    @property
    def metrics_path(self) -> str:
        """Return where metrics go."""
        return self.metrics or beside(self.output, "_metrics")

    @property
    def quarantine_path(self) -> str:
        """Return where rows go that cannot be scored."""
        return self.quarantine or beside(self.output, "_quarantine")

    @property
    def fingerprint(self) -> str:
        """Return a hash that is the same for the same configuration."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class FittedConfig(JobConfig):
    """A job that can save what it fits on the rows, and judge other rows by it."""

    fitted: Place | None = Field(
        None, description="JSON file saved by an earlier run, used as is instead of fitting"
    )
    save_fitted: Place | None = Field(
        None, description="JSON file to save what this run fits (thresholds and the like) to"
    )

    @model_validator(mode="after")
    def _files_are_local(self) -> FittedConfig:
        for name in self._local_files:
            if ":/" in (getattr(self, name) or ""):
                raise ValueError(
                    f"{name}: must be a path on this machine, got {getattr(self, name)!r}"
                )
        return self

    @property
    def _local_files(self) -> tuple[str, ...]:
        return "fitted", "save_fitted"

    @property
    def files(self) -> dict[str, str]:
        """Return the files that the run writes, by option."""
        named = {name: getattr(self, name) for name in self._local_files if "save" in name}
        return {option: path for option, path in named.items() if path is not None}


def beside(place: str, ending: str) -> str:
    """Return the place of a table that is called after another, by an ending of its name.

    >>> beside("out/scores/", "_metrics"), beside("lake.db.`product-scores`", "_metrics")
    ('out/scores_metrics', 'lake.db.`product-scores_metrics`')
    """
    place = place.rstrip("/")
    if place.endswith("`") and "/" not in place:
        return f"{place[:-1]}{ending}`"
    return f"{place}{ending}"


def _unquoted(name: str) -> str:
    """Return the name of a table without the quotes of its parts."""
    return re.sub(r"`((?:[^`]|``)*)`", lambda part: part[1].replace("``", "`"), name)


def _resolved(place: str) -> str:
    """Return a place in one spelling, however it was spelt."""
    local = place.removeprefix("file://").removeprefix("file:")
    return place.rstrip("/") if ":/" in local else os.path.realpath(local)
