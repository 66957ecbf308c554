"""The job of an audit: every check over one table, each row with what is wrong with it.

Passes over the source beside its keys: one for what the checks compare, neighbours once for all of
them, and what each check looks at; one for what is carried to the output.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from lq_spark.core.audit.checks import MEANINGS, NAMES, ON_REQUEST
from lq_spark.errors import listed
from lq_spark.job.config import Name
from lq_spark.job.summary import Metric, Summary, recall_text
from lq_spark.job.task import Task
from lq_spark.job.tasks.options import (
    RECALL_METRIC,
    NeighborsConfig,
    edges_of,
    n_features_of,
    unclear_features,
)
from lq_spark.report.parts import Part
from lq_spark.tasks.shared.names import NUM_ISSUES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.engine.reductions import Reduced, Reductions, Scratch
    from lq_spark.tasks.audit.result import Audit


class AuditConfig(NeighborsConfig):
    """A run of every check over a table."""

    task: Literal["audit"] = Field("audit", description="what is looked for")
    label: Name | None = Field(None, description="column of the given labels")
    pred_probs: Name | list[Name] | None = Field(
        None,
        description="column of the predicted probabilities, or a column a class; of numbers the "
        "column of their predictions",
    )
    label_task: Literal["classification", "regression", "multilabel"] = Field(
        "classification",
        description="what labels are: classification, regression (numbers), multilabel (sets)",
    )
    classes: list[Name] | None = Field(
        None, description="class names in the order of the probabilities; for string labels"
    )
    n_classes: int | None = Field(
        None, ge=2, description="number of classes, where nothing else says it (else the first row)"
    )
    properties: list[Name] | None = Field(
        None,
        min_length=1,
        description="columns of numbers that should not tell the class: the brightness of an "
        "image, say",
    )
    checks: list[Name] | None = Field(
        None,
        min_length=1,
        description=f"which checks run: {', '.join(NAMES)} (default: what the columns allow, "
        f"without {', '.join(ON_REQUEST)})",
    )
    check_options: dict[Name, dict[Name, Any]] = Field(
        {}, description="options of checks by their names, as a flag in JSON"
    )
    on_check_error: Literal["report", "fail"] = Field(
        "report", description="where a check fails: say so, or fail the run"
    )

    is_by_features: ClassVar[bool] = False
    metrics_of_task: ClassVar[Mapping[str, str]] = {
        "issues": "What the checks found, added up: a row counts once a check.",
        "rows_with_issues": "Rows that are an issue of some check.",
        "issue_rate": "Share of the rows that are an issue of some check.",
        "health_score": "Mean score of the checks: 1 good, 0 bad.",
        "checks_failed": "Checks that could not be made.",
        **{f"{name}_issues": f"{text[0].upper()}{text[1:]}." for name, text in MEANINGS.items()},
        **{f"{name}_score": f"Score of the check {name}: 1 good, 0 bad." for name in NAMES},
        **RECALL_METRIC,
    }

    @model_validator(mode="after")
    def _checks_agree(self) -> AuditConfig:
        for name in (*(self.checks or ()), *self.check_options):
            if name not in NAMES:
                raise ValueError(f"checks: {name!r} is none of {listed(NAMES)}")
        for name in self.check_options:
            if self.checks is not None and name not in self.checks:
                raise ValueError(f"check_options: {name!r} is not among the checks")
        return self


@dataclass(frozen=True, slots=True)
class Audited(Summary):
    """An audit in short; None where there are no rows."""

    found: Audit | None
    checks: tuple[str, ...]
    n_rows: int
    n_with_issues: int
    told: Sequence[Part]

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics of the table, and those of each check."""
        found = self.found
        summary = () if found is None else found.summary.itertuples(index=False)
        told = {check: (score, n_issues) for check, score, n_issues in summary}
        statistics = {} if found is None else found.statistics
        yield "issues", None, sum(n_issues for _, n_issues in told.values())
        yield "rows_with_issues", None, self.n_with_issues
        yield "issue_rate", None, self.n_with_issues / self.n_rows if self.n_rows else None
        yield "health_score", None, statistics.get("health_score")
        yield "checks_failed", None, 0 if found is None else len(found.failed)
        for check in self.checks:  # nothing is known of one that failed
            score, n_issues = told.get(check, (None, None))
            yield f"{check}_issues", None, n_issues
            yield f"{check}_score", None, score
        yield "neighbor_recall", None, statistics.get("knn_recall")

    def parts(self, config: AuditConfig) -> list[Part]:
        """Return the checks, and the worst rows of each."""
        found = self.found
        if found is None:
            return []
        return [
            "",
            f"rows with issues {self.n_with_issues:,} of {self.n_rows:,}, "
            f"{self.n_with_issues / self.n_rows:.2%}; health score "
            f"{found.statistics['health_score']:.4f}, the mean of the checks (1 good, 0 bad)",
            *recall_text(found.statistics.get("knn_recall")),
            *self.told,
        ]


