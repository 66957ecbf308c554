"""Time lq_spark on both engines against cleanlab, on the same files and cores.

    python scripts/bench.py                          # the scoring job at three sizes, three rounds
    python scripts/bench.py --task issues            # adjusted scores and label issues
    python scripts/bench.py --task detection --size 50000
    python scripts/bench.py --size 4000x21841 --rounds 1 --contenders lq_spark,lq_spark:spark
    python scripts/bench.py --size 1000000x10 --rounds 1 --contenders sail --runs 10    # leaks?
    python scripts/bench.py --task issues --size 5000000x10 --largest-class 0.99

The cases are in scripts/bench_cases, a module a capability; ``--task`` takes a capability or one of
its cases. Each contender runs in a process of its own, in turn (A B C, A B C, …), from a Parquet
file to a Parquet file:

lq_spark   on Apache Spark, a session of two cores
sail       the same on the embedded engine: no JVM, no worker, all in the one process
…:spark    either of them with the engine as the reader, not the Python workers (not by default)
cleanlab   what a competent user would write, where it can hold the data
floor      for rows of one label: Spark with an Arrow UDF that does nothing over the same columns
core       for boxes: lq_spark's functions of cleanlab's names, on arrays in memory

Session start (and for cleanlab the imports) is timed apart. "first" is the first run in a process:
the JVM has compiled nothing yet. "warm" is the median of the later runs in the same process, what a
long-lived session sees. Beside the seconds of a phase is how many Spark jobs it started. CPU
seconds are those of the process and all its children. Memory is the peak of the resident sets over
the whole process; after each run, that of all its processes together and what its temporary folder
holds, the result included, of the last round.
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
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def embedded_session() -> Any:
    from lq_spark import local

    spark = local.session()
    spark.range(1).count()
    return spark


def spark_session(driver_memory: str = "1g") -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("bench")
    for line in (ROOT / "conf" / "spark-defaults.conf").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            key, value = line.split(None, 1)
            builder = builder.config(key, value.strip())
    builder = builder.config("spark.driver.memory", driver_memory)
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    spark.range(1).count()
    return spark


OURS = ("lq_spark", "sail")


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


class JobsOfPhases:
    """Counts the Spark jobs that each phase of a run starts: a phase is a job group."""

    def __init__(self, spark: Any) -> None:
        from lq_spark.job.clock import Clock

        self.context, self.timed, self.seen = spark.sparkContext, Clock.timed, set()
        self.phases: dict[str | None, None] = {None: None}
        counter = self

        @contextlib.contextmanager
        def grouped(clock: Clock, phase: str, note: str = "") -> Iterator[None]:
            outer = counter.context.getLocalProperty("spark.jobGroup.id")
            counter.phases[phase] = None
            counter.context.setLocalProperty("spark.jobGroup.id", phase)
            try:
                with counter.timed(clock, phase, note):
                    yield
            finally:
                counter.context.setLocalProperty("spark.jobGroup.id", outer)

        Clock.timed = grouped  # type: ignore[method-assign]

    def new(self) -> dict[str, int]:
        """Return how many there were since the last call, by phase."""
        tracker, counts = self.context.statusTracker(), {}
        for phase in self.phases:
            found = set(tracker.getJobIdsForGroup(phase)) - self.seen
            self.seen |= found
            if found:
                counts[phase or "other"] = len(found)
        return counts


def contend(case: Any, name: str, folder: str, runs: int) -> None:
    """Run one contender in this process; print one JSON line."""
    memory = PeakMemory()
    memory.start()
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        engine, _, reader = name.partition(":")
        if engine in OURS:
            ours_on = embedded_session() if engine == "sail" else spark_session(case.driver_memory)
            run = case.ours(ours_on, folder, out, reader or "auto")
        else:
            run = case.others[name](folder, out)
        session = time.perf_counter() - start
        jobs = JobsOfPhases(ours_on) if engine == "lq_spark" else None
        if jobs:
            jobs.new()
        found: dict[str, list[Any]] = {
            name: [] for name in ("walls", "cpu", "phases", "jobs", "left")
        }
        for _ in range(runs):
            used, start = cpu_seconds() - memory.cpu_seconds, time.perf_counter()
            found["phases"].append(run() or {})
            found["walls"].append(time.perf_counter() - start)
            found["cpu"].append(cpu_seconds() - memory.cpu_seconds - used)
            found["jobs"].append(jobs.new() if jobs else {})
            found["left"].append(left_behind())
    time.sleep(0.1)
    print(json.dumps({"session": session, **found, **memory.summary()}))
    sys.stdout.flush()
    os._exit(0)  # the JVM goes with its parent


def data_of(case: Any, size: str, folder: Path, largest_class: float | None) -> tuple[Path, int]:
    """Return the folder of a case's data, made if it is not there, and how many units it holds."""
    options = dict(case.data_options)
    if largest_class is not None:
        options["largest_class"] = largest_class
    numbers = case.numbers(size)
    module = case.make_data.__module__.rpartition(".")[2]
    data = folder / "_".join(map(str, (module, *numbers, *options.values())))
    counted = data / "units.txt"  # written last: it says that the data is whole
    if not counted.exists():
        data.mkdir(parents=True, exist_ok=True)
        counted.write_text(str(case.make_data(data, *numbers, **options)))
    return data, int(counted.read_text())


