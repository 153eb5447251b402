"""Files that had the name that is read, have lost it, and were packed (gzip) before all of them was read."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from pathlib import Path
from zlib import crc32

from protocols.file_lines.bookmark import BEFORE_BYTES, Place, files_beside, numbered

DAMAGED = (OSError, EOFError, zlib.error)
STEP_NS = 1_000
"""Who packs a file gives the copy its time, some only to the microsecond."""


def packed_after(path: Path, since_ns: int) -> list[Path]:
    """Those that were last written to after that, in the order in which they were."""
    is_called_so = re.compile(rf"{numbered(path)}\.gz").fullmatch
    found = [(entry.stat().st_mtime_ns, entry.path) for entry in files_beside(path) if is_called_so(entry.name)]
    return [Path(name) for written_ns, name in sorted(found) if written_ns > since_ns]


def packed_since(path: Path, known: Place) -> tuple[gzip.GzipFile | None, list[Path]]:
    """The file of a bookmark, opened where it goes on, if it is one of those; and those that were written after it."""
    files = packed_after(path, (known.written_ns or 0) - STEP_NS) if known.written_ns is not None else []
    for at, file in enumerate(files):
        if (rest := _rest_of(file, known)) is not None:
            return rest, files[at + 1 :]
    return None, packed_after(path, known.written_ns) if known.written_ns is not None else []


def packed_behind(path: Path, fd: int) -> list[Path]:
    """Those that were written after an open file; not its own copy, whatever its time."""
    return [file for file in packed_after(path, os.fstat(fd).st_mtime_ns) if not _begins_as(file, fd)]


def _rest_of(file: Path, known: Place) -> gzip.GzipFile | None:
    begin = max(0, known.offset - BEFORE_BYTES)
    try:
        unpacked = gzip.open(file)  # noqa: SIM115 - whoever gets it closes it
    except OSError:
        return None
    try:
        unpacked.seek(begin)
        before = unpacked.read(known.offset - begin)
    except DAMAGED:
        before = b""
    if 0 < len(before) == known.offset - begin and crc32(before) == known.before:
        return unpacked
    unpacked.close()
    return None


def _begins_as(file: Path, fd: int) -> bool:
    begin = os.pread(fd, BEFORE_BYTES, 0)
    try:
        with gzip.open(file) as unpacked:
            return unpacked.read(len(begin)) == begin
    except DAMAGED:
        return False
