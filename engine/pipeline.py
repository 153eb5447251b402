"""The way of a record, from a driver's hands to the sinks:

    put ─► intake ─► journal (synced) ─► ack ─► undecided ─► decoder ─► core ─► outbox (synced) ─► forwarders ─► sinks
           └────── one task ─────────────────┘             └────── another ────────────────┘

Two tasks walk it, a group of deliveries at a time, so that nobody's acknowledgement waits for the rules, a snapshot or
the outbox. The intake's caps hold for both together. The journal and the outbox work in threads, the core on the event
loop in slices of a few milliseconds. A start first brings the core to the journal's end: see recovery.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec

from engine.accounts import tell_accounts
from engine.clock import Clock
from engine.contracts import Delivery, Emitted, Outbox, Sink
from engine.dead_letters import DeadLetters
from engine.delivery import Forwarder
from engine.errors import ContentChanged, Full
from engine.gone_sinks import bury_what_is_left
from engine.intake import Group, IntakeQueue, Limits, Step, source_of_line
from engine.journal import Journal
from engine.letter import LINE, PAYLOAD
from engine.metrics import CoreMetrics, Metrics, Recent
from engine.overload import SAID, Overload, Policy, used_of
from engine.pauses import collect_when_idle, watch_loop
from engine.recent_lines import RecentLines
from engine.recovery import Recovery
from engine.refusals import Refusals
from engine.slices import Core, NoRoom
from engine.sqlite_file import passes
from engine.throttle import Settings

MICROSECONDS = 1_000_000
WAIT_S_MAX = 0.5  # the wall clock may be set while we wait for something that is due
TICK_US_MIN = 50_000
FULL_S = 0.5
LOOK_S = 0.2
COMMIT_S = 0.002
GROUPS = 16  # of the largest ones in a journal: what snapshots do not stand for yet, and one more, always fit
MEASURE_S = 1.0
STOP_SNAPSHOT_US_MAX = 2_000_000
STOP_S_MAX = 8.0
STOP_POLL_S = 0.05

log = logging.getLogger("sortline.pipeline")


class Pipeline:
    """`contracts.Intake`, and everything behind it. `start`, let drivers `put`, stop the drivers, `stop`.

    site: the name that clock ticks carry. recovery: has the core, on the same journal and outbox. sinks: by name; every
    one has lanes in `outbox`. clock: microseconds since 1970 UTC. deliveries: how the sinks are served, by name; one
    that is not in there is served as fast as it goes. overload: what happens while the disk fills up. commit_s: between
    two syncs of the journal it waits so long for more, unless a full group is there. timer: seconds that only grow, for
    the waits of the sinks. The pipeline closes journal, outbox, letters and sinks.
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
        overload: Overload | None = None,
        commit_s: float = COMMIT_S,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site = site
        self._recovery = recovery
        self._journal = journal
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._intake = IntakeQueue(limits, metrics.intake, journal.bytes_max // GROUPS)
        self._room = asyncio.Event()  # a sink has taken something out of the outbox
        self._letters = letters
        self._refusals = Refusals(letters, self.put)
        self._forwarders = [
            Forwarder(
                *(name, sink, outbox, letters, metrics.sink(name), clock, (deliveries or {}).get(name, Settings())),
                advanced=self._room.set,
                timer=timer,
            )
            for name, sink in sinks.items()
        ]
        self._overload = overload or Overload(Policy(), {"the journal": lambda: used_of(journal)})
        self._commit_s = commit_s
        self._synced_s = 0.0
        self._fits = asyncio.Event()  # the outbox is the journal's
        self._recent = RecentLines(journal.folder)
        self._closing = False
        self._halted = False
        self._ticked_us = 0
        self._undecided: deque[Step] = deque()
        self._deciding = False
        self._waits_for_sinks = False
        self._closing_undecided = False  # nothing more will be recorded
        self._recorded = asyncio.Event()  # something is undecided, or nothing more will be
        self._at_rest = asyncio.Lock()  # held while the core is at work, or is being written down
        self._work: list[asyncio.Task[None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()
        self._failure: BaseException | None = None

    # contracts.Intake

    async def put(self, delivery: Delivery) -> None:
        if self._overload.sheds(delivery):
            now = self._clock()
            self._overload.shed(delivery, now)
            self._metrics.source(delivery.source).shed += len(delivery.lines)
            return
        await self._intake.put(delivery, self._clock())

    def fault(self, source: str, cause: str, sample: bytes, place: str = "") -> None:
        self._refusals.add(PAYLOAD, source, cause, sample, place)
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

    async def recent(self, src: str, most: int) -> Sequence[bytes]:
        return await self._recent.of(src, most)

    # the run

    async def start(self) -> None:
        """Bring the core to the journal's end, then be ready for `put`. Raises Refused for a journal or an outbox that
        cannot be worked with; call `stop` then too. Where the names find no room, it runs on and accepts nothing."""
        self._metrics.turn("recovering")
        for forwarder in self._forwarders:
            self._spawn(forwarder.run(self._fits), f"sink {forwarder.name}")
        self._spawn(bury_what_is_left(self._outbox, self._letters, self._fits), "sinks that are gone")
        self._spawn(self._measure(), "measure")
        self._spawn(self._refusals.run(), "refusals")
        self._spawn(self._refusals.take_back(), "lines that come back")
        self._spawn(collect_when_idle(lambda: self._metrics.journal.appends + self._metrics.replayed), "collector")
        try:
            await self._recovery.run(self._publish, self._refusals.bury, self._fits.set)
        except NoRoom as error:
            self._fits.set()
            self._halt(error)
            return
        self._journal_stands()
        self._spawn(watch_loop(self._metrics.loop), "loop")
        self._spawn(self._recovery.pack(), "packing")
        self._metrics.turn("running")
        self._work = [self._spawn(self._record(), "journal"), self._spawn(self._decide(), "rules")]
        self._spawn(self._watch_disk(), "disk")

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
        for forwarder in self._forwarders:
            forwarder.ends_soon()
        try:
            async with asyncio.timeout(within_s):
                if self._work:
                    await asyncio.wait(self._work)
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
            await tell_accounts(self._outbox, self._letters, [forwarder.name for forwarder in self._forwarders])
        await asyncio.to_thread(self._letters.close)
        await asyncio.to_thread(self._outbox.close)
        await asyncio.to_thread(self._journal.close)
        self._metrics.turn("stopped", str(self._failure or ""))
        self._ended.set()

    async def _keep_last(self) -> None:
        """A snapshot for the next start, if the core is what journal and outbox say, and it does not take too long."""
        sound = self._failure is None and self._recovery.slicer.sound
        if sound and self._metrics.snapshot.took_us <= STOP_SNAPSHOT_US_MAX:
            await self._recovery.keep()

    # the first task: from the drivers to the disk

    async def _record(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self._halted:
                if self._overload.at_least("wait") and not self._closing:
                    await asyncio.sleep(LOOK_S)
                    continue
                await self._intake.ripen(self._synced_s + self._commit_s - loop.time())
                if not await self._record_next():
                    break
        finally:
            self._closing_undecided = True
            self._recorded.set()

    async def _record_next(self) -> bool:
        """Whatever is next, on disk and acknowledged. False: the run is over."""
        group = self._intake.take()
        if group is None:
            if gaps := self._overload.gaps(self._clock(), ends=self._closing):
                if await self._say(gaps):
                    await self._overload.missing.told()
            elif self._closing:
                return False
            elif not await self._tick():
                await self._intake.wait(self._wait_s())
            return True
        if group.payload and not await self._append(group.payload):
            return False
        await self._refusals.flush()
        now = self._clock()
        for waiting in group.waiting:
            self._metrics.source(waiting.delivery.source).accepted(len(waiting.delivery.lines), now)
            self._acknowledge(waiting.delivery)
        self._to_decide(group)
        return True

    def _to_decide(self, group: Group) -> None:
        self._undecided.append(Step(group, self._journal.position, len(group.payload)))
        self._recorded.set()

    # the second: from there to the outbox

    async def _decide(self) -> None:
        try:
            while (step := await self._next_step()) is not None:
                async with self._at_rest:
                    await self._decide_on(step)
                    if self._recovery.is_due(idle=not self._undecided):
                        await self._recovery.keep()
        except NoRoom as error:
            await self._publish(error.events)
            self._halt(error)

    async def _next_step(self) -> Step | None:
        """None: nothing more comes."""
        while not self._undecided:
            if self._closing_undecided:
                return None
            self._recorded.clear()
            await self._recorded.wait()
        return self._undecided.popleft()

    async def _decide_on(self, step: Step) -> None:
        """Decide, publish."""

        def refused(line: int, reason: str) -> None:
            source, text = source_of_line(step.group, line)
            self._refusals.add(LINE, source, reason, text)
            self._count_fault(source, reason, text)

        self._deciding = True
        await self._publish(await self._recovery.slicer.feed(step.group.payload, refused))
        self._recovery.decided(step.end, step.bytes)
        self._intake.release(step.group)
        self._deciding = False
        if not self._undecided:
            self._intake.interrupt()  # time alone may decide now
        now = self._clock()
        for delivery, at_us, _ in step.group.waiting:
            self._metrics.source(delivery.source).lag_us = max(0, now - at_us)

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
                await self._journal.append_aside(payload)
            except Full as error:
                if self._closing:
                    return False
                if await self._make_room():
                    continue
                self._say_full(str(error))
                await asyncio.sleep(FULL_S)
            else:
                self._synced_s = asyncio.get_running_loop().time()
                self._metrics.journal.appended(int((time.perf_counter() - began_s) * MICROSECONDS), self._journal.bytes)
                if not self._waits_for_sinks:
                    self._run_on()
                return True

    async def _make_room(self) -> bool:
        """Between two groups; not while the rules wait for the outbox, which does not end soon."""
        try:
            async with asyncio.timeout(FULL_S):
                await self._at_rest.acquire()
        except TimeoutError:
            return False
        try:
            return await self._recovery.make_room()
        finally:
            self._at_rest.release()

    async def _publish(self, events: list[Emitted]) -> None:
        """Into the outbox; waits while it is full."""
        if not events:
            return
        while True:
            self._room.clear()
            try:
                await asyncio.to_thread(self._outbox.append, events)
            except Full as error:
                self._say_full(str(error))
                self._waits_for_sinks = True
                await self._wait_for_room()
                continue
            except sqlite3.OperationalError as error:
                if not passes(error):
                    raise
                self._say_full(f"the outbox takes nothing now: {error}")
                self._waits_for_sinks = True
                await self._wait_for_room()
                continue
            except ContentChanged as error:
                log.error("outbox: OUT_KEY_CONTENT: %s", error)
                self._metrics.contradictions += 1
            break
        self._waits_for_sinks = False
        self._run_on()
        self._told(events)
        for forwarder in self._forwarders:
            forwarder.wake()

    async def _wait_for_room(self) -> None:
        """Until a sink has taken something out of the outbox; or a while, for a disk says nothing when it has room."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FULL_S):
                await self._room.wait()

    def _told(self, events: list[Emitted]) -> None:
        now = self._clock()
        self._metrics.emitted += len(events)
        self._metrics.events.add(len(events), now)
        self._metrics.recent.extend(
            Recent(now, each.sequence, each.id, each.type, each.partitionkey) for each in events
        )

    async def _tick(self) -> bool:
        """Time alone may decide now: say so in the journal, then to the core (R4)."""
        if self._undecided or self._deciding:
            return False  # what is recorded may decide it
        due, now = self._core.due_us(), self._clock()
        if not 0 <= due <= now or now - self._ticked_us < TICK_US_MIN:
            return False
        self._ticked_us = now
        await self._say([{"kind": "clock.tick", "src": f"{self._site}/engine/clock", "t_rx": now}])
        return True

    async def _say(self, records: Sequence[Mapping[str, Any]]) -> bool:
        """Records of our own, through the journal like any other. False: stopped before there was room."""
        payload = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
        if said := await self._append(payload):
            self._to_decide(Group([], payload))
        return said

    def _wait_s(self) -> float:
        """Until the next decision is due; never long, for the wall clock may be set meanwhile."""
        due = self._core.due_us()
        if due < 0 or self._undecided or self._deciding:
            return WAIT_S_MAX
        wait_us = max(due - self._clock(), TICK_US_MIN - (self._clock() - self._ticked_us), 1_000)
        return min(wait_us / MICROSECONDS, WAIT_S_MAX)

    def _halt(self, error: NoRoom) -> None:
        """What is in the journal and not decided comes with the next start, when there is room; until then nobody is
        acknowledged any more, drivers wait, and sinks get what is there."""
        self._halted = True
        self._metrics.turn("full", str(error))
        log.error("nothing more is accepted: %s, and restart; nothing that was accepted is lost", error)

    def _say_full(self, why: str) -> None:
        if self._metrics.turn("full", why):
            log.warning("drivers wait: %s", why)

    def _run_on(self) -> None:
        # the other task may still have no room
        if self._metrics.state == "full" and not self._halted and self._metrics.turn("running"):
            log.info("there is room again: drivers go on")

    async def _watch_disk(self) -> None:
        """What the site file declares for a disk that fills up."""
        while True:
            changed = self._overload.look()
            self._metrics.overload = self._overload.level
            if changed:
                (log.info if self._overload.level == "run" else log.warning)(
                    "disk: %s: %s", self._overload.why, SAID[self._overload.level]
                )
                self._intake.interrupt()
            if self._overload.at_least("wait"):
                self._say_full(self._overload.why)
            elif changed and not self._waits_for_sinks:
                self._run_on()
            if self._overload.at_least("wait") and not self._halted:
                await asyncio.to_thread(self._outbox.shrink)
                await self._make_room()
            elif self._overload.at_least("trim"):
                await self._recovery.trim(0)
            await self._overload.missing.keep()
            await asyncio.sleep(LOOK_S)

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
            windows = await self._recovery.slicer.windows()
            self._metrics.core = CoreMetrics(now, self._core.account(), windows, self._core.sources())
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
