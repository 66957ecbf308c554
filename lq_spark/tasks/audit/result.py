"""What an audit has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lq_spark.core.shared.display import Displayed, SmallTable
from lq_spark.engine.inputs import column
from lq_spark.errors import require_one_of, require_whole_number
from lq_spark.report.charts import short
from lq_spark.report.page import require_extra, save
from lq_spark.report.parts import (
    Figure,
    Figures,
    Page,
    Part,
    Section,
    Table,
    count,
    number,
    text_of,
)
from lq_spark.tasks.shared.histograms import score_histograms

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame


_MAX_TEXT = 40


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

    def report(self, path: str | None = None, *, n: int = 5) -> str:
        """Return what was found as text: all checks, and the worst rows of those with issues.

        Parameters
        ----------
        path : str, optional
            A file on this machine, to which it is written as a page of HTML too: one file, without
            scripts or anything from a network. This takes the extra ``report``.
        n : int
            How many rows of each.

        Raises
        ------
        OptionError
            If a page is asked for and what makes pages is not installed.
        TableError
            If the file cannot be written.
        """
        if path is not None:
            require_extra("path")
        title = f"audit of {self.statistics['num_rows']:,} rows: {self._facts()['issues']:,} issues"
        parts = self.parts(n)
        if path is not None:
            distributions = score_histograms(self.issues, self.scores)
            sections = [
                Section("What was found", [self.figures, *parts]),
                Section("How the scores lie", distributions),
            ]
            save(Page("Audit", title, sections), path)
        return "\n".join([title, *text_of(parts)])

    @property
    def figures(self) -> Figures:
        """Return the key figures of a report."""
        facts = self.statistics
        names = {"num_rows": "rows", "health_score": "health score", "num_classes": "classes"}
        shown = {text: facts[name] for name, text in names.items() if facts.get(name) is not None}
        return Figures("", [Figure(name, float(value)) for name, value in shown.items()])

    @property
    def scores(self) -> dict[str, tuple[str, str]]:
        """Return the columns of each check that did not fail: its score, and its flag."""
        return {name: (found[1], found[0]) for name, found in self.columns.items() if found}

    def parts(self, n: int) -> list[Part]:
        """Return what a report consists of: the checks, and the ``n`` worst rows or columns."""
        rows = [
            (check, number(score), count(n_issues))
            for check, score, n_issues in self.summary.itertuples(index=False)
        ]
        parts: list[Part] = [
            Table("checks (1 good, 0 bad)", ("check", "score", "issues"), rows, {"score": 1.0})
        ]
        if self.failed:
            parts += ["", *(f"{name} failed: {why}" for name, why in self.failed.items())]
        for check, found in zip(self.summary["check"], self.summary["num_issues"], strict=True):
            if found and self.columns.get(check):
                parts.append(self._worst_table(check, int(found), n))
            elif found:
                parts += self._tables_of_columns(check, int(found), n)
        return parts

    def _worst_table(self, check: str, n_issues: int, n: int) -> Table:
        worst = self.worst(check, n)
        score = self.columns[check][1]
        return Table(
            f"{check}: {n_issues:,} issues, the worst (1 good, 0 bad)",
            [*worst],
            [[_short(cell) for cell in row] for row in worst.itertuples(index=False)],
            {score: 1.0},
            keys=worst[self.id].tolist(),
        )

    def _tables_of_columns(self, check: str, n_issues: int, n: int) -> list[Table]:
        """Return what is known of the issues of a check that looks at columns, not at rows."""
        info = self.info.get(check)
        if not isinstance(info, Displayed):
            return []
        return [
            Table(
                f"{check}: {n_issues:,} issues, {table.title}",
                [*table.columns],
                [*zip(*table.columns.values(), strict=True)][:n],
                table.bars,
            )
            for table in info._tables()
        ]

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
        bars = {"score": 1.0, "issues": None}
        tables = [SmallTable("checks (1 good, 0 bad)", columns, bars)]
        if self.failed:
            failed = {"check": [*self.failed], "reason": [*self.failed.values()]}
            tables.append(SmallTable("failed", failed, sentences=("reason",)))
        names = {
            "num_classes": "classes",
            "knn_metric": "metric",
            "knn_k": "neighbours",
            "knn_recall": "recall",
        }
        facts = self.statistics
        known = {text: [facts[name]] for name, text in names.items() if facts.get(name) is not None}
        if known:
            tables.append(SmallTable("statistics", known))
        return tables


def _short(cell: Any) -> Any:
    """Return a cell as it is shown: sets of ids are cut."""
    if cell is None or isinstance(cell, (float, int, str)):
        return cell
    return short(cell.tolist() if isinstance(cell, np.ndarray) else cell, _MAX_TEXT)
