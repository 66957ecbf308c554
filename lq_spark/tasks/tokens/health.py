"""What the label issues of a table of tokens have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.health.tables import DatasetHealth, dataset_health
from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.core.shared.display import Displayed, SmallTable, frame_table
from lq_spark.engine.inputs import column, columns_alone
from lq_spark.errors import OptionError
from lq_spark.tasks.multiclass.issues import agreed_collision_rule
from lq_spark.tasks.shared.classes import agreed_classes
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, PREDICTED_LABEL
from lq_spark.tasks.shared.probabilities import PredProbs, probability_names
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.tokens.columns import token_columns
from lq_spark.tasks.tokens.issues import checked_issues, fit_tokens

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class TokenHealth(Displayed):
    """What the label issues of a table of tokens have in common.

    Attributes
    ----------
    health : DatasetHealth
        Of the classes, over all tokens.
    common_tokens : pandas.DataFrame or None
        "token", "num_label_issues": the texts with most issues; None where there are no texts.
    common_issues : pandas.DataFrame
        "token" (if there are texts), "given_label", "predicted_label", "num_label_issues".
    """

    health: DatasetHealth
    common_tokens: pd.DataFrame | None
    common_issues: pd.DataFrame

    def _facts(self) -> dict[str, Any]:
        return self.health._facts()

    def _tables(self) -> list[SmallTable]:
        found = list(self.health._tables())
        labels = {"token": "token", "given": "given_label", "predicted": "predicted_label"}
        shown = {"most common issues": self.common_issues}
        if self.common_tokens is not None:
            shown["tokens with most issues"] = self.common_tokens
        counts = {"issues": "num_label_issues"}
        for title, frame in shown.items():
            found.append(frame_table(title, frame, labels, counts, {"issues": None}))
        return found


def summarize(
    df: DataFrame,
    *,
    sentence_id: str = "sentence_id",
    labels: str = "labels",
    token_index: str | None = None,
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    tokens: str | None = None,
    token: str | None = None,
    classes: Sequence[str] | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: int | Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    collision_rule: str | None = None,
    fitted: NoiseModel | None = None,
    tolerance: float = SUM_TOLERANCE,
    exclude: Sequence[tuple[object, object]] = (),
    top: int = 10,
) -> TokenHealth:
    """Return the health of the classes over all tokens, and the commonest label issues.

    Parameters
    ----------
    df : DataFrame
        A table of sentences or tokens.
    sentence_id, labels, token_index, label, pred_probs, tokens, token, classes
        As for :func:`lq_spark.tokens.score`.
    filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, collision_rule
        As for :func:`find_issues`.
    fitted : NoiseModel, optional
        Finds the issues, as for :func:`find_issues`; the health of the classes is that of ``df``
        by itself.
    tolerance : float
        As for :func:`find_issues`.
    exclude : sequence of (given, predicted)
        Pairs of labels whose issues are not counted.
    top : int
        How many of the commonest issues: equal ones in the order of token, given and predicted.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    if not isinstance(top, int) or top < 1:
        raise OptionError(f"top must be a whole number of at least 1, got {top!r}")
    collision = agreed_collision_rule(collision_rule, fitted)
    rule = Rule(filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, collision)
    refuse_stream(df, "tokens.summarize")
    require_tolerance(tolerance)
    of_tokens = (labels,) if token_index is None else (token_index, label)
    texts = [name for name in (tokens, token) if name is not None]
    df = columns_alone(df, [sentence_id, *of_tokens, *probability_names(pred_probs), *texts])
    classes = agreed_classes(classes, fitted)
    columns = token_columns(
        df, sentence_id, token_index, labels, label, pred_probs, tokens, token, classes
    )
    found, model, named = checked_issues(
        df, columns, rule, fitted, "self_confidence", tolerance=tolerance, count=True, hold=True
    )
    if fitted is not None or model is None:
        model = fit_tokens(df, columns, rule.collision_rule, tolerance)
    issues = found.where(IS_LABEL_ISSUE)
    for given, predicted in exclude:
        is_pair = (column(named.label) == F.lit(given)) & (
            F.col(PREDICTED_LABEL) == F.lit(predicted)
        )
        issues = issues.where(~is_pair)
    text = [] if named.token is None else [column(named.token).alias("token")]
    renamed = issues.select(
        *text,
        column(named.label).alias("given_label"),
        F.col(PREDICTED_LABEL).alias("predicted_label"),
    )
    return TokenHealth(
        dataset_health(model),
        _commonest(renamed, ["token"], top) if text else None,
        _commonest(renamed, renamed.columns, top),
    )


def _commonest(issues: DataFrame, by: Sequence[str], top: int) -> pd.DataFrame:
    counts = issues.groupBy(*by).agg(F.count(F.lit(1)).alias("num_label_issues"))
    return counts.orderBy(F.desc("num_label_issues"), *by).limit(top).toPandas()
