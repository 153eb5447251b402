"""What of damaged dead letters can be read still goes into a new file: for `sortline fsck --repair`, and for a start.

Nobody else has them, so whatever can be read is worth having: each table from both ends, up to where it is damaged. An
event that the disk has changed is known by its digest (see dead_letters) when somebody wants it to be sent again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from engine.dead_letters import MEND, SCHEMA, VERSION
from engine.outbox_salvage import remove
from engine.sqlite_file import open_file, open_to_read, passes, transaction
from engine.whole_file import NEW

TABLES = {"letters": "number", "counts": "name", "audit": "number"}


def salvage(path: Path) -> Path | None:
    """A new file beside `path`, whole and on disk, to be put in its place; None: another version has written it. Raises
    sqlite3.OperationalError where there is no room for it."""
    new = path.with_name(path.name + NEW)
    remove(new)
    target = open_file(new, SCHEMA, VERSION, MEND)
    try:
        with _as_far_as_it_goes(), open_to_read(path) as file:
            if file.execute("PRAGMA user_version").fetchone()[0] > VERSION:
                remove(new)
                return None
            with transaction(target):
                for table, key in TABLES.items():
                    _copy(file, target, table, key)
        target.execute("PRAGMA journal_mode = DELETE")  # all of it in the one file
    except BaseException:
        target.close()
        remove(new)
        raise
    target.close()
    return new


@contextlib.contextmanager
def _as_far_as_it_goes() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if passes(error):
            raise


def _copy(file: sqlite3.Connection, target: sqlite3.Connection, table: str, key: str) -> None:
    for order in ("ASC", "DESC"):
        with _as_far_as_it_goes():
            for row in file.execute(f"SELECT * FROM {table} ORDER BY {key} {order}"):  # noqa: S608 - our own text
                marks = ", ".join("?" * len(row))
                target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608
