"""The flow of a session's publish responses: requests out, notification messages in, each subscription's in order and
without holes.

Requests belong to the session, not to one subscription: the server answers each for whichever has something to say. So
all subscriptions share a few lanes, each with one request at the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from engine.clock import Clock
from ext.opcua_notifications import Publish
from protocols.opcua.connection import Connection
from protocols.opcua.failures import LinkLost, Throttled, Unreadable, named
from protocols.opcua.subscription import Subscription
from protocols.opcua.together import together

log = logging.getLogger("sortline.opcua")

LANES_MAX = 32
STANDSTILL_S = 0.1
"""An event loop that is so late was kept from working, and knows nothing of anybody's silence."""
ACKNOWLEDGEMENTS_MAX = 1_000
"""On one publish request; the rest waits for the next."""


class Message(NamedTuple):
    """What came of one subscription. `publish`: None if this only says that something is missing, or that it ended.

    `lost`: something before it is missing. `ended`: why the subscription is no more.
    """

    subscription: Subscription
    publish: Publish | None
    t_rx: int
    lost: bool = False
    ended: str | None = None

    @property
    def more(self) -> bool:
        """The rest of the same publishing cycle follows in the next one."""
        return self.publish is not None and self.publish.more


class Arrival(NamedTuple):
    """A publish response and when it came; without it: of `ended` there will be none, or else one cannot be read."""

    publish: Publish | None
    t_rx: int
    ended: Subscription | None = None


