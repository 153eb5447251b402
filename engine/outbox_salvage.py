"""What of a damaged outbox is whole still: for `sortline fsck --repair`, and for a start.

SQLite gives a file up for one bit in what holds its pages together, and most pages hold `told`, which is there to
notice what should never happen. The rest decides what leaves, and has sums: where all of it can be read and fits, it
goes into a new file, with what can be read of `told`. So no event that waits is lost, and none is told twice. What
SQLite does not find any more is looked for in the pages of the file (see outbox_pages).

Where events are missing and the lanes are not, the new file knows where each lane stands, and goes back to the last
event that all of them have: from there on the journal makes the events again. Where the journal does not go back so
far any more, every event stays that is whole, and only what cannot be read and nobody can make again is lost.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from engine import start_room
from engine.errors import Refused
from engine.outbox import FUNCTIONS, SCHEMA, UPGRADES, VERSION, mend
from engine.outbox_pages import found_rows
from engine.outbox_sums import LANE, TABLES, count_left, not_of_one_moment, row_sum, rows_of
from engine.salvage import begun, remove
from engine.segment_folder import SegmentFolder
from engine.snapshots import Snapshot, Snapshots
from engine.sqlite_file import is_newer, not_whole, open_damaged, open_file, passes, transaction
from engine.whole_file import NEW

NOTHING = 2**63 - 1
BOTH_ENDS: tuple[Literal["ASC"], Literal["DESC"]] = ("ASC", "DESC")


class _Lost(Exception):
    """Not all of it is there."""


def salvage(path: Path) -> Path | None:
    """A new file beside `path`, whole and on disk, to be put in its place; None: too much is damaged. Raises
    sqlite3.OperationalError where there is no room for it."""
    new = path.with_name(path.name + NEW)
    behind = _made_again_behind(path.parent)
    made_again, whole = partial(_copy_places, behind=behind), partial(_copy_whole, behind=behind)
    for opened, copies in (
        (open_damaged, (_copy, made_again)),
        (found_rows, (_copy, made_again, whole)),
        (open_damaged, (whole, _copy_places)),
    ):
        with _unless_lost(path), opened(path) as file:
            # a lane that is missing would begin anew; an earlier version has none, or none with a sum
            if is_newer(file, VERSION) or not_whole(file, "lanes"):
                continue
            for copy in copies:
                with _unless_lost(path), begun(new, _new) as target:
                    copy(file, target)
                    return new
    remove(new)
    return None


@contextlib.contextmanager
def _unless_lost(path: Path) -> Iterator[None]:
    """What cannot be made of a damaged file ends it; a disk without room does not count as that."""
    try:
        yield
    except (sqlite3.DatabaseError, Refused, _Lost) as error:
        if isinstance(error, sqlite3.Error) and (passes(error) or start_room.is_short(path.parent)):
            raise


def _new(path: Path) -> sqlite3.Connection:
    return open_file(path, SCHEMA, VERSION, mend(path), functions=FUNCTIONS)


def _copy(file: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Everything but what cannot be read of `told`."""
    target.execute("DELETE FROM last")
    counts = {name: _copy_rows(file, target, name) for name in TABLES}
    last = target.execute("SELECT sequence, rows FROM last").fetchall()
    if len(last) != 1 or last[0][1] != counts["events"]:
        raise _Lost
    _copy_told(file, target, last[0][0])
    if not_of_one_moment(target):
        raise _Lost


def _made_again_behind(data_dir: Path) -> int:
    """The journal makes all events behind this one again, from its beginning or from a snapshot."""
    first = min(SegmentFolder(data_dir / "journal").numbers(), default=0)
    if first <= 1:
        return 0
    snapshots = (each for _, each in Snapshots(data_dir / "snapshots").newest_first())
    reached = (each for each in snapshots if isinstance(each, Snapshot) and each.position.segment >= first)
    return min((each.sequence for each in reached), default=NOTHING)


