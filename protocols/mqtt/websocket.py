"""MQTT inside a WebSocket (MQTT 5 section 6, RFC 6455): an upgrade by HTTP, and then the same bytes in frames.

    socket ──► the splitter's own room ──Unframer──► the same room ──► Connection
       ▲                                                                   │
       └──────────────────────── frame ◄── write ◄─────────────────────────┘

Stands between the socket and a `Connection`: to the one a protocol, to the other a transport.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
from collections.abc import Mapping
from typing import Any, Protocol, cast

from ext.websocket_frames import BINARY, CLOSE, PONG, FrameFault, Unframer, frame

ANSWER_BYTES_MAX = 8_192  # the splitter has room for as much, should frames stand behind it
UNANSWERED_BYTES_MAX = 65_536
"""Behind so much that the broker has not read a ping waits: only the newest has to be answered (section 5.5.3)."""

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
GOING = b"\x03\xe8"  # 1000: done (section 7.4.1)


class Within(Protocol):
    """What speaks MQTT inside."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, error: Exception | None) -> None: ...
    def eof_received(self) -> None: ...
    def get_buffer(self, sizehint: int) -> memoryview: ...
    def received(self, count: int, full: bool) -> None: ...


class WebSocket(asyncio.BufferedProtocol, asyncio.Transport):
    """`opened` is done once the server has agreed; if it does not, `within` has lost its connection."""

    def __init__(self, within: Within, host: str, port: int, path: str) -> None:
        super().__init__()
        self._within = within
        self._place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._path = path
        self._key = base64.b64encode(os.urandom(16))
        self._answer = bytearray()
        self._unframer = Unframer()
        self._room = memoryview(b"")
        self._transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # To the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self._transport = cast(asyncio.Transport, transport)
        self._within.connection_made(self)
        lines = [
            f"GET {self._path} HTTP/1.1",
            f"Host: {self._place}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self._key.decode()}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: mqtt",
        ]
        self._transport.write("\r\n".join([*lines, "", ""]).encode())

    def get_buffer(self, sizehint: int) -> memoryview:
        if not self.opened.done():
            self._room = memoryview(bytearray(ANSWER_BYTES_MAX - len(self._answer)))
        else:
            self._room = self._within.get_buffer(sizehint)
        return self._room

    def buffer_updated(self, count: int) -> None:
        room, self._room = self._room, memoryview(b"")
        if self.opened.done():
            self._unframe(room, count)
            return
        self._answer += room[:count]
        head, end, behind = bytes(self._answer).partition(b"\r\n\r\n")
        if end:
            fault = refusal(head, self._key)
            if fault is not None:
                self._fail(fault)
                return
            self.opened.set_result(None)
            room = self._within.get_buffer(len(behind))
            room[: len(behind)] = behind
            self._unframe(room, len(behind))
        elif len(self._answer) >= ANSWER_BYTES_MAX:
            self._fail("an answer of more than 8 KB to the upgrade")

    def eof_received(self) -> None:
        self._within.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._within.connection_lost(error)

    def _unframe(self, room: memoryview, count: int) -> None:
        full = count == len(room)
        try:
            payload = self._unframer.strip(room, count)
        except FrameFault as fault:
            self._fail(f"malformed WebSocket: {fault}")
            return
        # also without any: a ping is a sign of life
        self._within.received(payload, full)
        if self._unframer.closed is not None:
            self._fail(f"the broker closed the WebSocket, code {int.from_bytes(self._unframer.closed[:2], 'big')}")
        elif self._unframer.ping is not None and self.get_write_buffer_size() <= UNANSWERED_BYTES_MAX:
            self._send(PONG, self._unframer.ping)
            self._unframer.ping = None

    def _fail(self, why: str) -> None:
        self._within.connection_lost(ConnectionError(why))
        self.abort()

    def _send(self, opcode: int, payload: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame(opcode, payload, os.urandom(4)))

    # To the connection.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default) if self._transport is not None else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._send(BINARY, bytes(data))

    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def close(self) -> None:
        self._send(CLOSE, GOING)
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def pause_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()


def refusal(head: bytes, key: bytes) -> str | None:
    """What is wrong with a server's answer to an upgrade with this key (section 4.1), None if nothing is."""
    status, *lines = head.split(b"\r\n")
    if status.split(b" ")[1:2] != [b"101"]:
        return f"no WebSocket there: {_printable(status)}"
    fields = _fields(lines)
    if fields.get("upgrade", "").lower() != "websocket" or "upgrade" not in fields.get("connection", "").lower():
        return "the server does not upgrade the connection"
    accept = hashlib.sha1(key + GUID, usedforsecurity=False).digest()
    if fields.get("sec-websocket-accept") != base64.b64encode(accept).decode():
        return "the server answers another upgrade than ours"
    if fields.get("sec-websocket-protocol") != "mqtt":
        return "the server does not speak MQTT inside its WebSocket"
    return None


def _fields(lines: list[bytes]) -> Mapping[str, str]:
    found = {}
    for line in lines:
        with contextlib.suppress(ValueError):
            name, value = line.decode("latin-1").split(":", 1)
            found[name.strip().lower()] = value.strip()
    return found


def _printable(text: bytes) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:200].decode("latin-1"))
