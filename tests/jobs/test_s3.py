"""A job reads from an object store what it reads from a folder."""

import pyarrow.parquet as pq


def test_a_job_reads_from_s3(
    object_store, submit_alone, labelled_rows, by_id, monkeypatch, tmp_path
):
    *_, table = labelled_rows(60, 3)
    local = tmp_path / "rows.parquet"
    pq.write_table(table, local)
    object_store.write("labels/rows/part-0.parquet", table.slice(0, 40))
    object_store.write("labels/rows/part-1.parquet", table.slice(40))
    for name, value in object_store.variables().items():
        monkeypatch.setenv(name, value)
    scores = []
    remote = "s3://labels/rows"
    for place, reader in ((local, "auto"), (remote, "spark"), (remote, "files")):
        out = tmp_path / f"{reader}_scores"
        done = submit_alone("--input", place, "--output", out, "--reader", reader)
        assert done.code == 0, done.stdout + done.stderr
        scores.append(by_id(pq.read_table(out), table["id"]))
    assert scores[0] == scores[1] == scores[2]


def test_a_job_with_the_wrong_keys_ends_before_anything_is_written(
    object_store, submit_alone, labelled_rows, expected_error, monkeypatch, tmp_path
):
    *_, table = labelled_rows(60, 3)
    object_store.write("labels/kept/part-0.parquet", table)
    for name, value in object_store.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    done = submit_alone("--input", "s3://labels/kept", "--output", tmp_path / "scores")
    line = expected_error(done, 2)
    assert "input: no table 's3://labels/kept' to read" in line
    assert not (tmp_path / "scores").exists()
