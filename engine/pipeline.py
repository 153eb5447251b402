"""The way of a record, from a driver's hands to the sinks:

    put ─► intake ─► journal (synced) ─► ack ─► decoder ─► core ─► outbox (synced) ─► forwarders ─► sinks

One task walks it, a group of deliveries at a time; the journal and the outbox work in threads, the core on the event
loop in slices of a few milliseconds. A start first brings the core to the journal's end: see recovery.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Coroutine, Mapping
from typing import Any

import msgspec

from engine.clock import Clock
from engine.contracts import Delivery, Emitted, Outbox, Sink
from engine.dead_letters import LINE, PAYLOAD, DeadLetters
from engine.delivery import Forwarder, account
from engine.errors import ContentChanged, Full
from engine.intake import Group, IntakeQueue, Limits, source_of_line
from engine.journal import Journal
from engine.metrics import CoreMetrics, LoopLag, Metrics, Recent
from engine.pauses import collect_when_idle
from engine.recovery import Recovery
from engine.refusals import Refusals
from engine.slices import Core, NoRoom
from engine.throttle import Settings

MICROSECONDS = 1_000_000
WAIT_S_MAX = 0.5  # the wall clock may be set while we wait for something that is due
TICK_US_MIN = 50_000
FULL_S = 0.5
MEASURE_S = 1.0
LOOP_SAMPLE_S = 0.01
STOP_SNAPSHOT_US_MAX = 2_000_000
STOP_S_MAX = 8.0
STOP_POLL_S = 0.05

log = logging.getLogger("sortline.pipeline")


class Pipeline:
    """`contracts.Intake`, and everything behind it. `start`, let drivers `put`, stop the drivers, `stop`.

    site: the name that clock ticks carry. recovery: has the core, on the same journal and outbox. sinks: by name; every
    one has lanes in `outbox`. clock: microseconds since 1970 UTC. deliveries: how the sinks are served, by name; one
    that is not in there is served as fast as it goes. The pipeline closes journal, outbox, letters and sinks.
    """

    def __init__(
        self,
        site: str,
        recovery: Recovery,
        journal: Journal,
        outbox: Outbox,
        sinks: Mapping[str, Sink],
        metrics: Metrics,
        clock: Clock,
        limits: Limits,
        letters: DeadLetters,
        deliveries: Mapping[str, Settings] | None = None,
    ) -> None:
        self._site = site
        self._recovery = recovery
        self._journal = journal
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._intake = IntakeQueue(limits, metrics.intake)
        self._room = asyncio.Event()  # a sink has taken something out of the outbox
        self._letters = letters
        self._refusals = Refusals(letters, self.put)
        self._forwarders = [
            Forwarder(
                name,
                sink,
                outbox,
                letters,
                metrics.sink(name),
                clock,
                (deliveries or {}).get(name, Settings()),
                advanced=self._room.set,
            )
            for name, sink in sinks.items()
        ]
        self._closing = False
        self._ticked_us = 0
        self._work: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()
        self._failure: BaseException | None = None

    # contracts.Intake

    async def put(self, delivery: Delivery) -> None:
        await self._intake.put(delivery, self._clock())

    def fault(self, source: str, cause: str, sample: bytes) -> None:
        self._refusals.add(PAYLOAD, source, cause, sample)
        self._count_fault(source, cause, sample)

    def _count_fault(self, source: str, cause: str, sample: bytes) -> None:
        if self._metrics.source(source).fault(cause, sample, self._clock()):
            log.warning("source %s: a payload was refused: %s", source, cause)

    def state(self, source: str, state: str, detail: str = "") -> None:
        told = self._metrics.source(source)
        if told.state != state:
            told.since_us = self._clock()
            log.info("source %s: %s%s", source, state, f" ({detail})" if detail else "")
        told.state, told.detail = state, detail

    def position(self, src: str) -> tuple[int, int] | None:
        try:
            return self._core.position(src)
        except MemoryError:
            return None  # a name for which there is no room was never seen

    # the run

    async def start(self) -> None:
        """Bring the core to the journal's end, then be ready for `put`. Raises Refused for a journal or an outbox that
        cannot be worked with; call `stop` then too. Where the names find no room, it runs on and accepts nothing."""
        self._metrics.turn("recovering")
        for forwarder in self._forwarders:
            self._spawn(forwarder.run(), f"sink {forwarder.name}")
        self._spawn(self._measure(), "measure")
        self._spawn(self._refusals.run(), "refusals")
        self._spawn(collect_when_idle(lambda: self._metrics.journal.appends + self._metrics.replayed), "collector")
        try:
            await self._recovery.run(self._publish)
        except NoRoom as error:
            self._halt(error)
            return
        self._journal_stands()
        self._spawn(watch_loop(self._metrics.loop), "loop")
        self._metrics.turn("running")
        self._work = self._spawn(self._run(), "pipeline")

    async def wait(self) -> None:
        """Returns when `stop` has ended; raises what stopped the pipeline by itself (then call `stop`)."""
        await self._ended.wait()
        if self._failure is not None:
            raise self._failure

    async def stop(self, within_s: float = STOP_S_MAX) -> None:
        """What was handed over goes on disk and through the core, what sinks take within the time is delivered; then
        everything is closed. Stop the drivers first. What is left over comes with the next start."""
        if self._closing:
            return
        self._closing = True
        self._metrics.turn("stopping")
        self._intake.interrupt()
        try:
            async with asyncio.timeout(within_s):
                if self._work is not None:
                    await asyncio.wait([self._work])
                    await self._keep_last()
                while self._failure is None and await self._undelivered():  # noqa: ASYNC110 - in other tasks' hands
                    await asyncio.sleep(STOP_POLL_S)
        except TimeoutError:
            log.warning("stopping: not everything could be delivered within %g s; the next start goes on", within_s)
        await self._close()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._refusals.flush()
        if self._failure is None:
            await self._tell_accounts()
        await asyncio.to_thread(self._letters.close)
        await asyncio.to_thread(self._outbox.close)
        await asyncio.to_thread(self._journal.close)
        self._metrics.turn("stopped", str(self._failure or ""))
        self._ended.set()

    async def _tell_accounts(self) -> None:
        for forwarder in self._forwarders:
            try:
                total = await asyncio.to_thread(account, self._outbox, self._letters, forwarder.name)
            except sqlite3.Error as error:
                log.error("sink %s: its account cannot be read: %s", forwarder.name, error)
                continue
            log.info("sink %s: events %d = delivered %d + pending %d + dead %d", forwarder.name, *total)

    async def _keep_last(self) -> None:
        """A snapshot for the next start, if the core is what journal and outbox say, and it does not take too long."""
        sound = self._failure is None and self._recovery.slicer.sound
        if sound and self._metrics.snapshot.took_us <= STOP_SNAPSHOT_US_MAX:
            await self._recovery.keep()

    async def _run(self) -> None:
        try:
            while await self._step():
                pass
        except NoRoom as error:
            await self._publish(error.events)
            self._halt(error)

    async def _step(self) -> bool:
        """Whatever is next. False: the run is over."""
        group = self._intake.take()
        if group is not None:
            if not await self._accept(group):
                return False
        elif self._closing:
            return False
        elif not await self._tick() and not self._recovery.is_due(idle=True):
            await self._intake.wait(self._wait_s())
        if self._recovery.is_due(idle=group is None):
            await self._recovery.keep()
        return True

    async def _accept(self, group: Group) -> bool:
        """Journal, acknowledge, decide, publish. False: stopped before there was room in the journal."""
        if group.payload and not await self._append(group.payload):
            return False
        await self._refusals.flush()
        now = self._clock()
        for waiting in group.waiting:
            self._metrics.source(waiting.delivery.source).accepted(len(waiting.delivery.lines), now)
            self._acknowledge(waiting.delivery)
        self._intake.release(group)

        def refused(line: int, reason: str) -> None:
            source, text = source_of_line(group, line)
            self._refusals.add(LINE, source, reason, text)
            self._count_fault(source, reason, text)

        await self._publish(await self._recovery.slicer.feed(group.payload, refused))
        now = self._clock()
        for waiting in group.waiting:
            self._metrics.source(waiting.delivery.source).lag_us = max(0, now - waiting.at_us)
        return True

    def _acknowledge(self, delivery: Delivery) -> None:
        if delivery.ack is None:
            return
        try:
            delivery.ack()
        except Exception as error:
            # the records are safe; without its ack the source sends them again, and they are seen to be duplicates
            log.error("source %s: its acknowledgement failed", delivery.source, exc_info=error)
            self._metrics.source(delivery.source).fault("acknowledgement failed", b"", self._clock())

    async def _append(self, payload: bytes) -> bool:
        """On disk; makes room where it can, and waits while the journal is full. False: stopped meanwhile."""
        began_s = time.perf_counter()
        while True:
            try:
                await asyncio.to_thread(self._journal.append, payload)
            except Full as error:
                if self._closing:
                    return False
                if await self._recovery.make_room():
                    continue
                self._full(error)
                await asyncio.sleep(FULL_S)
            else:
                self._metrics.journal.appended(int((time.perf_counter() - began_s) * MICROSECONDS), self._journal.bytes)
                self._run_on()
                return True

    async def _publish(self, events: list[Emitted]) -> None:
        """Into the outbox; waits while it is full."""
        if not events:
            return
        while True:
            self._room.clear()
            try:
                await asyncio.to_thread(self._outbox.append, events)
            except Full as error:
                self._full(error)
                await self._room.wait()
                continue
            except ContentChanged as error:
                log.error("outbox: OUT_KEY_CONTENT: %s", error)
                self._metrics.contradictions += 1
            break
        self._run_on()
        self._told(events)
        for forwarder in self._forwarders:
            forwarder.wake()

    def _told(self, events: list[Emitted]) -> None:
        now = self._clock()
        self._metrics.emitted += len(events)
        self._metrics.events.add(len(events), now)
        self._metrics.recent.extend(
            Recent(now, each.sequence, each.id, each.type, each.partitionkey) for each in events
        )

    async def _tick(self) -> bool:
        """Time alone may decide now: say so in the journal, then to the core (R4)."""
        due, now = self._core.due_us(), self._clock()
        if not 0 <= due <= now or now - self._ticked_us < TICK_US_MIN:
            return False
        self._ticked_us = now
        tick = {"kind": "clock.tick", "src": f"{self._site}/engine/clock", "t_rx": now}
        payload = msgspec.json.encode(tick) + b"\n"
        if await self._append(payload):
            await self._publish(await self._recovery.slicer.feed(payload, _no_record))
        return True

    def _wait_s(self) -> float:
        """Until the next decision is due; never long, for the wall clock may be set meanwhile."""
        due = self._core.due_us()
        if due < 0:
            return WAIT_S_MAX
        wait_us = max(due - self._clock(), TICK_US_MIN - (self._clock() - self._ticked_us), 1_000)
        return min(wait_us / MICROSECONDS, WAIT_S_MAX)

    def _halt(self, error: NoRoom) -> None:
        """What is in the journal and not decided comes with the next start, when there is room; until then nobody is
        acknowledged any more, drivers wait, and sinks get what is there."""
        self._metrics.turn("full", str(error))
        log.error("nothing more is accepted: %s, and restart; nothing that was accepted is lost", error)

    def _full(self, error: Full) -> None:
        if self._metrics.turn("full", str(error)):
            log.warning("drivers wait: %s", error)

    def _run_on(self) -> None:
        if self._metrics.state == "full" and self._metrics.turn("running"):
            log.info("there is room again: drivers go on")

    async def _undelivered(self) -> bool:
        return any([await forwarder.undelivered() for forwarder in self._forwarders])

    @property
    def _core(self) -> Core:
        return self._recovery.slicer.core

    def account(self) -> Mapping[str, int]:
        """Where every record went (R82)."""
        return self._core.account()

    def _journal_stands(self) -> None:
        self._metrics.journal.bytes = self._journal.bytes
        self._metrics.journal.bytes_max = self._journal.bytes_max

    async def _measure(self) -> None:
        """The gauges, once a second."""
        while True:
            now = self._clock()
            self._metrics.core = CoreMetrics(now, self._core.account(), self._core.windows(), self._core.sources())
            for forwarder in self._forwarders:
                await forwarder.measure()
            await asyncio.sleep(MEASURE_S)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._task_done)
        self._tasks.append(task)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None or self._failure is not None:
            return
        # ours to answer for: stop, keep the evidence
        self._failure = error
        self._metrics.turn("stopped", f"{type(error).__name__}: {error}")
        log.error("%s has failed, the engine stops", task.get_name(), exc_info=error)
        self._ended.set()


async def watch_loop(lag: LoopLag) -> None:
    """Sleeps for LOOP_SAMPLE_S again and again, and notes how much longer it took: what held the event loop."""
    while True:
        before_s = time.perf_counter()
        await asyncio.sleep(LOOP_SAMPLE_S)
        lag.add(max(0, int((time.perf_counter() - before_s - LOOP_SAMPLE_S) * MICROSECONDS)))


def _no_record(line: int, reason: str) -> None:
    raise AssertionError(f"our own record was refused: {reason}")
