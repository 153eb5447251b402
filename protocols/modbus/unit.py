"""One unit as the driver keeps it: its polls with their due times, and whether it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from engine.clock import Clock
from engine.contracts import Intake
from protocols.mapping.sequence import Sequences
from protocols.modbus.connection import NoAnswer, Refusal, Requester
from protocols.modbus.handshake import MailboxPoll, RingPoll
from protocols.modbus.plan import Limits
from protocols.modbus.polling import GroupPoll, Place, Poll
from protocols.modbus.settings import Mailbox, Ring, Settings, Table, Unit


class Job:
    """A poll and when it is due, in monotonic seconds."""

    __slots__ = ("due", "poll", "unit")

    def __init__(self, unit: UnitState, poll: Poll) -> None:
        self.unit = unit
        self.poll = poll
        self.due = 0.0


class UnitState:
    """`is_up`: None until it has answered or failed often enough. `returns`: it answered a probe and gets its chance.
    `recovery`: the task that asks it while it is down."""

    def __init__(self, name: str, unit: Unit, timeout_s: float, polls: list[Poll]) -> None:
        self.name = name
        self.unit_id = unit.unit
        self.timeout_s = timeout_s
        self.jobs = [Job(self, poll) for poll in polls]
        self.sources = list(dict.fromkeys([unit.src, *(poll.place.src for poll in polls)]))
        self.failures = 0
        self.is_up: bool | None = None
        self.returns = False
        self.recovery: asyncio.Task[None] | None = None

    def due_at(self, due: float) -> None:
        """Every poll is due then."""
        for job in self.jobs:
            job.due = due

    def forget(self) -> None:
        """See `Poll.forget`."""
        for job in self.jobs:
            job.poll.forget()

    async def ask(self, through: Requester, table: Table, start: int, quantity: int) -> list[int]:
        """Raises Refusal, NoAnswer: also for a gateway that says that it cannot reach the unit."""
        try:
            return await through.read(self.unit_id, table, start, quantity, self.timeout_s)
        except Refusal as refusal:
            if refusal.is_unreachable:
                raise NoAnswer(str(refusal)) from None
            raise

    async def probe(self, through: Requester) -> bool:
        """Whether it answers, with yes or no."""
        try:
            await self.ask(through, *self.jobs[0].poll.probe)
        except Refusal:
            return True
        except NoAnswer:
            return False
        return True


def build_units(
    source: str, settings: Settings, intake: Intake, clock: Clock, wake: Callable[[], None]
) -> list[UnitState]:
    """All units of a source, ready to be polled. `wake`: called when an acknowledgement is to be written."""
    sequences = Sequences(intake.position)
    units = []
    for name, unit in settings.units.items():
        polls = list(_polls(source, name, unit, settings, intake, clock, wake, sequences))
        timeout_ms = unit.timeout_ms or settings.timeout_ms
        units.append(UnitState(name, unit, timeout_ms / 1000, polls))
    return units


def writable_registers(settings: Settings) -> frozenset[tuple[int, int]]:
    """The (unit, address) of all acknowledgement registers: nothing else is ever written."""
    writable: set[tuple[int, int]] = set()
    for unit in settings.units.values():
        blocks: list[Mailbox | Ring] = [*unit.mailboxes.values(), *unit.rings.values()]
        writable.update((unit.unit, block.ack) for block in blocks if block.ack is not None)
    return frozenset(writable)


def _polls(
    source: str,
    name: str,
    unit: Unit,
    settings: Settings,
    intake: Intake,
    clock: Clock,
    wake: Callable[[], None],
    sequences: Sequences,
) -> Iterator[Poll]:
    limits = _limits(unit, settings)
    recheck_s = settings.recovery_ms / 1000

    def place(table: str, entry: str, src: str | None = None) -> Place:
        return Place(source, name, src or unit.src, f"units.{name}.{table}.{entry}")

    for entry, group in unit.groups.items():
        yield GroupPoll(place("groups", entry), unit, group, limits, recheck_s, intake, clock, sequences)
    for entry, mailbox in unit.mailboxes.items():
        yield MailboxPoll(place("mailboxes", entry, mailbox.src), mailbox, recheck_s, intake, clock, wake)
    for entry, ring in unit.rings.items():
        yield RingPoll(place("rings", entry, ring.src), ring, limits, intake, clock, wake)


def _limits(unit: Unit, settings: Settings) -> Limits:
    gap, registers = unit.gap_registers_max, unit.read_registers_max
    return Limits(
        settings.gap_registers_max if gap is None else gap,
        settings.read_registers_max if registers is None else registers,
        settings.read_bits_max,
    )
