"""The embedded engine: Sail, a Spark Connect server in this Python process. No Java.

>>> from lq_spark import local, multiclass
>>> spark = local.session()  # doctest: +SKIP
>>> multiclass.find_issues(spark.read.parquet("labels.parquet"))  # doctest: +SKIP

Results are the same as Spark's, to the bit. What outgrows one machine is for Spark: see README.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from types import TracebackType
from typing import TYPE_CHECKING, cast

from lq_spark.errors import EngineError, OptionError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.session import SparkSession as ConnectSession

_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

_LEAST_MEMORY = 64 << 20
"""With less, even a sort that uses files cannot start."""


@dataclass(slots=True)
class _Server:
    """The server of this process: where it listens, what it was started with, its session."""

    url: str
    memory: int | None
    cores: int | None
    session: ConnectSession | None = None


_server: _Server | None = None


def session(*, memory: str | int | None = None, cores: int | None = None) -> SparkSession:
    """Return a session of the embedded engine, which is started once a process.

    It listens on a port of this machine that the operating system chooses, and ends with the
    process. Intermediate rows are in the folder for temporary files (``TMPDIR``).

    Parameters
    ----------
    memory : str or int, optional
        How much memory sorts, joins and aggregates may use together, in bytes or as ``"4g"``;
        beyond it they use files. Default: no limit. The batches in Python are not counted.
    cores : int, optional
        How many cores to use. Default: all.

    Raises
    ------
    EngineError
        If pysail or the Spark Connect client is not installed, or this process has a session of
        Apache Spark, which allows no other beside it.
    OptionError
        If an option is wrong, or the engine is already running with another value.
    """
    global _server
    wanted = {
        "memory": None if memory is None else _number_of_bytes(memory),
        "cores": None if cores is None else _number_of_cores(cores),
    }
    if _server is None:
        _server = _started(**wanted)
    for option, number in wanted.items():
        there = getattr(_server, option)
        if number not in (None, there):
            raise OptionError(
                f"{option}: the engine is started once a process, and runs already with "
                f"{'the default' if there is None else there}, got {number}"
            )
    if _server.session is None or _server.session.is_stopped:
        _server.session = _connected(_server.url)
    return cast("SparkSession", _server.session)


def _started(memory: int | None, cores: int | None) -> _Server:
    """Start the server. It stops when the process ends."""
    # Its log is for its developers; failures are raised as exceptions.
    os.environ.setdefault("RUST_LOG", "off")
    try:
        import grpc  # noqa: F401 - the client needs it
        from pysail.spark import SparkConnectServer
    except ImportError as error:
        raise EngineError(
            f"the embedded engine is not installed ({error}): pip install 'lq-spark[local]'"
        ) from error
    # Created by the first checkpoint.
    folder = Path(gettempdir()) / f"lq_spark_checkpoints_{os.getpid()}"
    settings: dict[str, str | None] = {
        # A notebook may be left alone overnight.
        "SAIL_SPARK__SESSION_TIMEOUT_SECS": str(7 * 24 * 3600),
        "SAIL_EXECUTION__CHECKPOINT__PATH": f"file://{folder}",
    }
    if memory is not None:
        settings["SAIL_RUNTIME__MEMORY_POOL__TYPE"] = "fair"
        settings["SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE"] = str(memory)
    if cores is not None:
        settings["SAIL_EXECUTION__DEFAULT_PARALLELISM"] = str(cores)
        settings["TOKIO_WORKER_THREADS"] = str(cores)
    with _environment(settings):  # read when the server is created
        server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop)
    sys.excepthook = _ending_interrupted(sys.excepthook)
    address, port = server.listening_address
    return _Server(f"sc://{address}:{port}", memory, cores)


def _ending_interrupted(hook: Callable[..., object]) -> Callable[..., object]:
    """Return a hook for uncaught errors that ends an interrupted program at once.

    The engine goes on with a query after the caller has given up, and an orderly exit would wait.
    """

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        hook(kind, error, trace)
        if issubclass(kind, KeyboardInterrupt):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(128 + signal.SIGINT)

    return end


def _connected(url: str) -> ConnectSession:
    from pyspark.sql import SparkSession

    if type(SparkSession.getActiveSession()) is SparkSession:
        raise EngineError(
            "this process has a session of Apache Spark, beside which there can be no other: use "
            "that one, or stop it first"
        )
    # With a token for another server the client would ask this one for TLS.
    with _environment({"SPARK_CONNECT_AUTHENTICATE_TOKEN": None}):
        spark = cast("ConnectSession", SparkSession.builder.remote(url).create())
    # Within one process no connection is lost. And Ctrl-C must end a waiting call at once: Sail
    # answers a request to interrupt a query only when the query yields.
    spark.client.disable_reattachable_execute()
    spark.client.interrupt_operation = lambda _: []  # type: ignore[assignment]
    atexit.register(spark.stop)
    # Dates and timestamps mean the same on every machine.
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    return spark


@contextmanager
def _environment(settings: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables of the environment, None: unset them, until the context ends."""
    before = {name: os.environ.get(name) for name in settings}
    _set(settings)
    try:
        yield
    finally:
        _set(before)


def _set(settings: Mapping[str, str | None]) -> None:
    for name, value in settings.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _number_of_bytes(memory: str | int) -> int:
    found = re.fullmatch(r"(\d+)\s*([kmgt]?)i?b?", str(memory).strip().lower())
    number = int(found[1]) * _BYTES[found[2]] if found and not isinstance(memory, bool) else 0
    if number < _LEAST_MEMORY:
        raise OptionError(f"memory must be 64m or more, such as '4g', got {memory!r}")
    return number


def _number_of_cores(cores: int) -> int:
    if not isinstance(cores, int) or isinstance(cores, bool) or cores < 1:
        raise OptionError(f"cores must be a whole number of at least 1, got {cores!r}")
    return cores
