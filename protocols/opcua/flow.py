"""Notifications to records and into the engine, while one connection lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from engine.clock import Clock
from engine.contracts import Delivery, Intake
from ext.opcua_notifications import Publish
from ext.opcua_values import Reading
from protocols.opcua.connection import Connection
from protocols.opcua.entries import EventsEntry, VariablesEntry
from protocols.opcua.failures import LinkLost, named
from protocols.opcua.harvest import Harvest
from protocols.opcua.publishing import Message
from protocols.opcua.settings import Settings
from protocols.opcua.subscribing import Subscribed, refresh_conditions, renew
from protocols.opcua.subscription import Subscription
from protocols.opcua.together import together
from protocols.tapping import Tap

TURN_ENTRIES = 50
"""After the values of so many entries, or so many events, the event loop gets a turn."""

REFRESH_S = 1.0
"""Pause between two looks whether the state of conditions may be unknown."""

READS_MAX = 8
"""So many records are read at a time."""

FOLLOWS_S = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Pauses in which a trigger is looked at that should follow what was written before it."""


class Wanted(NamedTuple):
    """An event of which the values are to be read, and where its record goes."""

    owner: int
    entry: VariablesEntry
    event: Reading
    harvest: Harvest


class Flow:
    """`run` once, on a session with subscriptions. `tell`: that it is up, and what of it is amiss."""

    def __init__(
        self,
        source: str,
        settings: Settings,
        intake: Intake,
        clock: Clock,
        connection: Connection,
        subscribed: Subscribed,
        tap: Tap,
        tell: Callable[[str], None],
    ) -> None:
        self._source = source
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._connection = connection
        self._subscribed = subscribed
        self._binding = subscribed.binding
        self._publishing = subscribed.publishing
        self._tap = tap
        self._tell = tell
        self._lost = asyncio.Event()
        self._why_lost = LinkLost("")

    async def run(self) -> None:
        """Until cancelled, or LinkLost; then everything that came before the loss is with the engine."""
        consuming = asyncio.create_task(self._consume())
        try:
            await together(
                self._connection.keep(), self._publishing.pump(), self._mend(), self._refresh(), self._watch(consuming)
            )
        except LinkLost:
            await consuming
            raise
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
        raise self._why_lost

    async def _mend(self) -> None:
        while True:
            await asyncio.sleep(self._settings.retry_ms / 1000)
            if not self._publishing.idle:
                continue  # what was told is not known yet
            await self._silenced(await self._binding.look())
            if not self._binding.whole:
                await self._binding.bind(self._publishing.subscriptions)
                self._tell(self._binding.amiss)

    async def _silenced(self, owners: Sequence[int]) -> None:
        """What the server tells nothing of any more may have moved unseen."""
        harvests = []
        for owner in owners:
            entry = self._binding.entries[owner]
            if isinstance(entry, VariablesEntry):
                harvests.append(Harvest(entry.name))
                entry.record.silenced(self._clock(), harvests[-1])
        await self._deliver(harvests, None)

    async def _refresh(self) -> None:
        """Not more often than that: what is told once more fills the server's queue, too."""
        events = [entry for entry in self._binding.entries if isinstance(entry, EventsEntry)]
        while any(entry.record.settings.conditions for entry in events):
            await refresh_conditions(self._connection, self._binding, self._publishing.subscriptions)
            await asyncio.sleep(REFRESH_S)

    async def _consume(self) -> None:
        if self._subscribed.taken_up:
            await self._catch_up()
        cycles: dict[Subscription, list[Message]] = {}
        async for message in self._publishing.messages():
            cycle = cycles.setdefault(message.subscription, [])
            cycle.append(message)
            # One publishing cycle is one moment: the values of a record may be spread over its messages.
            if not message.more or len(cycle) >= self._settings.queue_messages:
                del cycles[message.subscription]
                await self._hand_over(cycle)
            if message.ended is not None:
                await self._renew(message.subscription, message.ended)
        for cycle in cycles.values():
            await self._hand_over(cycle)  # the rest of it may come over the next connection

    async def _catch_up(self) -> None:
        """Reads the values of events that were told, but could not be read before the connection was lost."""
        wanted = [
            Wanted(owner, entry, entry.record.pending, Harvest(entry.name))
            for owner, entry in enumerate(self._binding.entries)
            if isinstance(entry, VariablesEntry) and entry.record.pending is not None
        ]
        await self._collect_all(wanted, self._clock())
        await self._deliver([each.harvest for each in wanted], None)

    async def _renew(self, subscription: Subscription, why: str) -> None:
        """The server has dropped one subscription: it is made anew, and what its entries missed is a gap."""
        t_rx = self._clock()
        await self._deliver(self._losses(subscription, t_rx), None)
        try:
            await renew(subscription, why, self._source, self._connection, self._subscribed, t_rx)
            self._tell(self._binding.amiss)
        except LinkLost as error:
            self._lose(error)

    async def _hand_over(self, cycle: Sequence[Message]) -> None:
        """All records of a cycle in one delivery; its messages are acknowledged when they are durable."""
        subscription = cycle[0].subscription
        numbers = [message.publish.number for message in cycle if message.publish is not None]
        await self._deliver(await self._decode(cycle), lambda: subscription.done(numbers))

    async def _deliver(self, harvests: Sequence[Harvest], ack: Callable[[], None] | None) -> None:
        for harvest in harvests:
            for cause, sample in harvest.faults:
                self._intake.fault(self._source, cause, sample)
        lines = [line for harvest in harvests for line in harvest.lines]
        if lines:
            await self._intake.put(Delivery(self._source, lines, ack))
        elif ack is not None:
            ack()

    async def _decode(self, cycle: Sequence[Message]) -> list[Harvest]:
        harvests: list[Harvest] = []
        t_rx = cycle[-1].t_rx
        if any(message.lost for message in cycle):
            harvests += self._losses(cycle[0].subscription, t_rx)
        wanted: list[Wanted] = []
        for turn, (owner, notes) in enumerate(self._binding.items.sort(_publishes(cycle))):
            await _turn(turn)
            entry = self._binding.entries[owner]
            if self._tap.tell is not None:
                for name, got in notes:
                    self._tap.tell(f"{entry.name}.{name}", shown(got))
            if isinstance(entry, VariablesEntry):
                harvests.append(Harvest(entry.name))
                event = entry.record.notified(notes, t_rx, harvests[-1])
                if event is not None:
                    wanted.append(Wanted(owner, entry, event, harvests[-1]))
        for message in cycle:
            await self._events(message, harvests)
        await self._collect_all(wanted, t_rx)
        return harvests

    def _losses(self, subscription: Subscription, t_rx: int) -> list[Harvest]:
        """A gap for every entry of the subscription."""
        harvests = []
        for owner in subscription.owners:
            entry = self._binding.entries[owner]
            harvests.append(Harvest(entry.name))
            entry.record.lost(t_rx, harvests[-1])
        return harvests

    def _lose(self, error: LinkLost) -> None:
        self._why_lost = error
        self._lost.set()

    async def _events(self, message: Message, harvests: list[Harvest]) -> None:
        if message.publish is None:
            return
        for index, (handle, values, fault) in enumerate(message.publish.events):
            await _turn(index)
            owner = self._binding.items.owner(handle)
            entry = None if owner is None else self._binding.entries[owner]
            if isinstance(entry, EventsEntry):
                if self._tap.tell is not None:
                    self._tap.tell(entry.name, msgspec.json.encode(fault or values, enc_hook=repr))
                harvests.append(Harvest(entry.name))
                entry.record.notified(values, fault, message.t_rx, harvests[-1])

    async def _collect_all(self, wanted: Sequence[Wanted], t_rx: int) -> None:
        """Several at a time: while the first are read one after the other, the values of the last would be written
        over; and no device that is caught writing keeps the others waiting."""
        left = iter(wanted)

        async def collect_next() -> None:
            for each in left:
                await self._try_to_collect(*each, t_rx)

        if len(wanted) == 1:
            await collect_next()
        elif wanted:
            await together(*(collect_next() for _ in wanted[:READS_MAX]))

    async def _try_to_collect(
        self, owner: int, entry: VariablesEntry, wanted: Reading, harvest: Harvest, t_rx: int
    ) -> None:
        try:
            await self._collect(owner, entry, wanted, t_rx, harvest)
        except LinkLost as error:
            # Still pending: read over the next connection, if it still can be.
            self._lose(error)

    async def _collect(self, owner: int, entry: VariablesEntry, wanted: Reading, t_rx: int, harvest: Harvest) -> None:
        """Reads the other nodes of the record; again while the device was caught writing."""
        record = entry.record
        for _ in range(record.settings.check_reads):
            readings = await self._binding.read(owner, entry)
            if not record.torn(wanted, readings):
                break
        if self._tap.tell is not None:
            for name, reading in dict(zip(record.read, readings, strict=True)).items():
                if name != record.settings.trigger:
                    self._tap.tell(f"{entry.name}.{name} (read)", shown(reading))
        later = record.later(wanted, readings, harvest)
        if later:
            later -= record.timed_by_looks(readings, await self._binding.read(owner, entry))
        if later:
            if await self._follows(owner, entry, wanted):
                record.mixed(wanted, later, t_rx, harvest)
                return
            record.are_own(later, harvest)
        record.collected(wanted, readings, t_rx, harvest)

    async def _follows(self, owner: int, entry: VariablesEntry, wanted: Reading) -> bool:
        """Whether the trigger tells of the next event soon after nodes were written: a machine writes it last."""
        for pause_s in FOLLOWS_S:
            await asyncio.sleep(pause_s)
            if entry.record.moved_on(wanted, await self._binding.read(owner, entry)):
                return True
        return False


def shown(got: Reading) -> bytes:
    """A value for a person: plain, its status if that is not good, its source time."""
    value = {"value": got.value, "time_us": got.source_us}
    if not got.sound:
        value["status"] = named(got.status)
        value["fault"] = got.fault
    return msgspec.json.encode(value, enc_hook=repr)


def _publishes(cycle: Sequence[Message]) -> list[Publish]:
    return [message.publish for message in cycle if message.publish is not None]


async def _turn(index: int) -> None:
    if index % TURN_ENTRIES == TURN_ENTRIES - 1:
        await asyncio.sleep(0)
