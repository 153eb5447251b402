"""The embedded queue: an SQLite file that an ERP's connector on the same machine reads. Nothing to install.

    entries     queue, position, id, type, partitionkey, body, and a sum over these: an entry that the disk has changed
                is refused, not handed out; positions grow by 1 in each queue and never come again
    queues      each queue's last position
    consumers   each reader's acknowledgement: it has everything up to this position

An id stands in a queue once: an event that is sent again is passed over, and refused if its content is another one. The
newest entries stay when every consumer has acknowledged them, so that a repetition after a crash is still noticed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from engine.clock import Clock
from engine.contracts import OutRow
from engine.errors import ContentChanged, QueueFull, Refused
from engine.outbox_sums import event_sum
from engine.sqlite_file import damage_refused, open_file, open_to_look, reading, transaction

VERSION = 2
COLUMNS = "queue, position, id, type, partitionkey, body"
SUM = "ALTER TABLE entries ADD COLUMN sum INTEGER"
SCHEMA = (
    "CREATE TABLE entries (queue TEXT NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, "
    "partitionkey TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE UNIQUE INDEX entries_by_position ON entries (queue, position)",
    "CREATE UNIQUE INDEX entries_by_id ON entries (queue, id)",
    "CREATE TABLE queues (queue TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE consumers (queue TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, "
    "PRIMARY KEY (queue, name)) WITHOUT ROWID",
    SUM,
)
UPGRADES = {1: (SUM, f"UPDATE entries SET sum = entry_sum({COLUMNS})")}  # noqa: S608 - our own text
MEND = "Move it away: the engine makes a new one, for the events that are still to come"


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[sinks.NAME]` with `kind = "queue"`.

    path: the file; absent: NAME.sqlite in the data folder; a relative one starts at the data folder.
    keep: how many of the newest entries of a queue stay although every consumer has acknowledged them.
    entries_max: how many entries a queue may hold.
    when_full: `"wait"` (default): events stay in the outbox until a consumer acknowledges; `"drop_oldest"`: the oldest
      entries go, whether somebody has read them or not.
    """

    path: str | None = None
    keep: Annotated[int, msgspec.Meta(ge=10_000, le=10**9)] = 100_000
    entries_max: Annotated[int, msgspec.Meta(ge=20_000, le=10**9)] = 1_000_000
    when_full: Literal["wait", "drop_oldest"] = "wait"


class Entry(NamedTuple):
    """One business event in a queue; `body` is the CloudEvent."""

    position: int
    id: str
    type: str
    partitionkey: str
    body: bytes


class QueueState(NamedTuple):
    """`first` and `last` position (first > last: empty); `consumers`: name -> position up to which it has all."""

    queue: str
    first: int
    last: int
    consumers: dict[str, int]


