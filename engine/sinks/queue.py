"""The embedded queue: an SQLite file that an ERP's connector on the same machine reads. Nothing to install.

    entries     queue, position, id, type, partitionkey, body; positions grow by 1 in each queue and never come again
    queues      each queue's last position, and up to where entries are trimmed
    consumers   each reader's acknowledgement: it has everything up to this position

Each row has a sum: a bit that the disk has flipped is turned back when the row is read, and what is changed otherwise,
or missing between two others, is refused, not handed out or passed over.

An id stands in a queue once: an event that is sent again is passed over, and refused if its content is another one. The
newest entries stay when every consumer has acknowledged them, so that a repetition after a crash is still noticed.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from engine import sqlite_log
from engine.contracts import OutRow
from engine.errors import ContentChanged, QueueFull, Refused
from engine.outbox_sums import event_sum, one_bit_back, row_sum
from engine.spare_room import beyond_spare
from engine.sqlite_file import ShortLog, damage_refused, open_file, open_to_look, reading, transaction, version_of

VERSION = 3
SPARE_PARTS = 2  # half of the last of the device's room is left to those that let events go
ROW_BYTES = 4096  # what else an entry takes in the log: ids come in no order, so each has a page of their index
COLUMNS = "queue, position, id, type, partitionkey, body"
SUM = "ALTER TABLE entries ADD COLUMN sum INTEGER"
PLACES = (
    "ALTER TABLE queues ADD COLUMN behind INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE queues ADD COLUMN sum INTEGER",
    "ALTER TABLE consumers ADD COLUMN sum INTEGER",
)
SCHEMA = (
    "CREATE TABLE entries (queue TEXT NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, "
    "partitionkey TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE UNIQUE INDEX entries_by_position ON entries (queue, position)",
    "CREATE UNIQUE INDEX entries_by_id ON entries (queue, id)",
    "CREATE TABLE queues (queue TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE consumers (queue TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, "
    "PRIMARY KEY (queue, name)) WITHOUT ROWID",
    SUM,
    *PLACES,
)
UPGRADES = {
    1: (SUM, f"UPDATE entries SET sum = entry_sum({COLUMNS})"),  # noqa: S608 - our own text
    2: (
        *PLACES,
        "UPDATE queues SET behind = "
        "(SELECT coalesce(min(position), last + 1) - 1 FROM entries WHERE entries.queue = queues.queue)",
        "UPDATE queues SET sum = row_sum(queue, last, behind)",
        "UPDATE consumers SET sum = row_sum(queue, name, position)",
    ),
}
MEND = "Move it away: the engine makes a new one, for the events that are still to come"


log = logging.getLogger("sortline.queue")

LOG_S_MAX = 5.0
UNKNOWN = -1  # where a consumer stands
TEXTS = frozenset({0, 2, 3, 4})
ENTRIES = f"SELECT {COLUMNS}, sum FROM entries WHERE queue = ? AND position > ? ORDER BY position LIMIT ?"  # noqa: S608
AS_BYTES = (
    "SELECT CAST(queue AS BLOB), position, CAST(id AS BLOB), CAST(type AS BLOB), CAST(partitionkey AS BLOB), body, sum "
    "FROM entries WHERE queue = ? AND position = ?"
)


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
        self._may_write = not only_looks
        self._led_anew = False
        if only_looks:
            self._file = open_to_look(path, VERSION, MEND)
        else:
            for said in sqlite_log.put_in_order(path):
                log.warning("%s", said)
            self._file = open_file(path, SCHEMA, VERSION, MEND, UPGRADES, FUNCTIONS)
        self._log = ShortLog(self._file, path, LOG_S_MAX)
        self._has_sums = version_of(self._file) >= VERSION  # an earlier version that is only looked at stays one

    def put(self, rows: Sequence[OutRow]) -> None:
        """All of them, durable, in one commit; those that are here already are passed over (R81).

        Raises, with nothing written, QueueFull where a queue has no room, ContentChanged for a known id with another
        content.
        """
        with self._writing():
            for queue in sorted({row.queue for row in rows}):
                self._put(queue, [row for row in rows if row.queue == queue])

    def states(self) -> list[QueueState]:
        """Every queue that has had an entry, by name."""
        with self._calls, reading(self._file):
            queues = [queue for (queue,) in self._file.execute("SELECT queue FROM queues ORDER BY queue").fetchall()]
            return [self._state(queue) for queue in queues]

    def read(self, queue: str, after: int, limit: int) -> list[Entry]:
        """The next entries behind position `after`, oldest first. Raises Refused for one that is damaged, or not where
        it should be, if it is the first; else those before it come."""
        try:
            return self._read(queue, after, limit)
        except Refused:
            if not self._lead_anew():
                raise
        return self._read(queue, after, limit)

    def _read(self, queue: str, after: int, limit: int) -> list[Entry]:
        entries: list[Entry] = []
        with self._calls, damage_refused(self.path, MEND), reading(self._file):
            last, behind = self._stands(queue)
            first = max(after, behind) + 1
            found = iter(self._file.execute(ENTRIES, (queue, first - 1, limit)).fetchall())
            for position in range(first, min(last, first - 1 + limit) + 1):
                entry = self._entry(queue, position, next(found, None))
                if entry is None and not entries:
                    raise self._damaged(queue, position)
                if entry is None:
                    break
                entries.append(entry)
        return entries

    def position(self, queue: str, consumer: str) -> int:
        """Up to where the consumer has acknowledged; 0: nothing yet. Raises Refused if that cannot be told any more."""
        with self._calls:
            position = self._consumers(queue).get(consumer, 0)
        if position == UNKNOWN:
            raise Refused(
                f"{self.path}: where {consumer} stands in {queue} is damaged. Say it again: "
                f"sortline queue ack {self.path} {queue} --consumer {consumer} --upto POSITION"
            )
        return position

    def ack(self, queue: str, consumer: str, position: int) -> int:
        """The consumer has everything up to `position`; it never moves back. Returns where it stands now.

        The first call, also with 0, makes the consumer known: from then on nothing is trimmed that it does not have.
        Raises ValueError for a position that the queue has not reached, or a queue that is not there.
        """
        with self._writing():
            last, _ = self._stands(queue)
            if not 0 <= position <= last:
                raise ValueError(f"queue {queue}: position {position} is not among those up to {last}")
            stands = max(position, self._consumers(queue).get(consumer, 0))
            row = (queue, consumer, stands)
            self._file.execute("INSERT OR REPLACE INTO consumers VALUES (?, ?, ?, ?)", (*row, row_sum(*row)))
            return stands

    def settle(self) -> bool:
        """Nothing stands in the write-ahead log alone any more; False: somebody reads just now."""
        with self._calls, damage_refused(self.path, MEND):
            return self._log.empty()

    def close(self) -> None:
        with self._calls:
            self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """In one commit."""
        with self._calls:
            with transaction(self._file):
                yield
            self._log.written()

    def _lead_anew(self) -> bool:
        """An entry may be whole, and only what leads to it damaged: whether that could be made anew. Tried once."""
        if self._led_anew or not self._may_write:
            return False
        self._led_anew = True
        try:
            with self._writing():
                self._file.execute("REINDEX entries")
        except sqlite3.Error:
            return False  # two entries of one place, no room, ...
        log.warning("%s: an entry cannot be found: what leads to the entries was made anew", self.path)
        return True

    def _damaged(self, queue: str, position: int) -> Refused:
        return Refused(
            f"{self.path}: entry {position} of {queue} has other content than what was written: the disk has changed "
            f"it. The journal still makes the event: sortline replay. To go on behind it: sortline queue ack "
            f"{self.path} {queue} --consumer NAME --upto {position}"
        )

    def _put(self, queue: str, rows: Sequence[OutRow]) -> None:
        last, behind = self._stands(queue)
        new = [row for row in rows if not self._holds(queue, row)]
        if not new:
            return
        behind = self._trim(queue, last, behind)
        held = last - behind
        if held >= self._settings.entries_max and self._settings.when_full == "wait":
            raise QueueFull(f"queue {queue} holds {held} entries that not every consumer has acknowledged")
        pages = self._pages()
        self._file.executemany(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
            [_entry(queue, at, row) for at, row in enumerate(new, last + 1)],
        )
        taken = sum(2 * len(row.body) + ROW_BYTES for row in new)  # each body in the log, and in the file
        if self._pages() > pages and beyond_spare(self.path.parent, SPARE_PARTS) < taken:
            raise QueueFull(f"queue {queue}: no more room is left on its device than other sinks need")
        row = (queue, last + len(new), behind)
        self._file.execute("INSERT OR REPLACE INTO queues VALUES (?, ?, ?, ?)", (*row, row_sum(*row)))

    def _pages(self) -> int:
        return int(self._file.execute("PRAGMA page_count").fetchone()[0])

    def _holds(self, queue: str, row: OutRow) -> bool:
        """What is damaged beyond telling counts as the same: its reader will hear of it."""
        query = f"SELECT {COLUMNS}, sum FROM entries WHERE queue = ? AND id = ?"  # noqa: S608 - our own text
        found = self._file.execute(query, (queue, row.id)).fetchone()
        entry = self._entry(queue, found[1], found) if found is not None else None
        if entry is not None and entry.body != row.body and _content(entry.body) != _content(row.body):
            raise ContentChanged(f"queue {queue} holds {row.id} with other content")
        return found is not None

    def _trim(self, queue: str, last: int, behind: int) -> int:
        """Returns up to where entries are gone."""
        upto = min(min(self._consumers(queue).values(), default=0), last - self._settings.keep)
        if self._settings.when_full == "drop_oldest":
            upto = max(upto, last - self._settings.entries_max)
        if upto > behind:
            self._file.execute("DELETE FROM entries WHERE queue = ? AND position <= ?", (queue, upto))
        return max(behind, upto)

    def _state(self, queue: str) -> QueueState:
        last, behind = self._stands(queue)
        return QueueState(queue, behind + 1, last, {name: max(0, at) for name, at in self._consumers(queue).items()})

    def _stands(self, queue: str) -> tuple[int, int]:
        """The queue's last position, and up to where its entries are trimmed; 0, 0: it has had none."""
        if not self._has_sums:
            query = "SELECT last, (SELECT min(position) - 1 FROM entries WHERE queue = ?) FROM queues WHERE queue = ?"
            last, behind = self._file.execute(query, (queue, queue)).fetchone() or (0, 0)
            return last, last if behind is None else behind
        query = "SELECT last, behind, sum FROM queues WHERE queue = ?"
        *row, sum_ = self._file.execute(query, (queue,)).fetchone() or (0, 0, row_sum(queue, 0, 0))
        right = right_row((queue, *row), sum_)
        if right is None:
            raise Refused(f"{self.path}: up to where {queue} goes is damaged. {MEND}")
        return right[1], right[2]

    def _consumers(self, queue: str) -> dict[str, int]:
        """UNKNOWN: where it stands is damaged."""
        sum_ = "sum" if self._has_sums else "NULL"
        query = f"SELECT name, position, {sum_} FROM consumers WHERE queue = ? ORDER BY name"  # noqa: S608 - our own text
        found = self._file.execute(query, (queue,)).fetchall()
        if not self._has_sums:
            return {name: position for name, position, _ in found}
        rights = [(name, right_row((queue, name, position), sum_)) for name, position, sum_ in found]
        return {name: UNKNOWN if right is None else right[2] for name, right in rights}

    def _entry(self, queue: str, position: int, found: Sequence[Any] | None) -> Entry | None:
        """What was written at that position; None: it cannot be told."""
        if found is None:
            return None
        *row, sum_ = found
        if not _is_entry(row, sum_):
            *as_bytes, sum_ = self._file.execute(AS_BYTES, (queue, position)).fetchone() or (None,)
            row = list(one_bit_back(as_bytes, sum_, entry_sum, TEXTS) or ())
        return Entry(*row[1:]) if row and row[:2] == [queue, position] else None


