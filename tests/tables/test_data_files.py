"""The listed files, read one by one, have the rows that the engine reads."""

from __future__ import annotations

import datetime
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark.engine.files import files_of
from lq_spark.tables import iceberg_files
from lq_spark.tables.data_files import DataFiles, data_files
from lq_spark.tables.formats import read_table, write_table
from lq_spark.tables.spec import TableSpec

PARTS = ["a b/c=d%", "z", None, "", "größe", "%41", "x:y", "a+b"]
"""Values of a partition that folders escape."""


@pytest.fixture(
    params=[
        "delta path",
        "iceberg",
        pytest.param("delta name", marks=pytest.mark.spark_only),
    ]
)
def table(request, spark, engine, tmp_path):
    """Where a table is to be written, in each format."""
    name = request.param.split()[0]
    if request.param == "delta path" or engine == "embedded":
        yield TableSpec(str(tmp_path / "table"), format=name)
        return
    catalog = "spark_catalog" if name == "delta" else "lake"
    spark.sql(f"CREATE NAMESPACE {catalog}.files")
    yield TableSpec(f"{catalog}.files.t", format=name)
    spark.sql(f"DROP TABLE IF EXISTS {catalog}.files.t")
    spark.sql(f"DROP NAMESPACE {catalog}.files")


@pytest.fixture
def rows(spark):
    """Make rows of these ids."""
    return lambda *ids: spark.createDataFrame([(i, i / 4) for i in ids], "id bigint, x double")


def value(text, kind):
    """Return the value of a partition that a text stands for."""
    if text is None or kind == "string":
        return text
    return datetime.date.fromisoformat(text) if kind == "date" else int(text)


def read_one(file, schema, field_ids):
    """Return the rows of a file in the columns of a schema."""
    files, path = files_of(file.uri)
    content = pq.ParquetFile(path, filesystem=files).read()
    assert file.size in (None, files.get_file_info(path).size)
    names = {name: name for name in content.column_names}
    if field_ids is not None:
        ids = {int(field.metadata[b"PARQUET:field_id"]): field.name for field in content.schema}
        names = {name: ids[number] for name, number in field_ids.items() if number in ids}
    columns = []
    for field in schema:
        if field.name in file.partition:
            text = file.partition[field.name]
            columns.append([value(text, field.dataType.simpleString())] * content.num_rows)
        elif field.name in names:
            columns.append(content[names[field.name]].to_pylist())
        else:
            columns.append([None] * content.num_rows)
    return [tuple(row) for row in zip(*columns, strict=True)]


def plain(value):
    """Return a row, or a value of it, in a form that does not depend on who read it."""
    if isinstance(value, dict):
        return plain(tuple(value.values()))
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value


@pytest.fixture
def listed(spark):
    """Check that the files have the rows of a table, at a version; return how many files."""

    def check(spec, n_rows, **version):
        spec = TableSpec(spec.name, format=spec.format, **version)
        source = read_table(spark, spec)
        found = data_files(spark, spec, source)
        assert isinstance(found, DataFiles), found
        assert (found.field_ids is None) == (source.format != "iceberg")
        there = [
            row for file in found.files for row in read_one(file, source.df.schema, found.field_ids)
        ]
        assert Counter(map(plain, there)) == Counter(map(plain, source.df.collect()))
        assert len(there) == n_rows
        return len(found.files)

    return check


@pytest.fixture
def reason(spark):
    """Return why the engine has to read a table."""

    def why(name, **attributes):
        spec = TableSpec(name, **attributes)
        found = data_files(spark, spec, read_table(spark, spec))
        assert isinstance(found, str), found
        return found

    return why


def changed(spec, **attributes):
    return TableSpec(spec.name, format=spec.format, **attributes)


