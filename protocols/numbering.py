"""Counters that wrap and machines that start again: from what a register shows to (epoch, number). Pure.

A number goes up; where it seems to go down, it wrapped or the machine started anew. A machine that has a register for
the count of its restarts says which. For others: a step back of up to a quarter of the wrap is a restart
(`Unwrapper`), and so is a leap ahead of more than a sixteenth that ends at a small number, where a restart begins.
"""

from __future__ import annotations

from protocols.mapping.sequence import Unwrapper

EPOCH_WRAP = 65_536


class Numbering:
    """The number expected next, in a given epoch. Both only change by `advance`."""

    def __init__(self, wrap: int, small: int) -> None:
        """`wrap`: how many values the counter has. `small`: up to here a number looks like that of a new start."""
        self._wrap = wrap
        self._small = small
        self._leap = max(wrap // 16, small)
        self.epoch = 0
        self.next = 0

    def advance(self, epoch: int, following: int) -> None:
        """Everything before `following` is dealt with."""
        self.epoch, self.next = epoch, following

    def restarts(self, shown_epoch: int | None) -> int:
        """How many restarts the register that counts them shows more than are known. None without one."""
        return 0 if shown_epoch is None else (shown_epoch - self.epoch) % EPOCH_WRAP

    def place(self, raw: int, shown_epoch: int | None) -> tuple[int, int]:
        """(epoch, number) for a counter that shows `raw`, where `next` is the least that it can be.

        `shown_epoch`: what the register that counts restarts shows, None without one. In a new epoch the number is
        `raw`.
        """
        if newer := self.restarts(shown_epoch):
            return self.epoch + newer, raw
        if shown_epoch is not None:
            return self.epoch, self.next + (raw - self.next) % self._wrap
        number = Unwrapper(self._wrap, self.next).unwrap(raw % self._wrap)
        is_leap = number is not None and number - self.next > self._leap and raw <= self._small
        if number is None or number < self.next or is_leap:
            return self.epoch + 1, raw
        return self.epoch, number
