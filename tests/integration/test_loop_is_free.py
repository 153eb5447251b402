"""How we know that neither the core nor the disk holds the event loop: under a burst, with a disk that takes its time.

Not by the clock. A task counts the turns of the loop. Every wait for the disk lasts until the loop has turned a hundred
times more: on the loop's own thread that would never come. Of the records, a slice at most is decided in one turn, and
a group of bounded size is put together and acknowledged in one.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from engine.app import Engine
from engine.config.load import load_site
from engine.contracts import Delivery
from engine.intake import GROUP_RECORDS_MAX, Group, IntakeQueue
from engine.outbox import SqliteOutbox
from engine.sinks.queue import Queue
from engine.slices import SLICE_BYTES_MAX, Slicer
from tests.commands import queued

TASKS = 12_000
RECORDS_A_DELIVERY = 100
TURNS = 100
WAIT_S = 60.0
NOW_US = int(time.time() * 1_000_000)


class Turns:
    """Counts the turns of the running loop; `wait`, in a thread, for more of them."""

    def __init__(self) -> None:
        self.count = 0
        self.loop_thread = threading.get_ident()
        self.waits: dict[str, int] = {}

    async def run(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)

    def wait(self, what: str) -> None:
        """As a slow disk would; fails where the loop stands still meanwhile."""
        assert threading.get_ident() != self.loop_thread, f"{what} on the event loop's thread"
        self.waits[what] = self.waits.get(what, 0) + 1
        until, deadline = self.count + TURNS, time.monotonic() + WAIT_S
        while self.count < until:
            assert time.monotonic() < deadline, f"the event loop stands still during {what}"
            time.sleep(0.0005)


def burst() -> Iterator[bytes]:
    """An order, its task and its pick, again and again: three records for an event."""
    for n in range(TASKS):
        at = {"t": NOW_US + n, "t_rx": NOW_US + n}
        line = {"line": 1, "sku": "S", "qty": 1}
        wms: dict[str, Any] = {"src": "dc1/wms/main", "order": f"O-{n}", "rev": 1, **at}
        yield msgspec.json.encode({**wms, "kind": "order.released", "lines": [line]})
        yield msgspec.json.encode({**wms, "kind": "pick.task", "task": f"T-{n}", **line})
        pick = {"src": "dc1/pick/PTL-1", "kind": "pick.confirm", "seq": n, "task": f"T-{n}", "sku": "S", "qty": 1}
        yield msgspec.json.encode({**pick, **at})


def slowed(call: Callable[..., Any], turns: Turns, what: str) -> Callable[..., Any]:
    def slow(*arguments: Any, **named: Any) -> Any:
        turns.wait(what)
        return call(*arguments, **named)

    return slow


def test_neither_the_core_nor_a_slow_disk_holds_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "site.toml"
    path.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{tmp_path / "data"}"\n')
    deliveries = list(batched(list(burst()), RECORDS_A_DELIVERY))
    slices: list[tuple[int, int, int]] = []  # turn of the loop, bytes, records
    groups: list[int] = []  # records

    async def story() -> None:
        turns = Turns()
        decode, take = Slicer._decode, IntakeQueue.take

        def decoded(slicer: Slicer, part: bytes) -> list[tuple[int, str]]:
            slices.append((turns.count, len(part), part.count(b"\n")))
            return decode(slicer, part)

        def taken(intake: IntakeQueue) -> Group | None:
            group = take(intake)
            if group is not None:
                groups.append(sum(len(waiting.delivery.lines) for waiting in group.waiting))
            return group

        monkeypatch.setattr(Slicer, "_decode", decoded)
        monkeypatch.setattr(IntakeQueue, "take", taken)
        engine = Engine(load_site(path))
        stop = asyncio.Event()
        running = asyncio.create_task(engine.run(stop))
        counting = asyncio.create_task(turns.run())
        while engine.metrics.state != "running":
            await asyncio.sleep(0.01)
        monkeypatch.setattr(os, "fdatasync", slowed(os.fdatasync, turns, "the journal's sync"))
        monkeypatch.setattr(SqliteOutbox, "append", slowed(SqliteOutbox.append, turns, "the outbox's commit"))
        monkeypatch.setattr(SqliteOutbox, "read", slowed(SqliteOutbox.read, turns, "the outbox's reading"))
        monkeypatch.setattr(SqliteOutbox, "advance", slowed(SqliteOutbox.advance, turns, "the outbox's cursor"))
        monkeypatch.setattr(Queue, "put", slowed(Queue.put, turns, "the queue's commit"))
        for lines in deliveries:
            await engine._pipeline.put(Delivery("floor", lines))
        while engine.metrics.sink("queue").delivered < TASKS:
            assert not running.done()
            await asyncio.sleep(0.01)
        monkeypatch.undo()
        stop.set()
        account = await running
        counting.cancel()
        assert account["in"] >= 3 * TASKS  # and what the engine's own clock said
        assert set(turns.waits) == {
            "the journal's sync",
            "the outbox's commit",
            "the outbox's reading",
            "the outbox's cursor",
            "the queue's commit",
        }
        print(f"held the loop: p99 {engine.metrics.loop.p99_us()} us, max {engine.metrics.loop.max_us} us")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
    assert len(queued(tmp_path / "data" / "queue.sqlite")) == TASKS
    assert sum(records for _, _, records in slices) >= 3 * TASKS
    assert max(groups) < GROUP_RECORDS_MAX + RECORDS_A_DELIVERY
    longest = max(size for _, size, _ in slices)
    assert longest <= SLICE_BYTES_MAX + 300, "a slice ends with the line in which its bytes end"
    for (turn, _, _), (following, _, _) in itertools.pairwise(slices):
        assert turn < following, "two slices in one turn of the loop"


def batched(lines: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (lines[at : at + size] for at in range(0, len(lines), size))
