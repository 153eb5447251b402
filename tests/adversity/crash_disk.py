"""A disk in memory that knows what would be left of it if the machine stopped now, and that can fail.

It gives what `engine.disk` says a disk gives, and not a bit more. What was written is safe only after `sync`, block by
block; a size likewise; a name only after `sync_folder`. Until then any part of it may be there after a crash: some
blocks and not others, the size without the blocks (noughts), the name without the content, the new name and the old.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.disk import Disk

BLOCK = 8  # much smaller than any real one: more places to tear at
LOCK = 1  # the number of the locked file


class Inode:
    """content: as a process reads it. durable: as it is on disk, whatever happens; dirty: blocks that are not there as
    they should be, in the order in which they were written."""

    __slots__ = ("content", "dirty", "durable")

    def __init__(self) -> None:
        self.content = bytearray()
        self.durable = bytearray()
        self.dirty: dict[int, None] = {}

    def copy(self) -> Inode:
        twin = Inode()
        twin.content, twin.durable, twin.dirty = self.content[:], self.durable[:], dict(self.dirty)
        return twin

    def written(self, start: int, end: int) -> None:
        for block in range(start // BLOCK, -(-end // BLOCK)):
            self.dirty[block] = None

    def synced(self) -> None:
        if self.dirty or len(self.content) != len(self.durable):
            self.keep(self.dirty, len(self.content))

    def keep(self, blocks: Sequence[int] | dict[int, None], size: int) -> None:
        """These blocks reach the disk, and the file's size is now this."""
        durable = self.durable
        if size < len(durable):
            del durable[size:]
        durable.extend(bytes(size - len(durable)))
        for block in blocks:
            at = block * BLOCK
            piece = self.content[at : min(at + BLOCK, size)]
            durable[at : at + len(piece)] = piece
        self.dirty = {block: None for block in self.dirty if block not in blocks}


