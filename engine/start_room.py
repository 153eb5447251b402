"""Room for the next start. SQLite makes a `-shm` file of 32 KiB for each database that is opened, and takes it away
when the last connection closes; on a disk that is full by then no start could open them again. So what a clean stop
frees is held in a file, and given back by the start before it opens anything. After a kill they are still there.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from engine.disk import DISK

NAME = "start.room"
BYTES = 128 * 1024  # outbox, dead letters, a queue, and some to spare


def hold(data_dir: Path) -> None:
    """Where there is so much; a disk that has none is not waited for."""
    path = data_dir / NAME
    with contextlib.suppress(OSError):
        file = DISK.open(path, create=True)
        try:
            DISK.reserve(file, BYTES)
        finally:
            DISK.close(file)


def give_back(data_dir: Path) -> None:
    with contextlib.suppress(OSError):
        DISK.unlink(data_dir / NAME)


def is_short(data_dir: Path) -> bool:
    """Whether the device has less than that. SQLite says so in many ways, not all of them by a code of their own."""
    return DISK.device_bytes(data_dir)[0] < BYTES
