"""The last of a device's room, which is left to those that make room.

What a sink has taken can only leave the outbox by a commit, and on a device without a byte left none is possible: then
nothing would ever become free again by itself. So events that come, and snapshots, leave some.
"""

from __future__ import annotations

from pathlib import Path

from engine.disk import DISK, Disk

SPARE_BYTES = 8 * 1024 * 1024
SPARE_PART = 32  # of a small device


def spare_bytes(device_bytes: int) -> int:
    """How much of a device of this size is left for a sink's cursors to move."""
    return min(SPARE_BYTES, device_bytes // SPARE_PART)


def beyond_spare(folder: Path, part: int = 1, disk: Disk = DISK) -> int:
    """What the device still has beside that, or beside one of so many parts of it."""
    free, total = disk.device_bytes(folder)
    return free - spare_bytes(total) // part
