"""What a check of an audit is: one of those that are here, or one of the user's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.tasks.audit.table import AuditTable


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found.

    Attributes
    ----------
    rows : DataFrame, optional
        A row each of the table: its id, and :attr:`Check.columns`. None of a check that says
        nothing of single rows.
    score : float, optional
        How good the table is in this respect: 1 good, 0 bad. By default the mean score of its rows.
    n_issues : int, optional
        By default how many rows are flagged.
    info : object
        What else was found, of the table as a whole.
    """

    rows: DataFrame | None
    score: float | None = None
    n_issues: int | None = None
    info: Any = None


class Check(ABC):
    """A check of an audit; subclass it for one of your own.

    It is given to :func:`lq_spark.audit.find_issues` in ``checks``, runs after those of lq_spark,
    and is reported like them:

    >>> from dataclasses import dataclass
    >>> from pyspark.sql import functions as F
    >>> from lq_spark import audit
    >>> @dataclass(frozen=True)
    ... class ShortText(audit.Check):
    ...     name = "short_text"
    ...     column: str
    ...     def find_issues(self, table):
    ...         n = F.length(self.column)
    ...         score = F.least(n / 20, F.lit(1.0)).alias("short_text_score")
    ...         flag = (n < 5).alias("is_short_text_issue")
    ...         return audit.Checked(table.df.select(table.id, flag, score))
    """

    name: ClassVar[str]
    """What it is called, and its columns ``is_<name>_issue`` and ``<name>_score`` are."""

    further: ClassVar[Mapping[str, str]] = {}
    """The types of further columns of its rows, by their names."""

    @abstractmethod
    def find_issues(self, table: AuditTable) -> Checked:
        """Return what is wrong with a table.

        A check that fails, with any error, does not take the others down: the audit says why.
        """

    def missing(self, table: AuditTable) -> str:
        """Return what it needs and the table does not have, in words; or nothing."""
        return ""

    def require(self, table: AuditTable) -> None:
        """Raise if its options do not go with a table that has what it needs: before it runs.

        Raises
        ------
        ColumnError, OptionError
        """
        return

    def column_types(self, table: AuditTable) -> dict[str, str]:
        """Return the types of the columns of its rows beside the id, by their names."""
        return {self.flag: "boolean", self.score: "double", **self.further}

    @property
    def flag(self) -> str:
        """Return the column that says whether a row is an issue."""
        return f"is_{self.name}_issue"

    @property
    def score(self) -> str:
        """Return the column of how good a row is: 1 good, 0 bad."""
        return f"{self.name}_score"
