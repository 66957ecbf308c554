"""Properties of the rows that alone tell the classes apart, which they should not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, StringType, StructField, StructType

from lq_spark.core.shared.display import N_SHOWN, Displayed, SmallTable, names_at
from lq_spark.core.spurious.api import N_FOLDS, THRESHOLD
from lq_spark.engine.inputs import require_key
from lq_spark.engine.small_tables import small_table
from lq_spark.engine.verbs import select
from lq_spark.errors import require_number, require_whole_number
from lq_spark.tasks.shared.class_counts import Labels, checked_labels, class_counts
from lq_spark.tasks.shared.keys import require_to_validate, require_unique, with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.spurious.columns import checked_properties, property_reason
from lq_spark.tasks.spurious.passes import found_correlations

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SCHEMA = StructType(
    [
        StructField("property", StringType()),
        StructField("is_spurious_correlation", BooleanType()),
        *(StructField(name, DoubleType()) for name in ("score", "accuracy", "baseline")),
    ]
)


@dataclass(frozen=True, slots=True, repr=False)
class SpuriousHealth(Displayed):
    """Which properties of the rows of a table tell its classes apart.

    Attributes
    ----------
    n_rows : int
    baseline : float
        The share of the most frequent class: the accuracy of naming it every time.
    properties : tuple of str
        Those that were looked at.
    accuracies, scores : tuple of float
        How well each predicts the class alone; and what it leaves to be predicted, as a part of
        what the baseline leaves: 0 nothing, 1 all.
    issues : tuple of str
        The properties of too low a score.
    few : tuple of str
        The classes of fewer rows than there are folds, which some folds do not test.
    """

    n_rows: int
    baseline: float
    properties: tuple[str, ...]
    accuracies: tuple[float, ...]
    scores: tuple[float, ...]
    issues: tuple[str, ...]
    few: tuple[str, ...] = ()

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "properties": len(self.properties),
            "spurious correlations": len(self.issues),
            "baseline": self.baseline,
            "small classes": len(self.few) or None,
        }

    def _tables(self) -> list[SmallTable]:
        order = sorted(range(len(self.scores)), key=lambda place: self.scores[place])[:N_SHOWN]
        columns: dict[str, list[Any]] = {
            "property": [self.properties[place] for place in order],
            "score": [self.scores[place] for place in order],
            "accuracy": [self.accuracies[place] for place in order],
        }
        return [SmallTable("lowest scores", columns, {"score": 1.0})]


def find_issues(
    df: DataFrame,
    *,
    properties: Sequence[str],
    id: str = "id",
    label: str = "label",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    n_folds: int = N_FOLDS,
    threshold: float = THRESHOLD,
) -> DataFrame:
    """Return how well each property predicts the classes: a small table, a row each property.

    Its columns are ``property``, ``is_spurious_correlation`` (boolean: the score is below
    ``threshold``), ``score`` (double: what is left to be predicted, as a part of what the baseline
    leaves; 0 nothing, 1 all), ``accuracy`` (double: the share of the classes that are predicted
    from the property alone, the mean of the folds) and ``baseline`` (double: the share of the most
    frequent class). Computed now, the same to the bit on any partitions.

    The rule is that of cleanlab's Datalab, but for the baseline, see
    :func:`lq_spark.core.spurious.find_spurious_correlations`.

    Parameters
    ----------
    df : DataFrame
    properties : sequence of str
        Columns of numbers that should not tell the class: the brightness of an image, say, or the
        length of a text.
    id : str
        Column that tells the rows apart; the folds are cut in its order.
    label, classes, n_classes
        As for :func:`lq_spark.imbalance.find_issues`.
    n_folds : int
        Into how many parts the rows are cut, each predicted from the others; at least 2.
    threshold : float
        From 0 to 1.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        If no class has as many rows as there are folds.
    InvalidRowsError
        If an id is null or occurs twice, a label is no class, or a property is null, NaN or
        infinite.

    Examples
    --------
    >>> import pandas as pd
    >>> from lq_spark import local, spurious
    >>> light = [0.1, 0.2, 0.3, 0.2, 0.1, 0.8, 0.9, 0.7, 0.8, 0.9]
    >>> rows = {"id": range(10), "label": [0] * 5 + [1] * 5, "light": light, "width": [3, 4] * 5}
    >>> df = local.session().createDataFrame(pd.DataFrame(rows))
    >>> spurious.summarize(df, properties=["light", "width"]).issues
    ('light',)
    """
    refuse_stream(df, "spurious.find_issues")
    health = _health(df, properties, id, label, classes, n_classes, n_folds, threshold)
    each = zip(health.properties, health.scores, health.accuracies, strict=True)
    rows = [
        (name, name in health.issues, score, accuracy, health.baseline)
        for name, score, accuracy in each
    ]
    return small_table(df.sparkSession, rows, _SCHEMA)


def summarize(
    df: DataFrame,
    *,
    properties: Sequence[str],
    id: str = "id",
    label: str = "label",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    n_folds: int = N_FOLDS,
    threshold: float = THRESHOLD,
) -> SpuriousHealth:
    """Return which properties tell the classes apart.

    Parameters
    ----------
    df, properties, id, label, classes, n_classes, n_folds, threshold
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    refuse_stream(df, "spurious.summarize")
    return _health(df, properties, id, label, classes, n_classes, n_folds, threshold)


def require_options(n_folds: int, threshold: float) -> None:
    """Raise OptionError unless properties can be judged with these options."""
    require_whole_number("n_folds", n_folds, 2)
    require_number("threshold", threshold, 0.0, 1.0)


def _health(
    df: DataFrame,
    properties: Sequence[str],
    id: str,
    label: str,
    classes: Sequence[str] | None,
    n_classes: int | None,
    n_folds: int,
    threshold: float,
) -> SpuriousHealth:
    require_options(n_folds, threshold)
    require_key(df, "id", id)
    labels = checked_labels(df, label, classes, n_classes)
    names = checked_properties(df, properties)
    require_unique(df, id, validate="spurious.validate")
    counts = class_counts(select(df, label), labels, fail=True, validate="spurious.validate")
    return spurious_health(df, id, labels, counts, names, n_folds, threshold)


def spurious_health(
    df: DataFrame,
    id: str,
    labels: Labels,
    counts: NDArray[Any],
    names: Sequence[str],
    n_folds: int,
    threshold: float,
) -> SpuriousHealth:
    """Return it of a table that was checked: see :func:`found_correlations`."""
    found = found_correlations(df, id, labels, counts, names, n_folds, threshold)
    issues = [name for name, is_one in zip(names, found.is_issue, strict=True) if is_one]
    return SpuriousHealth(
        int(counts.sum()),
        found.baseline,
        tuple(names),
        found.accuracies,
        found.scores,
        tuple(issues),
        tuple(names_at(labels.classes, found.few)),
    )


def validate(
    df: DataFrame,
    *,
    properties: Sequence[str],
    id: str | None = None,
    label: str | None = "label",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row cannot be used, null if it can. Lazy.

    Parameters
    ----------
    df, properties, classes, n_classes
        As for :func:`find_issues`.
    id : str, optional
        Column that must tell the rows apart.
    label : str, optional
        None: properties alone are looked at.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    reason = property_reason(checked_properties(df, properties))
    if label is not None:
        labels = checked_labels(df, label, classes, n_classes)
        reason = F.coalesce(labels.named_reason, reason)
    require_to_validate(df, id, "spurious.validate")
    checked = df.withColumn(INVALID_REASON, reason)
    return with_key_reasons(checked, df, id)
