"""Redis Streams: one stream a queue, one entry an event, each once (R81), whatever happens to the connection.

An entry's id is `<sequence>-0` of the event's place in the outbox, so ids grow strictly and the server itself refuses
an entry that it has. (A dead letter that is sent again comes behind what went before it: `<sequence>-1`, `-2`, ...) Its
fields: `id`, `type`, `partitionkey`, and `event`, the whole CloudEvent.

A batch is one script, which takes half of a transaction's time; or one MULTI/EXEC, where the user may not EVAL. If the
reply is lost, the connection is given up, and the next one looks at the stream first: what is there already is not sent
again; what it had taken just before and has not any more is (see redis_recent). Nobody else may add to the streams, or
the ids of both would mix; that is noticed, and holds the stream's lane. Any Redis from version 5 on.

IDMP (Redis 8.6) is not used: it works only with ids that the server makes, which it remembers for a day at most, 10 000
of them; an outage that is longer, or a backlog that is larger, would double an event. Ids of our own hold for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from engine.clock import Clock
from engine.contracts import OutRow
from engine.errors import Refused
from engine.redis_nodes import Nodes, Servers
from engine.sinks.redis_recent import Recent, id_of
from engine.sinks.redis_room import EntryId, Room, entry_id

# ARGV: how many entries the stream keeps, or nothing; then five an entry
ADD = """
for at = 2, #ARGV, 5 do
    if ARGV[1] == '' then
        redis.call('XADD', KEYS[1], ARGV[at], 'id', ARGV[at + 1], 'type', ARGV[at + 2], 'partitionkey', ARGV[at + 3],
            'event', ARGV[at + 4])
    else
        redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], ARGV[at], 'id', ARGV[at + 1], 'type', ARGV[at + 2],
            'partitionkey', ARGV[at + 3], 'event', ARGV[at + 4])
    end
end
return #ARGV
"""
PREFIX = msgspec.Meta(
    pattern=r"^[A-Za-z0-9._:{}-]*$", max_length=128, description="letters, digits and . _ : { } - alone"
)
SLOW = "its disk is slow, or appendfsync is no"
CAUSED = "of pipeline caused error: "  # redis-py puts the command, with our data in it, before this

log = logging.getLogger("sortline.redis")


class Settings(Servers, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[sinks.NAME]` with `kind = "redis"`.

    host, port, db: the server.
    cluster: nodes of a Redis Cluster, as `"10.0.0.1:6379"`, instead of host and port; one that answers is enough.
    sentinels, master: addresses of sentinels, likewise, and the name by which they know the server.
    sentinel_user, sentinel_password: of the sentinels, where they ask for one.
    user, password: of an ACL user; docs/delivery.md says which commands it needs.
    tls: `tls = {}` for a certificate that this computer trusts; see `engine.tls`. It counts for every server, so each
      certificate has to name the address by which cluster or sentinels announce it.
    plaintext: allow a connection without TLS to another computer. Whoever is on the network can read and forge.
    prefix: begins the name of every stream; the queue's name follows.
    keep: how many of the newest entries of a stream stay although every consumer group has acknowledged them. What a
      group has not acknowledged stays in any case, and without a group everything does.
    entries_max: how many entries a stream may hold; absent: any number.
    when_full: `"wait"` (default): events stay in the outbox until consumer groups acknowledge; `"drop_oldest"`: the
      oldest entries go, whether somebody has read them or not.
    batch_entries: at most so many entries go in one command; the server does nothing else meanwhile.
    wait_aof: wait until the server has the entries in its append-only file on disk. `"auto"` (default): where it can
      (Redis 7.2, `appendonly yes`); `"always"`: hold the sink where it cannot; `"never"`. Without it a server with
      `appendfsync everysec` may forget the last second in a power cut.
    wait_aof_ms: the longest wait for that, and for replicas.
    replicas: so many replicas have to have the entries, too, before they count as delivered. With sentinels or a
      cluster and 0 (default), a failover may forget what the old master had told nobody yet.
    connect_ms, command_ms: a connection or an answer takes no longer.
    """

    prefix: Annotated[str, PREFIX] = ""
    keep: Annotated[int, msgspec.Meta(ge=0, le=10**9)] = 10_000
    entries_max: Annotated[int, msgspec.Meta(ge=10_000, le=10**9)] | None = None
    when_full: Literal["wait", "drop_oldest"] = "wait"
    batch_entries: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    wait_aof: Literal["auto", "always", "never"] = "auto"
    wait_aof_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 3_000
    replicas: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0

    def faults(self) -> Iterator[tuple[str, str]]:
        yield from Servers.faults(self)
        if self.when_full == "drop_oldest" and self.entries_max is None:
            yield "when_full", "nothing is ever full without entries_max"
        elif self.entries_max is not None and self.keep >= self.entries_max:
            yield "keep", "has to be less than entries_max, or nothing could ever be trimmed"


