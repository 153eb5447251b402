"""A TCP proxy in front of a server: an outage is a method call.

async with FaultProxy(server.port) as proxy:
    connect to 127.0.0.1:proxy.port
    proxy.swallow_replies()     the server gets and does everything, nobody hears of it
    proxy.swallow_requests()    what a client sends gets nowhere
    proxy.cut()                 every connection is reset, new ones work
    proxy.refuse()              as a server that is not there; `proxy.heal()` ends all of these
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType

READ_BYTES = 65_536


class FaultProxy:
    """Forwards to 127.0.0.1:`target`. Counts what went through: `sent_bytes` to the server, `replied_bytes` back."""

    host = "127.0.0.1"

    def __init__(self, target: int) -> None:
        self.port = 0
        self.sent_bytes = 0
        self.replied_bytes = 0
        self.swallowed_bytes = 0
        self.connections = 0
        self._target = target
        self._swallow = False
        self._deaf = False
        self._refuse = False
        self._when: tuple[bytes, Callable[[], None]] | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> FaultProxy:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def swallow_replies(self) -> None:
        """From now on the server's answers go nowhere."""
        self._swallow = True

    def swallow_requests(self) -> None:
        """From now on nothing that clients send arrives."""
        self._deaf = True

    def refuse(self) -> None:
        """Cut what is open, and reset every new connection."""
        self._refuse = True
        self.cut()

    def heal(self) -> None:
        """Everything passes again, no fault waits; connections of which something was swallowed are cut."""
        if self._swallow or self._deaf:
            self.cut()
        self._swallow = self._deaf = self._refuse = False
        self._when = None

    def when_sent(self, text: bytes, fault: Callable[[], None]) -> None:
        """Once, as soon as a client sends something that contains `text`: commit `fault`, then let it pass."""
        self._when = (text, fault)

    def cut(self) -> None:
        """Reset every connection that is open."""
        for writer in [writer for writer in self._open if not writer.is_closing()]:
            # an immediate RST, as from a machine that lost power and came back
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._refuse:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(self.host, self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, server_writer}
        try:
            await asyncio.gather(self._to_server(reader, server_writer), self._to_client(server_reader, writer))
        finally:
            for each in (writer, server_writer):
                self._open.discard(each)
                each.transport.abort()

    async def _to_server(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for block in _blocks(reader):
            if self._when is not None and self._when[0] in block:
                fault, self._when = self._when[1], None
                fault()
            if self._deaf:
                self.swallowed_bytes += len(block)
                continue
            self.sent_bytes += len(block)
            await _pass_on(block, writer)
        if not writer.is_closing():
            with contextlib.suppress(OSError):  # the server has gone, too
                writer.write_eof()

    async def _to_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for block in _blocks(reader):
            if self._swallow:
                self.swallowed_bytes += len(block)
                continue
            self.replied_bytes += len(block)
            await _pass_on(block, writer)
        writer.transport.abort()


async def _pass_on(block: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(block)
    with contextlib.suppress(ConnectionError):
        await writer.drain()  # as slow as the slower end


class _blocks:
    """Async iteration over what a peer sends, until it closes or breaks the connection."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def __aiter__(self) -> _blocks:
        return self

    async def __anext__(self) -> bytes:
        try:
            block = await self._reader.read(READ_BYTES)
        except ConnectionError:
            block = b""
        if not block:
            raise StopAsyncIteration
        return block
