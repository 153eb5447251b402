"""The other end of the queues, whichever kind holds them: what is in them, and who has acknowledged what.

A position is text: a number in the embedded queue, an entry's id (`1042-0`) in a Redis Stream. A consumer is a name
there, a consumer group here.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from engine.errors import Refused
from engine.secret import Secret
from engine.sinks.queue import Queue
from engine.sinks.queue import Settings as QueueSettings

PASSWORD = "SORTLINE_REDIS_PASSWORD"  # noqa: S105 - the name of the variable
SCAN_COUNT = 1_000
PENDING_COUNT = 1_000


class Consumer(NamedTuple):
    """`position`: it has everything up to there. `open`: entries that it does not have, or has not acknowledged."""

    name: str
    position: str
    open: int | None  # None: the server cannot say


class QueueView(NamedTuple):
    queue: str
    entries: int
    last: str
    consumers: list[Consumer]


class Entry(NamedTuple):
    position: str
    id: str
    type: str
    partitionkey: str
    body: bytes


class Reader(Protocol):
    async def views(self) -> list[QueueView]:
        """Every queue, by name."""

    async def read(self, queue: str, after: str, limit: int) -> list[Entry]:
        """The next entries behind `after` ("" is before all of them), oldest first."""

    async def before_last(self, queue: str, count: int) -> str:
        """The position behind which the last `count` entries stand."""

    async def position(self, queue: str, consumer: str) -> str:
        """Where the consumer stands; "": nowhere yet."""

    async def ack(self, queue: str, consumer: str, upto: str) -> str:
        """The consumer has everything up to there. Returns where it stands now. ValueError: there is no such place."""

    async def close(self) -> None: ...


def open_file(path: Path, settings: QueueSettings | None = None) -> Reader:
    """The embedded queue in `path`. Refused if there is none, or it cannot be opened."""
    if not path.is_file():
        raise Refused(f"{path}: there is no queue; the engine makes it at its first start")
    try:
        return FileReader(Queue(path, settings))
    except sqlite3.OperationalError as error:
        raise Refused(str(error)) from error  # it names the file


def open_redis(settings: Any) -> Reader:
    """The streams that a redis sink with these settings writes."""
    from engine.redis_nodes import Nodes  # only who asks for Redis needs its library

    return RedisReader(Nodes(settings), settings.prefix)


def open_url(url: str) -> Reader:
    """`redis://[user@]host[:port][/db]`, or `rediss://` for TLS. The password, if any, comes from the environment."""
    from engine.sinks.redis_stream import Settings
    from engine.tls import Tls

    parts = urlsplit(url)
    if parts.password:
        raise Refused(f"a password does not belong on a command line: put it into {PASSWORD}")
    try:
        port, db = parts.port or 6379, int(parts.path.strip("/") or 0)
    except ValueError:
        raise Refused(f"{url}: is not redis://[user@]host[:port][/db]") from None
    secret = Secret(env=PASSWORD)
    settings = Settings(
        host=parts.hostname or "127.0.0.1",
        port=port,
        db=db,
        user=unquote(parts.username) if parts.username else None,
        password=None if any(secret.faults()) else secret,
        tls=Tls() if parts.scheme == "rediss" else None,
    )
    for _, fault in settings.faults():
        raise Refused(f"{url}: {fault}")
    return open_redis(settings)


class FileReader:
    """`Reader` on the embedded queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def views(self) -> list[QueueView]:
        return [
            QueueView(
                state.queue,
                state.last - state.first + 1,
                str(state.last),
                [Consumer(name, str(at), state.last - at) for name, at in state.consumers.items()],
            )
            for state in self._queue.states()
        ]

    async def read(self, queue: str, after: str, limit: int) -> list[Entry]:
        return [Entry(str(entry.position), *entry[1:]) for entry in self._queue.read(queue, _number(after), limit)]

    async def before_last(self, queue: str, count: int) -> str:
        return str(
            max((max(0, state.last - count) for state in self._queue.states() if state.queue == queue), default=0)
        )

    async def position(self, queue: str, consumer: str) -> str:
        return str(self._queue.position(queue, consumer))

    async def ack(self, queue: str, consumer: str, upto: str) -> str:
        return str(self._queue.ack(queue, consumer, _number(upto)))

    async def close(self) -> None:
        self._queue.close()


