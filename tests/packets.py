"""MQTT packets as another implementation would write them, for what reads them: straight from MQTT 5 sections 2 and 3.

Knows nothing of ours, so that it can disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number % 128 + 128])
        number //= 128
    return found + bytes([number])


def text(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + varint(len(body)) + body


class Publish(NamedTuple):
    """A PUBLISH. `properties`: written already, without their length."""

    topic: bytes
    payload: bytes
    qos: int = 0
    number: int = 0
    retained: bool = False
    duplicate: bool = False
    properties: bytes = b""

    def wire(self, newest: bool) -> bytes:
        first = 0x30 | self.duplicate << 3 | self.qos << 1 | self.retained
        body = text(self.topic) + (self.number.to_bytes(2, "big") if self.qos else b"")
        if newest:
            body += varint(len(self.properties)) + self.properties
        return packet(first, body + self.payload)


def user_property(name: bytes, value: bytes) -> bytes:
    return b"\x26" + text(name) + text(value)


def correlation(data: bytes) -> bytes:
    return b"\x09" + text(data)


def topic_alias(number: int) -> bytes:
    return b"\x23" + number.to_bytes(2, "big")


def connack(newest: bool, session_present: bool = False, code: int = 0, properties: bytes = b"") -> bytes:
    body = bytes([session_present, code]) + (varint(len(properties)) + properties if newest else b"")
    return packet(0x20, body)


def suback(newest: bool, number: bytes, codes: Sequence[int]) -> bytes:
    return packet(0x90, number + (b"\0" if newest else b"") + bytes(codes))
