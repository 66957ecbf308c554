"""Where the rules of pruning cut a table, and which of its rows lie below the cuts.

All but one look are at the *facts* of rows, which are narrow. Pruning by noise rate takes, of each
pair (given k, true j), the rows of class k with the lowest margin p_k - p_j. A row whose label is
predicted is never an issue but takes its place in that order, with a margin of at least 0. So where
a pair's quota is met by negative margins, the probabilities of the other rows alone decide, and the
facts have them. Only pairs whose quota is not met need one more look at the whole table, where each
batch gives the few lowest margins of those pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, MapType, StructField, StructType

from lq_spark.core.constants import FLOATING_POINT_SLACK, PROBABILITY_SLACK
from lq_spark.core.pairs import ClassPairs
from lq_spark.core.quotas import Quotas
from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.select import Cut, lowest_cuts, take
from lq_spark.engine.verbs import map_rows
from lq_spark.tasks.issue_batches import (
    AGREES,
    BELOW,
    CUT_SCHEMA,
    DOUBTFUL,
    ENTRIES,
    ENTRIES_SCHEMA,
    GUESS,
    MARGIN,
    ORDER,
    PAIR,
    TIED,
    cut_batch,
    entries_batch,
)
from lq_spark.tasks.label_facts import INDEX, FactCounts, Rule, fact

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_NEGATIVE = -2.0 * FLOATING_POINT_SLACK
"""A margin as low as this has no row whose label is predicted."""


@dataclass(frozen=True, slots=True)
class PairCuts:
    """Where each pair of classes is cut.

    Attributes
    ----------
    given : ndarray of int64, shape (m,)
        The given class of each pair.
    pairs : ClassPairs
    cuts : mapping of int to Cut
        For each of the m pairs that has rows to take.
    """

    given: NDArray[np.int64]
    pairs: ClassPairs
    cuts: Mapping[int, Cut]


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a table is cut: by a score in each group of rows, and by pairs of classes."""

    by_score: Mapping[int, Cut] = field(default_factory=dict)
    by_pair: PairCuts | None = None


def find_cuts(
    facts: DataFrame, whole: DataFrame, key: str, rule: Rule, counts: FactCounts, quotas: Quotas
) -> Cuts:
    """Return where a rule cuts a table.

    Parameters
    ----------
    facts : DataFrame
        The key and the facts of each row; read several times.
    whole : DataFrame
        Columns ``key``, ``index``, ``pred_probs`` of the same rows; read once, if at all.
    key : str
        Name of the key column in ``facts``.
    rule, counts, quotas
        What is to be cut, and how many rows there are and are to be taken.
    """
    if rule.prunes_classes:
        wanted = dict(enumerate(quotas.per_class.tolist()))
    elif rule.order_by is not None:
        wanted = {0: counts.n_label_issues}
    else:
        wanted = {}
    ordered = (
        facts.select(
            _score_group(rule).alias("group"), fact(ORDER).alias("value"), column(key).alias("key")
        )
        if wanted
        else facts
    )
    return Cuts(
        lowest_cuts(ordered, wanted),
        _pair_cuts(facts, whole, key, quotas) if rule.prunes_pairs else None,
    )


def flagged(
    df: DataFrame, key: str, rule: Rule, cuts: Cuts, n_classes: int, name: str
) -> DataFrame:
    """Return the table, which has facts, with a boolean column: whether a row is an issue. Lazy."""
    agrees, guess = fact(AGREES), fact(GUESS)
    if rule.filter_by == "predicted_neq_given":
        return df.withColumn(name, ~agrees)
    if rule.filter_by == "confident_learning":
        return df.withColumn(name, (guess >= 0) & (guess != fact(INDEX)) & ~agrees)
    conditions: list[Column] = [] if rule.filter_by.startswith("low_") else [~agrees]
    added = []
    if rule.order_by is not None:
        added.append("__lq_taken")
        df = take(
            df,
            cuts.by_score,
            "__lq_taken",
            group=_score_group(rule),
            value=fact(ORDER),
            key=column(key),
            key_type=column_type(df, key),
        )
        conditions.append(F.col("__lq_taken"))
    if cuts.by_pair is not None:
        added.append("__lq_below")
        df = _below_pair_cuts(df, key, cuts.by_pair, n_classes, "__lq_below")
        conditions.append(F.col("__lq_below"))
    issue = conditions[0]
    for condition in conditions[1:]:
        issue = issue & condition
    return df.withColumn(name, issue).drop(*added)


