"""What drivers have handed over and what the rules have not decided on yet: bounded in records and in bytes.

First it waits for the journal, then, acknowledged, for the core; its room is free again when the core is done with it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from engine.contracts import Block, Delivery
from engine.journal import Position
from engine.metrics import IntakeMetrics

GROUP_RECORDS_MAX = 4_096  # putting them together, and acknowledging each, holds the event loop
GROUP_BYTES_MAX = 1024 * 1024


class Limits(NamedTuple):
    """At which of them drivers wait. A single delivery above a limit still passes, alone."""

    records_max: int
    bytes_max: int


class Waiting(NamedTuple):
    delivery: Delivery
    at_us: int  # when it was handed over
    size: int  # bytes of its lines


class Group(NamedTuple):
    """What goes to the journal in one append, in the order in which it came."""

    waiting: list[Waiting]
    payload: bytes  # every line, each ended by a line feed


class Step(NamedTuple):
    """A group that is on disk, and that the rules have not decided on yet. end: its end in the journal."""

    group: Group
    end: Position
    bytes: int


class IntakeQueue:
    """Deliveries between the drivers and the journal. Their room comes back when a group is `released`, decided."""

    def __init__(self, limits: Limits, metrics: IntakeMetrics, group_bytes_max: int = GROUP_BYTES_MAX) -> None:
        self._limits = limits
        self._metrics = metrics
        self._group_bytes_max = min(group_bytes_max, GROUP_BYTES_MAX)
        self._queue: deque[Waiting] = deque()
        self._news = asyncio.Event()
        self._full = asyncio.Event()  # more waits than one append takes
        self._room = asyncio.Event()
        self._queued_records = 0
        self._queued_bytes = 0

    async def put(self, delivery: Delivery, at_us: int) -> None:
        waiting = Waiting(delivery, at_us, _size(delivery))
        while not self._fits(waiting):
            self._room.clear()
            self._metrics.waiting += 1
            try:
                await self._room.wait()
            finally:
                self._metrics.waiting -= 1
        self._metrics.records += len(delivery.lines)
        self._metrics.bytes += waiting.size
        self._queue.append(waiting)
        self._queued_records += len(delivery.lines)
        self._queued_bytes += waiting.size
        self._news.set()
        if self._makes_a_group():
            self._full.set()

    async def wait(self, seconds: float) -> None:
        """Until there is a delivery, `interrupt` was called, or the time is over."""
        if self._queue:
            return
        self._news.clear()
        # not wait_for: until Python 3.12 it may swallow a cancellation
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    async def ripen(self, seconds: float) -> None:
        """Until the time is over or a full group waits: so that one sync does for all that comes meanwhile."""
        if seconds <= 0 or not self._queue or self._makes_a_group():
            return
        self._full.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._full.wait()
        except TimeoutError:
            return

    def _makes_a_group(self) -> bool:
        return self._queued_records >= GROUP_RECORDS_MAX or self._queued_bytes >= self._group_bytes_max

    def interrupt(self) -> None:
        self._news.set()

    def take(self) -> Group | None:
        """What waits, as much as goes into one append; None: nothing."""
        waiting: list[Waiting] = []
        records = size = 0
        while self._queue and (not waiting or (records < GROUP_RECORDS_MAX and size < self._group_bytes_max)):
            waiting.append(self._queue.popleft())
            records += len(waiting[-1].delivery.lines)
            size += waiting[-1].size
        if not waiting:
            return None
        self._queued_records -= records
        self._queued_bytes -= size
        return Group(waiting, _payload(waiting))

    def release(self, group: Group) -> None:
        """The group is decided: its room is free again."""
        for waiting in group.waiting:
            self._metrics.records -= len(waiting.delivery.lines)
            self._metrics.bytes -= waiting.size
        self._room.set()

    def _fits(self, waiting: Waiting) -> bool:
        records, size = self._metrics.records, self._metrics.bytes
        if not records:
            return True
        return (
            records + len(waiting.delivery.lines) <= self._limits.records_max
            and size + waiting.size <= self._limits.bytes_max
        )


def _size(delivery: Delivery) -> int:
    lines = delivery.lines
    return len(lines.data) - len(lines) if isinstance(lines, Block) else sum(map(len, lines))


def _payload(group: list[Waiting]) -> bytes:
    """Joined once: copying is most of what a line costs here."""
    pieces: list[bytes | memoryview] = []
    for waiting in group:
        lines = waiting.delivery.lines
        if not isinstance(lines, Block):
            pieces.extend(lines)
        elif lines.data:
            pieces.append(memoryview(lines.data)[:-1])
    return b"\n".join([*pieces, b""])


def source_of_line(group: Group, line: int) -> tuple[str, bytes]:
    """The source that handed over line number `line` of the group's payload, and the line."""
    for waiting in group.waiting:
        for text in waiting.delivery.lines:
            # a line feed inside a record makes several lines of it, none of them a record
            lines = text.count(b"\n") + 1
            if line < lines:
                return waiting.delivery.source, text
            line -= lines
    raise IndexError(f"the group has {-line} lines fewer than asked for")
