"""Owns the connection to one broker: connects for ever, hands messages over, acknowledges what is durable.

    broker --PUBLISH--> Connection.take -> Decoder.decode -> Delivery -> Intake.put
       ^------ PUBACK ------ Connection.acknowledge <- Delivery.ack (after the journal's fsync)

A message that does not fit its mapping is a fault, and is acknowledged all the same: it would not fit the next time.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import aiomqtt

from engine.clock import Clock
from engine.contracts import Delivery, Intake
from engine.errors import Refused
from protocols.backoff import Backoff
from protocols.cancellation import raise_if_cancelled
from protocols.mapping.lines import encode_line
from protocols.mapping.sequence import Sequences
from protocols.mqtt.connection import Connection, Incoming
from protocols.mqtt.decode import Decoder
from protocols.mqtt.settings import Settings

SAMPLE_BYTES_MAX = 4096
BATCH_BYTES_MAX = 262_144
STABLE_S = 10.0
"""A connection that lasted so long was a good one: the next pause is short again."""

log = logging.getLogger("sortline.mqtt")


class Driver:
    """See `engine.contracts.Driver`. `jitter`: random numbers of [0, 1) for the pauses between attempts."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        intake: Intake,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._decoder = Decoder(settings, Sequences(intake.position, settings.counters_max))
        self._backoff = Backoff(settings.reconnect_min_ms, settings.reconnect_max_ms, jitter)
        self._blind = False

    async def run(self) -> NoReturn:
        """Until cancelled."""
        # whatever happened before we were there, nobody listened
        await self._tell_blind()
        while True:
            detail = await self._connected()
            raise_if_cancelled()
            self._intake.state(self._name, "down", detail)
            await self._tell_blind()
            await asyncio.sleep(self._backoff.pause_s())

    async def _connected(self) -> str:
        """One connection from beginning to end; why it ended."""
        self._intake.state(self._name, "connecting")
        loop = asyncio.get_running_loop()
        since = loop.time()
        try:
            connection = self._connection()
        except Refused as error:
            return str(error)
        try:
            async with connection:
                await connection.subscribe_all()
                raise_if_cancelled()
                await self._tell_seeing(connection.session_present)
                await self._serve(connection)
        except (aiomqtt.MqttError, OSError, UnicodeError) as error:
            return f"{error} ({error.__cause__})" if error.__cause__ else str(error)
        finally:
            connection.drop()
            if loop.time() - since > STABLE_S:
                self._backoff.reset()

    def _connection(self) -> Connection:
        settings = self._settings
        password = settings.password.reveal() if settings.password is not None else None
        tls = settings.tls.context() if settings.tls is not None else None
        client_id = settings.client_id or f"sortline-{self._name}"
        return Connection(settings, client_id, password, tls, self._clock)

    async def _serve(self, connection: Connection) -> NoReturn:
        while True:
            messages = await connection.take(self._settings.batch_messages, BATCH_BYTES_MAX)
            lines: list[bytes] = []
            for message in messages:
                lines.extend(self._decoded(message))
            owed = [message.mid for message in messages if message.qos]
            if lines or owed:
                ack = partial(connection.acknowledge, owed) if owed else None
                await self._intake.put(Delivery(self._name, lines, ack))

    def _decoded(self, message: Incoming) -> list[bytes]:
        if message.topic is None:
            self._intake.fault(self._name, "topic: not UTF-8", message.payload[:SAMPLE_BYTES_MAX])
            return []
        found = self._decoder.decode(message.topic, message.payload, message.t_rx, message.retained)
        for cause in found.causes:
            self._intake.fault(self._name, cause, message.payload[:SAMPLE_BYTES_MAX])
        return found.lines

    async def _tell_blind(self) -> None:
        """Once per outage: the core must not take our silence for that of the machines (R2, R6)."""
        if not self._blind:
            self._blind = True
            await self._intake.put(Delivery(self._name, self._link_lines("link.down")))

    async def _tell_seeing(self, session_present: bool) -> None:
        if not session_present:
            log.info("%s: the broker keeps no session of ours yet: what came meanwhile is lost", self._name)
        self._intake.state(self._name, "up")
        self._blind = False
        await self._intake.put(Delivery(self._name, self._link_lines("link.up")))

    def _link_lines(self, kind: str) -> list[bytes]:
        t_rx = self._clock()
        return [
            encode_line({"kind": kind, "src": scope.rstrip("/") or scope, "scope": scope, "t_rx": t_rx})
            for scope in self._settings.scopes()
        ]
