"""Owns the connection to one broker: connects for ever, hands messages over, acknowledges what is durable.

    broker --PUBLISH--> Connection (splits, maps) --take--> Delivery -> Intake.put
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

from engine.cancellation import raise_if_cancelled
from engine.clock import Clock
from engine.contracts import Block, Delivery, Intake
from engine.errors import Refused
from protocols.backoff import Backoff
from protocols.linking import LinkNews, speaking_for
from protocols.mapping.plan import Lines
from protocols.mapping.sequence import Sequences
from protocols.mqtt.codec import Will
from protocols.mqtt.connection import Connection, Lost
from protocols.mqtt.decode import Decoder
from protocols.mqtt.settings import Settings
from protocols.mqtt.sparkplug.host import Host

SPARKPLUG_TICK_S = 0.1
NODES_SHOWN = 4
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
        sequences = Sequences(intake.position, settings.counters_max)
        self._host: Host | None = None
        if settings.sparkplug is not None:
            self._host = Host(settings.sparkplug, sequences, settings.payload_bytes_max)
        self._decoder = Decoder(settings, sequences, self._host)
        self._backoff = Backoff(settings.reconnect_min_ms, settings.reconnect_max_ms, jitter)
        self._link = LinkNews(name, speaking_for(settings.scopes()), intake, clock)
        self._had_session = False

    async def run(self) -> NoReturn:
        """Until cancelled."""
        # whatever happened before we were there, nobody listened
        await self._link.tell("link.down")
        while True:
            detail = await self._connected()
            raise_if_cancelled()
            self._intake.state(self._name, "down", detail)
            if self._host is not None:
                await self._tell_waiting(self._host)
            await self._link.tell("link.down")
            await asyncio.sleep(self._backoff.pause_s())

    async def _connected(self) -> str:
        """One connection from beginning to end; why it ended."""
        self._intake.state(self._name, "connecting")
        loop = asyncio.get_running_loop()
        since = loop.time()
        try:
            tls = self._settings.tls.context() if self._settings.tls is not None else None
            connection = self._connection()
        except Refused as error:
            return str(error)
        if self._host is not None:
            # before the first message: what is known of the nodes is from before the outage
            self._hand_over(connection, self._host.reconnected(self._clock()))
        try:
            await connection.open(tls, self._will())
            raise_if_cancelled()
            if self._host is not None and not connection.session_present:
                self._host.session_lost(self._clock())
            await self._serve_all(connection)
        except (Lost, OSError, UnicodeError) as error:
            return str(error) or type(error).__name__
        except asyncio.CancelledError:
            self._say_goodbye(connection)
            raise
        finally:
            connection.drop()
            if loop.time() - since > STABLE_S:
                self._backoff.reset()

    def _connection(self) -> Connection:
        settings = self._settings
        password = settings.password.reveal() if settings.password is not None else None
        client_id = settings.client_id or f"sortline-{self._name}"
        return Connection(settings, client_id, password, self._decoder, self._clock, self._fault)

    def _fault(self, cause: str, payload: bytes = b"", topic: str = "") -> None:
        self._intake.fault(self._name, cause, payload, topic)

    async def _serve(self, connection: Connection) -> NoReturn:
        while True:
            data, records, acks = await connection.take()
            ack = partial(connection.acknowledge, acks) if acks else None
            await self._intake.put(Delivery(self._name, Block(data, records), ack))

    async def _serve_all(self, connection: Connection) -> NoReturn:
        """Until the connection is lost, which is raised."""
        keeping = asyncio.create_task(self._keep(connection))
        keeping.add_done_callback(partial(_pass_on, connection))
        try:
            await self._serve(connection)
        finally:
            keeping.cancel()

    async def _keep(self, connection: Connection) -> None:
        """What is ours to say, while it is served: a broker sends what a kept session holds for us right after it let
        us in, and its answer to the subscription stands behind that."""
        await connection.subscribe_all()
        self._tell_online(connection)
        await self._tell_seeing(connection.session_present)
        if self._host is not None:
            await self._keep_sparkplug(self._host, connection)

    async def _keep_sparkplug(self, host: Host, connection: Connection) -> NoReturn:
        """What a host does by the clock."""
        told = ""
        while True:
            now_us = self._clock()
            self._hand_over(connection, host.tick(now_us))
            for request in host.requests(now_us):
                connection.publish(*request)
            detail = waiting_for(host.unborn())
            if detail != told:
                told = detail
                self._intake.state(self._name, "up", detail)
            await asyncio.sleep(SPARKPLUG_TICK_S)

    def _hand_over(self, connection: Connection, found: Lines) -> None:
        connection.add(found.lines)
        self._fault_all(found)

    def _fault_all(self, found: Lines) -> None:
        for cause in found.causes:
            self._fault(cause)

    # What the floor is told of us.

    def _will(self) -> Will | None:
        if self._host is not None and self._host.state_topic is not None:
            self._host.opening(self._clock())
            return Will(*self._host.state(False))
        will = self._settings.will
        return Will(will.topic, will.offline.encode(), will.qos, will.retained) if will is not None else None

    def _tell_online(self, connection: Connection) -> None:
        if self._host is not None and self._host.state_topic is not None:
            connection.publish(*self._host.state(True))
        will = self._settings.will
        if will is not None:
            connection.publish(will.topic, will.online.encode(), will.qos, will.retained)

    def _say_goodbye(self, connection: Connection) -> None:
        if self._host is not None and self._host.state_topic is not None:
            connection.publish(*self._host.state(False))
        will = self._settings.will
        if will is not None:
            connection.publish(will.topic, will.offline.encode(), will.qos, will.retained)
        connection.close()

    # What the core is told of the connection.

    async def _tell_waiting(self, host: Host) -> None:
        """What waited for a message that does not come over this connection any more."""
        found = host.cut_off(self._clock())
        self._fault_all(found)
        if found.lines:
            await self._intake.put(Delivery(self._name, found.lines))

    async def _tell_seeing(self, session_present: bool) -> None:
        if not session_present and self._had_session:
            self._fault("session: the broker has lost it, and what it held for us")
        elif not session_present:
            log.info("%s: the broker keeps no session of ours yet: what came meanwhile is lost", self._name)
        self._had_session = True
        self._intake.state(self._name, "up")
        await self._link.tell("link.up")


def waiting_for(nodes: list[str]) -> str:
    """For the live view and a probe."""
    more = f" and {len(nodes) - NODES_SHOWN} more" if len(nodes) > NODES_SHOWN else ""
    return f"waits for the birth of {', '.join(nodes[:NODES_SHOWN])}{more}" if nodes else ""


def _pass_on(connection: Connection, ended: asyncio.Task[None]) -> None:
    if not ended.cancelled() and (error := ended.exception()) is not None:
        connection.fail(error)
