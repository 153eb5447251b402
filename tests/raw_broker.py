"""A broker that says what the test wants, to the byte. By itself it lets everybody in, and answers pings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.packets import connack, suback


class RawBroker:
    """`connects`, `subscribes`: such packets. `acked`: numbers of PUBACKs. `heard`: the types of all others.

    `backlog`: sent to whoever is let in, before anything else. `grants`: the answer to a subscription, for
    each filter or for all; None: there is none."""

    def __init__(self, newest: bool = True, properties: bytes = b"") -> None:
        self.port = 0
        self.connects: list[bytes] = []
        self.subscribes: list[bytes] = []
        self.acked: list[int] = []
        self.writes_of_acks = 0
        self.heard: list[int] = []
        self.session_present = False
        self.backlog = b""
        self.grants: int | list[int] | None = 1
        self.reading = asyncio.Event()
        self.reading.set()
        self._newest = newest
        self._properties = properties
        self._ready = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, data: bytes, piece: int = 0) -> None:
        """To the present connection, once it has subscribed; in pieces of so many bytes, each by itself."""
        await self._ready.wait()
        assert self._writer is not None
        for at in range(0, len(data), piece or max(1, len(data))):
            self._writer.write(data[at : at + (piece or len(data))])
            await self._writer.drain()
            if piece:
                await asyncio.sleep(0)

    def cut(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held = b""
        self._ready.clear()
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self.reading.wait()
                self.writes_of_acks += data[0] == 0x40
                held += data
                while (size := _whole(held)) is not None:
                    self._take(held[0] >> 4, held[:size], writer)
                    held = held[size:]
        writer.close()

    def _take(self, type_: int, packet: bytes, writer: asyncio.StreamWriter) -> None:
        if type_ == 1:
            self.connects.append(packet)
            writer.write(connack(self._newest, self.session_present, properties=self._properties) + self.backlog)
        elif type_ == 8:
            self.subscribes.append(packet)
            if self.grants is not None:
                body = packet[2:] if packet[1] < 128 else packet[3:]
                filters = _filters(body[3 if self._newest else 2 :])
                codes = self.grants if isinstance(self.grants, list) else [self.grants] * filters
                writer.write(suback(self._newest, body[:2], codes))
            self._writer = writer
            self._ready.set()
        elif type_ == 4:
            self.acked.append(int.from_bytes(packet[2:4], "big"))
        else:
            self.heard.append(type_)
            if type_ == 12:
                writer.write(b"\xd0\0")


def _whole(data: bytes) -> int | None:
    """How long the first packet is; None: not all of it is there."""
    length = 0
    for size, byte in enumerate(data[1:5]):
        length |= (byte & 0x7F) << 7 * size
        if byte < 0x80:
            whole = 2 + size + length
            return whole if len(data) >= whole else None
    return None


def _filters(rest: bytes) -> int:
    count = 0
    while rest:
        rest = rest[3 + int.from_bytes(rest[:2], "big") :]
        count += 1
    return count


@contextlib.asynccontextmanager
async def raw_broker(newest: bool = True, properties: bytes = b"") -> AsyncIterator[RawBroker]:
    broker = RawBroker(newest, properties)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        broker.cut()
        await asyncio.sleep(0)
