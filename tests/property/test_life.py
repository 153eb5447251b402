"""A whole engine's life as a state machine: records come, time passes, the sink goes and comes back, the disk fills up
and has room again, the clock is set, the process is stopped or killed, the machine crashes. Whatever the order, the
promises hold, and once the faults have stopped everything that was acknowledged arrives.

The pipeline is the real one, on a disk that can crash; time is made up, so that half a minute of waiting takes none.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import selectors
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine import dead_letters
from engine.contracts import Delivery, OutRow
from engine.intake import Limits
from engine.journal import Journal
from engine.metrics import Metrics
from engine.outbox import SqliteOutbox
from engine.overload import Overload, Policy, used_of
from engine.pipeline import Pipeline
from engine.recovery import Keep, Recovery
from tests.adversity.crash_disk import CrashDisk
from tests.adversity.small_world import (
    DATA,
    ROOMY,
    ROUTES,
    RULES,
    SINK,
    START_US,
    Outside,
    build,
    sequence_of,
    sqlite_in_memory,
    without_threads,
)
from tests.counting_core import HOLD_US, read, weigh
from tests.promises import Evidence, Promises, Told

LIVES = int(os.environ.get("SORTLINE_LIVES", "60"))  # `make torture` asks for thousands
JOURNAL_BYTES_MAX = 60_000
RECORDS_MAX = 200
SECOND_US = 1_000_000
SETTLE_S = 40.0
YEAR_US = 365 * 86_400 * SECOND_US


class MadeUpTime(asyncio.SelectorEventLoop):
    """A loop that never waits: when nothing is left to do, it is later."""

    def __init__(self) -> None:
        self.now_s = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.now_s


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: MadeUpTime) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits for something that never comes"
        self._loop.now_s += max(0.0, timeout)
        return []


class OutsideSink:
    """Somebody else's: takes an event once, in order; `down`: nobody answers. After `take_back` it has it and the reply
    is lost."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.down = False
        self.replies_lost = 0

    async def open(self) -> None:
        if self.down:
            raise ConnectionRefusedError("nobody there")

    async def send(self, rows: Sequence[OutRow]) -> None:
        await self.open()
        for row in rows:
            self.outside.take(Told(sequence_of(row.body), row.id, row.partitionkey, row.body))
        if self.replies_lost:
            self.replies_lost -= 1
            raise ConnectionResetError("after it was done")

    async def close(self) -> None:
        pass


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = MadeUpTime()
        self.disk = CrashDisk()
        self.outside = Outside()
        self.sink = OutsideSink(self.outside)
        self.promises = Promises()
        self.image = b""
        self.clock_us = START_US
        self.count = 0
        self.alive = False
        self.weighed: list[str] = []

    # what there is

    def clock(self) -> int:
        return self.clock_us + int(self.loop.now_s * SECOND_US)

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        self.start()

    def start(self) -> None:
        self.metrics = Metrics()
        journal = Journal(
            DATA / "journal", bytes_max=JOURNAL_BYTES_MAX, segment_bytes=700, disk=self.disk, clock=self.clock
        )
        with sqlite_in_memory(self.image):
            self.outbox = SqliteOutbox(
                DATA / "outbox.sqlite", routes=ROUTES, sinks=[SINK], rows_max=10_000, clock=self.clock, disk=ROOMY
            )
        with sqlite_in_memory(b"", dead_letters):
            self.letters = dead_letters.DeadLetters(DATA / "dead.sqlite", self.clock)
        recovery = Recovery(
            RULES, build, journal, self.outbox, DATA, self.metrics, self.clock, Keep(2_000, 5_000), self.disk
        )
        overload = Overload(Policy(), {"the journal": lambda: used_of(journal, 0)})
        self.journal = journal
        self.pipeline = Pipeline(
            "dc1",
            recovery,
            journal,
            self.outbox,
            {SINK: self.sink},
            self.metrics,
            self.clock,
            Limits(RECORDS_MAX, 1 << 20),
            self.letters,
            overload=overload,
            timer=self.loop.time,
        )
        self.run(self.pipeline.start())
        self.alive = True
        self.waiting: list[asyncio.Task[None]] = []

    def end(self, killed: bool) -> None:
        """The process is gone; what it had open is closed with it."""
        self.run(cancelled(self.waiting))
        if killed:
            self.run(cancelled(self.pipeline._tasks))
            self.image = self.outbox._file.serialize()
            self.outbox.close()
        else:
            saved = self.outbox.close

            def closing() -> None:
                self.image = self.outbox._file.serialize()
                saved()

            self.outbox.close = closing  # type: ignore[method-assign]
            self.run(self.pipeline.stop(5.0))
        self.alive = False

    # what happens

    @rule(records=st.integers(1, 12), owed=st.booleans())
    def records_come(self, records: int, owed: bool) -> None:
        names = [f"LU-{self.count + n}" for n in range(records)]
        self.count += records
        self._put([read(name, self.clock()) for name in names], partial(self._acknowledged, names) if owed else None)

    @rule()
    def something_is_weighed(self) -> None:
        self.count += 1
        name = f"LU-{self.count}"
        self.count += 1
        self._put([weigh(name, self.clock())], partial(self.weighed.append, f"weight-{name}"))

    def _put(self, lines: list[bytes], ack: Any) -> None:
        self.waiting.append(self.loop.create_task(self.pipeline.put(Delivery("scanner", lines, ack))))
        self.run(asyncio.sleep(0.003))

    def _acknowledged(self, names: list[str]) -> None:
        self.outside.acknowledged += names

    @rule(seconds=st.sampled_from([0.001, 0.1, 0.3, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(step_us=st.sampled_from([-SECOND_US, -1, 1, HOLD_US, 3_600 * SECOND_US, 10 * YEAR_US]))
    def the_clock_is_set(self, step_us: int) -> None:
        self.clock_us += step_us

    @rule(down=st.booleans(), replies_lost=st.integers(0, 2))
    def the_sink_goes_or_comes(self, down: bool, replies_lost: int) -> None:
        self.sink.down, self.sink.replies_lost = down, replies_lost

    @rule(room=st.sampled_from([None, None, 0, 50, 300, 2_000]))
    def the_disk_is_full_or_not(self, room: int | None) -> None:
        self.disk.room = room

    @rule()
    def it_is_stopped_and_started(self) -> None:
        self.end(killed=False)
        self.start()

    @rule()
    def it_is_killed(self) -> None:
        self.end(killed=True)
        self.disk = self.disk.restarted()
        self.start()

    @rule(seed=st.integers(0, 1 << 30))
    def the_machine_crashes(self, seed: int) -> None:
        self.end(killed=True)
        self.disk = self.disk.crashed(random.Random(seed))
        self.start()

    # what must be so

    @precondition(lambda self: self.alive)
    @invariant()
    def promises_hold(self) -> None:
        assert self.pipeline._failure is None
        self.promises.check(
            Evidence(
                arrived={SINK: self.outside.arrived},
                caps={
                    "intake": (self.metrics.intake.records, RECORDS_MAX),
                    "journal": (self.journal.bytes, JOURNAL_BYTES_MAX),
                },
            )
        )
        self.promises.kept()

    def teardown(self) -> None:
        if not self.alive:
            return
        self.sink.down, self.sink.replies_lost, self.disk.room = False, 0, None
        self.run(asyncio.sleep(SETTLE_S))
        assert all(task.done() for task in self.waiting), "somebody still waits although there is room"
        began_s = self.loop.now_s
        self.records_come(1, owed=True)
        last = self.outside.acknowledged[-1:]
        while last != [self.outside.arrived[-1].id if self.outside.arrived else ""] and self.loop.now_s < began_s + 60:
            self.run(asyncio.sleep(0.1))
            last = self.outside.acknowledged[-1:]
        self.end(killed=False)
        self.promises.check(
            Evidence(
                acknowledged=[*self.outside.acknowledged, *self.weighed],
                arrived={SINK: self.outside.arrived},
                told=max((event.sequence for event in self.outside.arrived), default=0),
                waits_s=[self.loop.now_s - began_s],
                starts=[None],
            )
        )
        self.promises.kept()
        self.loop.close()


async def cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    with without_threads():
        yield
    logging.disable(logging.NOTSET)


def test_any_life_keeps_the_promises() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=LIVES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize="SORTLINE_LIVES" not in os.environ,  # others each time for `make torture`
        ),
    )
