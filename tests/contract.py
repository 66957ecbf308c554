"""What a table of a task's functions says of them: calls, and what each refuses and names."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

import lq_spark
from lq_spark.errors import DataError, LqError, OptionError

K = 3
"""The number of classes of all tables."""


@dataclass(frozen=True)
class Call:
    """A call of a task's function: which options name columns, and the others."""

    function: str
    columns: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kinds:
    """Types that a column may not have, and what is said to be allowed."""

    wrong: tuple[str, ...]
    allowed: str
    of: str = ""


@dataclass(frozen=True)
class Refusal:
    """Options that are refused by the functions that have them all, and what is said.

    ``functions`` are those alone that refuse them.
    """

    options: dict[str, Any]
    said: str
    functions: tuple[str, ...] = ()
    error: type[LqError] = OptionError


@dataclass(frozen=True)
class Fault:
    """Values of a row that make it unfit, and the reason that ``validate`` gives.

    ``table`` is the place of the row's table, ``row`` that of the row in what is scored as one:
    a token of a sentence. ``unseen`` are functions that do not look at what is wrong, ``said`` is
    what the others say, where it is not the reason.
    """

    reason: str
    values: dict[str, Any]
    table: int = 0
    row: int = 0
    unseen: tuple[str, ...] = ()
    said: str = ""


@dataclass(frozen=True)
class Case:
    """A shape of table of a task, and what its functions refuse.

    ``tables`` are the positional arguments; ``columns`` says which columns an option names, as
    a text or a list of them. ``key`` is the option of the id, ``unit`` the number of rows that are
    scored as one, ``fresh`` the column of each table that a new row has a value of its own in.
    ``kinds`` are the wrong types by option, ``more_kinds`` those that something else is said of:
    (option, type, what is said). ``own`` are options that the task has rules of its own for,
    ``empty`` says what functions say that need a row, ``alone`` those that need two; ``needs_key``
    are those that need an id that tells the rows apart, ``twice`` is the reason of rows that have
    the same one, ``not_in_order`` what is said of them. ``tells_names`` are functions whose result
    has the names of columns, ``of_columns`` those whose result has a row a column. ``always`` are
    options without which a function cannot be called.
    """

    task: str
    tables: tuple[pa.Table, ...]
    columns: dict[str, Any]
    calls: tuple[Call, ...]
    key: str = "id"
    unit: int = 1
    fresh: tuple[str, ...] = ("id",)
    kinds: dict[str, Kinds] = field(default_factory=dict)
    more_kinds: tuple[tuple[str, str, str], ...] = ()
    refusals: tuple[Refusal, ...] = ()
    own: frozenset[str] = frozenset()
    faults: tuple[Fault, ...] = ()
    needs_key: tuple[str, ...] = ("find_issues",)
    twice: str = ""
    not_in_order: str = "-"
    empty: dict[str, str] = field(default_factory=dict)
    alone: dict[str, str] = field(default_factory=dict)
    tells_names: tuple[str, ...] = ()
    of_columns: tuple[str, ...] = ()
    always: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def job(self) -> str:
        """The job of the task: one that trains has a verb's name."""
        return "train" if self.task == "training" else self.task

    def first(self, option: str) -> str:
        """Return the column of an option, the first one of several."""
        names = self.columns[option]
        return names if isinstance(names, str) else names[0]

    def table_of(self, option: str) -> list[int]:
        """Return the places of the tables that have an option's columns."""
        first = self.first(option)
        return [i for i, table in enumerate(self.tables) if first in table.column_names]

    def function(self, name: str) -> Any:
        """Return a function of the task."""
        return getattr(getattr(lq_spark, self.task), name)

    def options_of(self, name: str) -> set[str]:
        """Return the options of a function."""
        return set(inspect.signature(self.function(name)).parameters)

    def plain(self, name: str, **options: Any) -> Call:
        """Return the first call of a function with these options alone, and with K if it has it."""
        call = next(call for call in self.calls if call.function == name)
        has_classes = "n_classes" in self.options_of(name) and "features" not in call.columns
        known = {"n_classes": K} if has_classes else {}
        return Call(name, call.columns, known | self.always.get(name, {}) | options)

    def refusing(self, name: str, refusal: Refusal) -> Call:
        """Return a call of a function with the options of a refusal."""
        options = self.always.get(name, {}) | refusal.options
        return Call(name, self.plain(name).columns, options)

    @property
    def functions(self) -> list[str]:
        """The names of the functions that are called."""
        return list(dict.fromkeys(call.function for call in self.calls))

    def refused(self) -> list[tuple[str, Refusal]]:
        """Return each function with each refusal that is for it."""
        common = [r for r in REFUSALS if not self.own & set(r.options)]
        return [
            (name, refusal)
            for refusal in (*common, *self.refusals)
            for name in refusal.functions or self.functions
            if name in self.functions and set(refusal.options) <= self.options_of(name)
        ]

    def unfit(self, place: int, faults: list[Fault]) -> pa.Table:
        """Return a table with rows for each fault after its own, and their reason: ``expected``."""
        table, rows = self.tables[place], []
        for number, fault in enumerate(faults):
            unit = table.slice(0, self.unit).to_pylist()
            fresh = self.fresh[place]
            new = f"new {number}" if isinstance(unit[0][fresh], str) else 1000 + number
            unit = [row | {fresh: new, "expected": fault.reason} for row in unit]
            unit[fault.row] |= fault.values
            rows += unit
        table = table.append_column("expected", pa.nulls(len(table), pa.string()))
        return pa.concat_tables([table, pa.Table.from_pylist(rows, table.schema)])