class AuditTask(Task[AuditConfig]):
    """Rows with labels, probabilities, features, or some of them."""

    config_type = AuditConfig
    passes = "those of each check, neighbours once for all, and one for the output"
    score_column = NUM_ISSUES
    comments: ClassVar[Mapping[str, str]] = {
        NUM_ISSUES: "How many checks the row is an issue of",
        **{f"is_{name}_issue": f"Whether it is an issue of the check {name}" for name in NAMES},
        **{f"{name}_score": f"By the check {name}: 1 good, 0 bad" for name in NAMES},
    }

    def open(self) -> None:
        """Check columns and options, before a pass over the source."""
        from lq_spark.engine.held import Held
        from lq_spark.tasks.audit.issues import checks_of
        from lq_spark.tasks.audit.table import AuditTable

        config = self.config
        table = AuditTable(
            df=self.source,
            id=config.id,
            label=config.label,
            pred_probs=config.pred_probs,
            features=config.features,
            graph=edges_of(self),
            properties=config.properties,
            task=config.label_task,
            classes=config.classes,
            n_classes=config.n_classes,
            k=config.k,
            metric=config.metric,
            n_features=config.n_features,
            recall=config.recall,
            seed=config.seed,
            held=Held(),
        )
        options = {name: config.check_options.get(name, {}) for name in config.checks or ()}
        self.checks = checks_of(table, options or None, config.check_options)
        self.added = {k: v for check in self.checks for k, v in check.column_types(table).items()}
        self.require_new(*self.added, NUM_ISSUES)
        self.n_features = n_features_of(table.near_options()) if table.has_neighbors else None
        if self.n_features:
            self.bound_batches(8 * self.n_features)
        self.table = dataclasses.replace(table, n_features=self.n_features)
        self.found: Audit | None = None

    @property
    def classes_text(self) -> str:
        """Return what a dry run says of the classes: here which checks run."""
        return f"checks: {', '.join(check.name for check in self.checks)}"

    def validate(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why a check cannot use them, or null."""
        from lq_spark.tasks import audit

        config = self.config
        return audit.validate(
            rows,
            id=config.id,
            label=config.label,
            pred_probs=config.pred_probs,
            features=config.features,
            properties=config.properties,
            task=config.label_task,
            classes=config.classes,
            n_classes=config.n_classes,
            n_features=self.n_features,
        )

    def unclear(self, reasons: Mapping[str, int]) -> str:
        """Return that the number of features was guessed, if rows have another one."""
        return unclear_features(self.n_features, self.config, reasons)

    def no_rows(self) -> dict[str, DataFrame]:
        """Return the output without rows."""
        from pyspark.sql import functions as F

        kinds = {**self.added, NUM_ISSUES: "int"}
        found = self.none.withColumns({n: F.lit(None).cast(kind) for n, kind in kinds.items()})
        return {"output": self._output(found)}

    def score(self, rows: DataFrame, scratch: Scratch) -> Iterator[tuple[str, DataFrame]]:
        """Yield rows with what is wrong with each."""
        from lq_spark.engine.held import Held
        from lq_spark.engine.verbs import select
        from lq_spark.errors import InvalidRowsError
        from lq_spark.tasks.audit.issues import audited

        config = self.config
        raised = (Exception,) if config.on_check_error == "fail" else (InvalidRowsError,)
        with Held() as held:
            table = dataclasses.replace(self.table, df=rows, held=held, _found={}, _failed={})
            self.found = audited(table, self.checks, raised)
        found = self.found.issues
        if config.keep_columns:
            carried = select(rows, *dict.fromkeys([config.id, *config.keep_columns]))
            found = carried.join(found, config.id)
        yield "output", self._output(found)

    def _output(self, found: DataFrame) -> DataFrame:
        return self.select(found, *self.config.keep_columns, *self.added, NUM_ISSUES)

    @property
    def distributions(self) -> Mapping[str, tuple[str, str | None]]:
        """Return the score and the flag of each check that has been made."""
        return {
            check.name: (f"{check.name}_score", f"is_{check.name}_issue")
            for check in self.checks
            if f"{check.name}_score" in self.added
        }

    def reductions(self, option: str) -> Reductions:
        """Return how many rows are an issue of a check."""
        from lq_spark.engine.readings import column_input
        from lq_spark.engine.reductions import Reduction

        inputs = {NUM_ISSUES: column_input(NUM_ISSUES)}
        return {"rows": Reduction(inputs, _counts, _of_both)}

    def summarize(self, tables: Mapping[str, Reduced]) -> Audited:
        """Return the output in short."""
        n_rows, n_with_issues = tables["output"].states["rows"] or (0, 0)
        told = [] if self.found is None else self.found.parts(5)
        checks = tuple(check.name for check in self.checks)
        return Audited(self.found, checks, n_rows, n_with_issues, told)


def _counts(batch: Any) -> tuple[int, int]:
    import pyarrow.compute as pc

    numbers = batch.column(NUM_ISSUES)
    return len(numbers), pc.greater(numbers, 0).true_count


def _of_both(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] + b[0], a[1] + b[1]


TASK = AuditTask
