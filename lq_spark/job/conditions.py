"""Conditions over the metrics of a run: what they may say, and what of it has a meaning.

They look like Python and are never run as it.
"""

from __future__ import annotations

import ast
import operator
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lq_spark.errors import OptionError, closest, listed

MAX_LENGTH = 500
MAX_DEPTH = 100  # far below what Python's own stack bears
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
        text = self.metric if self.name is None else f"{self.metric}[{self.name!r}]"
        return f"previous({text})" if self.earlier else text


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


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the option ``fail_if`` or ``warn_if``, from :func:`parse_condition`."""

    option: str
    text: str
    tree: Tree = field(repr=False, compare=False)
    readings: tuple[Reading, ...] = field(repr=False, compare=False)


def parse_condition(
    option: str,
    text: str,
    metrics: Collection[str],
    class_metrics: Collection[str],
    renamed: Mapping[str, str] = {},
) -> Condition:
    """Return a condition over metrics of the whole table and metrics of each class.

    ``renamed`` says what metrics of other names are called now, for the message.

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
    tree = _Parser(option, text, metrics, class_metrics, renamed).condition(body)
    return Condition(option, text, tree, tuple(dict.fromkeys(_readings(tree))))


def require_classes(condition: Condition, names: Collection[str]) -> None:
    """Raise OptionError if a condition names a class, or a pair, that is none of those."""
    for reading in condition.readings:
        if reading.name is None or reading.name in names:
            continue
        if not all(part in names for part in reading.name.split(PAIR)):
            raise OptionError(
                f"{condition.option}: {condition.text!r} could never be judged: "
                f"{no_class(reading, names)}"
            )


@dataclass(frozen=True, slots=True)
class _Parser:
    """Turns nodes of Python's into a tree, and refuses those that have no meaning here."""

    option: str
    text: str
    metrics: Collection[str]
    class_metrics: Collection[str]
    renamed: Mapping[str, str]

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
            now = self.renamed.get(metric)
            raise self.error(must, node, closest(now or metric, known))
        if name is None:
            return Reading(metric, each=metric in self.class_metrics)
        if metric in self.metrics:
            raise self.error(f"{metric} must be without a class, being of the whole table", node)
        return Reading(metric, str(name))

    def error(self, must: str, node: ast.expr, hint: str = "") -> OptionError:
        given = ast.get_source_segment(self.text, node)
        place = "" if given == self.text else f" in {self.text!r}"
        return OptionError(f"{self.option}: {must}, got {given!r}{place}{hint}")


def no_class(reading: Reading, names: Collection[str]) -> str:
    """Return in words that a metric has no class of the name that a condition mentions."""
    there = f"it has {listed(list(names))}" if names else "it has none"
    return f"{reading.metric} has no {reading.name!r}; {there}{closest(str(reading.name), names)}"


def _readings(tree: Tree) -> Iterator[Reading]:
    if isinstance(tree, Reading):
        yield tree
    elif not isinstance(tree, float):
        for operand in tree.operands:
            yield from _readings(operand)
