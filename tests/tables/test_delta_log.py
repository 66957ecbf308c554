"""The log of a Delta table, as writers other than the engines here may have it."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from lq_spark.tables import delta_log
from lq_spark.tables.delta_log import Added


def snapshot(table, version):
    return delta_log.snapshot(fs.LocalFileSystem(), table, version)


START = [
    {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
    {"metaData": {"schemaString": "", "partitionColumns": [], "configuration": {"a": "b"}}},
]


def add(path, vector=None, **partition):
    of_rows = {"deletionVector": vector} if vector else {}
    return {"add": {"path": path, "size": 7, "partitionValues": partition, **of_rows}}


def remove(path):
    return {"remove": {"path": path}}


@pytest.fixture
def log(tmp_path):
    """Write commits: the URI of their table."""
    folder = tmp_path / "table" / "_delta_log"
    folder.mkdir(parents=True)

    def write(*commits, start=0):
        for number, actions in enumerate(commits, start):
            lines = "\n".join(map(json.dumps, actions))
            (folder / f"{number:020}.json").write_text(lines)
        return str(folder.parent)

    write.folder = folder
    return write


@pytest.fixture
def checkpoint(log):
    """Write a checkpoint, or a part of one, of these actions."""
    partition = pa.map_(pa.string(), pa.string())
    vector = pa.struct([("storageType", pa.string()), ("offset", pa.int32())])
    schema = pa.schema(
        {
            "add": pa.struct(
                [
                    *(("path", pa.string()), ("size", pa.int64()), ("partitionValues", partition)),
                    *(("stats", pa.string()), ("deletionVector", vector)),
                ]
            ),
            "remove": pa.struct([("path", pa.string())]),
            "protocol": pa.struct([("minReaderVersion", pa.int32())]),
            "metaData": pa.struct(
                [("partitionColumns", pa.list_(pa.string())), ("configuration", partition)]
            ),
            "sidecar": pa.struct([("path", pa.string())]),
        }
    )

    def write(name, actions):
        place = log.folder / name
        place.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(actions, schema), place)

    return write


VECTOR = {"storageType": "u", "offset": 1}


@pytest.mark.parametrize("is_reversed", [False, True])
def test_actions_of_a_commit_have_no_order(log, is_reversed):
    change = [remove("a%20b"), add("a%20b", VECTOR, p="1")]
    table = log([*START, add("a%20b", p="1"), add("c")], change[:: -1 if is_reversed else 1])
    added = {path: file.has_deletion_vector for path, file in snapshot(table, 1).added.items()}
    assert added == {"a b": True, "c": False}
    assert snapshot(table, 0).added["a b"] == Added(7, {"p": "1"}, False)


def test_the_newest_protocol_and_metadata_count(log):
    newer = {"protocol": {"minReaderVersion": 3, "readerFeatures": ["deletionVectors"]}}
    table = log(START, [newer], [{"metaData": {"configuration": {}}}])
    assert snapshot(table, 0).metadata["configuration"] == {"a": "b"}
    assert snapshot(table, 2).protocol == newer["protocol"]
    assert snapshot(table, 2).metadata["configuration"] == {}


def test_a_checkpoint_holds_what_is_left_of_the_commits_before(log, checkpoint):
    table = log([remove("a"), add("d")], start=3)
    start = [{"protocol": START[0]["protocol"]}, {"metaData": {"configuration": {"a": "b"}}}]
    files = [add("a"), add("b", VECTOR), add("c", q=None), remove("x")]
    checkpoint(f"{2:020}.checkpoint.parquet", [*start, *files])
    found = snapshot(table, 3)
    assert found.added == {
        "b": Added(7, {}, True),
        "c": Added(7, {"q": None}, False),
        "d": Added(7, {}, False),
    }
    assert found.metadata["configuration"] == {"a": "b"}
    assert set(snapshot(table, 2).added) == {"a", "b", "c"}
    with pytest.raises(ValueError, match=r"the log has no '0{20}\.json'"):
        snapshot(table, 1)
    with pytest.raises(ValueError, match=r"the log has no '0{19}4\.json'"):
        snapshot(table, 4)


def test_a_checkpoint_in_parts_counts_if_all_are_there(log, checkpoint):
    table = log([*START, add("a")], [add("b")], [add("c")])
    part = f"{1:020}.checkpoint.{{:010}}.{2:010}.parquet"
    checkpoint(part.format(1), [{"protocol": {"minReaderVersion": 2}}, add("only here 1")])
    assert set(snapshot(table, 2).added) == {"a", "b", "c"}
    checkpoint(part.format(2), [{"metaData": {"configuration": {}}}, add("only here 2")])
    assert set(snapshot(table, 2).added) == {"only here 1", "only here 2", "c"}


@pytest.mark.parametrize("ending", ["json", "parquet"])
def test_a_checkpoint_may_refer_to_further_files(log, checkpoint, ending):
    table = log([add("c")], start=2)
    checkpoint("_sidecars/a b.parquet", [add("in it")])
    name = f"{1:020}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.{ending}"
    protocol = {"protocol": {"minReaderVersion": 3}}
    actions = [
        protocol,
        {"metaData": {"configuration": {}}},
        {"sidecar": {"path": "a%20b.parquet"}},
    ]
    if ending == "json":
        (log.folder / name).write_text("\n".join(map(json.dumps, actions)))
    else:
        checkpoint(name, actions)
    assert set(snapshot(table, 2).added) == {"in it", "c"}


def test_a_log_that_is_not_there_or_says_nothing_is_refused(log):
    with pytest.raises(OSError, match="_delta_log"):
        snapshot("/nowhere/at/all", 0)
    with pytest.raises(ValueError, match="does not say what the table is"):
        snapshot(log([add("a")]), 0)
