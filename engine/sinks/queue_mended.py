"""An embedded queue that the disk has damaged: put aside as `.bad`, a new one of what can be read in its place, before
the first event of a start goes into it. Its readers go on where they stand; what could not be read is refused to them
with its position, as any entry that is damaged (see queue).
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from engine import sqlite_log
from engine.errors import Newer, Refused
from engine.outbox_sums import row_sum
from engine.salvage import as_far_as_it_goes, begun, copy_rows, copy_table, in_place, put_all_aside
from engine.sinks.queue import FUNCTIONS, MEND, SCHEMA, VERSION, Queue, Settings, entry_sum, right_row
from engine.sqlite_file import not_whole, only_to_read, open_damaged, open_file, open_to_read, tells_damage, version_of
from engine.sqlite_pages import Row
from engine.whole_file import NEW

TABLES = {"entries": "rowid", "queues": "queue", "consumers": "queue"}

ROWS: dict[tuple[type, ...], tuple[str, Callable[..., int]]] = {
    (str, int, str, str, str, bytes, int): ("entries", entry_sum),
    (str, int, int, int): ("queues", row_sum),
    (str, str, int, int): ("consumers", row_sum),
}

log = logging.getLogger("sortline.queue")


def opened_queue(path: Path, settings: Settings) -> Queue:
    """The queue, put in order if it has to be. Raises as `Queue` does, and OSError where there is no room for that."""
    for said in (*sqlite_log.put_in_order(path), *in_place(path)):
        log.warning("%s", said)
    what = (only_to_read(path) or _flaw(path)) if path.is_file() else ""
    if what and not sqlite_log.in_use(path):  # who has it open would go on with the one put aside
        for said in (_put_aside(path, what), *in_place(path)):
            log.error("%s", said)
    try:
        return Queue(path, settings)
    except Newer:
        raise
    except Refused as error:
        if sqlite_log.in_use(path):
            raise
        what = str(error).removeprefix(f"{path}: ").partition(". ")[0]
    for said in (_put_aside(path, what), *in_place(path)):
        log.error("%s", said)
    return Queue(path, settings)


def _flaw(path: Path) -> str:
    """What cannot be worked with; empty: nothing, or it cannot be asked now. Of entries their readers will hear."""
    try:
        with open_to_read(path) as file:
            version = version_of(file)
            found = not_whole(file)
            if not found and version == VERSION:
                rows = file.execute("SELECT queue, last, behind, sum FROM queues").fetchall()
                found = next(
                    (f"up to where {row[0]} goes" for *row, sum_ in rows if not _names_its_queue(row, sum_)), ""
                )
    except sqlite3.DatabaseError as error:
        return f"is damaged, or no SQLite file ({error})" if tells_damage(error) else ""
    return f"is damaged: {found}" if found else ""


def _names_its_queue(row: Row, sum_: int) -> bool:
    """A flipped bit of a number is turned back where it is read; of the name, nobody would find the row."""
    right = right_row(row, sum_)
    return right is not None and right[0] == row[0]


def _put_aside(path: Path, what: str) -> str:
    _salvage(path)
    return f"{path}: {what}: renamed to {put_all_aside(path)}"


def _salvage(path: Path) -> None:
    """A new file beside `path`, whole and on disk, to be put in its place."""
    with begun(path.with_name(path.name + NEW), _new) as target:
        copy_rows(path, target, _table_of)  # those that are right; what is damaged only has the places that are left
        sure = dict(target.execute("SELECT queue, max(position) FROM entries GROUP BY queue").fetchall())
        with as_far_as_it_goes(), open_damaged(path) as file:
            for table, key in TABLES.items():
                copy_table(file, target, table, key)
        for table in ("entries", "consumers"):
            no_place = "typeof(queue) != 'text' OR typeof(position) != 'integer'"
            target.execute(f"DELETE FROM {table} WHERE {no_place}")  # noqa: S608 - our own text
        _put_places_right(target, sure)


def _table_of(_: int, row: Row) -> tuple[str, Row] | None:
    """Where a row belongs that is as it was written."""
    *columns, sum_ = row or (None,)
    kinds = tuple(type(value) for value in row)
    table, sum_of = ROWS.get(kinds, ("", row_sum))
    return (table, row) if table and sum_of(*columns) == sum_ else None


def _new(path: Path) -> sqlite3.Connection:
    return open_file(path, SCHEMA, VERSION, MEND, functions=FUNCTIONS)


def _put_places_right(target: sqlite3.Connection, sure: Mapping[str, int]) -> None:
    """A position never comes again: a queue goes on behind all of which something is known. sure: where the last entry
    stands that is right; a damaged one may say anything."""
    known = "SELECT queue FROM entries UNION SELECT queue FROM queues UNION SELECT queue FROM consumers"
    ends = (
        "SELECT coalesce(max(position), 0), coalesce(min(position), 1) - 1, "
        "(SELECT coalesce(max(position), 0) FROM consumers WHERE consumers.queue = entries.queue "
        "AND sum = row_sum(queue, name, position)) FROM entries WHERE queue = ?"
    )
    for (queue,) in target.execute(known).fetchall():
        last, behind, acknowledged = target.execute(ends, (queue,)).fetchone()
        query = "SELECT queue, last, behind, sum FROM queues WHERE queue = ?"
        *row, sum_ = target.execute(query, (queue,)).fetchone() or (queue, 0, 0, 0)
        right = right_row(row, sum_)
        if right is not None and right[0] != queue:
            target.execute("DELETE FROM queues WHERE queue = ?", (queue,))
            target.execute("INSERT OR REPLACE INTO queues VALUES (?, ?, ?, ?)", (*right, row_sum(*right)))
            continue
        if right is not None:
            last, behind = right[1], right[2]
        if right is not None or queue in sure:
            last = max(last if right is not None else 0, sure.get(queue, 0))
        last = max(last, acknowledged or 0)
        place = (queue, last, max(0, min(behind, last)))
        target.execute(
            "DELETE FROM entries WHERE queue = ? AND NOT position BETWEEN ? AND ?", (queue, place[2] + 1, last)
        )
        target.execute("INSERT OR REPLACE INTO queues VALUES (?, ?, ?, ?)", (*place, row_sum(*place)))
