"""Where the rules of pruning cut a table, and which of its rows lie below the cuts.

All but one look are at the *facts* of rows, which are narrow. Pruning by noise rate takes, of each
pair (given k, true j), the rows of class k with the lowest margin p_k - p_j. A row whose label is
predicted is never an issue but takes its place in that order, with a margin of at least 0. So where
a pair's quota is met by negative margins, the probabilities of the other rows alone decide, and the
facts have them. Of a pair whose quota is not met, the doubtful rows that no other pair takes are
left open. The whole table is looked at once more only if rows of their class may have margins as
low as theirs; each batch gives the few lowest of those pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StructField, StructType

from lq_spark.core.label_issues.lowest import LowestMargins, counted_lowest, nth_of_counted
from lq_spark.core.label_issues.margins import ClassPairs, LowMargins, margin_levels
from lq_spark.core.label_issues.quotas import Quotas
from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.shared.blocks import Float64
from lq_spark.core.shared.constants import FLOATING_POINT_SLACK
from lq_spark.engine.inputs import column, column_type
from lq_spark.engine.kept import kept
from lq_spark.engine.key_order import key_input, last_keys
from lq_spark.engine.readings import column_input, reading_of
from lq_spark.engine.select import Cut, lowest_cuts, sorted_cuts, take
from lq_spark.engine.verbs import (
    by_workers,
    map_batches,
    reduce_partitions,
    reduce_rows,
    select,
    select_inputs,
    with_mapped,
)
from lq_spark.tasks.multiclass.batches import (
    AGREES,
    COUNTS_SCHEMA,
    DOUBTFUL,
    GUESS,
    INDEX,
    LEVEL,
    ORDER,
    STATE_SCHEMA,
    bucket_counts,
    bucket_entries,
    counts_batch,
    cut_batch,
    entries_schema,
    equal_entries,
    highest_undecided,
    lowest_entries,
    lowest_margins,
    state_batch,
    states_of_batch,
)
from lq_spark.tasks.multiclass.facts import FactCounts

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_NEGATIVE = -2.0 * FLOATING_POINT_SLACK
"""A margin as low as this has no row whose label is predicted."""

_MAX_SORTED_QUOTA = 1024
"""Up to so many rows of each pair all batches' candidates are sorted, without narrowing."""

_MAX_STATE = 1 << 17
"""Up to so many rows of all pairs the lowest margins of a partition are kept together: 3 MiB."""

_MIN_BUCKETS, _MAX_BUCKETS, _MAX_COUNTS = 4, 256, 1 << 17
"""For a pair, and in all: more buckets leave fewer margins to sort, and more counts to collect."""


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
            _score_group(rule).alias("group"), F.col(ORDER).alias("value"), column(key).alias("key")
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
    is_predicted, guess = F.col(AGREES), F.col(GUESS)
    if rule.filter_by == "predicted_neq_given":
        return df.select("*", (~is_predicted).alias(name))
    if rule.filter_by == "confident_learning":
        is_other = (guess >= 0) & (guess != F.col(INDEX)) & ~is_predicted
        return df.select("*", is_other.alias(name))
    if rule.order_by is None and cuts.by_pair is not None:
        # Of a row whose label is predicted the facts have no probabilities.
        return _below_pair_cuts(df, key, cuts.by_pair, n_classes, name)
    conditions: list[Column] = [] if rule.filter_by.startswith("low_") else [~is_predicted]
    added = []
    if cuts.by_pair is not None:
        added.append("__lq_below")
        df = by_workers(_below_pair_cuts(df, key, cuts.by_pair, n_classes, "__lq_below"))
        conditions.append(F.col("__lq_below"))
    if rule.order_by is not None:
        added.append("__lq_taken")
        df = take(
            df,
            cuts.by_score,
            "__lq_taken",
            group=_score_group(rule),
            value=F.col(ORDER),
            key=column(key),
            key_type=column_type(df, key),
        )
        conditions.append(F.col("__lq_taken"))
    issue = conditions[0]
    for condition in conditions[1:]:
        issue = issue & condition
    return df.withColumn(name, issue).drop(*added)


def _score_group(rule: Rule) -> Column:
    return F.col(INDEX) if rule.prunes_classes else F.lit(0)