def entry_sum(queue: str, position: int, id_: str, type_: str, partitionkey: str, body: bytes) -> int:
    """Of a row of `entries`."""
    return event_sum(position, f"{queue}\0{id_}", type_, partitionkey, body)


FUNCTIONS: dict[str, Callable[..., int]] = {"entry_sum": entry_sum, "row_sum": row_sum}


def _entry(queue: str, position: int, row: OutRow) -> tuple[object, ...]:
    fields = (queue, position, row.id, row.type, row.partitionkey, row.body)
    return *fields, entry_sum(*fields)


def _is_entry(row: Sequence[Any], sum_: object) -> bool:
    try:
        return entry_sum(*row) == sum_
    except (AttributeError, TypeError):
        return False  # damage has made other types of its columns


def right_row(row: Sequence[Any], sum_: object) -> Sequence[Any] | None:
    """A row of `queues` or `consumers` as it was written; None: that cannot be told."""
    if row_sum(*row) == sum_:
        return row
    as_bytes = [value.encode() if isinstance(value, str) else value for value in row]
    texts = [at for at, value in enumerate(row) if isinstance(value, str)]
    return one_bit_back(as_bytes, sum_, row_sum, texts)


def _content(body: bytes) -> dict[str, object]:
    """The event without its `sequence`: what may never differ for one id."""
    event = msgspec.json.decode(body, type=dict[str, object])
    event.pop("sequence", None)
    return event
