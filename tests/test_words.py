"""One word names a capability on every floor, in the registry, in the examples and on the pages."""

import importlib
import pkgutil
from pathlib import Path

import every_task
import yaml
from bench_cases import CASES as BENCH_CASES
from task_cases import CASES as JOB_CASES

import lq_spark
from lq_spark.job.tasks.registry import TASKS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lq_spark"
WORDS = {name for name in lq_spark.__all__ if name.islower()} - {
    "declared",
    "files",
    "incremental",
    "ml",
}


def folders(place):
    return {path.name for path in place.iterdir() if list(path.glob("[!_]*.py"))}


def on_page(name, text):
    """Return the words that a page has in a text, in which WORD stands for a word."""
    page = (ROOT / name).read_text(encoding="utf-8")
    return {word for word in WORDS if text.replace("WORD", word) in page}


def missing(words, homes):
    """Return where a word is looked for and not found, as texts."""
    return [f"{place}: no {word}" for place, there in homes.items() for word in words - there]


def test_what_people_call_is_on_every_floor_and_page_under_its_word():
    homes = {
        "lq_spark/core/": folders(PACKAGE / "core"),
        "lq_spark/tasks/": folders(PACKAGE / "tasks"),
        "tests/core/": folders(ROOT / "tests" / "core"),
        "tests/tasks/": folders(ROOT / "tests" / "tasks"),
        "a case of tests/every_task.py": {make().task for make in every_task.CASES.values()},
        "a case of scripts/bench_cases": {case.task for case in BENCH_CASES},
        "the table of README.md": on_page("README.md", "`WORD."),
        "the table of lq_spark/README.md": on_page("lq_spark/README.md", "| `WORD` |"),
    }
    assert missing(WORDS, homes) == []
    assert homes["lq_spark/tasks/"] - WORDS == {
        "shared",
        "ml",
    }  # ml: what some of them are in Spark ML


def test_a_task_of_the_job_is_everywhere_under_its_word():
    examples = [yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / "conf").glob("*.yaml")]
    files = {path.stem for path in (PACKAGE / "job" / "tasks").glob("*.py")}
    homes = {
        "lq_spark/job/tasks/": files,
        "the examples of conf/": {example.get("task") for example in examples},
        "tests/jobs/": {path.stem.removeprefix("test_") for path in ROOT.glob("tests/jobs/*.py")},
        "a case of tests/jobs/task_cases.py": {case.task for case in JOB_CASES.values()},
        # What is done with labels is a verb: the job of training is to train.
        "the public names": WORDS | {"train"},
    }
    assert missing(set(TASKS), homes) == []
    assert files - set(TASKS) == {"__init__", "options", "registry"}


def test_the_pages_call_a_task_what_its_users_call_it():
    for page in ("README.md", "jobs/README.md"):
        text = (ROOT / page).read_text(encoding="utf-8").lower()
        assert [entry.title for entry in TASKS.values() if entry.title not in text] == []


def test_a_name_that_a_package_hands_out_is_none_of_its_modules():
    same = []
    for floor in ("core", "tasks"):
        for word in folders(PACKAGE / floor):
            package = importlib.import_module(f"lq_spark.{floor}.{word}")
            modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
            same += [
                f"{floor}/{word}: {name}" for name in modules & set(getattr(package, "__all__", ()))
            ]
    assert same == []
