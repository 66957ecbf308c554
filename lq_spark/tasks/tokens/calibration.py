"""The calibration of the probabilities of tokens, from one pass over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lq_spark.tasks.shared.calibration import calibration_of
from lq_spark.tasks.shared.classes import resolved_n_classes
from lq_spark.tasks.shared.table import labelled_table
from lq_spark.tasks.tokens.columns import TokenColumns, one_row_a_token

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lq_spark.core.health.calibration import Calibration


def token_calibration(
    rows: DataFrame, columns: TokenColumns, n_classes: int | None, tolerance: float
) -> Calibration | None:
    """Return the calibration of all tokens of sentences that can be scored; None without rows.

    Where ``n_classes`` is None and nothing else says it either, the first token does.
    """
    long, named = one_row_a_token(rows, columns)
    table = labelled_table(
        long, label=named.label, pred_probs=named.pred_probs, classes=named.classes
    )
    known = long, table.probabilities, table.label_type
    return calibration_of(long, table, resolved_n_classes(*known, n_classes, None), tolerance)
