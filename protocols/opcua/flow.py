"""Notifications to records and into the engine, while one connection lives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from asyncua import ua

from engine.contracts import Delivery, Intake
from protocols.opcua.binding import Binding
from protocols.opcua.connection import Connection, LinkLost
from protocols.opcua.decode import Reading, reading
from protocols.opcua.entries import EventsEntry, VariablesEntry
from protocols.opcua.harvest import Harvest
from protocols.opcua.settings import Settings
from protocols.opcua.subscription import Message, Subscription
from protocols.opcua.variables import Note

TURN_NOTIFICATIONS = 100
"""After so many the event loop gets a turn."""


class Flow:
    """`run` once, on a bound connection."""

    def __init__(
        self,
        source: str,
        settings: Settings,
        intake: Intake,
        connection: Connection,
        subscription: Subscription,
        binding: Binding,
    ) -> None:
        self._source = source
        self._settings = settings
        self._intake = intake
        self._connection = connection
        self._subscription = subscription
        self._binding = binding
        self._lost = asyncio.Event()
        self._why_lost = ""

    async def run(self) -> None:
        """Until cancelled, or LinkLost; then everything that came before the loss is with the engine."""
        consuming = asyncio.create_task(self._consume())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._connection.keep())
                tasks.create_task(self._subscription.pump())
                tasks.create_task(self._mend())
                tasks.create_task(self._watch(consuming))
        except BaseExceptionGroup as group:
            lost, others = group.split(LinkLost)
            if others is not None or lost is None:
                raise
            await consuming
            raise LinkLost(str(lost.exceptions[0])) from group
        finally:
            consuming.cancel()

    async def _watch(self, consuming: asyncio.Task[None]) -> None:
        """Ends the others when the consumer cannot go on. The consumer itself is not cut off by their end."""
        lost = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait([consuming, lost], return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
        if consuming.done():
            consuming.result()
        raise LinkLost(self._why_lost)

    async def _mend(self) -> None:
        while True:
            await asyncio.sleep(self._settings.retry_ms / 1000)
            if not self._binding.whole:
                await self._binding.bind()

    async def _consume(self) -> None:
        cycle: list[Message] = []
        async for message in self._subscription.messages():
            cycle.append(message)
            # One publishing cycle is one moment: the values of a record may be spread over its messages.
            if not message.more or len(cycle) >= self._settings.queue_messages:
                await self._hand_over(cycle)
                cycle = []

    async def _hand_over(self, cycle: Sequence[Message]) -> None:
        """All records of a cycle in one delivery; its messages are acknowledged when they are durable."""
        harvests = await self._decode(cycle)
        for harvest in harvests:
            for cause, sample in harvest.faults:
                self._intake.fault(self._source, cause, sample)
        lines = [line for harvest in harvests for line in harvest.lines]
        numbers = [message.number for message in cycle if message.number is not None]
        if lines:
            await self._intake.put(Delivery(self._source, lines, lambda: self._subscription.done(numbers)))
        else:
            self._subscription.done(numbers)

    async def _decode(self, cycle: Sequence[Message]) -> list[Harvest]:
        harvests: list[Harvest] = []
        t_rx = cycle[-1].t_rx
        if any(message.lost for message in cycle):
            for entry in self._binding.entries:
                harvests.append(Harvest(entry.name))
                entry.record.lost(t_rx, harvests[-1])
        events: list[tuple[VariablesEntry, Reading, Harvest]] = []
        for of_entry, notes in (await self._sort(cycle, harvests)).values():
            harvests.append(Harvest(of_entry.name))
            wanted = of_entry.record.notified(notes, t_rx, harvests[-1])
            if wanted is not None:
                events.append((of_entry, wanted, harvests[-1]))
        for of_entry, wanted, harvest in events:
            try:
                await self._collect(of_entry, wanted, t_rx, harvest)
            except LinkLost as error:
                # Not accounted for: it is found missing, and read if it still can be, after the reconnect.
                self._lose(str(error))
        return harvests

    def _lose(self, why: str) -> None:
        self._why_lost = why
        self._lost.set()

    async def _sort(
        self, cycle: Sequence[Message], harvests: list[Harvest]
    ) -> dict[str, tuple[VariablesEntry, list[Note]]]:
        """Values by the entry that they belong to; events are decoded on the way."""
        notes: dict[str, tuple[VariablesEntry, list[Note]]] = {}
        for message in cycle:
            for notification in message.notifications:
                if isinstance(notification, ua.DataChangeNotification):
                    for index, item in enumerate(notification.MonitoredItems):
                        await _turn(index)
                        place = self._binding.places.get(item.ClientHandle)
                        if place is not None and isinstance(place.entry, VariablesEntry):
                            _, of_entry = notes.setdefault(place.entry.name, (place.entry, []))
                            of_entry.append((place.node, reading(item.Value)))
                elif isinstance(notification, ua.EventNotificationList):
                    await self._events(notification, message.t_rx, harvests)
                elif isinstance(notification, ua.StatusChangeNotification):
                    self._lose(f"the server ended the subscription: {notification.Status.name}")
        return notes

    async def _events(self, notification: ua.EventNotificationList, t_rx: int, harvests: list[Harvest]) -> None:
        for index, event in enumerate(notification.Events):
            await _turn(index)
            place = self._binding.places.get(event.ClientHandle)
            if place is not None and isinstance(place.entry, EventsEntry):
                harvests.append(Harvest(place.entry.name))
                place.entry.record.notified(event.EventFields, t_rx, harvests[-1])

    async def _collect(self, entry: VariablesEntry, wanted: Reading, t_rx: int, harvest: Harvest) -> None:
        """Reads the other nodes of the record; again while the device was caught writing."""
        record = entry.record
        for _ in range(record.settings.check_reads):
            readings = await self._binding.read(entry)
            if not record.torn(wanted, readings):
                break
        record.collected(wanted, readings, t_rx, harvest)


async def _turn(index: int) -> None:
    if index % TURN_NOTIFICATIONS == TURN_NOTIFICATIONS - 1:
        await asyncio.sleep(0)
