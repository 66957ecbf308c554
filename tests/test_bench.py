"""The cases of scripts/bench.py, on data so small that only their working is seen."""

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bench_cases import CASES

SMALL = {
    "multiclass": "300x3",
    "multilabel": "300x20",
    "segmentation": "1",
    "training": "300x4",
}
SPARK_ALONE = pytest.mark.spark_only

PAGE = Path(__file__).parent.parent / "scripts" / "README.md"


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[SPARK_ALONE] if case.name == "spark_ml" else [], id=case.name)
        for case in CASES
    ],
)
def test_a_case_makes_its_data_and_scores_it(spark, case, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    numbers = case.numbers(SMALL.get(case.task, "300"))
    assert case.make_data(data, *numbers, **case.data_options) > 0
    seconds = case.ours(spark, str(data), str(out), "auto")() or {}
    assert all(value >= 0.0 for value in seconds.values())
    written = [path for path in out.iterdir() if path.is_dir()]
    assert written
    assert all(pq.read_table(path).num_rows > 0 for path in written if "metrics" not in path.name)


def test_the_names_of_cases_are_different():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


def test_the_commands_of_the_page_name_tasks_and_flags_that_are_there():
    text = PAGE.read_text(encoding="utf-8")
    tasks = {word for case in CASES for word in (case.task, case.name)}
    assert set(re.findall(r"--task ([a-z_]+)", text)) <= tasks
    script = (PAGE.parent / "bench.py").read_text(encoding="utf-8")
    commands = " ".join(re.findall(r"`([^`]*(?:bench\.py|--size)[^`]*)`", text))
    flags = set(re.findall(r"--[a-z-]+", commands))
    assert {"--task", "--size", "--rounds", "--contenders", "--runs", "--largest-class"} <= flags
    assert not [flag for flag in flags if f'"{flag}"' not in script]
