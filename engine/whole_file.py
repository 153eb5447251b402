"""Files that are there whole or not at all, whenever the machine stops."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path

from engine.disk import DISK, Disk
from engine.errors import Newer

NEW = ".new"
BAD = ".bad"
VERSION = re.compile(rb"[1-9][0-9]?")  # what says more than 99 is damage, and no newer program
DIGEST = re.compile(rb"[0-9a-f]+")
MENDED_BYTES_MAX = 4096  # each bit of it is tried, which takes a third of a second then


def write_whole(path: Path, content: bytes, disk: Disk = DISK) -> None:
    """`path` has `content`, durably, when this returns; until then it is what it was. What a crash leaves is `.new`.
    Where it cannot be written, nothing is left: a disk that is full has no room for halves."""
    new = path.with_name(path.name + NEW)
    file = disk.open(new, create=True)
    try:
        _fill(file, content, disk)
    except OSError:
        with contextlib.suppress(OSError):
            disk.unlink(new)
        raise
    disk.rename(new, path)
    disk.sync_folder(path.parent)


def _fill(file: int, content: bytes, disk: Disk) -> None:
    try:
        disk.truncate(file, 0)
        disk.write(file, 0, [content])
        disk.sync(file)
    finally:
        disk.close(file)


def read_whole(path: Path, disk: Disk = DISK) -> bytes:
    """The content. Raises FileNotFoundError where there is none."""
    file = disk.open_to_read(path)
    try:
        return disk.read(file, 0, disk.size(file))
    except OSError as error:
        error.filename = str(path)  # a folder in its place is only noticed here
        raise
    finally:
        disk.close(file)


def put_aside(path: Path, disk: Disk = DISK) -> Path:
    """A file that cannot be used is kept as evidence, under a name that nothing reads and no other evidence has."""
    aside = free_aside(path, disk)
    disk.rename(path, aside)
    disk.sync_folder(path.parent)
    return aside


def free_aside(path: Path, disk: Disk = DISK) -> Path:
    """The name for it that is free."""
    names = (path.with_name(f"{path.name}{number}{BAD}") for number in chain([""], map(".{}".format, count(2))))
    taken = set(disk.names(path.parent))
    return next(name for name in names if name.name not in taken)


def turned_back(content: bytes, fits: Callable[[bytes], bool]) -> bytes | None:
    """The content that it was before one bit flipped; None: that is not all that happened to it."""
    turned = bytearray(content)
    for bit in range(8 * len(content) if len(content) <= MENDED_BYTES_MAX else 0):
        turned[bit // 8] ^= 1 << bit % 8
        if fits(bytes(turned)):
            return bytes(turned)
        turned[bit // 8] ^= 1 << bit % 8
    return None


def mended(
    path: Path, found: bytes, fits: Callable[[bytes], bool], disk: Disk = DISK, *, mend: bool
) -> tuple[bytes | None, str]:
    """What was found in a small file with a flipped bit turned back, and what is to be said of that; None: it is
    damaged. mend: it is written down as it was, and one that is damaged put aside."""
    if fits(found):
        return found, ""
    content = turned_back(found, fits)
    if content is None:
        return None, f"{path} is damaged" + (f": put aside as {put_aside(path, disk).name}" if mend else "")
    if mend:
        with contextlib.suppress(OSError):  # a disk without room: the next one does it
            write_whole(path, content, disk)
    return content, f"{path}: a flipped bit, turned back"


def sealed(version: bytes, body: bytes) -> bytes:
    """The content of a small file: a line with its version and the digest of the rest, then `body`."""
    return b"%b %b\n%b\n" % (version, _digest(body), body)


def is_sealed(content: bytes, version: bytes | None = None) -> bool:
    """Whether the digest is that of the rest; and whether it is of this version, if that is asked for."""
    first, _, body = content.partition(b"\n")
    said, _, digest = first.partition(b" ")
    return digest == _digest(body.removesuffix(b"\n")) and version in (None, said)


def refuse_newer(path: Path, content: bytes, version: bytes) -> None:
    """Raises Newer for a small file that is sealed by a later version of the program. That one's digest covers more
    than the body, so where it is the body's, a version that is one bit away was made by a flipped bit."""
    name, _, ours = version.rpartition(b"-")
    said, _, digest = content.partition(b"\n")[0].partition(b" ")
    prefix, _, number = said.rpartition(b"-")
    if prefix != name or not VERSION.fullmatch(number) or not DIGEST.fullmatch(digest) or int(number) <= int(ours):
        return
    if not (is_sealed(content) and _are_a_bit_apart(number, ours)):
        raise Newer(path, f"is of version {number.decode()}, this program reads {ours.decode()}")


def _are_a_bit_apart(one: bytes, other: bytes) -> bool:
    return len(one) == len(other) and sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True)) == 1


def body_of(content: bytes) -> bytes:
    """Of one that is sealed."""
    return content.partition(b"\n")[2].removesuffix(b"\n")


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode()
