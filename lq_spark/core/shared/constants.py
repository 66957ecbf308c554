"""The constants that cleanlab 2.9.0 computes with: only with these do our numbers equal its."""

from __future__ import annotations

from typing import Final

FLOATING_POINT_SLACK: Final = 1e-6
"""Slack where a probability is compared with a threshold or with the other probabilities."""

TINY: Final = 1e-100
"""Floor of denominators in the algebra of the joint and the noise matrices."""

CLIPPING_LOWER_BOUND: Final = 1e-6
"""Floor of the self-confidence in the entropy score, of a member's probabilities in a log loss."""

CONFIDENT_THRESHOLDS_LOWER_BOUND: Final = 2e-6
"""Floor of the confident threshold of a class that occurs."""

ABSENT_CLASS_THRESHOLD: Final = 2.0
"""Confident threshold of a class that never occurs as given label: no probability reaches it."""

PROBABILITY_SLACK: Final = 1e-6
"""How far below 0 a probability may lie before its row is refused."""

SUM_TOLERANCE: Final = 1e-3
"""How far a row's probabilities may sum from 1, and one of them exceed 1, by default. A float32
softmax sums to 1.00002; a table of something else than probabilities is off by far more."""

LARGEST: Final = 1e300
"""Labels and predictions that are numbers are at most this far from 0: differences are finite."""
