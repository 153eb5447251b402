"""How fast, how often, how much at once: what an ERP can bear, and what it is owed after it has failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

BACKOFF_S_MIN = 0.1
BACKOFF_S_MAX = 15.0  # and what is under way when a fault ends may take 10 s: all within the 30 s of promise I6
BREAKER_FAILURES = 5
RETRY_AFTER_S_MAX = 3_600.0
GATHER_S = 0.1  # a throttled queue sends what a tenth of a second allows, not one event at a time
ROUNDING = 1e-6  # what was waited for has to be there afterwards

Rate = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
Burst = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class Rated(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What has a rate, events a second, and a burst, events at once after a quiet time."""

    rate: Rate | None = None
    burst: Burst | None = None

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.burst is not None and self.rate is None:
            yield "burst", "says nothing without a rate"

    def bucket(self, now_s: float) -> Bucket | None:
        """None: as fast as it goes."""
        return None if self.rate is None else Bucket(self.rate, self.burst or max(1, int(self.rate)), now_s)


class Pace(Rated, frozen=True, kw_only=True):
    """How fast events go into one queue.

    rate: events a second; absent: as fast as the sink takes them. burst: so many may go at once after a quiet time;
      absent: what the rate gives in a second.
    priority: 0 goes first; absent: 0 for shipping, 1 for inventory, 2 for the rest. A queue that has waited for 5 s
      goes once before the others.
    """

    priority: Annotated[int, msgspec.Meta(ge=0, le=9)] | None = None


class Settings(Rated, frozen=True, kw_only=True):
    """`[sinks.NAME.delivery]`: how one sink is served, whatever its kind.

    rate, burst: of all its queues together, as in a queue's own table.
    batch_events: at most so many go at once. An overloaded sink gets fewer by itself.
    on_dead_letter: what happens to later events of the partition key of one that became a dead letter. `"skip"`
      (default): they go on. `"hold_key"`: they become dead letters, too, until a person has sent the first one again
      (then all of them go in order) or discarded it.
    dead_in_a_row_max: after so many events of a queue that the sink will never take, and none between that it took,
      the queue is held instead of burying one more: it is rather the sink that is wrong.
    queues: by the queue's name; see `Pace`.
    """

    batch_events: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 512
    on_dead_letter: Literal["skip", "hold_key"] = "skip"
    dead_in_a_row_max: Annotated[int, msgspec.Meta(ge=1, le=10**9)] = 100
    queues: Annotated[dict[str, Pace], msgspec.Meta(max_length=1_000)] = {}


class Bucket:
    """Allows `rate` events a second, and `burst` of them at once after a quiet time. Seconds only grow."""

    def __init__(self, rate: float, burst: int, now_s: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = float(burst)
        self._at_s = now_s

    def allows(self, now_s: float) -> int:
        """How many may go now; 0 until enough have gathered to be worth a call."""
        level = self._refilled(now_s)
        return int(level + ROUNDING) if level >= self._gathered() else 0

    def wait_s(self, now_s: float) -> float:
        """Until it allows some; 0 if it does now."""
        return max(0.0, (self._gathered() - self._refilled(now_s)) / self._rate)

    def take(self, count: int, now_s: float) -> None:
        self._level = self._refilled(now_s) - count
        self._at_s = now_s

    def _refilled(self, now_s: float) -> float:
        return min(float(self._burst), self._level + (now_s - self._at_s) * self._rate)

    def _gathered(self) -> float:
        return min(float(self._burst), max(1.0, self._rate * GATHER_S)) - ROUNDING


class Breaker:
    """What to do after failures in a row: how long to wait, and whether to try with a single event first."""

    def __init__(self) -> None:
        self.failures = 0

    @property
    def is_open(self) -> bool:
        return self.failures >= BREAKER_FAILURES

    def failed(self, luck: float, retry_after_s: float = 0.0) -> float:
        """Seconds to wait: full jitter (luck: from 0 to 1) under a bound that doubles, so that many sinks of a server
        that comes back do not come all at once; at least what the sink asked for."""
        self.failures += 1
        bound_s = min(BACKOFF_S_MAX, BACKOFF_S_MIN * 2.0 ** min(self.failures - 1, 16))
        return max(0.01, luck * bound_s, min(retry_after_s, RETRY_AFTER_S_MAX))

    def passed(self) -> None:
        self.failures = 0
