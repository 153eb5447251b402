"""Sleep until a time, or until somebody rings."""

from __future__ import annotations

import asyncio
import math

TICKS_A_SECOND = 1_000
"""The clock of uvloop. It takes what is left to the next tick for nothing: whoever slept until then would wake at once,
and find nothing due, again and again."""


class Alarm:
    """For the tasks of one event loop. Whoever looks and then sleeps, without awaiting in between, misses no ring."""

    def __init__(self) -> None:
        self._sleepers: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Everybody wakes up."""
        for sleeper in self._sleepers:
            _rouse(sleeper)

    async def sleep(self, until: float | None) -> None:
        """`until`: the loop's time, a tick later at most; None: until it rings."""
        loop = asyncio.get_running_loop()
        sleeper = loop.create_future()
        self._sleepers.add(sleeper)
        timer = loop.call_at(_next_tick(until), _rouse, sleeper) if until is not None else None
        try:
            await sleeper
        finally:
            self._sleepers.discard(sleeper)
            if timer is not None:
                timer.cancel()


def _next_tick(time: float) -> float:
    tick = math.ceil(time * TICKS_A_SECOND)
    # a product that was rounded down leads to the tick just before
    return (tick if tick / TICKS_A_SECOND >= time else tick + 1) / TICKS_A_SECOND


def _rouse(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
