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

    async def run(self) -> None:
        """Until cancelled, or LinkLost."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._connection.keep())
                tasks.create_task(self._subscription.pump())
                tasks.create_task(self._consume())
                tasks.create_task(self._mend())
        except BaseExceptionGroup as group:
            lost, others = group.split(LinkLost)
            if others is not None or lost is None:
                raise
            raise LinkLost(str(lost.exceptions[0])) from group

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
        harvests: list[Harvest] = []
        ended: LinkLost | None = None
        try:
            await self._decode(cycle, harvests)
        except LinkLost as error:
            ended = error  # what is decoded already is handed over all the same
        for harvest in harvests:
            for cause, sample in harvest.faults:
                self._intake.fault(self._source, cause, sample)
        lines = [line for harvest in harvests for line in harvest.lines]
        numbers = [message.number for message in cycle if message.number is not None]
        if lines:
            await self._intake.put(Delivery(self._source, lines, lambda: self._subscription.done(numbers)))
        elif ended is None:
            self._subscription.done(numbers)
        if ended is not None:
            raise ended

    async def _decode(self, cycle: Sequence[Message], harvests: list[Harvest]) -> None:
        t_rx = cycle[-1].t_rx
        if any(message.lost for message in cycle):
            for entry in self._binding.entries:
                harvests.append(Harvest(entry.name))
                entry.record.lost(t_rx, harvests[-1])
        notes, ended = await self._sort(cycle, harvests)
        for entry, of_entry in notes.values():
            harvest = Harvest(entry.name)
            harvests.append(harvest)
            wanted = entry.record.notified(of_entry, t_rx, harvest)
            if wanted is not None:
                await self._collect(entry, wanted, t_rx, harvest)
        if ended is not None:
            raise ended

    async def _sort(
        self, cycle: Sequence[Message], harvests: list[Harvest]
    ) -> tuple[dict[str, tuple[VariablesEntry, list[Note]]], LinkLost | None]:
        """Values by the entry that they belong to; events are decoded on the way."""
        notes: dict[str, tuple[VariablesEntry, list[Note]]] = {}
        ended: LinkLost | None = None
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
                    ended = LinkLost(f"the server ended the subscription: {notification.Status.name}")
        return notes, ended

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
