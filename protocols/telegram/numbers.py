"""The numbers of a device's telegrams: wraps undone, starts told from repetitions. Pure.

A telegram that was not acknowledged is sent again under its old number. It is the same one if its content is; with
another content the device has started again. Of numbers from before our own start it is known what records they made,
as far as the journal still has them. Where it does not, a number up to `AGAIN_MAX` before the last one counts as a
repetition; up to `UNSEEN_MAX`, too, of a device that waits for its acknowledgements, unless the number is one with
which a start begins; and any old number is one of a device that says when it starts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeGuard

import msgspec

from protocols.numbering import Numbering
from protocols.telegram.settings import REMEMBERED_MAX, Number

AGAIN_MAX = 8
UNSEEN_MAX = 64


class Numbers:
    """`position`: the last (epoch, seq) that the engine accepted of the device, None if never. `waits`: the device
    sends again what is not acknowledged. `tells`: it says when it starts anew. `before`: the lines that the engine
    accepted of it before our start."""

    def __init__(
        self,
        settings: Number,
        position: tuple[int, int] | None,
        *,
        waits: bool = False,
        tells: bool = False,
        before: Sequence[bytes] = (),
    ) -> None:
        self._modulus = settings.modulus
        self._waits, self._tells = waits, tells
        self._first, self._last = settings.first, settings.last
        self._back_max = min(settings.ahead_max, max(AGAIN_MAX, settings.modulus // 4))
        self._numbering = Numbering(settings.modulus, small=settings.first + 1)
        self._is_known = position is not None
        self._contents: OrderedDict[int, bytes] = OrderedDict()
        self._before = _said(before, position[0]) if position is not None else {}
        if position is not None:
            self._numbering.advance(position[0], position[1] + 1)

    def restart(self, raw: int | None) -> tuple[int, int]:
        """The device says that it counts anew, in a telegram that shows `raw`: (epoch, seq) to remember it by. Said
        once more before anything else, it is the same."""
        if self._is_known:
            self._numbering.advance(self._numbering.epoch + 1, 0)
            self._contents.clear()
            self._before.clear()
            self._is_known = False
        return self._numbering.epoch, raw % self._modulus if self._is_number(raw) else 0

    def place(self, raw: int, content: bytes, line: bytes | None = None) -> tuple[int, int] | None:
        """(epoch, seq) of a telegram that shows `raw`; None: that is none of the device's numbers. `line`: the record
        that it makes, if any."""
        if not self._is_number(raw):
            return None
        numbering = self._numbering
        raw %= self._modulus
        if not self._is_known:
            found = (numbering.epoch, raw)
        elif (again := self._again(raw, content, line)) is not None:
            return numbering.epoch, again
        else:
            found = numbering.place(raw, None)
        if found[0] != numbering.epoch:
            self._contents.clear()
            self._before.clear()
        self._is_known = True
        numbering.advance(found[0], found[1] + 1)
        self._contents[found[1]] = _digest(content)
        if len(self._contents) > REMEMBERED_MAX:
            self._contents.popitem(last=False)
        return found

    def _is_number(self, raw: int | None) -> TypeGuard[int]:
        return raw is not None and self._first <= raw <= self._last

    def _again(self, raw: int, content: bytes, line: bytes | None) -> int | None:
        """The number, if it is a telegram that was here before."""
        back = (self._numbering.next - 1 - raw) % self._modulus
        number = self._numbering.next - 1 - back
        if number < 0 or back >= self._back_max:
            return None
        known = self._contents.get(number)
        if known is None and line is not None and (said := self._before.get(number)) is not None:
            return number if said == _what(line) else None
        if known is None:
            return number if back < self._unseen_max(raw) else None
        return number if known == _digest(content) else None

    def _unseen_max(self, raw: int) -> int:
        """So far back a number of which the content is not known is a repetition."""
        if self._tells:
            return self._modulus
        begins = (raw - self._first) % self._modulus <= 1
        return UNSEEN_MAX if self._waits and not begins else AGAIN_MAX


def _said(lines: Sequence[bytes], epoch: int) -> dict[int, bytes]:
    """What each number of the epoch said. A device's start (`sub`) is none of its telegrams."""
    records = [(record, line) for line in lines if isinstance(record := msgspec.json.decode(line), dict)]
    return {
        record["seq"]: _what(line)
        for record, line in records
        if "seq" in record and record.get("epoch", 0) == epoch and "sub" not in record
    }


def _what(line: bytes) -> bytes:
    """A record without its number, and without when it came."""
    record = msgspec.json.decode(line)
    for name in ("epoch", "seq", "t_rx"):
        record.pop(name, None)
    return _digest(msgspec.json.encode(record, order="sorted"))


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
