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

from bench import servers
from bench.measure import Failed, durations, in_turns
from bench.settings import OURS, Figures, Settings
from engine.clock import now_us
from engine.contracts import Emitted, OutRow, Sink
from engine.dead_letters import DeadLetters
from engine.delivery import Forwarder
from engine.metrics import SinkMetrics
from engine.model import BUSINESS
from engine.outbox import SqliteOutbox
from engine.sinks.redis_stream import RedisSink
from engine.sinks.redis_stream import Settings as RedisSettings
from engine.throttle import Settings as DeliverySettings

APPENDS = 200
BATCH, SMALL_BATCH = 512, 64
REDIS_EVENTS = 20_000
ROWS_MAX = 10**9
OUR_STREAM, PLAIN_STREAM = "bench.ours", "bench.plain"
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


def outbox_append(settings: Settings) -> Figures:
    """Business events of 600 bytes into the outbox, BATCH a commit, each commit synced.

    `sortline`: SqliteOutbox.append with one sink of three queues. `fsync`: the same bytes appended to a plain file with
    one fdatasync a batch, the floor that the disk sets. Percentiles are of one batch.
    """
    batches = _batches(settings.size(APPENDS * BATCH, 3 * BATCH))
    steps = in_turns({OURS: lambda: _append(batches), "fsync": lambda: _append_plainly(batches)}, settings.runs)
    return {**durations(steps), "events": sum(map(len, batches))}


def outbox_drain(settings: Settings) -> Figures:
    """A backlog of business events through the forwarder into a sink that takes everything at once.

    It is what remains of a sink's speed when the sink costs nothing: reading, sending, moving the cursor (one synced
    commit a batch) and dropping rows. `sortline`: seconds for all of them. `append`: what it took to get the same
    events in, and nothing else; a running engine has to journal and decide besides, so its ingest is slower than that.
    """
    batches = _batches(settings.size(APPENDS * BATCH, 3 * BATCH))
    spent = in_turns({"both": lambda: _append_and_drain(batches)}, settings.runs)["both"]
    steps = {OURS: [[drained_s] for _, drained_s in spent], "append": [appended for appended, _ in spent]}
    return {**durations(steps), "events": sum(map(len, batches))}


def outbox_dead_sink(settings: Settings) -> Figures:
    """Appends of SMALL_BATCH events while a sink drains them: `alone`, and beside a second, dead one (`sortline`).

    p99 of one append is what ingest feels of a dead sink. `dead_sink_ratio`: p99 with it by p99 without.
    """
    appends = settings.size(APPENDS, 3)
    contestants: dict[str, Callable[[], list[float]]] = {
        "alone": lambda: _append_beside(appends, {"erp": Swallowing()}),
        OURS: lambda: _append_beside(appends, {"erp": Swallowing(), "dead": Swallowing(dead=True)}),
    }
    figures = durations(in_turns(contestants, settings.runs))
    return {**figures, "dead_sink_ratio": round(figures["p99_ms"] / figures["peers_ms"]["alone"]["p99_ms"], 2)}


def sink_redis(settings: Settings) -> Figures:
    """Business events into one stream of a Redis that syncs every write, BATCH a call. Percentiles are of one call.

    `sortline`: RedisSink.send, explicit ids, one script a call. `redis-py`: a plain pipeline of `XADD *` without a
    transaction, which would double entries whose reply is lost.
    """
    batches = _batches(settings.size(REDIS_EVENTS, 2 * BATCH))
    events = sum(map(len, batches))
    with tempfile.TemporaryDirectory(prefix="sortline-redis-") as folder:
        port = servers.free_port()
        with servers.redis(Path(folder), port, "erp"), redis.Redis(port=port) as client:
            contestants: dict[str, Callable[[], list[float]]] = {
                OURS: lambda: asyncio.run(_send(port, client, batches)),
                "redis-py": lambda: _add_plainly(client, batches),
            }
            steps = in_turns(contestants, settings.runs)
            if not client.xlen(OUR_STREAM) == client.xlen(PLAIN_STREAM) == events:
                raise Failed(f"{client.xlen(OUR_STREAM)} and {client.xlen(PLAIN_STREAM)} entries of {events}")
    return {**durations(steps), "events": events, "redis": "appendfsync always"}


async def _send(port: int, client: redis.Redis, batches: list[list[Emitted]]) -> list[float]:
    rows = [[OutRow(e.sequence, e.id, e.type, OUR_STREAM, e.partitionkey, e.body) for e in each] for each in batches]
    client.delete(OUR_STREAM)
    sink: Sink = RedisSink("bench", RedisSettings(port=port), Path(), now_us)
    await sink.open()
    took = []
    for each in rows:
        before = time.perf_counter()
        await sink.send(each)
        took.append(time.perf_counter() - before)
    await sink.close()
    return took


