"""Runs of every task on columns and in places of any name."""

import every_task
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark.errors import OptionError
from lq_spark.job.config_file import load_config
from lq_spark.job.run import execute
from lq_spark.job.tasks.registry import TASKS

FLAGS = {
    "multiclass": {"find_issues": True, "issue_rank": True},
    "sentences": {"find_issues": True, "issue_rank": True},
    "tokens": {"find_issues": True, "issue_rank": True},
    "multilabel": {"issue_rank": True},
    "regression": {"method": "uncertainty", "frac_issues": 0.2},
    "detection": {"issue_rank": True},
}
PLACES = {
    "boxes": ("label_boxes", "predicted_boxes", "input"),
    "crowd": ("annotations", "input"),
}


@pytest.fixture
def run_of(spark, batch_size, tmp_path):
    """Run a task's job on tables in a folder; return the values of its tables, by place."""
    reader = "spark.sql.parquet.columnarReaderBatchSize"
    before = spark.conf.get(reader)

    def run(folder, case, tables, columns, end="", **flags):
        job, folder = TASKS[case.task], tmp_path / folder
        folder.mkdir()
        places = {}
        for place, table in zip(PLACES.get(flags.pop("name"), ("input",)), tables, strict=True):
            places[place] = str(folder / f"{place}.parquet")
            pq.write_table(table, places[place])
        named = {o: names for o, names in columns.items() if o in job.config.model_fields}
        output = str(folder / "out")
        config = load_config(None, {**places, "output": output, **named, **flags}, job.task)
        outcome = execute(spark, config)
        assert outcome.report.text(config)
        return {
            path.name: sorted(
                repr([v.replace(end, "") if end and isinstance(v, str) else v for v in row])
                for row in map(dict.values, pq.read_table(path).to_pylist())
            )
            for path in sorted(folder.iterdir())
            if path.is_dir() and "_metrics" not in path.name
        }

    yield run
    spark.conf.set(reader, before)


@pytest.mark.parametrize("name", [name for name in every_task.CASES if name != "active"])
def test_columns_and_places_of_any_name_give_the_same(run_of, name):
    case, flags = every_task.CASES[name](), {"on_invalid": "quarantine", **FLAGS.get(name, {})}
    tables = list(case.tables)
    columns = dict(case.columns)
    if name == "boxes":  # the images are a table of their own
        tables.append(pa.table({"image_id": np.arange(9)}))
        columns["id"] = "image_id"
    else:  # a row that is there twice, to be set aside
        tables[-1] = pa.concat_tables([tables[-1], tables[-1].slice(0, 1)])
    expected = run_of("plain", case, tables, columns, name=name, **flags)
    for end in every_task.ODD.values():
        others = [every_task.renamed(table, columns, end) for table in tables]
        named = every_task.odd_names(columns, end)
        assert run_of(f"folder{end}", case, others, named, end, name=name, **flags) == expected
    assert len(expected["out"]) > 5
    assert bool(expected["out_quarantine"]) == (name != "boxes")


@pytest.mark.parametrize("task", list(TASKS))
def test_tables_beside_one_whose_name_has_quotes_have_names_that_sql_reads(task):
    kind = TASKS[task].config
    more = {"annotations": "lake.db.labels"} if task == "multiannotator" else {}
    flags = {"input": "lake.db.rows", **more, "output_format": "iceberg"}
    if "find_issues" in kind.model_fields:
        flags["find_issues"] = True
    quoted = load_config(None, {**flags, "output": "lake.db.`product-scores`"}, task)
    plain = load_config(None, {**flags, "output": "lake.db.scores"}, task)
    assert len(set(plain.places)) >= 3
    assert quoted.places == [
        place.replace("lake.db.scores", "lake.db.`product-scores") + "`" for place in plain.places
    ]
    assert quoted.place("metrics") == "lake.db.`product-scores_metrics`"


@pytest.mark.parametrize("metrics", ["lake.`db`.scores", "`lake`.db.`Scores`", "LAKE.DB.SCORES"])
def test_a_table_is_the_same_with_and_without_quotes(metrics):
    flags = {"input": "lake.db.rows", "output": "lake.db.`scores`", "output_format": "iceberg"}
    with pytest.raises(OptionError, match="must be different places"):
        load_config(None, {**flags, "metrics": metrics})
    assert load_config(None, {**flags, "metrics": "lake.db.`scores_2`"}).place("metrics")


@pytest.mark.spark_only
def test_tables_of_names_in_quotes_are_written_and_read(spark, interpreted, tmp_path):
    case = every_task.CASES["multiclass"]()
    end = every_task.ODD["quotes"]
    rows = every_task.renamed(case.tables[0], case.columns, end)
    pq.write_table(rows, tmp_path / "rows.parquet")
    spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.names")
    name = "lake.names.`Product-scores of É 🙂`"
    columns = every_task.odd_names(case.columns, end)
    flags = {"input": str(tmp_path / "rows.parquet"), "output": name, "output_format": "iceberg"}
    config = load_config(None, {**flags, **columns, "find_issues": True})
    try:
        for _ in range(2):  # what is there is replaced, and drift is measured
            execute(spark, config)
        assert spark.read.table(name).count() == every_task.N
        metrics = spark.read.table(config.place("metrics"))
        assert metrics.select("run_id").distinct().count() == 2
        assert spark.read.table(name).columns[0] == columns["id"]
    finally:
        for row in spark.sql("SHOW TABLES IN lake.names").collect():
            spark.sql(f"DROP TABLE lake.names.`{row['tableName']}`")
        spark.sql("DROP NAMESPACE lake.names")
