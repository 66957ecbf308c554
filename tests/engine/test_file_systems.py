"""Files are opened in the workers with the settings that the session has on the driver."""

import cloudpickle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs
from pyspark.sql import Row

from lq_spark.engine.file_systems import FileAccess, file_access

ROWS = pa.table({"a": [1, 2, 3]})
PATH = "labels/rows of a%20day/x=1/part-0.parquet"
URI = f"s3a://{PATH}"


class Session:
    """Stands for a session of classic Spark that has these settings."""

    version = "4.1.0"

    def __init__(self, **settings):
        self.conf, self._settings = self, settings

    def get(self, name, default):
        return self._settings.get(name, default)


def begun_with(settings):
    return Session(**{f"spark.hadoop.{name}": value for name, value in settings.items()})


def read(files, path):
    with files.open_input_file(path) as file:
        return pq.read_table(file)


def read_in_worker(access):
    """Return what reads files, given by their URIs, in a task: (pid, rows), both as numbers."""

    def batches(given):
        for batch in given:
            n_rows = [read(*access.open(uri)).num_rows for uri in batch["uri"].to_pylist()]
            yield pa.record_batch({"n": pa.array(n_rows, pa.int64())})

    return batches


@pytest.fixture(scope="module")
def stored(object_store):
    object_store.write(PATH, ROWS)
    object_store.write("labels/day/part-0.parquet", ROWS)
    return object_store


@pytest.mark.parametrize("prefix", ["", "file:", "file://"])
def test_a_local_file_has_any_name(prefix, spark, tmp_path):
    path = tmp_path / "a b%20?#[c].parquet"
    pq.write_table(ROWS, path)
    access = file_access(spark, f"{prefix}{tmp_path}")
    assert access == FileAccess("file://", "LocalFileSystem", ())
    assert read(*access.open(f"{prefix}{path}")) == ROWS


def test_files_of_s3_are_read_by_the_keys_of_the_settings(stored):
    access = file_access(begun_with(stored.settings()), "s3a://labels/rows")
    files, path = access.open(URI)
    assert path == PATH
    assert read(files, path) == ROWS
    assert read(*access.open("s3://labels/day/part-0.parquet")) == ROWS
    [info] = files.get_file_info(fs.FileSelector("labels/day"))
    assert info.base_name == "part-0.parquet"


@pytest.mark.parametrize(
    ("others", "uri", "error"),
    [
        ({"access.key": "AKIAWRONG"}, URI, "ACCESS_DENIED"),
        ({"secret.key": "wrong"}, URI, "ACCESS_DENIED"),
        ({"endpoint": "http://127.0.0.1:1"}, URI, "Could not connect"),
        ({}, "s3a://absent/part-0.parquet", "'absent/part-0.parquet'"),
        ({}, "s3a://labels/absent.parquet", "'labels/absent.parquet'"),
    ],
)
def test_what_is_not_there_is_an_os_error(others, uri, error, stored):
    access = file_access(begun_with(stored.settings(**others)), uri)
    with pytest.raises(OSError, match=error):
        read(*access.open(uri))


@pytest.mark.spark
def test_workers_read_what_the_engine_reads(spark, engine, stored, monkeypatch):
    settings = {} if engine == "embedded" else stored.settings()
    for name, value in stored.variables().items() if engine == "embedded" else ():
        monkeypatch.setenv(name, value)
    for name, value in settings.items():
        spark.conf.set(name, value)
    # Sail takes the characters of a URI for escaped ones.
    uri = "s3a://labels/day/part-0.parquet" if engine == "embedded" else URI
    try:
        access = file_access(spark, uri)
        by_engine = spark.read.parquet(uri).collect()
    finally:
        for name in settings:
            spark.conf.unset(name)
    assert sorted(by_engine) == [Row(a=1), Row(a=2), Row(a=3)]
    uris = spark.createDataFrame([(uri,), (uri,)], "uri string")
    assert uris.mapInArrow(read_in_worker(access), "n long").collect() == [Row(n=3), Row(n=3)]


@pytest.mark.connect_only
def test_spark_connect_does_not_show_keys(spark, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the client")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the client")
    settings = {"fs.s3a.access.key": "AK", "fs.s3a.secret.key": "SK", "fs.s3a.endpoint": "here:1"}
    try:
        for name, value in settings.items():
            spark.conf.set(name, value)
        assert file_access(spark, URI) == (
            "Spark Connect does not show fs.s3a.access.key, nor whether it is set"
        )
    finally:
        for name in settings:
            spark.conf.unset(name)


