import re
from importlib.metadata import version

import pytest

from lq_spark.engine.kinds import SAIL, SPARK, engine_of, is_sail


@pytest.mark.spark
@pytest.mark.connect
def test_an_engine_is_told_by_its_name_and_its_own_version(spark, engine):
    found = engine_of(spark)
    assert is_sail(spark) == (engine == "embedded")
    if is_sail(spark):
        assert (found.name, found.version) == (SAIL, version("pysail"))
    else:
        assert found.name == SPARK
        assert re.match(r"\d+\.\d+\.\d+", found.version)[0] == version("pyspark")
    assert str(found) == f"{found.name} {found.version}"


def test_a_session_is_asked_once(spark, monkeypatch):
    first = engine_of(spark)
    monkeypatch.setattr(type(spark), "sql", None)
    assert engine_of(spark) is first