def _add_plainly(client: redis.Redis, batches: list[list[Emitted]]) -> list[float]:
    def add(events: list[Emitted]) -> None:
        pipeline = client.pipeline(transaction=False)
        for e in events:
            fields: dict[Any, Any] = {"id": e.id, "type": e.type, "partitionkey": e.partitionkey, "event": e.body}
            pipeline.xadd(PLAIN_STREAM, fields)
        pipeline.execute()

    client.delete(PLAIN_STREAM)
    return [_timed(partial(add, each)) for each in batches]


def _append(batches: list[list[Emitted]]) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        outbox = _outbox(Path(folder), ["erp"])
        took = [_timed(partial(outbox.append, events)) for events in batches]
        outbox.close()
    return took


def _append_plainly(batches: list[list[Emitted]]) -> list[float]:
    def append(events: list[Emitted]) -> None:
        os.write(file, b"".join(event.body for event in events))
        os.fdatasync(file)

    with tempfile.TemporaryDirectory() as folder:
        file = os.open(Path(folder, "plain"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        took = [_timed(partial(append, events)) for events in batches]
        os.close(file)
    return took


def _append_and_drain(batches: list[list[Emitted]]) -> tuple[list[float], float]:
    """Seconds of each append, and of the drain."""
    with tempfile.TemporaryDirectory() as folder:
        outbox = _outbox(Path(folder), ["erp"])
        appended = [_timed(partial(outbox.append, each)) for each in batches]
        drain = _drain(Path(folder), outbox, {"erp": Swallowing()}, sum(map(len, batches)))
        drained_s = _timed(partial(asyncio.run, drain))
        outbox.close()
    return appended, drained_s


def _append_beside(appends: int, sinks: dict[str, Swallowing]) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        outbox = _outbox(Path(folder), list(sinks))
        took = asyncio.run(_appended_beside(Path(folder), outbox, sinks, appends))
        outbox.close()
    return took


async def _drain(folder: Path, outbox: SqliteOutbox, sinks: dict[str, Swallowing], events: int) -> None:
    letters = DeadLetters(folder / "dead.sqlite", now_us)
    tasks = [asyncio.create_task(forwarder.run()) for forwarder in _forwarders(outbox, letters, sinks)]
    while outbox.depth("erp"):  # noqa: ASYNC110 - in another task's hands
        await asyncio.sleep(0.001)
    if sinks["erp"].taken != events:
        raise Failed(f"the sink has {sinks['erp'].taken} events of {events}")
    await _stop(tasks)
    letters.close()


async def _appended_beside(
    folder: Path, outbox: SqliteOutbox, sinks: dict[str, Swallowing], appends: int
) -> list[float]:
    letters = DeadLetters(folder / "dead.sqlite", now_us)
    forwarders = _forwarders(outbox, letters, sinks)
    tasks = [asyncio.create_task(forwarder.run()) for forwarder in forwarders]
    took = []
    for at in range(appends):
        events = _events(1 + at * SMALL_BATCH, SMALL_BATCH)
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
        Forwarder(name, sink, outbox, letters, SinkMetrics(name), now_us, DeliverySettings(), advanced=advanced)
        for name, sink in made
    ]


def _outbox(folder: Path, sinks: list[str]) -> SqliteOutbox:
    routes = {type_: dict.fromkeys(sinks, business.queue) for type_, business in BUSINESS.items()}
    return SqliteOutbox(folder / "outbox.sqlite", routes=routes, sinks=sinks, rows_max=ROWS_MAX)


def _batches(events: int) -> list[list[Emitted]]:
    return [_events(first, min(BATCH, events - first + 1)) for first in range(1, events + 1, BATCH)]


def _events(first: int, count: int) -> list[Emitted]:
    return [_event(sequence) for sequence in range(first, first + count)]


def _event(sequence: int) -> Emitted:
    digest = hashlib.blake2b(sequence.to_bytes(8, "big"), digest_size=16).digest()
    type_ = TYPES[sequence % len(TYPES)]
    return Emitted(
        sequence, f"{BUSINESS[type_].code}1.{digest.hex()[:26]}:r0", type_, f"O-{sequence // 8}", BODY, digest
    )


def _timed(step: Callable[[], object]) -> float:
    before = time.perf_counter()
    step()
    return time.perf_counter() - before
