"""Label issues of a table of numbers, and a few numbers of its health."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.regression.outre import EXACT_UP_TO
from lq_spark.core.regression.plane import Plane
from lq_spark.core.regression.rules import (
    QUANTILES,
    agreed_threshold,
    n_issues,
    require_score_options,
)
from lq_spark.core.shared.display import Displayed, SmallTable
from lq_spark.core.shared.exact import SCALE_BITS, exact_mean
from lq_spark.engine.inputs import (
    column,
    column_type,
    columns_alone,
    require_key,
    require_new_columns,
)
from lq_spark.engine.kept import kept
from lq_spark.engine.select import lowest_cuts, nth_lowest, take
from lq_spark.engine.sums import scaled_halves
from lq_spark.tasks.regression.columns import LABEL, PREDICTION, RegressionTable, regression_table
from lq_spark.tasks.regression.passes import DEVIATION, TableRows, fit_deviations, with_deviations
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, ISSUE_RANK, LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.shared.ranks import with_issue_rank
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    label: str = "label",
    prediction: str = "prediction",
    method: str = "outre",
    uncertainty: str | float | None = None,
    threshold: float | None = None,
    frac_issues: float | None = None,
    issue_rank: bool = False,
    exact_up_to: int = EXACT_UP_TO,
) -> DataFrame:
    """Return the table with its label issues: rows of low label quality.

    Adds ``is_label_issue`` (boolean), ``predicted_label`` (the prediction, double),
    ``label_quality`` (double, 1 clean, 0 suspect) and, if asked, ``issue_rank``. What compares rows
    is done now; the result is lazy and does not depend on the partitions.

    With method "uncertainty" and ``frac_issues`` the issues are those of cleanlab's
    ``CleanLearning.find_label_issues``, see :func:`lq_spark.core.regression.find_label_issues`.

    Parameters
    ----------
    df, label, prediction, method, uncertainty, exact_up_to
        As for :func:`lq_spark.regression.score`.
    id : str
        Column that tells the rows apart. Of rows with equal deviations at a cut those with the
        lowest ids are taken.
    threshold : float, optional
        The score below which a row is an issue. Where neither it nor ``frac_issues`` is given,
        0.0184 for "outre": a twentieth of the score of the median row, as in cleanlab's Datalab.
    frac_issues : float, optional
        Which share of the rows are issues instead, those of lowest score; rounded up.
    issue_rank : bool
        Whether to rank the issues, 1 the worst, null for rows that are none: by deviation, which
        tells rows apart whose scores are too low to differ. Reads the table twice more.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    InvalidRowsError
        If an id is null or occurs twice, or a row cannot be scored.
    """
    require_score_options(method, uncertainty, exact_up_to)
    threshold = agreed_threshold(method, threshold, frac_issues)
    refuse_stream(df, "regression.find_issues")
    require_key(df, "id", id)
    table = regression_table(df, label=label, prediction=prediction, uncertainty=uncertainty)
    added = [IS_LABEL_ISSUE, PREDICTED_LABEL, LABEL_QUALITY] + [ISSUE_RANK] * issue_rank
    require_new_columns(df, added)
    keys = require_unique(df, id, validate="regression.validate")
    deviations = fit_deviations(df, table, method, exact_up_to, fail=True)
    found = with_deviations(df, table, deviations, fail=True)
    found = found.withColumn(PREDICTED_LABEL, table.columns[1])
    if threshold is not None:
        found = found.withColumn(IS_LABEL_ISSUE, F.col(LABEL_QUALITY) < threshold)
    else:
        n = n_issues(keys.n_rows, float(frac_issues or 0.0))
        found = _with_largest(found, id, n)
    # The scores of large deviations are all 0.
    found = with_issue_rank(found, id, -F.col(DEVIATION)) if issue_rank else found
    return found.select(*map(column, df.columns), *added)


@dataclass(frozen=True, slots=True, repr=False)
class RegressionHealth(Displayed):
    """What the labels and predictions of a table have in common.

    Attributes
    ----------
    n_rows, n_label_issues : int
    mean_label_quality : float or None
        None, as the other numbers, where there are no rows.
    r_squared : float or None
        The share of the labels' variance that the predictions explain; None if they have none.
    mean_residual, rms_residual : float or None
        Mean and root mean square of prediction minus label.
    residual_quantiles : mapping of float to float
        For each share of :data:`~lq_spark.core.regression.rules.QUANTILES` the lowest residual
        that at least that share of rows does not exceed.
    """

    n_rows: int
    n_label_issues: int
    mean_label_quality: float | None
    r_squared: float | None
    mean_residual: float | None
    rms_residual: float | None
    residual_quantiles: Mapping[float, float]

    @property
    def issue_rate(self) -> float | None:
        """Return the share of rows that are label issues."""
        return self.n_label_issues / self.n_rows if self.n_rows else None

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "label issues": self.n_label_issues,
            "mean label quality": self.mean_label_quality,
            "R²": self.r_squared,
            "RMS residual": self.rms_residual,
        }

    def _tables(self) -> list[SmallTable]:
        quantiles = self.residual_quantiles
        overall = {"mean label quality": [self.mean_label_quality], "R²": [self.r_squared]}
        residuals = {"share of rows": list(quantiles), "residual up to": list(quantiles.values())}
        return [
            SmallTable("overall", overall, dict.fromkeys(overall, 1.0)),
            SmallTable("residuals", residuals),
        ]


def summarize(
    df: DataFrame,
    *,
    id: str = "id",
    label: str = "label",
    prediction: str = "prediction",
    method: str = "outre",
    uncertainty: str | float | None = None,
    threshold: float | None = None,
    frac_issues: float | None = None,
    exact_up_to: int = EXACT_UP_TO,
) -> RegressionHealth:
    """Return the health of a table of numbers: its issues, mean quality and residuals.

    All exact, whatever the partitions.

    Parameters
    ----------
    df, id, label, prediction, method, uncertainty, threshold, frac_issues, exact_up_to
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError, InvalidRowsError
        As :func:`find_issues`.
    """
    refuse_stream(df, "regression.summarize")
    named = [id, label, prediction, *([uncertainty] if isinstance(uncertainty, str) else [])]
    found = find_issues(
        columns_alone(df, named),
        id=id,
        label=label,
        prediction=prediction,
        method=method,
        uncertainty=uncertainty,
        threshold=threshold,
        frac_issues=frac_issues,
        exact_up_to=exact_up_to,
    )
    return health_of(found, regression_table(found, label=label, prediction=prediction))


def health_of(found: DataFrame, table: RegressionTable) -> RegressionHealth:
    """Return the health of a table with issues, all rows of which can be scored."""
    high, low = scaled_halves(F.col(LABEL_QUALITY), SCALE_BITS)
    [(n_rows, n_label_issues, high_sum, low_sum)] = found.agg(
        F.count(F.lit(1)), F.count_if(F.col(IS_LABEL_ISSUE)), F.sum(high), F.sum(low)
    ).collect()
    if n_rows == 0:
        return RegressionHealth(0, 0, None, None, None, None, {})
    numbers = table.numbers(found)
    plane = TableRows(numbers).plane()
    residuals = numbers.select((F.col(PREDICTION) - F.col(LABEL)).alias("value"))
    ranks = [max(1, n_issues(n_rows, share)) for share in QUANTILES]
    return RegressionHealth(
        n_rows,
        n_label_issues,
        exact_mean(high_sum, low_sum, n_rows),
        _r_squared(plane),
        plane.residuals.mean,
        plane.residuals.rms,
        dict(zip(QUANTILES, nth_lowest(residuals, ranks), strict=True)),
    )


def _r_squared(plane: Plane) -> float | None:
    if plane.labels.std == 0.0:
        return None
    unexplained = plane.residuals.rms / plane.labels.std
    return 1.0 - unexplained * unexplained


def _with_largest(found: DataFrame, id: str, n: int) -> DataFrame:
    """Return the table with the n rows of largest deviation flagged, of equal ones the first."""
    group, value = F.lit(0).cast("bigint"), -F.col(DEVIATION)
    rows = found.select(group.alias("group"), value.alias("value"), column(id).alias("key"))
    with kept(rows) as narrow:
        cuts = lowest_cuts(narrow, {0: n})
    kind = column_type(found, id)
    return take(
        found, cuts, IS_LABEL_ISSUE, group=group, value=value, key=column(id), key_type=kind
    )
