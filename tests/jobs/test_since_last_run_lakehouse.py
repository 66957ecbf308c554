"""Runs of what has changed in a Delta or Iceberg table, and in batches of a stream of changes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import StreamingQueryException

from lq_spark import incremental
from lq_spark.errors import TableError
from lq_spark.tables.formats import read_table, write_table
from lq_spark.tables.spec import TableSpec

pytestmark = pytest.mark.spark_only

FORMATS = ["delta", "iceberg"]
K = 4

ANEW = {"adjust_pred_probs": True, "method": "normalized_margin"}


class Lake:
    """A table that changes, and the job's runs of it."""

    def __init__(self, spark, place, run_in, labelled_rows, table_format, **flags):
        self.spark, self.place, self.run_in, self.rows = spark, place, run_in, labelled_rows
        self.format, self.flags, self.n = table_format, flags, 0
        self.rng = np.random.default_rng(7)
        self.source = place.name(table_format, "source")
        self.spec = TableSpec(self.source, "source", table_format)
        self.name = self.source if table_format == "iceberg" else f"delta.`{self.source}`"
        self.add(200)
        if table_format == "delta":
            self.sql("ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = true)")

    def add(self, n):
        """Append new rows."""
        _, _, table = self.rows(n, K, seed=self.n)
        table = table.set_column(0, "id", pa.array(np.arange(self.n, self.n + n)))
        mode = "append" if self.n else "overwrite"
        self.n += n
        pq.write_table(table, self.place.folder / "new.parquet")
        df = self.spark.read.parquet(str(self.place.folder / "new.parquet"))
        write_table(df, TableSpec(self.source, "source", self.format, mode=mode))

    def sql(self, text):
        """Change the table: ``{t}`` stands for its name."""
        self.spark.sql(text.format(t=self.name))

    def change(self):
        """Insert, update and delete rows, and give rows another label, some of them twice."""
        a, b, c, d = self.rng.integers(0, 9, 4)
        self.sql(f"UPDATE {{t}} SET label = (label + 1) % {K} WHERE id % 9 = {a}")
        self.sql(f"DELETE FROM {{t}} WHERE id % 19 = {b}")
        self.add(int(self.rng.integers(1, 30)))
        probs = ", ".join(["0.25D"] * K)
        self.sql(f"UPDATE {{t}} SET pred_probs = array({probs}) WHERE id % 19 = {c}")
        self.sql(f"UPDATE {{t}} SET label = {int(d) % K} WHERE id >= {self.n - 3}")

    def run(self, output="scores", ends=0, **flags):
        """Run the job."""
        return self.run_in(
            self.place.folder,
            self.source,
            ends=ends,
            output=self.place.name(self.format, output),
            output_format=self.format,
            **{**self.flags, **flags},
        )

    def since(self, ends=0, **flags):
        """Run it of what has changed."""
        return self.run(ends=ends, since_last_run=True, **flags)

    def metrics(self, done):
        """Return the metrics of a run."""
        rows = read_table(self.spark, done.config.records["metrics"]).df
        rows = rows.where(f"run_id = '{done.run_id}' AND class IS NULL").collect()
        return {row["metric"]: row["value"] for row in rows}


@pytest.fixture
def lake(spark, place, run_in, labelled_rows):
    return lambda table_format, **flags: Lake(
        spark, place, run_in, labelled_rows, table_format, **flags
    )


def rows_of(spark, done, option="output"):
    config = done.config
    spec = {**config.outputs, **config.quarantines}[option]
    rows = read_table(spark, spec).df
    return sorted((row.asDict() for row in rows.collect()), key=lambda row: row["id"])


@pytest.mark.parametrize("table_format", FORMATS)
@pytest.mark.parametrize(
    ("flags", "how"),
    [(ANEW, {"rescore": "always"}), ({"method": "self_confidence"}, {})],
    ids=["thresholds fitted anew", "without thresholds"],
)
def test_rounds_of_changes_give_the_scores_of_one_run_of_all_rows(
    spark, lake, table_format, flags, how
):
    table = lake(table_format, **flags)
    first = table.since(**how)
    assert "all rows were scored: there were no scores" in first.printed
    for _ in range(2):
        table.change()
        done = table.since(**how)
    found, all_rows = rows_of(spark, done), rows_of(spark, table.run("all"))
    assert len(found) > 200
    assert found == all_rows


