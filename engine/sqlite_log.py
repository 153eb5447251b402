"""What the disk has damaged in a write-ahead log of SQLite, put in order before SQLite reads it: it drops every commit
from a damaged frame on, and writes the next one over them. What stands there may be nowhere else: a dead letter, an
entry of a queue.

    header   magic, version, page size, checkpoint, salt 2 x u32, checksum 2 x u32; big-endian
    frames   page, pages after the commit (0: none ends here), salt and checksum as above; the page

A checksum goes on from the one before, over the first 24 bytes of the header, then over the first 8 and the page of
each frame, in words w: `s0 += w[0] + s1; s1 += w[1] + s0`, modulo 2**32
(https://sqlite.org/fileformat2.html#walformat). It is a sum: what a word weighs in it follows from its place alone, and
a difference tells which bit was flipped, or, of the high bits of a word, which few it may have been.

Where that cannot be told, and where more is damaged, the frame is taken as it is if a later commit shows that it was
synced once: the sums of the log are made anew. Then one page is damaged, if no later frame has it anyway, as it would
be with the same damage in the file itself; and the tables have sums of their own.
"""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.disk import DISK
from engine.whole_file import free_aside, read_whole, write_whole

LOG = "-wal"
HEADER = struct.Struct(">8I")
HEADER_BYTES = HEADER.size
HEADER_SUMMED, SUMMED = 24, 8
IN_USE_AT = 128
PLACES_SHOWN = 5
FRAME_BYTES = 24  # and its page
SALT, SUM = slice(8, 16), slice(16, 24)  # of a frame
ORDERS: dict[int, Literal["little", "big"]] = {0x377F0682: "little", 0x377F0683: "big"}  # by the magic: of the words
VERSION = 3007000
PAGE_SIZES = frozenset(1 << bits for bits in range(9, 17))

Words = npt.NDArray[np.uint32]
Flip = tuple[int, int]
"""Where a byte stands, and which bit of it."""


def put_in_order(path: Path) -> Iterator[str]:
    """The log of the database `path`; says what was done, one line each. Raises OSError where there is no room for it.
    Another process may be at work on it, if that was not stopped: then nothing but a bit is turned back."""
    log = path.with_name(path.name + LOG)
    if DISK.bytes_of(log) <= HEADER_BYTES:
        return
    try:
        content = bytearray(read_whole(log))
    except FileNotFoundError:
        content = bytearray()
    if len(content) <= HEADER_BYTES:
        return  # who is at work on it has emptied it meanwhile
    before = bytes(content)
    order = _Order(content)
    if order.taken and not in_use(path):
        aside = free_aside(log)
        write_whole(aside, before)
        write_whole(log, bytes(order.sealed()))
        yield f"{log}: damaged at {_places(order.taken)}: taken as it is, and kept as {aside.name}"
    elif order.flips and _turned(log, before, content, order.flips):
        yield f"{log}: a flipped bit at {_places(order.flips)}, turned back"


def newest_page(log: bytes, page: int) -> bytes:
    """As the last commit in a log has it, bits that were flipped turned back; empty: it has none of it."""
    if len(log) <= HEADER_BYTES:
        return b""
    order = _Order(content := bytearray(log))
    found = committed = b""
    for begin in order.frames():
        number, pages_after = struct.unpack_from(">II", content, begin)
        found = bytes(order.page(begin)) if number == page else found
        committed = found if pages_after else committed
    return committed


def _turned(log: Path, before: bytes, content: bytearray, places: Sequence[int]) -> bool:
    """In place, and synced. False: beside another process it is another log by now."""
    file = DISK.open(log)
    try:
        if any(DISK.read(file, at, 1) != before[at : at + 1] for at in places):
            return False
        for at in places:
            DISK.write(file, at, [bytes(content[at : at + 1])])
        DISK.sync(file)
    finally:
        DISK.close(file)
    return True


def in_use(path: Path) -> bool:
    """Whether a connection of another process is open: it holds this byte of the -shm file."""
    try:
        file = DISK.open(path.with_name(path.name + "-shm"))
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, IN_USE_AT)
    except (BlockingIOError, PermissionError):
        return True
    finally:
        DISK.close(file)
    return False


def _places(places: Sequence[int]) -> str:
    more = f" and {len(places) - PLACES_SHOWN} more" if len(places) > PLACES_SHOWN else ""
    return f"offset {', '.join(map(str, places[:PLACES_SHOWN]))}{more}"


