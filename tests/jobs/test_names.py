"""Runs of every task on columns and in places of any name."""

import every_task
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import TASKS, config_of, fields_of

from lq_spark.errors import OptionError

FLAGS = {
    "multiclass": {"find_issues": True, "issue_rank": True},
    "sentences": {"find_issues": True, "issue_rank": True},
    "tokens": {"find_issues": True, "issue_rank": True},
    "multilabel": {"issue_rank": True},
    "regression": {"method": "uncertainty", "frac_issues": 0.2},
    "detection": {"issue_rank": True},
    "training": {
        "estimator": "sklearn.naive_bayes.GaussianNB",
        "allowed_estimators": ["sklearn."],
        "min_examples_per_class": 1,
    },
}
PLACES = {
    "boxes": ("label_boxes", "predicted_boxes", "input"),
    "crowd": ("annotations", "input"),
}


@pytest.fixture
def run_of(run_in, tmp_path):
    """Run a task's job on tables in a folder; return the values of its tables, by place."""

    def run(folder, name, tables, columns, end="", **flags):
        task, folder = every_task.CASES[name]().job, tmp_path / folder
        folder.mkdir()
        named = {option: names for option, names in columns.items() if option in fields_of(task)}
        sources = dict(zip(PLACES.get(name, ("input",)), tables, strict=True))
        run_in(folder, sources, task, **{**named, **flags})
        return {
            path.name: sorted(
                repr([v.replace(end, "") if end and isinstance(v, str) else v for v in row])
                for row in map(dict.values, pq.read_table(path).to_pylist())
            )
            for path in sorted(folder.iterdir())
            if path.is_dir() and "_metrics" not in path.name
        }

    return run


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, made in every_task.CASES.items()
        # Leakage is between two tables, and no job's; nor is training with numbers as labels.
        if made().job in TASKS and name not in ("leakage", "training_of_numbers")
    ],
)
def test_columns_and_places_of_any_name_give_the_same(run_of, name):
    case, flags = every_task.CASES[name](), {"on_invalid": "quarantine", **FLAGS.get(name, {})}
    tables = list(case.tables)
    columns = dict(case.columns)
    if name == "boxes":  # the images are a table of their own
        tables.append(pa.table({"image_id": np.arange(9)}))
        columns["id"] = "image_id"
    else:  # a row that is there twice, to be set aside
        tables[-1] = pa.concat_tables([tables[-1], tables[-1].slice(0, 1)])
    expected = run_of("plain", name, tables, columns, **flags)
    for end in every_task.ODD.values():
        others = [every_task.renamed(table, columns, end) for table in tables]
        named = every_task.odd_names(columns, end)
        assert run_of(f"folder{end}", name, others, named, end, **flags) == expected
    assert len(expected["scores"]) > 5
    assert bool(expected["scores_quarantine"]) == (name != "boxes")


@pytest.mark.parametrize("task", TASKS)
def test_tables_beside_one_whose_name_has_quotes_have_names_that_sql_reads(task):
    more = {"annotations": "lake.db.labels"} if task == "multiannotator" else {}
    flags = {"input": "lake.db.rows", **more, "output_format": "iceberg"}
    if "find_issues" in fields_of(task):
        flags["find_issues"] = True
    quoted = config_of(task, **flags, output="lake.db.`product-scores`")
    plain = config_of(task, **flags, output="lake.db.scores")
    assert len(set(plain.places)) >= 3
    assert quoted.places == [
        place.replace("lake.db.scores", "lake.db.`product-scores") + "`" for place in plain.places
    ]
    assert quoted.place("metrics") == "lake.db.`product-scores_metrics`"


@pytest.mark.parametrize("metrics", ["lake.`db`.scores", "`lake`.db.`Scores`", "LAKE.DB.SCORES"])
def test_a_table_is_the_same_with_and_without_quotes(metrics):
    flags = {"input": "lake.db.rows", "output": "lake.db.`scores`", "output_format": "iceberg"}
    with pytest.raises(OptionError, match="must be different places"):
        config_of(**flags, metrics=metrics)
    assert config_of(**flags, metrics="lake.db.`scores_2`").place("metrics")


@pytest.mark.spark_only
def test_tables_of_names_in_quotes_are_written_and_read(spark, interpreted, run):
    case = every_task.CASES["multiclass"]()
    end = every_task.ODD["quotes"]
    rows = every_task.renamed(case.tables[0], case.columns, end)
    spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.names")
    name = "lake.names.`Product-scores of É 🙂`"
    columns = every_task.odd_names(case.columns, end)
    keys = {"output": name, "output_format": "iceberg", "find_issues": True}
    try:
        for _ in range(2):  # what is there is replaced, and drift is measured
            done = run(rows, **keys, **columns)
        assert spark.read.table(name).count() == every_task.N
        metrics = spark.read.table(done.config.place("metrics"))
        assert metrics.select("run_id").distinct().count() == 2
        assert spark.read.table(name).columns[0] == columns["id"]
    finally:
        for row in spark.sql("SHOW TABLES IN lake.names").collect():
            spark.sql(f"DROP TABLE lake.names.`{row['tableName']}`")
        spark.sql("DROP NAMESPACE lake.names")
