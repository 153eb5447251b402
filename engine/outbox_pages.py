"""The rows of a damaged outbox as its pages have them, where SQLite does not find its way to them: the beginning of the
file is damaged, its end is missing, or a page that leads to others.

A row that fits its sum is one of the outbox; it may be of a page that is free by now. Lanes never are, and of an event
it is no matter: no lane lacks it any more. Where not all lanes can be told, nothing can: one that is missing would
begin anew, and pass over what it has not got.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.outbox import SCHEMA
from engine.outbox_sums import Turned, is_event, row_sum, rows_of, turn_back
from engine.salvage import as_far_as_it_goes, copy_table
from engine.sqlite_file import not_whole, open_damaged, transaction
from engine.sqlite_pages import Leaf, Row, leaves_in

Kinds = tuple[type, ...]

NUMBER = NONE = type(None)  # the number of a row stands before it
COUNTS: Kinds = (int,) * 5
LANES: Sequence[Kinds] = tuple((NUMBER, str, str, str, until, *COUNTS) for until in (int, NONE))
EVENT: Kinds = (NUMBER, str, str, str, bytes, int, int)
TOLD: Kinds = (NUMBER, str, bytes)
LAST: Kinds = (int, int, int)
CONTENT_BYTES = (0, 16)
LACKED = (
    "SELECT 1 FROM lanes WHERE events.sequence > cursor AND events.sequence <= coalesce(until, events.sequence) "
    "AND instr(' ' || types || ' ', ' ' || type || ' ')"
)


@contextlib.contextmanager
def found_rows(path: Path) -> Iterator[sqlite3.Connection]:
    """A database with all of them that are of use; it is gone at the end. Raises sqlite3.DatabaseError where not all
    lanes can be told."""
    found = sqlite3.connect("", isolation_level=None)  # on disk, if it is long
    try:
        for statement in SCHEMA:
            found.execute(statement)
        found.execute("DELETE FROM last")
        with transaction(found):
            _fill(path, found)
        if not found.execute("SELECT 1 FROM lanes").fetchone():
            raise sqlite3.DatabaseError(f"{path}: which lanes it has cannot be told")
        wrong = [(at, right) for at, row, right in rows_of(found, "lanes") if right is not row and right is not None]
        turn_back(found, [Turned("lanes", at, right, "") for at, right in wrong])
        with transaction(found):
            found.execute(f"DELETE FROM events WHERE NOT EXISTS ({LACKED})")  # noqa: S608 - our own text
        yield found
    finally:
        found.close()


def _fill(path: Path, found: sqlite3.Connection) -> None:
    """What is right comes first: of what is damaged only that has a place which is left."""
    lanes: list[Leaf] = []
    with contextlib.suppress(OSError):
        for leaf in leaves_in(path, free=True):
            if any(_kinds(row) in LANES for _, row in leaf.rows):
                lanes.append(leaf)
            for number, row in leaf.rows:
                _insert_right(found, number, row)
    with as_far_as_it_goes(), open_damaged(path) as file:
        if not not_whole(file, "lanes"):
            copy_table(file, found, "lanes", "number")
        for table in ("told", "events"):
            copy_table(file, found, table, "sequence")
    if not found.execute("SELECT 1 FROM lanes").fetchone() and len(lanes) == 1 and lanes[0].whole:
        rows = [(number, *row[1:]) for number, row in lanes[0].rows if _kinds(row) in LANES]
        if len(rows) == len(lanes[0].rows):
            found.executemany(_insert("lanes", len(LANES[0])), rows)
    with contextlib.suppress(OSError):
        for leaf in leaves_in(path, free=True):
            rows = [(number, *row[1:]) for number, row in leaf.rows if _kinds(row) == EVENT]
            found.executemany(_insert("events", len(EVENT)), rows)


def _insert_right(found: sqlite3.Connection, number: int, row: Row) -> None:
    kinds = _kinds(row)
    if kinds == EVENT and is_event((number, *row[1:5]), row[-1]):
        found.execute(_insert("events", len(EVENT)), (number, *row[1:]))
    elif kinds == TOLD and isinstance(row[2], bytes) and len(row[2]) in CONTENT_BYTES:
        found.execute(_insert("told", len(TOLD)), (number, *row[1:]))
    elif kinds == LAST and row_sum(*row[:2]) == row[2]:
        found.execute("DELETE FROM last")
        found.execute(_insert("last", len(LAST)), row)


def _insert(table: str, columns: int) -> str:
    return f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * columns)})"  # noqa: S608 - our own text


def _kinds(row: Row) -> Kinds:
    return tuple(type(value) for value in row)
