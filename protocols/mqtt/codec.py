"""The control packets of MQTT 5 and 3.1.1, written and read. Not hot: PUBLISH and PUBACK that come in are `ext`'s.

Section numbers are those of MQTT 5.0 (OASIS, 2019); 3.1.1 has the same packets without properties and with other codes.
Nothing here does I/O. What is read is bounded by the splitter before it comes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from ext.mqtt_wire import WireFault, properties_of

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREL, PUBCOMP = 1, 2, 3, 4, 6, 7
SUBSCRIBE, SUBACK, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = 8, 9, 11, 12, 13, 14, 15

SESSION_EXPIRY, RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM = 0x11, 0x21, 0x22
SERVER_KEEP_ALIVE, REASON, RETAIN_AVAILABLE, MAXIMUM_QOS, SHARED_AVAILABLE = 0x13, 0x1F, 0x25, 0x24, 0x2A
CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA, USER_PROPERTY = 0x03, 0x08, 0x09, 0x26

WITH_WILL = 0x04
"""The reason of a DISCONNECT that asks for the will to be published all the same (section 3.14.2.1)."""

CLEAN_SESSION = 0x02
"""A flag of CONNECT in 3.1.1: nothing is kept behind it (section 3.1.2.4 there)."""

RETAINED_IF_NEW, RETAINED_NEVER = 1, 2
"""Retained messages of a subscription: only when it is new, or never (section 3.8.3.1)."""

PING = bytes([PINGREQ << 4, 0])

REFUSALS = {
    1: 'the broker does not speak this version: version = "3.1.1" or "5"',
    2: "client_id refused",
    3: "the broker is unavailable",
    4: "bad user name or password",
    5: "not authorized",
}
"""Return codes of a 3.1.1 CONNACK (section 3.2.2.3 there)."""

REASONS = {
    0x04: "disconnected with its will",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "the broker does not speak this version",
    0x85: "client_id refused",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "the broker is unavailable",
    0x89: "the broker is busy",
    0x8A: "banned",
    0x8B: "the broker is shutting down",
    0x8C: "bad authentication method",
    0x8D: "the broker heard nothing within keepalive_s",
    0x8E: "somebody else has taken over this client_id",
    0x8F: "topic filter refused",
    0x90: "topic name refused",
    0x91: "packet number in use",
    0x93: "more messages than the receive maximum",
    0x94: "topic alias refused",
    0x95: "packet too large",
    0x96: "too many messages",
    0x97: "quota exceeded",
    0x98: "closed by its administrator",
    0x99: "payload format refused",
    0x9A: "the broker keeps no retained messages: will.retained = false, and no sparkplug.host_id",
    0x9B: "the broker has QoS 0 only: will.qos = 0, and no sparkplug.host_id",
    0x9C: "use another broker",
    0x9D: "the broker has moved",
    0x9E: "the broker has no shared subscriptions",
    0x9F: "too many connections",
    0xA0: "connected for too long",
    0xA1: "the broker has no subscription identifiers",
    0xA2: "the broker has no wildcard subscriptions",
}
"""Reason codes of MQTT 5 (section 2.4) from 0x80 on, in words that an operator can act on."""


T = TypeVar("T")


class Will(NamedTuple):
    """What the broker publishes for us when we are gone without a goodbye."""

    topic: str
    payload: bytes
    qos: int
    retained: bool


class Accepted(NamedTuple):
    """The broker's answer to CONNECT. `code`: 0 is yes. `properties`: the single ones by identifier, MQTT 5 only."""

    session_present: bool
    code: int
    properties: dict[int, object]


class Subscription(NamedTuple):
    filter: str
    qos: int
    retained: int = RETAINED_IF_NEW


def connect(
    client_id: str,
    *,
    newest: bool,
    keepalive_s: int,
    session_expiry_s: int = 0,
    receive_maximum: int = 65_535,
    topic_aliases: int = 0,
    user: str | None = None,
    password: str | None = None,
    will: Will | None = None,
) -> bytes:
    """CONNECT (section 3.1) that goes on with the session if there is one. `session_expiry_s`: 0: it ends with the
    connection; longer ones are MQTT 5's alone to tell, as are `receive_maximum` and `topic_aliases`."""
    flags = 0x80 * (user is not None) | 0x40 * (password is not None)
    if not newest and not session_expiry_s:
        flags |= CLEAN_SESSION
    payload = _text(client_id)
    if will is not None:
        flags |= 0x04 | will.qos << 3 | 0x20 * will.retained
        payload += (b"\0" if newest else b"") + _text(will.topic) + _binary(will.payload)
    if user is not None:
        payload += _text(user)
    if password is not None:
        payload += _text(password)
    head = _text("MQTT") + bytes([5 if newest else 4, flags]) + keepalive_s.to_bytes(2, "big")
    if newest:
        properties = bytes([SESSION_EXPIRY]) + session_expiry_s.to_bytes(4, "big")
        properties += bytes([RECEIVE_MAXIMUM]) + receive_maximum.to_bytes(2, "big")
        properties += bytes([TOPIC_ALIAS_MAXIMUM]) + topic_aliases.to_bytes(2, "big")
        head += _block(properties)
    return _packet(CONNECT << 4, head + payload)