class RedisReader:
    """`Reader` on Redis Streams; a consumer is a consumer group."""

    def __init__(self, nodes: Any, prefix: str) -> None:
        self._nodes = nodes
        self._prefix = prefix
        self._open = False

    async def views(self) -> list[QueueView]:
        await self._opened()
        keys: list[bytes] = []
        for _, redis in self._nodes.all():
            keys += [key async for key in redis.scan_iter(f"{self._prefix}*", count=SCAN_COUNT, _type="stream")]
        return [await self._view(key.decode()) for key in sorted(keys)]

    async def _view(self, stream: str) -> QueueView:
        redis = await self._of(stream)
        info = await redis.xinfo_stream(stream)
        consumers = []
        for group in await redis.xinfo_groups(stream):
            lag = group.get("lag")
            not_acknowledged = None if lag is None else lag + group["pending"]
            consumers.append(Consumer(group["name"].decode(), group["last-delivered-id"].decode(), not_acknowledged))
        return QueueView(
            stream.removeprefix(self._prefix), info["length"], info["last-generated-id"].decode(), consumers
        )

    async def read(self, queue: str, after: str, limit: int) -> list[Entry]:
        begin = f"({after}" if after else "-"
        redis = await self._of(self._prefix + queue)
        return [_entry(at, fields) for at, fields in await redis.xrange(self._prefix + queue, begin, "+", limit)]

    async def before_last(self, queue: str, count: int) -> str:
        redis = await self._of(self._prefix + queue)
        last = await redis.xrevrange(self._prefix + queue, "+", "-", count + 1)
        return last[-1][0].decode() if len(last) > count else ""

    async def position(self, queue: str, consumer: str) -> str:
        return (await self._groups(queue)).get(consumer, "")

    async def ack(self, queue: str, consumer: str, upto: str) -> str:
        stream = self._prefix + queue
        _numbers(upto)
        groups = await self._groups(queue)
        redis = await self._of(stream)
        if consumer not in groups:
            await redis.xgroup_create(stream, consumer, upto)
        elif _numbers(groups[consumer]) < _numbers(upto):
            await redis.xgroup_setid(stream, consumer, upto)
        while pending := await redis.xpending_range(stream, consumer, "-", upto, PENDING_COUNT):
            await redis.xack(stream, consumer, *(entry["message_id"] for entry in pending))
        return (await self._groups(queue))[consumer]

    async def close(self) -> None:
        await self._nodes.close()

    async def _opened(self) -> None:
        if not self._open:
            await self._nodes.open()
            self._open = True

    async def _of(self, stream: str) -> Any:
        await self._opened()
        return self._nodes.of(stream)

    async def _groups(self, queue: str) -> dict[str, str]:
        stream = self._prefix + queue
        redis = await self._of(stream)
        if not await redis.exists(stream):
            raise ValueError(f"there is no stream {stream}")
        groups = await redis.xinfo_groups(stream)
        return {group["name"].decode(): group["last-delivered-id"].decode() for group in groups}


def _entry(at: bytes, fields: dict[bytes, bytes]) -> Entry:
    id_, type_, key = (fields.get(name, b"").decode("utf-8", "replace") for name in (b"id", b"type", b"partitionkey"))
    return Entry(at.decode(), id_, type_, key, fields.get(b"event", b"null"))


def _number(position: str) -> int:
    if not (position or "0").isdecimal():
        raise ValueError(f"{position}: a position in the embedded queue is a number")
    return int(position or 0)


def _numbers(position: str) -> tuple[int, int]:
    first, _, second = position.partition("-")
    if not (first.isdecimal() and (second or "0").isdecimal()):
        raise ValueError(f"{position}: a position in a stream is an entry's id, as 1042-0")
    return int(first), int(second or 0)


def encode(queue: str, entry: Entry) -> bytes:
    """One JSON line, without its end: queue, position, event."""
    return msgspec.json.encode({"queue": queue, "position": entry.position, "event": msgspec.Raw(entry.body)})
