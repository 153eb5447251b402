"""The groups, mailboxes and rings of a unit as jobs for its connection: what is asked, and what comes of it.

A poll asks (`Ask`), decodes and maps; it hands over nothing by itself. The driver calls `poll`, puts the delivery, then
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
from protocols.modbus.connection import Refusal
from protocols.modbus.decode import Values, decode_registers
from protocols.modbus.plan import Limits, Read, plan_reads, points_of, split_read
from protocols.modbus.records import fact
from protocols.modbus.settings import Group, Table, Unit, as_register
from protocols.modbus.trigger import Watch

Ask = Callable[[Table, int, int], Awaitable[list[int]]]
"""Reads (table, start, quantity) of the poll's unit. Raises Refusal and NoAnswer."""


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


class Debt(NamedTuple):
    """An acknowledgement to write: `value` into holding register `address` by `function`."""

    address: int
    value: int
    function: int


class Poll(ABC):
    """One job. `interval_s`: between two polls. `probe`: a request that tells whether the unit answers at all."""

    interval_s: float
    probe: tuple[Table, int, int]
    owed: Debt | None = None

    def __init__(self, place: Place, intake: Intake, clock: Clock) -> None:
        self.place = place
        self._intake = intake
        self._clock = clock

    @abstractmethod
    async def poll(self, ask: Ask, now: float) -> Outcome:
        """Ask once. `now`: monotonic seconds. Raises Refusal (to be counted) and NoAnswer."""

    def accepted(self) -> None:  # noqa: B027
        """The delivery of the last poll was handed over. Groups have nothing to remember."""

    def paid(self) -> None:
        """What was owed is written, or was refused."""
        self.owed = None

    @abstractmethod
    def forget(self) -> None:
        """The device was away, or is another one: what it shows next is its state, or a backlog."""

    def fault(self, cause: str, words: Sequence[int] = ()) -> None:
        """Count something that does not fit. `words`: registers as a sample."""
        self._intake.fault(self.place.source, f"{self.place.path}: {cause}", struct.pack(f">{len(words)}H", *words))


class GroupPoll(Poll):
    """Registers polled together, records by triggers. Requests that the device refuses are parted until only what it
    does not have is left out; that is tried again every `recheck_s`."""

    def __init__(
        self,
        place: Place,
        unit: Unit,
        group: Group,
        limits: Limits,
        recheck_s: float,
        intake: Intake,
        clock: Clock,
        sequences: Sequences,
    ) -> None:
        super().__init__(place, intake, clock)
        self.interval_s = group.poll_ms / 1000
        self._registers = {name: as_register(entry) for name, entry in {**unit.holding, **unit.input}.items()}
        self._recheck_s = recheck_s
        self._triggers = [
            (Watch(trigger), compile_record(trigger.record, constants={"src": unit.src}, sequences=sequences))
            for trigger in group.triggers
        ]
        owners = {bit: name for name, register in self._registers.items() for bit in register.bits}
        watched = {owners.get(trigger.register, trigger.register) for trigger in group.triggers if trigger.register}
        points = points_of(unit, {*group.registers, *watched} if group.registers else ())
        self._planned = plan_reads(points, limits, first=watched)
        self._reads = list(self._planned)
        self._missing_until: dict[Read, float] = {}
        first = self._planned[0]
        self.probe = (first.table, first.start, 1)

    async def poll(self, ask: Ask, now: float) -> Outcome:
        values: Values = {}
        for read in list(self._reads):
            if self._missing_until.get(read, 0.0) > now:
                continue
            await self._read(ask, read, values, now)
        t_rx = self._clock()
        lines = []
        for watch, plan in self._triggers:
            if not watch.fires(values):
                continue
            try:
                lines.append(fact(plan, values, t_rx).line)
            except DecodeError as error:
                self.fault(error.cause)
        return Outcome(Delivery(self.place.source, lines)) if lines else Outcome()

    async def _read(self, ask: Ask, read: Read, values: Values, now: float) -> None:
        """Into `values`; a request that is refused as a whole is asked for again in parts."""
        try:
            words = await ask(read.table, read.start, read.quantity)
        except Refusal as refusal:
            await self._refused(ask, read, values, now, refusal)
            return
        self._missing_until.pop(read, None)
        if read.table in ("coil", "discrete"):
            values.update({point.name: bool(words[point.address - read.start]) for point in read.points})
            return
        registers = {point.name: self._registers[point.name] for point in read.points}
        decoded, faults = decode_registers(registers, words, read.start)
        values.update(decoded)
        for name, cause in faults.items():
            first = registers[name].address - read.start
            self.fault(cause, words[first : first + registers[name].width])

    async def _refused(self, ask: Ask, read: Read, values: Values, now: float, refusal: Refusal) -> None:
        parts = split_read(read) if refusal.is_missing else []
        if parts:
            at = self._reads.index(read)
            self._reads[at : at + 1] = parts
            for part in parts:
                await self._read(ask, part, values, now)
            return
        names = ", ".join(point.name for point in read.points)
        self.fault(f"{names} ({read.table} {read.start}): {refusal}")
        if refusal.is_missing:
            self._missing_until[read] = now + self._recheck_s

    def forget(self) -> None:
        for watch, _ in self._triggers:
            watch.forget()
        self._reads = list(self._planned)
        self._missing_until.clear()
