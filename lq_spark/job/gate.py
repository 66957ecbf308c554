"""Conditions over the metrics of a run, by which a scheduled job fails or warns.

A value that is not there (a rate of no rows, an earlier run where there is none) is unknown, and so
is what follows from it, unless the rest decides an ``and`` or an ``or`` (Kleene's logic).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from lq_spark.job.conditions import Condition, Junction, Reading, Tree, no_class

Metrics = Mapping[tuple[str, str | None], float | None]
"""(metric, class or None for the whole table) -> value; None where it is undefined."""

N_CLASSES = 5
"""How many classes an explanation names."""

Value = float | tuple[str, ...]
"""A number or a truth, or the reasons why it is unknown."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a condition is met (None: not judged), for which classes, and why.

    ``warning`` says which classes the condition names that the run does not have: a slip of the pen
    would otherwise be a gate that never fails.
    """

    condition: Condition
    met: bool | None
    classes: tuple[str, ...]
    explanation: str
    warning: str | None = None


def judge(condition: Condition, now: Metrics, before: Metrics | None) -> Verdict:
    """Return whether a condition is met by a run; ``before`` is the earlier run, None without one.

    One that mentions a metric of each class is met if it is for any class; classes for which it
    cannot be judged are passed over.
    """
    unknown = (
        r for r in condition.readings if r.name is not None and (r.metric, r.name) not in now
    )
    warning = next(
        (no_class(r, [str(n) for metric, n in now if metric == r.metric]) for r in unknown), None
    )
    return replace(_judged(condition, now, before), warning=warning)


def _judged(condition: Condition, now: Metrics, before: Metrics | None) -> Verdict:
    each = {reading.metric for reading in condition.readings if reading.each}
    names = dict.fromkeys(name for metric, name in now if metric in each) if each else [None]
    reads = {name: partial(_read, at=name, now=now, before=before) for name in names}
    results = {name: _evaluate(condition.tree, read) for name, read in reads.items()}
    met = [name for name, result in results.items() if result is True]
    unmet = sum(result is False for result in results.values())
    if not met and not unmet:
        reasons = _reasons(results.values()) or (f"no class has {' or '.join(sorted(each))}",)
        return Verdict(condition, None, (), f"not judged: {'; '.join(reasons)}")
    if not each:
        seen = ", ".join(f"{r} {v}" for r, v in _seen(condition, reads[None]))
    elif not met:
        seen = f"no class of {unmet}"
    else:
        seen = ", ".join(_class_seen(condition, name, reads[name]) for name in met[:N_CLASSES])
        seen += f" and {len(met) - N_CLASSES} more" if len(met) > N_CLASSES else ""
    explanation = f"{condition.text}: {seen}" if seen else condition.text
    names_met = tuple(name for name in met if name is not None)
    return Verdict(condition, bool(met), names_met, explanation)


def _read(reading: Reading, at: str | None, now: Metrics, before: Metrics | None) -> Value:
    """Return the value of a metric, at the class ``at`` if it is read of each."""
    metrics = before if reading.earlier else now
    if metrics is None:
        return ("no earlier successful run",)
    key = (reading.metric, at if reading.each else reading.name)
    value = metrics.get(key)
    if value is not None and not math.isnan(value):
        return float(value)
    if reading.name is not None and key not in metrics:
        return (f"{replace(reading, name=None)} has no class {reading.name!r}",)
    return (f"{reading} has no value",)


def _evaluate(tree: Tree, read: Callable[[Reading], Value]) -> Value:
    if isinstance(tree, Reading):
        return read(tree)
    if isinstance(tree, float):
        return tree
    values = [_evaluate(operand, read) for operand in tree.operands]
    if isinstance(tree, Junction):
        if any(value is tree.decided_by for value in values):
            return tree.decided_by
        return _reasons(values) or not tree.decided_by
    if reasons := _reasons(values):
        return reasons
    try:
        result = tree.function(*values)
    except ZeroDivisionError:
        return ("division by zero",)
    return ("a result is not a number",) if math.isnan(result) else result


def _reasons(values: Iterable[Value]) -> tuple[str, ...]:
    """Return why values are unknown, each reason once."""
    unknown = (value for value in values if isinstance(value, tuple))
    return tuple(dict.fromkeys(reason for reasons in unknown for reason in reasons))


def _seen(condition: Condition, read: Callable[[Reading], Value]) -> list[tuple[Reading, str]]:
    """Return each metric of a condition with its value as text."""
    values = [(reading, read(reading)) for reading in condition.readings]
    return [(r, "unknown" if isinstance(v, tuple) else _number(v)) for r, v in values]


def _number(value: float) -> str:
    """Return counts in full, and six digits of anything else."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"


def _class_seen(condition: Condition, name: str | None, read: Callable[[Reading], Value]) -> str:
    seen = _seen(condition, read)
    values = f"({', '.join(f'{r} {v}' for r, v in seen)})" if len(seen) > 1 else seen[0][1]
    return f"class {name!r} {values}"
