"""Label issues of a table of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from lq_spark.core.regression.outre import EXACT_UP_TO
from lq_spark.core.regression.rules import agreed_threshold, n_issues, require_score_options
from lq_spark.core.shared.blocks import Float64
from lq_spark.engine.inputs import column, column_type, require_key, require_new_columns
from lq_spark.engine.kept import kept
from lq_spark.engine.key_order import last_keys
from lq_spark.engine.numbers import values_of
from lq_spark.engine.select import sorted_cuts
from lq_spark.engine.verbs import select
from lq_spark.tasks.regression.columns import RegressionTable, regression_table
from lq_spark.tasks.regression.passes import (
    DEVIATION,
    NEW_COLUMNS,
    Deviations,
    Flags,
    fit_deviations,
    with_scores,
)
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, ISSUE_RANK, LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.shared.order_statistics import ranked_numbers
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
    require_unique(df, id, validate="regression.validate")
    deviations = fit_deviations(df, table, method, exact_up_to, fail=True)
    found = with_issues(df, table, id, deviations, threshold, frac_issues, fail=True)
    # The scores of large deviations are all 0.
    found = with_issue_rank(found, id, -F.col(DEVIATION)) if issue_rank else found
    return select(found, *df.columns, *added)


def with_issues(
    df: DataFrame,
    table: RegressionTable,
    id: str,
    deviations: Deviations,
    threshold: float | None,
    frac_issues: float | None,
    *,
    fail: bool,
) -> DataFrame:
    """Return the table with :data:`lq_spark.tasks.regression.passes.NEW_COLUMNS`. Lazy.

    But for a share of rows, which is found now. ``fail``: whether the query does, where a row
    cannot be scored; else that has nulls.
    """
    if threshold is None:
        flags = _largest(df, table, id, deviations, float(frac_issues or 0.0))
    else:
        flags = Flags(threshold)
    return with_scores(df, table, deviations, list(NEW_COLUMNS), flags=flags, fail=fail)


def _largest(
    df: DataFrame, table: RegressionTable, id: str, deviations: Deviations, share: float
) -> Flags:
    """Return what flags a share of the rows, by deviation, of equal ones by key."""
    scored = with_scores(df, table, deviations, [DEVIATION], fail=False)
    with kept(select(scored, DEVIATION)) as away:
        _, found = ranked_numbers(
            away, _largest_first, lambda n: [taken] if (taken := n_issues(n, share)) else []
        )
    if not found:
        return Flags()
    [cut] = found
    if cut.n == cut.count:
        return Flags(above=-cut.value)
    group, value = F.lit(0).cast("bigint"), -F.col(DEVIATION)
    rows = scored.select(group.alias("group"), value.alias("value"), column(id).alias("key"))
    [last] = sorted_cuts(rows.where(F.col("value") == cut.value), {0: cut.n}).values()
    return Flags(above=-cut.value, last=last_keys({0: last.key}, 1, column_type(df, id)), id=id)


def _largest_first(batch: pa.RecordBatch) -> Float64:
    deviations: Float64 = values_of(batch.column(0), np.nan)
    return -deviations[~np.isnan(deviations)]
