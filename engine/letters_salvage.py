"""What of damaged dead letters can be read still goes into a new file: for `sortline fsck --repair`, and for a start.

Nobody else has them, so whatever can be read is worth having: each table from both ends, up to where it is damaged. An
event that the disk has changed is known by its digest (see dead_letters) when somebody wants it to be sent again.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.dead_letters import MEND, SCHEMA, VERSION
from engine.salvage import as_far_as_it_goes, begun, copy_table, remove
from engine.sqlite_file import open_file, open_to_read
from engine.whole_file import NEW

TABLES = {"letters": "number", "counts": "name", "audit": "number"}


def salvage(path: Path) -> Path | None:
    """A new file beside `path`, whole and on disk, to be put in its place; None: another version has written it. Raises
    sqlite3.OperationalError where there is no room for it."""
    new = path.with_name(path.name + NEW)
    is_newer = False
    with begun(new, _new) as target, as_far_as_it_goes(), open_to_read(path) as file:
        is_newer = file.execute("PRAGMA user_version").fetchone()[0] > VERSION
        for table, key in TABLES.items() if not is_newer else ():
            copy_table(file, target, table, key)
    if is_newer:
        remove(new)
        return None
    return new


def _new(path: Path) -> sqlite3.Connection:
    return open_file(path, SCHEMA, VERSION, MEND)
