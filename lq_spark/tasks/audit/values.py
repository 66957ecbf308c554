"""The checks of an audit that look at the values of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lq_spark.core.spurious.api import N_FOLDS, THRESHOLD
from lq_spark.tasks import identifiers
from lq_spark.tasks.audit.check import Check, Checked
from lq_spark.tasks.audit.labels import counted_classes
from lq_spark.tasks.audit.table import AuditTable
from lq_spark.tasks.nulls.columns import looked_at, with_null_scores
from lq_spark.tasks.spurious.issues import require_options, spurious_health


@dataclass(frozen=True)
class Null(Check):
    """Rows that have no values, or few.

    Attributes
    ----------
    columns : sequence of str, optional
        The columns that are looked at: by default those of the features, where each has one of its
        own, or all but the id.
    """

    name = "null"
    columns: Sequence[str] | None = None

    def require(self, table: AuditTable) -> None:
        """Raise unless the columns are there."""
        self._looked_at(table)

    def find_issues(self, table: AuditTable) -> Checked:
        """Return the rows without values."""
        names = self._looked_at(table)
        return Checked(with_null_scores(table.columns(*names), names))

    def _looked_at(self, table: AuditTable) -> list[str]:
        columns = self.columns
        if columns is None and table.features is not None and not isinstance(table.features, str):
            columns = table.features
        return looked_at(table.df, table.id, columns)


@dataclass(frozen=True)
class IdentifierColumn(Check):
    """Columns that number the rows: 1 is the score of a table without one, else 0.

    Attributes
    ----------
    columns : sequence of str, optional
        As for :func:`lq_spark.identifiers.find_issues`: by default all of whole numbers, but the id
        and the label.
    """

    name = "identifier_column"
    columns: Sequence[str] | None = None

    def column_types(self, table: AuditTable) -> dict[str, str]:
        """Return none: it says nothing of single rows."""
        return {}

    def find_issues(self, table: AuditTable) -> Checked:
        """Return which columns number the rows."""
        df = table.df
        if self.columns is None:
            df = df.drop(*(name for name in (table.id, table.label) if name is not None))
        health = identifiers.summarize(df, columns=self.columns)
        n_found = len(health.identifiers)
        return Checked(None, 0.0 if n_found else 1.0, n_found, info=health)


@dataclass(frozen=True)
class SpuriousCorrelations(Check):
    """Properties that alone tell the classes apart: the score is the lowest of one of them.

    Attributes
    ----------
    n_folds, threshold
        As for :func:`lq_spark.spurious.find_issues`.
    """

    name = "spurious_correlations"
    n_folds: int = N_FOLDS
    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        require_options(self.n_folds, self.threshold)

    def missing(self, table: AuditTable) -> str:
        """Return that there are no labels, or no properties."""
        is_there = table.label is not None and table.properties is not None
        return "" if is_there else "a label and properties"

    def column_types(self, table: AuditTable) -> dict[str, str]:
        """Return none: it says nothing of single rows."""
        return {}

    def find_issues(self, table: AuditTable) -> Checked:
        """Return which properties tell the classes apart."""
        labels, counts = counted_classes(table)
        names = list(table.properties or ())
        rows = table.columns(table.label, *names)
        options = labels, counts, names, self.n_folds, self.threshold
        health = spurious_health(rows, table.id, *options)
        return Checked(None, min(health.scores), len(health.issues), info=health)
