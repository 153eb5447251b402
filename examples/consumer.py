"""The ERP's side of the queue: how to read business events so that nothing is lost and nothing is booked twice.

    python examples/consumer.py redis://127.0.0.1:6379/0 erp.inventory          a Redis Stream, as a consumer group
    python examples/consumer.py --queue data/queue.sqlite erp.inventory         the embedded queue

Four rules make a good consumer:

1. Book first, acknowledge afterwards. If we die in between, the event comes again.
2. So be idempotent by event id: here the id is written in the same database transaction as the booking.
3. The newest revision wins. `id` ends in `:rN`; N > 0 says `supersedes`, and its `data` is the whole new state. An
   older revision that comes later (it was claimed from a consumer that died) changes nothing.
4. An event that cannot be booked must not stop the others: after some deliveries it goes to the dead letters, with the
   reason, for a person to look at.

The "ERP" is an SQLite file, so that you can look inside. Several of these processes may share a group: each event goes
to one of them, and what one leaves behind when it dies the others claim.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

DELIVERIES_MAX = 5
BATCH = 100


class Erp:
    """Books events, each in one transaction."""

    def __init__(self, path: Path) -> None:
        self.file = sqlite3.connect(path, timeout=10, isolation_level=None)
        self.file.execute("PRAGMA journal_mode = WAL")
        self.file.execute("CREATE TABLE IF NOT EXISTS booked (id TEXT PRIMARY KEY)")
        self.file.execute(
            "CREATE TABLE IF NOT EXISTS facts "
            "(key TEXT PRIMARY KEY, revision INTEGER, type TEXT, subject TEXT, data TEXT)"
        )
        self.file.execute("CREATE TABLE IF NOT EXISTS dead (id TEXT PRIMARY KEY, reason TEXT, body BLOB)")
        self.file.execute("CREATE TABLE IF NOT EXISTS attempts (id TEXT PRIMARY KEY, count INTEGER)")

    def book(self, body: bytes) -> str:
        """`booked`, `known` (it came before) or `outdated` (a newer revision is here). Raises for what is no event."""
        event = json.loads(body)
        key, _, revision = event["id"].rpartition(":r")
        fact = (key, int(revision), event["type"], event["subject"], json.dumps(event["data"], sort_keys=True))
        self.file.execute("BEGIN IMMEDIATE")
        try:
            if self.file.execute("INSERT OR IGNORE INTO booked VALUES (?)", (event["id"],)).rowcount == 0:
                outcome = "known"
            else:
                changed = self.file.execute(
                    "INSERT INTO facts VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET revision = "
                    "excluded.revision, data = excluded.data WHERE excluded.revision > revision",
                    fact,
                ).rowcount
                outcome = "booked" if changed else "outdated"
        except BaseException:
            self.file.execute("ROLLBACK")
            raise
        self.file.execute("COMMIT")
        return outcome

    def failed(self, position: str) -> int:
        """How many times an entry of the embedded queue has failed, this time included."""
        self.file.execute(
            "INSERT INTO attempts VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET count = count + 1", (position,)
        )
        count: int = self.file.execute("SELECT count FROM attempts WHERE id = ?", (position,)).fetchone()[0]
        return count

    def bury(self, position: str, reason: str, body: bytes) -> None:
        """A dead letter: kept whole, with the reason."""
        self.file.execute("INSERT OR REPLACE INTO dead VALUES (?, ?, ?)", (position, reason, body))


class StreamConsumer:
    """One process of a consumer group on one stream."""

    def __init__(self, server: redis.Redis, stream: str, group: str, name: str, erp: Erp, stale_ms: int) -> None:
        self.server = server
        self.stream = stream
        self.group = group
        self.name = name
        self.erp = erp
        self.stale_ms = stale_ms
        try:
            server.xgroup_create(stream, group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # it is there already: good
                raise

    def round(self, wait_ms: int) -> int:
        """What others left behind, then what is new. Returns how many entries there were."""
        stale = self._stale()
        # without `block` the server answers at once
        new: Any = self.server.xreadgroup(
            self.group, self.name, {self.stream: ">"}, count=BATCH, block=None if stale else wait_ms or None
        )
        entries = stale + [entry for _, found in new for entry in found]
        for at, fields in entries:
            self._handle(at, fields)
        return len(entries)

    def _stale(self) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """Entries that a consumer, this one before its restart included, took and never acknowledged."""
        answer: Any = self.server.xautoclaim(self.stream, self.group, self.name, self.stale_ms, "0-0", count=BATCH)
        return list(answer[1])

    def _handle(self, at: bytes, fields: dict[bytes, bytes] | None) -> None:
        if fields is None:  # trimmed from the stream before anybody acknowledged it (Redis 6.2 says so this way)
            self.server.xack(self.stream, self.group, at)
            return
        body = fields.get(b"event", b"")
        try:
            # a consumer that dies while it books counts too: its entry comes with one delivery more
            if self._deliveries(at) > DELIVERIES_MAX:
                raise ValueError(f"not booked in {DELIVERIES_MAX} deliveries")
            print(f"{at.decode()} {self.erp.book(body)}", flush=True)
        except (ValueError, KeyError, TypeError) as error:
            if self._deliveries(at) < DELIVERIES_MAX:
                return  # not acknowledged: it comes again when it is stale
            self._bury(at, fields, f"{type(error).__name__}: {error}")
            return
        self.server.xack(self.stream, self.group, at)

    def _deliveries(self, at: bytes) -> int:
        pending: Any = self.server.xpending_range(self.stream, self.group, at, at, 1)
        return int(pending[0]["times_delivered"]) if pending else 0

    def _bury(self, at: bytes, fields: dict[bytes, bytes], reason: str) -> None:
        letter: dict[Any, Any] = {**fields, "entry": at, "group": self.group, "reason": reason}
        with self.server.pipeline(transaction=True) as both:
            both.xadd(f"{self.stream}.dead", letter, maxlen=10_000)
            both.xack(self.stream, self.group, at)
            both.execute()
        print(f"{at.decode()} dead: {reason}", flush=True)


class FileConsumer:
    """A named consumer of one embedded queue, in order: what is behind a failing event waits for its few attempts."""

    def __init__(self, path: Path, queue: str, name: str, erp: Erp) -> None:
        from engine.sinks.queue import Queue  # the queue's file comes with sortline, and so does its reader

        self.file = Queue(path)
        self.queue = queue
        self.name = name
        self.erp = erp

    def round(self, wait_ms: int) -> int:
        entries = self.file.read(self.queue, self.file.position(self.queue, self.name), BATCH)
        for entry in entries:
            while True:
                try:
                    print(f"{entry.position} {self.erp.book(entry.body)}", flush=True)
                except (ValueError, KeyError, TypeError) as error:
                    if self.erp.failed(f"{self.queue}/{entry.position}") < DELIVERIES_MAX:
                        continue
                    self.erp.bury(f"{self.queue}/{entry.position}", f"{type(error).__name__}: {error}", entry.body)
                    print(f"{entry.position} dead: {type(error).__name__}: {error}", flush=True)
                break
            self.file.ack(self.queue, self.name, entry.position)
        if not entries:
            time.sleep(wait_ms / 1000)
        return len(entries)


def main() -> int:
    parser = argparse.ArgumentParser(description="Books business events in an SQLite file that stands for an ERP.")
    parser.add_argument("server", nargs="?", help="redis://HOST:PORT/DB; password in SORTLINE_REDIS_PASSWORD")
    parser.add_argument("name", metavar="QUEUE", help="the queue (stream) to read, for example erp.inventory")
    parser.add_argument("--queue", type=Path, metavar="FILE", help="an embedded queue instead of a server")
    parser.add_argument("--erp", type=Path, default=Path("erp.sqlite"), help="the file that stands for the ERP")
    parser.add_argument("--group", default="erp", help="consumer group, or consumer of the embedded queue")
    parser.add_argument("--consumer", default=f"{socket.gethostname()}-{os.getpid()}", help="name in the group")
    parser.add_argument("--stale-ms", type=int, default=30_000, help="claim what another had for so long")
    parser.add_argument("--once", action="store_true", help="stop when nothing is left")
    args = parser.parse_args()
    if (args.server is None) == (args.queue is None):
        parser.error("give either a server or --queue FILE")
    erp = Erp(args.erp)
    consumer: StreamConsumer | FileConsumer
    if args.queue is not None:
        consumer = FileConsumer(args.queue, args.name, args.group, erp)
    else:
        # no retries behind our back: a command whose answer is lost is looked at by the next round
        password = os.environ.get("SORTLINE_REDIS_PASSWORD")
        server = redis.Redis.from_url(args.server, password=password, retry=Retry(NoBackoff(), 0))
        consumer = StreamConsumer(server, args.name, args.group, args.consumer, erp, args.stale_ms)
    while True:
        try:
            if consumer.round(wait_ms=0 if args.once else 2_000) == 0 and args.once:
                return 0
        except (redis.ConnectionError, redis.TimeoutError) as error:
            print(f"the server is away: {error}", file=sys.stderr)
            time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
