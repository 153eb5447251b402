"""aiomqtt's connection for whoever only looks (`tap`, `discover`), left as it should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiomqtt

from engine.cancellation import raise_if_cancelled


@asynccontextmanager
async def connected(client: aiomqtt.Client) -> AsyncIterator[aiomqtt.Client]:
    """Raises MqttError. Who is told to stop while it connects waits for that, and takes leave: aiomqtt would leave the
    socket to the garbage collector, the broker without a word, and a traceback at the end of the process."""
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        with suppress(aiomqtt.MqttError):
            await entering
            await client.__aexit__(None, None, None)
        raise
    try:
        raise_if_cancelled()  # aiomqtt waits with asyncio.wait_for until here
        yield client
    finally:
        await client.__aexit__(None, None, None)