@pytest.mark.connect
@pytest.mark.spark
def test_of_the_opened_version(spark, rows, table, listed, interpreted):
    versions = []
    for n, mode in [(2, "overwrite"), (3, "append"), (4, "overwrite")]:
        write_table(rows(*range(n)).coalesce(1), changed(table, mode=mode))
        versions.append(read_table(spark, table).version)
    assert listed(table, 5, version=versions[1]) == 2
    assert listed(table, 4) == 1


@pytest.mark.spark
def test_of_a_table_without_rows(rows, table, listed, interpreted):
    write_table(rows(), table)
    listed(table, 0)


@pytest.mark.spark
def test_of_partitions(spark, table, listed, interpreted):
    values = [(i, part, 1 + i // 6) for i, part in enumerate(PARTS)]
    df = spark.createDataFrame(values, "id bigint, part string, n int")
    df = df.selectExpr("*", "date'2026-01-02' AS day")
    write_table(df, changed(table, partition_by=("part", "n", "day")))
    listed(table, len(PARTS))


def test_of_a_log_with_a_checkpoint(rows, tmp_path, listed):
    table = TableSpec(str(tmp_path / "table"), format="delta")
    for i in range(12):
        write_table(rows(i).coalesce(1), changed(table, mode="overwrite" if i == 5 else "append"))
    assert any((tmp_path / "table" / "_delta_log").glob("*.checkpoint.parquet"))
    for version, n_rows in ((10, 6), (11, 7)):  # the older ones Sail cannot read
        assert listed(table, n_rows, version=version) == n_rows


@pytest.mark.parametrize("vectors", [False, True])
@pytest.mark.spark_only
def test_of_changed_rows_of_delta(spark, rows, listed, reason, tmp_path, interpreted, vectors):
    """Rows that a file still has, but the table has not, are never read from it."""
    name = str(tmp_path / "a table%20")
    table = TableSpec(name, format="delta")
    write_table(rows(*range(20)).coalesce(2), table)
    sql = f"delta.`{name}`"
    if vectors:
        spark.sql(f"ALTER TABLE {sql} SET TBLPROPERTIES ('delta.enableDeletionVectors' = true)")
    assert listed(table, 20) == 2  # where vectors are only allowed
    spark.sql(f"DELETE FROM {sql} WHERE id IN (3, 4)")
    spark.sql(f"UPDATE {sql} SET x = -1 WHERE id = 15")
    new = changed(table, mode="merge", keys=("id",))
    write_table(rows(5, 30), new)
    if not vectors:
        listed(table, 19)
        return
    newest = read_table(spark, table).version
    assert reason(name, version=newest) == "the Delta table has deletion vectors"
    assert listed(table, 20, version=1) == 2
    spark.sql(f"OPTIMIZE {sql}")
    spark.sql(f"REORG TABLE {sql} APPLY (PURGE)")
    listed(table, 19)
    assert reason(name, version=newest) == "the Delta table has deletion vectors"


@pytest.mark.spark_only
def test_of_mapped_columns_of_delta(spark, rows, listed, reason, tmp_path, interpreted):
    name = str(tmp_path / "table")
    table = TableSpec(name, format="delta")
    write_table(rows(1, 2), table)
    spark.sql(
        f"ALTER TABLE delta.`{name}` SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name', "
        "'delta.minReaderVersion' = '2', 'delta.minWriterVersion' = '5')"
    )
    spark.sql(f"ALTER TABLE delta.`{name}` RENAME COLUMN x TO y")
    assert reason(name) == "the Delta table maps its columns"
    listed(table, 2, version=0)


@pytest.mark.spark_only
def test_of_a_changed_schema_of_delta(spark, rows, listed, reason, tmp_path, interpreted):
    name = str(tmp_path / "table")
    table = TableSpec(name, format="delta")
    write_table(rows(1, 2), table)
    spark.sql(f"ALTER TABLE delta.`{name}` ADD COLUMN n int")
    spark.sql(f"INSERT INTO delta.`{name}` VALUES (3, 3.0, 7)")
    listed(table, 3)
    spark.sql(f"ALTER TABLE delta.`{name}` SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')")
    listed(table, 3)
    spark.sql(f"ALTER TABLE delta.`{name}` ALTER COLUMN n TYPE bigint")
    assert reason(name) == "the Delta table has columns whose type was changed"


@pytest.mark.parametrize("kind", ["v2Checkpoint", "multi-part"])
@pytest.mark.spark_only
def test_of_other_checkpoints_of_delta(spark, rows, listed, tmp_path, interpreted, kind):
    name = str(tmp_path / "table")
    table = TableSpec(name, format="delta")
    properties = "'delta.checkpointInterval' = '3'"
    if kind == "v2Checkpoint":
        properties += ", 'delta.checkpointPolicy' = 'v2'"
    part = "spark.databricks.delta.checkpoint.partSize"
    columns = "id bigint, x double"
    spark.sql(f"CREATE TABLE delta.`{name}` ({columns}) USING delta TBLPROPERTIES ({properties})")
    spark.conf.set(part, "2")
    try:
        for i in range(5):
            mode = "overwrite" if i == 3 else "append"
            write_table(rows(i).coalesce(1), changed(table, mode=mode))
    finally:
        spark.conf.unset(part)
    log = tmp_path / "table" / "_delta_log"
    files = {"v2Checkpoint": "_sidecars/*.parquet", "multi-part": "*.checkpoint.0*.0*.parquet"}
    assert len(list(log.glob(files[kind]))) > 1
    (log / f"{0:020}.json").unlink()
    for version, n_rows in ((3, 3), (4, 1), (5, 2)):
        listed(table, n_rows, version=version)


@pytest.mark.spark_only
def test_of_a_shallow_clone_of_delta(spark, rows, listed, tmp_path, interpreted):
    source, clone = str(tmp_path / "a source%20"), str(tmp_path / "clone")
    parts = rows(1, 2).selectExpr("*", "if(id = 1, 'a b%', null) AS p")
    write_table(parts, TableSpec(source, format="delta", partition_by=("p",)))
    spark.sql(f"CREATE TABLE delta.`{clone}` SHALLOW CLONE delta.`{source}`")
    spark.sql(f"INSERT INTO delta.`{clone}` VALUES (3, 3.0, 'c')")
    assert listed(TableSpec(clone, format="delta"), 3) == 3


@pytest.mark.spark_only
def test_of_a_delta_table_of_a_catalog_elsewhere(spark, listed, tmp_path, interpreted):
    place = tmp_path / "a place%20ü"
    spark.sql(f"CREATE TABLE elsewhere (id bigint, location string) USING delta LOCATION '{place}'")
    try:
        spark.sql("INSERT INTO elsewhere VALUES (1, 'x')")
        listed(TableSpec("elsewhere"), 1)
    finally:
        spark.sql("DROP TABLE elsewhere")


@pytest.fixture
def lake(spark):
    """Make a table of the Iceberg catalog: its name."""
    spark.sql("CREATE NAMESPACE lake.files")
    names = []

    def make(columns, properties="'format-version' = '2'", more=""):
        names.append(f"lake.files.t{len(names)}")
        more += f" TBLPROPERTIES ({properties})"
        spark.sql(f"CREATE TABLE {names[-1]} ({columns}) USING iceberg {more}")
        return names[-1]

    yield make
    for name in names:
        spark.sql(f"DROP TABLE {name}")
    spark.sql("DROP NAMESPACE lake.files")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.spark_only
def test_of_changed_rows_of_iceberg(spark, rows, lake, listed, reason, version):
    name = lake("id bigint, x double", f"'format-version' = '{version}'")
    table = TableSpec(name, format="iceberg")
    write_table(rows(*range(20)).coalesce(1), changed(table, mode="append"))
    spark.sql(f"DELETE FROM {name} WHERE id = 5")
    assert listed(table, 19) == 1
    before = read_table(spark, table).version
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('write.delete.mode' = 'merge-on-read')")
    spark.sql(f"DELETE FROM {name} WHERE id IN (3, 4)")
    assert reason(name) == "the Iceberg snapshot has delete files"
    assert listed(table, 19, version=before) == 1


@pytest.mark.spark_only
def test_of_a_changed_schema_of_iceberg(spark, lake, listed, reason):
    name = lake("id bigint, x double, s struct<a: int, b: int>")
    table = TableSpec(name)
    spark.sql(f"INSERT INTO {name} VALUES (1, 1.5, struct(1, 2))")
    first = read_table(spark, table).version
    spark.sql(f"ALTER TABLE {name} RENAME COLUMN x TO y")
    spark.sql(f"ALTER TABLE {name} ADD COLUMN x double")
    spark.sql(f"INSERT INTO {name} VALUES (2, 2.5, struct(1, 2), 3.5)")
    spark.sql(f"ALTER TABLE {name} DROP COLUMN x")
    spark.sql(f"ALTER TABLE {name} ADD COLUMN x double")
    spark.sql(f"INSERT INTO {name} VALUES (3, 2.5, struct(1, 2), 4.5)")
    listed(table, 3)
    listed(table, 1, version=first)
    spark.sql(f"ALTER TABLE {name} DROP COLUMN s.b")
    spark.sql(f"ALTER TABLE {name} ADD COLUMN s.b int")
    spark.sql(f"INSERT INTO {name} VALUES (4, 2.5, struct(1, 2), 4.5)")
    assert reason(name) == "a field inside a column of the Iceberg table was replaced by another"


@pytest.mark.spark_only
def test_of_other_files_of_iceberg(spark, lake, listed, reason):
    name = lake("id bigint, t timestamp", more="PARTITIONED BY (bucket(4, id), days(t))")
    spark.sql(f"INSERT INTO {name} VALUES (1, timestamp'2026-01-02'), (2, null)")
    listed(TableSpec(name), 2)
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('write.format.default' = 'orc')")
    spark.sql(f"INSERT INTO {name} VALUES (3, null)")
    assert reason(name) == "the Iceberg snapshot has ORC files"
    name = lake("id bigint", "'schema.name-mapping.default' = '[]'")
    assert "columns have no ids" in reason(name)
    listed(TableSpec(lake("id bigint")), 0)


@pytest.mark.spark_only
def test_iceberg_tables_of_spark_read_by_their_manifests(spark, rows, lake):
    """Without Spark, from the manifests that Iceberg itself writes."""
    name = lake("id bigint, x double", more="PARTITIONED BY (bucket(4, id))")
    table = TableSpec(name, format="iceberg", mode="append")
    for ids in ((1, 2, 3), (4, 5)):
        write_table(rows(*ids), table)
    spark.sql(f"DELETE FROM {name} WHERE id = 4")
    opened = read_table(spark, table)
    entries, metadata = iceberg_files.of_spark(spark, files_of, name, opened.version)
    assert sorted(iceberg_files.of_manifests(files_of, metadata, opened.version)) == sorted(entries)
    assert len(entries) > 1


@pytest.fixture
def parquet(tmp_path):
    """Write a Parquet file of these ids at a place."""

    def write(name, *ids, column="id"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({column: ids}), tmp_path / name)

    return write


@pytest.mark.connect
@pytest.mark.spark
def test_of_parquet(parquet, listed, tmp_path):
    parquet("t t/a.parquet", 1)
    parquet("t t/b", 2, 3)
    for hidden in ("_c.parquet", ".d.parquet", "_e/f.parquet"):
        parquet(f"t t/{hidden}", 9)
    (tmp_path / "t t" / "empty.parquet").write_bytes(b"")
    table = TableSpec(str(tmp_path / "t t"))
    assert listed(table, 3) == 2
    assert listed(TableSpec(f"{tmp_path}/t t/*.parquet"), 1) == 1
    assert listed(TableSpec(f"{tmp_path}/t t/[ab]*"), 3) == 2
    assert listed(TableSpec(f"{tmp_path}/t t/b"), 2) == 1
    assert listed(TableSpec(f"file:{tmp_path}/t t/"), 3) == 2


@pytest.mark.spark
def test_of_parquet_that_comes_later(spark, parquet, tmp_path):
    parquet("t/a.parquet", 1)
    spec = TableSpec(str(tmp_path / "t"))
    opened = read_table(spark, spec)
    parquet("t/b.parquet", 2)
    assert [file.uri for file in data_files(spark, spec, opened).files] == [
        f"file://{tmp_path}/t/a.parquet"
    ]


@pytest.mark.spark
def test_of_folders_that_are_partitions(parquet, listed, tmp_path, engine):
    for i, part in enumerate(
        ["a b", "z", "x%3Ay", "%C3%BC", "100%25", "__HIVE_DEFAULT_PARTITION__"]
    ):
        parquet(f"above=1/t/n={i}/part={part}/f.parquet", i)
    parquet("above=1/t/n=7/part=c/deeper/f.parquet", 7)
    place = f"{tmp_path}/above=1/t"
    for name, n_rows in (
        (place, 7),
        (f"{place}/n=1", 1),
        (f"{place}/n=[1]", 1),
        (f"{place}/n=[12]/part=*/*", 2),
        (f"{tmp_path}/above=*/t", 7),
        (f"{place}/n=1/part=z/f.parquet", 1),
        # Spark wants one root for partitions, and without them looks no deeper.
        *([(f"{place}/n=*", 7), (f"{place}/*/*", 7)] if engine == "embedded" else []),
    ):
        listed(TableSpec(name), n_rows)


@pytest.mark.spark
def test_of_partitions_as_the_engine_writes_them(spark, listed, tmp_path):
    df = spark.createDataFrame(list(enumerate(PARTS)), "id bigint, part string")
    df.write.partitionBy("part").parquet(str(tmp_path / "t"))
    listed(TableSpec(str(tmp_path / "t")), len(PARTS))


@pytest.mark.spark
def test_of_a_view(spark, rows, reason):
    rows(1).createOrReplaceTempView("a_view")
    try:
        assert reason("a_view") == "a view has no files of its own"
    finally:
        spark.catalog.dropTempView("a_view")


@pytest.mark.spark_only
def test_of_parquet_tables_of_the_catalog(spark, listed, reason, parquet, tmp_path):
    def table(columns, *values, more=""):
        spark.sql("DROP TABLE IF EXISTS of_catalog")
        spark.sql(f"CREATE TABLE of_catalog ({columns}) USING parquet {more}")
        for row in values:
            spark.sql(f"INSERT INTO of_catalog VALUES {row}")
        return TableSpec("of_catalog")

    try:
        listed(table("id bigint, x double", "(1, 2.0)", "(2, null)"), 2)
        parts = "PARTITIONED BY (part, n)"
        found = table("id int, part string, n int", "(1, 'a b/%', 1), (2, null, 2)", more=parts)
        listed(found, 2)
        spark.sql(
            "ALTER TABLE of_catalog ADD PARTITION (part = 'x', n = 1) "
            f"LOCATION '{tmp_path}/part=x/n=2'"
        )
        parquet("part=x/n=2/f.parquet", 3)
        assert reason("of_catalog") == "a partition of the table is in a folder of another name"
        table("id int, c char(3)", "(1, 'a')")
        assert reason("of_catalog") == "column 'c' is char(3), which is filled with spaces"
        table("id int", "(1)")
        spark.sql("ALTER TABLE of_catalog ADD COLUMN x int DEFAULT 5")
        assert reason("of_catalog") == "column 'x' has a default value for older rows"
    finally:
        spark.sql("DROP TABLE IF EXISTS of_catalog")


@pytest.mark.spark_only
def test_of_another_format(spark, reason):
    spark.sql("CREATE TABLE of_csv (id int) USING csv")
    try:
        assert reason("of_csv") == "the format of the table is csv"
    finally:
        spark.sql("DROP TABLE of_csv")
