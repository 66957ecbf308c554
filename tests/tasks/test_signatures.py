"""The signatures of the public functions on tables."""

import inspect

import pytest

import lq_spark

TASKS = [
    name
    for name in lq_spark.__all__
    if inspect.ismodule(getattr(lq_spark, name)) and name != "incremental"  # of the job
]
FUNCTIONS = [
    pytest.param(function, id=f"{task}.{name}")
    for task in TASKS
    for name in getattr(lq_spark, task).__all__
    if inspect.isfunction(function := getattr(getattr(lq_spark, task), name))
]


def test_all_tasks_are_looked_at():
    assert len(TASKS) == 22
    assert len(FUNCTIONS) > 30


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_public_function_shows_each_of_its_options(function):
    kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