@pytest.mark.parametrize("table_format", FORMATS)
def test_rows_that_are_gone_or_cannot_be_scored_leave_the_output(spark, lake, table_format):
    table = lake(table_format, method="self_confidence", on_invalid="quarantine")
    table.sql("UPDATE {t} SET label = 77 WHERE id IN (3, 4)")
    table.since()
    table.sql("DELETE FROM {t} WHERE id IN (4, 5)")
    table.sql("UPDATE {t} SET label = 0 WHERE id = 3")
    table.sql("UPDATE {t} SET label = 88 WHERE id = 6")
    done = table.since()
    metrics = table.metrics(done)
    assert metrics["incremental"] == 1.0
    assert (metrics["rows_changed"], metrics["rows_removed"]) == (2, 2)
    assert (metrics["rows_scored"], metrics["rows_quarantined"]) == (1, 1)
    every = table.run("all")
    for option in ("output", "quarantine"):
        assert rows_of(spark, done, option) == rows_of(spark, every, option)
    assert [row["id"] for row in rows_of(spark, done, "quarantine")] == [6]
    # Nothing has changed since.
    assert table.metrics(table.since())["rows_changed"] == 0
    assert rows_of(spark, done) == rows_of(spark, every)


@pytest.mark.parametrize("table_format", FORMATS)
def test_what_a_feed_cannot_tell_is_said(spark, lake, table_format):
    table = lake(table_format, method="self_confidence")
    table.since()

    def refused():
        return table.since(ends=1).error

    # A row of an id that is there, and has not changed.
    table.add(1)
    table.sql(f"UPDATE {{t}} SET id = 7 WHERE id = {table.n - 1}")
    said = "1 new rows have, or had, the 'id' of rows that are there"
    assert said in refused()
    table.sql("DELETE FROM {t} WHERE id = 7")
    assert said in refused()  # both are gone, which could be the new one alone
    assert len(rows_of(spark, table.since(when_not_incremental="full"))) == 199
    table.add(1)
    table.sql(f"UPDATE {{t}} SET id = NULL WHERE id = {table.n - 1}")
    assert "rows without 'id' have changed" in refused()
    table.sql("DELETE FROM {t} WHERE id IS NULL")
    assert "rows without 'id' have changed" in refused()
    table.since(when_not_incremental="full")
    # An output that others have changed.
    scores = table.place.name(table_format, "scores")
    name = scores if table_format == "iceberg" else f"delta.`{scores}`"
    spark.sql(f"DELETE FROM {name} WHERE id = 9")
    assert f"rows of {scores!r} were changed since, by" in refused()
    assert len(rows_of(spark, table.since(when_not_incremental="full"))) == 199
    # An input that is older, or another.
    if table_format == "delta":
        spark.sql(
            f"ALTER TABLE {table.name} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = false)"
        )
        table.add(2)
        assert "they are there from when delta.enableChangeDataFeed is set" in refused()
        first = spark.read.format("delta").option("versionAsOf", 0).load(table.source)
        assert "is older than the last one scored" in table.since(ends=1, input_version=1).error
        first.write.format("delta").save(f"{table.source}_other")
        (table.place.folder / "source_delta").rename(table.place.folder / "earlier")
        (table.place.folder / "source_delta_other").rename(table.place.folder / "source_delta")
        assert "is another table than it was, of the same name" in refused()
    else:
        snapshots = spark.sql(
            f"SELECT snapshot_id FROM {table.name}.snapshots ORDER BY committed_at"
        )
        first = snapshots.first()[0]
        spark.sql(f"CALL lake.system.rollback_to_snapshot('jobs.source', {first})")
        assert "do not lead from" in refused()


def test_files_that_are_only_added_to_an_iceberg_table_are_read_alone(spark, lake):
    table = lake("iceberg", method="self_confidence")
    table.since()
    table.add(20)
    spark.sql("CALL lake.system.rewrite_data_files(table => 'jobs.source')")
    table.add(5)
    done = table.since()
    assert table.metrics(done)["rows_changed"] == 25
    assert rows_of(spark, done) == rows_of(spark, table.run("all"))


