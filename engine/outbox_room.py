"""What the outbox's file takes of its device: see spare_room, and how it gives back what it does not need."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from engine.contracts import Emitted
from engine.disk import DISK, Disk
from engine.errors import Full
from engine.spare_room import beyond_spare
from engine.sqlite_file import LOG_BYTES_MAX, empty_log, log_bytes, passes

ROW_BYTES = 256  # of an event beside its body, in both tables
PAGES_BYTES = 64 * 1024  # what else a commit writes
SHRINK_FROM_BYTES = 1024 * 1024
SHRUNK_BYTES_MAX = 128 * 1024 * 1024  # what stays is in memory once meanwhile
TOLD_BYTES = 72  # of an event that every sink has

log = logging.getLogger("sortline.outbox")


def room_is_short(path: Path, disk: Disk) -> bool:
    """Whether the device might have no room for a log of the usual length: then it is not left to grow."""
    return beyond_spare(path.parent, disk=disk) < LOG_BYTES_MAX and log_bytes(path) > 0


def lacks_room(path: Path, file: sqlite3.Connection, events: Sequence[Emitted], shrinks_in: int, disk: Disk) -> bool:
    """Whether with these events less would be left of the device than what sinks take out, and the file's shrinking in
    the end, need. They go into the log first; from there, with what stands in it already, into the file, which has
    empty pages, or grows."""
    left = beyond_spare(path.parent, disk=disk) - shrinks_in
    size = sum(len(event.body) + ROW_BYTES for event in events) * 5 // 4 + PAGES_BYTES
    grows = size + log_bytes(path)
    return left < size + grows and left < size + max(0, grows - _empty_bytes(file))


def full(path: Path, rows: int) -> Full:
    return Full(
        f"the outbox {path} holds {rows} events that a sink does not have yet, and no more room is left on its device "
        "than it takes to let them go"
    )


def shrinks_in_bytes(told: int) -> int:
    """What `shrunk` needs when only what was told is left, so many of them."""
    stays = told * TOLD_BYTES + PAGES_BYTES
    return stays + stays // 8 if stays <= SHRUNK_BYTES_MAX else 0


def shrunk(path: Path, file: sqlite3.Connection) -> bool:
    """Whether the file was written anew without its empty pages; not where another process holds it."""
    try:
        return _shrunk(path, file)
    except sqlite3.OperationalError as error:
        if not passes(error):
            raise
        return False


def _shrunk(path: Path, file: sqlite3.Connection) -> bool:
    empty = _empty_bytes(file)
    stays = _pragma(file, "page_count") * _pragma(file, "page_size") - empty
    if empty < max(stays, SHRINK_FROM_BYTES) or stays > SHRUNK_BYTES_MAX or not empty_log(file):
        return False
    if DISK.device_bytes(path.parent)[0] < stays + stays // 16:
        return False
    file.execute("PRAGMA temp_store = MEMORY")
    try:
        file.execute("VACUUM")
    finally:
        file.execute("PRAGMA temp_store = DEFAULT")
        empty_log(file)
    log.info("%s: %.1f MB of it went back to the device", path, empty / 1e6)
    return True


def _empty_bytes(file: sqlite3.Connection) -> int:
    return _pragma(file, "freelist_count") * _pragma(file, "page_size")


def _pragma(file: sqlite3.Connection, name: str) -> int:
    return int(file.execute(f"PRAGMA {name}").fetchone()[0])