def _score_group(rule: Rule) -> Column:
    return fact(INDEX) if rule.prunes_classes else F.lit(0)


def _pair_cuts(facts: DataFrame, whole: DataFrame, key: str, quotas: Quotas) -> PairCuts:
    n_classes = len(quotas.per_class)
    pairs = ClassPairs.ordered(n_classes, quotas.given, quotas.true)
    doubtful = facts.select(
        column(key).alias("key"), fact(INDEX).alias("index"), fact(DOUBTFUL).alias("pred_probs")
    ).where("pred_probs is not null")
    cuts = _cuts_of_entries(doubtful, n_classes, pairs, quotas.per_pair, highest=_NEGATIVE)
    unmet = np.array(
        [pair for pair in range(len(quotas.given)) if pair not in cuts or cuts[pair].n_missing],
        dtype=np.int64,
    )
    if len(unmet):
        [(surest,)] = doubtful.agg(F.max(F.get("pred_probs", F.col("index").cast("int")))).collect()
        if surest is not None:  # no margin of a row that can be an issue is higher
            some = ClassPairs.ordered(n_classes, quotas.given[unmet], quotas.true[unmet])
            highest = surest + PROBABILITY_SLACK
            found = _cuts_of_entries(
                whole, n_classes, some, quotas.per_pair[unmet], highest=highest
            )
            cuts |= {int(unmet[place]): cut for place, cut in found.items()}
    return PairCuts(quotas.given, pairs, cuts)


def _cuts_of_entries(
    rows: DataFrame,
    n_classes: int,
    pairs: ClassPairs,
    quotas: NDArray[np.int64],
    *,
    highest: float,
) -> dict[int, Cut]:
    function = entries_batch(n_classes, pairs, quotas, highest)
    found = map_rows(function, [F.col("index"), F.col("pred_probs")], ENTRIES_SCHEMA)
    entries = (
        rows.withColumn("found", found)
        .select("key", F.explode(f"found.{ENTRIES}").alias("entry"))
        .select(
            F.col(f"entry.{PAIR}").alias("group"), F.col(f"entry.{MARGIN}").alias("value"), "key"
        )
        .persist()
    )
    try:
        return lowest_cuts(entries, dict(enumerate(quotas.tolist())))
    finally:
        entries.unpersist()


def _below_pair_cuts(
    df: DataFrame, key: str, found: PairCuts, n_classes: int, name: str
) -> DataFrame:
    cut = np.full(len(found.given), -np.inf)
    has_key = np.zeros(len(found.given), dtype=bool)
    keys: dict[int, dict[int, Any]] = {}
    for pair, where in found.cuts.items():
        cut[pair] = where.value
        if where.key is not None:
            has_key[pair] = True
            keys.setdefault(int(found.given[pair]), {})[pair] = where.key
    function = cut_batch(n_classes, found.pairs, cut, has_key)
    df = df.withColumn("__lq_cut", map_rows(function, [fact(INDEX), fact(DOUBTFUL)], CUT_SCHEMA))
    below = F.col(f"__lq_cut.{BELOW}")
    if not keys:
        return df.withColumn(name, below).drop("__lq_cut")
    schema = StructType(
        [
            StructField("__lq_class", LongType()),
            StructField("__lq_keys", MapType(LongType(), column_type(df, key))),
        ]
    )
    table = df.sparkSession.createDataFrame(list(keys.items()), schema)
    tied = F.exists(f"__lq_cut.{TIED}", lambda pair: column(key) <= F.element_at("__lq_keys", pair))
    joined = df.join(table.hint("broadcast"), fact(INDEX) == F.col("__lq_class"), "left")
    return joined.withColumn(name, below | F.coalesce(tied, F.lit(False))).drop(
        "__lq_cut", *table.columns
    )
