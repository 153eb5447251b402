"""A sink's lanes: which of them goes next, how much it may send, and how long it waits after it has failed.

Breaker, backoff, pace and size of batch belong to the lane: a queue whose route is broken, or asks for an hour's pause,
costs the sink's others nothing. Lanes that fail are tried one after the other while the sink takes nothing at all, so
that a server that is down is asked once in a while, and not once for each queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from engine.lane_work import Work
from engine.throttle import BACKOFF_S_MAX, Breaker, Bucket, Settings

PASSED_OVER_S_MAX = 5.0


class Lanes:
    """Those of one sink, and what counts for all of them: the sink's rate, and since when it has taken nothing.

    jitter: a random number from 0 to 1, for the waits between attempts. timer: seconds that only grow.
    """

    def __init__(
        self,
        works: Sequence[Work],
        settings: Settings,
        jitter: Callable[[], float],
        timer: Callable[[], float],
        *,
        looks_back: bool,
    ) -> None:
        self._works = works
        self._looks_back = looks_back  # the sink asks what a call of the life before has left there
        # a lane of earlier routes ends; the last one of each queue goes on, if only for its dead letters
        last = {work.lane.queue: work for work in sorted(works, key=lambda work: work.lane.number)}
        self._standing = set(last.values())
        self._batch_max = settings.batch_events
        self._bucket = settings.bucket(timer())
        self._breaker = Breaker()  # of failures of any lane, none of which got anything through in between
        self._ready_s = timer()  # lanes that fail not before
        self._jitter = jitter
        self._timer = timer

    def __iter__(self) -> Iterator[Work]:
        return iter(self._works)

    def is_standing(self, work: Work) -> bool:
        """Whether it is the last of its queue."""
        return work in self._standing

    def under_way(self) -> list[asyncio.Future[None]]:
        """Calls that are not over, or that nobody has looked at since."""
        return [work.under_way for work in self._works if work.under_way is not None]

    def raise_errors(self) -> None:
        """Of calls that are over; their lanes may go again."""
        for work in self._works:
            if work.under_way is not None and work.under_way.done():
                call, work.under_way = work.under_way, None
                call.result()

    def wake(self) -> None:
        """There are new events."""
        for work in self._works:
            work.dry = work.lane.until is not None and work.dry

    def choose(self) -> Work | None:
        """The lane to serve now: the first by priority, or one that had to wait too long; None: none has anything."""
        now = self._timer()
        ready = [work for work in self._in_turn() if work.has_work and self._wait_s(work, now) <= 0]
        if not ready:
            return None
        if all(work.is_failing for work in ready):  # in turn: the next may find out that the sink is there again
            chosen = min(ready, key=lambda work: work.ready_s)
        else:
            late = [work for work in ready if work.waits_s is not None and now - work.waits_s >= PASSED_OVER_S_MAX]
            chosen = min(late or ready, key=lambda work: (work.priority, work.lane.number))
        for work in ready:
            work.waits_s = None if work is chosen else now if work.waits_s is None else work.waits_s
        return chosen

    def idle_s(self, most_s: float) -> float:
        """Until one may go, if that is sooner than `most_s`."""
        now = self._timer()
        waits = [self._wait_s(work, now) for work in self._in_turn() if work.has_work]
        return max(0.001, min([*waits, most_s]))

    def limit(self, work: Work) -> int:
        """How many events to read: after a series of failures, and while one at fault is searched, a single one.

        Not where a sink that looks back could not be reached since the start: what a call of the life before has left
        there, and a consumer may have deleted, is known by its last event, so the first call is no smaller than that.
        """
        if work.alone or work.breaker.is_open or (self._breaker.is_open and (work.has_passed or not self._looks_back)):
            return 1
        now = self._timer()
        return max(1, min([work.batch, *(bucket.allows(now) for bucket in self._buckets(work))]))

    def sent(self, work: Work, count: int) -> None:
        """So many events have gone to the sink, whatever it says of them: they count against the rates."""
        now = self._timer()
        for bucket in self._buckets(work):
            bucket.take(count, now)

    def passed(self, work: Work, asked: int, taken: int, turn_s: float) -> None:
        """The sink has taken so many, in a call that was to give way after `turn_s`. The next one is as large as fits:
        what was taken behind the first that was not is remembered by the sink alone, and sent again by the next start.
        """
        now = self._timer()
        self._breaker.passed()
        self._ready_s = now
        work.has_passed = True
        work.breaker.passed()
        if taken < asked:
            work.batch = max(1, taken)
        else:
            more = work.batch if now - work.tried_s < turn_s / 2 else 1
            work.batch = min(work.batch + more, self._batch_max)

    def failed(self, work: Work, retry_after_s: float = 0.0) -> None:
        """The lane waits, longer each time. Where others have something, at least as long as its call took them."""
        luck, now = self._jitter(), self._timer()
        wait_s = work.breaker.failed(luck, retry_after_s)
        if any(other.has_work and not other.is_failing for other in self._in_turn()):
            wait_s = max(wait_s, min(now - work.tried_s, BACKOFF_S_MAX))
        work.ready_s = now + wait_s
        self._ready_s = now + self._breaker.failed(luck)

    def unreachable(self) -> float:
        """The sink itself cannot be opened: seconds until it is tried again."""
        return self._breaker.failed(self._jitter())

    def _in_turn(self) -> list[Work]:
        """One of each queue. Those of earlier routes come first: their events are older."""
        turn: dict[str, Work] = {}
        for work in self._works:
            if not work.dry or work in self._standing:
                turn.setdefault(work.lane.queue, work)
        return list(turn.values())

    def _buckets(self, work: Work) -> list[Bucket]:
        return [bucket for bucket in (work.bucket, self._bucket) if bucket is not None]

    def _wait_s(self, work: Work, now: float) -> float:
        """Until the lane may go: it is held, it has failed, or its pace or the sink's says so."""
        ready_s = max(work.ready_s, work.letter_s) if work.dry else work.ready_s
        if work.is_failing:
            ready_s = max(ready_s, self._ready_s)
        return max([ready_s - now, *(bucket.wait_s(now) for bucket in self._buckets(work))])
