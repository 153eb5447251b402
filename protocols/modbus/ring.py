"""The ring layout (`layouts.Ring`): the last `size` records of a machine, read behind its head. Pure.

Records are numbered from 0; `head` is the number of the next one. The machine writes a record into its slot and then
increments `head`; so while `head` shows h, the slot of record h - size may be half overwritten by record h, and older
ones are gone. A machine with an acknowledgement register waits for its reader and overwrites nothing unread.

The order of calls: `start` once with the first head, then for each reading: `head`, `chunk`, (read its slots, read the
head again,) `take`, and once its records are handed over `accept`. After an outage `past` says which records show
whether the machine is still in the life that is known, and if they do not, `begin_anew`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from protocols.modbus.decode import Values, decode_registers
from protocols.modbus.layouts import Ring
from protocols.modbus.registers import as_register
from protocols.numbering import Numbering


class Head(NamedTuple):
    """`number`: of the record that will be written next, wraps undone, in this epoch."""

    epoch: int
    number: int


class Chunk(NamedTuple):
    """Neighbouring slots to read in one request: records `first` .. `first + records - 1` of an epoch."""

    epoch: int
    first: int
    records: int
    address: int
    quantity: int  # registers


class Entry(NamedTuple):
    """One record and its registers. `values`, `faults`: see `decode_registers`."""

    seq: int
    words: Sequence[int]
    values: Values
    faults: dict[str, str]


class Haul(NamedTuple):
    """What one chunk brought: `lost` numbers from `lost_from` on that were overwritten, then the records in order."""

    epoch: int
    lost_from: int
    lost: int
    entries: tuple[Entry, ...]
    following: int  # the number to go on with


class RingReader:
    """What is known of one ring. `position`: the last (epoch, seq) that the engine accepted, None if never."""

    def __init__(self, settings: Ring, position: tuple[int, int] | None, registers_max: int) -> None:
        self._settings = settings
        self._registers = {name: as_register(entry) for name, entry in settings.registers.items()}
        self._chunk_records_max = max(1, registers_max // settings.width)
        self._numbering = Numbering(settings.wrap, small=settings.size)
        self.started = position is not None
        self.is_anew = False  # the machine has started again, and that was not told yet
        if position is not None:
            self._numbering.advance(position[0], position[1] + 1)

    def start(self, shown: int, acknowledged: int | None, shown_epoch: int | None = None) -> None:
        """The first contact with a source that was never read: where reading begins.

        `shown`: what `head` shows; `acknowledged`: what the acknowledgement register shows, None without one.
        """
        if acknowledged is not None:
            unread = (shown - acknowledged) % self._settings.wrap
        else:
            unread = min(shown, self._settings.size) if self._settings.backlog else 0
        number = shown if unread <= shown else shown + self._settings.wrap
        self._numbering.advance(shown_epoch or 0, number - unread)
        self.started = True

    def begin_anew(self, acknowledged: int | None) -> None:
        """The machine has started again, and its head has come so far that it looks as if it went on."""
        self._numbering.advance(self._numbering.epoch + 1, 0 if acknowledged is None else acknowledged)
        self.is_anew = True

    def head(self, shown: int, shown_epoch: int | None = None) -> Head:
        """What the head shows, with its wraps undone."""
        return Head(*self._numbering.place(shown, shown_epoch))

    def chunk(self, head: Head) -> Chunk | None:
        """What to read next; None if there is nothing new."""
        first = max(self._next(head), head.number - self._settings.size)
        slot = first % self._settings.size
        records = min(head.number - first, self._settings.size - slot, self._chunk_records_max)
        if records <= 0:
            return None
        address = self._settings.records + slot * self._settings.width
        return Chunk(head.epoch, first, records, address, records * self._settings.width)

    def past(self, head: Head, most: int) -> Chunk | None:
        """Up to `most` of the records taken last, as far as they stand in the ring, to be read in one request."""
        last = self._numbering.next - 1
        records = min(most, self._chunk_records_max, last % self._settings.size + 1, self.standing(head, last + 1))
        if head.epoch != self._numbering.epoch or last < 0 or records <= 0:
            return None
        first = last + 1 - records
        address = self._settings.records + first % self._settings.size * self._settings.width
        return Chunk(head.epoch, first, records, address, records * self._settings.width)

    def standing(self, head: Head, following: int) -> int:
        """How many of the records before `following` the machine has not begun to write over."""
        return max(0, following - max(0, head.number - self._settings.size + 1))

    def entries(self, chunk: Chunk, words: Sequence[int], after: Head) -> list[Entry]:
        """Those of the records of a chunk that surely are whole. `after`: the head as read after `words`."""
        if after.epoch != chunk.epoch:
            return []
        following = chunk.first + chunk.records
        whole = min(chunk.records, self.standing(after, following))
        return [self._entry(chunk, number, words) for number in range(following - whole, following)]

    def doubtful(self, chunk: Chunk, words: Sequence[int], after: Head) -> Sequence[int]:
        """The record of the chunk that lies in the slot which the machine writes next, and may be writing now. It
        counts only if it and the head stay as they are for longer than a machine takes to write. Empty: none does."""
        at = after.number - self._settings.size - chunk.first
        if self._settings.ack is not None or not 0 <= at < chunk.records:
            return ()
        return words[at * self._settings.width : (at + 1) * self._settings.width]

    def take(self, chunk: Chunk, words: Sequence[int], after: Head, overwritten: bool = False) -> Haul:
        """The records of a chunk. `after`: the head of the same epoch, read after `words`; `overwritten`: its doubtful
        record was being written."""
        self.is_anew |= chunk.epoch != self._numbering.epoch
        start = self._next(Head(chunk.epoch, chunk.first))
        oldest = chunk.first
        if self._settings.ack is None:
            oldest = max(oldest, after.number - self._settings.size + overwritten)
        following = max(oldest, chunk.first + chunk.records)
        entries = tuple(self._entry(chunk, number, words) for number in range(oldest, chunk.first + chunk.records))
        return Haul(chunk.epoch, start, oldest - start, entries, following)

    def accept(self, haul: Haul) -> None:
        """The haul was handed over."""
        self.is_anew = False
        self._numbering.advance(haul.epoch, haul.following)

    def shown(self, haul: Haul) -> int:
        """What to write to the acknowledgement register once the haul is durable."""
        return haul.following % self._settings.wrap

    def tail(self, head: Head) -> int:
        """What the acknowledgement register has to show when all that was handed over is durable."""
        return self._next(head) % self._settings.wrap

    def _next(self, head: Head) -> int:
        """The number to go on with in the epoch of `head`."""
        return self._numbering.next if head.epoch == self._numbering.epoch else 0

    def _entry(self, chunk: Chunk, number: int, words: Sequence[int]) -> Entry:
        first = (number - chunk.first) * self._settings.width
        slot = words[first : first + self._settings.width]
        return Entry(number, slot, *decode_registers(self._registers, slot, 0))
