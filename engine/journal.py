"""The journal: what "accepted" means. Records are appended and on disk before anybody is acknowledged, and a start
reads those again that came after the last snapshot.

A folder of segments, `00000001.journal`, `00000002.journal`, ... without a hole, and `lock`. The oldest ones may be
gone, once snapshots stand for them. A segment, little-endian:

    "sortjrnl"          8 bytes
    version             u32, 1
    frames              until the end of the file

and a frame, written by one `append` and synced before it returns,

    length              u32, of the payload, at least 1
    crc                 u32, CRC-32 (zlib) over segment number u32, the frame's offset u64, length u32, payload
    payload             canonical records, one JSON object a line, each ended by a line feed

The CRC covers where the frame stands, so that a block that ended up elsewhere is not taken for a frame, and zeros are
none. Only the last frame of the last segment can be half written: everything before it was synced earlier. So a broken
end is cut off, kept in a `.torn` file and reported; anything broken in front of a whole frame is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.errors import Full, Refused
from engine.whole_file import sync_folder

MAGIC = b"sortjrnl"
VERSION = 1
HEADER = MAGIC + struct.pack("<I", VERSION)
FRAME = struct.Struct("<II")
PLACE = struct.Struct("<IQI")
PAYLOAD_BYTES_MAX = 256 * 1024 * 1024
SEGMENT_BYTES_MIN = 64 * 1024
SEGMENT_BYTES_MAX = 64 * 1024 * 1024
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class Position(NamedTuple):
    """A place between two frames: all before it, or all after it."""

    segment: int
    offset: int

    def __str__(self) -> str:
        return f"{self.segment:08d}.journal offset {self.offset}"


BEGINNING = Position(1, len(HEADER))


class Journal:
    """`Journal(folder, bytes_max=...)` locks the folder; `recover()` to its end; then `append`; `close`.

    bytes_max: size of all segments together at which `append` raises Full. segment_bytes: size at which the next append
    begins a new segment; absent: a sixteenth of `bytes_max`, between SEGMENT_BYTES_MIN and SEGMENT_BYTES_MAX. Raises
    Refused where another process has the folder, or where its content cannot be trusted. Synchronous: call it off the
    event loop, one call at a time.
    """

    def __init__(self, folder: Path, *, bytes_max: int, segment_bytes: int | None = None) -> None:
        self.folder = folder
        self.bytes_max = bytes_max
        self.bytes = 0
        self.passed = 0  # bytes of the frames that were read or appended by this object
        self.torn: list[str] = []  # what `recover` cut off, one line each
        self._segment_bytes = segment_bytes or max(SEGMENT_BYTES_MIN, min(SEGMENT_BYTES_MAX, bytes_max // 16))
        self._file = -1
        self._number = 0
        self._offset = 0  # where the next frame goes
        self._last = 0  # where the last frame begins; 0: the segment has none
        self._failed = False
        self._calls = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)
        self._lock = _locked(folder / "lock")

    def first(self) -> int:
        """The number of its oldest segment; 0: it has none."""
        return min(_segments(self.folder), default=0)

    def holds(self, position: Position) -> bool:
        """Whether it reaches as far as to `position`, so that `recover(after=position)` can go on from there."""
        last = max(_segments(self.folder), default=0)
        path = self._path(position.segment)
        return position.segment < last or (path.exists() and position.offset <= path.stat().st_size)

    def read(self, after: Position, until: Position) -> Iterator[bytes]:
        """The payloads between two positions, in the order of the appends."""
        for number in self._following(after):
            if number <= until.segment:
                yield from self._read(number, after, until, last=False)

    def recover(self, after: Position = BEGINNING) -> Iterator[bytes]:
        """Every payload after a position, in the order of the appends; what lies before it is not looked at. Nothing
        can be appended before this has come to its end."""
        numbers = self._following(after)
        self.bytes = sum(self._path(number).stat().st_size for number in _segments(self.folder))
        for number in numbers:
            yield from self._read(number, after, None, last=number == numbers[-1])
        if not numbers:
            self._begin(1)
            return
        self._number = numbers[-1]
        self._file = os.open(self._path(self._number), os.O_RDWR | os.O_CLOEXEC)
        self._write_last_again()

    @property
    def position(self) -> Position:
        """Its end: where the next frame goes, or begins a new segment. Only after `recover`."""
        return Position(self._number, self._offset)

    def append(self, payload: bytes) -> None:
        """Durable when it returns. Full: no room, nothing was written. Any other error: this journal is at its end.

        A sync that failed is never tried again: the kernel has dropped the pages, and a second sync would say yes.
        """
        with self._calls:
            if self._file < 0 or self._failed:
                raise RuntimeError("the journal is not open for appending")
            if not 0 < len(payload) <= PAYLOAD_BYTES_MAX:
                raise ValueError(f"a payload of {len(payload)} bytes: 1 to {PAYLOAD_BYTES_MAX} are possible")
            if self.bytes + FRAME.size + len(payload) > self.bytes_max:
                raise Full(f"the journal {self.folder} has reached {self.bytes_max} bytes (engine.journal_bytes_max)")
            if self._offset >= self._segment_bytes:
                self._begin(self._number + 1)
            self._write(payload)

    def drop_before(self, position: Position, bytes_kept: int) -> int:
        """Segments that lie wholly before `position` go, the oldest first, while all together have more than
        `bytes_kept`. Returns how many bytes went. Something durable has to stand for them."""
        with self._calls:
            dropped = 0
            for number in _segments(self.folder):
                if self.bytes <= bytes_kept or number >= min(position.segment, self._number):
                    break
                size = self._path(number).stat().st_size
                self._path(number).unlink()
                self.bytes -= size
                dropped += size
            if dropped:
                sync_folder(self.folder)
            return dropped

    def close(self) -> None:
        with self._calls:
            for file in (self._file, self._lock):
                if file >= 0:
                    os.close(file)
            self._file = self._lock = -1

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.journal"

    def _following(self, after: Position) -> list[int]:
        """The segments from that of `after` on. Older ones are no matter: a crash while they went may leave any."""
        if after != BEGINNING and not self.holds(after):
            raise Refused(
                f"{self.folder} ends before {after}, where a snapshot or a change of the rules stands: they do not "
                "belong together. Put the journal back from a copy, or begin with a new data_dir"
            )
        numbers = [number for number in _segments(self.folder) if number >= after.segment]
        for expected, number in enumerate(numbers, after.segment):
            if number != expected:
                raise Refused(
                    f"{self.folder}: {expected:08d}.journal is missing; put it back from a copy, "
                    "or move the folder away to begin with nothing"
                )
        return numbers

    def _write(self, payload: bytes) -> None:
        head = FRAME.pack(len(payload), _crc(self._number, self._offset, payload))
        try:
            _write_at(self._file, self._offset, head + payload)
        except OSError as error:
            if error.errno not in NO_SPACE:
                self._failed = True
                raise
            os.ftruncate(self._file, self._offset)
            raise Full(f"no space is left on the device of {self.folder}") from error
        self._sync(self._file)
        self._last = self._offset
        self._offset += FRAME.size + len(payload)
        self.bytes += FRAME.size + len(payload)
        self.passed += FRAME.size + len(payload)

    def _sync(self, file: int) -> None:
        try:
            os.fdatasync(file)
        except OSError:
            self._failed = True
            raise

    def _begin(self, number: int) -> None:
        """The next segment, its name durable before anything stands in it."""
        path = self._path(number)
        file = -1
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            _write_at(file, 0, HEADER)
        except OSError as error:
            if file >= 0:
                os.close(file)
                path.unlink()
            if error.errno in NO_SPACE:
                raise Full(f"no space is left on the device of {self.folder}") from error
            raise
        self._sync(file)
        sync_folder(self.folder)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._number, self._offset, self._last = file, number, len(HEADER), 0
        self.bytes += len(HEADER)

    def _write_last_again(self) -> None:
        """Once more over itself: after a sync that failed, a frame can be read from memory and yet not be on disk."""
        at = self._last
        _write_at(self._file, at, os.pread(self._file, self._offset - at, at))
        self._sync(self._file)

    def _read(self, number: int, after: Position, until: Position | None, last: bool) -> Iterator[bytes]:
        """The segment's payloads between the two. last: its end may be half written, and is cut off then."""
        path = self._path(number)
        with path.open("rb") as file:
            if not self._header_stands(path, file.read(len(HEADER)), last):
                return
            offset = after.offset if number == after.segment else len(HEADER)
            begin = offset if offset > len(HEADER) else 0
            size = path.stat().st_size if until is None or number < until.segment else until.offset
            file.seek(offset)
            while offset < size:
                payload = _payload(file, number, offset, size)
                if payload is None:
                    self._cut(path, number, offset, last)
                    break
                yield payload
                begin, offset = offset, offset + FRAME.size + len(payload)
                self.passed += FRAME.size + len(payload)
        self._offset, self._last = offset, begin

    def _header_stands(self, path: Path, header: bytes, last: bool) -> bool:
        """False: the segment was being made when the machine stopped; it is empty, and begun again."""
        if header == HEADER:
            return True
        size = path.stat().st_size
        if header[: len(MAGIC)] == MAGIC and len(header) == len(HEADER):
            version = struct.unpack_from("<I", header, len(MAGIC))[0]
            raise Refused(f"{path}: is of version {version}, this program reads {VERSION}: start the newer one")
        if not last or size > len(HEADER):
            raise _damaged(path, 0, "its first bytes are not those of a journal")
        with path.open("r+b") as file:
            _write_at(file.fileno(), 0, HEADER)
            os.fsync(file.fileno())
        self.bytes += len(HEADER) - size
        self._offset, self._last = len(HEADER), 0
        self.torn.append(f"{path}: was being made when the machine stopped; begun again")
        return False

    def _cut(self, path: Path, number: int, offset: int, last: bool) -> None:
        """The end of the file from `offset` on goes to a `.torn` file, if nothing whole stands behind it."""
        with path.open("r+b") as file:
            file.seek(offset)
            tail = file.read()
            whole = _next_frame(tail, number, offset)
            if not last or whole >= 0:
                raise _damaged(
                    path, offset, f"a broken frame, the next whole one at {whole}" if whole >= 0 else "a broken frame"
                )
            kept = path.with_name(f"{path.name}.{offset}.torn")
            with kept.open("wb") as copy:
                copy.write(tail)
                copy.flush()
                os.fsync(copy.fileno())
            sync_folder(self.folder)
            file.truncate(offset)
            os.fsync(file.fileno())
        self.bytes -= len(tail)
        self.torn.append(
            f"{path}: cut at {offset}; the {len(tail)} bytes of an unfinished append are kept in {kept.name}"
        )


