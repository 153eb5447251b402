"""One connection and the units behind it: each poll at its time, and a unit that is dead delays no other.

A unit that failed `failures_max` times in a row is down: from then on it is asked over a second, short connection
(`_recover`), while the main one goes on with the others. Where the server takes no second connection, or nobody else is
up, the main one asks it every `recovery_ms`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Coroutine
from functools import partial
from typing import Any

from engine.clock import Clock
from engine.contracts import Delivery, Intake
from engine.errors import DecodeError
from protocols.backoff import Backoff
from protocols.modbus.agenda import Agenda
from protocols.modbus.alarm import Alarm
from protocols.modbus.connection import Connection
from protocols.modbus.endpoint import Endpoint
from protocols.modbus.polling import Debt, Poll
from protocols.modbus.records import link_line
from protocols.modbus.settings import Settings
from protocols.modbus.standing import Standing
from protocols.modbus.unit import NOT_QUEUED, Job, UnitState
from protocols.modbus.wire import NoAnswer, Refusal
from protocols.tapping import Tap

log = logging.getLogger("sortline.modbus")

SLOW_S = 0.1
SLOW_SHARE = 0.25
"""Units that take so long for a poll, and make others late, have so much of the line's time between them, or as much of
it as they are of all."""
SAID_AFTER = 3
"""So many such polls in a row, of units that are the lesser part."""


class Link:
    """`name`: the source's. `standing`: of all its links. `chance`: of jitter and pauses."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        units: list[UnitState],
        settings: Settings,
        intake: Intake,
        clock: Clock,
        standing: Standing,
        chance: random.Random,
        tap: Tap,
    ) -> None:
        self.units = units
        self._state: str | None = None  # of the connection: up once something has answered over it
        self._why = ""  # the last failure
        self._was_away = False  # there was nobody to connect to
        self._name = name
        self._endpoint = endpoint
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._standing = standing
        self._chance = chance
        self._recovery_s = settings.recovery_ms / 1000
        writable = frozenset[tuple[int, int]]().union(*(unit.writable for unit in units))
        self._connection = Connection(endpoint, settings.timeout_ms / 1000, writable, settings.in_flight_max, tap)
        self._agenda = Agenda()
        self._alarm = Alarm()
        self._debts: deque[Job] = deque()
        self._hushed: dict[int, float] = {}  # units on a serial line from which an answer may still come, until when
        self._slow: set[UnitState] = set()  # they keep the others waiting
        self._slow_until = 0.0  # so long they are left alone
        self._in_doubt: set[int] = set()  # those of them that have to echo a number first
        self._number = chance.randrange(65_536)
        self._ups = 0  # units that are up
        self._unproved = 0  # attempts to connect since the last good answer
        self._backoff = Backoff(settings.reconnect_min_ms, settings.reconnect_max_ms, chance.random)
        self._takes_second = settings.probe_apart and endpoint.serial is None
        self._second = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._tasks: asyncio.TaskGroup | None = None
        for job in self._jobs():
            job.poll.on_debt = partial(self._owes, job)
            job.ask = partial(self._connection.read, job.unit.unit_id, job.unit.timeout_s)

    async def run(self) -> None:
        """Poll for ever, with as many requests on their way as the device takes."""
        now = asyncio.get_running_loop().time()
        for job in self._jobs():
            job.begin(now, self._chance)
            self._agenda.put(job)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for _ in range(self._settings.in_flight_max):
                    self._tasks.create_task(self._work())
        finally:
            self._connection.close()

    def _jobs(self) -> list[Job]:
        return [job for unit in self.units for job in unit.jobs]

    async def _work(self) -> None:
        """One piece of work after the other: connect, write an acknowledgement, poll, or wait for what is due."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._connection.is_open:
                async with self._opening:
                    if not self._connection.is_open:
                        await self._connect()
            now = loop.time()
            if self._debts and (owing := self._owing(now)) is not None:
                await self._attempt(owing, self._pay(owing))
            elif (job := self._next(now)) is not None:
                job.advance(now, self._chance)
                await self._attempt(job, self._poll(job, now))
            else:
                await self._alarm.sleep(self._agenda.next_due())

    def _next(self, now: float) -> Job | None:
        """The next poll; those of units that are not asked here fall out of the agenda until that changes."""
        while (job := self._agenda.take(now)) is not None:
            alone_until = self._alone_until(job.unit)
            if alone_until > now:
                job.put_off_until(alone_until)
                self._agenda.put(job)
            elif self._is_asked_here(job.unit):
                return job
        return None

    def _alone_until(self, unit: UnitState) -> float:
        until = self._hushed.get(unit.unit_id, 0.0)
        return max(until, self._slow_until) if unit in self._slow else until

    def _owes(self, job: Job) -> None:
        self._debts.append(job)
        self._alarm.ring()

    def _owing(self, now: float) -> Job | None:
        for _ in range(len(self._debts)):
            job = self._debts.popleft()
            if job.poll.owed is None or not job.unit.is_up:
                continue
            if not job.is_running and self._alone_until(job.unit) <= now:
                # nobody polls it meanwhile: one thing at a time is done with a job
                self._agenda.leave(job)
                return job
            self._debts.append(job)
        return None

    def _is_asked_here(self, unit: UnitState) -> bool:
        """Over the main connection: a unit that is not down, that came back, or that nobody would have to wait for."""
        return unit.is_up is not False or unit.returns or not self._takes_second or not self._ups

    def _put_back(self) -> None:
        """It has changed who is asked here: everything that is nowhere goes into the agenda again."""
        for unit in self.units:
            self._put_back_unit(unit)

    def _put_back_unit(self, unit: UnitState) -> None:
        for job in unit.jobs:
            if job.ticket == NOT_QUEUED and not job.is_running:
                self._agenda.put(job)
        self._alarm.ring()

    def _due_at(self, unit: UnitState, due: float) -> None:
        """Every poll of it is due then."""
        for job in unit.jobs:
            job.set_due(due)
            if not job.is_running:
                self._agenda.put(job)
        self._alarm.ring()

    async def _attempt(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        job.is_running = True
        try:
            await work
        except Refusal as refusal:
            self._proved()
            if refusal.is_unreachable:
                await self._lost(job, NoAnswer(str(refusal)))
            elif refusal.is_busy:
                await self._busy(job, refusal)
            else:
                job.poll.fault(str(refusal))
                await self._answered(job.unit)
        except DecodeError as error:
            job.poll.fault(error.cause)
            await self._answered(job.unit)
        except NoAnswer as failure:
            if self._endpoint.is_rtu and not failure.blameless:
                # serial frames carry no number: an answer that came now would be taken for that to the next request
                self._hushed[job.unit.unit_id] = asyncio.get_running_loop().time() + job.unit.timeout_s
                if self._settings.echo:
                    self._in_doubt.add(job.unit.unit_id)
            await self._lost(job, failure)
        finally:
            job.is_running = False
            self._agenda.put(job)

    async def _poll(self, job: Job, now: float) -> None:
        await self._in_step(job.unit)
        poll = job.poll
        outcome = await poll.poll(job.ask, now)
        self._share(job.unit, now)
        job.served()
        due, job.unanswered = job.unanswered, None
        timing = poll.timing
        # Before the engine has its say, which may be full. At the deadline it is too late: the next poll is due then by
        # default, and its answer within the same millisecond of the loop's clock must not hide this one.
        is_late = (
            due is not None and timing.overdue != "ignore" and asyncio.get_running_loop().time() >= due + job.deadline_s
        )
        if not job.unit.is_up or job.unit.failures or self._unproved:
            await self._answered(job.unit)
        if outcome.delivery is not None:
            await self._intake.put(outcome.delivery)
            poll.accepted()
        if outcome.more:
            job.set_due(now)
        if is_late:
            await self._overdue(poll)

    async def _in_step(self, unit: UnitState) -> None:
        """A unit answers in order: what is late comes before the number that it is asked to echo, and is seen to be
        something else. Raises Refusal, NoAnswer."""
        if unit.unit_id not in self._in_doubt:
            return
        self._number = (self._number + 1) % 65_536
        try:
            await self._connection.echo(unit.unit_id, self._number, unit.timeout_s)
        except Refusal as refusal:
            # one that does not know the function has answered, too
            if refusal.is_unreachable or refusal.is_busy:
                raise
        self._in_doubt.discard(unit.unit_id)

    def _share(self, unit: UnitState, began: float) -> None:
        """A line that carries one request at a time belongs to all: units that answer so slowly that others are late
        are left alone until those have had their share of its time."""
        now = asyncio.get_running_loop().time()
        took_s = now - began
        if took_s < SLOW_S:
            if unit.slow_times:
                unit.slow_times = 0
                self._slow.discard(unit)
            return
        slow = self._slow | {unit}
        if self._settings.in_flight_max > 1 or not self._agenda.is_late(now, slow):
            return
        self._slow = slow
        self._slow_until = now + took_s * (1 / max(SLOW_SHARE, len(slow) / max(1, self._ups)) - 1)
        unit.slow_times += 1
        if unit.slow_times == SAID_AFTER and 2 * len(slow) <= self._ups:
            log.warning(
                "%s: unit %s takes %.0f ms to answer, and makes others late: it is asked less often",
                self._name,
                unit.name,
                1000 * took_s,
            )

    async def _overdue(self, poll: Poll) -> None:
        if lines := poll.overdue():
            await self._intake.put(Delivery(self._name, lines))

    async def _pay(self, job: Job) -> None:
        """Write what is owed; a refusal gives it up, and the mailbox owes it again when it looks next time."""
        debt: Debt | None = job.poll.owed
        if debt is None:
            return
        unit = job.unit
        await self._in_step(unit)
        try:
            await self._connection.write(unit.unit_id, debt.address, debt.value, debt.function, unit.timeout_s)
        except Refusal as refusal:
            if job.poll.owed == debt and not (refusal.is_unreachable or refusal.is_busy):
                job.poll.paid()
            raise
        if job.poll.owed == debt:
            job.poll.paid()
        await self._answered(unit)
        # the machine waited for it: its next record may be there
        job.set_due(asyncio.get_running_loop().time())

    def _proved(self) -> None:
        """Something has answered over this connection."""
        if self._unproved:
            self._unproved = 0
            self._backoff.reset()
        if self._state != "up":
            self._tell("up", "")

    async def _answered(self, unit: UnitState) -> None:
        self._proved()
        unit.failures = 0
        unit.returns = False
        missed, unit.missed = unit.missed, ""
        if unit.is_up:
            if missed:
                # nobody else says why there is a gap: it is not down
                self._intake.fault(self._name, f"units.{unit.name}: {missed}", b"")
            return
        unit.is_up = True
        self._ups += 1
        log.info("%s: unit %s answers", self._name, unit.name)
        await self._tell_link(unit)
        self._put_back_unit(unit)

    async def _lost(self, job: Job, failure: NoAnswer) -> None:
        """No answer from the job's unit. The connection is closed unless a gateway said so itself."""
        job.poll.doubt()
        self._why = failure.reason
        if failure.blameless:
            job.set_due(asyncio.get_running_loop().time())
            return
        if failure.wrong:
            self._intake.fault(self._name, f"{job.poll.place.path}: {failure.reason}", failure.wrong)
        else:
            job.unit.missed = failure.reason
        if failure.by_peer:
            self._forget()
        await self._failed(job.unit, failure.reason)

    async def _busy(self, job: Job, refusal: Refusal) -> None:
        """It has no time, and says nothing of what its registers show: for as long as an answer may take it is asked
        again after pauses, and then that is as no answer. The line is free for others meanwhile."""
        now = asyncio.get_running_loop().time()
        job.poll.doubt()
        job.put_off(now, self._chance)
        if job.busy_since is not None and now - job.busy_since >= job.unit.timeout_s:
            job.busy_since = now
            job.poll.fault(str(refusal))
            await self._failed(job.unit, str(refusal))

    async def _failed(self, unit: UnitState, reason: str) -> None:
        unit.failures += 1
        unit.returns = False
        if unit.is_up is not False and unit.failures < self._settings.failures_max:
            return
        self._due_at(unit, asyncio.get_running_loop().time() + self._recovery_s)
        if unit.is_up is False:
            return
        was_last = bool(unit.is_up) and self._ups == 1
        self._ups -= bool(unit.is_up)
        unit.is_up = False
        self._slow.discard(unit)
        unit.forget(is_told=True)
        log.warning("%s: unit %s is down: %s", self._name, unit.name, reason)
        await self._tell_link(unit)
        if was_last:
            self._put_back()  # nobody would have to wait for those that are down
        if unit.recovery is None or unit.recovery.done():
            assert self._tasks is not None
            unit.recovery = self._tasks.create_task(self._recover(unit))

    async def _tell_link(self, unit: UnitState) -> None:
        is_up = bool(unit.is_up)
        lines = [link_line(src, is_up, self._clock()) for src in unit.sources]
        await self._intake.put(Delivery(self._name, lines))
        self._standing.unit(unit.name, is_up)

    async def _recover(self, unit: UnitState) -> None:
        """Until the unit is up again: ask it over a second connection, where the main one does not."""
        while unit.is_up is False:
            await asyncio.sleep(self._recovery_s)
            if unit.is_up is not False or self._is_asked_here(unit):
                continue
            async with self._second:
                if await self._answers_apart(unit):
                    unit.returns = True
                    self._due_at(unit, asyncio.get_running_loop().time())

    async def _answers_apart(self, unit: UnitState) -> bool:
        """Ask over a second connection. A unit that is up is asked first: without its answer nothing is proved, for the
        server may not serve two connections at once."""
        connection = self._connection.beside()
        try:
            await connection.open()
            witness = next((other for other in self.units if other.is_up), None)
            if witness is not None and not await witness.probe(connection, counts_busy=True):
                raise NoAnswer("a second connection is not served")
            return await unit.probe(connection)
        except NoAnswer:
            log.info("%s: no second connection: units that are down are asked over the first", self._name)
            self._takes_second = False
            self._put_back()
            return False
        finally:
            connection.close()

    async def _connect(self) -> None:
        """Until it stands. Each failure is one of every unit."""
        if self._state is None:
            self._tell("connecting", "")
        while True:
            if self._unproved:
                await asyncio.sleep(self._backoff.pause_s())
            if self._unproved > 1:
                # it took the connection, and then answered nothing
                self._connection.give_up_address()
                if not self._was_away:
                    self._tell("down", self._why)
            self._unproved += 1
            try:
                await self._connection.open()
            except NoAnswer as failure:
                self._takes_second = self._settings.probe_apart and self._endpoint.serial is None
                self._was_away = True
                self._tell("down", failure.reason)
                self._forget()
                for unit in self.units:
                    await self._failed(unit, failure.reason)
                continue
            self._connected()
            return

    def _connected(self) -> None:
        for job in self._jobs():
            job.poll.doubt()
        if self._connection.address != str(self._endpoint):
            log.warning("%s: connected to a backup address: %s", self._name, self._connection.address)
        if self._was_away:
            self._was_away = False
            # it may have been the server and not the unit: each gets its chance at once
            for unit in self.units:
                unit.returns = unit.is_up is False
                self._due_at(unit, asyncio.get_running_loop().time())

    def _forget(self) -> None:
        for unit in self.units:
            unit.forget(is_told=False)

    def _tell(self, state: str, detail: str) -> None:
        self._state = state
        self._standing.link(self._endpoint, state, detail)
