"""What a case of the benchmark is, and what the making of data has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

Run = Callable[[], Mapping[str, float] | None]
"""Does the work once; returns the seconds of its phases, where there are several."""


@dataclass(frozen=True)
class Case:
    """One comparison: seeded data, lq_spark's way over it, and that of others.

    Attributes
    ----------
    task, name : str
        ``--task`` takes either.
    sizes : tuple of str
        ``--size`` replaces them: a number, or ROWSxCLASSES.
    make_data : callable
        (folder, *numbers of the size, **data_options) -> how many ``units``; writes Parquet files.
    ours : callable
        (session, folder, out, reader) -> Run, where the reader is the job's option; on Spark it is
        ``lq_spark``, on the embedded engine ``sail``.
    others : mapping of str to callable
        (folder, out) -> Run.
    units : str
        What is counted a second.
    share : float
        How much of the size this case takes, at least 100.
    data_options : mapping
        More keywords of ``make_data``.
    passes : tuple of str
        The phases that other contenders have too.
    rounds, runs, runs_of_others : int
        Processes of each contender, and runs in each of them.
    driver_memory : str
        Of the JVM.
    """

    task: str
    name: str
    sizes: tuple[str, ...]
    make_data: Callable[..., int]
    ours: Callable[[Any, str, str, str], Run]
    others: Mapping[str, Callable[[str, str], Run]] = field(default_factory=dict)
    units: str = "rows"
    share: float = 1.0
    data_options: Mapping[str, Any] = field(default_factory=dict)
    passes: tuple[str, ...] = ()
    rounds: int = 1
    runs: int = 2
    runs_of_others: int = 1
    driver_memory: str = "1g"

    def numbers(self, size: str) -> list[int]:
        """Return the numbers of a size, the first of them this case's share."""
        first, *others = map(int, size.split("x"))
        return [first if self.share == 1 else max(100, round(first * self.share)), *others]


def softmax(
    rng: np.random.Generator, truth: np.ndarray, n_classes: int, sureness: float
) -> np.ndarray:
    """Return seeded float32 probabilities, shape (n, K), of a model that mostly sees the truth."""
    logits = rng.standard_normal((len(truth), n_classes), dtype=np.float32)
    logits[np.arange(len(truth)), truth] += sureness
    probs = np.exp(logits)
    probs /= probs.sum(axis=1, keepdims=True)
    return probs


def nested_lists(array: np.ndarray) -> pa.Array:
    """Return an array as an Arrow column of (nested) lists, an element a row."""
    values = pa.array(array.reshape(-1))
    for size in reversed(array.shape[1:]):
        offsets = np.arange(0, len(values) + 1, size, dtype=np.int32)
        values = pa.ListArray.from_arrays(pa.array(offsets), values)
    return values


def lists(lengths: np.ndarray, values: Any) -> pa.Array:
    """Return values as an Arrow column of lists of these lengths."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets), values if isinstance(values, pa.Array) else pa.array(values)
    )


def job(
    spark: Any, folder: str, out: str, reader: str, *, task: str, rows: str = "rows", **keys: Any
) -> Run:
    """Return the body of jobs/score_dataset.py on the made data: from keys to the tables in place.

    ``rows`` is the table that is scored; a value of ``keys`` that names another has ``{folder}``.
    """
    from lq_spark.job.config_file import load_config
    from lq_spark.job.run import opened_run

    named = {
        key: value.format(folder=folder) if isinstance(value, str) else value
        for key, value in keys.items()
    }
    places = {"input": f"{folder}/{rows}.parquet", "output": f"{out}/scores"}
    config = load_config(None, {**places, "reader": reader, **named}, task)

    def run() -> dict[str, float]:
        with opened_run(spark, config) as opened:
            return opened.run().seconds

    return run
