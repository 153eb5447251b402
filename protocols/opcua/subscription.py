"""The flow of one subscription: publish requests out, notification messages in, in order and without holes.

A message is acknowledged to the server only after its records are durable (`done`); the acknowledgement rides on the
next publish request. What cannot be held back: the server alone decides how many unacknowledged messages it keeps (at
least two, OPC 10000-4 section 5.14.1), and it forgets them all with the subscription, which ends `lifetime_ms` after
we were last heard. So an unacknowledged message can be had again within a connection, not yet after it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from asyncua import ua

from engine.clock import Clock
from protocols.opcua.connection import Connection, LinkLost

log = logging.getLogger("sortline.opcua")

SEQUENCE_MAX = (1 << 32) - 1  # then 1 again: 0 is never used (OPC 10000-4 section 7.36)
REPUBLISH_MAX = 1_000


class Message(NamedTuple):
    """One notification message. `lost`: something before it is missing. `more`: the rest of the same publishing cycle
    follows in the next one. `number`: to be given to `done`; None: there is nothing to acknowledge."""

    number: int | None
    notifications: Sequence[ua.DataChangeNotification | ua.EventNotificationList | ua.StatusChangeNotification]
    t_rx: int
    more: bool = False
    lost: bool = False


Arrival = tuple[ua.PublishResult | None, int]
"""A publish response, None if it cannot be read, and when it came."""


class Subscription:
    """`pump` runs in a task of its own; `messages` is what came, for one consumer.

    `silence_s`: without any publish response for so long the connection is taken for dead.
    `queue_messages`: responses kept for a consumer that is behind; then no more are asked for.
    """

    def __init__(
        self, connection: Connection, clock: Clock, silence_s: float, publish_requests: int, queue_messages: int
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._silence_s = silence_s
        self._requests_max = publish_requests
        self._queue_messages = queue_messages
        self._queue: asyncio.Queue[Arrival | None] = asyncio.Queue()  # None: the end
        self._room = asyncio.Event()
        self._done: deque[int] = deque()
        self._next: int | None = None

    def done(self, numbers: Sequence[int]) -> None:
        """The records of these messages are durable: the server may forget them."""
        self._done.extend(numbers)

    async def pump(self) -> None:
        """Keeps publish requests waiting at the server. Runs until cancelled or LinkLost."""
        waiting: deque[asyncio.Task[ua.PublishResult | None]] = deque()
        try:
            while True:
                await self._room_for_one()
                while len(waiting) < self._requests_max:
                    waiting.append(asyncio.create_task(self._connection.publish(self._acknowledgements())))
                # A server answers the oldest request first.
                try:
                    async with asyncio.timeout(self._silence_s):
                        await asyncio.wait([waiting[0]])
                except TimeoutError:
                    raise LinkLost(f"no sign of the subscription for {self._silence_s:g} s") from None
                self._queue.put_nowait((waiting.popleft().result(), self._clock()))
        finally:
            # What has arrived already is still used: nobody else will ever get it.
            for task in waiting:
                if task.done() and not task.cancelled() and task.exception() is None:
                    self._queue.put_nowait((task.result(), self._clock()))
                task.cancel()
            self._queue.put_nowait(None)
            await asyncio.gather(*waiting, return_exceptions=True)

    async def messages(self) -> AsyncIterator[Message]:
        """Notification messages in the server's order; a missing one is asked for again, and named if it is gone.

        Ends when the pump has ended and everything that came is taken.
        """
        while (arrival := await self._queue.get()) is not None:
            self._room.set()
            result, t_rx = arrival
            if result is None:
                yield Message(None, (), t_rx, lost=True)
                continue
            content = result.NotificationMessage
            numbered = bool(content.NotificationData)
            lost = False
            for number in self._missing(content.SequenceNumber, numbered):
                again = await self._again(number)
                if again is None:
                    lost = True
                else:
                    yield Message(number, again.NotificationData, t_rx, lost=lost)
                    lost = False
            if numbered:
                more = bool(result.MoreNotifications)
                yield Message(content.SequenceNumber, content.NotificationData, t_rx, more=more, lost=lost)
            elif lost:
                yield Message(None, (), t_rx, lost=True)

    async def _again(self, number: int) -> ua.NotificationMessage | None:
        try:
            return await self._connection.republish(number)
        except LinkLost:
            return None  # the pump sees that too; what came after the missing one is still good

    async def _room_for_one(self) -> None:
        while self._queue.qsize() >= self._queue_messages:
            self._room.clear()
            await self._room.wait()

    def _acknowledgements(self) -> list[int]:
        numbers = list(self._done)
        self._done.clear()
        return numbers

    def _missing(self, number: int, numbered: bool) -> range:
        """The numbers between the last message and this one. A keep-alive carries the number of the next message."""
        first, self._next = self._next, (number % SEQUENCE_MAX + 1 if numbered else number)
        if first is None or first == number:
            return range(0)
        count = (number - first) % SEQUENCE_MAX
        if count > REPUBLISH_MAX:
            # Behind, or absurdly far ahead: not a hole that republishing could fill. One that is gone says so.
            log.warning("the server's message numbers jumped")
            count = 1
        return range(first, first + count)
