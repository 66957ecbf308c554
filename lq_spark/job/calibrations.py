"""How far probabilities can be taken at their word, as sections of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lq_spark.report.parts import Curve, Part, Section, Table, count, number

if TYPE_CHECKING:
    from lq_spark.core.health.calibration import Calibration

N_CLASSES = 10
"""Classes whose probabilities are furthest off that are shown, at most."""

_TITLE = "Calibration of the probabilities"

_MEANING = (
    "Where the line lies below the diagonal the model is surer than it should be. "
    "The error is the mean distance of both over the {} (Guo, Pleiss, Sun, Weinberger 2017, "
    "equation 3); given labels that are wrong count as misses."
)


def calibration_section(found: Calibration | None, rows: str = "rows") -> Section:
    """Return the calibration of the likeliest classes.

    Parameters
    ----------
    found : Calibration or None
        None where there are no rows.
    rows : str
        What they are, in the plural.
    """
    if found is None or not len(found.counts):
        return Section(_TITLE, [])
    return Section(_TITLE, _parts(found, "probability of the likeliest class", rows, rows))


def label_calibration_section(
    found: tuple[Calibration, Sequence[Calibration]] | None, names: Sequence[str]
) -> Section:
    """Return the calibration of the probabilities of labels, of which a row may have any number.

    Parameters
    ----------
    found : (Calibration, sequence of Calibration) or None
        Of all probabilities together, and of each class; None where there are no rows.
    names : sequence of str
        Of the classes.
    """
    if found is None or not len(found[0].counts):
        return Section(_TITLE, [])
    together, of_classes = found
    order = sorted(range(len(names)), key=lambda k: (-of_classes[k].error, k))
    rows = [
        (
            names[k],
            number(of_classes[k].error),
            number(_mean(of_classes[k], is_given=False)),
            number(_mean(of_classes[k], is_given=True)),
        )
        for k in order[:N_CLASSES]
    ]
    table = Table(
        "classes whose probabilities are furthest off",
        ("class", "error", "mean probability", "how often given"),
        rows,
        {"error": None, "mean probability": 1.0, "how often given": 1.0},
    )
    what = "probability of a label"
    return Section(_TITLE, [*_parts(together, what, "rows and labels", "labels of rows"), table])


def _parts(found: Calibration, what: str, over: str, counted: str) -> list[Part]:
    """Return the curve of a calibration, and its numbers."""
    curve = Curve(
        f"expected calibration error {found.error:.4f}",
        found.confidence.tolist(),
        found.accuracy.tolist(),
        (f"mean {what}", "how often it is given"),
        is_share=True,
        meaning=_MEANING.format(over),
    )
    rows = [
        (number(confidence), number(accuracy), count(int(n)))
        for confidence, accuracy, n in zip(
            found.confidence, found.accuracy, found.counts, strict=True
        )
    ]
    table = Table(
        f"by {what}",
        ("mean probability", "how often given", counted),
        rows,
        {"mean probability": 1.0, "how often given": 1.0},
    )
    return [curve, table]


def _mean(found: Calibration, *, is_given: bool) -> float:
    """Return the mean probability, or the share of rows that are given the label."""
    values = found.accuracy if is_given else found.confidence
    return float((values * found.counts).sum() / found.counts.sum())
