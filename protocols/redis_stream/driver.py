"""Owns the connection to one stream: reads it as a member of a consumer group, acknowledges what is durable.

    Redis --XREADGROUP--> Decoder.decode -> Delivery -> Intake.put
       ^------ XACK ------ Driver._make_room <- Delivery.ack (after the journal's fsync)

A connection begins with what the group holds for us already (read before and not acknowledged, or the answer was
lost), goes on with new entries, and takes over what a dead member of the group has left. An entry that does not fit its
mapping is a fault, and is acknowledged all the same.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from engine.cancellation import promptly, raise_if_cancelled
from engine.clock import Clock
from engine.contracts import Delivery, Intake
from engine.errors import Refused, SinkFailed
from engine.redis_nodes import Nodes
from protocols.backoff import Backoff
from protocols.linking import LinkNews, speaking_for
from protocols.mapping.sequence import Sequences
from protocols.redis_stream.decode import Decoder, Entry
from protocols.redis_stream.settings import Settings
from protocols.tapping import Tap

IDLE_MS = 5_000
"""A read waits so long while nothing of ours has to be acknowledged."""

OVERLAP_MS = 3_600_000
"""By so much the server's clock, which numbers the entries, may be ahead of ours, or an entry have waited for us."""

OLDEST, NEWEST = "0", "$"  # as XGROUP CREATE has them

RECENT_MAX = 20
"""Of the last lines of a source so many are looked at; those that tell of the link are ours."""

log = logging.getLogger("sortline.redis_stream")

Entries = Sequence[tuple[bytes | None, Entry | None]]


