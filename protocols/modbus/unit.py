"""One unit as the driver keeps it: its polls, and whether it answers; and how units are built out of their settings."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Iterator

from engine.clock import Clock
from engine.contracts import Intake
from protocols.mapping.sequence import Sequences
from protocols.modbus.connection import Requester
from protocols.modbus.endpoint import Endpoint
from protocols.modbus.group import GroupPlan
from protocols.modbus.handshake import MailboxPoll, RingPoll
from protocols.modbus.layouts import Group, Mailbox
from protocols.modbus.plan import Limits
from protocols.modbus.polling import Ask, GroupPoll, Place, Poll
from protocols.modbus.registers import Table
from protocols.modbus.settings import Profile, Settings, Unit
from protocols.modbus.timing import following
from protocols.modbus.wire import NoAnswer, Refusal

NOT_QUEUED = 0
BUSY_S = 0.05
BUSY_S_MAX = 2.0
"""Pauses before a device that was busy is asked again."""


class Job:
    """A poll and when it is due. `regular`: without jitter. `unanswered`: when the first was due that has not been
    answered yet. `ticket`: its place in the agenda, 0 for none. `ask`: over the main connection, set by the link.
    `busy_since`: when the device first said, in a row, that it has no time."""

    __slots__ = (
        "ask",
        "beat",
        "busy_since",
        "busy_times",
        "deadline_s",
        "due",
        "is_running",
        "jitter_s",
        "poll",
        "regular",
        "ticket",
        "unanswered",
        "unit",
    )

    def __init__(self, unit: UnitState, poll: Poll) -> None:
        self.unit = unit
        self.poll = poll
        self.ask: Ask = _unconnected
        self.deadline_s = poll.timing.deadline_s
        self.jitter_s = poll.timing.jitter_ms / 1000
        self.beat = 0.0  # what `regular` was for the poll that is made now
        self.regular = 0.0
        self.due = 0.0
        self.busy_since: float | None = None
        self.busy_times = 0
        self.unanswered: float | None = None
        self.ticket = NOT_QUEUED
        self.is_running = False

    def begin(self, now: float, chance: random.Random) -> None:
        """The first time: at once, or with jitter spread over the interval."""
        self.set_due(now + (chance.uniform(0, self.poll.timing.interval_s) if self.jitter_s else 0.0))

    def advance(self, now: float, chance: random.Random) -> None:
        """It is polled now: the next time."""
        if self.unanswered is None:
            self.unanswered = self.due
        self.beat = self.regular
        self.regular = self.due = following(self.poll.timing, self.regular, now)
        if self.jitter_s:
            self.due += chance.uniform(0, self.jitter_s)

    def set_due(self, due: float) -> None:
        self.regular = self.due = due

    def put_off_until(self, due: float) -> None:
        """The unit is left alone until then; the poll was due all the same."""
        if self.unanswered is None:
            self.unanswered = self.due
        self.set_due(due)

    def put_off(self, now: float, chance: random.Random) -> None:
        """The device has no time for it now: again soon, each time later."""
        self.busy_since = now if self.busy_since is None else self.busy_since
        pause = min(BUSY_S_MAX, BUSY_S * 2 ** min(self.busy_times, 16)) * chance.uniform(0.5, 1.0)
        self.busy_times += 1
        self.regular = self.beat
        self.due = now + pause

    def served(self) -> None:
        self.busy_since = None
        self.busy_times = 0


def _unconnected(table: Table, start: int, quantity: int) -> Awaitable[bytes]:
    raise NoAnswer("no connection yet")


class UnitState:
    """`is_up`: None until it has answered or failed often enough. `returns`: it answered a probe and gets its chance.
    `recovery`: the task that asks it while it is down. `slow_times`: it made others late, in a row. `missed`: why an
    answer did not come, if one has not been told yet."""

    def __init__(
        self, name: str, unit: Unit, timeout_s: float, polls: list[Poll], writable: frozenset[tuple[int, int]]
    ) -> None:
        self.name = name
        self.writable = writable
        self.unit_id = unit.unit
        self.timeout_s = timeout_s
        self.jobs = [Job(self, poll) for poll in polls]
        self.sources = list(dict.fromkeys([unit.src, *(poll.place.src for poll in polls)]))
        self.failures = 0
        self.is_up: bool | None = None
        self.returns = False
        self.slow_times = 0
        self.missed = ""
        self.recovery: asyncio.Task[None] | None = None

    def forget(self, is_told: bool) -> None:
        """See `Poll.forget`."""
        for job in self.jobs:
            job.poll.forget(is_told)
            job.unanswered = None

    def ask(self, through: Requester, table: Table, start: int, quantity: int) -> Awaitable[bytes]:
        """Raises Refusal, NoAnswer."""
        return through.read(self.unit_id, self.timeout_s, table, start, quantity)

    async def probe(self, through: Requester, *, counts_busy: bool = False) -> bool:
        """Whether it answers, with yes or no; a gateway that cannot reach it says so with a refusal of its own.
        `counts_busy`: that it has no time is an answer, too."""
        try:
            await self.ask(through, *self.jobs[0].poll.probe)
        except Refusal as refusal:
            return counts_busy if refusal.is_busy else not refusal.is_unreachable
        except NoAnswer:
            return False
        return True


class Units:
    """The units of a source, ready to be polled. Units of one profile share what is known of its groups."""

    def __init__(self, source: str, settings: Settings, intake: Intake, clock: Clock) -> None:
        self._source = source
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._sequences = Sequences(intake.position)
        self._sizes = Counter(_layout_key(name, unit) for name, unit in settings.units.items())
        self._rows: Counter[str] = Counter()
        self._plans: dict[tuple[str, str], GroupPlan] = {}

    def by_endpoint(self) -> dict[Endpoint, list[UnitState]]:
        """All of them, by the connection that they are behind."""
        behind: dict[Endpoint, list[UnitState]] = {}
        for name, unit in self._settings.units.items():
            timeout_ms = unit.timeout_ms or self._settings.timeout_ms
            writable = writable_registers(unit, self._settings.profile_of(unit))
            state = UnitState(name, unit, timeout_ms / 1000, list(self._polls(name, unit)), writable)
            behind.setdefault(self._settings.endpoint_of(unit), []).append(state)
        return behind

    def _polls(self, name: str, unit: Unit) -> Iterator[Poll]:
        settings, profile = self._settings, self._settings.profile_of(unit)
        key = _layout_key(name, unit)
        row = self._rows[key]
        self._rows[key] += 1
        limits = limits_of(profile, settings)
        recheck_s = settings.recovery_ms / 1000
        intake, clock = self._intake, self._clock
        for path, layout in profile.layouts:
            timing = settings.timing_of(layout)
            if isinstance(layout, Group):
                place = self._place(name, path, unit.src)
                plan = self._plans.get((key, path))
                if plan is None:
                    plan = self._plans[key, path] = GroupPlan(profile, layout, limits, self._sizes[key])
                yield GroupPoll(place, timing, layout, plan, row, recheck_s, intake, clock, self._sequences)
                continue
            place = self._place(name, path, layout.src or unit.src)
            if isinstance(layout, Mailbox):
                yield MailboxPoll(place, layout, timing, recheck_s, intake, clock)
            else:
                yield RingPoll(place, layout, timing, limits, recheck_s, intake, clock)

    def _place(self, name: str, path: str, src: str) -> Place:
        return Place(self._source, name, src, f"units.{name}.{path}")


def _layout_key(name: str, unit: Unit) -> str:
    """Units with the same key have the same registers."""
    return f"profiles.{unit.profile}" if unit.profile is not None else f"units.{name}"


def writable_registers(unit: Unit, profile: Profile) -> frozenset[tuple[int, int]]:
    """The (unit, address) of its acknowledgement registers: nothing else of it is ever written."""
    acks = (layout.ack for _, layout in profile.layouts if not isinstance(layout, Group))
    return frozenset((unit.unit, ack) for ack in acks if ack is not None)


def limits_of(profile: Profile, settings: Settings) -> Limits:
    gap, registers, bits = profile.gap_registers_max, profile.read_registers_max, profile.read_bits_max
    return Limits(
        settings.gap_registers_max if gap is None else gap,
        settings.read_registers_max if registers is None else registers,
        settings.read_bits_max if bits is None else bits,
    )