class CrashDisk(Disk):
    """watch: called after each operation that changes something, with its name. fail: asked before each one, with its
    name; an errno makes it fail."""

    def __init__(self) -> None:
        self.inodes: dict[int, Inode] = {}
        self.names_now: dict[str, int] = {}
        self.names_durable: dict[str, int] = {}
        self.unsynced: list[tuple[str, tuple[tuple[str, int | None], ...]]] = []  # folder, name -> inode or gone
        self.open_files: dict[int, int] = {}
        self.locked = False
        self.room: int | None = None  # bytes that can still be written; None: any
        self.watch: Callable[[str], None] = lambda what: None
        self.fail: Callable[[str], int] = lambda what: 0
        self._next = 3

    def copy(self) -> CrashDisk:
        twin = CrashDisk()
        twin.inodes = {number: inode.copy() for number, inode in self.inodes.items()}
        twin.names_now, twin.names_durable = dict(self.names_now), dict(self.names_durable)
        twin.unsynced = list(self.unsynced)
        twin._next = self._next
        return twin

    # after a crash

    def crashed(self, draw: random.Random | None, whole: bool = False) -> CrashDisk:
        """What is left. draw: of what was not synced, some, as it says; None: nothing, or all if `whole`."""
        left = CrashDisk()
        left._next = self._next
        left.names_durable = dict(self.names_durable)
        for _, changes in self.unsynced:
            if draw.random() < 0.5 if draw is not None else whole:
                for path, number in changes:
                    if number is None:
                        left.names_durable.pop(path, None)
                    else:
                        left.names_durable[path] = number
        left.names_now = dict(left.names_durable)
        for number in set(left.names_durable.values()):
            left.inodes[number] = _left_of(self.inodes[number], draw, whole)
        return left

    def restarted(self) -> CrashDisk:
        """The process was killed, the machine runs on: everything reads as it was written."""
        twin = self.copy()
        twin.room = self.room
        return twin

    @property
    def is_unsynced(self) -> bool:
        """Whether a crash would leave anything to chance."""
        return bool(self.unsynced) or any(
            inode.dirty or len(inode.content) != len(inode.durable) for inode in self.inodes.values()
        )

    @property
    def signature(self) -> int:
        """The same for two disks on which the same stands."""
        return hash(tuple(sorted((name, bytes(self.inodes[at].content)) for name, at in self.names_now.items())))

    # what engine.disk does

    def _before(self, what: str) -> None:
        error = self.fail(what)
        if error:
            raise OSError(error, f"{what} failed")

    def open(self, path: Path, *, create: bool = False) -> int:
        if str(path) not in self.names_now:
            if not create:
                raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
            self._before("create")
            number = self._next = self._next + 1
            self.inodes[number] = Inode()
            self._name(path, (str(path), number))
            self.watch("create")
        return self._opened(path)

    def open_to_read(self, path: Path) -> int:
        if str(path) not in self.names_now:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return self._opened(path)

    def _opened(self, path: Path) -> int:
        self._next += 1
        self.open_files[self._next] = self.names_now[str(path)]
        return self._next

    def lock(self, path: Path) -> int:
        if self.locked:
            raise BlockingIOError(errno.EWOULDBLOCK, "1")
        self.locked = True
        return LOCK

    def close(self, file: int) -> None:
        if file == LOCK:
            self.locked = False
        else:
            del self.open_files[file]

    def _inode(self, file: int) -> Inode:
        return self.inodes[self.open_files[file]]

    def write(self, file: int, offset: int, parts: Sequence[bytes]) -> None:
        self._before("write")
        inode, whole = self._inode(file), b"".join(parts)
        grows = max(0, offset + len(whole) - len(inode.content))
        if self.room is not None and grows > self.room:
            whole = whole[: len(whole) - grows + self.room]  # what still fits is written
        inode.content.extend(bytes(max(0, offset + len(whole) - len(inode.content))))
        inode.content[offset : offset + len(whole)] = whole
        inode.written(offset, offset + len(whole))
        self._take_room(grows)
        self.watch("write")

    def _take_room(self, size: int) -> None:
        if self.room is None:
            return
        self.room -= size
        if self.room < 0:
            self.room = 0
            raise OSError(errno.ENOSPC, "no space left")

    def read(self, file: int, offset: int, size: int) -> bytes:
        return bytes(self._inode(file).content[offset : offset + max(0, size)])

    def reserve(self, file: int, size: int) -> None:
        self._before("reserve")
        inode = self._inode(file)
        grows = max(0, size - len(inode.content))
        if self.room is not None and grows > self.room:
            raise OSError(errno.ENOSPC, "no space left")
        self._take_room(grows)
        inode.content.extend(bytes(grows))
        self.watch("reserve")

    def truncate(self, file: int, size: int) -> None:
        self._before("truncate")
        inode = self._inode(file)
        if self.room is not None:
            self.room += max(0, len(inode.content) - size)
        inode.written(size, len(inode.content))
        del inode.content[size:]
        inode.content.extend(bytes(max(0, size - len(inode.content))))
        self.watch("truncate")

    def size(self, file: int) -> int:
        return len(self._inode(file).content)

    def sync(self, file: int) -> None:
        error = self.fail("sync")
        inode = self._inode(file)
        if error:
            # as Linux does it: what could not be written counts as clean from now on, and is on no disk
            inode.dirty = {}
            raise OSError(error, "sync failed")
        inode.synced()
        self.watch("sync")

    def sync_folder(self, folder: Path) -> None:
        self._before("sync_folder")
        for where, changes in self.unsynced:
            if where == str(folder):
                for path, number in changes:
                    if number is None:
                        self.names_durable.pop(path, None)
                    else:
                        self.names_durable[path] = number
        self.unsynced = [each for each in self.unsynced if each[0] != str(folder)]
        self.watch("sync_folder")

    def make_folder(self, folder: Path) -> None:
        pass  # folders are there

    def names(self, folder: Path) -> list[str]:
        start = f"{folder}/"
        return sorted(name[len(start) :] for name in self.names_now if name.startswith(start))

    def bytes_of(self, path: Path) -> int:
        number = self.names_now.get(str(path))
        return -1 if number is None else len(self.inodes[number].content)

    def rename(self, path: Path, to: Path) -> None:
        self._before("rename")
        self._name(path, (str(path), None), (str(to), self.names_now[str(path)]))
        self.watch("rename")

    def unlink(self, path: Path) -> None:
        self._before("unlink")
        if self.room is not None:
            self.room += self.bytes_of(path)
        self._name(path, (str(path), None))
        self.watch("unlink")

    def _name(self, path: Path, *changes: tuple[str, int | None]) -> None:
        self.unsynced.append((str(path).rpartition("/")[0], changes))
        for name, number in changes:
            if number is None:
                del self.names_now[name]
            else:
                self.names_now[name] = number

    def device_bytes(self, folder: Path) -> tuple[int, int]:
        return (1 << 40, 1 << 40) if self.room is None else (self.room, 1 << 20)

    def content(self, path: Path) -> bytes:
        return bytes(self.inodes[self.names_now[str(path)]].content)

    def put(self, path: Path, content: bytes) -> None:
        """The file has this content, durably: as somebody else might have made it."""
        inode = Inode()
        inode.content, inode.durable = bytearray(content), bytearray(content)
        self._next += 1
        self.inodes[self._next] = inode
        self.names_now[str(path)] = self.names_durable[str(path)] = self._next


def _left_of(inode: Inode, draw: random.Random | None, whole: bool) -> Inode:
    left = Inode()
    twin = inode.copy()
    if draw is None:
        if whole:
            twin.synced()
    elif twin.dirty or len(twin.content) != len(twin.durable):
        size = draw.choice((len(twin.durable), len(twin.content), len(twin.content)))
        blocks = list(twin.dirty)
        match draw.randrange(4):
            case 0:
                blocks = blocks[: draw.randrange(len(blocks) + 1)]
            case 1:
                blocks = blocks[draw.randrange(len(blocks) + 1) :]
            case 2:
                blocks = [block for block in blocks if draw.random() < 0.5]
        twin.keep([block for block in blocks if block * BLOCK < size], size)
    left.content, left.durable = twin.durable[:], twin.durable[:]
    return left
