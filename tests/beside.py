"""Run functions of test files on the embedded engine, in a process beside the tests.

A process with a session of classic Spark has no place for a Connect client.
"""

import importlib.util
import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path


def _call(file, function, arguments):
    from lq_spark import local

    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(module, function)(local.session(cores=2), *arguments)


@contextmanager
def embedded_process():
    """Yield what calls a function, found by its file and name, with a session and arguments."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:

        def call(file, function, *arguments):
            return pool.submit(_call, file, function, arguments)

        yield call
