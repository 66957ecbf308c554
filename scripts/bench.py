"""Time the scoring job against cleanlab and against Spark's own floor, on the same file and cores.

    python scripts/bench.py                          # the three standard sizes, three rounds
    python scripts/bench.py --task issues            # adjusted scores and label issues
    python scripts/bench.py --size 4000x21841 --rounds 1 --contenders lq_spark
    python scripts/bench.py --size 1000000x10 --rounds 1 --contenders sail --runs 10    # leaks?
    python scripts/bench.py --task issues --size 5000000x10 --largest-class 0.99

Each contender runs in a process of its own, in turn (A B C, A B C, …), on the same two cores:

lq_spark   the body of jobs/score_dataset.py: keys, thresholds, scores (and issues), summary, swap
sail       the same on the embedded engine: no JVM, no worker, all in the one process
cleanlab   what a competent user would write: pyarrow read, zero-copy (n, K) array, adjusted scores
           (and find_label_issues with its own parallelism), pyarrow write
floor      Spark with an identity Arrow UDF over the same columns: the same read and write

Session start (and for cleanlab the imports) is timed apart. "first" is the first run in a process:
the JVM has compiled nothing yet. "warm" is the median of the later runs in the same process, what a
long-lived session sees. CPU seconds are those of the process and all its children. Memory is the
peak of the resident sets over the whole process; after each run, that of all its processes together
and what its temporary folder holds, the result included, of the last round.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import itertools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SIZES = ("4000000x10", "800000x100", "80000x1000")
WARM_RUNS = 3
BLOCK_PROBABILITIES = 1 << 23
ENGINE = "LQ_SPARK_BENCH_ENGINE"


def make_data(
    path: Path, n_rows: int, n_classes: int, largest_class: float | None = None, seed: int = 0
) -> None:
    """Write seeded softmax output as float32 Parquet, 10 % of the labels replaced by chance.

    ``largest_class`` is the share of class 0 (and 1 % of the labels are replaced); where not given,
    all classes are as large.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    block = max(1, min(1 << 17, BLOCK_PROBABILITIES // n_classes))
    schema = pa.schema(
        {"id": pa.int64(), "label": pa.int32(), "pred_probs": pa.list_(pa.float32())}
    )
    with pq.ParquetWriter(path, schema, use_dictionary=["label"]) as writer:
        for start in range(0, n_rows, block):
            n = min(block, n_rows - start)
            truth = rng.integers(0, n_classes, n)
            if largest_class is not None:
                truth[rng.random(n) < largest_class] = 0
            logits = rng.standard_normal((n, n_classes), dtype=np.float32)
            logits[np.arange(n), truth] += 3 + np.log(n_classes)
            probs = np.exp(logits)
            probs /= probs.sum(axis=1, keepdims=True)
            noise = rng.integers(0, n_classes, n)
            label = np.where(rng.random(n) < (0.1 if largest_class is None else 0.01), noise, truth)
            offsets = pa.array(np.arange(n + 1, dtype=np.int32) * n_classes)
            columns = [
                pa.array(np.arange(start, start + n)),
                pa.array(label.astype(np.int32)),
                pa.ListArray.from_arrays(offsets, pa.array(probs.ravel())),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=n)


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the arguments, and have :func:`spark_session` of all children give their engine."""
    parser.add_argument(
        "--engine", choices=("spark", "embedded"), help="what runs lq_spark (default: spark)"
    )
    options = parser.parse_args()
    if options.engine:
        os.environ[ENGINE] = options.engine
    return options


def embedded_session() -> Any:
    from lq_spark import local

    spark = local.session()
    spark.range(1).count()
    return spark


def spark_session() -> Any:
    if os.environ.get(ENGINE) == "embedded":
        return embedded_session()
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("bench")
    for line in (ROOT / "conf" / "spark-defaults.conf").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            key, value = line.split(None, 1)
            builder = builder.config(key, value.strip())
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    spark.range(1).count()
    return spark


def job_body(
    session: Callable[[], Any], path: str, out: str, method: str, task: str
) -> Callable[[], dict[str, float]]:
    from lq_spark.job.config_file import load_config
    from lq_spark.job.run import JobRun

    spark = session()
    flags = {"input": path, "output": f"{out}/scores", "method": method, "adjust_pred_probs": True}
    flags["find_issues"] = task == "issues"
    config = load_config(None, flags)
    return lambda: JobRun(spark, config).run().seconds


def cleanlab_body(path: str, out: str, method: str, task: str) -> Callable[[], dict[str, float]]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    def run() -> dict[str, float]:
        start = time.perf_counter()
        table = pq.read_table(path)
        probs = table["pred_probs"].combine_chunks()
        matrix = probs.flatten().to_numpy().reshape(len(probs), -1)
        label = table["label"].to_numpy()
        read = time.perf_counter()
        scores = get_label_quality_scores(label, matrix, method=method, adjust_pred_probs=True)
        scored = time.perf_counter()
        result = {
            "id": table["id"],
            "label": table["label"],
            "predicted_label": matrix.argmax(axis=1),
            "label_quality": scores,
        }
        if task == "issues":
            result["is_label_issue"] = find_label_issues(label, matrix)
        found = time.perf_counter()
        pq.write_table(pa.table(result), f"{out}/scores.parquet")
        return {
            "read": read - start,
            "scores": scored - read,
            "issues": found - scored,
            "write": time.perf_counter() - found,
        }

    return run


def floor_body(path: str, out: str, method: str, task: str) -> Callable[[], dict[str, float]]:
    import pyarrow as pa
    from pyspark.sql import functions as F

    spark = spark_session()

    def same(label: pa.Array, pred_probs: pa.Array) -> pa.Array:
        return pa.StructArray.from_arrays(
            [label.cast(pa.float64()), label], names=["label_quality", "predicted_label"]
        )

    same.__annotations__ = {"label": pa.Array, "pred_probs": pa.Array, "return": pa.Array}
    udf = F.arrow_udf(same, "struct<label_quality: double, predicted_label: int>")

    def run() -> dict[str, float]:
        start = time.perf_counter()
        (
            spark.read.parquet(Path(path).absolute().as_uri())
            .withColumn("new", udf("label", "pred_probs"))
            .select("id", "label", "new.predicted_label", "new.label_quality")
            .write.mode("overwrite")
            .parquet(f"file://{out}/floor")
        )
        return {"scores": time.perf_counter() - start}

    return run


TASKS = {"lq_spark": partial(job_body, spark_session), "sail": partial(job_body, embedded_session)}
CONTENDERS = {**TASKS, "cleanlab": cleanlab_body, "floor": floor_body}


def process_tree() -> dict[int, list[str]]:
    """Return this process and its children, with the fields of /proc/PID/stat from the state on."""
    stats: dict[int, list[str]] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                stat = (process / "stat").read_text()
                stats[int(process.name)] = stat.rpartition(")")[2].split()
    tree = [os.getpid()]
    for pid in tree:
        tree += [child for child, rest in stats.items() if int(rest[1]) == pid]
    return {pid: stats[pid] for pid in tree}


def cpu_seconds() -> float:
    """Return what the processes have used so far, and those that they have waited for."""
    ticks = sum(int(field) for rest in process_tree().values() for field in rest[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def left_behind() -> tuple[float, float]:
    """Return the MiB that the processes and the temporary folder hold."""
    pages = sum(int(rest[21]) for rest in process_tree().values())
    counted = ["du", "--summarize", "--bytes", tempfile.gettempdir()]
    files = int(subprocess.run(counted, capture_output=True, text=True).stdout.split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), files / (1 << 20)


class PeakMemory(threading.Thread):
    """Watches this process and its children; peaks in MiB of Python, workers and the JVM."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peaks: dict[int, tuple[str, float]] = {}
        self.cpu_seconds = 0.0

    def run(self) -> None:
        """Sample until the process ends."""
        while True:
            for pid in process_tree():
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
                if "VmHWM" in fields:
                    name = fields["Name"].strip()
                    self.peaks[pid] = (name, int(fields["VmHWM"].split()[0]) / 1024)
            self.cpu_seconds = time.thread_time()
            time.sleep(0.1)

    def summary(self) -> dict[str, float]:
        """Return the peaks so far."""
        own = self.peaks.pop(os.getpid(), ("", 0.0))[1]
        jvm = max((peak for name, peak in self.peaks.values() if name == "java"), default=0.0)
        # Not the commands that the JVM forks: before they start, they are as large as it is.
        workers = [peak for name, peak in self.peaks.values() if name.startswith("python")]
        worker = max(workers, default=0.0)
        return {"driver_mib": round(own), "jvm_mib": round(jvm), "worker_mib": round(worker)}


def contend(name: str, path: str, method: str, task: str, runs: int) -> None:
    """Run one contender in this process; print one JSON line."""
    memory = PeakMemory()
    memory.start()
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        body = CONTENDERS[name](path, out, method, task)
        session = time.perf_counter() - start
        found: dict[str, list[Any]] = {"walls": [], "cpu": [], "phases": [], "left": []}
        for _ in range(runs):
            used, start = cpu_seconds() - memory.cpu_seconds, time.perf_counter()
            found["phases"].append(body())
            found["walls"].append(time.perf_counter() - start)
            found["cpu"].append(cpu_seconds() - memory.cpu_seconds - used)
            found["left"].append(left_behind())
    time.sleep(0.1)
    print(json.dumps({"session": session, **found, **memory.summary()}))
    sys.stdout.flush()
    os._exit(0)  # the JVM goes with its parent


def passes(phases: dict[str, float]) -> float:
    """Return the seconds from source to result, without the check of keys and the summary."""
    return sum(phases.get(name, 0.0) for name in ("thresholds", "scores", "cuts", "issues"))


def bench(size: str, contenders: list[str], folder: Path, options: Any) -> dict[str, Any]:
    n_rows, n_classes = map(int, size.split("x"))
    skew = "" if options.largest_class is None else f"_{options.largest_class}"
    path = folder / f"{size}{skew}.parquet"
    if not path.exists():
        make_data(path, n_rows, n_classes, options.largest_class)
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name in contenders:
            command = [sys.executable, __file__, "--contend", name, "--data", str(path)]
            command += ["--method", options.method, "--task", options.task]
            command += ["--runs", str(options.runs)]
            environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
            with tempfile.TemporaryDirectory(prefix="bench_") as own:
                environment |= {"TMPDIR": own, "SPARK_LOCAL_DIRS": own}
                done = subprocess.run(
                    command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT
                )
            results[name].append(json.loads(done.stdout.splitlines()[-1]))
    summary = {name: condense(name, found) for name, found in results.items()}
    report(size, n_rows, summary)
    return {"size": size, "task": options.task, "summary": summary, "runs": results}


def condense(name: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    median = statistics.median
    entry: dict[str, Any] = {
        "session": median(run["session"] for run in found),
        "first": median(run["walls"][0] for run in found),
        "warm": median(median(run["walls"][1:] or run["walls"]) for run in found),
        "cpu_first": median(run["cpu"][0] for run in found),
        "cpu_warm": median(median(run["cpu"][1:] or run["cpu"]) for run in found),
        "phases_first": {
            k: median(r["phases"][0][k] for r in found) for k in found[0]["phases"][0]
        },
        "phases_warm": {
            k: median(median(p[k] for p in run["phases"][1:] or run["phases"]) for run in found)
            for k in found[0]["phases"][0]
        },
        **{k: max(run[k] for run in found) for k in ("driver_mib", "jvm_mib", "worker_mib")},
        "left": found[-1]["left"],
    }
    if name in TASKS:
        for state in ("first", "warm"):
            entry[f"passes_{state}"] = passes(entry[f"phases_{state}"])
    return entry


def report(size: str, n_rows: int, summary: dict[str, Any]) -> None:
    print(f"\n{size} float32")
    head = f"  {'':10}{'session':>9}{'first':>8}{'warm':>8}{'CPU first':>11}{'CPU warm':>10}"
    print(f"{head}{'rows/s warm':>14}{'driver':>9}{'JVM':>8}{'worker':>8}  MiB")
    for name, found in summary.items():
        print(
            f"  {name:10}{found['session']:9.2f}{found['first']:8.2f}{found['warm']:8.2f}"
            f"{found['cpu_first']:11.2f}{found['cpu_warm']:10.2f}"
            f"{n_rows / found['warm']:14,.0f}{found['driver_mib']:9.0f}{found['jvm_mib']:8.0f}"
            f"{found['worker_mib']:8.0f}"
        )
        spent = ", ".join(f"{k} {v:.2f}" for k, v in found["phases_warm"].items())
        print(f"  {'':10}warm: {spent}")
        memory = " ".join(f"{of_run[0]:.0f}" for of_run in found["left"])
        files = " ".join(f"{of_run[1]:.2f}" for of_run in found["left"])
        print(f"  {'':10}after each run: memory {memory}; temporary files {files}  MiB")
    jobs = [name for name in summary if name in TASKS]
    for name, state in itertools.product(jobs, ("first", "warm")):
        ours, ratios = summary[name], []
        if "floor" in summary:
            ratio = ours[f"phases_{state}"]["scores"] / summary["floor"][state]
            ratios.append(f"scoring pass / floor {ratio:.2f}")
        if "cleanlab" in summary:
            theirs = summary["cleanlab"]
            ratios.append(f"passes / cleanlab {ours[f'passes_{state}'] / theirs[state]:.2f}")
            ratios.append(f"whole job / cleanlab {ours[state] / theirs[state]:.2f}")
            ratio = ours[f"cpu_{state}"] / theirs[f"cpu_{state}"]
            ratios.append(f"CPU / cleanlab {ratio:.2f}")
        if ratios:
            print(f"  {name} {state}: {', '.join(ratios)}")


def versions() -> dict[str, str]:
    names = ("lq-spark", "pyspark", "pyarrow", "numpy", "pandas", "cleanlab", "pysail")
    found = {name: importlib.metadata.version(name) for name in names}
    return {**found, "python": platform.python_version(), "machine": platform.machine()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", action="append", help=f"ROWSxCLASSES (default: {SIZES})")
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=1 + WARM_RUNS, help="runs in one process")
    parser.add_argument("--method", default="self_confidence")
    parser.add_argument("--task", choices=("scores", "issues"), default="scores")
    parser.add_argument("--largest-class", type=float, help="share of class 0 (default: balanced)")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--folder", type=Path, help="where the made data stays (default: deleted)")
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contend:
        contend(options.contend, options.data, options.method, options.task, options.runs)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="bench_"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = [
            bench(size, options.contenders.split(","), folder, options)
            for size in options.size or SIZES
        ]
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    if options.json:
        content = {"versions": versions(), "cores": os.cpu_count(), "sizes": found}
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
