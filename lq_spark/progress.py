"""What a long call is doing, as a line that people can see while they wait.

In a terminal or a notebook the line is written over, with the seconds that have passed; in a log
each step is a line of its own.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TextIO

TICK = 1.0
"""Seconds between two looks at the clock."""

_wanted: bool | None = None


def show(wanted: bool | None) -> None:
    """Say whether progress is shown.

    Parameters
    ----------
    wanted : bool or None
        None, as at first: where the error stream is a terminal, or a notebook shows it.
    """
    global _wanted
    _wanted = wanted


@contextmanager
def step(name: str, number: int | None = None, of: int | None = None) -> Iterator[None]:
    """Show that a step is being done, within those that are: ``multi-class: scores (2 of 3), 7 s``.

    Parameters
    ----------
    name : str
    number, of : int, optional
        Which step it is, from 1, and how many there are.
    """
    is_rewritten = _is_rewritten(sys.stderr)
    if not (is_rewritten if _wanted is None else _wanted):
        yield
        return
    text = name if number is None else f"{name} ({number} of {of})"
    line = _lines.line
    line.begin(text, sys.stderr, is_rewritten=is_rewritten)
    try:
        yield
    finally:
        line.end()


def _is_rewritten(stream: TextIO | None) -> bool:
    """Return whether a line can be written over there: a terminal, or the output of a notebook."""
    if stream is None:  # a process without a console
        return False
    return stream.isatty() or type(stream).__module__.startswith("ipykernel")


@dataclass
class _Line:
    """The line of a thread, and the steps that it tells of, each within the one before."""

    steps: list[tuple[str, float]] = field(default_factory=list)
    stream: TextIO = sys.stderr
    is_rewritten: bool = False
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, text: str, stream: TextIO, *, is_rewritten: bool) -> None:
        with self._lock:
            self.steps.append((text, time.monotonic()))
        if len(self.steps) == 1:
            self.stream, self.is_rewritten, self._ended = stream, is_rewritten, threading.Event()
            if is_rewritten:
                threading.Thread(target=self._tick, args=(self._ended,), daemon=True).start()
        self._draw()

    def end(self) -> None:
        with self._lock:
            self.steps.pop()
            if not self.steps:
                self._ended.set()
            if self.is_rewritten:
                self._draw()

    def _tick(self, ended: threading.Event) -> None:
        while not ended.wait(TICK):
            with self._lock:
                if not ended.is_set():
                    self._draw()

    def _draw(self) -> None:
        names = ": ".join(name for name, _ in self.steps)
        with suppress(OSError, ValueError):  # the stream may be closed
            if not self.is_rewritten:
                self.stream.write(f"{names}\n")
            elif self.steps:
                spent = time.monotonic() - self.steps[-1][1]
                self.stream.write(f"\r{names}, {spent:.0f} s{_CLEAR}")
            else:
                self.stream.write(f"\r{_CLEAR}")
            self.stream.flush()


_CLEAR = "\x1b[K"
"""Clears the rest of a line."""


class _Lines(threading.local):
    def __init__(self) -> None:
        self.line = _Line()


_lines = _Lines()
