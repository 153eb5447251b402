"""Owns the connection to one broker: connects for ever, hands messages over, acknowledges what is durable.

    broker --PUBLISH--> Connection (splits, maps) --take--> Delivery -> Intake.put
       ^------ PUBACK ------ Connection.acknowledge <- Delivery.ack (after the journal's fsync)

A message that does not fit its mapping is a fault, and is acknowledged all the same: it would not fit the next time.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
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

TICK_S = 0.1
NODES_SHOWN = FILTERS_SHOWN = 4
SUBSCRIBE_AGAIN_S = 60.0
"""What the broker refused."""

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
        except Lost as error:
            return str(error)
        except asyncio.CancelledError:
            self._say_goodbye(connection)
            raise
        finally:
            connection.drop()
            self._backoff.ended_after(loop.time() - since)

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
        """What is ours to ask and to say, while it is served: what a kept session holds for us comes right after we are
        let in, before the answer to the subscription."""
        loop = asyncio.get_running_loop()
        refused, asked_at = await self._subscribe(connection), loop.time()
        self._tell_online(connection)
        self._tell_session(connection.session_present)
        told: str | None = None
        while True:
            unborn = self._tick(self._host, connection) if self._host is not None else []
            detail = "; ".join(filter(None, (refusing(refused), waiting_for(unborn))))
            if detail != told:
                told = detail
                self._intake.state(self._name, "up", detail)
                await self._link.tell("link.up", self._settings.blind_without(refused))
            if self._host is None and not refused:
                return
            await asyncio.sleep(TICK_S)
            if refused and loop.time() - asked_at >= SUBSCRIBE_AGAIN_S:
                refused, asked_at = await self._subscribe(connection), loop.time()

    async def _subscribe(self, connection: Connection) -> dict[str, str]:
        refused = await connection.subscribe_all()
        for filter_, why in refused.items():
            self._fault(f"{filter_}: the broker refuses the subscription: {why}")
        return refused

    def _tick(self, host: Host, connection: Connection) -> list[str]:
        """What a Sparkplug host does by the clock. The nodes that it waits for."""
        now_us = self._clock()
        self._hand_over(connection, host.tick(now_us))
        for request in host.requests(now_us):
            connection.publish(*request)
        return host.unborn()

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

    def _tell_session(self, session_present: bool) -> None:
        if not session_present and self._had_session:
            self._fault("session: the broker has lost it, and what it held for us")
        elif not session_present:
            log.info("%s: the broker keeps no session of ours yet: what came meanwhile is lost", self._name)
        self._had_session = True


def refusing(refused: Mapping[str, str]) -> str:
    """For the live view and a probe."""
    more = f" and {len(refused) - FILTERS_SHOWN} more" if len(refused) > FILTERS_SHOWN else ""
    named = ", ".join(f"{filter_} ({why})" for filter_, why in islice(refused.items(), FILTERS_SHOWN))
    return f"the broker refuses {named}{more}" if refused else ""


def waiting_for(nodes: list[str]) -> str:
    """For the live view and a probe."""
    more = f" and {len(nodes) - NODES_SHOWN} more" if len(nodes) > NODES_SHOWN else ""
    return f"waits for the birth of {', '.join(nodes[:NODES_SHOWN])}{more}" if nodes else ""


def _pass_on(connection: Connection, ended: asyncio.Task[None]) -> None:
    if not ended.cancelled() and (error := ended.exception()) is not None:
        connection.fail(error)