class Publishing:
    """`pump` runs in a task of its own; `messages` is what came, for one consumer.

    `queue_messages`, `queue_bytes`: what is kept for a consumer that is behind; then no more is asked for.
    """

    def __init__(
        self, connection: Connection, clock: Clock, publish_requests: int, queue_messages: int, queue_bytes: int
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._lanes = publish_requests
        self._queue_messages = queue_messages
        self._queue_bytes = queue_bytes
        self._bytes = 0
        self._subscriptions: dict[int, Subscription] = {}
        self._queue: asyncio.Queue[Arrival | None] = asyncio.Queue()  # None: the end
        self._held: set[Subscription] = set()  # what comes of these has to wait for the next connection
        self._unanswered = asyncio.Event()
        self._why = LinkLost("")
        self._room = asyncio.Event()
        self._room.set()

    @property
    def subscriptions(self) -> Sequence[Subscription]:
        return list(self._subscriptions.values())

    @property
    def idle(self) -> bool:
        """Whether everything that came is taken, and more is asked for."""
        return self._queue.empty() and self._room.is_set()

    def add(self, subscription: Subscription) -> None:
        """Before `pump`, or instead of one that has ended."""
        self._subscriptions[subscription.number] = subscription

    def remove(self, subscription: Subscription) -> None:
        self._subscriptions.pop(subscription.number, None)

    async def pump(self) -> None:
        """Keeps publish requests waiting at the server. Runs until cancelled or LinkLost."""
        # one for each subscription and one in hand, so that none waits for another's
        self._lanes = min(LANES_MAX, max(self._lanes, len(self._subscriptions) + 1))
        try:
            await together(*(self._lane() for _ in range(self._lanes)), self._watch(), self._end_unanswered())
        finally:
            self._queue.put_nowait(None)

    async def messages(self) -> AsyncIterator[Message]:
        """Notification messages in the server's order; a missing one is asked for again, and named if it is gone.

        Ends when the pump has ended and everything that came is taken.
        """
        while (arrival := await self._queue.get()) is not None:
            self._taken(arrival)
            if arrival.ended is not None:
                if self._subscriptions.get(arrival.ended.number) is not arrival.ended:
                    continue  # it was made anew already, as the server had said so too
                yield Message(arrival.ended, None, arrival.t_rx, ended="no sign of the subscription")
            elif arrival.publish is not None:
                subscription = self._subscriptions.get(arrival.publish.subscription_id)
                if subscription is not None and subscription not in self._held:
                    async for message in self._whole(subscription, arrival.publish, arrival.t_rx):
                        yield message
            else:
                # Whose it was is not known: those whose numbers are known find the hole by themselves.
                for subscription in self.subscriptions:
                    if not subscription.begun:
                        yield Message(subscription, None, arrival.t_rx, lost=True)

    async def _whole(self, subscription: Subscription, publish: Publish, t_rx: int) -> AsyncIterator[Message]:
        missing = subscription.missing(publish)
        lost = missing is None
        for number in missing or ():
            try:
                again = await self._connection.republish(subscription.number, number)
            except LinkLost as error:
                if not subscription.ask_later(number):
                    lost = True
                    break
                self._hold(subscription, error)
                if lost:
                    yield Message(subscription, None, t_rx, lost)
                return
            if again is None:
                lost = True
            else:
                yield Message(subscription, again, t_rx, lost)
                lost = False
        if publish.numbered:
            yield Message(subscription, publish, t_rx, lost, ended=_ended(publish))
        elif lost:
            yield Message(subscription, None, t_rx, lost)

    def _hold(self, subscription: Subscription, error: LinkLost) -> None:
        """The connection is over. What came after the missing one is not acknowledged: it is asked for with it."""
        self._held.add(subscription)
        self._why = error
        self._unanswered.set()

    async def _end_unanswered(self) -> None:
        await self._unanswered.wait()
        raise self._why

    async def _lane(self) -> None:
        """One publish request after the other. Ends where the server wants fewer of them."""
        while True:
            await self._room_for_one()
            acknowledged = self._acknowledgements()
            try:
                publish = await self._connection.publish(acknowledged)
            except Throttled:
                self._untold(acknowledged)
                if self._lanes > 1:
                    self._lanes -= 1
                    return
                await asyncio.sleep(0.1)
            except Unreadable as error:
                log.warning("a publish response is lost: %s", error)
                self._put(Arrival(None, self._clock()))
            except (LinkLost, asyncio.CancelledError):
                self._untold(acknowledged)  # over the next connection, once more perhaps: that does no harm
                raise
            else:
                self._arrived(publish)

    def _arrived(self, publish: Publish) -> None:
        subscription = self._subscriptions.get(publish.subscription_id)
        if subscription is not None:
            subscription.tells(asyncio.get_running_loop().time())
        self._put(Arrival(publish, self._clock()))

    def _put(self, arrival: Arrival) -> None:
        self._queue.put_nowait(arrival)
        if arrival.publish is not None:
            self._bytes += arrival.publish.size
        if self._full():
            self._room.clear()

    def _taken(self, arrival: Arrival) -> None:
        if arrival.publish is not None:
            self._bytes -= arrival.publish.size
        if not self._full():
            self._room.set()

    def _full(self) -> bool:
        return self._queue.qsize() >= self._queue_messages or self._bytes >= self._queue_bytes

    async def _room_for_one(self) -> None:
        if not self._room.is_set():
            await self._room.wait()
            self._excuse()

    def _excuse(self) -> None:
        """Nothing was asked for meanwhile: their silence says nothing."""
        now = asyncio.get_running_loop().time()
        for subscription in self.subscriptions:
            subscription.heard_at = now

    async def _watch(self) -> None:
        """Looks for subscriptions that have fallen silent. While others are heard, only the silent one has died."""
        loop = asyncio.get_running_loop()
        told: set[Subscription] = set()
        while True:
            watched = [subscription for subscription in self.subscriptions if subscription not in told]
            due = min((s.heard_at + s.silence_s for s in watched), default=loop.time() + 1)
            pause_s = max(0.05, due - loop.time())
            began = loop.time()
            await asyncio.sleep(pause_s)
            if not self._room.is_set() or loop.time() - began > pause_s + STANDSTILL_S:
                self._excuse()  # we stood still ourselves: what came meanwhile has not been read yet
            silent = [subscription for subscription in watched if subscription.silent(loop.time())]
            if silent and all(subscription.silent(loop.time()) for subscription in self.subscriptions):
                raise LinkLost(f"no sign of the subscription for {silent[0].silence_s:g} s")
            for subscription in silent:
                told.add(subscription)
                self._put(Arrival(None, self._clock(), subscription))
            told.intersection_update(self.subscriptions)

    def _acknowledgements(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for subscription in self._subscriptions.values():
            for number in subscription.told(ACKNOWLEDGEMENTS_MAX - len(found)):
                found.append((subscription.number, number))
        return found

    def _untold(self, acknowledged: Sequence[tuple[int, int]]) -> None:
        for subscription in self._subscriptions.values():
            subscription.untold([number for of, number in acknowledged if of == subscription.number])


def _ended(publish: Publish) -> str | None:
    return None if publish.ended is None else f"the server ended the subscription: {named(publish.ended)}"
