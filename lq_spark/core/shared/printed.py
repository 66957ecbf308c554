"""What summaries print on standard output if they are verbose, as cleanlab's do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def print_score(score: float, n_rows: int | None, noun: str = "labels") -> None:
    """Print a health score, and the number of issues that it stands for where n_rows is known.

    Examples
    --------
    >>> print_score(0.98, 50)
    Label issues: 1 of 50 labels (2.0 %). Health score: 0.98, where 1 is clean.
    """
    issues = ""
    if n_rows is not None:
        share = 1.0 - score
        issues = f"Label issues: {share * n_rows:.0f} of {n_rows} {noun} ({100 * share:.1f} %). "
    print(f"{issues}Health score: {score:.2f}, where 1 is clean.")


def print_tables(tables: Mapping[str, Any], n_rows: int | None = None) -> None:
    """Print pandas tables in full, each under its title; all below how many rows they are of."""
    if n_rows is not None:
        print(f"Label health of {n_rows} rows\n")
    for title, table in tables.items():
        print(f"{title}\n{table.to_string(index=False)}\n")
