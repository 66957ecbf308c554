"""How the command of a job ends: its exit code, and the line that tells of an error."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable

from lq_spark.errors import ColumnError, EngineError, LqError, OptionError
from lq_spark.tables.spec import one_line

DONE, RUN_TIME_ERROR, BAD_ARGUMENTS, GATE_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

_WORST_FIRST = (INTERRUPTED, RUN_TIME_ERROR, BAD_ARGUMENTS, GATE_FAILED, DONE)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a run that an error has ended."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    is_of_user = isinstance(error, (OptionError, ColumnError, EngineError))
    return BAD_ARGUMENTS if is_of_user else RUN_TIME_ERROR


def worst_of(codes: Iterable[int]) -> int:
    """Return the one exit code of several runs.

    >>> worst_of([0, 3, 2, 3])
    2
    """
    return min(codes, key=_WORST_FIRST.index)


def tell(error: Exception, of: str = "") -> None:
    """Print an error as one line on standard error, an unexpected one as a whole before it.

    ``of`` is what the line says first: the file whose run has failed.
    """
    text = str(error)
    if not isinstance(error, LqError):
        text = one_line(error)
        if not text.startswith("[FAILED_READ_FILE"):  # which names the file and the column
            traceback.print_exception(error)
            text = f"{type(error).__name__}: {text}"
    print(f"error: {of}{text}", file=sys.stderr)
