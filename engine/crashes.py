"""What makes the process die is found by the starts that follow, and passed over: else each would meet it again.

A fault in compiled code ends the process by a signal. The record on which it did is accepted by then, so the next start
reads it, and dies as well. `crash.note` in the data folder tells the start after that one of it:

    where      512 bytes: what the rules were reading, written before they do
    trace      where the threads were when the process died of SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT, by
               faulthandler; noughts while all is well

Neither is synced: a process that dies takes nothing along that it has written. kill -9, a power cut and the kernel when
it wants memory leave no trace, so that none of them is ever taken for the fault of a record; nor is SIGBUS.

A start that died on a piece of the journal is followed by one that reads the piece a record at a time; a record on
which DEATHS of those died is put aside, and so is a snapshot. No more than PASSED_OVER_MAX records are: then it is no
longer they.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
from pathlib import Path

import msgspec

from engine.disk import DISK, MODE
from engine.passed_over import NAME, PassedOver, Place

NOTE = "crash.note"
LAST = "crash.last"  # the trace of the last one, to look at
FATAL = b"Fatal Python error: "  # how faulthandler begins; anything else there is the disk's doing
BUS_ERROR = FATAL + b"Bus error"  # a mapped page could not be had of the disk: no record's doing
WHERE_BYTES = 512
NOTE_BYTES = 16 * 1024
WHOLE = -1  # the line of a piece that is read as one
RESTORED = -2  # of the snapshot that stands for the place
DEATHS = 2
PASSED_OVER_MAX = 16

log = logging.getLogger("sortline.recovery")


class Where(msgspec.Struct, frozen=True):
    """place, line: of the frame, and of the record in it; WHOLE: of a piece of the journal from there to `through`.
    deaths: how many starts had died on this record before. suspect: the piece that is read a record at a time."""

    place: Place = (0, 0)
    line: int = WHOLE
    through: Place = (0, 0)
    deaths: int = 0
    suspect: tuple[Place, Place] | None = None


NOWHERE = Where()


class Crashes:
    """Knows how the last start ended, and notes what this one does. Build it when nothing is read yet; `close` at a
    clean end. Where the note cannot be written nothing is found out, and everything else goes on."""

    def __init__(self, data_dir: Path) -> None:
        self.passed_over = PassedOver(data_dir / NAME)
        if self.passed_over.report:
            log.warning("%s", self.passed_over.report)
        self._file = -1
        self._had_handler = faulthandler.is_enabled()
        died = NOWHERE
        with contextlib.suppress(OSError):
            died = self._begin_note(data_dir)
        self._died = died
        suspect = died.suspect
        if died is not NOWHERE and died.line == WHOLE:
            suspect = (died.place, died.through)
        self._suspect = suspect

    def _begin_note(self, data_dir: Path) -> Where:
        """Where the last life died, NOWHERE if it did not; the note is empty again, and ready for this one."""
        self._file = os.open(data_dir / NOTE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        note = DISK.read(self._file, 0, NOTE_BYTES)
        DISK.reserve(self._file, NOTE_BYTES)  # a disk that is full has room for what is told in an emergency
        DISK.write(self._file, 0, [bytes(NOTE_BYTES)])
        os.lseek(self._file, WHERE_BYTES, os.SEEK_SET)
        faulthandler.enable(self._file)
        where, trace = note[:WHERE_BYTES].rstrip(b" \0"), note[WHERE_BYTES:].rstrip(b"\0")
        if not trace.startswith(FATAL):
            return NOWHERE
        with contextlib.suppress(OSError):
            DISK.note(data_dir / LAST, trace)
        log.error("the process has died (%s): %s", trace.split(b"\n")[0].decode(errors="replace"), data_dir / LAST)
        if trace.startswith(BUS_ERROR):
            return NOWHERE
        try:
            return msgspec.json.decode(where, type=Where)
        except msgspec.MsgspecError:
            return NOWHERE  # it was not reading the journal

    def suspects(self, place: Place) -> bool:
        """Whether a start has died on the piece in which this frame stands."""
        return self._suspect is not None and self._suspect[0] <= place <= self._suspect[1]

    def condemns(self, place: Place, line: int) -> bool:
        """Whether as many starts have died on this record as it takes."""
        return self._deaths(place, line) >= DEATHS

    def _deaths(self, place: Place, line: int) -> int:
        return self._died.deaths + 1 if line != WHOLE and (place, line) == (self._died.place, self._died.line) else 0

    def reading(self, place: Place, line: int = WHOLE, through: Place = (0, 0)) -> None:
        """The rules read this now."""
        self._write(Where(place, line, through, self._deaths(place, line), self._suspect))

    def over(self) -> None:
        """The journal is read."""
        self._suspect = None
        self._died = NOWHERE
        self._write(None)

    def _write(self, where: Where | None) -> None:
        if self._file >= 0:
            with contextlib.suppress(OSError):
                DISK.write(self._file, 0, [(msgspec.json.encode(where) if where else b"").ljust(WHERE_BYTES)])

    def close(self) -> None:
        if self._file < 0:
            return
        if self._had_handler and sys.__stderr__ is not None:
            faulthandler.enable(sys.__stderr__)
        else:
            faulthandler.disable()
        os.close(self._file)
        self._file = -1