NAN, INF = float("nan"), float("inf")
_WHOLE = "whole numbers (in a float, double or decimal(p,0) too), booleans and strings"
_MORE_PROBS = (
    "also decimals, a struct or a map by class names, one number (the probability of class 1 of "
    "two), and a list of columns, one a class"
)
KEYS = Kinds(
    ("double", "variant", "interval day to second", "array<int>"),
    "allowed are whole numbers, strings, dates and",
)
LABELS = Kinds(("date", "decimal(4,2)", "array<int>"), f"allowed are {_WHOLE}")
LABEL_LISTS = Kinds(("int", "array<date>"), f"allowed are arrays of {_WHOLE}")
PROBS = Kinds(
    ("array<int>", "array<string>", "int", "array<array<double>>", "string"),
    f"allowed are array<float>, array<double> and a Spark ML vector; {_MORE_PROBS}",
)
NUMBERS = Kinds(
    ("string", "boolean", "array<double>"), "allowed are whole numbers, float, double and decimal"
)
NAMED_LABEL = (
    *("label", "string", "label: column 'label' is string, so classes is needed: the class names "),
)
NAMED_LABELS = (
    *("labels", "array<string>", "labels: column 'labels' holds strings, so classes is needed: "),
)

METHODS = "'self_confidence', 'normalized_margin', 'confidence_weighted_entropy'"
FILTERS = (
    "'prune_by_noise_rate', 'prune_by_class', 'both', 'confident_learning', "
    "'predicted_neq_given', 'low_normalized_margin', 'low_self_confidence'"
)
_SHARE = "frac_noise must be between 0 and 1, got "
_K = "n_classes must be a whole number of at least 2"
_OF_FILTERS = "frac_noise and num_to_remove_per_class go with ['prune_by_noise_rate', "
REFUSALS = (
    Refusal({"classes": []}, "classes must have at least 2 names, got "),
    Refusal({"classes": ["a"]}, "classes must have at least 2 names, got 'a'"),
    Refusal({"classes": [*"abacc"]}, "classes must not have a name twice, got 'a', 'c' twice"),
    Refusal({"classes": "ab"}, "classes must be a list of names, got 'ab'"),
    Refusal({"classes": [0, 1]}, "classes must be a list of names, got [0, 1]"),
    Refusal({"classes": ["a", None]}, "classes must be a list of names, got ['a', None]"),
    Refusal({"classes": ["a", "b"], "n_classes": 3}, "classes has 2 names, K is 3"),
    Refusal(
        {"n_classes": 1},
        "label quality needs K of at least 2 classes, got K = 1",
        error=DataError,
    ),
    Refusal(
        {"n_classes": -3},
        "label quality needs K of at least 2 classes, got K = -3",
        error=DataError,
    ),
    Refusal({"n_classes": "3"}, f"{_K}, got '3'"),
    Refusal({"n_classes": 2.5}, f"{_K}, got 2.5"),
    Refusal({"n_classes": True}, f"{_K}, got True"),
    Refusal({"tolerance": -1}, "tolerance must be a number from 0 to below 1, got -1"),
    Refusal({"tolerance": 1.0}, "tolerance must be a number from 0 to below 1, got 1.0"),
    Refusal({"on_invalid": "drop"}, "on_invalid must be one of 'fail', 'null', got 'drop'"),
    Refusal(
        {"method": "self_confidenc"},
        f"method must be one of {METHODS}, got 'self_confidenc'; did you mean 'self_confidence'?",
    ),
    Refusal({"token_score_method": "margin"}, f"method must be one of {METHODS}, got 'margin'"),
    Refusal(
        {"method": "confidence_weighted_entropy", "adjust_pred_probs": True},
        "adjust_pred_probs=True is not defined for method 'confidence_weighted_entropy'; "
        "use 'self_confidence' or 'normalized_margin'",
    ),
    Refusal(
        {"filter_by": "prune_by_noise_rates"},
        f"filter_by must be one of {FILTERS}, got 'prune_by_noise_rates'; "
        "did you mean 'prune_by_noise_rate'?",
    ),
    Refusal({"filter_by": None}, f"filter_by must be one of {FILTERS}, got None"),
    Refusal({"frac_noise": 1.5}, f"{_SHARE}1.5"),
    Refusal({"frac_noise": -0.1}, f"{_SHARE}-0.1"),
    Refusal({"frac_noise": NAN}, f"{_SHARE}nan"),
    Refusal(
        {"filter_by": "confident_learning", "frac_noise": 0.5},
        f"{_OF_FILTERS}'prune_by_class', 'both'], not 'confident_learning'",
    ),
    Refusal(
        {"filter_by": "low_self_confidence", "num_to_remove_per_class": [1, 1]},
        f"{_OF_FILTERS}'prune_by_class', 'both'], not 'low_self_confidence'",
    ),
    Refusal({"min_examples_per_class": -1}, "min_examples_per_class must be at least 0, got -1"),
    Refusal(
        {"collision_rule": "highest"},
        "collision_rule must be one of 'highest_of_all', 'highest_reached', got 'highest'",
    ),
    *(
        Refusal({"top": top}, f"top must be a whole number of at least 1, got {top!r}")
        for top in (0, -1, 2.5, "3")
    ),
    *(
        Refusal({"temperature": t}, f"temperature must be a number above 0, got {t}")
        for t in (0, -1)
    ),
    *(
        Refusal({"downsample": d}, f"downsample must be a whole number of at least 1, got {d!r}")
        for d in (0, "2")
    ),
)
"""What is refused of options that tasks have in common."""

