"""What the tests share: a Spark session, the shared real data, comparison to the bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from beside import embedded_process
from browser import Browser, find_chromium
from pyarrow import fs
from sessions import ON_THIS_MACHINE

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


CATALOG = "spark.sql.catalog."
CONNECTORS = REPOSITORY / ".jars" / "jars"


def lakehouse_settings(warehouse, connectors=CONNECTORS):
    """Return the session settings of conf/lakehouse.conf, the connectors from where they lie.

    Of a format whose connector is not among them there are none.
    """
    lines = (REPOSITORY / "conf" / "lakehouse.conf").read_text().splitlines()
    settings = dict(line.split(None, 1) for line in lines if line.strip() and line[0] != "#")
    jars = sorted(str(jar) for jar in connectors.glob("*.jar"))
    assert jars or connectors != CONNECTORS, "the connectors are not here: scripts/fetch_jars.py"
    there = [kind for kind in ("delta", "iceberg") if any(f"{kind}-spark" in jar for jar in jars)]

    def kept(value):
        return any(f".{kind}." in value for kind in there)

    extensions = filter(kept, settings["spark.sql.extensions"].split(","))
    catalogs = [name for name in ("spark_catalog", "lake") if kept(settings[f"{CATALOG}{name}"])]
    made = {
        key: value
        for key, value in settings.items()
        if key.startswith(tuple(f"{CATALOG}{name}" for name in catalogs))
    }
    if "iceberg" in there:
        made[f"{CATALOG}lake.warehouse"] = str(warehouse)
    # A Delta log of a few entries needs no 50 tasks to be read.
    made["spark.databricks.delta.snapshotPartitions"] = "2"
    return {**made, "spark.sql.extensions": ",".join(extensions), "spark.jars": ",".join(jars)}


ENGINES = ("embedded", "spark", "connect")


def pytest_addoption(parser):
    parser.addoption(
        "--engine",
        choices=ENGINES,
        default="embedded",
        help="embedded: all tests but those of Apache Spark alone; spark, connect: those, and what "
        "is marked so, on classic Spark or through Spark Connect",
    )
    parser.addoption(
        "--results", type=Path, metavar="FILE", help="where tests/tell_results.py writes results"
    )
    parser.addoption(
        "--connectors",
        type=Path,
        default=CONNECTORS,
        metavar="FOLDER",
        help="the connectors of Delta Lake and Iceberg; of other tables the tests are left out",
    )


def pytest_collection_modifyitems(config, items):
    engine = config.getoption("--engine")

    def runs_here(item):
        marks = {mark.name for mark in item.iter_markers()}
        if engine == "embedded":
            return not marks & {"spark_only", "connect_only"}
        return bool(marks & {engine, f"{engine}_only"})

    left_out = [item for item in items if not runs_here(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if runs_here(item)]


@pytest.fixture(scope="session")
def engine(request):
    """The engine that the tests run on: one of ENGINES."""
    return request.config.getoption("--engine")


@pytest.fixture(scope="session")
def engine_named(engine):
    """The engine that the tests run on, as the job names it."""
    name, package = ("Sail", "pysail") if engine == "embedded" else ("Spark", "pyspark")
    return f"{name} {version(package)}"


@pytest.fixture(scope="session")
def embedded():
    """A session of the embedded engine."""
    from lq_spark import local

    session = local.session(cores=2)
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "10000")
    return session


@pytest.fixture(scope="session")
def on_embedded():
    """Call a function of a file on the embedded engine, beside this process: a future result."""
    with embedded_process() as call:
        yield call


@pytest.fixture(scope="session")
def jvm_options():
    """Options for the JVM of a test, which ends before what a server needs has paid for itself."""
    # Only the quick compiler. Its code fills the 48 MB that are its default, and would be swept and
    # made again.
    return "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"


@pytest.fixture(scope="session")
def _spark_session(request, engine):
    name = "embedded" if engine == "embedded" else "_apache_spark"
    return request.getfixturevalue(name)


@pytest.fixture(scope="session")
def _apache_spark(request, engine, jvm_options, tmp_path_factory):
    # Imported here, so that the tests of core run where pyspark is not installed.
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable  # workers with the packages of this run
    # Where worker_daemon is.
    folders = [str(REPOSITORY / "tests"), os.environ.get("PYTHONPATH")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    settings = {
        **ON_THIS_MACHINE,
        # The progress bar is for people.
        "spark.ui.showConsoleProgress": "false",
        # Without it, too, the driver keeps the plans of a thousand queries, as texts.
        "spark.sql.ui.retainedExecutions": "20",
        "spark.sql.maxPlanStringLength": "65536",
        # A few hundred rows in the default 200 shuffle partitions would be 200 tiny tasks.
        "spark.sql.shuffle.partitions": "2",
        # As in production; said here because tests of physical plans depend on it.
        "spark.sql.adaptive.enabled": "true",
        # Spark's default; tests of batch sizes change it and put it back.
        "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
        # Dates and timestamps mean the same on every machine.
        "spark.sql.session.timeZone": "UTC",
        # Tables that a test saves vanish with the other temporary files.
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        # Hundreds of Python workers with thousands of short tasks: they need not import
        # everything anew, and TCP would delay each task by 0.04 s.
        "spark.python.daemon.module": "worker_daemon",
        "spark.python.unix.domain.socket.enabled": "true",
        # The rows of a broadcast join take a page at least, as long as its plan is there: 16 MB.
        "spark.buffer.pageSize": "1m",
        # A heap that is there from the start.
        "spark.driver.extraJavaOptions": f"{jvm_options} -XX:+UseSerialGC -Xms800m -Xmn400m",
    }
    connectors = request.config.getoption("--connectors")
    settings |= lakehouse_settings(tmp_path_factory.mktemp("lake"), connectors)
    builder = SparkSession.builder
    # Two cores, so that rows really are in several Python workers at once.
    builder = builder.remote("local[2]") if engine == "connect" else builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    with warnings.catch_warnings():
        # A Connect client offers all settings again to the server that has started with them; it
        # warns that those of the driver and of the warehouse can no longer be changed.
        warnings.filterwarnings("ignore", message="Failed to set spark", category=UserWarning)
        session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def spark(_spark_session, engine):
    """The Spark session of the run, of the engine that ``--engine`` names."""
    yield _spark_session
    if engine != "embedded":
        _spark_session.catalog.clearCache()


@pytest.fixture
def interpreted(spark, engine):
    """Let Spark interpret expressions until the test ends, where Java that it would make of them,
    and compile, is a quarter of the time, and not what is tested: Delta's own queries."""
    settings = {
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }
    if engine == "embedded":
        yield
        return
    for name, value in settings.items():
        spark.conf.set(name, value)
    yield
    for name in settings:
        spark.conf.unset(name)


