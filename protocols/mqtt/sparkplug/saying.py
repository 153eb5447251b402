"""What a host says: its own state, and to nodes that they have to be born again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

NAMESPACE = "spBv1.0"
ONLINE, OFFLINE = b"ONLINE", b"OFFLINE"
"""A host's state as nodes of Sparkplug 2.2 know it."""


class Request(NamedTuple):
    """What is to be published."""

    topic: str
    payload: bytes
    qos: int = 0
    retained: bool = False


class State(msgspec.Struct):
    """What STATE says of a host. `timestamp`: when it came online, in milliseconds."""

    online: bool
    timestamp: int


def contradicts(payload: bytes, online_ms: int) -> bool:
    """Whether a STATE says that we are not there. The will of an earlier connection of ours, which has an earlier time,
    may come late and says nothing."""
    try:
        told = msgspec.json.decode(payload, type=State)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return True
    return not told.online and told.timestamp >= online_ms


def rebirth_command(timestamp_ms: int) -> bytes:
    """The payload of the NCMD that asks a node for its births (section 5.9): one metric, `Node Control/Rebirth`."""
    name = b"Node Control/Rebirth"
    time = _varint(timestamp_ms)
    metric = b"\x0a" + bytes([len(name)]) + name + b"\x18" + time + b"\x20\x0b\x70\x01"
    return b"\x08" + time + b"\x12" + bytes([len(metric)]) + metric


def _varint(number: int) -> bytes:
    return bytes(_septets(number))


def _septets(number: int) -> Iterator[int]:
    while number > 127:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number
