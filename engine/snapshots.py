"""Snapshots: what the windows hold at one place of the journal, so that a start reads only what came after it.

A folder of files `SEGMENT-OFFSET.snapshot`, named after that place; the last two are kept. Little-endian:

    "sortsnap"          8 bytes
    version             u32, 1
    header length       u32
    digest              16 bytes, BLAKE2b over all the other bytes
    header              JSON: position, sequence of the last event before it, rules (see rule_book), shift (see slices)
    state               `Core.snapshot()`, zstd

Only a whole file ever bears the name (see whole_file), so a damaged one was damaged later: it is put aside as `.bad`,
and the one before it is used.
"""

from __future__ import annotations

import errno
import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import zstandard

from engine.disk import DISK, Disk
from engine.journal import Position
from engine.rule_book import RuleSet, rule_set
from engine.spare_room import beyond_spare
from engine.whole_file import NEW, put_aside, read_whole, write_whole

MAGIC = b"sortsnap"
VERSION = 1
HEAD = struct.Struct("<8sII")
DIGEST_BYTES = 16
KEPT = 2
SUFFIX = ".snapshot"
SPARE_PARTS = 2  # a snapshot makes room, too, but not at the cost of the cursors


class Snapshot(NamedTuple):
    """sequence: of the last event that the core had told. state: `Core.snapshot()`. shift: how much greater that
    sequence is than the core's own count, because records were lost (see slices)."""

    position: Position
    sequence: int
    rules: RuleSet
    state: bytes
    shift: int = 0


class Unusable(ValueError):
    """Bytes that are no snapshot. `damaged`: nor will they ever be one; otherwise another version may read them."""

    def __init__(self, why: str, damaged: bool) -> None:
        super().__init__(why)
        self.damaged = damaged


class Snapshots:
    """The folder. Synchronous: call it off the event loop."""

    def __init__(self, folder: Path, disk: Disk = DISK) -> None:
        self.folder = folder
        self._disk = disk
        self._lacked = 0  # bytes for which there was no room
        self._trusted: list[Position] = []  # those that this program has read back or written, oldest first
        disk.make_folder(folder)
        for name in disk.names(folder):
            if name.endswith(NEW):
                disk.unlink(folder / name)  # its writing was cut short

    def newest_first(self) -> Iterator[tuple[Path, Snapshot | str]]:
        """Every file with its content, or why it cannot be used; damaged ones are put aside. Raises PermissionError
        where one is only forbidden: what it stands for must not be given up for that."""
        for path in self._paths():
            try:
                yield path, decode(read_whole(path, self._disk))
            except Unusable as error:
                if error.damaged:
                    put_aside(path, self._disk)
                yield path, str(error)
            except PermissionError:
                raise
            except OSError as error:
                if isinstance(error, IsADirectoryError):
                    put_aside(path, self._disk)
                yield path, str(error)  # the older one is as good

    def put_aside(self, path: Path) -> Path:
        """One that nobody can go on from; returns its new name."""
        return put_aside(path, self._disk)

    def holds(self, path: Path) -> bool:
        """Whether it is still there: nothing is wrong with it that this program knows."""
        return path.name in self._disk.names(self.folder)

    @property
    def has_no_room(self) -> bool:
        """Whether the last one found no room, and would find none now: that costs less than to make one."""
        return self._lacked > beyond_spare(self.folder, SPARE_PARTS, self._disk)

    def trust(self, position: Position) -> None:
        """The one at `position` was restored."""
        self._trusted = sorted({*self._trusted, position})[-KEPT:]

    def write(self, snapshot: Snapshot) -> int:
        """On disk when it returns; older ones than the last two are gone. Returns the file's size in bytes.

        Raises OSError also where it would fit, and leave too little: see spare_room.
        """
        content = encode(snapshot)
        self._lacked = len(content)
        if self.has_no_room:
            raise OSError(errno.ENOSPC, f"{len(content)} bytes find no room")
        self._lacked = 0
        write_whole(self._path(snapshot.position), content, self._disk)
        others = [each for each in self._trusted if each != snapshot.position]
        self._trusted = [*others[1 - KEPT :], snapshot.position]
        kept = {self._path(position) for position in self._trusted}
        more = [path for path in self._paths() if path not in kept]
        for path in more[KEPT - len(kept) :]:
            self._disk.unlink(path)
        return len(content)

    def _paths(self) -> list[Path]:
        """Newest first."""
        names = self._disk.names(self.folder)
        return [self.folder / name for name in sorted(names, reverse=True) if name.endswith(SUFFIX)]

    def _path(self, position: Position) -> Path:
        return self.folder / f"{position.segment:08d}-{position.offset:012d}{SUFFIX}"

    @property
    def oldest_needed(self) -> Position | None:
        """What lies before it in the journal is no longer needed to go on, even if the newest one is damaged; None:
        there are not two of them."""
        return self._trusted[0] if len(self._trusted) == KEPT else None


def encode(snapshot: Snapshot) -> bytes:
    """The content of a snapshot's file."""
    position, sequence, rules, state, shift = snapshot
    about = {"position": list(position), "sequence": sequence, "rules": rules.document(), "bytes": len(state)}
    if shift:
        about["shift"] = shift
    header = msgspec.json.encode(about)
    head = HEAD.pack(MAGIC, VERSION, len(header))
    rest = header + zstandard.compress(state)
    return head + _digest(head, rest) + rest


def decode(content: bytes) -> Snapshot:
    """What `encode` made. Raises Unusable for any other bytes."""
    if len(content) < HEAD.size + DIGEST_BYTES:
        raise Unusable("it ends too early", damaged=True)
    magic, version, header_bytes = HEAD.unpack_from(content)
    if magic != MAGIC:
        raise Unusable("it does not begin like a snapshot", damaged=True)
    rest = content[HEAD.size + DIGEST_BYTES :]
    head = content[: HEAD.size]
    if (version ^ VERSION).bit_count() == 1:
        head = HEAD.pack(magic, VERSION, header_bytes)  # the digest says whether it is only a flipped bit
    fits = content[HEAD.size : HEAD.size + DIGEST_BYTES] == _digest(head, rest)
    if version > VERSION and not fits:
        raise Unusable(f"it is of version {version}, this program reads {VERSION}", damaged=False)
    if not fits:
        raise Unusable("its digest does not fit", damaged=True)
    about = msgspec.json.decode(rest[:header_bytes])
    state = zstandard.decompress(rest[header_bytes:], max_output_size=about["bytes"])
    rules = rule_set(about["rules"])
    return Snapshot(Position(*about["position"]), about["sequence"], rules, state, about.get("shift", 0))


def _digest(head: bytes, rest: bytes) -> bytes:
    digest = hashlib.blake2b(head, digest_size=DIGEST_BYTES)
    digest.update(rest)
    return digest.digest()
