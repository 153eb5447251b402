"""The journal: what "accepted" means. Records are appended and on disk before anybody is acknowledged, and a start
reads those again that came after the last snapshot.

A folder of segments (see segments), `00000001.journal`, `00000002.journal`, ... without a hole, and `lock`. One append
is one frame and one sync: a group of whatever came meanwhile. The room of a segment is reserved when it is begun. Every
start begins a new one, so that nothing is ever appended behind what a crash may have left. Segments that snapshots
stand for are packed (`.journal.zst`), kept to look at, and go when there are too many or they are too old.

Only the last frame of the last segment can be half written: everything before it was synced earlier. It was never
acknowledged, and stays where it is, outside of the segment's end as the next one knows it. What is damaged in front of
whole frames was acknowledged: a single flipped bit is turned back; else what is lost is counted and reported, and
reading goes on at the next whole frame. A segment that is missing, or no segment at all, is refused.
"""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from engine.clock import Clock, now_us
from engine.disk import DISK, Disk
from engine.errors import Full, Missing, Refused
from engine.segment_folder import SegmentFolder
from engine.segments import FRAME, HEADER_BYTES, VERSION, Header, Part, any_byte
from ext import frames

PAYLOAD_BYTES_MAX = frames.PAYLOAD_BYTES_MAX
SEGMENT_BYTES_MIN = 64 * 1024
SEGMENT_BYTES_MAX = 64 * 1024 * 1024
REPORTS_MAX = 1_000
RESERVED_PART = 4
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
PADS = tuple(bytes(count) for count in range(frames.ALIGN_BYTES))


class Position(NamedTuple):
    """A place between two frames: all before it, or all after it."""

    segment: int
    offset: int

    def __str__(self) -> str:
        return f"{self.segment:08d}.journal offset {self.offset}"


BEGINNING = Position(1, 12)  # before the first frame of any version


