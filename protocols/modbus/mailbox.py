"""The mailbox layout (`layouts.Mailbox`): one record at a time between two copies of a counter. Pure.

The order of calls, for one reading of the block: `look`; on NEW `take` with what the acknowledgement register shows;
then, once the record is handed over, `accept`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from protocols.modbus.decode import Values, decode_registers
from protocols.modbus.layouts import Mailbox
from protocols.modbus.registers import as_register
from protocols.numbering import Numbering


class Look(Enum):
    """What a reading of the block shows."""

    TORN = "torn"  # seq and seq2 differ: the machine is writing
    EMPTY = "empty"  # a number outside the counter's range: nothing was ever put in
    SAME = "same"  # the record that was taken last
    NEW = "new"  # another number


class Letter(NamedTuple):
    """A record out of the mailbox. `shown`: its number as the machine writes it, and wants it acknowledged.

    `lost`: how many numbers right before it were never seen. `values`, `faults`: see `decode_registers`.
    `words`: the whole block.
    """

    epoch: int
    seq: int
    shown: int
    lost: int
    values: Values
    faults: dict[str, str]
    words: Sequence[int]


class MailboxReader:
    """What is known of one mailbox. `position`: the last (epoch, seq) that the engine accepted, None if never."""

    def __init__(self, settings: Mailbox, position: tuple[int, int] | None) -> None:
        self._settings = settings
        self._registers = {name: as_register(entry) for name, entry in settings.registers.items()}
        self._numbering = Numbering(settings.wrap, small=settings.first + 1)
        self._known = position is not None
        self._is_ours = self._known  # the engine has the record of the last number
        self._last: Sequence[int] | None = None  # the registers of the last letter
        self.is_anew = False  # the machine has started again, and that was not told yet
        if position is not None:
            self._numbering.advance(position[0], position[1] + 1)

    @property
    def quantity(self) -> int:
        """Registers in the block, from `seq` to `seq2`."""
        return self._settings.seq2 - self._settings.seq + 1

    def look(self, words: Sequence[int], shown_epoch: int | None = None) -> Look:
        """What this reading shows. `shown_epoch`: the register of restarts, read before the block."""
        shown = words[0]
        if shown != words[-1]:
            return Look.TORN
        if not 0 <= shown - self._settings.first < self._settings.wrap:
            return Look.EMPTY
        return Look.SAME if self._is_last(shown, shown_epoch) else Look.NEW

    def is_another(self, words: Sequence[int]) -> bool:
        """Whether a reading that is SAME, and that the machine wants acknowledged again, is a record that we do not
        have: its number was a base line, that somebody else had acknowledged; or it has the same number, since the
        machine started again. A register of restarts would have said the latter before."""
        if not self._is_ours:
            return True
        return self._settings.epoch is None and self._last is not None and list(words) != list(self._last)

    @property
    def is_from_before(self) -> bool:
        """Whether the engine had the last record before our start, so that its registers are not known here."""
        return self._is_ours and self._last is None

    def last(self, words: Sequence[int]) -> Letter:
        """A reading that is SAME, as the record of the last number."""
        values, faults = decode_registers(self._registers, words, self._settings.seq)
        return Letter(self._numbering.epoch, self._numbering.next - 1, words[0], 0, values, faults, words)

    def recognise(self, words: Sequence[int]) -> None:
        """These are the registers of the last record; empty: whatever they are, they are not."""
        self._last = words

    def take(self, words: Sequence[int], acknowledged: int | None, shown_epoch: int | None = None) -> Letter | None:
        """The record of a reading that is NEW; None if the machine has its acknowledgement already, from whomever.

        `acknowledged`: what the acknowledgement register shows, None if there is none: then the first number that is
        ever seen is a base line only.
        """
        shown = words[0]
        epoch, seq = self._place(shown, shown_epoch)
        is_new_start = not self._known or epoch != self._numbering.epoch
        self.is_anew |= self._known and is_new_start
        if shown == acknowledged or (acknowledged is None and not self._known):
            # numbers that another reader acknowledged stay missing: the next letter says so
            if is_new_start:
                self._settle(epoch, seq)
                self._is_ours = False
            return None
        lost = 0 if is_new_start else max(0, seq - self._numbering.next)
        values, faults = decode_registers(self._registers, words, self._settings.seq)
        return Letter(epoch, seq, shown, lost, values, faults, words)

    def accept(self, letter: Letter) -> None:
        """The letter was handed over: its number is not new any more."""
        self._settle(letter.epoch, letter.seq)
        self._is_ours, self._last = True, letter.words

    def _settle(self, epoch: int, seq: int) -> None:
        self._numbering.advance(epoch, seq + 1)
        self._known = True

    def _is_last(self, shown: int, shown_epoch: int | None) -> bool:
        is_last = self._known and (shown - self._numbering.next + 1) % self._settings.wrap == 0
        return is_last and not self._numbering.restarts(shown_epoch)

    def _place(self, shown: int, shown_epoch: int | None) -> tuple[int, int]:
        if not self._known:
            return shown_epoch or 0, shown
        if not self._is_ours and self._is_last(shown, shown_epoch):
            return self._numbering.epoch, self._numbering.next - 1
        return self._numbering.place(shown, shown_epoch)
