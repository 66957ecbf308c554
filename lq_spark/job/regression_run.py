"""One run of the job over numbers: :func:`lq_spark.regression.find_issues`, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.job.base import RunId
from lq_spark.job.report import aligned
from lq_spark.job.task_run import Metric, TaskRun
from lq_spark.tables.formats import Output
from lq_spark.tasks import regression
from lq_spark.tasks.multiclass.flags import IS_LABEL_ISSUE, ISSUE_RANK
from lq_spark.tasks.regression.columns import regression_table
from lq_spark.tasks.regression.issues import RegressionHealth, health_of
from lq_spark.tasks.shared.table import INVALID_REASON, LABEL_QUALITY, PREDICTED_LABEL

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lq_spark.job.regression_config import RegressionConfig
    from lq_spark.tables.spec import TableSpec

N_WORST = 10


@dataclass(frozen=True, slots=True)
class ScoredNumbers:
    """The scores of numbers in short.

    Attributes
    ----------
    health : RegressionHealth
    worst : list of tuple
        (id, label, prediction, label quality) of the lowest, ties by residual, then by id.
    """

    health: RegressionHealth
    worst: list[tuple[Any, ...]]

    @property
    def n_rows(self) -> int:
        """Return how many rows were scored."""
        return self.health.n_rows

    def metrics(self) -> Iterator[Metric]:
        """Yield (metric, share of the rows or None, value)."""
        health = self.health
        yield "mean_label_quality", None, health.mean_label_quality
        yield "label_issues", None, health.n_label_issues
        yield "issue_rate", None, health.issue_rate
        yield "r_squared", None, health.r_squared
        yield "mean_residual", None, health.mean_residual
        yield "rms_residual", None, health.rms_residual
        for share, residual in health.residual_quantiles.items():
            yield "residual_quantile", str(share), residual

    def lines(self, config: Any) -> Sequence[str]:
        """Return totals, residuals, and the lowest rows."""
        health = self.health
        if not health.n_rows:
            return []
        r_squared = "-" if health.r_squared is None else f"{health.r_squared:.4f}"
        lines = [
            "",
            f"mean label quality {health.mean_label_quality:.4f}, method {config.method}",
            f"label issues {health.n_label_issues:,} of {health.n_rows:,} rows, "
            f"{health.issue_rate:.2%}",
            f"residuals (prediction - label): mean {health.mean_residual:.6g}, root mean square "
            f"{health.rms_residual:.6g}, R² {r_squared}",
        ]
        shares = [f"{share:.0%}" for share in health.residual_quantiles]
        values = [f"{value:.6g}" for value in health.residual_quantiles.values()]
        lines += aligned(("quantile", *shares), [("residual", *values)])
        rows = [
            (key, f"{given:.6g}", f"{predicted:.6g}", f"{quality:.6f}")
            for key, given, predicted, quality in self.worst
        ]
        lines += ["", "lowest label quality (1 clean, 0 suspect):"]
        return [*lines, *aligned((config.id, "given", "predicted", "quality"), rows)]


class RegressionRun(TaskRun["RegressionConfig"]):
    """A run: its configuration and its source, checked.

    Raises
    ------
    OptionError, ColumnError
        If there is no such table, or a column is missing or of another type.
    """

    def __init__(
        self, spark: SparkSession, config: RegressionConfig, which: RunId | None = None
    ) -> None:
        super().__init__(spark, config, which)
        self.columns: dict[str, Any] = {
            "label": config.label,
            "prediction": config.prediction,
            "uncertainty": config.told_uncertainty,
        }
        regression_table(self.source, **self.columns)
        require_key(self.source, "id", config.id)
        self.added = [IS_LABEL_ISSUE, PREDICTED_LABEL, LABEL_QUALITY]
        self.added += [ISSUE_RANK] if config.issue_rank else []
        require_new_columns(self.source, [*self.added, INVALID_REASON])

    def specs(self) -> dict[str, TableSpec]:
        """Return the table of rows."""
        return {"output": self.config.output_spec}

    def said_of_classes(self) -> str:
        """Return what a dry run says of the classes."""
        return "none: labels are numbers"

    def checked(self, rows: DataFrame) -> DataFrame:
        """Return rows of the source with the reason why they cannot be scored, or null."""
        return regression.validate(rows, id=self.config.id, **self.columns)

    def tables(self, rows: DataFrame, keep: Output | None = None) -> dict[str, DataFrame]:
        """Return rows with their issues, of rows that are all fit."""
        config = self.config
        carried = list(dict.fromkeys([config.id, config.label, *config.keep_columns]))
        named = [name for name in self.columns.values() if isinstance(name, str)]
        rows = rows.select(*map(column, dict.fromkeys([*carried, *named])))
        found = regression.find_issues(
            rows if keep is None else keep.scratch(rows),
            id=config.id,
            **self.columns,
            method=config.method,
            threshold=config.threshold,
            frac_issues=config.frac_issues,
            issue_rank=config.issue_rank,
            exact_up_to=config.exact_up_to,
        )
        return {"output": found.select(*map(column, [*carried, *self.added]))}

    def summarize(self, tables: Mapping[str, DataFrame]) -> ScoredNumbers:
        """Return the table in short."""
        output, config = tables["output"], self.config
        numbers = regression_table(output, label=config.label, prediction=PREDICTED_LABEL)
        label, prediction = numbers.columns
        residual, key = F.abs(prediction - label), column(config.id)
        lowest = output.orderBy(F.col(LABEL_QUALITY), residual.desc(), key).limit(N_WORST)
        worst = lowest.select(key, label, prediction, F.col(LABEL_QUALITY)).collect()
        return ScoredNumbers(health_of(output, numbers), [tuple(row) for row in worst])
