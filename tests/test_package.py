"""Rules that hold for the source of the whole package."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lq_spark

PACKAGE = Path(lq_spark.__file__).parent
JOBS = PACKAGE.parent / "jobs"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Spark Connect has none of these.
CLASSIC_ONLY = {
    "rdd", "sparkContext", "_sc", "_jsc", "_jvm", "_jdf", "_jsparkSession",
    "broadcast", "accumulator", "Accumulator",
}  # fmt: skip
PYTHON_ENTRANCES = {
    "arrow_udf", "pandas_udf", "udf", "udtf", "mapInArrow", "mapInPandas",
    "applyInArrow", "applyInPandas", "cogroup", "transformWithState",
}  # fmt: skip


def name_of(path):
    return path.relative_to(PACKAGE.parent).as_posix()


def syntax_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def names_used(path):
    """Return the attributes and the imported names in a module, without its texts and comments."""
    nodes = list(ast.walk(syntax_of(path)))
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    imports = {
        alias.name
        for node in nodes
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    return attributes | imports


def modules_loaded_after(statement):
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["import lq_spark", "import lq_spark.core.multiclass", "import lq_spark.core.activelab"],
)
def test_importing_it_loads_neither_spark_nor_arrow_nor_pandas(statement):
    assert not modules_loaded_after(statement) & {"pyspark", "pyarrow", "pandas"}


def test_public_names_are_there_on_first_use():
    from lq_spark import Thresholds, multiclass

    assert multiclass is sys.modules["lq_spark.tasks.multiclass"]
    assert multiclass.Thresholds is Thresholds


@pytest.mark.parametrize("name", lq_spark.__all__)
def test_each_public_name_leads_somewhere(name):
    assert getattr(lq_spark, name) is not None


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'lq_spark' has no attribute 'multi_class'"):
        lq_spark.multi_class  # noqa: B018


@pytest.mark.parametrize("capability", ["multiclass", "tokens"])
def test_a_capability_has_one_word_in_core_in_tasks_and_in_their_tests(capability):
    for floors in (PACKAGE, Path(__file__).parent):
        for floor in ("core", "tasks"):
            assert list((floors / floor / capability).glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_uses_what_spark_connect_does_not_have(path):
    assert not names_used(path) & CLASSIC_ONLY


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_udfs_are_made_in_engine_alone(path):
    if path.parent != PACKAGE / "engine":
        assert not names_used(path) & PYTHON_ENTRANCES


@pytest.mark.parametrize("path", sorted((PACKAGE / "engine").glob("*.py")), ids=name_of)
def test_engine_does_not_know_labels(path):
    # Its own docstring alone has the word, to say that the modules below do not.
    if path.name != "__init__.py":
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"label|pred_prob|annotator", text, re.IGNORECASE)


@pytest.mark.parametrize("path", [*MODULES, *sorted(JOBS.rglob("*.py"))], ids=name_of)
def test_no_check_is_an_assert_which_python_may_leave_out(path):
    assert not [node for node in ast.walk(syntax_of(path)) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