class Queue:
    """The file, for whoever writes or reads it, in several processes. Thread-safe; a call may wait for the disk.

    only_looks: for `states` alone, and nothing can be changed through it.
    """

    def __init__(self, path: Path, settings: Settings | None = None, *, only_looks: bool = False) -> None:
        self.path = path
        self._settings = settings or Settings()
        self._calls = threading.Lock()
        if only_looks:
            self._file = open_to_look(path, VERSION, MEND)
        else:
            self._file = open_file(path, SCHEMA, VERSION, MEND, UPGRADES, {"entry_sum": entry_sum})
        self._file.text_factory = partial(str, encoding="utf-8", errors="replace")

    def put(self, rows: Sequence[OutRow]) -> None:
        """All of them, durable, in one commit; those that are here already are passed over.

        Raises, with nothing written, QueueFull where a queue has no room, ContentChanged for a known id with another
        content.
        """
        with self._calls, transaction(self._file):
            for queue in sorted({row.queue for row in rows}):
                self._put(queue, [row for row in rows if row.queue == queue])

    def states(self) -> list[QueueState]:
        """Every queue that has had an entry, by name."""
        with self._calls, reading(self._file):
            queues = self._file.execute("SELECT queue, last FROM queues ORDER BY queue").fetchall()
            return [QueueState(queue, self._first(queue, last), last, self._consumers(queue)) for queue, last in queues]

    def read(self, queue: str, after: int, limit: int) -> list[Entry]:
        """The next entries behind position `after`, oldest first. Raises Refused for one that is damaged, if it is the
        first; else those before it come."""
        query = f"SELECT {COLUMNS}, sum FROM entries WHERE queue = ? AND position > ? ORDER BY position LIMIT ?"  # noqa: S608
        entries: list[Entry] = []
        with self._calls, damage_refused(self.path, MEND):
            for *row, sum_ in self._file.execute(query, (queue, after, limit)):
                if _is_entry(row, sum_):
                    entries.append(Entry(*row[1:]))
                elif entries:
                    break
                else:
                    raise self._damaged(queue, row[1])
        return entries

    def position(self, queue: str, consumer: str) -> int:
        """Up to where the consumer has acknowledged; 0: nothing yet."""
        with self._calls:
            return self._consumers(queue).get(consumer, 0)

    def ack(self, queue: str, consumer: str, position: int) -> int:
        """The consumer has everything up to `position`; it never moves back. Returns where it stands now.

        The first call, also with 0, makes the consumer known: from then on nothing is trimmed that it does not have.
        Raises ValueError for a position that the queue has not reached, or a queue that is not there.
        """
        with self._calls, transaction(self._file):
            last = self._last(queue)
            if not 0 <= position <= last:
                raise ValueError(f"queue {queue}: position {position} is not among those up to {last}")
            self._file.execute(
                "INSERT INTO consumers VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET position = max(position, excluded.position)",
                (queue, consumer, position),
            )
            return self._consumers(queue)[consumer]

    def close(self) -> None:
        with self._calls:
            self._file.close()

    def _damaged(self, queue: str, position: int) -> Refused:
        return Refused(
            f"{self.path}: entry {position} of {queue} has other content than what was written: the disk has changed "
            f"it. The journal still makes the event: sortline replay. To go on behind it: sortline queue ack "
            f"{self.path} {queue} --consumer NAME --upto {position}"
        )

    def _put(self, queue: str, rows: Sequence[OutRow]) -> None:
        last = self._last(queue)
        new = [row for row in rows if not self._holds(queue, row)]
        if not new:
            return
        self._trim(queue, last)
        held = last - self._first(queue, last) + 1
        if held >= self._settings.entries_max and self._settings.when_full == "wait":
            raise QueueFull(f"queue {queue} holds {held} entries that not every consumer has acknowledged")
        self._file.executemany(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
            [_entry(queue, at, row) for at, row in enumerate(new, last + 1)],
        )
        self._file.execute("INSERT OR REPLACE INTO queues VALUES (?, ?)", (queue, last + len(new)))

    def _holds(self, queue: str, row: OutRow) -> bool:
        found = self._file.execute("SELECT body FROM entries WHERE queue = ? AND id = ?", (queue, row.id)).fetchone()
        if found is not None and found[0] != row.body and _content(found[0]) != _content(row.body):
            raise ContentChanged(f"queue {queue} holds {row.id} with other content")
        return found is not None

    def _trim(self, queue: str, last: int) -> None:
        behind = min(min(self._consumers(queue).values(), default=0), last - self._settings.keep)
        if self._settings.when_full == "drop_oldest":
            behind = max(behind, last - self._settings.entries_max)
        self._file.execute("DELETE FROM entries WHERE queue = ? AND position <= ?", (queue, behind))

    def _last(self, queue: str) -> int:
        found = self._file.execute("SELECT last FROM queues WHERE queue = ?", (queue,)).fetchone()
        return int(found[0]) if found else 0

    def _first(self, queue: str, last: int) -> int:
        (first,) = self._file.execute("SELECT min(position) FROM entries WHERE queue = ?", (queue,)).fetchone()
        return last + 1 if first is None else int(first)

    def _consumers(self, queue: str) -> dict[str, int]:
        return dict(self._file.execute("SELECT name, position FROM consumers WHERE queue = ? ORDER BY name", (queue,)))


class QueueSink:
    """`contracts.Sink` on a `Queue`."""

    def __init__(self, name: str, settings: Settings, data_dir: Path, clock: Clock) -> None:
        self._path = data_dir / (settings.path or f"{name}.sqlite")
        self._settings = settings
        self._queue: Queue | None = None

    async def open(self) -> None:
        self._queue = await asyncio.to_thread(Queue, self._path, self._settings)

    async def send(self, rows: Sequence[OutRow]) -> None:
        if self._queue is None:
            raise RuntimeError("the queue is not open")
        await asyncio.to_thread(self._queue.put, rows)

    async def close(self) -> None:
        queue, self._queue = self._queue, None
        if queue is not None:
            await asyncio.to_thread(queue.close)


def entry_sum(queue: str, position: int, id_: str, type_: str, partitionkey: str, body: bytes) -> int:
    """Of a row of `entries`."""
    return event_sum(position, f"{queue}\0{id_}", type_, partitionkey, body)


def _entry(queue: str, position: int, row: OutRow) -> tuple[object, ...]:
    fields = (queue, position, row.id, row.type, row.partitionkey, row.body)
    return *fields, entry_sum(*fields)


def _is_entry(row: Sequence[Any], sum_: object) -> bool:
    try:
        return entry_sum(*row) == sum_
    except (AttributeError, TypeError):
        return False  # damage has made other types of its columns


def _content(body: bytes) -> dict[str, object]:
    """The event without its `sequence`: what may never differ for one id."""
    event = msgspec.json.decode(body, type=dict[str, object])
    event.pop("sequence", None)
    return event
