"""What of a damaged outbox is whole still: for `sortline fsck --repair`, and for a start.

SQLite gives a file up for one bit in what holds its pages together, and most pages hold `told`, which is there to
notice what should never happen. The rest decides what leaves, and has sums: where all of it can be read and fits, it
goes into a new file, with what can be read of `told`. So no event that waits is lost, and none is told twice.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.disk import DISK
from engine.errors import Refused
from engine.outbox import FUNCTIONS, SCHEMA, VERSION, mend
from engine.outbox_sums import TABLES, rows_of
from engine.sqlite_file import BESIDE, open_file, open_to_read, transaction
from engine.whole_file import NEW, put_aside


class _Lost(Exception):
    """Not all of it is there."""


def salvage(path: Path) -> Path | None:
    """A new file beside `path`, whole and on disk, to be put in its place; None: too much is damaged."""
    new = path.with_name(path.name + NEW)
    remove(new)
    try:
        with open_to_read(path) as file:
            if file.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                raise _Lost
            _copy(file, new)
    except (sqlite3.DatabaseError, Refused, _Lost):
        remove(new)
        return None
    return new


def in_place(path: Path) -> Iterator[str]:
    """What was salvaged, where the damaged one was put aside already: also by the next start, if a repair was cut short
    just then. An outbox made anew in that place would know nothing of the events that wait."""
    new = path.with_name(path.name + NEW)
    if new.exists() and not path.exists():
        for end in BESIDE[1:]:  # left by the one put aside: SQLite would read them into the new one
            beside = path.with_name(path.name + end)
            if beside.exists():
                put_aside(beside)
        DISK.rename(new, path)
        DISK.sync_folder(path.parent)
        yield f"{path}: made of what could be read of the damaged one"


def remove(new: Path) -> None:
    for end in BESIDE:
        new.with_name(new.name + end).unlink(missing_ok=True)


def _copy(file: sqlite3.Connection, new: Path) -> None:
    target = open_file(new, SCHEMA, VERSION, mend(new), functions=FUNCTIONS)
    try:
        with transaction(target):
            target.execute("DELETE FROM last")
            counts = {name: _copy_rows(file, target, name) for name in TABLES}
            last = target.execute("SELECT rows FROM last").fetchall()
            if last != [(counts["events"],)]:
                raise _Lost
            _copy_told(file, target)
        target.execute("PRAGMA journal_mode = DELETE")  # all of it in the one file
    finally:
        target.close()


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


def _copy_told(file: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """From both ends, up to where it is damaged."""
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.DatabaseError):
            for row in file.execute(f"SELECT sequence, id, content FROM told ORDER BY sequence {order}"):  # noqa: S608
                if _is_told(row):
                    target.execute("INSERT OR IGNORE INTO told VALUES (?, ?, ?)", row)


def _is_told(row: Sequence[Any]) -> bool:
    return isinstance(row[0], int) and isinstance(row[1], str) and isinstance(row[2], bytes)
