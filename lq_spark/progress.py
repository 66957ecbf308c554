"""What a long call is doing, as a line that people can see while they wait.

In a terminal or a notebook the line is written over, with the seconds that have passed; in a log
each step is a line of its own.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TextIO

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
    sink = _sink(sys.stderr)
    if not (sink.is_rewritten if _wanted is None else _wanted):
        yield
        return
    line = _lines.line
    line.begin(name if number is None else f"{name} ({number} of {of})", sink)
    try:
        yield
    finally:
        line.end()


class _Sink:
    """Where a line is shown: here a log, which keeps each."""

    is_rewritten = False

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def show(self, text: str) -> None:
        """Show a line in place of the one before; an empty one in the end."""
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the stream may be closed
            self.stream.write(text)
            self.stream.flush()


class _Terminal(_Sink):
    is_rewritten = True

    def show(self, text: str) -> None:
        self._write(f"\r{text}\x1b[K")  # which clears the rest of the line


class _Notebook(_Sink):
    is_rewritten = True

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._handle: Any = None

    def show(self, text: str) -> None:
        from IPython.display import display

        shown = {"text/plain": text}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown, raw=True)


def _sink(stream: TextIO | None) -> _Sink:
    if stream is None:  # a process without a console
        return _Sink(io.StringIO())
    if type(stream).__module__.startswith("ipykernel"):
        return _Notebook(stream)
    return _Terminal(stream) if stream.isatty() else _Sink(stream)


@dataclass
class _Line:
    """The line of a thread, and the steps that it tells of, each within the one before."""

    steps: list[tuple[str, float]] = field(default_factory=list)
    sink: _Sink = field(default_factory=lambda: _Sink(io.StringIO()))
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, text: str, sink: _Sink) -> None:
        with self._lock:
            self.steps.append((text, time.monotonic()))
            if len(self.steps) == 1:
                self.sink, self._ended = sink, threading.Event()
                if sink.is_rewritten:
                    threading.Thread(target=self._tick, args=(self._ended,), daemon=True).start()
            self._show()

    def end(self) -> None:
        with self._lock:
            self.steps.pop()
            if not self.steps:
                self._ended.set()
            if self.sink.is_rewritten:
                self._show()

    def _tick(self, ended: threading.Event) -> None:
        while not ended.wait(TICK):
            with self._lock:
                if not ended.is_set():
                    self._show()

    def _show(self) -> None:
        text = ": ".join(name for name, _ in self.steps)
        if self.steps and self.sink.is_rewritten:
            text += f", {time.monotonic() - self.steps[-1][1]:.0f} s"
        self.sink.show(text)


class _Lines(threading.local):
    def __init__(self) -> None:
        self.line = _Line()


_lines = _Lines()
