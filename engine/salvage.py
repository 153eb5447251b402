"""A new database of what can be read of a damaged one: what every salvage of one has to do.

The new one is written beside it under the name `.new`; it comes in the place of the damaged one once that is put aside.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.disk import DISK
from engine.sqlite_file import BESIDE, passes, transaction
from engine.sqlite_pages import Row, rows_in
from engine.whole_file import NEW, put_aside


def in_place(path: Path) -> Iterator[str]:
    """What was salvaged, where the damaged one was put aside already: also by the next start, if a repair was cut short
    just then. An outbox made anew in that place would know nothing of the events that wait."""
    if path.exists():
        return
    for end in BESIDE[1:]:  # left by the one put aside: SQLite would read them into the new one
        beside = path.with_name(path.name + end)
        if beside.exists():
            put_aside(beside)
    new = path.with_name(path.name + NEW)
    if new.exists():
        DISK.rename(new, path)
        DISK.sync_folder(path.parent)
        yield f"{path}: made of what could be read of the damaged one"


def put_all_aside(path: Path) -> str:
    """The files of a database; returns their new names."""
    beside = (path.with_name(path.name + end) for end in BESIDE)
    return ", ".join(put_aside(each).name for each in beside if each.exists())


@contextlib.contextmanager
def begun(new: Path, open_: Callable[[Path], sqlite3.Connection]) -> Iterator[sqlite3.Connection]:
    """The new one, to be filled; whole and on disk at its end, gone after an error."""
    remove(new)
    target = open_(new)
    try:
        with transaction(target):
            yield target
        target.execute("PRAGMA journal_mode = DELETE")  # all of it in the one file
    except BaseException:
        target.close()
        remove(new)
        raise
    target.close()


def remove(new: Path) -> None:
    for end in BESIDE:
        new.with_name(new.name + end).unlink(missing_ok=True)


@contextlib.contextmanager
def as_far_as_it_goes() -> Iterator[None]:
    """An error that says that the file is damaged ends it."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if passes(error):
            raise


def copy_table(file: sqlite3.Connection, target: sqlite3.Connection, table: str, key: str) -> None:
    """From both ends, up to where it is damaged."""
    for order in ("ASC", "DESC"):
        with as_far_as_it_goes():
            for row in file.execute(f"SELECT * FROM {table} ORDER BY {key} {order}"):  # noqa: S608 - our own text
                marks = ", ".join("?" * len(row))
                target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608


def copy_rows(path: Path, target: sqlite3.Connection, table_of: Callable[[int, Row], tuple[str, Row] | None]) -> None:
    """What stands in the pages of the file, wherever SQLite cannot find its way to them. table_of: a row's number and
    its columns -> its table, and all that it has there; None: it is of none, or not to be trusted."""
    with contextlib.suppress(OSError):
        for number, columns in rows_in(path):
            found = table_of(number, columns)
            if found is not None:
                table, row = found
                marks = ", ".join("?" * len(row))
                target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608 - our own text
