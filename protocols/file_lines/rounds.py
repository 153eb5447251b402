"""Files that are looked at in one round: a timer and a task's turn for each of them cost more than the looks do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary


class Round:
    """One timer of an event loop for all who look every `interval_s`. Get it with `round_of`."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._looks: dict[asyncio.Future[None], Callable[[], bool]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def until(self, look: Callable[[], bool]) -> None:
        """Until `look` says so, which is asked after one interval at most, and then after each."""
        seen = asyncio.get_running_loop().create_future()
        self._looks[seen] = look
        if self._timer is None:
            self._wind_up()
        try:
            await seen
        finally:
            self._looks.pop(seen, None)

    def _go(self) -> None:
        for seen, look in self._looks.items():
            if seen.done():
                continue
            try:
                if look():
                    seen.set_result(None)
            except Exception as error:
                seen.set_exception(error)  # whoever looks has to answer for it, and the others go on
        self._timer = None
        if self._looks:
            self._wind_up()

    def _wind_up(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._go)


_rounds: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, Round]] = WeakKeyDictionary()


def round_of(interval_s: float) -> Round:
    """The one of the running event loop."""
    of_loop = _rounds.setdefault(asyncio.get_running_loop(), {})
    if interval_s not in of_loop:
        of_loop[interval_s] = Round(interval_s)
    return of_loop[interval_s]