def test_what_is_set_in_the_session_goes_before_what_it_began_with(stored, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    def taken(**settings):
        access = file_access(Session(**settings), "s3a://labels")
        return [dict(access.settings).get(name) for name in ("access_key", "endpoint_override")]

    assert taken() == ["ENV", "127.0.0.1:9"]
    begun = {"spark.hadoop.fs.s3a.access.key": "BEGUN"}
    assert taken(**begun) == ["BEGUN", "127.0.0.1:9"]
    assert taken(**begun, **{"fs.s3a.access.key": " SET "}) == ["SET", "127.0.0.1:9"]
    # Spark takes nothing from an environment without both keys.
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setattr(fs, "resolve_s3_region", lambda bucket: "eu-north-1")
    assert taken() == [None, None]


def test_the_environment_is_what_sail_has(spark, stored, monkeypatch):
    for name, value in stored.variables().items():
        monkeypatch.setenv(name, value)
    settings = {"scheme": "http", "region": "us-east-1"}
    settings["endpoint_override"] = stored.url.removeprefix("http://")
    assert dict(file_access(spark, URI).settings) == settings
    assert read(*file_access(spark, URI).open(URI)) == ROWS
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    assert dict(file_access(spark, URI).settings) == {**settings, "anonymous": True}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")
    assert dict(file_access(spark, URI).settings)["force_virtual_addressing"] is True


def test_azure_on_sail(spark, monkeypatch):
    uri = "abfss://rows@lake.dfs.core.windows.net/day/part-0.parquet"
    account = {"account_name": "lake"}
    assert dict(file_access(spark, uri).settings) == account
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sv=1")
    assert dict(file_access(spark, uri).settings) == {**account, "sas_token": "?sv=1"}
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    access = file_access(spark, uri)
    assert dict(access.settings) == {**account, "account_key": "a2V5"}
    files, path = access.open(uri)
    assert (files.type_name, path) == ("abfs", "rows/day/part-0.parquet")


def test_google_cloud_by_the_settings():
    access = file_access(begun_with({"fs.gs.auth.type": "UNAUTHENTICATED"}), "gs://labels/a b")
    files, path = access.open("gs://labels/a b")
    assert (files.type_name, path) == ("gcs", "labels/a b")


def test_a_bucket_of_aws_is_asked_for_its_region(monkeypatch):
    monkeypatch.setattr(fs, "resolve_s3_region", {"labels": "eu-north-1"}.__getitem__)
    session = begun_with({"fs.s3a.access.key": "AK", "fs.s3a.secret.key": "SK"})
    files, _ = file_access(session, "s3a://labels/x").open("s3a://labels/x")
    assert files.region == "eu-north-1"


def test_an_access_goes_to_other_processes_and_shows_no_secret(stored):
    access = file_access(begun_with(stored.settings()), URI)
    assert repr(access) == str(access) == "FileAccess(place='s3a://labels', system='S3FileSystem')"
    again = cloudpickle.loads(cloudpickle.dumps(access))
    assert again == access
    assert again.open(URI)[0] is access.open(f"{URI}.2")[0]


def test_an_access_is_to_one_place(stored):
    access = file_access(begun_with(stored.settings()), URI)
    for other in ("s3a://others/x", "file:///x", "gs://labels/x"):
        with pytest.raises(OSError, match=f"'{other}' is not in s3a://labels"):
            access.open(other)


@pytest.mark.parametrize(
    ("uri", "settings", "reason"),
    [
        ("dbfs:/rows", {}, "pyarrow has no file system for dbfs:"),
        ("s3a://AK:SK@labels/x", {}, "the s3a: URI holds credentials"),
        ("s3://labels/x", {"fs.s3.impl": "com.emr.Emrfs"}, "equal of 'com.emr.Emrfs' (fs.s3.impl)"),
        (
            "s3a://labels/x",
            {"fs.s3a.proxy.host": "proxy"},
            "equal of the setting fs.s3a.proxy.host",
        ),
        ("abfss://lake.dfs.core.windows.net/x", {}, "abfss: names no container and account"),
        ("abfss://rows@lake.dfs.core.windows.net/x", {}, "for 'lake.dfs.core.windows.net' that"),
    ],
)
def test_what_pyarrow_cannot_open_has_its_reason(uri, settings, reason):
    found = file_access(begun_with(settings), uri)
    assert reason in found
    assert "SK" not in found


def test_a_pyarrow_that_is_built_without_a_store_is_a_reason(monkeypatch):
    def absent(**_):
        raise ImportError("no S3")

    monkeypatch.setattr(fs, "GcsFileSystem", absent)
    assert file_access(begun_with({}), "gs://other/x") == (
        f"pyarrow {pa.__version__} is built without GcsFileSystem"
    )


def test_an_older_pyarrow_that_takes_fewer_arguments_is_a_reason(monkeypatch):
    def older(account_name):
        raise AssertionError(account_name)

    monkeypatch.setattr(fs, "AzureFileSystem", older)
    session = begun_with({"fs.azure.account.key": "c2VjcmV0"})
    assert file_access(session, "abfss://rows@older.dfs.core.windows.net/x") == (
        f"AzureFileSystem of pyarrow {pa.__version__} does not take the settings of abfss:"
    )
