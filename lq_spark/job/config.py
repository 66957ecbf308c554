"""What the configurations of all jobs have in common."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from lq_spark.engine.files import expanded
from lq_spark.errors import OptionError
from lq_spark.job.conditions import Condition, parse_condition, require_classes
from lq_spark.job.places import SUFFIXES, beside, one_path, one_spelling, overlap, staged
from lq_spark.tables.spec import FORMATS, TableSpec

COMMON_METRICS = {
    "rows": "Rows of the input; where a row of the output is a sentence, an image or an item, "
    "these.",
    "rows_scored": "Rows that have a score.",
    "rows_quarantined": "Rows that could not be scored.",
    "read_by_workers": "1 if the Python workers read the files of the input, 0 if the engine did.",
}
"""The metrics of every task, and what they mean."""

INCREMENT_METRICS = {
    "incremental": "1 if only rows were scored that have changed, 0 if all were.",
    "rows_changed": "Rows that are new or have changed since the last run.",
    "rows_removed": "Ids whose rows are gone from the input since the last run.",
    "rescored": "1 if all rows were scored again, since class thresholds have moved.",
    "threshold_shift": "How far class thresholds are from those that scores are made by, at most.",
}
"""The metrics of runs since the last one, and what they mean."""

OF_INCREMENTS = ("watermark", "when_not_incremental", "rescore", "rescore_tolerance")
"""The keys that say how such a run is done."""

Format = Literal["parquet", "delta", "iceberg"]
WriteMode = Literal["overwrite", "append", "merge"]
Name = Annotated[str, Field(min_length=1)]
Place = Annotated[Name, AfterValidator(expanded)]
"""A path, whose ``~`` is the home folder, or the name of a table."""


def names_a_place(field: FieldInfo) -> bool:
    """Return whether a key of a configuration is a place: a path, or the name of a table."""
    return get_args(Place)[-1] in field.metadata or Place in get_args(field.annotation)


def require_local(option: str, path: str) -> None:
    """Raise OptionError if a path is not one of this machine."""
    if ":/" in path:
        raise OptionError(f"{option}: must be a path on this machine, got {path!r}")


class JobConfig(BaseModel):
    """What the jobs have in common. Each field is a config key and a command-line flag.

    The class of a task says its ``task``, which column tells rows apart and which metrics it has.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    key: ClassVar[str] = "id"
    """The option that names the column that tells rows apart."""

    metrics_of_task: ClassVar[Mapping[str, str]] = {}
    """The metrics that are of the table as a whole, beside those that every task has, with a
    sentence each on what it means; ``issue_rate`` follows the count that it is the rate of."""

    metrics_of_classes: ClassVar[Mapping[str, str]] = {}
    """The metrics of each class."""

    class_counts: ClassVar[str | None] = None
    """The one of them that counts: how its shares shift is measured as drift."""

    renamed_metrics: ClassVar[Mapping[str, str]] = {}
    """What metrics were called in earlier versions, for messages."""

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
    reader: Literal["auto", "spark", "files"] = Field(
        "auto",
        description="who reads the input: Spark, or the Python workers its Parquet files; or they "
        "where they can (auto)",
    )
    output: Place = Field(description="path or catalog name that the scores are written to")
    output_format: Format = Field(
        "parquet", description=f"of all tables that are written: {', '.join(FORMATS)}"
    )
    write_mode: WriteMode = Field(
        "overwrite",
        description="replace the output, append to it, or merge: replace rows of the same id",
    )
    since_last_run: bool = Field(
        False, description="score what has changed since the last run, and merge it into the output"
    )
    watermark: Name | None = Field(
        None,
        description="for since_last_run: a column whose value is higher in a row written later "
        "(default: the changes that the table's format tells)",
    )
    when_not_incremental: Literal["fail", "full"] = Field(
        "fail", description="for since_last_run, where changes cannot be told: fail, or score all"
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
    warn_if: list[Name] = Field([], description="conditions that are reported, and no more")
    reference: Name | None = Field(
        None, description="run id to measure drift from (default: the last that succeeded)"
    )

    report: Place | None = Field(
        None, description="HTML file for a report of the run, for people (extra report)"
    )
    report_columns: list[Name] = Field(
        [], description="columns of the input that the report shows of the lowest rows"
    )
    report_image: Name | None = Field(
        None, description="column of images that the report shows of the lowest rows"
    )
    run_results: Place | None = Field(
        None, description="JSON file for how the run ended, for an orchestrator"
    )
    mlflow: bool = Field(
        False, description="log the run to MLflow, where the environment says (MLFLOW_TRACKING_URI)"
    )

    @model_validator(mode="after")
    def _reports_agree(self) -> JobConfig:
        for name in ("report_columns", "report_image"):
            if getattr(self, name) and self.report is None:
                raise ValueError(f"{name} is given, so report must be given")
        for option, path in self.reports.items():
            require_local(option, path)
        return self

    @model_validator(mode="after")
    def _is_since_last_run(self) -> JobConfig:
        if not self.since_last_run:
            for name in OF_INCREMENTS:
                if name in self.model_fields_set and getattr(self, name, None) is not None:
                    raise ValueError(f"{name} is given, so since_last_run must be true")
            return self
        if self.write_mode != "overwrite":
            raise ValueError(
                "since_last_run merges what has changed and replaces the rest, so write_mode "
                f"does not go with it, got {self.write_mode!r}"
            )
        if saved := [*self.files, *self.folders]:
            raise ValueError(
                f"since_last_run does not look at all rows, so {', '.join(saved)} does not go "
                "with it"
            )
        return self

    @model_validator(mode="after")
    def _places_agree(self) -> JobConfig:
        if self.on_invalid != "quarantine":
            for name in self.quarantines:
                if getattr(self, name):
                    raise ValueError(f"{name} is given, so on_invalid must be 'quarantine'")
        names = self.class_names
        for condition in self.conditions:
            if names is not None:
                require_classes(condition, names)
        # Building them checks that a format goes with a name, a version or a mode.
        places = [*(spec.name for spec in self.inputs), *self.places]
        replaced = [spec.name for spec in (*self.outputs.values(), *self.quarantines.values())]
        taken = [*map(one_spelling, places), *staged(replaced)]
        for place, other in itertools.combinations(taken, 2):
            if overlap(place, other):
                raise ValueError(
                    "input, output, metrics and quarantine must be different places, none inside "
                    f"another or where a run stages an output ({', '.join(SUFFIXES)}), got {places}"
                )
        apart = {**self.folders, **self.reports}
        for (option, folder), place in itertools.product(apart.items(), taken):
            if overlap(one_path(folder), place):
                raise ValueError(
                    f"{option} must be a place of its own, outside of the tables and none inside "
                    f"it, got {folder!r}; the tables are {places}"
                )
        return self

    @property
    def row_id(self) -> str:
        """Return the column that tells the rows of the source apart."""
        return str(getattr(self, self.key))

    def columns_named(self, there: Iterable[str]) -> list[str]:
        """Return the columns, of those that are there, that the configuration names."""
        named = set(_texts(dict(self)))
        return [name for name in there if name in named]

    @property
    def meanings(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the metrics of the table, and those of each class, with what they mean.

        Conditions may read them.
        """
        increments = INCREMENT_METRICS if self.since_last_run else {}
        of_table = {**COMMON_METRICS, **increments, **self.metrics_of_task}
        of_classes = dict(self.metrics_of_classes)
        if self.class_counts is not None:
            of_table["drift_class_shares"] = (
                "How far the shares of the classes have moved since the earlier run (total "
                "variation distance): 0 the same, 1 all of them."
            )
            of_classes["drift_class_share"] = "By how much the share of the class has changed."
        if "issue_rate" in of_table:
            of_table["drift_issue_rate"] = "By how much issue_rate has changed."
        if "class_threshold" in of_classes:
            of_classes["drift_class_threshold"] = "By how much the class's threshold has changed."
        return of_table, of_classes

    @property
    def issue_count(self) -> str | None:
        """Return the metric that says how many issues there are, if the task has one."""
        names = list(self.metrics_of_task)
        return names[names.index("issue_rate") - 1] if "issue_rate" in names else None

    @property
    def class_names(self) -> list[str] | None:
        """Return what metrics of each class call the classes, where the configuration says it."""
        return None

    @property
    def conditions(self) -> list[Condition]:
        """Return the conditions of the gate."""
        return [
            parse_condition(option, text, *self.meanings, self.renamed_metrics)
            for option in ("fail_if", "warn_if")
            for text in getattr(self, option)
        ]

    def is_to_rescore(self, shift: float) -> bool:
        """Return whether all rows are to be scored, if what was fitted has moved so far."""
        return False

    @property
    def files(self) -> dict[str, str]:
        """Return the files that the run writes, by option."""
        return {}

    @property
    def folders(self) -> dict[str, str]:
        """Return the folders that the run writes beside its tables, by option."""
        return {}

    @property
    def reports(self) -> dict[str, str]:
        """Return the files that say what the run did, by option."""
        named = {"report": self.report, "run_results": self.run_results}
        return {option: path for option, path in named.items() if path is not None}

    @property
    def shown_columns(self) -> list[str]:
        """Return the columns of the input that the report shows of rows."""
        return [*self.report_columns, *([] if self.report_image is None else [self.report_image])]

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
    def inputs(self) -> list[TableSpec]:
        """Return all tables that are read."""
        return [self.input_spec]

    @property
    def outputs(self) -> dict[str, TableSpec]:
        """Return the tables that the scores are written to, by option; ``output`` first."""
        partitions = tuple(self.partition_by)
        spec = self._written("output", self.output, keys=(self.row_id,), partition_by=partitions)
        return {"output": spec}

    @property
    def quarantines(self) -> dict[str, TableSpec]:
        """Return where rows go that cannot be scored, by option; ``quarantine`` first.

        As the scores, but never merged by a key.
        """
        return {"quarantine": self._set_aside("quarantine", beside(self.output, "_quarantine"))}

    @property
    def records(self) -> dict[str, TableSpec]:
        """Return the tables that every run adds to, the metrics first."""
        metrics = self.metrics or beside(self.output, "_metrics")
        return {"metrics": self._written("metrics", metrics, mode="append")}

    @property
    def tables(self) -> dict[str, TableSpec]:
        """Return every table that a run may write, by option."""
        return {**self.outputs, **self.quarantines, **self.records}

    @property
    def places(self) -> list[str]:
        """Return where the run writes tables."""
        return [spec.name for spec in self.tables.values()]

    def place(self, option: str) -> str:
        """Return where the run writes the table of an option."""
        return self.tables[option].name

    def _beside(self, option: str, ending: str, **how: Any) -> TableSpec:
        """Return a further output: where its option says, or beside the first one."""
        return self._written(option, getattr(self, option) or beside(self.output, ending), **how)

    def _set_aside(self, option: str, default: str) -> TableSpec:
        mode = "append" if self.write_mode == "append" else "overwrite"
        return self._written(option, getattr(self, option) or default, mode=mode)

    def _written(self, option: str, name: str, **how: Any) -> TableSpec:
        if self.output_format == "parquet" and "/" not in name:
            name = f"./{name}"  # Parquet is written to paths alone
        return TableSpec(name, option, self.output_format, **{"mode": self.write_mode, **how})

    @property
    def fingerprint(self) -> str:
        """Return a hash that is the same for the same configuration."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class FittedConfig(JobConfig):
    """A job that can save what it fits on the rows, and judge other rows by it."""

    local_files: ClassVar[tuple[str, ...]] = ("fitted", "save_fitted")
    """The options that name files, which are read and written without Spark."""

    for_fitting: ClassVar[tuple[str, ...]] = ("save_fitted",)
    """The options that do not go with what an earlier run has fitted."""

    fitted: Place | None = Field(
        None, description="JSON file saved by an earlier run, used as is instead of fitting"
    )
    save_fitted: Place | None = Field(
        None, description="JSON file to save what this run fits (thresholds and the like) to"
    )

    @model_validator(mode="after")
    def _files_agree(self) -> FittedConfig:
        for name in self.local_files:
            require_local(name, getattr(self, name) or "")
        given = [
            name
            for name in self.for_fitting
            if name in self.model_fields_set and getattr(self, name) is not None
        ]
        if self.fitted and given:
            raise ValueError(f"fitted is given, so {', '.join(given)} does not go with it")
        return self

    @property
    def files(self) -> dict[str, str]:
        """Return the files that the run writes, by option."""
        named = {name: getattr(self, name) for name in self.local_files if "save" in name}
        return {option: path for option, path in named.items() if path is not None}


def _texts(value: object) -> Iterator[str]:
    """Yield the texts among values, those of lists and mappings too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
