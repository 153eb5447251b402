"""A TCP connection that a test can break: what the network does on a bad day, as method calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Proxy:
    """Passes bytes between its own `port` of 127.0.0.1 and the server's."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._refusing = False
        self.port = 0

    def cut(self) -> None:
        """Break every connection, without a goodbye."""
        for writer in list(self._writers):
            writer.transport.abort()

    def refuse(self) -> None:
        """Break every connection, and every new one."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        self._refusing = False

    async def joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self._writers -= {writer, far_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def proxied(server_port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(server_port)
    server = await asyncio.start_server(proxy.joined, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
