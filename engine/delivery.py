"""From the outbox to one sink: read, send, advance, in order in each queue (R80), for ever.

One task a sink, so that a dead one stops nobody else. A sink's lanes (what goes to one of its queues) have a cursor, a
pace and waits of their own: one that is held or fails does not hold the others, see `engine.lanes`. What an exception
means is decided in one table, see `engine.error_classes`; where the event itself is the cause, it becomes a dead letter
and the next one goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence

from engine.cancellation import raise_if_cancelled
from engine.clock import Clock
from engine.contracts import Account, Outbox, OutRow, PostingSink, Sink
from engine.cursors import Cursors
from engine.dead_letters import DeadLetters
from engine.error_classes import Class, classify, code_of
from engine.errors import Full, QueueFull
from engine.lane_work import Done, Work
from engine.lanes import Lanes
from engine.letter import SENDING, Cause, Letter
from engine.metrics import SinkMetrics
from engine.sqlite_file import passes
from engine.throttle import Settings

PROBE_S = 15.0  # see BACKOFF_S_MAX
FULL_S = 1.0  # how often a queue that nobody reads is tried; the sink's others do not wait for it
CLOSE_S_MAX = 2.0
TURN_S = 1.0  # a lane that sends one by one gives way to the others after that
HANGS_S = 1.5  # a call that takes longer than a turn, and a little
POISON_ATTEMPTS = 3
LOOK_S = 1.0
LAST_EVENTS = 32
LAST_S = 1.0
"""Once there is not much time left a call has no more events than that, and is given so long to come to its end: what a
sink took in a call that was cut short is sent again by the next start."""
CHANGED = Cause(Class.CORRUPTION.value, "damaged", "the disk has changed it since it was buried", 0)

log = logging.getLogger("sortline.delivery")

Pause = Callable[[asyncio.Event | None, float | None], Awaitable[None]]
"""Waits until the event is set, or so many seconds are over; None: not for that."""


class Forwarder:
    """Brings the outbox's events to one sink. `run` until cancelled; `wake` when there are new rows.

    jitter: a random number from 0 to 1, for the waits between attempts. pause, timer: how it waits, and seconds that
    only grow. advanced: called after a cursor has moved.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        outbox: Outbox,
        letters: DeadLetters,
        metrics: SinkMetrics,
        clock: Clock,
        settings: Settings,
        *,
        advanced: Callable[[], None],
        jitter: Callable[[], float] = random.random,
        pause: Pause | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._sink = sink
        self._posting = sink if isinstance(sink, PostingSink) else None
        self._outbox = Cursors(outbox, sink, timer)
        self._letters = letters
        self._metrics = metrics
        self._clock = clock
        self._settings = settings
        self._advanced = advanced
        self._pause = pause or _pause
        self._timer = timer
        works = [Work(lane, metrics.lane(lane.number, lane.queue), settings, timer()) for lane in outbox.lanes(name)]
        self._lanes = Lanes(works, settings, jitter, timer, looks_back=self._posting is None)
        self._events_max = settings.batch_events
        self._holds_keys = settings.on_dead_letter == "hold_key"
        self._said = ""
        self._open = False
        self._is_untried = True  # that it cannot be reached is known before there is something to deliver
        self._is_held = False  # the sink itself: somebody has to act before it can be opened
        self._news = asyncio.Event()
        self._wakes = 0
        self._look_s = timer()
        self._letters_seen = -1

    def wake(self) -> None:
        self._wakes += 1
        self._lanes.wake()
        self._news.set()

    async def run(self, fits: asyncio.Event | None = None) -> None:
        """R80: read, send, advance, in order. An error of the sink is waited out, and so is a disk without room; any
        other of the outbox is ours, and raised. fits: set once the outbox is known to be the right one: what is done by
        another cannot be undone."""
        if fits is not None:
            await fits.wait()
        try:
            while not await self._settled():
                await self._wait(PROBE_S)
            while True:
                raise_if_cancelled()
                self._news.clear()
                self._lanes.raise_errors()
                await self._look_around()
                work = self._lanes.choose()
                if not self._open and (work is not None or self._is_untried):
                    await self._connect()
                elif work is None:
                    self._tell()
                    await self._pause(self._news, self._lanes.idle_s(LOOK_S))
                else:
                    await self._begin(work)
        finally:
            await self._to_their_end()
            await self._shut()

    def ends_soon(self) -> None:
        """`run` will be cancelled."""
        self._events_max = LAST_EVENTS

    async def undelivered(self) -> bool:
        """Whether something is left that the sink may still take now."""
        if self._is_held:
            return False
        numbers = [work.lane.number for work in self._lanes if work.metrics.state != "held"]
        return any([(await asyncio.to_thread(self._outbox.account, number)).pending for number in numbers])

    async def measure(self) -> None:
        """Brings the figures of backlog and dead letters up to date."""
        works = list(self._lanes)
        found = await asyncio.to_thread(self._backlogs, [work.lane.number for work in works])
        for work, (account, oldest_us) in zip(works, found, strict=True):
            told = work.metrics
            told.depth, told.dead, told.oldest_us = account.pending, account.dead, oldest_us
        self._metrics.sum_up()

    def _backlogs(self, numbers: Sequence[int]) -> list[tuple[Account, int]]:
        return [(self._outbox.account(number), self._outbox.oldest_us(number)) for number in numbers]

    # one step

    async def _connect(self) -> None:
        """Opens the sink; if that fails, it has been waited for: without the sink no lane can go."""
        if self._outbox.of_a_file:  # it may be a new one
            again = await asyncio.to_thread(self._outbox.go_back)
            for work in self._lanes:
                work.done = None  # it follows what is sent again
                work.recounted += again.get(work.lane.number, 0)
            self.wake()
        try:
            await self._sink.open()
        except Exception as error:
            kind = self._failed(error, None)
            self._is_held = kind.holds or kind.is_the_events
            await self._shut()
            await self._wait(PROBE_S if self._is_held else self._lanes.unreachable())
            return
        self._open, self._is_held, self._is_untried = True, False, False

    async def _begin(self, work: Work) -> None:
        """Serves the lane. A request that hangs is left to itself, and the sink's other lanes go on."""
        work.under_way = asyncio.ensure_future(self._serve(work))
        work.under_way.add_done_callback(lambda _: self._news.set())
        await asyncio.wait({work.under_way}, timeout=HANGS_S if self._posting is not None else None)

    async def _to_their_end(self) -> None:
        """All that is under way, for a while."""
        calls = self._lanes.under_way()
        if calls:
            await asyncio.wait(calls, timeout=LAST_S)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def _serve(self, work: Work) -> None:
        """The lane's next dead letter that is wanted again, or else its next events."""
        try:
            if work.may_send_letter and await self._serve_letter(work):
                return
        except sqlite3.OperationalError as error:
            # no room on the disk, or another process holds the file: what was begun is gone on with later
            self._hold(work, f"dead letters: {error}")
            return
        work.after_letter = work.is_full = False
        if work.done is None:
            work.done = await self._serve_events(work)
        if work.done is not None and await self._advance(work, work.done):
            work.done = None

    async def _serve_events(self, work: Work) -> Done | None:
        """What of the lane's next events is at the sink now, or dead; None: nothing."""
        wakes = self._wakes
        limit = min(self._lanes.limit(work), self._events_max)
        rows = await asyncio.to_thread(self._outbox.read, work.lane.number, limit)
        if not rows:
            work.dry = wakes == self._wakes
            return None
        behind = work.behind(rows)
        if behind and not await self._bury(work, behind, None):
            return None
        left = [row for row in rows if row.position not in work.buried]
        taken = await self._send(work, left) if left else 0
        if left and not taken:
            return None
        if taken < len(left):
            rows = [row for row in rows if row.position < left[taken].position]
        return Done(rows[-1].position, taken, len(rows) - taken)

    async def _advance(self, work: Work, done: Done) -> bool:
        """Whether the cursor could be moved; if not, that is tried again, and nothing is sent twice for it."""
        position, delivered, dead = done
        try:
            await asyncio.to_thread(self._outbox.advance, work.lane.number, position, delivered=delivered, dead=dead)
        except sqlite3.OperationalError as error:
            if not passes(error):
                raise
            self._hold(work, f"outbox: {error}")
            return False
        work.buried = {each: key for each, key in work.buried.items() if each > position}
        work.alone = max(0, work.alone - delivered - dead)
        self._delivered(work, delivered, dead)
        return True

    async def _serve_letter(self, work: Work) -> bool:
        """Whether it was the letters' turn. One that is on its way goes before anything new: its place is taken. Others
        get theirs behind all that went to the queue, so only its last lane gives them one."""
        letter = await asyncio.to_thread(
            self._letters.next_wanted, self.name, work.lane.queue, in_order=self._holds_keys
        )
        now = self._timer()
        stands = self._lanes.is_standing(work)
        if letter is None or (letter.state != SENDING and (now < work.letter_s or not stands)):
            work.letters = letter is not None and stands
            return work.dry
        work.letter_s = now + 1 / letter.rate if letter.rate else now
        whole = await asyncio.to_thread(self._letters.whole, letter)
        if whole is None:
            if await asyncio.to_thread(self._letters.returned, letter, CHANGED):
                log.error("sink %s: dead letter %d is not sent: %s", self.name, letter.number, CHANGED.reason)
            return True
        if whole.state != SENDING:
            cursor = await asyncio.to_thread(self._outbox.cursor, work.lane.number)
            whole = await asyncio.to_thread(self._letters.begin, whole, cursor)
        if whole and await self._send(work, [whole.row()], whole):
            await asyncio.to_thread(self._outbox.settle)
            await asyncio.to_thread(self._letters.delivered, whole)
            work.after_letter = work.made_room = True
            log.info("sink %s: dead letter %d was delivered: %s", self.name, whole.number, whole.id)
            key = whole.partitionkey
            if self._holds_keys and not await asyncio.to_thread(self._letters.has_key, self.name, work.lane.queue, key):
                work.keys.discard(key)
            self._delivered(work, 1, 0)
        return True

    async def _send(self, work: Work, rows: Sequence[OutRow], letter: Letter | None = None) -> int:
        """How many of the first rows the sink has now; if it has failed, none, and what it means has been done."""
        if not self._open:
            return 0  # another lane's call has failed since this one began
        self._metrics.sends += 1
        work.tried_s = self._timer()
        try:
            taken = await self._sent(work, rows)
        except Exception as error:
            kind = self._failed(error, work)
            await self._shut()
            await self._after(kind, error, work, rows, letter)
            return 0
        self._lanes.passed(work, len(rows), taken, math.inf if self._posting is None else TURN_S)
        work.tries = work.dead_in_a_row = 0
        self._goes_on(work)
        return taken

    async def _sent(self, work: Work, rows: Sequence[OutRow]) -> int:
        if self._posting is None:
            try:
                await self._sink.send(rows)
            finally:
                self._lanes.sent(work, len(rows))
            return len(rows)
        queue = work.lane.queue
        before = self._posting.requests[queue]
        self._lanes.sent(work, len(rows))  # others may go meanwhile
        try:
            return await self._posting.send_some(rows, TURN_S)
        finally:
            self._lanes.sent(work, self._posting.requests[queue] - before - len(rows))

    # what went wrong

    async def _after(
        self, kind: Class, error: Exception, work: Work, rows: Sequence[OutRow], letter: Letter | None
    ) -> None:
        if kind.is_the_events:
            await self._events_fault(kind, error, work, rows, letter)
        elif kind.holds:
            work.ready_s = self._timer() + PROBE_S
        elif isinstance(error, QueueFull):
            work.ready_s = self._timer() + FULL_S
        else:
            if kind is Class.OVERLOAD:
                work.batch = max(1, work.batch // 2)
            self._lanes.failed(work, getattr(error, "retry_after_s", 0.0))

    async def _events_fault(
        self, kind: Class, error: Exception, work: Work, rows: Sequence[OutRow], letter: Letter | None
    ) -> None:
        """One of `rows` is the cause: it becomes a dead letter, if it is known which one, and has had its tries."""
        place = (getattr(error, "position", -1), getattr(error, "again", 0))
        named = [row for row in rows if (row.position, row.again) == place] or (rows if len(rows) == 1 else [])
        if not named:
            work.alone = len(rows)
            return
        work.tries += 1
        if kind is Class.POISON and work.tries < POISON_ATTEMPTS:
            self._lanes.failed(work)
            return
        cause = Cause(kind.value, code_of(error), str(error), work.tries)
        work.tries = 0
        if letter is not None:
            await asyncio.to_thread(self._letters.returned, letter, cause)
        elif work.dead_in_a_row >= self._settings.dead_in_a_row_max:
            self._hold(work, f"{work.dead_in_a_row} events in a row would not be taken, last: {cause.code}: {error}")
        elif await self._bury(work, named, cause):
            work.dead_in_a_row += 1
            log.warning("sink %s: event %s is a dead letter: %s, %s", self.name, named[0].id, *cause[:2])

    async def _bury(self, work: Work, rows: Sequence[OutRow], cause: Cause | None) -> bool:
        """Whether they are dead letters now; if not, there is no room, and the lane is held. No cause: those are whose
        keys have one."""
        buried = rows
        try:
            if cause is None:
                buried = await asyncio.to_thread(self._letters.bury_behind, self.name, rows)
                work.letters = True  # they may be wanted at once
            else:
                await asyncio.to_thread(self._letters.bury, self.name, rows, cause)
        except (Full, sqlite3.OperationalError) as error:
            await self._without_room(work, error)
            return False
        work.buried |= {row.position: row.partitionkey for row in buried}
        if self._holds_keys:
            work.keys = (work.keys - {row.partitionkey for row in rows}) | {row.partitionkey for row in buried}
        return True

    async def _without_room(self, work: Work, error: Exception) -> None:
        """Sending letters again makes room, but none goes while others lie beyond the cursor: what those stand for is
        tried once more, as at a start, and one by one, so that the cursor follows."""
        try:
            if isinstance(error, Full) and work.buried:
                work.dead_in_a_row = max(0, work.dead_in_a_row - len(work.buried))
                work.alone = max(work.alone, work.batch)
                await asyncio.to_thread(self._settle_lane, work)
                return
        except sqlite3.OperationalError as other:
            error = other
        if isinstance(error, Full) and work.made_room and work.letters:
            work.made_room = False
            work.ready_s = max(self._timer(), work.letter_s)  # the next makes room as well
        else:
            self._hold(work, f"dead letters: {error}")
            work.is_full = isinstance(error, Full)

    def _hold(self, work: Work, why: str) -> None:
        """Until somebody has acted; it is tried now and then."""
        work.ready_s = self._timer() + PROBE_S
        work.metrics.turn("held", why, self._clock())
        self._tell()

    def _failed(self, error: Exception, work: Work | None) -> Class:
        """Count it and say it. work: the lane that was being served; None: the sink could not be opened."""
        kind = classify(error)
        self._metrics.failures += 1
        if kind is Class.BUG:
            log.error("sink %s: nobody expected this error", self.name, exc_info=error)
        state = "held" if kind.holds else "retrying"
        detail = f"{kind.value}: {code_of(error)}: {error}"
        if work is None:
            self._turn("held" if kind.is_the_events else state, detail)
        elif not kind.is_the_events:
            # what the sink says of an event belongs to its dead letter, not into the log
            work.metrics.turn(state, detail, self._clock())
            self._tell()
        return kind

    def _goes_on(self, work: Work) -> None:
        work.metrics.turn("up", "", self._clock())
        self._tell()

    def _tell(self) -> None:
        """The sink's state out of its lanes'."""
        for state in ("held", "retrying"):
            for work in self._lanes:
                if work.metrics.state == state:
                    self._turn(state, f"{work.lane.queue}: {work.metrics.detail}")
                    return
        if self._open:
            self._turn("up", "")

    def _turn(self, state: str, detail: str) -> None:
        self._metrics.turn(state, detail, self._clock())
        # one line a change: the same error again says nothing new
        said = f"{state} {detail}"
        if said != self._said:
            self._said = said
            (log.info if state == "up" else log.warning)(
                "sink %s: %s%s", self.name, state, f" {detail}" if detail else ""
            )

    def _delivered(self, work: Work, count: int, dead: int) -> None:
        now = self._clock()
        self._goes_on(work)
        again = min(count, work.recounted)
        work.recounted -= again
        self._metrics.delivered += count - again
        self._metrics.dead += dead
        work.metrics.delivered += count - again
        self._metrics.rate.add(count, now)
        self._advanced()

    # lanes and letters

    async def _settled(self) -> bool:
        try:
            await asyncio.to_thread(self._settle)
        except sqlite3.OperationalError as error:
            if not passes(error):
                raise
            self._is_held = True
            self._turn("held", f"dead letters: {error}")
            return False
        return True

    def _settle(self) -> None:
        """Letters that stand for events which will be tried again are forgotten: the engine was stopped in between."""
        for work in self._lanes:
            self._settle_lane(work)

    def _settle_lane(self, work: Work) -> None:
        lane = work.lane
        self._letters.forget(self.name, lane.queue, self._outbox.cursor(lane.number), lane.until)
        work.buried.clear()
        work.keys = self._letters.keys(self.name, lane.queue) if self._holds_keys else set()

    async def _look_around(self) -> None:
        """Every second: what the sink took may be sure by now, and another process may have asked for a letter, or
        discarded one."""
        now = self._timer()
        if now < self._look_s:
            return
        self._look_s = now + LOOK_S
        if await asyncio.to_thread(self._outbox.look):
            self._advanced()
        seen = await asyncio.to_thread(self._letters.changes)
        if seen != self._letters_seen:
            self._letters_seen = seen
            for work in self._lanes:
                work.letters = True
                work.ready_s = now if work.is_full else work.ready_s
                if self._holds_keys:
                    work.keys = await asyncio.to_thread(self._letters.keys, self.name, work.lane.queue)

    async def _wait(self, seconds: float) -> None:
        raise_if_cancelled()
        await self._pause(None, seconds)

    async def _shut(self) -> None:
        """A connection with an error behind it is not used again."""
        self._open = False
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                if self._outbox.of_a_file and self._outbox.is_ahead:
                    await asyncio.to_thread(self._outbox.settle)
                await self._sink.close()
        except Exception as error:
            log.debug("sink %s: while closing: %s: %s", self.name, type(error).__name__, error)


async def _pause(event: asyncio.Event | None, seconds: float | None) -> None:
    if event is None:
        await asyncio.sleep(seconds or 0)
        return
    # not wait_for: until Python 3.12 it may swallow a cancellation
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
