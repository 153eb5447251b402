"""The OPC UA driver: connect, subscribe, turn notifications into records, reconnect for ever."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from engine.cancellation import raise_if_cancelled
from engine.clock import Clock
from engine.contracts import Intake
from engine.errors import Refused
from protocols.backoff import Backoff
from protocols.linking import LinkNews
from protocols.opcua.connection import Connection, Kept
from protocols.opcua.entries import Entry, compile_entries
from protocols.opcua.failures import LinkLost, SubscriptionsGone
from protocols.opcua.flow import Flow
from protocols.opcua.publishing import Publishing
from protocols.opcua.settings import Events, Settings, Variables
from protocols.opcua.subscribing import Subscribed, subscribe, take_up
from protocols.tapping import Tap

TRIES_MAX = 8
"""So often what was left is tried to be taken up over connections that stood. A server may close each one for it."""


class Left(NamedTuple):
    """A session with its subscriptions, to be taken up again over the next connection that stands. `tries`: those
    before it, over which it was not to be had."""

    session: Kept
    subscribed: Subscribed
    tries: int = 0


class Driver:
    """One server. `jitter`: random numbers of [0, 1) for the pauses between attempts."""

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
        self._backoff = Backoff(settings.reconnect_min_ms, settings.reconnect_max_ms, jitter)
        self._entries: list[Entry] = []
        sources: dict[str, dict[str, str]] = {}
        tables: list[Variables | Events] = [*settings.variables.values(), *settings.events.values()]
        for table in tables:
            source = sources.setdefault(table.src, {"src": table.src})
            if "src" in table.record:
                # ours is the beginning of the names that the records give, and the link speaks for all of them
                source["scope"] = table.src
        self._link = LinkNews(name, list(sources.values()), intake, clock)
        self._state: tuple[str, str] | None = None
        self._left: Left | None = None  # what a lost connection left at the server
        self.tap = Tap()
        # asyncua tells of every request at INFO, of whole messages at DEBUG, and complains of what is reported here.
        logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)

    async def run(self) -> None:
        """Runs until cancelled."""
        # only now the engine knows how far the counters had come
        self._entries = self._entries or compile_entries(self._settings, self._intake)
        # whatever happened before we were there, nobody listened
        await self._link.tell("link.down")
        while True:
            self._report("connecting")
            try:
                await self._connected()
            except (LinkLost, Refused) as error:
                raise_if_cancelled()
                self._report("down", str(error))
                await self._link.tell("link.down")
            await asyncio.sleep(self._backoff.pause_s())

    async def _connected(self) -> None:
        """One connection from its beginning to its end. Raises LinkLost, Refused."""
        left, self._left = self._left, None
        connection = Connection(self._settings, self._name)
        try:
            resumed = await connection.open(left.session if left is not None else None)
        except (LinkLost, Refused):
            self._left = _left_still(left, connection)
            raise
        subscribed = None
        try:
            subscribed = await self._subscribed(connection, left, resumed)
            self._backoff.reset()
            tell = partial(self._report, "up")
            tell(subscribed.binding.amiss)
            await self._link.tell("link.up")
            flow = Flow(self._name, self._settings, self._intake, self._clock, connection, subscribed, self.tap, tell)
            await flow.run()
        except LinkLost as error:
            if subscribed is not None and _worth_keeping(error, connection, subscribed):
                self._left = Left(connection.leave(), subscribed)
            raise
        finally:
            if self._left is None:
                await connection.close()

    async def _subscribed(self, connection: Connection, left: Left | None, resumed: bool) -> Subscribed:
        publishing = Publishing(
            connection,
            self._clock,
            self._settings.publish_requests,
            self._settings.queue_messages,
            self._settings.message_bytes_max,
        )
        try:
            if left is not None and await take_up(left.subscribed, connection, publishing, resumed):
                return Subscribed(left.subscribed.binding, publishing, taken_up=True, transferred=not resumed)
        except LinkLost:
            self._left = _left_still(left, connection)
            raise
        return await subscribe(self._name, self._settings, self._entries, self._clock, connection, publishing)

    def _report(self, state: str, detail: str = "") -> None:
        if self._state != (state, detail):
            self._state = (state, detail)
            self._intake.state(self._name, state, detail)


def _left_still(left: Left | None, connection: Connection) -> Left | None:
    """What a connection that was lost too early leaves as it found it; None if that was tried too often. Nobody can be
    asked while nobody is there: such an attempt is none."""
    if left is None or not connection.stood:
        return left
    session = connection.leave() if connection.resumed else left.session
    return Left(session, left.subscribed, left.tries + 1) if left.tries + 1 < TRIES_MAX else None


def _worth_keeping(error: LinkLost, connection: Connection, subscribed: Subscribed) -> bool:
    """Whether its subscriptions may be taken up again. Some servers hand them over and then answer no request."""
    return not isinstance(error, SubscriptionsGone) and (connection.heard or not subscribed.transferred)
