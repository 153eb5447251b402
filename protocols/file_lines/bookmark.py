"""How far a file was read, durably: so that a restart goes on there, and begins anew with another file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from zlib import crc32

import msgspec

from engine.errors import Refused
from engine.whole_file import put_aside, write_whole

ENTRIES_MAX = 10_000
"""So many entries of a folder are looked at."""
BEFORE_BYTES = 512
"""By so many bytes before a place a file is known: the inode of one that was removed goes to the next."""

LOOKS_MAX = 10
"""So often a folder is looked through before what was seen twice has to do."""

Identity = tuple[int, int]
"""Device and inode: the file as the system knows it, whatever its name."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """`device`, `inode`: the file as the system knows it, whatever its name. `offset`: bytes of it that are safe.
    `before`: CRC-32 of the last of them; `written_ns`: when the file was last written to. None: of an earlier version,
    which did not look."""

    device: int
    inode: int
    offset: int
    before: int | None = None
    written_ns: int | None = None


class Bookmark:
    """A file of ours. One that cannot be understood is put aside, and reading begins as without it."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._written: Place | None = None

    def read(self) -> Place | None:
        try:
            self._written = msgspec.json.decode(self._path.read_bytes(), type=Place)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            put_aside(self._path)
            return None
        except OSError as error:
            raise Refused(f"bookmark {self._path}: {error.strerror or error}") from None
        return self._written

    def write(self, place: Place) -> None:
        """Durable when it returns; takes a disk's time. Raises OSError."""
        if place != self._written:
            write_whole(self._path, msgspec.json.encode(place))
            self._written = place


def place_of(fd: int, offset: int) -> Place:
    """A place in an open file."""
    known = os.fstat(fd)
    begin = max(0, offset - BEFORE_BYTES)
    before = crc32(os.pread(fd, offset - begin, begin))
    return Place(device=known.st_dev, inode=known.st_ino, offset=offset, before=before, written_ns=known.st_mtime_ns)


def leads_to(place: Place, fd: int) -> bool:
    """Whether this is the file of a place, and it still has what was before it."""
    here = place_of(fd, place.offset)
    same_file = (here.device, here.inode) == (place.device, place.inode) and place.offset <= os.fstat(fd).st_size
    return same_file and place.before in (None, here.before)


def copied(path: Path, known: Place) -> int | None:
    """Opened where a place of a file is that was cut since: the newest file beside it that begins as that one did, and
    goes on. Who cuts a file has mostly copied it first."""
    for _, name in sorted(((entry.stat().st_mtime_ns, entry.path) for entry in files_beside(path)), reverse=True):
        with suppress(OSError), _opened(name) as fd:
            if os.fstat(fd).st_size > known.offset > 0 and place_of(fd, known.offset).before == known.before:
                copy = os.dup(fd)
                os.lseek(copy, known.offset, os.SEEK_SET)
                return copy
    return None


def renamed(path: Path, known: Place) -> Path | None:
    """The file of a bookmark, if `path` is not its name any more and it is still in its folder."""
    for entry in _standing_beside(path):
        if identity(entry.stat()) == (known.device, known.inode):
            with suppress(OSError), _opened(entry.path) as fd:
                return Path(entry.path) if leads_to(known, fd) else None
    return None


class Finished:
    """Files that were read to their end. None is known by its inode alone: that of one that was removed goes to the
    next."""

    def __init__(self) -> None:
        self._known: dict[Identity, tuple[int, int, int]] = {}

    def add(self, fd: int) -> None:
        """As it is now."""
        known = os.fstat(fd)
        first = os.pread(fd, BEFORE_BYTES, 0)
        self._known[identity(known)] = len(first), crc32(first), known.st_mtime_ns

    def has(self, path: str, known: os.stat_result) -> bool:
        """Whether a file was read, by what it begins with; one that was empty, by when it was written to."""
        length, first, mtime_ns = self._known.get(identity(known), (0, 0, -1))
        if length == 0:
            return known.st_mtime_ns == mtime_ns
        with suppress(OSError), _opened(path) as fd:
            return crc32(os.pread(fd, length, 0)) == first
        return False

    def keep(self, there: Collection[Identity]) -> None:
        """Those that are not there any more are forgotten."""
        self._known = {each: found for each, found in self._known.items() if each in there}


