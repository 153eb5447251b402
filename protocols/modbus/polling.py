"""The groups, mailboxes and rings of a unit as jobs for its connection: what is asked, and what comes of it.

A poll asks (`Ask`), decodes and maps; it hands over nothing by itself. The link calls `poll`, puts the delivery, then
calls `accepted`; it writes what `owed` says and then calls `paid`.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from engine.clock import Clock
from engine.contracts import Delivery, Intake
from engine.errors import DecodeError
from protocols.mapping.plan import compile_record
from protocols.mapping.sequence import Sequences
from protocols.modbus.decode import words_of
from protocols.modbus.group import GroupPlan
from protocols.modbus.layouts import Group
from protocols.modbus.plan import Read
from protocols.modbus.records import blind_line, fact
from protocols.modbus.registers import Table
from protocols.modbus.timing import PollClass
from protocols.modbus.trigger import Watch
from protocols.modbus.wire import Refusal

Ask = Callable[[Table, int, int], Awaitable[bytes]]
"""Asks the poll's unit for (table, start, quantity) at once. The awaitable: the payload. Raises Refusal, NoAnswer."""


async def word(ask: Ask, table: Table, address: int) -> int:
    """One register."""
    return words_of(await ask(table, address, 1))[0]


class Place(NamedTuple):
    """Where a poll belongs: the source's and the unit's name, the src of its records, its path in the site file."""

    source: str
    unit: str
    src: str
    path: str


class Outcome(NamedTuple):
    """What a poll brought. `more`: there is more to fetch at once."""

    delivery: Delivery | None = None
    more: bool = False


NOTHING = Outcome()


class Debt(NamedTuple):
    """An acknowledgement to write: `value` into holding register `address` by `function`."""

    address: int
    value: int
    function: int


class Poll(ABC):
    """One job. `probe`: a request that tells whether the unit answers at all. `on_debt`: called when something is owed,
    set by the link that pays."""

    probe: tuple[Table, int, int]
    owed: Debt | None = None

    def __init__(self, place: Place, timing: PollClass, intake: Intake, clock: Clock) -> None:
        self.place = place
        self.timing = timing
        self.on_debt: Callable[[], None] = lambda: None
        self._intake = intake
        self._clock = clock

    @abstractmethod
    async def poll(self, ask: Ask, now: float) -> Outcome:
        """Ask once. `now`: monotonic seconds. Raises Refusal (to be counted) and NoAnswer."""

    def accepted(self) -> None:  # noqa: B027
        """The delivery of the last poll was handed over. Groups have nothing to remember."""

    def owe(self, debt: Debt) -> None:
        self.owed = debt
        self.on_debt()

    def paid(self) -> None:
        """What was owed is written, or was refused."""
        self.owed = None

    def doubt(self) -> None:  # noqa: B027
        """Over a new connection: whether anything is owed, what the device shows will say. Groups owe nothing."""

    @abstractmethod
    def forget(self, is_told: bool) -> None:
        """The device was away, or is another one: what it shows next is its state, or a backlog. `is_told`: a
        `link.down` says so."""

    def overdue(self) -> list[bytes]:
        """The last poll had its answer after its deadline. Returns the lines that say so; mailboxes and rings have
        none, what they lost shows in their numbers."""
        self.fault("overdue: answered later than deadline_ms after it was due")
        return []

    def fault(self, cause: str, words: Sequence[int] = ()) -> None:
        """Count something that does not fit. `words`: registers as a sample."""
        self._intake.fault(self.place.source, f"{self.place.path}: {cause}", struct.pack(f">{len(words)}H", *words))


