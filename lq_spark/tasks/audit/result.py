"""What an audit has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lq_spark.core.shared.display import Displayed, SmallTable
from lq_spark.engine.inputs import column
from lq_spark.errors import require_one_of, require_whole_number

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True, repr=False)
class Audit(Displayed):
    """What is wrong with a table, check by check: see :func:`lq_spark.audit.find_issues`.

    Attributes
    ----------
    issues : DataFrame
        A row each of the table: its id; of each check whether the row is an issue
        (``is_<check>_issue``), how good it is (``<check>_score``, 1 good, 0 bad) and the further
        columns of the check; and ``num_issues`` (int), how many checks it is an issue of. Columns
        of a check that failed are null.
    summary : pandas.DataFrame
        A row each check that did not fail: ``check``, ``score`` (1 good, 0 bad) and ``num_issues``.
    failed : dict of str to str
        Why a check failed, by its name.
    statistics : dict
        ``num_rows``, ``health_score`` (the mean score of the checks) and, where they are known,
        ``num_classes``, ``class_names``, ``knn_metric``, ``knn_k`` and ``knn_recall``.
    info : dict
        What a check found of the table as a whole, by its name, such as the
        :class:`~lq_spark.NoiseModel` of the labels.
    """

    id: str
    issues: DataFrame
    summary: pd.DataFrame
    failed: dict[str, str]
    statistics: dict[str, Any]
    info: dict[str, Any]
    columns: Mapping[str, list[str]] = field(default_factory=dict)

    def worst(self, check: str, n: int = 5) -> pd.DataFrame:
        """Return the issues of lowest score of a check, with their further columns.

        Parameters
        ----------
        check : str
        n : int
            At most so many.

        Raises
        ------
        OptionError
            If the check did not run.
        """
        require_one_of("check", check, [name for name, found in self.columns.items() if found])
        require_whole_number("n", n, 1)
        flag, score, *further = self.columns[check]
        rows = self.issues.where(column(flag)).orderBy(score, column(self.id)).limit(n)
        return rows.select(column(self.id), score, *map(column, further)).toPandas()

    def report(self, n: int = 5) -> str:
        """Return what was found as text: all checks, and the worst rows of those with issues.

        Parameters
        ----------
        n : int
            How many rows of each.
        """
        facts = self.statistics
        lines = [f"audit of {facts['num_rows']:,} rows: {self._facts()['issues']:,} issues", ""]
        lines.append(self.summary.to_string(index=False))
        for name, why in self.failed.items():
            lines.append(f"{name} failed: {why}")
        return "\n".join([*lines, self.worst_text(n)])

    def worst_text(self, n: int) -> str:
        """Return the worst rows of the checks with issues as text, ``n`` of each."""
        lines = []
        for check, found in zip(self.summary["check"], self.summary["num_issues"], strict=True):
            if found and self.columns.get(check):
                lines += ["", f"{check}: {found:,} issues, the worst (1 good, 0 bad):"]
                lines.append(self.worst(check, n).to_string(index=False, max_colwidth=40))
        return "\n".join(lines)

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.statistics["num_rows"],
            "checks": len(self.summary),
            "failed": len(self.failed) or None,
            "issues": int(self.summary["num_issues"].sum()),
            "health score": self.statistics["health_score"],
        }

    def _tables(self) -> list[SmallTable]:
        columns = {
            "check": self.summary["check"].tolist(),
            "score": self.summary["score"].tolist(),
            "issues": self.summary["num_issues"].tolist(),
        }
        tables = [SmallTable("checks", columns, {"score": 1.0})]
        if self.failed:
            failed = {"check": [*self.failed], "reason": [*self.failed.values()]}
            tables.append(SmallTable("failed", failed))
        return tables
