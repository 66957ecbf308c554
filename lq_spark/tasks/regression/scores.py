"""Label quality of a table of numbers and their predictions; the mathematics is in lq_spark.core.

The residual score is made row by row. The others compare a row with all rows, so the table is read
first, now: by "outre" once, and once more for a few rows or a few times more for many; by
"uncertainty" a few times, for a median.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lq_spark.core.regression.outre import EXACT_UP_TO
from lq_spark.core.regression.rules import require_score_options, require_uncertainty
from lq_spark.engine.inputs import require_new_columns
from lq_spark.errors import require_one_of
from lq_spark.tasks.regression.columns import regression_table
from lq_spark.tasks.regression.passes import fit_deviations, with_scores
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON, LABEL_QUALITY
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def score(
    df: DataFrame,
    *,
    label: str = "label",
    prediction: str = "prediction",
    method: str = "outre",
    uncertainty: str | float | None = None,
    exact_up_to: int = EXACT_UP_TO,
    on_invalid: str = "fail",
) -> DataFrame:
    """Return the table with its label quality: 1 clean, 0 suspect. Lazy, but for what is fitted.

    Adds ``label_quality`` (double). It does not depend, to the bit, on how the table is
    partitioned, and equals that of :func:`lq_spark.core.regression.get_label_quality_scores`.

    Parameters
    ----------
    df : DataFrame
        One row a labelled example.
    label, prediction : str
        Columns of numbers, whole, float, double or decimal, taken as doubles: the given label, and
        the out-of-sample prediction of a model.
    method : {"outre", "residual", "uncertainty"}
        The score: how far the row lies from the others in the plane of labels and residuals; the
        residual (prediction minus label) in the labels' own unit; the residual in units of its
        uncertainty, the median row having 1.
    uncertainty : str or float, optional
        For method "uncertainty": how far predictions may be off, in the labels' unit, epistemic and
        aleatoric together. A column, or one number for all rows.
    exact_up_to : int
        How many rows "outre" compares each with each other one; they are brought to the driver, 16
        bytes a row. Beyond, nearly equal rows are taken together, in bounded memory: scores then
        are within 0.0025 of the exact ones, as measured
        (:mod:`lq_spark.core.regression.outre_grid`).
    on_invalid : {"fail", "null"}
        What to do with a row that cannot be scored: fail, or leave its score null and compare the
        other rows with each other alone.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    InvalidRowsError
        If a row cannot be scored, and the table is read first. Else the query fails when it runs.
    """
    require_score_options(method, uncertainty, exact_up_to)
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    if method != "residual":
        refuse_stream(df, f"regression.score with method {method!r}")
    table = regression_table(df, label=label, prediction=prediction, uncertainty=uncertainty)
    require_new_columns(df, [LABEL_QUALITY])
    fail = on_invalid == "fail"
    deviations = fit_deviations(df, table, method, exact_up_to, fail=fail)
    return with_scores(df, table, deviations, [LABEL_QUALITY], fail=fail)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    label: str = "label",
    prediction: str = "prediction",
    uncertainty: str | float | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row cannot be scored, null if it can. Lazy.

    A row with several faults has one of them as its reason. All in Spark, without Python.

    Parameters
    ----------
    id : str, optional
        Column that must tell the rows apart: a null in it and a value that occurs twice are faults
        (of every row that has it).
    df, label, prediction, uncertainty
        As for :func:`score`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    require_uncertainty(uncertainty)
    table = regression_table(df, label=label, prediction=prediction, uncertainty=uncertainty)
    require_to_validate(df, id, "regression.validate")
    checked = df.select("*", table.reason.alias(INVALID_REASON))
    return with_key_reasons(checked, df, id)
