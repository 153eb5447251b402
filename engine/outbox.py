"""The outbox: business events from their birth until every sink has them. One SQLite file.

    events      what some sink does not have yet: sequence, id, type, partitionkey, body, since when
    told        sequence, id and content of the last events, those that are gone included: so that the same id never
                leaves with other content, and a replay that tells another story is noticed
    refused     events that contradicted an earlier one of the same id: the evidence, kept as long as `told`
    cursors     one a sink: it has everything up to this sequence
    last        the greatest sequence that was ever taken in

A start replays the journal's tail, and the core emits its events again: those up to `last` are here already and are
passed over. Nothing is ever dropped to make room: at the cap, `append` raises Full and the engine waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.clock import Clock, now_us
from engine.contracts import Emitted, OutRow
from engine.errors import ContentChanged, Full, Refused
from engine.sqlite_file import open_file, transaction

VERSION = 1
SCHEMA = (
    "CREATE TABLE events (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, "
    "partitionkey TEXT NOT NULL, body BLOB NOT NULL, since_us INTEGER NOT NULL)",
    "CREATE TABLE told (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, content BLOB NOT NULL)",
    "CREATE TABLE refused (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE TABLE cursors (sink TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE last (sequence INTEGER NOT NULL)",
    "INSERT INTO last VALUES (0)",
)
MEND = (
    "Move it away: the next start builds it again out of the journal, if that still has its beginning, and the sinks "
    "pass over what they have"
)
TOLD_MAX = 1_000_000

log = logging.getLogger("sortline.outbox")


class SqliteOutbox:
    """`contracts.Outbox` in a file. Thread-safe; every call may wait for the disk.

    routes: type -> sink -> queue, for every type of business event. sinks: all of them, also those without a route;
    one that is new starts behind the last event, one that is gone keeps its cursor and holds nothing back.
    rows_max: events that sinks do not have yet, at which `append` raises Full. told_max: how many ids are remembered.
    """

    def __init__(
        self,
        path: Path,
        *,
        routes: Mapping[str, Mapping[str, str]],
        sinks: Sequence[str],
        rows_max: int,
        told_max: int = TOLD_MAX,
        clock: Clock = now_us,
    ) -> None:
        self._routes = routes
        self._types = {sink: sorted(type_ for type_, to in routes.items() if sink in to) for sink in sinks}
        self._rows_max = rows_max
        self._told_max = told_max
        self._clock = clock
        self._calls = threading.Lock()
        self._path = path
        self._warned = False
        self._file = open_file(path, SCHEMA, VERSION, MEND)
        self._last: int = self._file.execute("SELECT sequence FROM last").fetchone()[0]
        self._rows: int = self._file.execute("SELECT count(*) FROM events").fetchone()[0]
        self._cursors = self._settled_cursors()
        self._depths = {sink: self._count(sink, cursor, self._last) for sink, cursor in self._cursors.items()}
        # what only a sink still wanted that the site no longer has
        with transaction(self._file):
            self._rows -= self._drop(self._cursors, self._depths)

    def append(self, events: Sequence[Emitted]) -> None:
        """All of them in one commit, in order; those at or below `last_sequence` are passed over.

        Raises, having written nothing, Full at the cap, and Refused if an event that was told already is another one
        now. Raises ContentChanged *after* the commit if some contradict an earlier event of the same id: they stand in
        `refused`, all others are in.
        """
        with self._calls:
            self._same_story([event for event in events if event.sequence <= self._last])
            new = [event for event in events if event.sequence > self._last]
            if not new:
                return
            if self._rows >= self._rows_max:
                raise Full(f"the outbox {self._path} holds {self._rows} events that a sink does not have yet")
            refused = self._commit(new)
        if refused:
            raise ContentChanged(f"{len(refused)} events contradict what was told before, first {refused[0].id}")

    def last_sequence(self) -> int:
        with self._calls:
            return self._last

    def read(self, sink: str, limit: int) -> list[OutRow]:
        """The next events for `sink`, in order of sequence."""
        with self._calls:
            cursor = self._cursors[sink]
            found = self._next(sink, "sequence, id, type, partitionkey, body", limit)
            if not found and cursor < self._last:
                # what is left goes to other sinks; written down with the next commit
                self._cursors[sink] = self._last
            return [OutRow(at, id_, type_, self._routes[type_][sink], key, body) for at, id_, type_, key, body in found]

    def advance(self, sink: str, position: int) -> None:
        """The sink has everything up to `position`. Events that every sink has are dropped in the same commit."""
        with self._calls:
            before = self._cursors[sink]
            if position <= before:
                return
            delivered = self._count(sink, before, position)
            depths = {**self._depths, sink: self._depths[sink] - delivered}
            cursors = {**self._cursors, sink: position}
            with transaction(self._file):
                self._write_cursors(cursors)
                dropped = self._drop(cursors, depths)
            self._cursors, self._depths = cursors, depths
            self._rows -= dropped

    def depth(self, sink: str) -> int:
        """How many events the sink does not have yet."""
        with self._calls:
            return self._depths[sink]

    def oldest_us(self, sink: str) -> int:
        """Since when the sink's next event waits; 0: none does."""
        with self._calls:
            found = self._next(sink, "since_us", 1) if self._depths[sink] else []
            return int(found[0][0]) if found else 0

    def close(self) -> None:
        with self._calls:
            self._file.close()

    def _same_story(self, replayed: Sequence[Emitted]) -> None:
        for event in replayed:
            told = self._file.execute("SELECT id, content FROM told WHERE sequence = ?", (event.sequence,)).fetchone()
            if told is None or told == (event.id, event.content):
                continue
            if told[0] != event.id:
                raise Refused(
                    f"{self._path}: event {event.sequence} was told as {told[0]}, and the journal now makes {event.id} "
                    "of it: the rules, the site's name or the program have changed. Start with those of before, or "
                    "with a new data_dir once the sinks have everything"
                )
            if not self._warned:
                log.warning("replay: %s has other content than when it was told; the first stays", event.id)
                self._warned = True

    def _commit(self, new: Sequence[Emitted]) -> list[Emitted]:
        """Write them; returns those that contradict an earlier event."""
        now = self._clock()
        known = self._known(new)
        told: list[Emitted] = []
        refused: list[Emitted] = []
        for event in new:
            if event.id not in known:
                known[event.id] = event.content
                told.append(event)
            elif known[event.id] != event.content:
                refused.append(event)
        rows = [(e.sequence, e.id, e.type, e.partitionkey, e.body, now) for e in told if self._routes[e.type]]
        last = new[-1].sequence
        with transaction(self._file):
            execute = self._file.executemany
            execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
            execute("INSERT INTO told VALUES (?, ?, ?)", [(e.sequence, e.id, e.content) for e in told])
            execute("INSERT INTO refused VALUES (?, ?, ?)", [(e.sequence, e.id, e.body) for e in refused])
            self._file.execute("UPDATE last SET sequence = ?", (last,))
            self._file.execute("DELETE FROM told WHERE sequence <= ?", (last - self._told_max,))
            self._file.execute("DELETE FROM refused WHERE sequence <= ?", (last - self._told_max,))
            self._write_cursors(self._cursors)
        self._last = last
        self._rows += len(rows)
        for sink in self._depths:
            self._depths[sink] += sum(sink in self._routes[event.type] for event in told)
        return refused

    def _known(self, events: Sequence[Emitted]) -> dict[str, bytes]:
        """id -> content of those that were told before."""
        known: dict[str, bytes] = {}
        for event in events:
            found = self._file.execute("SELECT content FROM told WHERE id = ?", (event.id,)).fetchone()
            if found is not None:
                known[event.id] = found[0]
        return known

    def _settled_cursors(self) -> dict[str, int]:
        with transaction(self._file):
            self._file.executemany(
                "INSERT OR IGNORE INTO cursors SELECT ?, sequence FROM last", [(sink,) for sink in self._types]
            )
        cursors = dict(self._file.execute("SELECT sink, sequence FROM cursors").fetchall())
        return {sink: cursors[sink] for sink in self._types}

    def _write_cursors(self, cursors: Mapping[str, int]) -> None:
        self._file.executemany(
            "UPDATE cursors SET sequence = ? WHERE sink = ?", [(at, to) for to, at in cursors.items()]
        )

    def _drop(self, cursors: Mapping[str, int], depths: Mapping[str, int]) -> int:
        """Events that every sink has; a sink with nothing to come holds nothing back. Returns how many."""
        behind = min((cursors[sink] if depth else self._last for sink, depth in depths.items()), default=0)
        return self._file.execute("DELETE FROM events WHERE sequence <= ?", (behind,)).rowcount

    def _next(self, sink: str, columns: str, limit: int) -> list[tuple[Any, ...]]:
        """The sink's next events; `columns` is this module's own text."""
        types = self._types[sink]
        which = f"sequence > ? AND type IN ({', '.join('?' * len(types))})"
        query = f"SELECT {columns} FROM events WHERE {which} ORDER BY sequence LIMIT ?"  # noqa: S608
        return self._file.execute(query, (self._cursors[sink], *types, limit)).fetchall()

    def _count(self, sink: str, after: int, until: int) -> int:
        types = self._types[sink]
        marks = ", ".join("?" * len(types))
        query = f"SELECT count(*) FROM events WHERE sequence > ? AND sequence <= ? AND type IN ({marks})"  # noqa: S608
        (count,) = self._file.execute(query, (after, until, *types)).fetchone()
        return int(count)