@pytest.fixture
def batch_size(spark):
    """Set how many rows Spark puts into one Arrow batch, until the test ends."""
    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(name)
    yield lambda rows: spark.conf.set(name, str(rows))
    spark.conf.set(name, before)


@dataclass(frozen=True)
class ObjectStore:
    """A server of S3 that has the bucket ``labels``, and the keys of its one user."""

    url: str
    access_key: str
    secret_key: str

    def settings(self, **others):
        """Return Hadoop's settings for it."""
        names = {
            "access.key": self.access_key,
            "secret.key": self.secret_key,
            "endpoint": self.url,
            "path.style.access": "true",
            **others,
        }
        return {f"fs.s3a.{name}": value for name, value in names.items()}

    def variables(self):
        """Return the environment variables for it."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def write(self, path, table):
        """Write a Parquet file, not by what is tested."""
        scheme, _, host = self.url.partition("://")
        files = fs.S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            region="us-east-1",
            scheme=scheme,
            endpoint_override=host,
        )
        pq.write_table(table, path, filesystem=files)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory):
    """A server of S3 on this machine, with its log among the temporary files."""
    # Beside the tests: what it warns of is not theirs.
    line = [sys.executable, "-W", "ignore", str(REPOSITORY / "tests" / "s3_server.py")]
    pipe, log = subprocess.PIPE, tmp_path_factory.mktemp("s3") / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=errors, text=True) as server,
    ):
        yield ObjectStore(**json.loads(server.stdout.readline()))
        server.stdin.close()


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data sets beside the repository; without it, a test of them is skipped.

    Where ``LQ_SPARK_REQUIRE_DATA`` is 1, as in CI, it fails.
    """
    if not SHARED_DATA.is_dir():
        missing = "the real data sets (shared/data beside the repository) are not here"
        if os.environ.get("LQ_SPARK_REQUIRE_DATA") == "1":
            pytest.fail(f"{missing}, and LQ_SPARK_REQUIRE_DATA is 1", pytrace=False)
        pytest.skip(missing)
    return SHARED_DATA


@pytest.fixture(scope="session")
def browser():
    """Chromium; without it, tests of pages are skipped.

    Where ``LQ_SPARK_REQUIRE_BROWSER`` is 1, as in CI, they fail.
    """
    program = find_chromium()
    if program is None:
        missing = "NO BROWSER: no Chromium is installed, so no page was looked at"
        if os.environ.get("LQ_SPARK_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{missing}, and LQ_SPARK_REQUIRE_BROWSER is 1", pytrace=False)
        pytest.skip(missing)
    running = Browser(program)
    yield running
    running.close()


@pytest.fixture(scope="session")
def quietly():
    """Call cleanlab without its warnings, of which a test run would make errors."""

    def call(function, *args, **kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return call


@pytest.fixture(scope="session")
def assert_same_bits():
    """Assert that two float64 or int64 arrays are equal in every bit, the sign of 0 included."""

    def check(actual, expected, what=""):
        assert actual.dtype == expected.dtype, what
        assert actual.shape == expected.shape, what
        np.testing.assert_array_equal(actual.view(np.int64), expected.view(np.int64), what)

    return check