def subscribe(number: int, subscriptions: Sequence[Subscription], *, newest: bool) -> bytes:
    """SUBSCRIBE (section 3.8)."""
    body = number.to_bytes(2, "big") + (b"\0" if newest else b"")
    for each in subscriptions:
        body += _text(each.filter) + bytes([each.qos | each.retained << 4 if newest else each.qos])
    return _packet(SUBSCRIBE << 4 | 2, body)


def publish(
    topic: str, payload: bytes, *, newest: bool, qos: int = 0, retained: bool = False, number: int = 0
) -> bytes:
    """PUBLISH (section 3.3). `number`: from 1, under QoS 1."""
    body = _text(topic) + (number.to_bytes(2, "big") if qos else b"") + (b"\0" if newest else b"")
    return _packet(PUBLISH << 4 | qos << 1 | retained, body + payload)


def pubcomp(body: bytes) -> bytes:
    """PUBCOMP (section 3.7), the answer to this PUBREL. Raises WireFault."""
    if len(body) < 2:
        raise WireFault("a PUBREL that is too short")
    return _packet(PUBCOMP << 4, body[:2])


def disconnect(reason: int = 0, *, newest: bool) -> bytes:
    """DISCONNECT (section 3.14)."""
    return _packet(DISCONNECT << 4, bytes([reason]) if newest and reason else b"")


def read_connack(body: bytes, *, newest: bool) -> Accepted:
    """Section 3.2. Raises WireFault."""
    if len(body) < 2:
        raise WireFault("a CONNACK that is too short")
    # a broker that knows only 3.1.1 refuses in its own form
    properties = _properties(body, 2) if newest and len(body) > 2 else {}
    return Accepted(bool(body[0] & 1), body[1], properties)


def read_suback(body: bytes, *, newest: bool) -> tuple[int, list[int]]:
    """(number, a code for each filter), section 3.9. Raises WireFault."""
    if len(body) < 2:
        raise WireFault("a SUBACK that is too short")
    at = 2
    if newest:
        length, size = _varint(body, 2)
        at = 2 + size + length
    return int.from_bytes(body[:2], "big"), list(body[at:])


def read_puback(body: bytes, *, newest: bool) -> tuple[int, str]:
    """(number, why the message was refused or nothing), section 3.4; 3.1.1 knows no refusal. Raises WireFault."""
    if len(body) < 2:
        raise WireFault("a PUBACK that is too short")
    code = body[2] if newest and len(body) > 2 else 0
    why = refusal(code, _properties(body, 3) if len(body) > 3 else {}, newest=True) if code >= 0x80 else ""
    return int.from_bytes(body[:2], "big"), why


def read_disconnect(body: bytes) -> str:
    """Why the broker leaves (MQTT 5 only). Raises WireFault."""
    if not body:
        return "the broker has ended the connection"
    return refusal(body[0], _properties(body, 1) if len(body) > 1 else {}, newest=True)


def refusal(code: int, properties: dict[int, object], *, newest: bool) -> str:
    """A code in words, with what the broker itself says about it."""
    text = (REASONS if newest and code >= 0x80 else REFUSALS).get(code, f"code {code}")
    told = properties.get(REASON)
    return f"{text}: {_printable(told)}" if isinstance(told, bytes) and told else text


def _printable(text: bytes) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:200].decode(errors="replace"))


def _properties(body: bytes, at: int) -> dict[int, object]:
    length, size = _varint(body, at)
    return dict(properties_of(body[at + size : at + size + length]))


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer and its size (section 1.5.5)."""
    number = 0
    for size, byte in enumerate(body[at : at + 4]):
        number |= (byte & 0x7F) << 7 * size
        if byte < 0x80:
            if at + size + 1 + number > len(body):
                break
            return number, size + 1
    raise WireFault("a packet with a wrong length of properties")


def _packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + _length(len(body)) + body


def _length(number: int) -> bytes:
    found = bytearray()
    while True:
        number, low = divmod(number, 128)
        found.append(low | 0x80 * (number > 0))
        if not number:
            return bytes(found)


def _block(properties: bytes) -> bytes:
    return _length(len(properties)) + properties


def _text(text: str) -> bytes:
    return _binary(text.encode())


def _binary(data: bytes) -> bytes:
    if len(data) > 65_535:
        raise ValueError("longer than 65535 bytes")
    return len(data).to_bytes(2, "big") + data
