"""The outbox: business events from their birth until every sink has them. One SQLite file.

    events      what some sink does not have yet: sequence, id, type, partitionkey, body, since when, and a sum
    told        sequence, id and content of the last events, those that are gone included: so that the same id never
                leaves with other content (R81), and a replay that tells another story is noticed
    refused     events that contradicted an earlier one of the same id: the evidence, kept as long as `told`
    lanes       one a sink and queue: its types, its cursor, and its account
    last        the greatest sequence that was ever taken in, and how many `events` there are; with a sum, as lanes have

A lane is what one sink gets in one queue: the cursor stands for everything up to it, and lanes do not wait for each
other. When the routes change, the lanes of before end with the last event that was told by then, and those of the new
routes begin behind it: nothing changes its queue on the way.

A start replays the journal's tail, and the core emits its events again: those up to `last` are here already and are
passed over. Nothing is ever dropped to make room: at the cap, `append` raises Full and the engine waits.

What is damaged is refused: no event leaves with other content than it was told with (see outbox_sums).

Reads have a connection of their own, so that a sink that catches up does not keep new events waiting.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.clock import Clock, now_us
from engine.contracts import Account, Emitted, Lane, OutRow
from engine.disk import DISK, Disk
from engine.errors import ContentChanged, Full, Refused
from engine.outbox_room import full, lacks_room, room_is_short, shrinks_in_bytes, shrunk
from engine.outbox_sums import LANE, UNCOUNTED, changed, count_left, damage, event_sum, is_event, row_sum, turn_back
from engine.sqlite_file import damage_refused, empty_log, log_is_long, open_file, transaction
from engine.told_events import ToldEvents

VERSION = 3
LANES = (
    "CREATE TABLE lanes (number INTEGER PRIMARY KEY, sink TEXT NOT NULL, queue TEXT NOT NULL, types TEXT NOT NULL, "
    "until INTEGER, cursor INTEGER NOT NULL, events INTEGER NOT NULL, delivered INTEGER NOT NULL, "
    "dead INTEGER NOT NULL)"
)
SUMS = tuple(f"ALTER TABLE {table} ADD COLUMN sum INTEGER" for table in ("events", "lanes", "last"))
SUM_UP = (
    "UPDATE events SET sum = event_sum(sequence, id, type, partitionkey, body)",
    f"UPDATE lanes SET sum = row_sum({LANE})",  # noqa: S608 - our own text
    "UPDATE last SET sum = row_sum(sequence, rows)",
)
FUNCTIONS: dict[str, Callable[..., int]] = {"event_sum": event_sum, "row_sum": row_sum}
TOLD = "CREATE TABLE told (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, content BLOB NOT NULL)"
SCHEMA = (
    "CREATE TABLE events (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, "
    "partitionkey TEXT NOT NULL, body BLOB NOT NULL, since_us INTEGER NOT NULL)",
    TOLD,
    "CREATE TABLE refused (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE TABLE cursors (sink TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID",
    LANES,
    "CREATE TABLE last (sequence INTEGER NOT NULL, rows INTEGER NOT NULL)",
    "INSERT INTO last VALUES (0, 0)",
    *SUMS,
    f"UPDATE last SET sum = {row_sum(0, 0)}",  # noqa: S608 - our own number
)
# Version 1 had an index of ids, and one cursor a sink: those stay where they are until the lanes are made of them. Its
# contents were hashed otherwise. Version 2 had no sums.
UPGRADES = {
    1: (
        LANES,
        "ALTER TABLE told RENAME TO told_before",
        TOLD,
        "INSERT INTO told SELECT sequence, id, x'' FROM told_before ORDER BY sequence",
        "DROP TABLE told_before",
        "ALTER TABLE last ADD COLUMN rows INTEGER NOT NULL DEFAULT 0",
        "UPDATE last SET rows = (SELECT count(*) FROM events)",
    ),
    2: (*SUMS, *SUM_UP),
}
TOLD_MAX = 1_000_000

log = logging.getLogger("sortline.outbox")


class LaneState:
    """A lane, where it stands, and how many events it has had since it began."""

    def __init__(self, lane: Lane, cursor: int, events: int, delivered: int, dead: int) -> None:
        self.lane = lane
        self.cursor = cursor
        self.events = events
        self.delivered = delivered
        self.dead = dead

    @property
    def pending(self) -> int:
        return self.events - self.delivered - self.dead

    def gets(self, sequence: int) -> bool:
        return sequence > self.cursor and (self.lane.until is None or sequence <= self.lane.until)


class SqliteOutbox:
    """`contracts.Outbox` in a file. Thread-safe; every call may wait for the disk.

    routes: type -> sink -> queue, for every type of business event. sinks: all of them, also those without a route;
    one that is new starts behind the last event. One that is gone gets nothing more; what it does not have yet stays
    until somebody has seen to it (see `gone`).
    rows_max: events that some sink does not have yet, at which `append` raises Full. told_max: how many ids are kept.
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
        disk: Disk = DISK,
    ) -> None:
        self._disk = disk
        self._routes = routes
        self._sinks = sinks
        self.rows_max = rows_max
        self._told_max = told_max
        self._clock = clock
        self._calls = threading.Lock()
        self._reads = threading.Lock()
        self._path = path
        self._mend = mend(path)
        self._file = open_file(path, SCHEMA, VERSION, self._mend, UPGRADES, FUNCTIONS)
        try:
            self._reader = open_file(path, SCHEMA, VERSION, self._mend)
        except BaseException:
            self._file.close()
            raise
        try:
            self._begin()
        except BaseException:
            self._reader.close()
            self._file.close()
            raise

    def _begin(self) -> None:
        with self._intact():
            found, turned = damage(self._file)
            if turned:
                turn_back(self._file, turned)
                what = ", ".join(each.what for each in turned)
                log.warning("%s: a flipped bit was turned back: %s", self._path, what)
                found, _ = damage(self._file)
            if found:
                raise self._damaged(found)
            self._last: int
            self._rows: int
            self._last, self._rows = self._file.execute("SELECT sequence, rows FROM last").fetchone()
            self._told = ToldEvents(self._path, self._file, self._told_max)
            self._gone: dict[str, int] = {}  # type -> its events up to here were dropped
            with transaction(self._file):
                self._lanes = self._settled_lanes()
                self._lanes_of = self._lanes_by_type()
                passed = self._passed()
                dropped = self._drop(passed)
            self._gone = passed
            self._rows -= dropped

    def append(self, events: Sequence[Emitted]) -> None:
        """All of them in one commit, in order; those at or below `last_sequence` are passed over.

        Raises, having written nothing, Full at the cap, and Refused if an event that was told already is another one
        now. Raises ContentChanged *after* the commit if some contradict an earlier event of the same id (R81): they
        stand in `refused`, all others are in.
        """
        with self._calls, self._intact():
            self._told.pass_over([event for event in events if event.sequence <= self._last], self._last)
            new = [event for event in events if event.sequence > self._last]
            if not new:
                return
            if self._rows >= self.rows_max:
                behind = max(self._lanes.values(), key=lambda state: state.pending)
                raise Full(
                    f"the outbox {self._path} holds {self._rows} events that a sink does not have yet; most wait for "
                    f"sink {behind.lane.sink}, queue {behind.lane.queue}: {behind.pending}"
                )
            if self._rows and self._lacks_room(new):
                raise full(self._path, self._rows)
            refused = self._commit(new)
            self._shorten_log()
        if refused:
            raise ContentChanged(f"{len(refused)} events contradict what was told before, first {refused[0].id}")

    def retell(self) -> None:
        """Until `untold` is asked, what is passed over may have been told by another program (see told_events)."""
        with self._calls:
            self._told.may_differ = True

    def untold(self) -> tuple[list[Emitted], dict[str, int]] | None:
        """What `append` has passed over since `retell` although its id was never told, and every key's last revision;
        None: it was the story that was told."""
        with self._calls, self._intact():
            differed = self._told.by_id
            events = self._told.untold()
            return (events, self._told.revisions()) if differed else None

    @property
    def rows(self) -> int:
        """Events that some sink does not have yet: what `rows_max` bounds."""
        return self._rows

    def last_sequence(self) -> int:
        with self._calls:
            return self._last

    def told(self, first: int, last: int) -> dict[int, str]:
        """sequence -> id of what was told from `first` to `last`, as far as it is kept."""
        query = "SELECT sequence, id FROM told WHERE sequence BETWEEN ? AND ?"
        with self._calls, self._intact():
            return dict(self._file.execute(query, (first, last)).fetchall())

    def lanes(self, sink: str) -> list[Lane]:
        """The sink's lanes; those of earlier routes, which have to be empty before the others go on, first."""
        with self._calls:
            lanes = [state.lane for state in self._lanes.values() if state.lane.sink == sink]
        # those of earlier routes are few, and stay for their account
        return sorted(lanes, key=lambda lane: (lane.until is None, lane.until or 0, lane.number))

    def gone(self) -> list[Lane]:
        """Lanes of sinks that the site does not have any more, with something in them that those never got."""
        with self._calls:
            return [each.lane for each in self._lanes.values() if each.pending and each.lane.sink not in self._sinks]

    def read(self, lane: int, limit: int, after: int = 0) -> list[OutRow]:
        """The lane's next events after its cursor, or behind `after`, in order of sequence (R80)."""
        with self._calls:
            state = self._lanes[lane]
            last, queue = self._last, state.lane.queue
            begin = max(state.cursor, after)
            if not state.pending:
                state.cursor = self._end(state)  # what is left goes to other lanes; written down with the next commit
                return []
        with self._reads, self._intact():
            found = self._next(state.lane, begin, last, "sequence, id, type, partitionkey, body, sum", limit)
        for *event, sum_ in found:
            if not is_event(event, sum_):
                raise self._damaged(changed("events", event))
        if found and begin > after:
            # between the cursor and the first of them stands nothing of this lane: not to be searched again
            with self._calls:
                state.cursor = max(state.cursor, found[0][0] - 1)
        return [OutRow(at, id_, type_, queue, key, body) for at, id_, type_, key, body, _ in found]

    def cursor(self, lane: int) -> int:
        """The lane's events up to here are delivered, or dead letters."""
        with self._calls:
            return self._lanes[lane].cursor

    def advance(self, lane: int, position: int, *, delivered: int, dead: int = 0) -> None:
        """All of the lane's events up to `position` are where they belong, so many of each. Events that every lane of
        theirs has are dropped in the same commit."""
        with self._calls:
            state = self._lanes[lane]
            if position <= state.cursor:
                return
            before = (state.cursor, state.delivered, state.dead)
            state.cursor, state.delivered, state.dead = position, state.delivered + delivered, state.dead + dead
            try:
                gone = self._passed()
                with self._intact(), transaction(self._file):
                    self._write_lanes(self._lanes.values())
                    dropped = self._drop(gone)
            except BaseException:
                state.cursor, state.delivered, state.dead = before
                self._shorten_log()
                raise
            self._gone = gone
            self._rows -= dropped
            self._shorten_log()

    def account(self, lane: int) -> Account:
        """Where the lane's events are, since the lane began."""
        with self._calls:
            state = self._lanes[lane]
            return Account(state.events, state.delivered, state.pending, state.dead)

    def depth(self, sink: str) -> int:
        """How many events the sink does not have yet, dead letters not counted."""
        with self._calls:
            return sum(state.pending for state in self._lanes.values() if state.lane.sink == sink)

    def oldest_us(self, lane: int, after: int = 0) -> int:
        """Since when the first of those waits; 0: none does."""
        with self._calls:
            state = self._lanes[lane]
            begin, last, pending = max(state.cursor, after), self._last, state.pending
        with self._reads, self._intact():
            found = self._next(state.lane, begin, last, "since_us", 1) if pending else []
        return int(found[0][0]) if found else 0

    @property
    def shrinks_in_bytes(self) -> int:
        """How much room it takes on the device to give back what is empty in the file, once sinks have all events."""
        return shrinks_in_bytes(min(self._last, self._told_max))

    def shrink(self) -> bool:
        """What is empty in the file goes back to the device, if that is most of it and there is room for it."""
        with self._calls, self._reads, self._intact():
            return shrunk(self._path, self._file)

    def settle(self) -> None:
        """SQLite drops all commits of its write-ahead log behind a damaged one: so they go into the file itself, each
        row of which has a sum. Not where another process is reading just now; nobody waits for that."""
        with self._calls, self._reads, self._intact():
            empty_log(self._file)

    def _lacks_room(self, new: Sequence[Emitted]) -> bool:
        about = (self._path, self._file, new, self.shrinks_in_bytes, self._disk)
        if not lacks_room(*about):
            return False
        with self._reads:
            empty_log(self._file)
        return lacks_room(*about)

    def _shorten_log(self) -> None:
        if log_is_long(self._path) or room_is_short(self._path, self._disk):
            with self._reads, self._intact():
                empty_log(self._file)

    def close(self) -> None:
        with self._calls, self._reads:
            self._reader.close()
            self._file.close()

    @contextmanager
    def _intact(self) -> Iterator[None]:
        with damage_refused(self._path, self._mend):
            yield

    def _damaged(self, what: str) -> Refused:
        return Refused(f"{self._path}: is damaged: {what}. {self._mend}")

    def _commit(self, new: Sequence[Emitted]) -> list[Emitted]:
        """Write them; returns those that contradict an earlier event."""
        now = self._clock()
        known = self._told.known(new)
        told: list[Emitted] = []
        refused: list[Emitted] = []
        for event in new:
            if event.id not in known:
                known[event.id] = event.content
                told.append(event)
            elif self._told.contradicts(event, known[event.id]):
                refused.append(event)
        before = [(state, state.events) for state in self._lanes.values()]
        try:
            rows = [(*e[:5], now, event_sum(*e[:5])) for e in told if self._count_in(e)]
            last = new[-1].sequence
            self._write(rows, told, refused, last)
        except BaseException:
            for state, events in before:
                state.events = events
            raise
        self._told.add([(event.sequence, event.id) for event in told], last)
        self._last = last
        self._rows += len(rows)
        return refused

    def _write(
        self, rows: Sequence[tuple[object, ...]], told: Sequence[Emitted], refused: Sequence[Emitted], last: int
    ) -> None:
        """In one commit."""
        with transaction(self._file):
            execute = self._file.executemany
            execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            execute("INSERT INTO told VALUES (?, ?, ?)", [(e.sequence, e.id, e.content) for e in told])
            execute("INSERT INTO refused VALUES (?, ?, ?)", [(e.sequence, e.id, e.body) for e in refused])
            self._write_last(last, self._rows + len(rows))
            self._file.execute("DELETE FROM told WHERE sequence <= ?", (last - self._told_max,))
            self._file.execute("DELETE FROM refused WHERE sequence <= ?", (last - self._told_max,))
            self._write_lanes(self._lanes.values())

    def _write_last(self, sequence: int, rows: int) -> None:
        self._file.execute("UPDATE last SET sequence = ?, rows = ?, sum = ?", (sequence, rows, row_sum(sequence, rows)))

    def _count_in(self, event: Emitted) -> bool:
        """Whether a lane has still to get it. In an outbox of which events were lost, lanes are ahead of `last`."""
        to_get = [state for state in self._lanes_of[event.type] if state.gets(event.sequence)]
        for state in to_get:
            state.events += 1
        return bool(to_get)

    def _settled_lanes(self) -> dict[int, LaneState]:
        """The lanes by the routes of now: kept where nothing changed, begun and ended where it did."""
        kept = self._stored_lanes()
        stored = {_stored(state) for state in kept}
        queues = ((sink, queue, types) for sink in self._sinks for queue, types in self._queues(sink).items())
        wanted = {(sink, queue): tuple(sorted(types)) for sink, queue, types in queues}
        here = max([self._last, *(state.cursor for state in kept)])
        standing = {(state.lane.sink, state.lane.queue, state.lane.types) for state in kept if state.lane.until is None}
        for state in kept:
            if state.lane.until is None and wanted.get((state.lane.sink, state.lane.queue)) != state.lane.types:
                state.lane = state.lane._replace(until=here)
        begins = dict(self._file.execute("SELECT sink, sequence FROM cursors").fetchall())
        number = self._file.execute("SELECT coalesce(max(number), 0) FROM lanes").fetchone()[0]
        for (sink, queue), types in wanted.items():
            if (sink, queue, types) not in standing:
                number += 1
                kept.append(LaneState(Lane(number, sink, queue, types), begins.get(sink, here), UNCOUNTED, 0, 0))
        self._file.executemany("DELETE FROM cursors WHERE sink = ?", [(sink,) for sink in self._sinks])
        for state in kept:
            if state.events == UNCOUNTED:
                left = count_left(self._file, state.lane.types, state.cursor, self._end(state))
                state.events = state.delivered + state.dead + left
        # a start with nothing new writes nothing: it may find a disk without room
        self._file.executemany(
            "INSERT OR REPLACE INTO lanes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*row, row_sum(*row)) for row in map(_stored, kept) if row not in stored],
        )
        return {state.lane.number: state for state in kept}

    def _lanes_by_type(self) -> dict[str, list[LaneState]]:
        found: dict[str, list[LaneState]] = {type_: [] for type_ in self._routes}
        for state in self._lanes.values():
            for type_ in state.lane.types:
                found.setdefault(type_, []).append(state)
        return found

    def _stored_lanes(self) -> list[LaneState]:
        """Earlier versions left lanes of sinks that are gone uncounted: those kept nothing."""
        query = f"SELECT {LANE} FROM lanes ORDER BY number"  # noqa: S608 - our own text
        return [
            LaneState(Lane(number, sink, queue, tuple(types.split()), until), *rest)
            for number, sink, queue, types, until, *rest in self._file.execute(query)
            if sink in self._sinks or rest[1] != UNCOUNTED
        ]

    def _queues(self, sink: str) -> dict[str, list[str]]:
        queues: dict[str, list[str]] = {}
        for type_, to in self._routes.items():
            if sink in to:
                queues.setdefault(to[sink], []).append(type_)
        return queues

    def _end(self, state: LaneState) -> int:
        return max(state.cursor, self._last if state.lane.until is None else state.lane.until)

    def _write_lanes(self, states: Iterable[LaneState]) -> None:
        self._file.executemany(
            "UPDATE lanes SET cursor = ?, events = ?, delivered = ?, dead = ?, sum = ? WHERE number = ?",
            [(*row[5:], row_sum(*row), row[0]) for row in map(_stored, states)],
        )

    def _passed(self) -> dict[str, int]:
        """type -> every lane that gets it has its events up to here; a lane with nothing to come holds nothing back."""
        passed = dict.fromkeys(self._routes, self._last)
        for state in self._lanes.values():
            if state.pending:
                for type_ in state.lane.types:
                    passed[type_] = min(passed.get(type_, self._last), state.cursor)
        return {type_: max(upto, self._gone.get(type_, 0)) for type_, upto in passed.items()}

    def _drop(self, passed: Mapping[str, int]) -> int:
        """Events of each type up to there. Returns how many. Only what lies behind the last drop is looked at."""
        spans: dict[tuple[int, int], list[str]] = {}
        for type_, upto in passed.items():
            spans.setdefault((self._gone.get(type_, 0), upto), []).append(type_)
        dropped = 0
        for (after, upto), types in spans.items():
            if after < upto:
                marks = ", ".join("?" * len(types))
                query = f"DELETE FROM events WHERE sequence > ? AND sequence <= ? AND type IN ({marks})"  # noqa: S608
                dropped += self._file.execute(query, (after, upto, *types)).rowcount
        if dropped:
            self._write_last(self._last, self._rows - dropped)
        return dropped

    def _next(self, lane: Lane, cursor: int, last: int, columns: str, limit: int) -> list[tuple[Any, ...]]:
        """The lane's next events; `columns` is this module's own text."""
        marks = ", ".join("?" * len(lane.types))
        which = f"sequence > ? AND sequence <= ? AND type IN ({marks})"
        query = f"SELECT {columns} FROM events WHERE {which} ORDER BY sequence LIMIT ?"  # noqa: S608
        until = last if lane.until is None else lane.until
        return self._reader.execute(query, (cursor, until, *lane.types, limit)).fetchall()


def mend(path: Path) -> str:
    """What the operator can do about a damaged outbox."""
    return (
        f"To put it aside: sortline fsck --repair {path.parent}. The next start builds it again out of the journal, if "
        "that still has its beginning, and the sinks pass over what they have"
    )


def _stored(state: LaneState) -> tuple[object, ...]:
    lane = state.lane
    return (
        *(lane.number, lane.sink, lane.queue, " ".join(lane.types), lane.until),
        *(state.cursor, state.events, state.delivered, state.dead),
    )
