"""aiomqtt's connection for whoever only looks (`tap`, `discover`): made as the settings say, left as it should be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiomqtt

from engine.cancellation import raise_if_cancelled
from protocols.mqtt.settings import Settings
from protocols.mqtt.unreached import before_an_answer

REFUSED = (4, 5, 134, 135)
"""Codes of CONNACK: the user is not let in, in MQTT 3.1.1 and 5."""
WORDLESS = logging.Logger("of what ends in an error all the same", logging.CRITICAL + 1)


def client(settings: Settings, identifier: str, version: aiomqtt.ProtocolVersion | None = None) -> aiomqtt.Client:
    """Under a name of its own. Raises Refused: a secret or a certificate cannot be read."""
    return aiomqtt.Client(
        *settings.address(),
        transport="tcp" if settings.websocket is None else "websockets",
        websocket_path=settings.websocket.path if settings.websocket is not None else None,
        identifier=identifier,
        username=settings.user,
        password=settings.password.reveal() if settings.password is not None else None,
        tls_context=settings.tls.context() if settings.tls is not None else None,
        timeout=settings.connect_ms / 1000,
        protocol=version,
        logger=WORDLESS,
    )


def has_answered(error: Exception) -> bool:
    """Whether the broker itself has said no."""
    return getattr(error, "rc", None) is not None


def why_not(error: Exception, settings: Settings) -> str:
    """What went wrong with a client's connection, and what to look at."""
    code = getattr(error, "rc", None)
    if code is not None:
        name = str(code) if not isinstance(code, int) else str(error)
        is_user = getattr(code, "value", code) in REFUSED
        return f"{name}: the user is refused, or there is none: user and password" if is_user else name
    # aiomqtt keeps what it was no other way
    cause = error.__context__ if isinstance(error.__context__, OSError) else error
    return before_an_answer(cause, settings)


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