class Driver:
    """See `engine.contracts.Driver`. `jitter`: random numbers of [0, 1) for the pauses between attempts."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        intake: Intake,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._consumer = settings.consumer or f"sortline-{name}"
        self._decoder = Decoder(settings, Sequences(intake.position))
        self._backoff = Backoff(settings.reconnect_min_ms, settings.reconnect_max_ms, jitter)
        self._link = LinkNews(name, speaking_for(settings.scope), intake, clock)
        # entries with the engine, and those of them that are durable and not yet acknowledged to the server; both
        # outlive a connection, for an entry's id means the same on the next one
        self._owed: set[bytes] = set()
        self._durable: list[bytes] = []
        self._freed = asyncio.Event()
        self._had_group = False
        self.tap = Tap()

    async def run(self) -> NoReturn:
        """Until cancelled."""
        await self._link.tell("link.down")
        while True:
            detail = await self._connected()
            raise_if_cancelled()
            self._intake.state(self._name, "down", detail)
            await self._link.tell("link.down")
            await asyncio.sleep(self._backoff.pause_s())

    async def _connected(self) -> str:
        """One connection from beginning to end; why it ended."""
        self._intake.state(self._name, "connecting")
        loop = asyncio.get_running_loop()
        since = loop.time()
        # an answer to a blocking read is late by as long as it may block
        nodes = Nodes(self._settings, wait_s=max(self._settings.block_ms, IDLE_MS) / 1000)
        try:
            await nodes.find()
            client = nodes.of(self._settings.stream)
            await self._join(client)
            self._intake.state(self._name, "up")
            await self._link.tell("link.up")
            await self._again(client)
            await self._serve(client)
        except (Refused, SinkFailed, RedisError, OSError, UnicodeError) as error:
            return str(error) or type(error).__name__
        finally:
            self._backoff.ended_after(loop.time() - since)
            await nodes.close()

    async def _join(self, client: Redis) -> None:
        """A group that is lost while we run begins with the oldest entry, whatever `begin` says, and one that was lost
        before our start a while before the last record that we know: what is read twice is known (R5), and what is
        passed over nobody would ever hear of."""
        settings = self._settings
        begin = await self._begin()
        try:
            await client.xgroup_create(settings.stream, settings.group, begin, mkstream=True)
            if self._had_group:
                self._intake.fault(self._name, "the group is lost: the stream is read from its beginning", b"")
            elif begin not in (OLDEST, NEWEST):
                self._intake.fault(self._name, "the group is lost: the stream is read from the last record on", b"")
        except ResponseError as error:
            # the error's code: the group is there already
            if not str(error).startswith("BUSYGROUP "):
                raise
        self._had_group = True

    async def _begin(self) -> str:
        """The entry behind which a new group begins."""
        if self._settings.begin == "oldest" or self._had_group:
            return OLDEST
        last_us = await self._last_us()
        return NEWEST if last_us is None else f"{max(0, last_us // 1_000 - OVERLAP_MS)}-0"

    async def _last_us(self) -> int | None:
        """When the last record of this stream came before this start; None: it never did, or that is not known."""
        src = self._settings.constants.get("src")
        if not isinstance(src, str):
            return None  # the payloads alone tell
        lines = map(msgspec.json.decode, await self._intake.recent(src, RECENT_MAX))
        return max((line["t_rx"] for line in lines if not line["kind"].startswith("link.")), default=None)

    async def _again(self, client: Redis) -> None:
        """What the group holds for us from before, except what the engine has in its hands right now."""
        after = b"0"
        while entries := await self._read(client, after):
            await self._hand_over(entries)
            after = entries[-1][0] or after
            await self._make_room(client)

    async def _serve(self, client: Redis) -> NoReturn:
        loop = asyncio.get_running_loop()
        claimed_s = float("-inf")
        while True:
            await self._make_room(client)
            if loop.time() - claimed_s >= self._settings.claim_idle_ms / 1000:
                claimed_s = loop.time()
                await self._claim(client)
            await self._hand_over(await self._read(client, b">"))

    async def _read(self, client: Redis, after: bytes) -> Entries:
        """New entries (`>`), waiting `block_ms` at most, or longer where no acknowledgement waits to be sent; or those
        we have since before, after the given id."""
        settings = self._settings
        block_ms = settings.block_ms if self._owed else max(settings.block_ms, IDLE_MS)
        raise_if_cancelled()  # what an earlier call has lost: this one may take long
        answer: Any = await promptly(
            client.xreadgroup(
                settings.group,
                self._consumer,
                {settings.stream: after},
                count=settings.batch_entries,
                block=block_ms if after == b">" else None,
            )
        )
        raise_if_cancelled()
        return answer[0][1] if answer else ()

    async def _claim(self, client: Redis) -> None:
        """Take over what members of the group have had for too long (theirs, or our own under another name)."""
        settings = self._settings
        start: Any = b"0-0"
        while True:
            answer: Any = await client.xautoclaim(
                settings.stream,
                settings.group,
                self._consumer,
                settings.claim_idle_ms,
                start,
                count=settings.batch_entries,
            )
            start, entries = answer[0], answer[1]
            await self._hand_over(entries)
            if start == b"0-0":
                return
            await self._make_room(client)

    async def _hand_over(self, entries: Entries) -> None:
        lines: list[bytes] = []
        ids = []
        for entry_id, entry in entries:
            # without an id: claimed, but trimmed off the stream (Redis 6.2); nothing is left to acknowledge
            if entry_id is not None and entry_id not in self._owed:
                ids.append(entry_id)
                if self.tap.tell is not None:
                    self.tap.tell(entry_id.decode(), self._decoder.payload(entry or {}))
                lines.extend(self._decoded(entry or {}))
        if ids:
            self._owed.update(ids)
            await self._intake.put(Delivery(self._name, lines, partial(self._acknowledge, ids)))

    def _decoded(self, entry: Entry) -> list[bytes]:
        found = self._decoder.decode(entry, self._clock())
        for cause in found.causes:
            self._intake.fault(self._name, cause, self._decoder.payload(entry)[: self._settings.payload_bytes_max])
        return found.lines

    def _acknowledge(self, ids: Sequence[bytes]) -> None:
        self._durable.extend(ids)
        self._freed.set()

    async def _make_room(self, client: Redis) -> None:
        """Acknowledge what is durable; wait while the engine has as much of ours as it may."""
        while True:
            self._freed.clear()
            if self._durable:
                ids = self._durable[: self._settings.unacknowledged_max]
                await client.xack(self._settings.stream, self._settings.group, *ids)
                # only now: with the answer lost they are sent again, which does no harm
                del self._durable[: len(ids)]
                self._owed.difference_update(ids)
            if len(self._owed) < self._settings.unacknowledged_max:
                return
            if not self._durable:
                await self._freed.wait()
