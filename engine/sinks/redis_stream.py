"""Redis Streams: one stream a queue, one entry an event, each once, whatever happens to the connection.

An entry's id is `<sequence>-0` of the event's place in the outbox, so ids grow strictly and the server itself refuses
an entry that it has. Its fields: `id`, `type`, `partitionkey`, and `event`, the whole CloudEvent.

A batch is one MULTI/EXEC: either all of it stands there or nothing. If the reply is lost, the connection is given up,
and the next one looks at the stream first: what is there already is not sent again. Nobody else may add to the streams,
or the ids of both would mix; that is noticed, and holds the sink. Any Redis from version 5 on.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from engine.clock import Clock
from engine.contracts import OutRow
from engine.errors import Refused
from engine.secret import Secret
from engine.tls import Tls, is_loopback

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
EntryId = tuple[int, int]

log = logging.getLogger("sortline.redis")


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[sinks.NAME]` with `kind = "redis"`.

    host, port, db: the server.
    user, password: of an ACL user; it needs EXISTS, XADD, XRANGE and XINFO on the streams, MULTI and EXEC, and WAITAOF
      where the server has it.
    tls: `tls = {}` for a certificate that this computer trusts; see `engine.tls`.
    plaintext: allow a connection without TLS to another computer. Whoever is on the network can read and forge.
    prefix: begins the name of every stream; the queue's name follows.
    entries_max: about how many of the newest entries a stream keeps, whether somebody has read the others or not;
      absent: all of them, until a consumer trims.
    batch_entries: at most so many entries go in one transaction.
    wait_aof: wait until the server has the entries in its append-only file on disk. `"auto"` (default): where it can
      (Redis 7.2, `appendonly yes`); `"always"`: hold the sink where it cannot; `"never"`. Without it a server with
      `appendfsync everysec` may forget the last second in a power cut.
    wait_aof_ms: the longest wait for that.
    connect_ms, command_ms: a connection or an answer takes no longer.
    """

    host: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_:]([A-Za-z0-9_:.-]*[A-Za-z0-9_])?$", max_length=253)] = (
        "127.0.0.1"
    )
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 6379
    db: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    user: Text | None = None
    password: Secret | None = None
    tls: Tls | None = None
    plaintext: bool = False
    prefix: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]*$", max_length=128)] = ""
    entries_max: Annotated[int, msgspec.Meta(ge=10_000, le=10**9)] | None = None
    batch_entries: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    wait_aof: Literal["auto", "always", "never"] = "auto"
    wait_aof_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 3_000
    connect_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 3_000
    command_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 5_000

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yields (path inside the sink's table, what is wrong and what to do) for what the types cannot say."""
        if self.tls is None and not self.plaintext and not is_loopback(self.host):
            yield "tls", f"{self.host} is another computer: add tls = {{}}, or plaintext = true in a closed network"
        if self.user is not None and self.password is None:
            yield "password", "a user without a password"


class RedisSink:
    """`contracts.Sink` on Redis Streams. Not safe for two callers at once: one forwarder has it."""

    def __init__(self, name: str, settings: Settings, data_dir: Path, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._redis: Redis | None = None
        self._settled: set[str] = set()  # streams that this connection has looked at
        self._waits_aof = settings.wait_aof != "never"

    async def open(self) -> None:
        """Connects and says hello. Raises what redis raises, Refused for a secret or certificate that is unreadable."""
        self._settled.clear()
        self._redis = connect(self._settings)
        await self._redis.ping()

    async def send(self, rows: Sequence[OutRow]) -> None:
        """In the order of `rows` in each stream. After any error this connection must be closed: see the module."""
        redis = self._redis
        if redis is None:
            raise RuntimeError("the sink is not open")
        for queue in dict.fromkeys(row.queue for row in rows):
            stream = self._settings.prefix + queue
            new = [row for row in rows if row.queue == queue]
            if stream not in self._settled:
                new = await self._missing(redis, stream, new)
            for at in range(0, len(new), self._settings.batch_entries):
                await self._add(redis, stream, new[at : at + self._settings.batch_entries])
            self._settled.add(stream)
        await self._wait_aof(redis)

    async def close(self) -> None:
        redis, self._redis = self._redis, None
        if redis is not None:
            await redis.aclose()
            await redis.connection_pool.disconnect()

    async def _add(self, redis: Redis, stream: str, rows: Sequence[OutRow]) -> None:
        transaction = redis.pipeline(transaction=True)
        for row in rows:
            transaction.xadd(
                stream,
                {"id": row.id, "type": row.type, "partitionkey": row.partitionkey, "event": row.body},
                id=f"{row.position}-0",
                maxlen=self._settings.entries_max,
            )
        await transaction.execute()

    async def _missing(self, redis: Redis, stream: str, rows: Sequence[OutRow]) -> list[OutRow]:
        """Those of `rows` that the stream does not have. Refused if what it has cannot be ours.

        We add in order, so if it has the last of our rows that are not above its last id, it has all before it, those
        that a consumer has deleted meanwhile included.
        """
        if not await redis.exists(stream):
            return list(rows)
        info: Any = await redis.xinfo_stream(stream)
        last = _entry_id(info["last-generated-id"])
        below = [row for row in rows if (row.position, 0) <= last]
        if not below:
            return list(rows)
        newest = below[-1].position
        entries: Any = await redis.xrange(stream, f"{below[0].position}-0", f"{newest}-0", count=len(below) + 1)
        found = {_entry_id(at): fields.get(b"id", b"").decode("utf-8", "replace") for at, fields in entries}
        for row in below:
            if found.get((row.position, 0), row.id) != row.id:
                raise self._not_ours(stream, last, row)
        if (newest, 0) not in found and last != (newest, 0):
            raise self._not_ours(stream, last, below[-1])
        return list(rows[len(below) :])

    def _not_ours(self, stream: str, last: EntryId, row: OutRow) -> Refused:
        return Refused(
            f"stream {stream} at {self._settings.host}:{self._settings.port} goes up to {last[0]}-{last[1]}, but its "
            f"entry {row.position}-0 is not our event {row.id}: another program adds to it, or the data folder is not "
            "the one that filled it. Stop the other one, then rename or delete the stream: what the outbox holds goes "
            "to a new one"
        )

    async def _wait_aof(self, redis: Redis) -> None:
        """Raises TimeoutError if the entries are not on the server's disk in time; the next connection looks again."""
        if not self._waits_aof:
            return
        try:
            answer: Any = await redis.waitaof(1, 0, self._settings.wait_aof_ms)
        except ResponseError as error:
            # an older server does not know the command, one without an append-only file refuses it
            if self._settings.wait_aof == "always":
                raise
            self._waits_aof = False
            log.warning("sink %s: the server cannot say when entries are on its disk: %s", self._name, error)
            return
        if not answer[0]:
            raise TimeoutError(f"not in the append-only file within {self._settings.wait_aof_ms} ms")


def connect(settings: Settings) -> Redis:
    """A client with one connection that does what it is told, once: redis-py alone would send a command ten times."""
    connection_class: type[Connection] = Connection
    if settings.tls is not None:
        connection_class = _verified(settings.tls.context())
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "db": settings.db,
        "username": settings.user,
        "password": settings.password.reveal() if settings.password is not None else None,
        "socket_connect_timeout": settings.connect_ms / 1000,
        "socket_timeout": (settings.command_ms + settings.wait_aof_ms) / 1000,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "protocol": 2,
    }
    return Redis.from_pool(ConnectionPool(connection_class=connection_class, max_connections=1, **options))


def _verified(context: ssl.SSLContext) -> type[Connection]:
    # redis-py would trust this computer's authorities besides the given ones
    class VerifiedConnection(SSLConnection):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.ssl_context.context = context

    return VerifiedConnection


def _entry_id(text: bytes | str) -> EntryId:
    first, _, second = (text.decode() if isinstance(text, bytes) else text).partition("-")
    return int(first), int(second)
