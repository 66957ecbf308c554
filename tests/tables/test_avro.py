"""Avro files, written here byte by byte."""

import json
import struct
import zlib

import pyarrow as pa
import pytest

from lq_spark.tables.avro import records

SYNC = b"0123456789abcdef"

SCHEMA = {
    "type": "record",
    "name": "r",
    "fields": [
        {"name": "n", "type": "long"},
        {"name": "maybe", "type": ["null", "string"]},
        {"name": "list", "type": {"type": "array", "items": "int"}},
        {"name": "map", "type": {"type": "map", "values": "boolean"}},
        {"name": "x", "type": "double"},
        {"name": "f", "type": {"type": "fixed", "name": "two", "size": 2}},
        {"name": "again", "type": "two"},
        {"name": "logical", "type": {"type": "int", "logicalType": "date"}},
    ],
}


def number(value):
    """Return a number as Avro has it."""
    value, found = (value << 1) ^ (value >> 63), bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def text(value):
    return number(len(value)) + value


def record(n, maybe):
    union = number(0) if maybe is None else number(1) + text(maybe.encode())
    # Two blocks: of one item, and of two with their bytes; then the end.
    items = number(1) + number(5) + number(-2) + number(2) + number(6) + number(7) + number(0)
    pairs = number(1) + text(b"k") + b"\x01" + number(0)
    return number(n) + union + items + pairs + struct.pack("<d", 1.5) + b"abcd" + number(-3)


def file(*blocks, codec=b"null"):
    header = [(b"avro.schema", json.dumps(SCHEMA).encode()), (b"avro.codec", codec)]
    found = b"Obj\x01" + number(2) + b"".join(text(k) + text(v) for k, v in header) + number(0)
    return found + SYNC + b"".join(number(n) + text(block) + SYNC for n, block in blocks)


def expected(n, maybe):
    rest = {"x": 1.5, "f": b"ab", "again": b"cd", "logical": -3}
    return {"n": n, "maybe": maybe, "list": [5, 6, 7], "map": {"k": True}, **rest}


ROWS = [(0, None), (-1, ""), (63, "ü"), (64, "a"), (-(2**63), "b"), (2**63 - 1, None)]


@pytest.mark.parametrize(
    ("codec", "compress"),
    [
        (b"null", bytes),
        (b"deflate", lambda block: zlib.compress(block)[2:-4]),
        (b"zstandard", lambda block: pa.compress(block, codec="zstd", asbytes=True)),
    ],
)
def test_records_of_several_blocks(codec, compress):
    first, second = (b"".join(record(*row) for row in rows) for rows in (ROWS[:4], ROWS[4:]))
    content = file((4, compress(first)), (2, compress(second)), codec=codec)
    assert list(records(content)) == [expected(*row) for row in ROWS]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1", "of other content"),
        (file((1, record(1, None)), codec=b"snappy"), "compressed with snappy"),
        (file((1, record(1, None)), codec=b"deflate"), "damaged"),
        (file((1, record(1, None)))[:-1] + b"?", "damaged"),
    ],
)
def test_what_cannot_be_read_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        list(records(content))
