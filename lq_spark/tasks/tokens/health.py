"""What the label issues of a table of tokens have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.health.tables import DatasetHealth, dataset_health
from lq_spark.core.shared.display import Displayed, SmallTable, frame_table
from lq_spark.engine.inputs import column, columns_alone
from lq_spark.errors import OptionError
from lq_spark.tasks.multiclass.flags import IS_LABEL_ISSUE
from lq_spark.tasks.shared.probabilities import probability_names
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.table import PREDICTED_LABEL
from lq_spark.tasks.tokens.issues import find_issues, fit

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
    exclude: Sequence[tuple[object, object]] = (),
    top: int = 10,
    **options: Any,
) -> TokenHealth:
    """Return the health of the classes over all tokens, and the commonest label issues.

    Parameters
    ----------
    df : DataFrame
        A table of sentences or tokens.
    exclude : sequence of (given, predicted)
        Pairs of labels whose issues are not counted.
    top : int
        How many of the commonest issues: equal ones in the order of token, given and predicted.
    **options
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    if not isinstance(top, int) or top < 1:
        raise OptionError(f"top must be a whole number of at least 1, got {top!r}")
    refuse_stream(df, "tokens.summarize")
    shape = ("token_index", "label") if options.get("token_index") else ("labels",)
    named = [options.get(name, name) for name in ("sentence_id", *shape)]
    named += probability_names(options.get("pred_probs", "pred_probs"))
    named += [options[name] for name in ("tokens", "token") if options.get(name)]
    df = columns_alone(df, named)
    found = find_issues(df, **options)
    given = options.get("label", "label") if options.get("token_index") else "label"
    texts = options.get("token") if options.get("token_index") else options.get("tokens")
    text = ([options["token"]] if options.get("token_index") else ["token"]) if texts else []
    issues = found.where(IS_LABEL_ISSUE)
    for pair in exclude:
        issues = issues.where(
            ~((column(given) == F.lit(pair[0])) & (F.col(PREDICTED_LABEL) == F.lit(pair[1])))
        )
    renamed = issues.select(
        *(column(name).alias("token") for name in text),
        column(given).alias("given_label"),
        F.col(PREDICTED_LABEL).alias("predicted_label"),
    )
    fit_names = ("sentence_id", "labels", "token_index", "label", "pred_probs", "classes")
    model = fit(df, **{name: options[name] for name in fit_names if name in options})
    return TokenHealth(
        dataset_health(model),
        _commonest(renamed, ["token"], top) if text else None,
        _commonest(renamed, renamed.columns, top),
    )


def _commonest(issues: DataFrame, by: Sequence[str], top: int) -> pd.DataFrame:
    counts = issues.groupBy(*by).agg(F.count(F.lit(1)).alias("num_label_issues"))
    return counts.orderBy(F.desc("num_label_issues"), *by).limit(top).toPandas()
