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


def sentence_of(error: BaseException) -> str:
    """Return what went wrong in one line, of an unexpected error with its type."""
    if isinstance(error, LqError):
        return str(error)
    text = one_line(error)
    return text if _says_it_all(text) else f"{type(error).__name__}: {text}"


def tell(error: Exception, of: str = "") -> None:
    """Print an error as one line on standard error, an unexpected one as a whole before it.

    ``of`` is what the line says first: the file whose run has failed.
    """
    if not isinstance(error, LqError) and not _says_it_all(one_line(error)):
        traceback.print_exception(error)
    print(f"error: {of}{sentence_of(error)}", file=sys.stderr)


def _says_it_all(text: str) -> bool:
    return text.startswith("[FAILED_READ_FILE")  # which names the file and the column
