"""How a run differs from an earlier one: differences of metrics, now minus before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from lq_spark.job.gate import Metrics

Joint = Mapping[tuple[str, str], float]
"""(given, true) class -> share of the rows; pairs of two classes alone."""

Row = tuple[str, str | None, float | None]


def drift(now: Metrics, before: Metrics, joint: Joint | None, joint_before: Joint) -> Iterator[Row]:
    """Yield (metric, class or None, difference), of what both runs have.

    Distances between shares, and between joints, are total variation distances: half the sum of
    the absolute differences, 0 the same, 1 nothing in common.
    """
    shares, shares_before = _shares(now), _shares(before)
    if shares and shares_before:
        for label in dict.fromkeys([*shares, *shares_before]):
            change = shares.get(label, 0.0) - shares_before.get(label, 0.0)
            yield "drift_class_share", label, change
        yield "drift_class_shares", None, _distance(shares, shares_before)
        if joint is not None and before.get(("label_issues", None)) is not None:
            full, full_before = _full(joint, shares), _full(joint_before, shares_before)
            yield "drift_joint", None, _distance(full, full_before)
    for (metric, name), value in now.items():
        if metric == "class_threshold":
            yield from _difference("drift_class_threshold", name, value, before.get((metric, name)))
    rate = ("issue_rate", None)
    yield from _difference("drift_issue_rate", None, now.get(rate), before.get(rate))


def _difference(
    metric: str, name: str | None, now: float | None, before: float | None
) -> Iterator[Row]:
    if now is not None and before is not None:
        yield metric, name, now - before


def _shares(metrics: Metrics) -> dict[str, float]:
    """Return the share of each class; nothing of an empty table."""
    counts = {
        str(name): value
        for (metric, name), value in metrics.items()
        if metric in ("class_rows", "class_tokens", "class_pixels", "class_boxes")
        and value is not None
    }
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total else {}


def _full(joint: Joint, shares: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Return a joint with its diagonal: each class has its share of the rows in all."""
    diagonal: defaultdict[str, float] = defaultdict(float, shares)
    for (given, _), value in joint.items():
        diagonal[given] -= value
    return {**joint, **{(name, name): value for name, value in diagonal.items()}}


def _distance(now: Mapping[Any, float], before: Mapping[Any, float]) -> float:
    return 0.5 * sum(abs(now.get(key, 0.0) - before.get(key, 0.0)) for key in {**now, **before})
