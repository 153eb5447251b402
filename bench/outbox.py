"""The outbox and what empties it: how fast events go in, how fast they come out, and what a dead sink costs.

A figure of an fsync says more about the disk than about us: each case names its own in the same run, so that ratios
can be held against each other.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import redis

from bench.measure import Timing
from engine.clock import now_us
from engine.contracts import Emitted, OutRow, Sink
from engine.dead_letters import DeadLetters
from engine.delivery import Forwarder
from engine.metrics import SinkMetrics
from engine.model import BUSINESS
from engine.outbox import SqliteOutbox
from engine.sinks.redis_stream import RedisSink
from engine.sinks.redis_stream import Settings as RedisSettings
from engine.throttle import Settings

APPENDS = 200
BATCH = 512
TYPES = ("pick.confirmed", "carton.closed", "shipment.ready", "exception.raised")
BODY = b'{"specversion":"1.0","data":{"order":"O-1","line":1,"sku":"SKU-1","qty":3}}'.ljust(600, b" ")


class Swallowing:
    """A sink that takes everything at once; with `dead`, none of it."""

    def __init__(self, dead: bool = False) -> None:
        self.taken = 0
        self._dead = dead

    async def open(self) -> None:
        if self._dead:
            raise ConnectionRefusedError

    async def send(self, rows: Sequence[OutRow]) -> None:
        self.taken += len(rows)

    async def close(self) -> None:
        pass


def outbox_append(runs: int = 3, *, appends: int = APPENDS, batch: int = BATCH, sinks: int = 1) -> dict[str, Timing]:
    """Business events of 600 bytes into the outbox, `batch` a commit, each commit synced.

    `sortline`: SqliteOutbox.append with `sinks` sinks of three queues each. `fsync`: the same bytes appended to a plain
    file with one fdatasync a batch, the floor that the disk sets. Timings are of one batch; records: appends * batch.
    """
    ours, floor = [], []
    for run in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            outbox = _outbox(Path(folder), [f"sink{n}" for n in range(sinks)], appends * batch + 1)
            batches = [_events(1 + at * batch, batch) for at in range(appends)]
            ours.append([_timed(partial(outbox.append, events)) for events in batches])
            outbox.close()
            floor.append(_appended(Path(folder) / f"plain{run}", batches))
    return {"sortline": _timing(ours), "fsync": _timing(floor)}


def outbox_drain(runs: int = 3, *, events: int = APPENDS * BATCH, batch: int = BATCH) -> dict[str, Timing]:
    """A backlog of `events` business events through the forwarder into a sink that takes everything at once.

    It is what remains of a sink's speed when the sink costs nothing: reading, sending, moving the cursor (one synced
    commit a batch) and dropping rows. `sortline`: seconds for all of them. `append`: what it took to get the same
    events in, and nothing else; a running engine has to journal and decide besides, so its ingest is slower than that.
    """
    drained, appended = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            outbox = _outbox(Path(folder), ["erp"], events + 1)
            batches = [_events(first, min(batch, events - first + 1)) for first in range(1, events + 1, batch)]
            appended.append([_timed(partial(outbox.append, each)) for each in batches])
            began_s = time.perf_counter()
            asyncio.run(_drain(Path(folder), outbox, {"erp": Swallowing()}, events))
            drained.append([time.perf_counter() - began_s])
            outbox.close()
    return {"sortline": _timing(drained), "append": _timing(appended)}


def outbox_dead_sink(runs: int = 3, *, appends: int = APPENDS, batch: int = 64) -> dict[str, Timing]:
    """Appends of `batch` events while a sink drains them, alone (`alone`) and beside a second, dead one (`sortline`).

    p99 of one append is what ingest feels of a dead sink; it may be at most twice as long as without.
    """
    times: dict[str, list[list[float]]] = {"sortline": [], "alone": []}
    for _ in range(runs):
        for name, dead in (("alone", False), ("sortline", True)):
            with tempfile.TemporaryDirectory() as folder:
                sinks: dict[str, Swallowing] = {"erp": Swallowing()} | ({"dead": Swallowing(True)} if dead else {})
                outbox = _outbox(Path(folder), list(sinks), appends * batch + 1)
                times[name].append(asyncio.run(_append_beside(Path(folder), outbox, sinks, appends, batch)))
                outbox.close()
    return {name: _timing(runs_of) for name, runs_of in times.items()}


def redis_add(port: int, runs: int = 3, *, events: int = 20_000, batch: int = BATCH) -> dict[str, Timing]:
    """`events` business events into one stream of the Redis at `port` of this machine, `batch` a call.

    `sortline`: RedisSink.send, explicit ids, one script a call, waiting for the server's disk where it can. `redis-py`:
    a plain pipeline of `XADD *` without a transaction, which would double entries whose reply is lost. Timings are of
    one call. The streams are deleted before each run.
    """
    batches = [_events(first, min(batch, events - first + 1)) for first in range(1, events + 1, batch)]
    rows = [[OutRow(e.sequence, e.id, e.type, "bench.ours", e.partitionkey, e.body) for e in each] for each in batches]
    ours, plain = [], []
    with redis.Redis(port=port) as client:
        for _ in range(runs):
            client.delete("bench.ours", "bench.plain")
            ours.append(asyncio.run(_send(RedisSink("bench", RedisSettings(port=port), Path(), now_us), rows)))
            plain.append([_timed(partial(_add_plainly, client, each)) for each in batches])
            assert client.xlen("bench.ours") == client.xlen("bench.plain") == events
        client.delete("bench.ours", "bench.plain")
    return {"sortline": _timing(ours), "redis-py": _timing(plain)}


async def _send(sink: Sink, batches: list[list[OutRow]]) -> list[float]:
    await sink.open()
    took = []
    for rows in batches:
        before = time.perf_counter()
        await sink.send(rows)
        took.append(time.perf_counter() - before)
    await sink.close()
    return took


def _add_plainly(client: redis.Redis, events: list[Emitted]) -> None:
    pipeline = client.pipeline(transaction=False)
    for e in events:
        fields: dict[Any, Any] = {"id": e.id, "type": e.type, "partitionkey": e.partitionkey, "event": e.body}
        pipeline.xadd("bench.plain", fields)
    pipeline.execute()


async def _drain(folder: Path, outbox: SqliteOutbox, sinks: dict[str, Swallowing], events: int) -> None:
    letters = DeadLetters(folder / "dead.sqlite", now_us)
    tasks = [asyncio.create_task(forwarder.run()) for forwarder in _forwarders(outbox, letters, sinks)]
    while outbox.depth("erp"):  # noqa: ASYNC110 - in another task's hands
        await asyncio.sleep(0.001)
    assert sinks["erp"].taken == events
    await _stop(tasks)
    letters.close()


async def _append_beside(
    folder: Path, outbox: SqliteOutbox, sinks: dict[str, Swallowing], appends: int, batch: int
) -> list[float]:
    letters = DeadLetters(folder / "dead.sqlite", now_us)
    forwarders = _forwarders(outbox, letters, sinks)
    tasks = [asyncio.create_task(forwarder.run()) for forwarder in forwarders]
    took = []
    for at in range(appends):
        events = _events(1 + at * batch, batch)
        began_s = time.perf_counter()
        await asyncio.to_thread(outbox.append, events)
        took.append(time.perf_counter() - began_s)
        for forwarder in forwarders:
            forwarder.wake()
    await _stop(tasks)
    letters.close()
    return took


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _forwarders(outbox: SqliteOutbox, letters: DeadLetters, sinks: dict[str, Swallowing]) -> list[Forwarder]:
    def advanced() -> None:
        pass

    made: list[tuple[str, Sink]] = list(sinks.items())
    return [
        Forwarder(name, sink, outbox, letters, SinkMetrics(name), now_us, Settings(), advanced=advanced)
        for name, sink in made
    ]


def _outbox(folder: Path, sinks: list[str], rows_max: int) -> SqliteOutbox:
    routes = {type_: dict.fromkeys(sinks, business.queue) for type_, business in BUSINESS.items()}
    return SqliteOutbox(folder / "outbox.sqlite", routes=routes, sinks=sinks, rows_max=rows_max)


def _events(first: int, count: int) -> list[Emitted]:
    return [_event(sequence) for sequence in range(first, first + count)]


def _event(sequence: int) -> Emitted:
    digest = hashlib.blake2b(sequence.to_bytes(8, "big"), digest_size=16).digest()
    type_ = TYPES[sequence % len(TYPES)]
    return Emitted(
        sequence, f"{BUSINESS[type_].code}1.{digest.hex()[:26]}:r0", type_, f"O-{sequence // 8}", BODY, digest
    )


def _appended(path: Path, batches: list[list[Emitted]]) -> list[float]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def append(content: bytes) -> None:
        os.write(file, content)
        os.fdatasync(file)

    took = [_timed(partial(append, b"".join(event.body for event in events))) for events in batches]
    os.close(file)
    return took


def _timed(step: Callable[[], object]) -> float:
    before = time.perf_counter()
    step()
    return time.perf_counter() - before


def _timing(runs: list[list[float]]) -> Timing:
    each = sorted(seconds for run in runs for seconds in run)
    whole = sorted(sum(run) for run in runs)
    p99 = each[min(len(each) - 1, int(0.99 * len(each)))]
    return Timing(whole[len(whole) // 2], 1_000 * each[len(each) // 2], 1_000 * p99)
