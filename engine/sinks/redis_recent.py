"""What a server took last, for when it comes back without it: a replica that became the master and had not heard of it
yet, or a server that ended before it wrote its file (`appendfsync everysec`, or a Redis without WAITAOF).

The outbox has let these events go by then. So they stay in memory for a while, bounded, as long as the engine lives.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.contracts import OutRow
from engine.sinks.redis_room import EntryId

KEPT_S = 10.0  # before the last one that was taken
KEPT_BYTES_MAX = 8 * 1024 * 1024


class Taken(NamedTuple):
    row: OutRow
    at_s: float


class Stream:
    """taken: oldest first. forgotten: the id of the last one that is no longer in it."""

    def __init__(self) -> None:
        self.taken: deque[Taken] = deque()
        self.bytes = 0
        self.forgotten: EntryId = (0, 0)


class Recent:
    """The streams of one sink. timer: seconds that only grow."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._streams: dict[str, Stream] = {}

    def add(self, stream: str, rows: Sequence[OutRow]) -> None:
        """The server says that it has them."""
        kept, now_s = self._streams.setdefault(stream, Stream()), self._timer()
        kept.taken.extend(Taken(row, now_s) for row in rows)
        kept.bytes += sum(len(row.body) for row in rows)
        bytes_max = KEPT_BYTES_MAX // len(self._streams)
        # the last one stays, however large it is: without it nothing would tell that the server has lost it
        while len(kept.taken) > 1 and (kept.bytes > bytes_max or kept.taken[0].at_s < now_s - KEPT_S):
            row, _ = kept.taken.popleft()
            kept.bytes -= len(row.body)
            kept.forgotten = id_of(row)

    def lost(self, stream: str, last: EntryId) -> tuple[list[OutRow], bool]:
        """Those that a stream that ends with `last` had and has not any more; whether it is more than is remembered."""
        kept = self._streams.get(stream, Stream())
        return [row for row, _ in kept.taken if id_of(row) > last], kept.forgotten > last


def id_of(row: OutRow) -> EntryId:
    return row.position, row.again