def _pair_cuts(facts: DataFrame, whole: DataFrame, key: str, quotas: Quotas) -> PairCuts:
    n_classes = len(quotas.per_class)
    pairs = ClassPairs.ordered(n_classes, quotas.given, quotas.true)
    if not len(quotas.per_pair):
        return PairCuts(quotas.given, pairs, {})
    inputs = {"key": key, "index": INDEX, "pred_probs": DOUBTFUL}
    rows = select_inputs(facts, **{name: column_input(of) for name, of in inputs.items()})
    # The functions of a batch leave out rows without probabilities; Spark sends them none.
    doubtful = rows if reading_of(rows) else rows.where("pred_probs is not null")
    negative = LowMargins(n_classes, pairs, np.full(len(pairs.true), _NEGATIVE))
    is_small = quotas.per_pair.sum() <= _MAX_STATE
    find = _cuts_by_states if is_small else _cuts_by_buckets
    cuts = find(doubtful, negative, quotas.per_pair)
    unmet = np.array(sorted(set(range(len(pairs.true))) - cuts.keys()), dtype=np.int64)
    if len(unmet):
        # Negative margins do not meet the quota, so all of them are taken.
        cuts |= {int(pair): Cut(_NEGATIVE) for pair in unmet}
        some = ClassPairs.ordered(n_classes, quotas.given[unmet], quotas.true[unmet])
        highest = _highest_undecided(doubtful, pairs, cuts, some)
        # Of a pair without undecided rows nothing more is to be known.
        if (highest > -np.inf).any():
            low = LowMargins(n_classes, some, highest)
            rows = whole if _others_are_near(facts, quotas.given[unmet], highest) else doubtful
            found = _cuts_of_all_margins(rows, low, quotas.per_pair[unmet])
            cuts |= {int(unmet[place]): cut for place, cut in found.items()}
    return PairCuts(quotas.given, pairs, cuts)


def _cuts_by_states(
    doubtful: DataFrame, low: LowMargins, quotas: NDArray[np.int64]
) -> dict[int, Cut]:
    """Return the cuts of the pairs whose quota is met by low margins, in one pass over the rows.

    Each partition counts its lowest margins, and one task merges that. Only where equal margins are
    told apart by their keys do these rows have another look.
    """
    states = reduce_partitions(
        select(doubtful, "index", "pred_probs"),
        lowest_margins(low, quotas),
        LowestMargins.merge,
        state_batch,
        STATE_SCHEMA,
    )
    lowest = reduce_rows(
        states.repartition(1),
        states_of_batch(quotas),
        lambda a, b: counted_lowest([a, b], quotas),
    )
    if lowest is None:
        return {}
    nth = nth_of_counted(lowest, quotas)
    left = quotas - nth.n_below
    is_tied = nth.is_met & (left < nth.n_equal)
    cuts = {int(pair): Cut(float(nth.value[pair])) for pair in np.flatnonzero(nth.is_met)}
    if is_tied.any():
        limits = np.where(is_tied, nth.value, -np.inf)
        entries = map_batches(
            doubtful,
            equal_entries(replace(low, limits=limits)),
            entries_schema(doubtful.schema["key"].dataType),
        )
        tied = np.flatnonzero(is_tied)
        cuts |= sorted_cuts(entries, dict(zip(tied.tolist(), left[tied].tolist(), strict=True)))
    return cuts


