"""Rules that hold for the source of the whole package."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lq_spark

PACKAGE = Path(lq_spark.__file__).parent
ENGINE = PACKAGE / "engine"
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


@functools.cache
def nodes_of(path):
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def names_used(path):
    """Return the attributes and the imported names in a module, without its texts and comments."""
    nodes = nodes_of(path)
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


def test_each_public_name_leads_somewhere():
    assert [name for name in lq_spark.__all__ if getattr(lq_spark, name, None) is None] == []


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'lq_spark' has no attribute 'multi_class'"):
        lq_spark.multi_class  # noqa: B018


def assert_nothing(found_in, paths=MODULES):
    """Assert that nothing is found in any of the modules; name each in which something is."""
    found = {path.relative_to(PACKAGE.parent).as_posix(): found_in(path) for path in paths}
    offenders = [f"{name}: {what}" for name, what in found.items() if what]
    assert not offenders, "\n".join(offenders)


def test_no_module_uses_what_spark_connect_does_not_have():
    assert_nothing(lambda path: names_used(path) & CLASSIC_ONLY)


def test_udfs_are_made_in_engine_alone():
    others = [path for path in MODULES if ENGINE not in path.parents]
    assert_nothing(lambda path: names_used(path) & PYTHON_ENTRANCES, others)


def test_engine_does_not_know_labels():
    # Its own docstring alone has the word, to say that the modules below do not.
    modules = [path for path in ENGINE.rglob("*.py") if path != ENGINE / "__init__.py"]
    words = re.compile(r".*(?:label|pred_prob|annotator).*", re.IGNORECASE)
    assert_nothing(lambda path: words.findall(path.read_text(encoding="utf-8")), modules)


def test_no_check_is_an_assert_which_python_may_leave_out():
    def asserts(path):
        return [f"line {node.lineno}" for node in nodes_of(path) if isinstance(node, ast.Assert)]

    assert_nothing(asserts, [*MODULES, *JOBS.rglob("*.py")])


def test_a_module_can_be_read_in_one_sitting():
    def length(path):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        return f"{lines} lines" if lines > 400 else ""

    assert_nothing(length)
