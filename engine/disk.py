"""What journal, snapshots and rule book do to files: one method an operation, and nothing else touches them.

So a test can put another disk in this one's place: one that remembers what was synced and what was not, fails, tears a
write, or forgets a name. The rules that the callers rely on, and no others:

- what was written is there after a crash only if `sync` has returned since; before, any part of it may be;
- a name that was made, changed or taken away is so after a crash only if `sync_folder` has returned since;
- a `sync` that failed says nothing about what was written before it, and is never tried again on the same file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Sequence
from pathlib import Path

MODE = 0o640
"""What a warehouse does, and what it sells, is nobody else's business on the box."""
FOLDER_MODE = 0o750


class Disk:
    """The operating system's own. Every method raises OSError as the system does."""

    def open(self, path: Path, *, create: bool = False) -> int:
        """For reading and writing. create: make it, if it is not there."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), MODE)

    def open_to_read(self, path: Path) -> int:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def lock(self, path: Path) -> int:
        """The folder of `path`, held for as long as this process lives and does not close what is returned: a file that
        somebody deletes would hold nobody off. The file only tells a person who it is. Raises BlockingIOError, with the
        number of the process, where another one holds the folder."""
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(folder)
            raise BlockingIOError(errno.EWOULDBLOCK, _owner(path)) from None
        with contextlib.suppress(OSError):
            self.note(path, f"{os.getpid()}\n".encode())
        return folder

    def note(self, path: Path, content: bytes) -> None:
        """The file has this content; not durable, for people only."""
        file = self.open(path, create=True)
        try:
            self.truncate(file, 0)
            self.write(file, 0, [content])
        finally:
            self.close(file)

    def close(self, file: int) -> None:
        os.close(file)

    def write(self, file: int, offset: int, parts: Sequence[bytes]) -> None:
        """The parts, one behind the other; all of them, or an error."""
        written = os.pwritev(file, parts, offset)
        if written == sum(map(len, parts)):
            return
        rest = memoryview(b"".join(parts))[written:]
        while rest:
            count = os.pwrite(file, rest, offset + written)
            written += count
            rest = rest[count:]

    def read(self, file: int, offset: int, size: int) -> bytes:
        """So many bytes, fewer where the file ends before."""
        pieces = []
        while size > 0 and (piece := os.pread(file, size, offset)):
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def reserve(self, file: int, size: int) -> None:
        """The file has this size, noughts behind its end, and its blocks are its own: writing there needs no space."""
        os.posix_fallocate(file, 0, size)

    def truncate(self, file: int, size: int) -> None:
        os.ftruncate(file, size)

    def size(self, file: int) -> int:
        return os.fstat(file).st_size

    def sync(self, file: int) -> None:
        """What was written is on disk, and the size that is needed to read it."""
        os.fdatasync(file)

    def sync_folder(self, folder: Path) -> None:
        """The names in it are on disk: a file that was made, renamed or taken away stays so."""
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def make_folder(self, folder: Path) -> None:
        """It and those above it, if they are not there; the names of all that were made, and its own, are on disk."""
        missing = [each for each in folder.parents if not each.exists()]
        for each in (*reversed(missing), folder):
            each.mkdir(FOLDER_MODE, exist_ok=True)
            self.sync_folder(each.parent)

    def names(self, folder: Path) -> list[str]:
        """Of the files in it, in order; none where there is no folder."""
        try:
            return sorted(path.name for path in folder.iterdir())
        except FileNotFoundError:
            return []

    def bytes_of(self, path: Path) -> int:
        """The file's size; -1: there is no such file, or something else stands in its place."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return -1
        return found.st_size if stat.S_ISREG(found.st_mode) else -1

    def only_read(self, path: Path) -> bool:
        """Whether the file system of `path` takes nothing from anybody."""
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)

    def rename(self, path: Path, to: Path) -> None:
        """In place of what `to` was, if there was one."""
        os.replace(path, to)  # noqa: PTH105 - one call, one operation

    def unlink(self, path: Path) -> None:
        os.unlink(path)  # noqa: PTH108

    def device_bytes(self, folder: Path) -> tuple[int, int]:
        """How much this user can still write there, and how much the device holds in all."""
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def _owner(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip() or "?"
    except OSError:
        return "?"


DISK = Disk()
