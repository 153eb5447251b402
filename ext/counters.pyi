"""Counters of a few bits, counted on: 254, 255, 0 becomes 254, 255, 256."""

from collections.abc import Callable
from typing import Final

BACK_SHARE: Final[int]
"""A number at most this share of the modulus behind the greatest one is a repetition or disorder, not a jump ahead.
A quarter: a device that was unheard for up to three quarters of its counter is still counted on rightly."""

class Unwrapper:
    """One counter. `last`: the greatest number so far, if it is known (from before a restart)."""

    def __init__(self, modulus: int, last: int | None = None) -> None: ...
    def unwrap(self, raw: int) -> int | None:
        """The number counted on. The first one ever is as it is sent. None: it lies before the first, so that it has
        no number that another record could not have too. `raw` at or above the modulus raises ValueError, and so does a
        counter above 2**62."""

class Sequences:
    """The counters of all devices behind one driver. Shared by its plans, so that a device whose records come from
    several of them has one counter.

    `position`: src -> the last (epoch, seq) known of it. `counters_max`: the counters kept; beyond it the one that was
    used longest ago is seeded from `position` again.
    """

    position: Callable[[str], tuple[int, int] | None]

    def __init__(self, position: Callable[[str], tuple[int, int] | None], counters_max: int = 10_000) -> None: ...
    def unwrap(self, src: str, epoch: int, raw: int, modulus: int) -> int | None:
        """See `Unwrapper.unwrap`. A new epoch of a device counts from its own first number."""
