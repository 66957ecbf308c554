"""A standalone cluster of Spark on this machine: a master, and two workers of one core each."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sessions import ON_THIS_MACHINE

Found = TypeVar("Found")

REPOSITORY = Path(__file__).resolve().parents[2]

SETTINGS = {
    **ON_THIS_MACHINE,
    "spark.executor.memory": "512m",
    "spark.sql.shuffle.partitions": "4",
    # Each group of rows is a task of Spark's own reader.
    "spark.sql.files.maxPartitionBytes": "16m",
    # Java that Spark would make of expressions, and compile, is half the time of such small rows.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # One file of events, and in plain text.
    "spark.eventLog.rolling.enabled": "false",
    "spark.eventLog.compress": "false",
}

LOGGED = f"-Dlog4j2.configurationFile={REPOSITORY / 'conf' / 'log4j2.properties'}"


def python_without_project(folder: Path) -> Path:
    """Make a Python that has all packages of this one but the project; return its program.

    The project is not found by name, by an editable install, or by variables.
    """
    program = folder / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.symlink_to(Path(sys.executable).resolve())
    home = Path(sys.base_prefix) / "bin"
    (folder / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    import numpy

    for package in Path(numpy.__file__).parents[1].iterdir():
        if package.suffix != ".pth" and not package.name.startswith("lq_spark"):
            (packages / package.name).symlink_to(package)
    (packages / "held_daemon.py").symlink_to(Path(__file__).with_name("held_daemon.py"))
    return program


def wait_for(
    what: Callable[[], Found], process: subprocess.Popen[bytes], log: Path, seconds: float = 300
) -> Found:
    """Return what is found once it is there; fail if the process that is to make it ends before."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert process.poll() is None, f"it ended before:\n{log.read_text()}"
        assert time.monotonic() < end, f"it did not come:\n{log.read_text()}"
        time.sleep(0.01)
    return found


def executors(application: str) -> list[int]:
    """Return the processes on this machine that are executors of an application."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes().decode().split("\0")
            if application in line and "java" in line[0]:
                found.append(int(folder.name))
    return found


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes
    ----------
    folder : Path
    url : str
        Of the master.
    python : Path
        The Python of drivers and of executors.
    environment : dict of str to str
        Of the command that submits; without a way to the project.
    jvm_options : str
        Of the driver and the executors.
    """

    folder: Path
    url: str
    python: Path
    environment: dict[str, str]
    jvm_options: str

    @property
    def local(self) -> Path:
        """Where executors have their shuffle files."""
        return self.folder / "local"


