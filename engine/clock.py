"""The only place that reads the wall clock. Everything else takes time as an argument."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Microseconds since 1970 UTC."""

SLOWER = 2
SAID_US = 1_000_000

log = logging.getLogger("sortline.clock")


def now_us() -> int:
    """Microseconds since 1970 UTC, from the system's clock."""
    return time.time_ns() // 1000


class SteadyClock:
    """The wall clock as records are stamped with it: it never goes back, and never stands.

    The rules' clock is the greatest time that was stamped (R4). After a jump forward that is taken back it would stand
    until the wall clock has caught up, for an hour or ten years, and nothing that waits for time would be decided. So
    it runs on at half speed meanwhile. Thread-safe. timer_ns: nanoseconds that only grow.
    """

    def __init__(self, wall: Clock = now_us, timer_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._wall = wall
        self._timer_ns = timer_ns
        self._calls = threading.Lock()
        self._told = 0
        self._told_ns = timer_ns()
        self._said = False

    def __call__(self) -> int:
        with self._calls:
            slow_us = (self._timer_ns() - self._told_ns) // (1_000 * SLOWER)
            self._told_ns += slow_us * 1_000 * SLOWER
            wall = self._wall()
            self._told = max(wall, self._told + slow_us)
            self._say(self._told - wall)
            return self._told

    def pass_to(self, us: int) -> None:
        """That was stamped before."""
        with self._calls:
            self._told = max(self._told, us)

    def _say(self, ahead_us: int) -> None:
        if ahead_us > SAID_US and not self._said:
            log.warning(
                "the wall clock is %.0f s behind what was stamped before: times run on at half speed until it has "
                "caught up",
                ahead_us / 1e6,
            )
        self._said = ahead_us > SAID_US or (self._said and ahead_us > 0)
