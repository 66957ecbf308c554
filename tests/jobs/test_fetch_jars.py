"""The connectors are fetched by Spark itself, or by Maven; what fails on the way is one line."""

import importlib.util
from types import SimpleNamespace

import pytest

TRACEBACK = (
    "Traceback (most recent call last):\n"
    ": java.lang.RuntimeException: [unresolved dependency: io.delta#delta]\n\tat org.apache.spark\n"
)


@pytest.fixture
def fetch(repository, tmp_path, monkeypatch, capsys):
    """Run the script where Spark and Maven end so in turn; return its code and what it printed."""
    script = repository / "scripts" / "fetch_jars.py"
    spec = importlib.util.spec_from_file_location("fetch_jars", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "CACHE", tmp_path / "jars")
    monkeypatch.setattr(module.shutil, "which", lambda name: name)

    def run(spark, maven):
        spark = iter(spark)

        def ended(line, **_):
            code = maven if line[0] == "mvn" else next(spark)
            if code == 0:
                (tmp_path / "jars").mkdir(exist_ok=True)
            said = {"stderr": TRACEBACK, "stdout": "[ERROR] no route\n[ERROR] more"} if code else {}
            return SimpleNamespace(returncode=code, **{"stderr": "", "stdout": "", **said})

        monkeypatch.setattr(module.subprocess, "run", ended)
        return module.main(), capsys.readouterr()

    return run


def test_what_the_second_way_fetches_is_no_failure(fetch):
    code, printed = fetch(spark=[1, 0], maven=0)
    assert (code, printed.err) == (0, "")
    assert printed.out.splitlines() == [
        "Fetching the connectors of Delta Lake, Iceberg and S3 ...",
        "Spark does not reach a repository of them by itself; fetching them by Maven ...",
    ]


@pytest.mark.parametrize(
    ("spark", "maven", "reason"),
    [([1], 1, "mvn: [ERROR] no route"), ([1, 1], 0, "java.lang.RuntimeException: [unresolved")],
)
def test_that_both_ways_fail_is_one_line(spark, maven, reason, fetch):
    code, printed = fetch(spark, maven)
    assert code == 2
    assert len(printed.err.splitlines()) == 1
    assert reason in printed.err
