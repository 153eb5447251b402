"""The segments of a journal as they lie in its folder: which there are, where each ends, and what can be read of them.

Reading needs no lock: a segment is never changed once the next one is there, and packing puts the new file in place
before the old one goes. What was packed while somebody reads is looked for once more.

Older segments are let go, and nothing else would tell those that are lost from them: so the name of an empty file,
`00000003.first`, says with which segment the journal begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from engine.disk import DISK, Disk
from engine.errors import Refused
from engine.passed_over import NAME, PassedOver
from engine.segments import (
    LOSS,
    PACKED,
    SUFFIX,
    VERSION,
    Content,
    Header,
    Part,
    pack,
    read_content,
    read_header,
    unpack,
)
from engine.whole_file import BAD, NEW, read_whole, write_whole

FIRST = ".first"

Read = TypeVar("Read")


class Gone(Refused):
    """A segment that was there a moment ago."""


class Held(NamedTuple):
    """One segment. bytes: of its file."""

    number: int
    path: Path
    bytes: int

    @property
    def packed(self) -> bool:
        return self.path.name.endswith(PACKED)


class SegmentFolder:
    """`look` again after something else than this object has changed the folder."""

    def __init__(self, folder: Path, disk: Disk = DISK) -> None:
        self.folder = folder
        self.disk = disk
        self._held: dict[int, Held] = {}
        self._headers: dict[int, Header] = {}
        self._aside: set[int] = set()
        self._first: int | None = None  # as the name says
        self.look()

    def look(self) -> None:
        found: dict[int, Held] = {}
        # of a segment that is there twice, packing was cut short: the one that is not packed is whole in any case
        for name in sorted(self.disk.names(self.folder), key=lambda name: not name.endswith(PACKED)):
            stem, _, suffix = name.partition(".")
            if stem.isdecimal() and f".{suffix}" in (SUFFIX, PACKED):
                path = self.folder / name
                size = self.disk.bytes_of(path)
                if size >= 0:
                    found[int(stem)] = Held(int(stem), path, size)
        self._held = dict(sorted(found.items()))
        self._headers = {}
        self._aside = self._named(BAD)
        self._first = max(self._named(FIRST), default=None)

    def _named(self, end: str) -> set[int]:
        stems = (name.partition(".")[0] for name in self.disk.names(self.folder) if name.endswith(end))
        return {int(stem) for stem in stems if stem.isdecimal()}

    def clear_leftovers(self) -> None:
        """What a crash left of packing, or of another file that was never whole."""
        for name in self.disk.names(self.folder):
            if name.endswith(NEW):
                self.disk.unlink(self.folder / name)

    def numbers(self) -> list[int]:
        return list(self._held)

    def missing(self, first: int | None = None) -> list[int]:
        """Those from `first` on, by default the oldest, that should be there and are not: holes, and what a repair has
        put aside and that nothing stands for, because it was cut short then."""
        first = min(self._held or self._aside, default=1) if first is None else first
        return [
            number
            for number in range(first, max([*self._held, *self._aside], default=0) + 1)
            if number not in self._held
        ]

    def lost_in_front(self) -> list[int]:
        """Those in front of the oldest one that nobody has let go, and whose loss nobody has accepted."""
        oldest = min(self._held, default=0)
        return [] if self._first is None or self.is_loss(oldest) else list(range(self._first, oldest))

    def held(self, number: int) -> Held | None:
        return self._held.get(number)

    def path(self, number: int) -> Path:
        """Of a segment that is not packed."""
        return self.folder / f"{number:08d}{SUFFIX}"

    def bytes(self) -> int:
        return sum(held.bytes for held in self._held.values())

    def header(self, number: int) -> Header | None:
        """None: there is no such segment."""
        if number not in self._headers:
            try:
                header = self._read(number, read_header)  # which may look anew
            except Gone:
                return None
            self._headers[number] = header
        return self._headers[number]

    def end(self, number: int) -> int | None:
        """Where the segment ends, as the next one says; None: nothing says it."""
        header = self.header(number + 1)
        return header.end_before if header is not None and header.version == VERSION and header.end_before else None

    def reaches(self, number: int, offset: int) -> bool:
        """Whether the segment is known to have had something at `offset`, or ended there."""
        end = self.end(number)
        if end is not None:
            return end >= offset
        held = self._held[number]
        return offset <= (len(self.content(number).data) if held.packed else held.bytes)

    def is_loss(self, number: int) -> bool:
        """Whether it stands for something that is lost, which was accepted."""
        header = self.header(number)
        return header is not None and bool(header.flags & LOSS)

    def content(self, number: int) -> Content:
        """Raises Refused for what is no segment, Gone where there is none any more."""
        return self._read(number, read_content)

    def _read(self, number: int, read: Callable[[Disk, Path, int], Read]) -> Read:
        """An engine at work may have packed the segment since this object looked, or let it go."""
        for _ in range(2):
            held = self._held.get(number)
            if held is None:
                break
            try:
                return read(self.disk, held.path, number)
            except FileNotFoundError:
                self.look()
        raise Gone(f"{self.path(number)}: the engine let it go while it was read: begin again with what is there")

    def parts(self, number: int, start: int = 0) -> Iterator[Part]:
        """What can be read of a segment from `start` on, and what cannot."""
        content = self.content(number)
        end = self.end(number)
        if end is None and content.header.version < VERSION and number + 1 in self._held:
            end = len(content.data)
        if content.flaw:
            yield Part(0, content.header.size, None, content.flaw, unfinished=True)
        yield from content.parts(start, end)

    # what changes the folder

    def begin_with(self, number: int) -> None:
        """Those in front of it are let go: durable when it returns, and before any of them goes."""
        if self._first == number:
            return
        path = self.folder / f"{number:08d}{FIRST}"
        before, self._first = self._first, number
        try:
            if before is None:
                self.disk.close(self.disk.open(path, create=True))
            else:
                self.disk.rename(self.folder / f"{before:08d}{FIRST}", path)
        except OSError:
            self._first = None
            if before is not None:
                self.disk.unlink(self.folder / f"{before:08d}{FIRST}")  # to say nothing is better than what is wrong
        self.disk.sync_folder(self.folder)

    def begin_with_oldest(self) -> None:
        """Where nothing says with which: a new folder, or one of an earlier version."""
        if self._first is None:
            self.begin_with(min(self._held, default=1))

    def note(self, number: int, size: int) -> None:
        """The segment, not packed, is there now, and has this size."""
        self._held[number] = Held(number, self.path(number), size)
        self._headers.pop(number, None)

    def drop(self, number: int) -> int:
        """The segment goes. Returns how many bytes that gives; the caller syncs the folder."""
        held = self._held.pop(number)
        self._headers.pop(number, None)
        self.disk.unlink(held.path)
        packed = self.folder / f"{number:08d}{PACKED}"
        if not held.packed and self.disk.bytes_of(packed) >= 0:
            self.disk.unlink(packed)
        return held.bytes

    def stand_in(self, number: int, begun_us: int) -> Path:
        """An empty segment that says: what stood here, or before it, is lost, and that was accepted."""
        self.look()
        before = self.parts(number - 1) if number - 1 in self._held else ()
        end = max((part.end for part in before if not part.unfinished), default=0)
        path = self.path(number)
        write_whole(path, Header(VERSION, number, begun_us, end, LOSS).encode(), self.disk)
        self.look()
        return path

    def pack(self, number: int) -> int:
        """The segment, which has to be complete, packed: the new file is durable and was read back before the old one
        goes. Returns how many bytes that gives."""
        held = self._held[number]
        raw = read_whole(held.path, self.disk)
        end = self.end(number)
        data = raw[: len(raw.rstrip(b"\0")) if end is None else max(end, len(raw.rstrip(b"\0")))]
        path = self.folder / f"{number:08d}{PACKED}"
        write_whole(path, pack(data), self.disk)
        written = read_whole(path, self.disk)
        if unpack(written).data != data:
            self.disk.unlink(path)
            raise OSError(f"{path}: has not come back as it was written")
        self.disk.unlink(held.path)
        self.disk.sync_folder(self.folder)
        self._held[number] = Held(number, path, len(written))
        return held.bytes - len(written)


def journal_of(where: Path) -> Path | None:
    """The journal's folder that `where` is, or has; None: there is none."""
    for folder in (where, where / "journal"):
        if folder.is_dir() and any(path.name.endswith((SUFFIX, PACKED)) for path in folder.iterdir()):
            return folder
    return None