class GroupPoll(Poll):
    """Registers polled together, records by triggers.

    Requests that the device refuses are parted until only what it does not have is left out; that is tried again every
    `recheck_s`. What is read goes into the image of all units of the profile (row `row`), and is decoded only where a
    watched register changed.
    """

    def __init__(
        self,
        place: Place,
        timing: PollClass,
        group: Group,
        plan: GroupPlan,
        row: int,
        recheck_s: float,
        intake: Intake,
        clock: Clock,
        sequences: Sequences,
    ) -> None:
        super().__init__(place, timing, intake, clock)
        self._plan = plan
        self._row = row
        self._recheck_s = recheck_s
        self._triggers = [
            (Watch(trigger), compile_record(trigger.record, constants={"src": place.src}, sequences=sequences))
            for trigger in group.triggers
        ]
        self._fires_always = any(trigger.register is None for trigger in group.triggers)
        self._watches = any(trigger.register is not None for trigger in group.triggers)
        self._is_waiting = False  # for a value to hold
        self._again_at: dict[Read, float] = {}  # requests that the device refused
        self._read_us = 0  # when everything was read the last time
        self._previous_us = 0
        self._blind_us = 0  # since when nobody watches, if only a gap can say so
        first = plan.leading[0] if plan.leading else plan.following[0]
        self.probe = (first.table, first.start, 1)

    async def poll(self, ask: Ask, now: float) -> Outcome:
        plan = self._plan
        has_changed = False
        if plan.leading:
            has_changed = await self._read_all(ask, plan.leading, now)
        if plan.following:
            # not before the triggers are here: a machine sets its trigger last, so what belongs to it is there by then
            has_changed |= await self._read_all(ask, plan.following, now)
        self._previous_us, self._read_us = self._read_us, self._clock()
        lines = [blind_line(self.place.src, self._blind_us, self._read_us)] if self._blind_us else []
        self._blind_us = 0
        if has_changed or self._fires_always or self._is_waiting:
            lines += self._records(now)
        return Outcome(Delivery(self.place.source, lines)) if lines else NOTHING

    def _records(self, now: float) -> list[bytes]:
        """What the registers as they are now make of the triggers."""
        raw, absent = self._plan.raw(self._row), self._absent()
        decode = self._plan.decode if self._fires_always else self._plan.decode_watched
        values, faults = decode(raw, absent)
        fired = [record for watch, record in self._triggers if watch.fires(values, now)]
        self._is_waiting = any(watch.is_waiting for watch, _ in self._triggers)
        self._plan.image.seen(self._row)
        if fired and not self._fires_always:
            values, faults = self._plan.decode(raw, absent)
        for name, cause in faults.items():
            self.fault(cause, self._plan.words(self._row, name))
        lines = []
        for record in fired:
            try:
                lines.append(fact(record, values, self._read_us).line)
            except DecodeError as error:
                self.fault(error.cause)
        return lines

    async def _read_all(self, ask: Ask, reads: Sequence[Read], now: float) -> bool:
        """All at once as far as the connection takes them; whether a watched value has changed."""
        again_at = self._again_at
        asked = [
            (read, ask(read.table, read.start, read.quantity))
            for read in reads
            if not again_at or again_at.get(read, 0.0) <= now
        ]
        has_changed = False
        for read, answer in asked:
            try:
                payload = await answer
            except Refusal as refusal:
                has_changed |= await self._refused(ask, read, now, refusal)
                continue
            if again_at and again_at.pop(read, None) is not None:
                # what it shows was never looked at, or long ago
                self._plan.image.unsettle(self._row)
            has_changed |= self._plan.store(self._row, read, payload)
        return has_changed

    async def _refused(self, ask: Ask, read: Read, now: float, refusal: Refusal) -> bool:
        """Asks again in parts, where there are any. Raises `refusal` where the unit is not there, or has no time."""
        if refusal.is_unreachable or refusal.is_busy:
            raise refusal
        parts = self._plan.part(read) if refusal.is_missing else []
        if parts:
            return await self._read_all(ask, parts, now)
        names = ", ".join(point.name for point in read.points)
        self.fault(f"{names} ({read.table} {read.start}): {refusal}")
        self._again_at[read] = now + self._recheck_s if refusal.is_missing else now
        return False

    def _absent(self) -> frozenset[str]:
        """The names of the values that the device refused to show."""
        if not self._again_at:
            return frozenset()
        for read in [read for read in self._again_at if not self._plan.holds(read)]:
            del self._again_at[read]
        return frozenset(point.name for read in self._again_at for point in read.points)

    def overdue(self) -> list[bytes]:
        super().overdue()
        if self.timing.overdue != "gap" or not self._previous_us:
            return []
        return [blind_line(self.place.src, self._previous_us, self._read_us)]

    def forget(self, is_told: bool) -> None:
        if is_told:
            self._blind_us = 0
        elif self._watches:
            self._blind_us = self._blind_us or self._read_us
        for watch, _ in self._triggers:
            watch.forget()
        self._plan.image.unsettle(self._row)
        self._again_at.clear()
        self._read_us = self._previous_us = 0
