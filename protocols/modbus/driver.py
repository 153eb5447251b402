"""The Modbus TCP driver: one connection, many units, each poll at its time, and a unit that is dead delays no other.

A unit that failed `failures_max` times in a row is down: from then on it is asked over a second, short connection
(`_recover`), while the main one goes on with the others. Where the server takes no second connection, or nobody else is
up, the main one asks it every `recovery_ms`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from functools import partial

from engine.clock import Clock
from engine.contracts import Delivery, Intake
from engine.errors import DecodeError
from protocols.modbus.connection import Connection, NoAnswer, Refusal
from protocols.modbus.polling import Debt
from protocols.modbus.records import link_line
from protocols.modbus.settings import Settings
from protocols.modbus.unit import Job, UnitState, build_units, writable_registers

log = logging.getLogger("sortline.modbus")


class Driver:
    """See engine.contracts.Driver. `chance`: the source of the jitter between attempts to connect."""

    def __init__(
        self, name: str, settings: Settings, intake: Intake, clock: Clock, chance: random.Random | None = None
    ) -> None:
        self._name = name
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._chance = chance or random.Random()
        self._recovery_s = settings.recovery_ms / 1000
        self._connection = self._new_connection()
        self._wake = asyncio.Event()
        self._units: list[UnitState] = []
        self._unproved = 0  # attempts to connect since the last good answer
        self._second_works = settings.probe_apart
        self._second = asyncio.Semaphore(1)
        self._told: tuple[str, str] | None = None

    async def run(self) -> None:
        """Poll for ever."""
        self._units = build_units(self._name, self._settings, self._intake, self._clock, self._wake.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await self._step(tasks)
        finally:
            self._connection.close()

    async def _step(self, tasks: asyncio.TaskGroup) -> None:
        """One request's work: connect, write an acknowledgement, poll, or wait until something is due."""
        if not self._connection.is_open:
            await self._connect(tasks)
        self._wake.clear()
        if (owing := self._owing()) is not None:
            await self._attempt(tasks, owing, is_write=True)
            return
        job = min((job for unit in self._units if self._is_asked_here(unit) for job in unit.jobs), key=lambda j: j.due)
        if job.due <= asyncio.get_running_loop().time():
            await self._attempt(tasks, job, is_write=False)
        else:
            await self._wait_until(job.due)

    async def _wait_until(self, due: float) -> None:
        try:
            async with asyncio.timeout_at(due):
                await self._wake.wait()
        except TimeoutError:
            return

    def _owing(self) -> Job | None:
        jobs = (job for unit in self._units if unit.is_up for job in unit.jobs)
        return next((job for job in jobs if job.poll.owed is not None), None)

    def _is_asked_here(self, unit: UnitState) -> bool:
        """Over the main connection: a unit that is not down, that came back, or that nobody would have to wait for."""
        if unit.is_up is not False or unit.returns or not self._second_works:
            return True
        return not any(other.is_up for other in self._units)

    async def _attempt(self, tasks: asyncio.TaskGroup, job: Job, *, is_write: bool) -> None:
        now = asyncio.get_running_loop().time()
        # a failure may put it off further
        job.due = max(job.due + job.poll.interval_s, now)
        try:
            if is_write:
                await self._pay(job)
            else:
                await self._poll(job, now)
        except Refusal as refusal:
            job.poll.fault(str(refusal))
            await self._answered(job.unit)
        except DecodeError as error:
            job.poll.fault(error.cause)
            await self._answered(job.unit)
        except NoAnswer as failure:
            await self._lost(tasks, job, failure)

    async def _poll(self, job: Job, now: float) -> None:
        outcome = await job.poll.poll(partial(job.unit.ask, self._connection), now)
        await self._answered(job.unit)
        if outcome.delivery is not None:
            await self._intake.put(outcome.delivery)
            job.poll.accepted()
        if outcome.more:
            job.due = now

    async def _pay(self, job: Job) -> None:
        """Write what is owed; a refusal gives it up, and the mailbox owes it again when it looks next time."""
        debt: Debt | None = job.poll.owed
        if debt is None:
            return
        try:
            await self._connection.write(job.unit.unit_id, debt.address, debt.value, debt.function, job.unit.timeout_s)
        except Refusal:
            if job.poll.owed == debt:
                job.poll.paid()
            raise
        if job.poll.owed == debt:
            job.poll.paid()
        await self._answered(job.unit)
        # the machine waited for it: its next record may be there
        job.due = asyncio.get_running_loop().time()

    async def _answered(self, unit: UnitState) -> None:
        self._unproved = 0
        unit.failures = 0
        unit.returns = False
        if unit.is_up:
            return
        unit.is_up = True
        log.info("%s: unit %s answers", self._name, unit.name)
        await self._tell_link(unit)

    async def _lost(self, tasks: asyncio.TaskGroup, job: Job, failure: NoAnswer) -> None:
        """No answer from the job's unit. The connection is closed unless a gateway said so itself."""
        if failure.wrong:
            self._intake.fault(self._name, f"{job.poll.place.path}: {failure.reason}", failure.wrong)
        if failure.by_peer:
            self._forget()
        await self._failed(tasks, job.unit, failure.reason)

    async def _failed(self, tasks: asyncio.TaskGroup, unit: UnitState, reason: str) -> None:
        unit.failures += 1
        unit.returns = False
        if unit.is_up is not False and unit.failures < self._settings.failures_max:
            return
        unit.due_at(asyncio.get_running_loop().time() + self._recovery_s)
        if unit.is_up is False:
            return
        unit.is_up = False
        unit.forget()
        log.warning("%s: unit %s is down: %s", self._name, unit.name, reason)
        await self._tell_link(unit)
        if unit.recovery is None or unit.recovery.done():
            unit.recovery = tasks.create_task(self._recover(unit))

    async def _tell_link(self, unit: UnitState) -> None:
        is_up = bool(unit.is_up)
        lines = [link_line(src, is_up, self._clock()) for src in unit.sources]
        await self._intake.put(Delivery(self._name, lines))
        if self._connection.is_open:
            self._tell("up", self._down_units())

    def _down_units(self) -> str:
        down = [unit.name for unit in self._units if unit.is_up is False]
        return f"no answer from {', '.join(down)}" if down else ""

    async def _recover(self, unit: UnitState) -> None:
        """Until the unit is up again: ask it over a second connection, where the main one does not."""
        while unit.is_up is False:
            await asyncio.sleep(self._recovery_s)
            if unit.is_up is not False or self._is_asked_here(unit):
                continue
            async with self._second:
                if await self._answers_apart(unit):
                    unit.returns = True
                    unit.due_at(asyncio.get_running_loop().time())
                    self._wake.set()

    async def _answers_apart(self, unit: UnitState) -> bool:
        """Ask over a second connection. A unit that is up is asked first: without its answer nothing is proved, for the
        server may not serve two connections at once."""
        connection = self._new_connection()
        try:
            await connection.open()
            witness = next((other for other in self._units if other.is_up), None)
            if witness is not None and not await witness.probe(connection):
                raise NoAnswer("a second connection is not served")
            return await unit.probe(connection)
        except NoAnswer:
            log.info("%s: no second connection: units that are down are asked over the first", self._name)
            self._second_works = False
            self._wake.set()
            return False
        finally:
            connection.close()

    async def _connect(self, tasks: asyncio.TaskGroup) -> None:
        """Until it stands. Each failure is one of every unit."""
        if self._told is None:
            self._tell("connecting", "")
        while True:
            if self._unproved:
                await asyncio.sleep(self._pause_s())
            self._unproved += 1
            try:
                await self._connection.open()
            except NoAnswer as failure:
                self._second_works = self._settings.probe_apart
                self._tell("down", failure.reason)
                self._forget()
                for unit in self._units:
                    await self._failed(tasks, unit, failure.reason)
                continue
            if self._told is not None and self._told[0] == "down":
                # it may have been the server and not the unit: each gets its chance at once
                for unit in self._units:
                    unit.returns = unit.is_up is False
                    unit.due_at(asyncio.get_running_loop().time())
            self._tell("up", self._down_units())
            return

    def _pause_s(self) -> float:
        """Full jitter between the least and a bound that doubles with each failure."""
        least, most = self._settings.reconnect_min_ms / 1000, self._settings.reconnect_max_ms / 1000
        bound = min(most, least * 2 ** min(self._unproved, 32))
        return self._chance.uniform(least, bound)

    def _forget(self) -> None:
        for unit in self._units:
            unit.forget()

    def _tell(self, state: str, detail: str) -> None:
        """To the live view, when it changes."""
        if self._told != (state, detail):
            self._told = (state, detail)
            self._intake.state(self._name, state, detail)

    def _new_connection(self) -> Connection:
        settings = self._settings
        return Connection(settings.host, settings.port, settings.timeout_ms / 1000, writable_registers(settings))