class Journal:
    """`Journal(folder, bytes_max=...)` locks the folder; `recover()` to its end; then `append`; `close`.

    bytes_max: size of all segments together at which `append` raises Full. segment_bytes: size at which the next append
    begins a new segment; absent: a sixteenth of `bytes_max`, between SEGMENT_BYTES_MIN and SEGMENT_BYTES_MAX. Raises
    Refused where another process has the folder, or where its content cannot be trusted. Synchronous: call it off the
    event loop; `append` and `pack_before` may be called at the same time, else one call at a time.

    bytes: of all segments, without the room that is only reserved. passed: bytes of the frames that were read or
    appended by this object. at: where the payload stood that was read last. reports: what `recover` found that is not
    as it should be, one line each. lost_bytes: how much of what was accepted, and comes after the place from which
    `recover` read, is lost. unfinished_bytes: what stands behind the last whole frame: an append that a crash cut
    short, if nothing was decided on it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bytes_max: int,
        segment_bytes: int | None = None,
        disk: Disk = DISK,
        clock: Clock = now_us,
    ) -> None:
        self.folder = folder
        self.bytes_max = bytes_max
        self.bytes = 0
        self.passed = 0
        self.at = BEGINNING
        self.reports: list[str] = []
        self.lost_bytes = 0
        self.unfinished_bytes = 0
        self._segment_bytes = segment_bytes or max(SEGMENT_BYTES_MIN, min(SEGMENT_BYTES_MAX, bytes_max // 16))
        self._disk = disk
        self._clock = clock
        self._file = -1
        self._number = 0
        self._offset = 0  # where the next frame goes
        self._reserved = 0  # up to where the blocks of this segment are its own
        self._empty = False  # the last segment that was read has nothing in it, and may be begun again
        self._end_before = 0  # where the segment before it ends
        self._failed = False
        self._waiting_for_room = False  # for the segment with which a start begins
        self._calls = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "journal")
        disk.make_folder(folder)
        self._lock = _locked(disk, folder / "lock")
        try:
            self._segments = SegmentFolder(folder, disk)
            self._segments.clear_leftovers()
            self.bytes = self._segments.bytes()
        except BaseException:
            disk.close(self._lock)
            raise

    def first(self) -> int:
        """The number of its oldest segment; 0: it has none."""
        return min(self._segments.numbers(), default=0)

    @property
    def is_of_first_release(self) -> bool:
        """Whether no later one than 0.1.0 has begun a segment: each start begins one."""
        header = self._segments.header(max(self._segments.numbers(), default=0))
        return header is not None and header.version == 1

    def read(self, after: Position, until: Position) -> Iterator[bytes]:
        """The payloads between two positions, in the order of the appends."""
        for number in self._following(after):
            if number <= until.segment:
                yield from self._payloads(number, after, until)

    def recover(self, after: Position = BEGINNING) -> Iterator[bytes]:
        """Every payload after a position, in the order of the appends; what lies before it is not looked at. Nothing
        can be appended before this has come to its end."""
        for number in (*self._segments.lost_in_front(), *self._segments.missing()):
            if number < after.segment and len(self.reports) < REPORTS_MAX:
                path = self._segments.path(number)
                self.reports.append(f"{path}: is missing; snapshots stand for it, a replay misses it")
        for number in self._following(after):
            yield from self._payloads(number, after, None)
        self._begin_anew()

    @property
    def position(self) -> Position:
        """Its end: where the next frame goes, or begins a new segment. Only after `recover`."""
        return Position(self._number, self._offset)

    def append(self, payload: bytes) -> None:
        """Durable when it returns. Full: no room, nothing was written. Any other error: this journal is at its end.

        A sync that failed is never tried again: the kernel has dropped the pages, and a second sync would say yes.
        """
        with self._calls:
            if self._waiting_for_room:
                self._begin_anew()
            if self._waiting_for_room:
                raise self._no_space()
            if self._file < 0 or self._failed:
                raise RuntimeError("the journal is not open for appending")
            if not 0 < len(payload) <= PAYLOAD_BYTES_MAX:
                raise ValueError(f"a payload of {len(payload)} bytes: 1 to {PAYLOAD_BYTES_MAX} are possible")
            if self.bytes + FRAME.size + len(payload) > self.bytes_max:
                raise Full(f"the journal {self.folder} has reached {self.bytes_max} bytes (engine.journal_bytes_max)")
            if self._offset >= self._segment_bytes:
                self._roll(self._number + 1)
            self._write(payload)

    async def append_aside(self, payload: bytes) -> None:
        """`append`, off the event loop. In a thread of its own: those that all share may all be waiting, for a database
        that another process holds, and no acknowledgement waits for that."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self.append, payload)

    def drop_before(self, position: Position, bytes_kept: int, begun_before_us: int = 0) -> int:
        """Segments that lie wholly before `position` go, the oldest first, while all together have more than
        `bytes_kept`, or all in them is older than `begun_before_us`. Returns how many bytes went. Something durable has
        to stand for them."""
        with self._calls:
            left, going = self.bytes, []
            for number in self._segments.numbers():
                held = self._segments.held(number)
                if held is None or number >= min(position.segment, self._number):
                    break
                following = self._segments.header(number + 1)
                over = following is not None and 0 < following.begun_us < begun_before_us
                if left <= bytes_kept and not over:
                    break
                left -= held.bytes
                going.append(number)
            if going:
                self._segments.begin_with(going[-1] + 1)
        return sum(map(self._drop, going))

    def _drop(self, number: int) -> int:
        """One at a time: a crash leaves no hole between those that went, and who appends waits for no more than one."""
        with self._calls:
            if self._lock < 0:
                return 0  # closed meanwhile: the folder may be another process's
            given = self._segments.drop(number)
            self._disk.sync_folder(self.folder)
            self.bytes -= given
            return given

    def pack_before(self, position: Position) -> int:
        """The oldest segment that lies wholly before `position` and is not packed yet, is packed. Returns its number;
        0: there is none."""
        end = min(position.segment, self._number)
        unpacked = (held for number in self._segments.numbers() if (held := self._segments.held(number)) is not None)
        number = next((held.number for held in unpacked if held.number < end and not held.packed), 0)
        if number:
            given = self._segments.pack(number)
            with self._calls:
                self.bytes -= given
        return number

    def device_bytes(self) -> tuple[int, int]:
        """How much its device has left for this user, what is reserved here included, and how much there is in all."""
        free, total = self._disk.device_bytes(self.folder)
        return free + max(0, self._reserved - self._offset), total

    def close(self) -> None:
        self._thread.shutdown()
        with self._calls:
            if self._file >= 0:
                if not self._failed:
                    self._disk.truncate(self._file, self._offset)  # what was reserved is given back
                self._disk.close(self._file)
            if self._lock >= 0:
                self._disk.close(self._lock)
            self._file = self._lock = -1

    # reading

    def _following(self, after: Position) -> list[int]:
        """The segments from that of `after` on. Older ones are no matter: a crash while they went may leave any."""
        numbers = [number for number in self._segments.numbers() if number >= after.segment]
        if after != BEGINNING and not numbers:
            raise self._ends_before(after)
        first = self.first() if after == BEGINNING and self.first() and self.begins() else after.segment
        for number in self._segments.missing(first):
            raise Missing(
                f"{self.folder}: {number:08d}.journal is missing; put it back from a copy, or move the folder "
                f"away to begin with nothing. To give up what was in it: {self._repair()}"
            )
        return numbers

    def begins(self) -> bool:
        """Whether it can be read from its beginning on: that is there, or its loss was accepted."""
        first = self.first()
        return first <= 1 or self._segments.is_loss(first)

    def _payloads(self, number: int, after: Position, until: Position | None) -> Iterator[bytes]:
        """The segment's payloads between the two; where it ends is kept for the next one."""
        start = after.offset if number == after.segment else 0
        stop = until.offset if until is not None and number == until.segment else None
        last = None
        header = self._segments.header(number)
        end = max(start, header.size if header is not None and header.version else HEADER_BYTES)
        for part in self._reaching(number, start, after):
            if stop is not None and part.start >= stop:
                break
            self._note(number, part)
            if part.payload is not None:
                self.at = Position(number, part.start)
                yield part.payload
                last = part
                self.passed += part.end - part.start
            if not part.unfinished:
                end = part.end
        if until is None:
            self._end_before, self._number, self._offset = self._offset, number, end
            if number == max(self._segments.numbers()):
                self._settle(number, end, last)

    def _reaching(self, number: int, start: int, after: Position) -> Iterator[Part]:
        """The segment's parts from `start` on. Refused if it ends before, unless that was accepted."""
        if number != after.segment or after == BEGINNING:
            if self._segments.is_loss(number):
                self.lost_bytes += 1
                self.reports.append(f"{self._segments.path(number)}: what stood before it is lost; that was accepted")
        elif not self._segments.reaches(number, start):
            later = (each for each in self._segments.numbers() if each >= number)
            if not any(map(self._segments.is_loss, later)):
                raise self._ends_before(after)
            self.lost_bytes += 1
            self.reports.append(f"{self._segments.path(number)}: ends before offset {start}; that was accepted")
            return
        yield from self._segments.parts(number, start)

    def _note(self, number: int, part: Part) -> None:
        if part.payload is None and not part.unfinished:
            self.lost_bytes += part.end - part.start
        if part.unfinished and part.start:
            self.unfinished_bytes = part.end - part.start
        if part.flaw and len(self.reports) < REPORTS_MAX:
            self.reports.append(f"{self._segments.path(number)}: {part.flaw}")

    def _ends_before(self, after: Position) -> Missing:
        return Missing(
            f"{self.folder} ends before {after}, where a snapshot or a change of the rules stands: they do not belong "
            "together. Put the journal back from a copy, or begin with a new data_dir. To go on without what is "
            f"missing: {self._repair()}"
        )

    def _repair(self) -> str:
        return f"sortline fsck --repair {self.folder.parent}"

    # writing

    def _settle(self, number: int, end: int, last: Part | None) -> None:
        """The last segment as it is left: its last frame once more over itself, for after a sync that failed a frame
        can be read from memory and yet not be on disk; and what was only reserved is given back."""
        held = self._segments.held(number)
        assert held is not None
        if held.packed:
            return
        file = self._disk.open(held.path)
        try:
            size = self._disk.size(file)
            if last is not None:
                self._disk.write(file, last.start, [self._disk.read(file, last.start, last.end - last.start)])
                self._disk.sync(file)
            clean = not any_byte(self._disk.read(file, end, size - end), 0)
            if clean and size > end:
                self._disk.truncate(file, end)
                size = end
        finally:
            self._disk.close(file)
        header = self._segments.header(number)
        assert header is not None
        self._empty = (
            clean
            and last is None
            and end == HEADER_BYTES
            and header.version != 1
            and not self._segments.is_loss(number)
        )
        self._end_before = header.end_before or self._end_before
        self._segments.note(number, size)

    def _begin_anew(self) -> None:
        """A new segment behind what was read; one in which nothing is yet, is begun again. Where there is no room for
        one, the next append tries again: a full disk must not keep the engine from delivering what it has."""
        self.bytes = self._segments.bytes()
        self._waiting_for_room = True
        self._segments.begin_with_oldest()
        try:
            if self._empty:
                self._begin(self._number, self._end_before)
            else:
                self._begin(self._number + 1, self._offset)
        except Full:
            return
        self._waiting_for_room = False
        self.bytes = self._segments.bytes()

    def _roll(self, number: int) -> None:
        before, end = self._file, self._offset
        self._begin(number, end)
        self._disk.truncate(before, end)
        self._disk.close(before)
        self._segments.note(number - 1, end)

    def _begin(self, number: int, end_before: int) -> None:
        """The segment, its name durable before anything stands in it. One that is begun again keeps its header, and is
        never shorter than that: a snapshot may stand for the place behind it."""
        path = self._segments.path(number)
        begun = self._segments.header(number)
        kept = begun if begun is not None and begun.version == VERSION else None
        header = kept or Header(VERSION, number, self._clock(), end_before)
        file = -1
        try:
            file = self._disk.open(path, create=True)
            if kept is None:
                self._disk.truncate(file, 0)
            self._disk.write(file, 0, [header.encode()])
            self._reserve(file)
        except OSError as error:
            if file >= 0:
                self._disk.close(file)
                if kept is None:
                    self._disk.unlink(path)
            if error.errno in NO_SPACE:
                raise self._no_space() from error
            raise
        try:
            self._sync(file)
            self._disk.sync_folder(self.folder)
        except OSError:
            self._failed = True
            raise
        self._file, self._number, self._offset = file, number, HEADER_BYTES
        self._segments.note(number, HEADER_BYTES)
        self.bytes += HEADER_BYTES

    def _reserve(self, file: int) -> None:
        """Room for the whole segment, but no more than a part of what is free: others need some, too. Beyond it, each
        append has to find its own."""
        self._reserved = 0
        free, _ = self._disk.device_bytes(self.folder)
        size = min(self._segment_bytes, self.bytes_max - self.bytes, free // RESERVED_PART)
        if size <= HEADER_BYTES:
            return
        try:
            self._disk.reserve(file, size)
            self._reserved = size
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self._disk.truncate(file, HEADER_BYTES)

    def _write(self, payload: bytes) -> None:
        size = FRAME.size + len(payload)
        pad = PADS[-size % frames.ALIGN_BYTES]
        head = frames.head(payload, self._number, self._offset)
        try:
            self._disk.write(self._file, self._offset, [head, payload, pad])
        except OSError as error:
            self._failed = error.errno not in NO_SPACE
            if self._failed:
                raise
            self._take_back()
            raise self._no_space() from error
        self._sync(self._file)
        size += len(pad)
        self._offset += size
        self.bytes += size
        self.passed += size

    def _no_space(self) -> Full:
        return Full(f"no space is left on the device of {self.folder}")

    def _take_back(self) -> None:
        """What was written of a frame that found no room."""
        try:
            self._disk.truncate(self._file, self._offset)
        except OSError:
            self._failed = True
            raise

    def _sync(self, file: int) -> None:
        try:
            self._disk.sync(file)
        except OSError:
            self._failed = True
            raise


def _locked(disk: Disk, path: Path) -> int:
    """The lock file, held for as long as this process lives. Refused where another one holds it."""
    try:
        return disk.lock(path)
    except BlockingIOError as error:
        raise Refused(f"{path.parent} is in use by process {error.strerror}: one engine a data folder") from None
