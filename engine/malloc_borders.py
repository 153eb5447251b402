"""What glibc's malloc gives back to the system, and what it keeps.

A block larger than a border comes from the system and goes back when it is freed; the border grows with what is freed,
up to 32 MiB. Below it a block comes from the heap of its thread, which keeps what it had. So what a snapshot or the
packing of a segment needs for a moment stays, in the heap of each thread that ever did it: in half an hour an engine
grew by 40 MB that nothing used. Hence that border stays where it is.

With that the end of a heap goes back to the system as soon as 128 KiB of it are free, and a group of records on its way
to the journal is more: its pages were brought anew each time, which cost as much as its checksum and its write. Hence a
heap keeps as much as the largest groups need.

Each thread would have a heap of its own, up to eight a processor, and each keep so much: threads that write by turns
grew an engine by 20 MB an hour. Hence they share a few.
"""

from __future__ import annotations

import ctypes

LARGE_BYTES = 1 << 20  # blocks from here on go back
KEPT_BYTES = 4 << 20  # free, at the end of each heap
HEAPS_MAX = 2
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX = -3, -1, -8  # malloc.h of glibc


def set_malloc_borders() -> None:
    """For the rest of this process. Does nothing where the C library knows no such borders."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_ARENA_MAX, HEAPS_MAX)
