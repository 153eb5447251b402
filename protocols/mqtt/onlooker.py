"""Looking at a broker beside a running engine: what makes that harmless, and payloads as they come."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from typing import Any

import aiomqtt
import msgspec

from engine.cancellation import raise_if_cancelled
from protocols.mqtt.listening import connected
from protocols.mqtt.settings import Settings
from protocols.mqtt.topics import parse_filter

LATE = frozenset(f"sparkplug: {what} without a birth" for what in ("a node", "a device", "an alias"))
"""Causes that only say that somebody came after the births; a driver asks for them, and tells of whom it waits for."""


def onlooker(settings: Settings) -> Settings:
    """The same topics under a name of our own: the broker would end the engine's connection for a second of its name,
    and a member of its group would take messages away from it. Nobody is told that we come or go: the floor would take
    the engine for gone."""
    changes: dict[str, Any] = {
        # two sources may have one broker
        "client_id": f"sortline-onlooker-{os.getpid()}-{secrets.token_hex(4)}",
        # what is kept nobody takes away, and what is acknowledged by nobody is followed by nothing
        "session_expiry_s": 0,
        "share": None,
        "will": None,
    }
    if settings.sparkplug is not None:
        changes["sparkplug"] = msgspec.structs.replace(settings.sparkplug, host_id=None)
    known = {name: value for name, value in changes.items() if name in Settings.__struct_fields__}
    return msgspec.structs.replace(settings, **known)


async def payloads(settings: Settings) -> AsyncIterator[tuple[str, bytes]]:
    """(topic, payload) of everything that comes under the source's topics, by QoS 0. Raises MqttError, OSError."""
    tls = settings.tls.context() if settings.tls is not None else None
    client = aiomqtt.Client(
        *settings.address(),
        transport="tcp" if settings.websocket is None else "websockets",
        websocket_path=settings.websocket.path if settings.websocket is not None else None,
        identifier=f"sortline-tap-{os.getpid()}",
        username=settings.user,
        password=settings.password.reveal() if settings.password is not None else None,
        tls_context=tls,
        timeout=settings.connect_ms / 1000,
    )
    async with connected(client):
        for topic in settings.topics:
            await client.subscribe(parse_filter(topic.filter).wire, qos=0)
        raise_if_cancelled()  # aiomqtt waits with asyncio.wait_for until here
        async for message in client.messages:
            payload: Any = message.payload
            yield str(message.topic), payload if isinstance(payload, bytes) else str(payload or "").encode()