def _crc(number: int, offset: int, payload: bytes | memoryview) -> int:
    return zlib.crc32(payload, zlib.crc32(PLACE.pack(number, offset, len(payload))))


def _payload(file: BufferedReader, number: int, offset: int, size: int) -> bytes | None:
    """The payload of the frame at `offset`, where the file stands; None if no whole frame is there."""
    head = file.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    length, crc = FRAME.unpack(head)
    if not 0 < length <= size - offset - FRAME.size:
        return None
    payload = file.read(length)
    return payload if len(payload) == length and _crc(number, offset, payload) == crc else None


def _next_frame(tail: bytes, number: int, base: int) -> int:
    """Offset in the file of the first whole frame behind the beginning of `tail`, which is at `base`; -1: none."""
    view = memoryview(tail)
    for at in sorted(_plausible(tail)):
        length, crc = FRAME.unpack_from(tail, at)
        if at and _crc(number, base + at, view[at + FRAME.size : at + FRAME.size + length]) == crc:
            return base + at
    return -1


def _plausible(tail: bytes) -> Iterator[int]:
    """Where a length stands that fits into `tail`: seldom in text, whose bytes make numbers far too great."""
    for shift in range(4):
        count = max(len(tail) - shift, 0) // 4
        words = np.frombuffer(memoryview(tail)[shift : shift + 4 * count], "<u4").astype(np.int64)
        room = len(tail) - shift - FRAME.size - 4 * np.arange(count)
        yield from (int(4 * word + shift) for word in np.flatnonzero((words > 0) & (words <= room)))


def _segments(folder: Path) -> list[int]:
    """Their numbers, in order."""
    return sorted(int(path.stem) for path in folder.glob("*.journal") if path.stem.isdecimal())


def _damaged(path: Path, offset: int, what: str) -> Refused:
    return Refused(
        f"{path}: damaged at offset {offset}: {what}. Put the file back from a copy. To give up the records from there "
        f"on instead: keep a copy, then `truncate -s {offset} {path}` and move later segments out of the folder"
    )


def _write_at(file: int, offset: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(file, view, offset)
        offset += written
        view = view[written:]


def _locked(path: Path) -> int:
    """The lock file, held for as long as this process lives. Refused where another one holds it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(file, 32, 0).decode("ascii", "replace").strip()
        os.close(file)
        raise Refused(f"{path.parent} is in use by process {owner or '?'}: one engine a data folder") from None
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return file
