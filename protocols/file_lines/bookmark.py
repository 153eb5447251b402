"""How far a file was read, durably: so that a restart goes on there, and begins anew with another file."""

from __future__ import annotations

import os
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
    try:
        with os.scandir(path.parent) as entries:
            for entry in islice(entries, ENTRIES_MAX):
                if entry.inode() == known.inode and entry.is_file():
                    is_it = entry.stat().st_dev == known.device and entry.name != path.name
                    return Path(entry.path) if is_it else None
    except OSError:
        return None
    return None
