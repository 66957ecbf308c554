"""Conditions over the metrics of a run, by which a scheduled job fails or warns.

They look like Python and are never run as it: only what is named here has a meaning. A value that
is not there (a rate of no rows, an earlier run where there is none) is unknown, and so is what
follows from it, unless the rest decides an ``and`` or an ``or`` (Kleene's logic).
"""

from __future__ import annotations

import ast
import math
import operator
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from lq_spark.errors import OptionError, closest, listed

Metrics = Mapping[tuple[str, str | None], float | None]
"""(metric, class or None for the whole table) -> value; None where it is undefined."""

MAX_LENGTH = 500
MAX_DEPTH = 100  # far below what Python's own stack bears
N_CLASSES = 5  # named in what is said
PAIR = " → "
"""Between the given and the predicted class of a metric of pairs."""

CONDITIONS = "< <= > >= == !=, and, or, not"
NUMBERS = (
    "numbers, metrics, metric['class'], previous(metric), abs(x), min(x, y), max(x, y), + - * /"
)
FUNCTIONS: dict[str, Callable[..., float]] = {"abs": abs, "min": min, "max": max}
OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric as a condition mentions it: of the table, of a class, or of each class in turn."""

    metric: str
    name: str | None = None
    each: bool = False
    earlier: bool = False

    def __str__(self) -> str:
        said = self.metric if self.name is None else f"{self.metric}[{self.name!r}]"
        return f"previous({said})" if self.earlier else said


@dataclass(frozen=True, slots=True)
class Operation:
    """A function, which needs to know all its operands."""

    function: Callable[..., float]
    operands: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Junction:
    """``and``, which one False decides, or ``or``, which one True does."""

    decided_by: bool
    operands: tuple[Tree, ...]


Tree = float | Reading | Operation | Junction
Value = float | tuple[str, ...]
"""A number or a truth, or the reasons why it is unknown."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the option ``fail_if`` or ``warn_if``, from :func:`parse_condition`."""

    option: str
    text: str
    tree: Tree = field(repr=False, compare=False)
    readings: tuple[Reading, ...] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a condition is met (None: not judged), for which classes, and what to print of it.

    ``warning`` says which classes the condition names that the run does not have: a slip of the pen
    would otherwise be a gate that never fails.
    """

    condition: Condition
    met: bool | None
    classes: tuple[str, ...]
    said: str
    warning: str | None = None


def parse_condition(
    option: str, text: str, metrics: Collection[str], class_metrics: Collection[str]
) -> Condition:
    """Return a condition over metrics of the whole table and metrics of each class.

    Raises
    ------
    OptionError
        If the text is no condition, or mentions anything else.
    """
    text = text.strip()
    if len(text) > MAX_LENGTH:
        raise OptionError(
            f"{option}: a condition must be at most {MAX_LENGTH} characters, got {len(text)} "
            f"that start with {text[:40]!r}"
        )
    try:
        body = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise OptionError(
            f"{option}: a condition must be like 'issue_rate > 0.05', got {text!r}"
        ) from None
    level: list[ast.AST] = [body]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise OptionError(
            f"{option}: a condition must be nested at most {MAX_DEPTH} deep, got {text!r}"
        )
    tree = _Parser(option, text, metrics, class_metrics).condition(body)
    return Condition(option, text, tree, tuple(dict.fromkeys(_readings(tree))))


def require_classes(condition: Condition, names: Collection[str]) -> None:
    """Raise OptionError if a condition names a class, or a pair, that is none of those."""
    for reading in condition.readings:
        if reading.name is None or reading.name in names:
            continue
        if not all(part in names for part in reading.name.split(PAIR)):
            raise OptionError(
                f"{condition.option}: {condition.text!r} could never be judged: "
                f"{_no_class(reading, names)}"
            )


def judge(condition: Condition, now: Metrics, before: Metrics | None) -> Verdict:
    """Return whether a condition is met by a run; ``before`` is the earlier run, None without one.

    One that mentions a metric of each class is met if it is for any class; classes for which it
    cannot be judged are passed over.
    """
    unknown = (
        r for r in condition.readings if r.name is not None and (r.metric, r.name) not in now
    )
    warning = next(
        (_no_class(r, [str(n) for metric, n in now if metric == r.metric]) for r in unknown), None
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
    said = f"{condition.text}: {seen}" if seen else condition.text
    return Verdict(condition, bool(met), tuple(name for name in met if name is not None), said)


@dataclass(frozen=True, slots=True)
class _Parser:
    """Turns nodes of Python's into a tree, and refuses those that have no meaning here."""

    option: str
    text: str
    metrics: Collection[str]
    class_metrics: Collection[str]

    def condition(self, node: ast.expr) -> Tree:
        match node:
            case ast.Compare() if all(type(op) in OPERATORS for op in node.ops):
                values = [self.number(value) for value in (node.left, *node.comparators)]
                steps = zip(node.ops, values, values[1:], strict=False)
                return Junction(
                    False, tuple(Operation(OPERATORS[type(op)], (a, b)) for op, a, b in steps)
                )
            case ast.BoolOp():
                parts = tuple(self.condition(part) for part in node.values)
                return Junction(isinstance(node.op, ast.Or), parts)
            case ast.UnaryOp(op=ast.Not()):
                return Operation(operator.not_, (self.condition(node.operand),))
        raise self.error(f"a condition must be made with {CONDITIONS}", node)

    def number(self, node: ast.expr) -> Tree:
        match node:
            case ast.Constant(value=int() | float() as value) if (
                not isinstance(value, bool) and value <= sys.float_info.max
            ):
                return float(value)
            case ast.UnaryOp(op=ast.USub()):
                return Operation(operator.neg, (self.number(node.operand),))
            case ast.BinOp() if type(node.op) in OPERATORS:
                sides = (self.number(node.left), self.number(node.right))
                return Operation(OPERATORS[type(node.op)], sides)
            case ast.Call(func=ast.Name(id="previous"), args=[operand], keywords=[]):
                return replace(self.metric(operand), earlier=True)
            case (
                ast.Call(func=ast.Name(id="abs" as name), args=[_], keywords=[])
                | ast.Call(func=ast.Name(id="min" | "max" as name), args=[_, _, *_], keywords=[])
            ):
                return Operation(FUNCTIONS[name], tuple(self.number(arg) for arg in node.args))
            case ast.Name() | ast.Subscript():
                return self.metric(node)
        raise self.error(f"a number must be made of {NUMBERS}", node)

    def metric(self, node: ast.expr) -> Reading:
        match node:
            case ast.Name(id=metric):
                name = None
            case ast.Subscript(
                value=ast.Name(id=metric), slice=ast.Constant(value=str() | int() as name)
            ) if not isinstance(name, bool):
                pass
            case _:
                raise self.error("a metric must be like class_rows, class_rows['cat']", node)
        known = [*self.metrics, *self.class_metrics]
        if metric not in known:
            must = f"a metric must be one of {listed(known, len(known))}"
            raise self.error(must, node, closest(metric, known))
        if name is None:
            return Reading(metric, each=metric in self.class_metrics)
        if metric in self.metrics:
            raise self.error(f"{metric} must be without a class, being of the whole table", node)
        return Reading(metric, str(name))

    def error(self, must: str, node: ast.expr, hint: str = "") -> OptionError:
        given = ast.get_source_segment(self.text, node)
        place = "" if given == self.text else f" in {self.text!r}"
        return OptionError(f"{self.option}: {must}, got {given!r}{place}{hint}")


def _no_class(reading: Reading, names: Collection[str]) -> str:
    there = f"it has {listed(list(names))}" if names else "it has none"
    return f"{reading.metric} has no {reading.name!r}; {there}{closest(str(reading.name), names)}"


def _readings(tree: Tree) -> Iterator[Reading]:
    if isinstance(tree, Reading):
        yield tree
    elif not isinstance(tree, float):
        for operand in tree.operands:
            yield from _readings(operand)


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
