"""The numbers of a device's telegrams: wraps undone, starts told from repetitions. Pure.

A telegram that was not acknowledged is sent again under its old number. It is the same one if its content is; with
another content the device has started again. Of numbers from before our own start no content is known. There up to
`AGAIN_MAX` before the last one it counts as a repetition; up to `UNSEEN_MAX`, too, of a device that waits for its
acknowledgements, unless the number is one with which a start begins; and any old number is one of a device that says
when it starts.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import TypeGuard

from protocols.numbering import Numbering
from protocols.telegram.settings import Number

AGAIN_MAX = 8
UNSEEN_MAX = 64
REMEMBERED_MAX = 256
"""So many telegrams are remembered, for devices that send many before the first is acknowledged."""


class Numbers:
    """`position`: the last (epoch, seq) that the engine accepted of the device, None if never. `waits`: the device
    sends again what is not acknowledged. `tells`: it says when it starts anew."""

    def __init__(
        self, settings: Number, position: tuple[int, int] | None, *, waits: bool = False, tells: bool = False
    ) -> None:
        self._modulus = settings.modulus
        self._waits, self._tells = waits, tells
        self._first, self._last = settings.first, settings.last
        self._numbering = Numbering(settings.modulus, small=settings.first + 1)
        self._is_known = position is not None
        self._contents: OrderedDict[int, bytes] = OrderedDict()
        if position is not None:
            self._numbering.advance(position[0], position[1] + 1)

    def restart(self, raw: int | None) -> tuple[int, int]:
        """The device says that it counts anew, in a telegram that shows `raw`: (epoch, seq) to remember it by. Said
        once more before anything else, it is the same."""
        if self._is_known:
            self._numbering.advance(self._numbering.epoch + 1, 0)
            self._contents.clear()
            self._is_known = False
        return self._numbering.epoch, raw % self._modulus if self._is_number(raw) else 0

    def place(self, raw: int, content: bytes) -> tuple[int, int] | None:
        """(epoch, seq) of a telegram that shows `raw`; None: that is none of the device's numbers."""
        if not self._is_number(raw):
            return None
        numbering = self._numbering
        raw %= self._modulus
        if not self._is_known:
            found = (numbering.epoch, raw)
        elif (again := self._again(raw, content)) is not None:
            return numbering.epoch, again
        else:
            found = numbering.place(raw, None)
        if found[0] != numbering.epoch:
            self._contents.clear()
        self._is_known = True
        numbering.advance(found[0], found[1] + 1)
        self._contents[found[1]] = _digest(content)
        if len(self._contents) > REMEMBERED_MAX:
            self._contents.popitem(last=False)
        return found

    def _is_number(self, raw: int | None) -> TypeGuard[int]:
        return raw is not None and self._first <= raw <= self._last

    def _again(self, raw: int, content: bytes) -> int | None:
        """The number, if it is a telegram that was here before."""
        back = (self._numbering.next - 1 - raw) % self._modulus
        number = self._numbering.next - 1 - back
        if number < 0 or back >= max(AGAIN_MAX, self._modulus // 4):
            return None
        known = self._contents.get(number)
        if known is None:
            return number if back < self._unseen_max(raw) else None
        return number if known == _digest(content) else None

    def _unseen_max(self, raw: int) -> int:
        """So far back a number of which the content is not known is a repetition."""
        if self._tells:
            return self._modulus
        begins = (raw - self._first) % self._modulus <= 1
        return UNSEEN_MAX if self._waits and not begins else AGAIN_MAX


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
