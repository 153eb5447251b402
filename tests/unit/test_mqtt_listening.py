"""Who only looks takes leave of the broker, also where it is told to stop while it connects."""

from __future__ import annotations

import asyncio

import aiomqtt
import pytest

from protocols.mqtt.listening import connected

CONNACK = bytes([0x20, 2, 0, 0])
DISCONNECT = bytes([0xE0, 0])


def test_who_is_stopped_while_it_connects_takes_leave() -> None:
    asyncio.run(stopped_while_it_connects())


async def stopped_while_it_connects() -> None:
    heard, asked, ended = bytearray(), asyncio.Event(), asyncio.Event()

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(1000))
        asked.set()
        await asyncio.sleep(0.3)
        writer.write(CONNACK)
        while data := await reader.read(1000):
            heard.extend(data)
        writer.close()
        ended.set()

    async def look(port: int) -> None:
        async with connected(aiomqtt.Client("127.0.0.1", port)):
            raise AssertionError("it was told to stop before")

    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    async with server:
        looking = asyncio.create_task(look(server.sockets[0].getsockname()[1]))
        await asked.wait()
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        async with asyncio.timeout(5):
            await ended.wait()
    assert heard.endswith(DISCONNECT)
