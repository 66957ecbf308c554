"""The log of a Delta table: what the table is at a version.

A commit is a file of JSON lines, each an action; a checkpoint is the sum of all commits until then,
as Parquet. They are read with pyarrow, on every engine: a few small files, no Spark job.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

_COMMIT = re.compile(r"(\d{20})\.json")

_CHECKPOINT = re.compile(
    r"(?P<version>\d{20})\.checkpoint"
    r"(?:\.(?P<part>\d{10})\.(?P<parts>\d{10})|\.[0-9a-f-]{36})?\.(?:parquet|json)"
)
"""One file, one of several, or one with a name of its own that may refer to further files."""

_OF_A_CHECKPOINT = [
    *("protocol", "metaData", "sidecar.path"),
    *("add.path", "add.partitionValues", "add.size", "add.deletionVector.storageType"),
]
"""The columns of a checkpoint that are read: not the statistics of each file, which are large."""

_AT_ONCE = 16
"""How many files of the log are read at a time: each of them is one wait for an object store."""


@dataclass(frozen=True, slots=True)
class Added:
    """A file with rows of the table: its size, the values of its partition, what hides rows."""

    size: int | None
    partition: Mapping[str, str | None]
    has_deletion_vector: bool


@dataclass(slots=True)
class Snapshot:
    """A Delta table at a version: its protocol, its metadata, and its files by their paths.

    A path is relative to the table, or a URI; its characters are not escaped.
    """

    protocol: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    added: dict[str, Added] = field(default_factory=dict)


def snapshot(files: fs.FileSystem, path: str, version: int) -> Snapshot:
    """Return what the Delta table at a path of a file system is at a version.

    Raises
    ------
    OSError, ValueError
        If its log cannot be read here, or does not reach from a checkpoint to that version.
    """
    log = f"{path.rstrip('/')}/_delta_log"
    names = [entry.base_name for entry in files.get_file_info(fs.FileSelector(log))]
    found = Snapshot()
    start, checkpoint = _checkpoint(names, version)
    for name in checkpoint:
        _apply(found, _actions_of_checkpoint(files, log, name))
    commits = [f"{number:020}.json" for number in range(start, version + 1)]
    if missing := set(commits) - set(names):
        raise ValueError(f"the log has no {min(missing)!r}")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for actions in pool.map(lambda name: _actions(files, f"{log}/{name}"), commits):
            _apply(found, actions)
    if not found.protocol or not found.metadata:
        raise ValueError("the log does not say what the table is")
    return found


def _checkpoint(names: Iterable[str], version: int) -> tuple[int, list[str]]:
    """Return the first version that the newest usable checkpoint lacks, and its files."""
    kinds: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name in sorted(names):
        if (found := _CHECKPOINT.fullmatch(name)) and int(found["version"]) <= version:
            kinds[int(found["version"]), int(found["parts"] or 0)].append(name)
    # Each checkpoint without a number of parts is whole in itself.
    whole = {key: kinds[key] if key[1] else kinds[key][:1] for key in kinds}
    complete = [key for key, found in whole.items() if len(found) == max(key[1], 1)]
    if not complete:
        return 0, []
    newest = max(complete)
    return newest[0] + 1, whole[newest]


def _apply(found: Snapshot, actions: Iterable[dict[str, Any]]) -> None:
    """Apply the actions of a commit, which have no order among themselves.

    A file whose deletion vector changes is removed and added by one commit.
    """
    added = {}
    for action in actions:
        if add := action.get("add"):
            partition = dict(add["partitionValues"] or {})
            vector = add.get("deletionVector")
            added[unquote(add["path"])] = Added(add.get("size"), partition, vector is not None)
        elif remove := action.get("remove"):
            found.added.pop(unquote(remove["path"]), None)
        elif protocol := action.get("protocol"):
            found.protocol = protocol
        elif metadata := action.get("metaData"):
            configuration = dict(metadata.get("configuration") or {})
            found.metadata = {**metadata, "configuration": configuration}
    found.added.update(added)


def _actions(files: fs.FileSystem, path: str) -> list[dict[str, Any]]:
    with files.open_input_stream(path) as stream:
        return [json.loads(line) for line in stream.read().splitlines() if line.strip()]


def _actions_of_checkpoint(files: fs.FileSystem, log: str, name: str) -> Iterator[dict[str, Any]]:
    path = f"{log}/{name}"
    actions = _actions(files, path) if name.endswith(".json") else _rows(files, path)
    for action in actions:
        if sidecar := action.get("sidecar"):
            yield from _rows(files, f"{log}/_sidecars/{unquote(sidecar['path']).split('/')[-1]}")
        else:
            yield action


def _rows(files: fs.FileSystem, path: str) -> Iterator[dict[str, Any]]:
    """Yield the actions of a Parquet file, which has a column for each kind of action."""
    with files.open_input_file(path) as stream, pq.ParquetFile(stream) as parquet:
        for batch in parquet.iter_batches(columns=_OF_A_CHECKPOINT):
            for kind in batch.schema.names:
                for action in _present(batch.column(kind)).to_pylist():
                    yield {kind: action}


def _present(column: pa.Array) -> pa.Array:
    return column.filter(column.is_valid())
