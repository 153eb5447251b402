"""Looking at a broker beside a running engine: what makes that harmless, and payloads as they come."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from engine.cancellation import raise_if_cancelled
from ext.sparkplug import SparkplugFault, decode, value_of
from protocols.mqtt.connection import subscriptions
from protocols.mqtt.listening import client, connected
from protocols.mqtt.settings import Settings
from protocols.mqtt.sparkplug.draft import NAMESPACE

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
    """(topic, payload) of everything that comes under the source's topics and from its Sparkplug groups, by QoS 0.
    Raises MqttError, OSError."""
    listener = client(settings, f"sortline-tap-{os.getpid()}")
    async with connected(listener):
        for wanted in subscriptions(settings):
            await listener.subscribe(wanted.filter, qos=0)
        raise_if_cancelled()  # aiomqtt waits with asyncio.wait_for until here
        async for message in listener.messages:
            payload: Any = message.payload
            content = payload if isinstance(payload, bytes) else str(payload or "").encode()
            is_node_s = settings.sparkplug is not None and str(message.topic).startswith(NAMESPACE)
            yield str(message.topic), readable(content) if is_node_s else content


def readable(payload: bytes) -> bytes:
    """A Sparkplug payload as JSON, each metric as it stands there: a later one may have an alias for its name, which
    only the birth tells. Hexadecimal where it is none."""
    try:
        timestamp, seq, metrics = decode(payload)
        values = [{"name": each[0], "alias": each[1], "value": value_of(each, each[3])} for each in metrics]
    except SparkplugFault:
        return payload.hex().encode()
    told = [{key: value for key, value in each.items() if key == "value" or value is not None} for each in values]
    return msgspec.json.encode({"timestamp": timestamp, "seq": seq, "metrics": told})
