"""Sparkplug B payloads as an edge node writes them: a small Protocol Buffers writer that knows nothing of ours."""

from __future__ import annotations

import struct
from typing import Any

from tests.packets import varint

INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, FLOAT, DOUBLE, BOOLEAN, STRING, DATETIME = range(1, 14)
FIELDS = {
    **dict.fromkeys((INT8, INT16, INT32, UINT8, UINT16, UINT32), 10),
    **dict.fromkeys((INT64, UINT64, DATETIME), 11),
    FLOAT: 12,
    DOUBLE: 13,
    BOOLEAN: 14,
    STRING: 15,
    14: 15,
    15: 15,
    16: 17,
    17: 16,
    18: 16,
    19: 18,
}


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value & 0xFFFFFFFFFFFFFFFF)


def part(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def value_field(field: int, value: Any) -> bytes:
    if field == 12:
        return varint(12 << 3 | 5) + struct.pack("<f", value)
    if field == 13:
        return varint(13 << 3 | 1) + struct.pack("<d", value)
    if field == 15:
        return part(15, value.encode())
    if field >= 16:
        return part(field, value)
    # protobuf's uint32: the two's complement of 32 bits
    return number(field, int(value) & 0xFFFFFFFF if field == 10 else int(value))


def metric(
    name: str | None = None,
    value: Any = None,
    datatype: int = 0,
    *,
    alias: int | None = None,
    timestamp: int | None = None,
    historical: bool = False,
    kind: int | None = None,
) -> bytes:
    """`kind`: the datatype that the value is written as, where none is told."""
    found = part(1, name.encode()) if name is not None else b""
    found += number(2, alias) if alias is not None else b""
    found += number(3, timestamp) if timestamp is not None else b""
    found += number(4, datatype) if datatype else b""
    found += number(5, 1) if historical else b""
    if value is None:
        return found + number(7, 1)
    return found + value_field(FIELDS[datatype or kind or UINT64], value)


def payload(*metrics: bytes, seq: int | None = None, timestamp: int | None = 1_750_000_000_000) -> bytes:
    found = number(1, timestamp) if timestamp is not None else b""
    found += b"".join(part(2, each) for each in metrics)
    return found + (number(3, seq) if seq is not None else b"")