def readable(
    segments: SegmentFolder, numbers: Sequence[int], say: Callable[[str], None]
) -> Iterator[tuple[int, int, bytes]]:
    """(segment, offset, payload) of all that can be read of these segments. What cannot, and what is missing between
    them, is said, one line each."""
    if list(numbers[:1]) == segments.numbers()[:1]:
        for missing in segments.lost_in_front():
            say(f"{segments.path(missing)}: is missing")
    for before, number in zip([*numbers[:1], *numbers], numbers, strict=False):
        for missing in range(before + 1, number):
            say(f"{segments.path(missing)}: is missing")
        if segments.is_loss(number):
            say(f"{segments.path(number)}: what stood before it is lost; that was accepted")
        for part in segments.parts(number):
            if part.flaw:
                say(f"{segments.path(number)}: {part.flaw}")
            if part.payload is not None:
                yield number, part.start, part.payload


class Kept(NamedTuple):
    """The journal of a data folder, or one segment of it. folder: the data folder. payloads: all that can be read, as a
    start decides on it, each with its place: (segment, offset)."""

    folder: Path
    payloads: Iterator[tuple[tuple[int, int], bytes]]


def kept_in(where: Path, say: Callable[[str], None]) -> Kept | None:
    """What a journal's folder, a data folder, or one segment holds; None: it is none of them. say: as above."""
    if where.name.endswith((SUFFIX, PACKED)) and where.name.partition(".")[0].isdecimal():
        segments, numbers = SegmentFolder(where.parent), [int(where.name.partition(".")[0])]
    elif where.is_dir() and (folder := journal_of(where)) is not None:
        segments = SegmentFolder(folder)
        numbers = segments.numbers()
        if numbers[0] > 1 and not segments.is_loss(numbers[0]):
            first = segments.path(numbers[0]).name
            say(f"{folder}: begins with {first}: what came of the records before it is not known")
    else:
        return None
    data = segments.folder.parent
    passed_over = PassedOver(data / NAME, put_damaged_aside=False)
    return Kept(
        data,
        (
            ((number, offset), passed_over.without((number, offset), payload))
            for number, offset, payload in readable(segments, numbers, say)
        ),
    )