def written_after(path: Path, gone: Place) -> Path | None:
    """Where the file of a bookmark is not there any more: of those that had its name after it, and have lost it, too,
    the one that was written first."""
    is_called_so = re.compile(numbered(path)).fullmatch
    since_ns = gone.written_ns
    found = [
        (entry.stat().st_mtime_ns, entry.path)
        for entry in _standing_beside(path)
        if is_called_so(entry.name) and since_ns is not None and entry.stat().st_mtime_ns > since_ns
    ]
    return Path(min(found)[1]) if found else None


def renamed_after(path: Path, fd: int, named: int | None, finished: Finished) -> Path | None:
    """Of the files that had this name after `fd` had it, and have lost it, too, the one that was written first: for one
    who was away, or full, over several rotations. They are called like `fd` now, but for numbers (`lines.2`,
    `lines.1`). `named`: the file that had the name before this look, if any, which is read when there are no more."""
    then, beside = os.fstat(fd), _standing_beside(path)
    name = next((entry.name for entry in beside if identity(entry.stat()) == identity(then)), "")
    same = len(os.path.commonprefix([name, path.name]))  # noqa: RUF071 - of characters, as it is meant
    called = re.escape(name[:same]) + re.sub(r"\d+", r"\\d+", re.escape(name[same:]))
    # it may have been removed, or packed, by now
    is_called_so = re.compile(called if name else numbered(path)).fullmatch
    others = {identity(os.fstat(each)) for each in (fd, named) if each is not None}
    finished.keep({identity(entry.stat()) for entry in beside})
    found = []
    for entry in beside:
        known = entry.stat()
        if is_called_so(entry.name) and known.st_mtime_ns >= then.st_mtime_ns and identity(known) not in others:
            found.append((known.st_mtime_ns, entry.path, known))
    return next((Path(each) for _, each, known in sorted(found) if not finished.has(each, known)), None)


def numbered(path: Path) -> str:
    """What files are called that had this name: `lines.1`, `lines-20261129.ndjson`, `lines.ndjson-20261129`."""
    return rf"{re.escape(path.stem)}(-\d+)?{re.escape(path.suffix)}([.-]\d+)?"


def has_moved_on(path: Path, fd: int, by_s: float) -> bool:
    """Whether the file that has the name now was written to so long after the last write to `fd`, by the clock that
    both were stamped with."""
    try:
        named = path.stat()
    except OSError:
        return False
    return named.st_mtime_ns - os.fstat(fd).st_mtime_ns >= by_s * 1e9


def identity(known: os.stat_result) -> Identity:
    return known.st_dev, known.st_ino


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """To be looked into. Raises OSError: it may be gone by now."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _standing_beside(path: Path) -> list[os.DirEntry[str]]:
    """The same once two looks agree: of files that are renamed during one it may see some twice, and others never."""
    before = files_beside(path)
    for _ in range(LOOKS_MAX):
        now = files_beside(path)
        if _names(before) == _names(now):
            break
        before = now
    return before


def _names(entries: list[os.DirEntry[str]]) -> set[tuple[str, Identity]]:
    return {(entry.name, identity(entry.stat())) for entry in entries}


def files_beside(path: Path) -> list[os.DirEntry[str]]:
    """The others in its folder, as far as they may be seen. What they are was asked: they may go meanwhile."""
    found = []
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in islice(entries, ENTRIES_MAX):
            with suppress(OSError):
                if entry.name != path.name and stat.S_ISREG(entry.stat().st_mode):
                    found.append(entry)
    return found
