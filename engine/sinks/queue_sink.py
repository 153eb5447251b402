"""The embedded queue as a sink."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from engine.clock import Clock
from engine.contracts import OutRow
from engine.sinks.queue import Queue, Settings
from engine.sinks.queue_mended import opened_queue


class QueueSink:
    """`contracts.FileSink` on a `Queue`."""

    def __init__(self, name: str, settings: Settings, data_dir: Path, clock: Clock) -> None:
        self.path = data_dir / (settings.path or f"{name}.sqlite")
        self._settings = settings
        self._queue: Queue | None = None

    async def open(self) -> None:
        self._queue = await asyncio.to_thread(opened_queue, self.path, self._settings)

    async def send(self, rows: Sequence[OutRow]) -> None:
        if self._queue is None:
            raise RuntimeError("the queue is not open")
        await asyncio.to_thread(self._queue.put, rows)

    def settle(self) -> bool:
        if self._queue is None:
            raise RuntimeError("the queue is not open")
        return self._queue.settle()

    async def close(self) -> None:
        queue, self._queue = self._queue, None
        if queue is not None:
            await asyncio.to_thread(queue.close)
