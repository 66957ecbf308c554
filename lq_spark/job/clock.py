"""How long a run takes, and what it says of that meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lq_spark.progress import step


class Clock:
    """How long each phase of a run took, on the wall."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._within = 0.0

    @contextmanager
    def timed(self, phase: str, note: str = "") -> Iterator[None]:
        """Add the time of a block to a phase; a phase within another one counts for itself.

        People who wait are told of the phase, with a note.
        """
        start, outer = time.perf_counter(), self._within
        self._within = 0.0
        try:
            with step(f"{phase}{note}"):
                yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[phase] = self.seconds.get(phase, 0.0) + spent - self._within
            self._within = outer + spent
