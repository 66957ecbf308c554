"""The table of the environments that are compared, and how they are."""

import json
from pathlib import Path

import compare_results
import pytest
from compare_results import differences, near

TABLE = Path(__file__).parent.parent / "scripts" / "matrix.txt"
ROWS = [line.split() for line in TABLE.read_text().splitlines() if not line.startswith("#")]
SESSIONS = {"spark", "connect", "embedded", "doctests"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_pins_its_packages_and_connectors_of_its_spark(row):
    _, _, sessions, packages, connectors = row
    assert set(sessions.split(",")) <= SESSIONS
    pinned = dict(package.split("==") for package in packages.split(","))
    if connectors != "-":
        line = ".".join(pinned["pyspark"].split(".")[:2])
        for connector in connectors.split(","):
            _, name, _ = connector.split(":")
            # Delta Lake of Spark 3.5 does not say so.
            assert line in name or (line, name) == ("3.5", "delta-spark_2.12")


def test_names_are_unique():
    assert len({row[0] for row in ROWS}) == len(ROWS)


def results(numpy="2.1.0", **columns):
    return {"numpy": numpy, "parts": {"multiclass": columns}}


def test_results_are_compared_to_the_bit():
    one, other = results(score="0.1 (5)", issue="true"), results(score="0.1 (6)", issue="true")
    assert list(differences(one, one)) == []
    assert list(differences(one, other)) == ["multiclass · score: 0.1 (5) and 0.1 (6)"]
    assert list(differences(one, results(score="0.1 (5)"))) == [
        "multiclass · issue: true and nothing"
    ]


def test_of_another_numpy_only_the_last_bits_may_differ():
    one = results(score="0.3 (5)", issue="true")
    near_one = results("1.26.0", score="0.30000000000000004 (6)", issue="true")
    assert list(differences(one, near_one)) == []
    assert len(list(differences(one, results("1.26.0", score="0.30001 (9)", issue="true")))) == 1
    assert len(list(differences(one, results("1.26.0", score="0.3 (5)", issue="false")))) == 1
    assert near('"x: 1.5e-07"', '"x: 1.50000000000000001e-07"')
    assert not near('"row 1"', '"row 2"')


def test_what_differs_is_named_and_fails(tmp_path, capsys):
    for name, score in (("a", "0.1 (5)"), ("b", "0.1 (6)")):
        (tmp_path / f"{name}.json").write_text(json.dumps(results(score=score)))
    files = [str(tmp_path / f"{name}.json") for name in ("a", "b")]
    assert compare_results.main(files[0], files[0]) == 0
    assert capsys.readouterr().out.endswith("All are the same.\n")
    assert compare_results.main(*files) == 1
    assert "  DIFFERS from a: multiclass · score: 0.1 (5) and 0.1 (6)\n" in capsys.readouterr().out