def _copy_whole(file: sqlite3.Connection, target: sqlite3.Connection, behind: int) -> None:
    """The lanes, and each event that is whole, up to where the journal makes them again."""
    if not _copy_rows(file, target, "lanes"):
        raise _Lost
    insert = "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, 0, ?)"
    for order in BOTH_ENDS:
        with contextlib.suppress(sqlite3.DatabaseError):
            for _, _, row in rows_of(file, "events", order):
                if row is not None and row[0] <= behind:
                    target.execute(insert, (*row, TABLES["events"].sum_of(*row)))
    lanes = target.execute(f"SELECT {LANE} FROM lanes").fetchall()  # noqa: S608 - our own text
    rows, newest = target.execute("SELECT count(*), coalesce(max(sequence), 0) FROM events").fetchone()
    last = behind if behind < NOTHING else max([newest, *(lane[5] for lane in lanes)])
    for number, *names, until, cursor, _, delivered, dead in lanes:
        left = count_left(target, names[-1].split(), cursor, last if until is None else until)
        _write_lane(target, (number, *names, until, cursor, delivered + dead + left, delivered, dead))
    target.execute("UPDATE last SET sequence = ?, rows = ?, sum = ?", (last, rows, row_sum(last, rows)))
    _copy_told(file, target, last)


def _copy_places(file: sqlite3.Connection, target: sqlite3.Connection, behind: int = 0) -> None:
    """The lanes, and what was told up to where all of them have everything."""
    if not _copy_rows(file, target, "lanes"):
        raise _Lost
    lanes = target.execute(f"SELECT {LANE} FROM lanes").fetchall()  # noqa: S608 - our own text
    for number, *names, until, cursor, _, delivered, dead in lanes:
        _write_lane(target, (number, *names, until, cursor, delivered + dead, delivered, dead))
    waiting = [cursor for *_, until, cursor, _, _, _ in lanes if until is None or cursor < until]
    last = min(waiting, default=max(cursor for *_, cursor, _, _, _ in lanes))
    if last < behind:
        raise _Lost
    target.execute("UPDATE last SET sequence = ?, rows = 0, sum = ?", (last, row_sum(last, 0)))
    _copy_told(file, target, last)


def _write_lane(target: sqlite3.Connection, row: Sequence[Any]) -> None:
    target.execute("UPDATE lanes SET events = ?, sum = ? WHERE number = ?", (row[6], row_sum(*row), row[0]))


def _copy_rows(file: sqlite3.Connection, target: sqlite3.Connection, name: str) -> int:
    """Raises _Lost where one cannot be told. Since when an event waits has no sum: it may begin anew."""
    columns, sum_of = TABLES[name].columns, TABLES[name].sum_of
    names = (*columns, "sum", *(["since_us"] if name == "events" else []))
    query = f"INSERT INTO {name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our own
    count = 0
    for _, _, row in rows_of(file, name):
        if row is None:
            raise _Lost
        target.execute(query, (*row, sum_of(*row), 0)[: len(names)])
        count += 1
    return count


def _copy_told(file: sqlite3.Connection, target: sqlite3.Connection, last: int) -> None:
    """Up to an event; from both ends, up to where it is damaged."""
    for order in BOTH_ENDS:
        with contextlib.suppress(sqlite3.DatabaseError):
            for row in file.execute(f"SELECT sequence, id, content FROM told ORDER BY sequence {order}"):  # noqa: S608
                if _is_told(row) and row[0] <= last:
                    target.execute("INSERT OR IGNORE INTO told VALUES (?, ?, ?)", row)


def _is_told(row: Sequence[Any]) -> bool:
    return isinstance(row[0], int) and isinstance(row[1], str) and isinstance(row[2], bytes)


def pass_to(path: Path, sequence: int) -> None:
    """Of an outbox, new or not, that no engine has open: all up to `sequence` was told, whether it is here or not."""
    file = open_file(path, SCHEMA, VERSION, mend(path), UPGRADES, FUNCTIONS)
    try:
        with transaction(file):
            (rows,) = file.execute("SELECT rows FROM last").fetchone()
            file.execute("UPDATE last SET sequence = ?, sum = ?", (sequence, row_sum(sequence, rows)))
            # nothing up to there is left for these; so a dead letter from there does not stand for what comes again
            for *lane, cursor, events, delivered, dead in file.execute(f"SELECT {LANE} FROM lanes").fetchall():  # noqa: S608
                if cursor < sequence and events == delivered + dead and lane[-1] is None:
                    row = (*lane, sequence, events, delivered, dead)
                    query = "UPDATE lanes SET cursor = ?, sum = ? WHERE number = ?"
                    file.execute(query, (sequence, row_sum(*row), lane[0]))
    finally:
        file.close()