def _cuts_by_buckets(
    doubtful: DataFrame, low: LowMargins, quotas: NDArray[np.int64]
) -> dict[int, Cut]:
    """Return the cuts of the pairs whose quota is met by low margins, in two passes over the rows.

    Margins are counted in buckets, and those in the buckets that hold the cuts are sorted.
    """
    n_buckets = min(_MAX_BUCKETS, max(_MIN_BUCKETS, _MAX_COUNTS // len(quotas)))
    counts = (
        reduce_partitions(
            select(doubtful, "index", "pred_probs"),
            bucket_counts(low, n_buckets),
            np.add,
            counts_batch(n_buckets),
            COUNTS_SCHEMA,
        )
        .groupBy("group", "bucket")
        .agg(F.sum("rows"))
        .collect()
    )
    # NumPy asks a Row for many an attribute that it does not have, which takes long; a tuple not.
    table = np.array(list(map(tuple, counts)), dtype=np.int64).reshape(-1, 3)
    per_bucket = np.zeros((len(quotas), n_buckets), dtype=np.int64)
    per_bucket[table[:, 0], table[:, 1]] = table[:, 2]
    up_to = per_bucket.cumsum(axis=1)
    is_met = up_to[:, -1] >= quotas
    bucket = np.where(is_met, (up_to >= quotas[:, np.newaxis]).argmax(axis=1), -1)
    before = up_to[np.arange(len(quotas)), bucket] - per_bucket[np.arange(len(quotas)), bucket]
    left = np.where(is_met, quotas - before, 0)
    entries = map_batches(
        doubtful,
        bucket_entries(low, bucket, n_buckets),
        entries_schema(doubtful.schema["key"].dataType),
    )
    return sorted_cuts(entries, dict(enumerate(left.tolist())))


def _highest_undecided(
    doubtful: DataFrame, pairs: ClassPairs, cuts: Mapping[int, Cut], some: ClassPairs
) -> Float64:
    """Return for some pairs the highest margin of a row that no cut so far takes."""
    n_classes = len(pairs.starts) - 1
    limits = _limits(cuts, len(pairs.true))
    has_key = np.array([pair in cuts and cuts[pair].key is not None for pair in range(len(limits))])
    everything = LowMargins(n_classes, some, np.full(len(some.true), np.inf))
    highest = reduce_rows(
        select(doubtful, "index", "pred_probs"),
        highest_undecided(LowMargins(n_classes, pairs, limits), ~has_key, everything),
        np.maximum,
    )
    return np.full(len(some.true), -np.inf) if highest is None else highest


def _others_are_near(facts: DataFrame, given: NDArray[np.int64], highest: Float64) -> bool:
    """Return whether rows whose label is predicted may have margins up to the highest ones.

    ``highest`` has one for each pair, whose classes are ``given``.
    """
    lowest = facts.where(AGREES).groupBy(INDEX).agg(F.min(LEVEL)).collect()
    level_of = dict(map(tuple, lowest))
    wanted = highest > -np.inf
    levels = margin_levels((highest[wanted] + 1.0) / 2.0)
    # A class that is not there has no such row.
    there = np.array([level_of.get(k, np.inf) for k in given[wanted].tolist()])
    return bool((there <= levels).any())


def _cuts_of_all_margins(
    whole: DataFrame, low: LowMargins, quotas: NDArray[np.int64]
) -> dict[int, Cut]:
    wanted = dict(enumerate(quotas.tolist()))
    entries = map_batches(
        whole, lowest_entries(low, quotas), entries_schema(whole.schema["key"].dataType)
    )
    if quotas.max() <= _MAX_SORTED_QUOTA:
        return sorted_cuts(entries, wanted)
    with kept(entries) as rows:  # narrowing reads them several times
        return lowest_cuts(rows, wanted)


def _limits(cuts: Mapping[int, Cut], n_pairs: int) -> Float64:
    """Return the value of each pair's cut, -inf without one."""
    values = np.full(n_pairs, -np.inf)
    for pair, cut in cuts.items():
        values[pair] = cut.value
    return values


def _below_pair_cuts(
    df: DataFrame, key: str, found: PairCuts, n_classes: int, name: str
) -> DataFrame:
    """Return the table, which has facts, with a boolean, and without the probabilities. Lazy.

    It is whether a margin lies below the cut of a pair.
    """
    n_pairs = len(found.given)
    low = LowMargins(n_classes, found.pairs, _limits(found.cuts, n_pairs))
    keys = {pair: cut.key for pair, cut in found.cuts.items() if cut.key is not None}
    last = last_keys(keys, n_pairs, column_type(df, key)) if keys else None
    inputs = [column_input(INDEX), column_input(DOUBTFUL)] + [key_input(df, key)] * bool(keys)
    kept = [column for column in df.columns if column != DOUBTFUL]
    schema = StructType([StructField(name, BooleanType())])
    return with_mapped(df, cut_batch(low, last, name), inputs, schema, keep=kept)
