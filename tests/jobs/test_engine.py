"""Which engine a job runs on, and that its results do not depend on it."""

import pytest

from lq_spark.errors import EngineError, OptionError
from lq_spark.job import engine
from lq_spark.job.engine import chosen_engine, started_session


@pytest.fixture(autouse=True)
def no_signs_of_spark(monkeypatch):
    for sign in engine._SIGNS_OF_SPARK:
        monkeypatch.delenv(sign, raising=False)


@pytest.mark.parametrize(
    ("told", "environment", "expected"),
    [
        (None, {}, "embedded"),
        (None, {"SPARK_REMOTE": "sc://here"}, "spark"),
        (None, {"PYSPARK_GATEWAY_PORT": "1234"}, "spark"),
        (None, {"DATABRICKS_RUNTIME_VERSION": "17.0"}, "spark"),
        (None, {"SPARK_REMOTE": ""}, "embedded"),
        ("embedded", {"PYSPARK_GATEWAY_PORT": "1234"}, "embedded"),
        ("spark", {}, "spark"),
    ],
)
def test_spark_runs_it_where_the_process_was_given_one(monkeypatch, told, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert chosen_engine(told) == expected


def test_another_word_is_refused():
    with pytest.raises(OptionError, match="engine must be one of 'embedded', 'spark', got 'sail'"):
        chosen_engine("sail")


@pytest.mark.parametrize("option", [{"memory": "4g"}, {"cores": 2}])
def test_memory_and_cores_are_of_the_embedded_engine(option):
    [name] = option
    with (
        pytest.raises(OptionError, match=f"^{name}: is of the embedded engine"),
        started_session("app", "spark", **option),
    ):
        pass


def test_the_client_of_spark_connect_alone_starts_no_spark(monkeypatch):
    monkeypatch.setattr("pyspark.util.is_remote_only", lambda: True)
    with (
        pytest.raises(EngineError, match="the client of Spark Connect alone; name a server in"),
        started_session("app", "spark"),
    ):
        pass


def test_options_of_the_engine_reach_it(embedded):
    with started_session("app", "embedded", cores=2) as session:
        assert session is embedded
    with (
        pytest.raises(OptionError, match=r"^cores: the engine is started once a process"),
        started_session("app", None, cores=5),
    ):
        pass
