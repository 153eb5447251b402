"""Counters of a few bits, counted on: 254, 255, 0 becomes 254, 255, 256."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

Position = Callable[[str], tuple[int, int] | None]
"""src -> the last (epoch, seq) known of it: `Intake.position`."""

BACK_SHARE = 4
"""A number at most this share of the modulus behind the greatest one is a repetition or disorder, not a jump ahead.
A quarter: a device that was unheard for up to three quarters of its counter is still counted on rightly."""


class Unwrapper:
    """One counter. `last`: the greatest number so far, if it is known (from before a restart)."""

    def __init__(self, modulus: int, last: int | None = None) -> None:
        self._modulus = modulus
        self._last = last

    def unwrap(self, raw: int) -> int | None:
        """The number counted on. The first one ever is as it is sent. None: it lies before the first, so that it has
        no number that another record could not have too. `raw` at or above the modulus raises ValueError."""
        if not 0 <= raw < self._modulus:
            raise ValueError("not below wrap")
        if self._last is None:
            self._last = raw
            return raw
        ahead = (raw - self._last) % self._modulus
        if ahead < self._modulus - self._modulus // BACK_SHARE:
            self._last += ahead
            return self._last
        found = self._last + ahead - self._modulus
        return found if found >= 0 else None


class Sequences:
    """The counters of all devices behind one driver. Shared by its plans, so that a device whose records come from
    several of them has one counter.

    `counters_max`: the counters kept; beyond it the one that was used longest ago is seeded from `position` again.
    """

    def __init__(self, position: Position, counters_max: int = 10_000) -> None:
        self._position = position
        self._counters_max = counters_max
        self._counters: OrderedDict[tuple[str, int], Unwrapper] = OrderedDict()

    def unwrap(self, src: str, epoch: int, raw: int, modulus: int) -> int | None:
        """See `Unwrapper.unwrap`. A new epoch of a device counts from its own first number."""
        key = (src, epoch)
        counter = self._counters.get(key)
        if counter is None:
            known = self._position(src)
            counter = Unwrapper(modulus, known[1] if known is not None and known[0] == epoch else None)
            self._counters[key] = counter
            if len(self._counters) > self._counters_max:
                self._counters.popitem(last=False)
        else:
            self._counters.move_to_end(key)
        return counter.unwrap(raw)