def bench(case: Any, size: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the contenders of a case in turn; print and return what they took."""
    data, n_units = data_of(case, size, folder, options.largest_class)
    wanted = options.contenders and options.contenders.split(",")
    there = [*OURS, *(f"{engine}:spark" for engine in OURS), *case.others]
    default = [name for name in there if ":" not in name]
    contenders = [name for name in there if name in (wanted or default)]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for _, name in itertools.product(range(options.rounds or case.rounds), contenders):
        is_ours = name.partition(":")[0] in OURS
        runs = options.runs or (case.runs if is_ours else case.runs_of_others)
        command = [sys.executable, __file__, "--task", case.name, "--contend", name]
        command += ["--data", str(data), "--runs", str(runs)]
        environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
        with tempfile.TemporaryDirectory(prefix="bench_") as own:
            environment |= {"TMPDIR": own, "SPARK_LOCAL_DIRS": own}
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment, cwd=ROOT
            )
        if done.returncode:
            sys.exit(f"{case.name}: {name} failed\n{done.stderr}")
        results[name].append(json.loads(done.stdout.splitlines()[-1]))
    summary = {name: condense(found) for name, found in results.items()}
    report(case, data.name, n_units, summary)
    return {"task": case.task, "case": case.name, "size": size, "summary": summary, "runs": results}


def condense(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians over the processes of a contender, and their peaks of memory."""
    entry: dict[str, Any] = {"session": median(run["session"] for run in found)}
    # Of a contender that runs once, the one run is the warm one too.
    chosen = {"first": lambda values: values[:1], "warm": lambda values: values[1:] or values}
    for state, of in chosen.items():
        entry[state] = median(median(of(run["walls"])) for run in found)
        entry[f"cpu_{state}"] = median(median(of(run["cpu"])) for run in found)
        entry[f"phases_{state}"] = {
            name: median(median(phases[name] for phases in of(run["phases"])) for run in found)
            for name in found[0]["phases"][0]
        }
        entry[f"jobs_{state}"] = of(found[-1]["jobs"])[-1]
    peaks = {key: max(run[key] for run in found) for key in ("driver_mib", "jvm_mib", "worker_mib")}
    return {**entry, **peaks, "left": found[-1]["left"]}


def report(case: Any, data: str, n_units: int, summary: dict[str, Any]) -> None:
    """Print the figures of the contenders, and the ratios of ours to the others."""
    print(f"\n{case.task}, {case.name}: {n_units:,} {case.units} ({data})")
    head = f"  {'':10}{'session':>9}{'first':>8}{'warm':>8}{'CPU first':>11}{'CPU warm':>10}"
    print(f"{head}{case.units + '/s warm':>20}{'driver':>9}{'JVM':>8}{'worker':>8}  MiB")
    for name, found in summary.items():
        print(
            f"  {name:10}{found['session']:9.2f}{found['first']:8.2f}{found['warm']:8.2f}"
            f"{found['cpu_first']:11.2f}{found['cpu_warm']:10.2f}"
            f"{n_units / found['warm']:20,.0f}{found['driver_mib']:9.0f}{found['jvm_mib']:8.0f}"
            f"{found['worker_mib']:8.0f}"
        )
        for state in ("first", "warm"):
            if found[f"phases_{state}"]:
                print(f"  {'':10}{state}: {phases_text(found, state)}")
        memory = " ".join(f"{of_run[0]:.0f}" for of_run in found["left"])
        files = " ".join(f"{of_run[1]:.2f}" for of_run in found["left"])
        print(f"  {'':10}after each run: memory {memory}; temporary files {files}  MiB")
    ours = [name for name in summary if name.partition(":")[0] in OURS]
    others = [name for name in case.others if name in summary]
    for name, state in itertools.product(ours, ("first", "warm")):
        found = [ratios(case, summary[name], summary[other], other, state) for other in others]
        if found:
            print(f"  {name} {state}: {', '.join(found)}", flush=True)


def phases_text(found: dict[str, Any], state: str) -> str:
    """Return the seconds of each phase of a run, and how many Spark jobs it started."""
    jobs, parts = found[f"jobs_{state}"], []
    for name in dict.fromkeys([*found[f"phases_{state}"], *jobs]):
        seconds = found[f"phases_{state}"].get(name)
        part = name if seconds is None else f"{name} {seconds:.2f}"
        parts.append(f"{part} ({n} jobs)" if (n := jobs.get(name, 0)) else part)
    total = f"; {sum(jobs.values())} Spark jobs" if jobs else ""
    return ", ".join(parts) + total


def ratios(case: Any, ours: dict[str, Any], theirs: dict[str, Any], other: str, state: str) -> str:
    """Return what ours takes in units of what another contender takes."""
    if other == "floor":
        return f"scoring pass / floor {ours[f'phases_{state}']['scores'] / theirs[state]:.2f}"
    parts = {"whole": ours[state] / theirs[state]}
    if case.passes:  # from source to result, without the check of keys and the summary
        seconds = sum(ours[f"phases_{state}"].get(name, 0.0) for name in case.passes)
        parts = {"passes": seconds / theirs[state], **parts}
    parts["CPU"] = ours[f"cpu_{state}"] / theirs[f"cpu_{state}"]
    return ", ".join(f"{part} / {other} {ratio:.2f}" for part, ratio in parts.items())


def versions() -> dict[str, str]:
    names = ("lq-spark", "pyspark", "pyarrow", "numpy", "pandas", "cleanlab", "pysail")
    found = {name: importlib.metadata.version(name) for name in names}
    return {**found, "python": platform.python_version(), "machine": platform.machine()}


def main() -> None:
    from bench_cases import CASES

    tasks = list(dict.fromkeys(word for case in CASES for word in (case.task, case.name)))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=tasks, default="scores", metavar="TASK")
    parser.epilog = f"TASK is a capability or one of its cases: {', '.join(tasks)}"
    parser.add_argument("--size", action="append", help="number of rows, or ROWSxCLASSES")
    parser.add_argument("--contenders", help="names with commas (default: all of the case)")
    parser.add_argument("--rounds", type=int, help="processes of each contender (default: 1 or 3)")
    parser.add_argument("--runs", type=int, help="runs in one process")
    parser.add_argument("--largest-class", type=float, help="share of class 0 (default: balanced)")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--folder", type=Path, help="where the made data stays (default: deleted)")
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parser.parse_args()
    cases = [case for case in CASES if options.task in (case.task, case.name)]
    if options.contend:
        contend(cases[0], options.contend, options.data, options.runs)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="bench_"))
    try:
        found = [
            bench(case, size, folder, options)
            for case in cases
            for size in options.size or case.sizes
        ]
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    if options.json:
        content = {"versions": versions(), "cores": os.cpu_count(), "cases": found}
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