class _Order:
    """A log, bits of which are turned back as it is read, up to its end or to damage that nothing can be made of.

    flips: where bits were turned. taken: where frames stand that are taken as they are."""

    def __init__(self, log: bytearray) -> None:
        self._log = log
        self.flips: list[int] = []
        self.taken: list[int] = []
        self._end = HEADER_BYTES
        if self._read_header():
            self._size = FRAME_BYTES + HEADER.unpack_from(log)[2]
            self._read_frames()

    def sealed(self) -> bytearray:
        """The log with all sums made anew."""
        log = self._log[: self._end]
        before = _sum(log[HEADER_SUMMED:HEADER_BYTES])
        for begin in range(HEADER_BYTES, self._end, self._size):
            before = _frame_summed(log, log[begin : begin + self._size], before)
            log[begin + SUM.start : begin + SUM.stop] = before.astype(">u4").tobytes()
        return log

    def frames(self) -> range:
        """Where they begin, as far as the log can be read."""
        return range(HEADER_BYTES, self._end, self._size) if self._end > HEADER_BYTES else range(0)

    def page(self, begin: int) -> bytearray:
        return self._log[begin + FRAME_BYTES : begin + self._size]

    def _read_header(self) -> bool:
        log = self._log
        if _is_header(log):
            return True
        flips = [flip for flip in _bits(range(HEADER_BYTES)) if _is_header(_with(log[:HEADER_BYTES], flip))]
        if len(flips) != 1:
            return False
        log[:HEADER_BYTES] = _with(log[:HEADER_BYTES], flips[0])
        self.flips.append(flips[0][0])
        return True

    def _read_frames(self) -> None:
        log, size, before = self._log, self._size, _sum(self._log[HEADER_SUMMED:HEADER_BYTES])
        begin = HEADER_BYTES
        while begin + size <= len(log):
            frame = self._frame(begin)
            if not _is_frame(log, frame, before):
                turned = self._turned_back(begin, before)
                if turned is None and not (next_ := self._goes_on_at(begin)):
                    return
                if turned is None:
                    self.taken += range(begin, next_, size)
                    begin, frame = next_ - size, self._frame(next_ - size)
                else:
                    at, frame = turned
                    log[begin : begin + size] = frame
                    self.flips.append(begin + at)
            before = _sum(frame[SUM])
            begin += size
            self._end = begin

    def _frame(self, begin: int) -> bytearray:
        return self._log[begin : begin + self._size]

    def _turned_back(self, begin: int, before: Words) -> tuple[int, bytearray] | None:
        frame, after = self._frame(begin), self._frame(begin + self._size)
        tries = [(flip[0], _with(frame, flip)) for flip in _flips(self._log, frame, before)]
        if len(tries) > 1:  # the sum's own bit, or one of the word that weighs as much
            tries = [each for each in tries if _is_frame(self._log, after, _sum(each[1][SUM]))]
        return tries[0] if len(tries) == 1 else None

    def _goes_on_at(self, damaged: int) -> int:
        """Where the log is whole again, if the damaged frames were synced: another commit was begun behind theirs. 0:
        nowhere, or the name of a page is lost."""
        begin, whole = damaged, 0
        while begin + 2 * self._size <= len(self._log) and self._frame(begin)[SALT] == self._log[16:24]:
            frame, after = self._frame(begin), self._frame(begin + self._size)
            is_whole = _is_frame(self._log, after, _sum(frame[SUM]))
            if whole and not is_whole:
                return 0
            whole = whole or (begin + self._size if is_whole else 0)
            if whole and any(frame[4:8]):  # a commit ends here, and is_whole says that one follows
                return whole
            begin += self._size
        return 0


def _is_header(log: bytearray) -> bool:
    magic, version, page_size, *_ = HEADER.unpack_from(log)
    if magic not in ORDERS or version != VERSION or page_size not in PAGE_SIZES:
        return False
    summed = _summed(log, log[:HEADER_SUMMED], np.zeros(2, np.uint32))
    return bool((summed == _sum(log[HEADER_SUMMED:HEADER_BYTES])).all())


def _is_frame(log: bytearray, frame: bytearray, before: Words) -> bool:
    return frame[SALT] == log[16:24] and bool((_sum(frame[SUM]) == _frame_summed(log, frame, before)).all())


def _flips(log: bytearray, frame: bytearray, before: Words) -> list[Flip]:
    """Each bit that would make it a frame of this log."""
    summed = _frame_summed(log, frame, before)
    if frame[SALT] != log[16:24]:
        return [flip for flip in _bits(range(8, 16)) if _is_frame(log, _with(frame, flip), before)]
    off = _sum(frame[SUM]) - summed
    flips = [flip for flip in _bits(range(16, 24)) if (_sum(_with(frame, flip)[SUM]) == summed).all()]
    words = _words(log, frame[:SUMMED] + frame[FRAME_BYTES:])
    weights, _ = _weights(len(words))
    for bit in range(32):
        steps = np.where(words >> np.uint32(bit) & np.uint32(1), np.uint32(2**32 - 2**bit), np.uint32(2**bit))
        for word in np.flatnonzero((weights * steps == off[:, np.newaxis]).all(axis=0)).tolist():
            at = 4 * word + (bit // 8 if _order(log) == "little" else 3 - bit // 8)
            flips.append((at if at < SUMMED else at + FRAME_BYTES - SUMMED, bit % 8))
    return flips


def _frame_summed(log: bytearray, frame: bytearray, before: Words) -> Words:
    return _summed(log, frame[:SUMMED] + frame[FRAME_BYTES:], before)


def _summed(log: bytearray, content: bytearray, before: Words) -> Words:
    words = _words(log, content)
    weights, carried = _weights(len(words))
    return weights @ words + carried @ before


@lru_cache(maxsize=4)
def _weights(count: int) -> tuple[Words, Words]:
    """What each of so many words is worth in the two sums, and what the sums before them are."""
    weights = np.zeros((2, count), np.uint32)
    step, carried = np.array([[1, 1], [1, 2]], np.uint32), np.eye(2, dtype=np.uint32)
    for word in range(count - 2, -1, -2):
        weights[:, word : word + 2] = carried @ np.array([[1, 0], [1, 1]], np.uint32)
        carried = carried @ step
    return weights, carried


def _order(log: bytearray) -> Literal["little", "big"]:
    return ORDERS[HEADER.unpack_from(log)[0]]


def _words(log: bytearray, content: bytearray) -> Words:
    return np.frombuffer(content, "<u4" if _order(log) == "little" else ">u4").astype(np.uint32)


def _sum(stored: bytearray) -> Words:
    """The two of a checksum as they stand in the log."""
    return np.frombuffer(stored, ">u4").astype(np.uint32)


def _bits(places: range) -> Iterator[Flip]:
    return ((at, bit) for at in places for bit in range(8))


def _with(content: bytearray, flip: Flip) -> bytearray:
    at, bit = flip
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