GOOD_PROBS = [0.5, 0.25, 0.25]


def probability_faults(
    prefix: str = "", column: str = "pred_probs", unseen: tuple[str, ...] = (), **more: Any
) -> list[Fault]:
    """Return the faults that probabilities of K = 3 classes may have.

    ``unseen`` are functions that look at that of class 0 alone.
    """
    return [
        Fault(f"{prefix}{reason}", {column: probs}, **more)
        for reason, probs in (
            ("null pred_probs", None),
            ("pred_probs of wrong length", []),
            ("pred_probs of wrong length", [0.5, 0.5]),
            ("pred_probs of wrong length", [0.25, 0.25, 0.25, 0.25]),
            ("null probability", [None, 0.5, 0.5]),
            ("probability not finite", [NAN, 0.5, 0.5]),
            ("probability not finite", [-INF, 0.0, 0.0]),
            ("probability above 1", [1.1, 0.0, 0.0]),
        )
    ] + [
        Fault(f"{prefix}{reason}", {column: probs}, unseen=unseen, **more)
        for reason, probs in (
            ("null probability", [0.5, None, 0.5]),
            ("probability not finite", [0.5, NAN, 0.5]),
            ("probability below 0", [0.5, -0.1, 0.6]),
            ("probabilities do not sum to 1", [0.5, 0.25, 0.2]),
        )
    ]


def label_faults(prefix: str = "", **more: Any) -> list[Fault]:
    """Return the faults that a label may have."""
    return [
        Fault(f"{prefix}null label", {"label": None}, **more),
        *(Fault(f"{prefix}label out of range", {"label": bad}, **more) for bad in (-1, K)),
    ]
