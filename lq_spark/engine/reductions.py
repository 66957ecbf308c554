"""What is made of all rows of a table, one small state each, in a pass that is made anyway."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import pyarrow as pa

from lq_spark.engine.readings import Input, Made, made_by_workers, reading_of
from lq_spark.engine.verbs import reduce_rows, select_inputs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

State = TypeVar("State")
States = dict[str, Any]


@dataclass(frozen=True)
class Reduction(Generic[State]):
    """A state of all rows of a table.

    Attributes
    ----------
    inputs : mapping of str to Input
        The columns that ``partial`` needs.
    partial, merge : callable
        As for :func:`lq_spark.engine.verbs.reduce_rows`.
    """

    inputs: Mapping[str, Input]
    partial: Callable[[pa.RecordBatch], State]
    merge: Callable[[State, State], State]

    def by_workers(self, df: DataFrame) -> bool:
        """Return whether workers read what it needs of a table."""
        return reading_of(select_inputs(df, **self.inputs)) is not None


Reductions = Mapping[str, Reduction[Any]]


class Reduced(NamedTuple):
    """Rows that were written, or kept.

    Attributes
    ----------
    rows : DataFrame
        As they are read from there.
    states : dict of str
        By the names of the reductions that were asked for; None for a table without rows.
    """

    rows: DataFrame
    states: States


class Scratch(Protocol):
    """Writes down rows that several passes need; they are gone after the run."""

    def __call__(self, df: DataFrame, reductions: Mapping[str, Reduction[Any]] = {}) -> Reduced:
        """Return the rows as they are read from there, and reduced."""


def reduce_all(df: DataFrame, reductions: Reductions) -> States:
    """Return the states of a table, from one pass over it; None for a table without rows."""
    if not reductions:
        return {}
    inputs: dict[str, Input] = {}
    makers = {}
    for name, reduction in reductions.items():
        own = {column: f"{name}_{column}" for column in reduction.inputs}
        inputs |= {own[column]: made for column, made in reduction.inputs.items()}
        makers[name] = {column: Made(source, None) for column, source in own.items()}
    partial = _partial(makers, reductions)
    states = reduce_rows(select_inputs(df, **inputs), partial, merging(reductions))
    return dict.fromkeys(reductions) if states is None else states


def unwritten(df: DataFrame, reductions: Mapping[str, Reduction[Any]] = {}) -> Reduced:
    """Return a table that need not be written, and reduced."""
    return Reduced(df, reduce_all(df, reductions))


def partial_by_workers(reductions: Reductions) -> Callable[[pa.RecordBatch], States] | None:
    """Return (rows of the table) -> their states; None if an input is for the engine to make."""
    makers = {}
    for name, reduction in reductions.items():
        made = made_by_workers(reduction.inputs)
        if made is None:
            return None
        makers[name] = made
    return _partial(makers, reductions)


def merging(reductions: Reductions) -> Callable[[States, States], States]:
    """Return (states, states) -> the states of both."""
    merges = {name: reduction.merge for name, reduction in reductions.items()}
    return lambda a, b: {name: merge(a[name], b[name]) for name, merge in merges.items()}


def merged_states(pickled: Iterable[bytes], reductions: Reductions) -> States:
    """Return the states of all rows, from those of the tasks."""
    if not reductions:
        return {}
    states = map(pickle.loads, pickled)  # two at a time
    first: States | None = next(states, None)
    if first is None:
        return dict.fromkeys(reductions)
    return functools.reduce(merging(reductions), states, first)


def _partial(
    makers: Mapping[str, Mapping[str, Made]], reductions: Reductions
) -> Callable[[pa.RecordBatch], States]:
    parts = {name: (reductions[name].partial, made) for name, made in makers.items()}

    def run(batch: pa.RecordBatch) -> States:
        return {
            name: partial(
                pa.RecordBatch.from_pydict({column: one.of(batch) for column, one in made.items()})
            )
            for name, (partial, made) in parts.items()
        }

    return run
