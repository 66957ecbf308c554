"""The embedded engine: how it starts, what it refuses, how it ends."""

import os
import signal
import subprocess
import sys

import pytest

from lq_spark import local
from lq_spark.engine.kinds import engine_of
from lq_spark.errors import EngineError, OptionError


@pytest.fixture
def python(tmp_path):
    """Start a program in a process of its own, with a folder of its own for temporary files."""
    environment = {k: v for k, v in os.environ.items() if "SPARK" not in k}
    environment |= {"TMPDIR": str(tmp_path)}

    def start(program):
        return subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_a_process_has_one_session(embedded, engine_named):
    assert local.session() is embedded
    assert local.session(cores=2) is embedded
    assert str(engine_of(embedded)) == engine_named
    assert embedded.conf.get("spark.sql.session.timeZone") == "UTC"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cores": 0}, "cores must be a whole number of at least 1, got 0"),
        ({"cores": True}, "cores must be a whole number of at least 1, got True"),
        ({"cores": "2"}, "cores must be a whole number of at least 1, got '2'"),
        ({"memory": "much"}, "memory must be 64m or more, such as '4g', got 'much'"),
        ({"memory": "1m"}, "memory must be 64m or more, such as '4g', got '1m'"),
        ({"memory": -5}, "memory must be 64m or more, such as '4g', got -5"),
        (
            {"cores": 3},
            "cores: the engine is started once a process, and runs already with 2, got 3",
        ),
        (
            {"memory": "4 GiB"},
            "memory: the engine is started once a process, and runs already with the default, "
            "got 4294967296",
        ),
    ],
)
def test_a_wrong_option_is_refused(embedded, options, message):
    with pytest.raises(OptionError) as error:
        local.session(**options)
    assert str(error.value) == message


def test_without_its_package_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(local, "_server", None)
    monkeypatch.setitem(sys.modules, "pysail.spark", None)
    with pytest.raises(EngineError, match=r"is not installed .*: pip install 'lq-spark\[local\]'"):
        local.session()


@pytest.mark.spark_only
def test_there_is_none_beside_a_session_of_spark(spark):
    with pytest.raises(EngineError, match="this process has a session of Apache Spark"):
        local.session()


COUNTS = """
import os
from lq_spark import local
spark = local.session(cores=1, memory="256m")
print(spark.client.host, spark.range(10).count(), spark.range(9).localCheckpoint().count())
spark.stop()
print(local.session().range(3).count())
"""


def test_two_processes_at_once_do_not_clash_and_leave_nothing(python, tmp_path):
    processes = [python(COUNTS) for _ in range(2)]
    for process in processes:
        printed, errors = process.communicate(timeout=60)
        assert printed == "127.0.0.1 10 9\n3\n"
        assert errors == ""  # nor a log
        assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


LASTS = """
import time
from pyspark.sql import functions as F
from lq_spark import local
spark = local.session()

def slowly(batches):
    for batch in batches:
        time.sleep(0.02)
        yield batch

rows = spark.range(10_000_000).mapInArrow(slowly, "id bigint").agg(F.sum("id"))
print("begun", flush=True)
rows.collect()
"""


def test_a_waiting_program_is_interrupted_at_once(python):
    process = python(LASTS)
    assert process.stdout.readline() == "begun\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == 130
