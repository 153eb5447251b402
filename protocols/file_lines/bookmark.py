"""How far a file was read, durably: so that a restart goes on there, and begins anew with another file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Container
from contextlib import suppress
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

Identity = tuple[int, int]
"""Device and inode: the file as the system knows it, whatever its name."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """`device`, `inode`: the file as the system knows it, whatever its name. `offset`: bytes of it that are safe.
    `before`: CRC-32 of the last of them; None: of an earlier version, which did not look."""

    device: int
    inode: int
    offset: int
    before: int | None = None


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
    return Place(device=known.st_dev, inode=known.st_ino, offset=offset, before=before)


def leads_to(place: Place, fd: int) -> bool:
    """Whether this is the file of a place, and it still has what was before it."""
    here = place_of(fd, place.offset)
    same_file = (here.device, here.inode) == (place.device, place.inode) and place.offset <= os.fstat(fd).st_size
    return same_file and place.before in (None, here.before)


def renamed(path: Path, known: Place) -> Path | None:
    """The file of a bookmark, if `path` is not its name any more and it is still in its folder."""
    for entry in _files_beside(path):
        if identity(entry.stat()) == (known.device, known.inode):
            return Path(entry.path)
    return None


def renamed_after(path: Path, fd: int, read: Container[Identity]) -> Path | None:
    """Of the files that had this name after `fd` had it, and have lost it, too, the one that was written first: for one
    who was away, or full, over several rotations. They are called like `fd` now, but for numbers (`lines.2`,
    `lines.1`). `read`: those that were read."""
    then, beside = os.fstat(fd), _files_beside(path)
    name = next((entry.name for entry in beside if identity(entry.stat()) == identity(then)), "")
    same = len(os.path.commonprefix([name, path.name]))  # noqa: RUF071 - of characters, as it is meant
    is_called_so = re.compile(re.escape(name[:same]) + re.sub(r"\d+", r"\\d+", re.escape(name[same:]))).fullmatch
    found = []
    for entry in beside:
        known = entry.stat()
        if is_called_so(entry.name) and known.st_mtime_ns >= then.st_mtime_ns and identity(known) not in read:
            found.append((known.st_mtime_ns, entry.path))
    return Path(min(found)[1]) if found else None


def identity(known: os.stat_result) -> Identity:
    return known.st_dev, known.st_ino


def _files_beside(path: Path) -> list[os.DirEntry[str]]:
    """The others in its folder, as far as they may be seen. What they are was asked: they may go meanwhile."""
    found = []
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in islice(entries, ENTRIES_MAX):
            with suppress(OSError):
                if entry.name != path.name and stat.S_ISREG(entry.stat().st_mode):
                    found.append(entry)
    return found
