"""MQTT packets as bytes, for what stands on the other side: floors that publish, brokers that send.

MQTT 3.1.1 sections 2.2.3 (remaining length), 3.1 (CONNECT), 3.3 (PUBLISH); MQTT 5 has properties behind the packet
identifier, here none.
"""

from __future__ import annotations

PUBLISH = 0x30


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first: the remaining length of MQTT, the numbers of protobuf."""
    found = bytearray()
    while number > 127:
        found.append(number % 128 | 128)
        number //= 128
    found.append(number)
    return bytes(found)


def packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + varint(len(body)) + body


def connect(client_id: str, keep_alive_s: int = 600) -> bytes:
    """Of 3.1.1, with a clean session."""
    name = client_id.encode()
    head = b"\x00\x04MQTT\x04\x02" + keep_alive_s.to_bytes(2, "big")
    return packet(0x10, head + len(name).to_bytes(2, "big") + name)


def publish(number: int, topic: str, payload: bytes, qos: int, *, newest: bool = False) -> bytes:
    """number: of the message; its packet identifier goes round in 1..65535. newest: MQTT 5."""
    name = topic.encode()
    identifier = (number % 65_535 + 1).to_bytes(2, "big") if qos else b""
    properties = b"\0" if newest else b""
    return packet(PUBLISH | qos << 1, len(name).to_bytes(2, "big") + name + identifier + properties + payload)