def test_a_merge_reads_only_files_whose_keys_may_be_among_the_new(spark, lake):
    table = lake("delta", method="self_confidence")
    table.since()
    table.add(20)
    table.since()
    table.sql("UPDATE {t} SET label = 0 WHERE id >= 210")
    table.since()
    scores = table.place.name("delta", "scores")
    history = spark.sql(f"DESCRIBE HISTORY delta.`{scores}` LIMIT 2").select("operationMetrics")
    changed, added = (row[0] for row in history.collect())
    assert added["numTargetFilesRemoved"] == "0"
    assert added["numTargetRowsInserted"] == "20"
    assert int(changed["numTargetRowsCopied"]) <= 20


@pytest.mark.parametrize("layout", ["a row a sentence", "a row a token"])
def test_sentences_are_scored_whole(spark, place, run_in, layout):
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 6, 40)
    flags = {"task": "tokens", "n_classes": K, "sentence_id": "id", "output_format": "delta"}
    probs = [[rng.dirichlet(np.ones(K)).tolist() for _ in range(n)] for n in sizes]
    labels = [rng.integers(0, K, n).tolist() for n in sizes]
    rows = [(i, labels[i], probs[i]) for i in range(40)]
    df = spark.createDataFrame(rows, "id long, labels array<int>, pred_probs array<array<double>>")
    if layout == "a row a token":
        zipped = "posexplode(arrays_zip(labels, pred_probs)) AS (place, token)"
        df = df.selectExpr("id", zipped)
        df = df.selectExpr("id", "place", "token.labels AS label", "token.pred_probs AS pred_probs")
        flags |= {"token_index": "place"}
        change = "UPDATE {t} SET label = (label + 1) % 4 WHERE id = 5 AND place = 0"
    else:
        change = "UPDATE {t} SET labels = transform(labels, x -> (x + 1) % 4) WHERE id = 5"
    source = place.name("delta", "sentences")
    write_table(df, TableSpec(source, "source", "delta"))
    name = f"delta.`{source}`"
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = true)")

    def run(output, **how):
        return run_in(place.folder, source, output=place.name("delta", output), **flags, **how)

    run("scores", since_last_run=True)
    spark.sql(change.format(t=name))
    spark.sql(f"DELETE FROM {name} WHERE id IN (7, 8)")
    done = run("scores", since_last_run=True)
    assert "1 of 1 sentences scored" in done.printed
    every = run("all")
    tables = [
        [read_table(spark, spec).df for spec in one.config.outputs.values()]
        for one in (done, every)
    ]
    for found, wanted in zip(*tables, strict=True):
        assert sorted(map(str, found.collect())) == sorted(map(str, wanted.collect()))


def test_batches_of_a_stream_give_the_scores_of_the_table(spark, lake):
    table = lake("delta", method="self_confidence")
    keys = {"n_classes": K, "method": "self_confidence", "output_format": "delta"}
    output, checkpoint = (
        table.place.name("delta", "streamed"),
        str(table.place.folder / "checkpoint"),
    )
    merge = incremental.for_each_batch(input=table.source, output=output, **keys)
    crashes = iter([False, True, False, False, True, False])

    def crashing(batch, number):
        merge(batch, number)
        if next(crashes, False):
            raise RuntimeError("crashed after the scores were written")

    def go(function=crashing):
        feed = spark.readStream.option("readChangeFeed", "true").format("delta").load(table.source)
        writer = feed.writeStream.foreachBatch(function).option("checkpointLocation", checkpoint)
        query = writer.trigger(availableNow=True).start()
        try:
            query.awaitTermination()
        except StreamingQueryException as error:
            assert "crashed after" in str(error)
            go(function)

    go()
    for _ in range(2):
        table.change()
        go()
    scores = read_table(spark, TableSpec(output, "output", "delta")).df.orderBy("id").collect()
    every = table.run("all")
    assert [row.asDict() for row in scores] == rows_of(spark, every)
    batch = spark.read.format("delta").load(table.source)
    with pytest.raises(TableError, match=r"^batch 57 cannot be merged into the scores: it comes "):
        merge(batch, 57)
