"""The cases of ``scripts/bench.py``: a module a capability, found by its name.

Each module has a tuple ``CASES``, and nothing else names it.
"""

import importlib
import pkgutil

from bench_cases.case import Case

__all__ = ["CASES", "Case"]

_MODULES = [name for _, name, _ in pkgutil.iter_modules(__path__) if name != "case"]

CASES: tuple[Case, ...] = tuple(
    case for name in _MODULES for case in importlib.import_module(f"bench_cases.{name}").CASES
)