class RedisSink:
    """`contracts.Sink` on Redis Streams. Not safe for two callers at once: one forwarder has it."""

    def __init__(self, name: str, settings: Settings, data_dir: Path, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._nodes: Nodes | None = None
        self._settled: set[str] = set()  # streams that this connection has looked at
        self._written: set[Redis] = set()  # servers that this connection has written something to
        self._waits_aof = False
        self._said_it_cannot_wait = False
        self._may_script = True
        self._may_set_end = True
        waits = settings.when_full == "wait"
        self._entries_max = None if waits else settings.entries_max
        self._recent = Recent()
        self._tried: dict[str, EntryId] = {}  # stream -> the greatest id that was sent, whatever became of it
        self._room = Room(name, settings.keep, settings.entries_max) if waits else None

    async def open(self) -> None:
        """Connects and says hello. Raises what redis raises, Refused for a secret or certificate that is unreadable."""
        self._settled.clear()
        self._written.clear()
        self._waits_aof = self._settings.wait_aof != "never"
        self._nodes = Nodes(self._settings, wait_s=self._settings.wait_aof_ms / 1000)
        await self._nodes.open()

    async def send(self, rows: Sequence[OutRow]) -> None:
        """R80: in the order of `rows` in each stream. R81: what a lost reply left there already is not sent again.

        After any error this connection must be closed: see the module.
        """
        if self._nodes is None:
            raise RuntimeError("the sink is not open")
        try:
            used: dict[Redis, str] = {}
            for queue in dict.fromkeys(row.queue for row in rows):
                used[await self._send(self._nodes, queue, rows)] = self._settings.prefix + queue
            for redis, stream in used.items():
                if redis not in self._written:
                    await self._write_end(redis, stream)
                await self._until_durable(redis)
            for queue in dict.fromkeys(row.queue for row in rows):
                self._recent.add(self._settings.prefix + queue, [row for row in rows if row.queue == queue])
        except RedisError as error:
            error.args = (_without_data(str(error)),)
            raise

    async def close(self) -> None:
        nodes, self._nodes = self._nodes, None
        if nodes is not None:
            await nodes.close()

    async def _send(self, nodes: Nodes, queue: str, rows: Sequence[OutRow]) -> Redis:
        stream = self._settings.prefix + queue
        redis = nodes.of(stream)
        new = [row for row in rows if row.queue == queue]
        if stream not in self._settled:
            last = await self._last(redis, stream)
            new = [*self._lost(stream, last), *await self._missing(redis, stream, last, new)]
        if new and self._room is not None:
            await self._room.require(redis, stream, len(new))
        for at in range(0, len(new), self._settings.batch_entries):
            await self._add(redis, stream, new[at : at + self._settings.batch_entries])
        self._settled.add(stream)
        return redis

    async def _add(self, redis: Redis, stream: str, rows: Sequence[OutRow]) -> None:
        self._tried[stream] = max(self._tried.get(stream, (0, 0)), id_of(rows[-1]))
        try:
            if not self._may_script or not await self._run_script(redis, stream, rows):
                await self._run_transaction(redis, stream, rows)
            self._written.add(redis)
        except ResponseError as error:
            # no type of its own: an id that is not above the last one, for instance. The stream itself knows.
            missing = list(rows)
            if type(error) is ResponseError:
                missing = await self._missing(redis, stream, await self._last(redis, stream), rows)
            if len(missing) == len(rows):
                raise
            self._written.discard(redis)  # what is there already, another connection wrote
            if missing:
                await self._add(redis, stream, missing)

    async def _run_script(self, redis: Any, stream: str, rows: Sequence[OutRow]) -> bool:
        """False: the user may not run scripts, or may not add to this stream; the transaction will tell."""
        values: list[str | bytes | int] = [self._entries_max or ""]
        for row in rows:
            values += (f"{row.position}-{row.again}", row.id, row.type, row.partitionkey, row.body)
        try:
            await redis.eval(ADD, 1, stream, *values)
        except NoPermissionError:
            self._may_script = False
            return False
        return True

    async def _run_transaction(self, redis: Redis, stream: str, rows: Sequence[OutRow]) -> None:
        transaction = redis.pipeline(transaction=True)
        for row in rows:
            transaction.xadd(
                stream,
                {"id": row.id, "type": row.type, "partitionkey": row.partitionkey, "event": row.body},
                id=f"{row.position}-{row.again}",
                maxlen=self._entries_max,
            )
        await transaction.execute()

    async def _last(self, redis: Redis, stream: str) -> EntryId:
        """The greatest id that the stream has had; (0, 0) where there is none."""
        if not await redis.exists(stream):
            return 0, 0
        info: Any = await redis.xinfo_stream(stream)
        return entry_id(info["last-generated-id"])

    def _lost(self, stream: str, last: EntryId) -> list[OutRow]:
        """What the server had said to have, and has not any more: it comes once more, in its place."""
        rows, more = self._recent.lost(stream, last)
        if rows:
            what = "older ones are gone: see sortline journal refill" if more else "no other is missing"
            log.error(
                "sink %s: stream %s ends with %s, and had %s: the server has lost entries. %d are sent again, %s",
                *(self._name, stream, _text(last), _text(id_of(rows[-1])), len(rows), what),
            )
        return rows

    async def _missing(self, redis: Redis, stream: str, last: EntryId, rows: Sequence[OutRow]) -> list[OutRow]:
        """Those of `rows` that a stream that ends with `last` does not have. Refused if what it has cannot be ours.

        We add in order, so if it has the last of our rows that are not above its last id, it has all before it, those
        that a consumer has deleted meanwhile included. A consumer may have deleted that last one, too: then it was
        ours if the stream ends with it, or with what was sent in this life (a call that was larger than this one).
        """
        below = [row for row in rows if id_of(row) <= last]
        if not below:
            return list(rows)
        first, newest = id_of(below[0]), id_of(below[-1])
        entries: Any = await redis.xrange(stream, _text(first), _text(newest), count=len(below) + 1)
        found = {entry_id(at): fields.get(b"id", b"").decode("utf-8", "replace") for at, fields in entries}
        for row in below:
            if found.get(id_of(row), row.id) != row.id:
                raise self._not_ours(stream, last, row)
        if newest not in found and last != newest and last > self._tried.get(stream, (0, 0)):
            raise self._not_ours(stream, last, below[-1])
        return list(rows[len(below) :])

    def _not_ours(self, stream: str, last: EntryId, row: OutRow) -> Refused:
        place = self._nodes.place(stream) if self._nodes is not None else "?"
        return Refused(
            f"stream {stream} at {place} goes up to {_text(last)}, but its entry {_text(id_of(row))} is not our event "
            f"{row.id}: another program adds to it, or the data folder is not the one that filled it. Stop the other "
            "one, then rename or delete the stream: what the outbox holds goes to a new one"
        )

    async def _write_end(self, redis: Redis, stream: str) -> None:
        """WAIT and WAITAOF answer for what their own connection has written, and this one has found its entries there:
        whether they are on a disk or a replica, nobody would ask. Setting the stream's end to what it is asks."""
        settings = self._settings
        if not self._waits_aof and not settings.replicas:
            return
        try:
            await redis.execute_command("XSETID", stream, _text(await self._last(redis, stream)))  # type: ignore[no-untyped-call]
        except NoPermissionError as error:
            if settings.wait_aof == "always":
                raise
            if self._may_set_end:
                log.warning("sink %s: entries of an earlier connection are not waited for: %s", self._name, error)
            self._may_set_end = False
        else:
            self._written.add(redis)

    async def _until_durable(self, redis: Redis) -> None:
        """Raises TimeoutError if the entries are not on the server's disk, or its replicas', in time; the next
        connection looks again."""
        settings = self._settings
        if self._waits_aof:
            try:
                answer: Any = await redis.waitaof(1, settings.replicas, settings.wait_aof_ms)
            except ResponseError as error:
                # an older server does not know the command, one without an append-only file refuses it
                if settings.wait_aof == "always":
                    raise
                self._cannot_wait(str(error))
            else:
                if answer[0] >= 1:
                    self._require_replicas(int(answer[1]))
                    return
                if not await self._never_syncs(redis):
                    raise TimeoutError(f"not in the append-only file within {settings.wait_aof_ms} ms: {SLOW}")
                if settings.wait_aof == "always":
                    raise Refused('appendfsync is no: set it to everysec or always on the server, or wait_aof = "auto"')
                self._cannot_wait("appendfsync is no")
        if settings.replicas:
            self._require_replicas(int(await redis.wait(settings.replicas, settings.wait_aof_ms)))

    def _cannot_wait(self, why: str) -> None:
        """This connection goes on without. The next one asks again: it may be another server's."""
        self._waits_aof = False
        if not self._said_it_cannot_wait:
            log.warning("sink %s: the server cannot say when entries are on its disk: %s", self._name, why)
        self._said_it_cannot_wait = True

    async def _never_syncs(self, redis: Redis) -> bool:
        """False also where the user may not ask."""
        try:
            answer: Any = await redis.config_get("appendfsync")
        except ResponseError:
            return False
        return bool(answer.get("appendfsync") == "no")

    def _require_replicas(self, count: int) -> None:
        settings = self._settings
        if count < settings.replicas:
            raise TimeoutError(f"on {count} of {settings.replicas} replicas within {settings.wait_aof_ms} ms")


def _text(at: EntryId) -> str:
    return f"{at[0]}-{at[1]}"


def _without_data(text: str) -> str:
    """An error's text goes to the log; events do not."""
    _, caused, rest = text.partition(CAUSED)
    return rest.strip("()',\"") if caused else text
