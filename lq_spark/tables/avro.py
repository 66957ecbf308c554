"""Records of an Avro file, as Iceberg writes its manifests: no package for it is needed.

An Avro file holds the schema that it was written with, and blocks of records, each perhaps
compressed. Numbers have as many bytes as they need, so records are read from the first to the last.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa

_Read = Callable[[io.BytesIO], Any]

_MAGIC = b"Obj\x01"


def records(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield the records of an Avro file.

    Raises
    ------
    ValueError
        If it is no Avro file, or compressed in a way that pyarrow does not know.
    """
    stream = io.BytesIO(content)
    if stream.read(4) != _MAGIC:
        raise ValueError("an Avro file of other content")
    header = _map(_bytes, stream)
    sync = stream.read(16)
    read = _reader(json.loads(header["avro.schema"]), {})
    codec = header.get("avro.codec", b"null").decode()
    while stream.tell() < len(content):
        count = _long(stream)
        block = io.BytesIO(_decompressed(_bytes(stream), codec))
        for _ in range(count):
            yield read(block)
        if stream.read(16) != sync:
            raise ValueError("an Avro file that is damaged")


def _decompressed(block: bytes, codec: str) -> bytes:
    if codec == "null":
        return block
    if codec == "deflate":
        try:
            return zlib.decompress(block, wbits=-zlib.MAX_WBITS)
        except zlib.error as error:
            raise ValueError("an Avro file that is damaged") from error
    if codec == "zstandard":
        with pa.input_stream(pa.BufferReader(block), compression="zstd") as stream:
            return bytes(stream.read())
    raise ValueError(f"an Avro file compressed with {codec}")


def _reader(schema: Any, named: dict[str, _Read]) -> _Read:
    """Return the function that reads a value of a schema."""
    if isinstance(schema, list):
        return partial(_union, [_reader(kind, named) for kind in schema])
    if isinstance(schema, str):
        return named[schema] if schema in named else _PRIMITIVES[schema]
    kind = schema["type"]
    if kind == "record":
        fields = [(field["name"], _reader(field["type"], named)) for field in schema["fields"]]
        named[schema["name"]] = partial(_record, fields)
        return named[schema["name"]]
    if kind == "fixed":
        named[schema["name"]] = partial(_fixed, schema["size"])
        return named[schema["name"]]
    if kind == "array":
        return partial(_array, _reader(schema["items"], named))
    if kind == "map":
        return partial(_map, _reader(schema["values"], named))
    return _reader(kind, named)


def _union(kinds: list[_Read], stream: io.BytesIO) -> Any:
    return kinds[_long(stream)](stream)


def _record(fields: list[tuple[str, _Read]], stream: io.BytesIO) -> dict[str, Any]:
    return {name: read(stream) for name, read in fields}


def _fixed(size: int, stream: io.BytesIO) -> bytes:
    return stream.read(size)


def _array(read: _Read, stream: io.BytesIO) -> list[Any]:
    return [read(stream) for _ in _items(stream)]


def _map(read: _Read, stream: io.BytesIO) -> dict[str, Any]:
    return {_bytes(stream).decode(): read(stream) for _ in _items(stream)}


def _items(stream: io.BytesIO) -> Iterator[int]:
    """Yield once for each item of an array or map, which come in blocks until an empty one."""
    while count := _long(stream):
        if count < 0:  # followed by the bytes of the block
            _long(stream)
        yield from range(abs(count))


def _long(stream: io.BytesIO) -> int:
    """Return a number of seven bits a byte, the lowest first, its sign in the lowest of all."""
    byte = stream.read(1)[0]
    number, shift = byte & 0x7F, 7
    while byte & 0x80:
        byte = stream.read(1)[0]
        number |= (byte & 0x7F) << shift
        shift += 7
    return (number >> 1) ^ -(number & 1)


def _bytes(stream: io.BytesIO) -> bytes:
    return stream.read(_long(stream))


def _unpacked(layout: struct.Struct, stream: io.BytesIO) -> Any:
    return layout.unpack(stream.read(layout.size))[0]


_PRIMITIVES: dict[str, _Read] = {
    "null": lambda _: None,
    "boolean": lambda stream: stream.read(1) == b"\x01",
    "int": _long,
    "long": _long,
    "float": partial(_unpacked, struct.Struct("<f")),
    "double": partial(_unpacked, struct.Struct("<d")),
    "bytes": _bytes,
    "string": lambda stream: _bytes(stream).decode(),
}