class Running:
    """A job on a cluster, with what is logged of it in a folder.

    ``held`` Python workers wait as they write: see held_daemon.py.
    """

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        script: Path,
        *arguments: object,
        flags: Sequence[str] = (),
        held: int = 0,
        **settings: str,
    ) -> None:
        self._gate, self._events, self._printed = (
            folder / name for name in ("gate", "events", "printed")
        )
        for made in (self._gate, self._events):
            made.mkdir()
        python = str(cluster.python)
        settings = {
            **SETTINGS,
            "spark.driver.extraJavaOptions": f"{LOGGED} {cluster.jvm_options}",
            "spark.executor.extraJavaOptions": cluster.jvm_options,
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": f"file://{self._events}",
            "spark.pyspark.python": python,
            "spark.pyspark.driver.python": python,
            **settings,
        }
        if held:
            settings["spark.python.daemon.module"] = "held_daemon"
            settings["spark.executorEnv.GATE"] = str(self._gate)
            settings["spark.executorEnv.HELD"] = str(held)
        submit = Path(cluster.environment["SPARK_HOME"], "bin", "spark-submit")
        line = [submit, "--master", cluster.url, *flags]
        line += ["--properties-file", REPOSITORY / "conf" / "spark-defaults.conf"]
        for name, value in settings.items():
            line += ["--conf", f"{name}={value}"]
        with self._printed.open("wb") as output:
            self.process = subprocess.Popen(
                [*map(str, line), str(script), *map(str, arguments)],
                cwd=folder,
                env={**cluster.environment, "GATE": str(self._gate)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait(self, seconds: float = 300) -> str:
        """Wait for the end, and return what was printed."""
        self.process.wait(seconds)
        return self._printed.read_text()

    def wait_for(self, what: Callable[[], Found], seconds: float = 300) -> Found:
        """Return what is found once it is there; fail if the job ends before."""
        return wait_for(what, self.process, self._printed, seconds)

    def held(self) -> list[Path]:
        """Return what waits at the gate."""
        return sorted(self._gate.glob("held-*"))

    def open(self) -> None:
        """Open the gate."""
        (self._gate / "open").touch()

    def kill_executor(self) -> None:
        """Kill an executor of this job, and wait until it is gone."""
        killed = self._executors()[0]
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: killed not in self._executors(), self.process, self._printed)

    def stop(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return what Spark has logged of a kind of event, up to now."""
        lines, _, _being_written = self._log().read_text().rpartition("\n")
        found = map(json.loads, lines.splitlines())
        return [event for event in found if event["Event"] == name]

    def n_tasks(self, reason: str, *, speculative: bool = False) -> int:
        """Return how many tasks have ended so: Success, ExecutorLostFailure, FetchFailed, …"""
        return sum(
            event["Task End Reason"]["Reason"] == reason
            and event["Task Info"]["Speculative"] == speculative
            for event in self.events("SparkListenerTaskEnd")
        )

    def _log(self) -> Path:
        [log] = self._events.glob("app-*")
        return log

    def _executors(self) -> list[int]:
        return executors(self._log().name.partition(".")[0])


@contextmanager
def standalone(folder: Path, jvm_options: str) -> Iterator[Cluster]:
    """Start a cluster of two workers; it is ended with all that it has started."""
    import pyspark

    python = python_without_project(folder / "python")
    home = Path(pyspark.__file__).parent
    signs = ("SPARK", "PYTHON", "REMOTE")
    environment = {k: v for k, v in os.environ.items() if not any(sign in k for sign in signs)}
    environment |= {
        "SPARK_HOME": str(home),
        # Spark's own programs look for it in the names of jars.
        "SPARK_SCALA_VERSION": _scala_version(home / "jars"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
    }
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if "JAVA_HOME" in os.environ else "java"
    line = [str(java), *jvm_options.split(), "-Xmx256m", "-Dspark.master.rest.enabled=false"]
    line += ["-cp", f"{home / 'jars'}/*"]
    at = ["--port", "0", "--webui-port", "0", "--host"]
    of = "org.apache.spark.deploy"
    with ExitStack() as stack:

        def start(name: str, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
            log = folder / f"{name}.log"
            started = _started([*line, *arguments], log, folder, environment)
            return stack.enter_context(started), log

        master, log = start("master", f"{of}.master.Master", *at, "127.0.0.1")
        url_in = re.compile(r"Starting Spark master at (spark://\S+)")
        [url] = wait_for(lambda: url_in.findall(log.read_text()), master, log)
        # By two names: on the host of a slow task Spark starts no other attempt of it.
        for host in ("127.0.0.1", "localhost"):
            work = ["--cores", "1", "--memory", "1g", "--work-dir", str(folder / f"work_{host}")]
            start(f"worker_{host}", f"{of}.worker.Worker", *at, host, *work, url)
        wait_for(lambda: log.read_text().count("Registering worker") == 2, master, log)
        yield Cluster(folder, url, python, environment, jvm_options)


@contextmanager
def _started(
    line: list[str], log: Path, folder: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program, which ends with this process, however that ends."""
    until_closed = '"$@" & read -r _; kill $!; wait'
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["sh", "-c", until_closed, "sh", *line],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a group of its own, which executors are in
        ) as process,
    ):
        try:
            yield process
        finally:
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)  # a worker ends its executors
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _scala_version(jars: Path) -> str:
    [core] = jars.glob("spark-core_*.jar")
    return core.name.removeprefix("spark-core_").partition("-")[0]
