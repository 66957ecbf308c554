"""Who reads the source: the workers its files, where they can, or the engine; the same numbers."""

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of, execute

from lq_spark.core.multiclass import get_label_quality_scores
from lq_spark.errors import OptionError, TableError
from lq_spark.tables.formats import write_table
from lq_spark.tables.spec import TableSpec
from lq_spark.tasks.multiclass import first_pass

N = 60

NAMES = [f"class {k}" for k in range(40)]


@pytest.fixture
def rows(labelled_rows):
    """A table with a column of each kind that is carried to the output as it is."""
    _, _, table = labelled_rows(N, 3, seed=5)
    table = table.sort_by("id")
    moments = [dt.datetime(2026, 3, 29, 0, 30, tzinfo=dt.timezone.utc)] * (N - 1) + [None]
    columns = {
        "at": pa.array(moments, pa.timestamp("us", tz="UTC")),
        "day": pa.array([dt.date(1969, 12, i % 28 + 1) for i in range(N)]),
        "price": pa.array([decimal.Decimal(f"{i}.25") for i in range(N)], pa.decimal128(12, 2)),
        "text": pa.array([None, "", "a ß'", "x" * 50] * (N // 4)),
        "tags": pa.array([[{"name": "n", "size": i}, None] if i % 3 else None for i in range(N)]),
        "raw": pa.array([bytes([i, 0]) for i in range(N)]),
    }
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table


@pytest.fixture
def wide_rows():
    """Make a table of 40 classes, whose probabilities are wide beside all else."""

    def make(names):
        rng = np.random.default_rng(0)
        given = np.arange(N) % 40
        return pa.table(
            {
                "id": pa.array(rng.permutation(N)),
                "label": pa.array(given if names is None else [names[k] for k in given]),
                "pred_probs": rng.dirichlet(np.full(40, 0.2), N).tolist(),
                "note": pa.array(["n", None] * (N // 2)),
            }
        )

    return make


KEPT = ("at", "day", "price", "text", "tags", "raw")


def run(spark, tmp_path, source, reader, **keys):
    """Run a job that carries the columns; return what it wrote and its report."""
    out = str(tmp_path / f"out_{reader}")
    flags = {"input": str(source), "output": out, "adjust_pred_probs": True, **keys}
    report = execute(spark, config_of(reader=reader, **flags)).report
    written = spark.read.parquet(out)
    return written.orderBy("id").toArrow().to_pylist(), report


def both(spark, tmp_path, source, **keys):
    """Run a job with either reader, see that the tables are the same, and return them."""
    found, report = run(spark, tmp_path, source, "files", **keys)
    assert report.reader.is_workers
    by_engine, report = run(spark, tmp_path, source, "spark", **keys)
    assert not report.reader.is_workers
    assert found == by_engine
    return found


def goes_sparks_way(spark, tmp_path, source, why, **keys):
    """See that the engine reads a source, why, and that workers refuse to."""
    _, report = run(spark, tmp_path, source, "auto", **keys)
    assert not report.reader.is_workers
    assert why in str(report.reader)
    with pytest.raises(OptionError, match=r"^reader: the workers cannot read"):
        run(spark, tmp_path, source, "files", **keys)


@pytest.mark.spark
@pytest.mark.parametrize("table_format", ["parquet", "delta", "iceberg"])
def test_columns_of_each_kind_are_carried_by_either_reader(
    table_format, spark, engine, rows, tmp_path
):
    pq.write_table(rows, tmp_path / "rows.parquet", row_group_size=7)
    source = str(tmp_path / "rows.parquet")
    if table_format != "parquet":
        df = spark.read.parquet(source)
        source = str(tmp_path / "source")
        if table_format == "iceberg" and engine != "embedded":
            spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.readers")
            source = "lake.readers.source"
        write_table(df, TableSpec(source, "source", table_format))
    found = both(spark, tmp_path, source, keep_columns=list(KEPT))
    assert [row["id"] for row in found] == rows["id"].to_pylist()
    for name in ("day", "price", "text", "tags", "raw"):
        assert [row[name] for row in found] == rows[name].to_pylist()


def test_many_files_and_an_empty_one_are_read(spark, rows, tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    for i in range(20):
        pq.write_table(rows.slice(3 * i, 3), folder / f"{i:02}.parquet")
    pq.write_table(rows.slice(0, 0), folder / "none.parquet")
    (folder / "_SUCCESS").touch()
    pq.write_table(rows, folder / "_not_of_the_table.parquet")
    assert len(both(spark, tmp_path, folder)) == N


def test_partition_columns_come_from_the_folders(spark, rows, tmp_path):
    for part in ("a b", "c=d"):
        folder = tmp_path / "source" / f"part={part.replace('=', '%3D')}"
        folder.mkdir(parents=True)
        chosen = (rows["id"].to_numpy() % 2 == 1) == (part == "c=d")
        pq.write_table(rows.filter(pa.array(chosen)), folder / "0.parquet")
    found = both(spark, tmp_path, tmp_path / "source", keep_columns=["part"])
    assert [row["part"] for row in found] == [("a b", "c=d")[row["id"] % 2] for row in found]


def test_a_column_that_a_file_lacks_goes_sparks_way(spark, rows, tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    pq.write_table(rows.slice(0, 30), folder / "0.parquet")
    pq.write_table(rows.slice(30).drop_columns(["text"]), folder / "1.parquet")
    goes_sparks_way(spark, tmp_path, folder, "column 'text' is not in", keep_columns=["text"])
    both(spark, tmp_path, folder, keep_columns=["day"])


def test_a_column_with_a_dot_in_its_name_goes_sparks_way(spark, rows, tmp_path):
    dotted = rows.rename_columns(["a.b" if name == "text" else name for name in rows.column_names])
    pq.write_table(dotted, tmp_path / "rows.parquet")
    source = tmp_path / "rows.parquet"
    goes_sparks_way(spark, tmp_path, source, "'a.b'", keep_columns=["a.b"])
    both(spark, tmp_path, source)


@pytest.fixture
def narrow_tables(monkeypatch):
    """Collect the tables that a first pass makes of wide probabilities."""
    made, make = [], first_pass.with_given

    def collected(*args):
        made.append(make(*args))
        return made[-1]

    monkeypatch.setattr(first_pass, "with_given", collected)
    return made


@pytest.mark.spark
@pytest.mark.parametrize("names", [None, NAMES], ids=["numbers", "names"])
def test_wide_probabilities_are_read_once(names, spark, wide_rows, narrow_tables, tmp_path):
    rows = wide_rows(names)
    pq.write_table(rows, tmp_path / "rows.parquet", row_group_size=7)
    found = both(spark, tmp_path, tmp_path / "rows.parquet", keep_columns=["note"], classes=names)
    assert len(narrow_tables) == 1
    order = rows["id"].to_numpy().argsort()
    labels = np.arange(N)[order] % 40
    expected = get_label_quality_scores(
        labels, np.array(rows["pred_probs"].to_pylist())[order], adjust_pred_probs=True
    )
    np.testing.assert_allclose([row["label_quality"] for row in found], expected, rtol=1e-12)
    both(spark, tmp_path, tmp_path / "rows.parquet", method="normalized_margin", classes=names)
    both(spark, tmp_path, tmp_path / "rows.parquet", adjust_pred_probs=False, classes=names)
    kept = ["pred_probs", "note"]  # which are as wide as what would be read again
    both(spark, tmp_path, tmp_path / "rows.parquet", keep_columns=kept, classes=names)
    assert len(narrow_tables) == 1


@pytest.mark.parametrize("fault", ["sum", "null", "label", "id"])
def test_of_wide_probabilities_bad_rows_are_set_aside(
    fault, spark, wide_rows, narrow_tables, tmp_path
):
    rows = wide_rows(None).to_pylist()
    bad = rows[11]
    if fault == "sum":
        bad["pred_probs"] = [2 * p if p < 0.5 else p for p in bad["pred_probs"]]
    elif fault == "null":
        bad["pred_probs"][3] = None
    elif fault == "label":
        bad["label"] = 40
    else:
        bad["id"] = rows[12]["id"]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=7)
    found = both(spark, tmp_path, tmp_path / "rows.parquet", on_invalid="quarantine")
    assert len(narrow_tables) == 1
    assert len(found) == N - (2 if fault == "id" else 1)


def test_the_reader_is_said_in_the_summary_and_the_metrics(spark, rows, tmp_path):
    pq.write_table(rows, tmp_path / "rows.parquet")
    flags = {"input": str(tmp_path / "rows.parquet"), "output": str(tmp_path / "out")}
    for reader, value in (("auto", 1.0), ("spark", 0.0)):
        config = config_of(**flags, reader=reader)
        outcome = execute(spark, config)
        metrics = {(m, name): v for m, name, v in outcome.report.metrics()}
        assert metrics["read_by_workers", None] == value
        line = "reader   Python workers" if value else "(as configured)"
        assert line in outcome.text(config)


@pytest.mark.parametrize("harm", ["cut short", "gone", "of another schema"])
@pytest.mark.parametrize("reader", ["auto", "files"])
def test_a_file_that_changes_meanwhile_fails_the_run(
    harm, reader, spark, rows, tmp_path, monkeypatch
):
    source, out = tmp_path / "rows.parquet", tmp_path / "out"
    pq.write_table(rows, source, row_group_size=7)
    config = config_of(input=str(source), output=str(out), reader=reader)
    execute(spark, config)
    before = pq.read_table(out).to_pylist()

    from lq_spark.job.run import JobRun

    passes = JobRun._run

    def harmed(self, *arguments):
        if harm == "cut short":
            content = source.read_bytes()
            source.write_bytes(content[: len(content) // 2])
        elif harm == "gone":
            source.unlink()
        else:
            pq.write_table(rows.select(["id", "text"]), source)
        return passes(self, *arguments)

    monkeypatch.setattr(JobRun, "_run", harmed)
    option = "reader" if reader == "files" else "input"
    with pytest.raises(
        TableError, match=f"^{option}: a Python worker cannot read 'file:.*rows.par"
    ):
        execute(spark, config)
    monkeypatch.undo()
    assert pq.read_table(out).to_pylist() == before
    assert not list(tmp_path.glob("out.s*"))
