"""What every function of every task gives, and some jobs, written to a file: ``--results FILE``.

``scripts/test-matrix`` runs this in several environments, whose files must say the same. So it runs
only where it is named to pytest.
"""

import json
import subprocess

import every_task
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from facts import cells, facts
from runs import run_job
from task_cases import CASES as JOBS

from lq_spark.tables.formats import read_table, write_table
from lq_spark.tables.spec import TableSpec

pytestmark = [
    pytest.mark.spark,
    pytest.mark.connect,
    # Jobs, and the other tests, have Spark compile what it does.
    pytest.mark.usefixtures("interpreted"),
]

CASES = {name: make() for name, make in every_task.CASES.items()}

TOLD_JOBS = ("multiclass with issues", "sentences", "detection", "crowd", "audit", "train")
"""Jobs that write tables of all shapes: the functions of the other tasks are told anyway."""


@pytest.fixture(scope="module")
def tell(request):
    """Keep the facts of a part, and write all of them in the end."""
    told = {}

    def add(part, found):
        places = told.setdefault(part, {})
        for at, value in found:
            place = " · ".join(map(str, at))
            assert place not in places
            places[place] = json.dumps(value, ensure_ascii=False)

    yield add
    file = request.config.getoption("--results")
    if file:
        content = {"numpy": np.__version__, "parts": told}
        text = json.dumps(content, ensure_ascii=False, indent=0, sort_keys=True)
        file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_functions(name, spark, batch_size, tmp_path, tell):
    """On files, in three partitions, in batches of a few rows."""
    case, tables = CASES[name], []
    for place, table in enumerate(case.tables):
        pq.write_table(table, tmp_path / f"{place}.parquet")
        tables.append(spark.read.parquet(str(tmp_path / f"{place}.parquet")).repartition(3))
    batch_size(7)
    for number, call in enumerate(case.calls):
        result = every_task.run(case, call, tables)
        tell(name, facts(result, f"{case.task}.{call.function} ({number})"))


def config_of(case, folder):
    """Write the tables of a job, and return its configuration."""
    folder.mkdir()
    keys = {"task": case.task, "output": str(folder / "scores")}
    for option, table in case.tables().items():
        keys[option] = str(folder / f"{option}.parquet")
        pq.write_table(table, keys[option])
    return keys | case.options


def rows_of(table):
    """Return the names of columns, and rows; of metrics those that do not tell runs apart."""
    if "metric" in table.column_names:
        table = table.select(["metric", "class", "value"])
    rows = [tuple(row.values()) for row in table.to_pylist()]
    return table.column_names, [row for row in rows if row[0] != "seconds"]


def test_jobs(engine, submit_command, repository, tmp_path, tell):
    """All in one session, by spark-submit or on the embedded engine."""
    if engine == "connect":
        pytest.skip("spark-submit starts a session of classic Spark")
    configs = tmp_path / "configs"
    configs.mkdir()
    for name in TOLD_JOBS:
        config = yaml.safe_dump(config_of(JOBS[name], tmp_path / name))
        (configs / f"{name}.yaml").write_text(config)
    line, environment = submit_command("--config-dir", configs)
    done = subprocess.run(line, cwd=repository, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in TOLD_JOBS:
        for ending in (*JOBS[name].written, "_metrics"):
            table = pq.read_table(tmp_path / name / f"scores{ending}")
            tell(f"job of {name}", cells(*rows_of(table), f"output{ending}"))


@pytest.mark.parametrize("table_format", ["parquet", "delta", "iceberg"])
def test_tables(table_format, spark, engine, tmp_path, tell):
    """A job that reads a table of a format, and writes others."""
    names = {name: str(tmp_path / name) for name in ("rows", "scores")}
    if engine != "embedded":
        catalog = {"delta": "spark_catalog", "iceberg": "lake"}.get(table_format)
        if catalog and not spark.conf.get(f"spark.sql.catalog.{catalog}", None):
            pytest.skip(f"no connector of {table_format}")
        if table_format == "iceberg":
            spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.results")
            names = {name: f"lake.results.{name}" for name in names}
    case = JOBS["multiclass with issues"]
    [rows] = case.tables().values()
    pq.write_table(rows, tmp_path / "given.parquet")
    given = spark.read.parquet(str(tmp_path / "given.parquet"))
    write_table(given, TableSpec(names["rows"], "rows", table_format))
    keys = {**case.options, "output": names["scores"], "output_format": table_format}
    done = run_job(spark, tmp_path, names["rows"], case.task, **keys)
    scores = read_table(spark, done.config.outputs["output"]).df
    tell(f"job on {table_format} tables", facts(scores, "output"))
