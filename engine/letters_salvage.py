"""What of damaged dead letters can be read still goes into a new file: for `sortline fsck --repair`, and for a start.

Nobody else has them, so whatever can be read is worth having: each table from both ends, up to where it is damaged. An
event that the disk has changed is known by its digest (see dead_letters) when somebody wants it to be sent again.
"""

from __future__ import annotations

from pathlib import Path

from engine.dead_letters import MEND, SCHEMA, VERSION
from engine.salvage import as_far_as_it_goes, copy_table, remove
from engine.sqlite_file import open_file, open_to_read, transaction
from engine.whole_file import NEW

TABLES = {"letters": "number", "counts": "name", "audit": "number"}


def salvage(path: Path) -> Path | None:
    """A new file beside `path`, whole and on disk, to be put in its place; None: another version has written it. Raises
    sqlite3.OperationalError where there is no room for it."""
    new = path.with_name(path.name + NEW)
    remove(new)
    target = open_file(new, SCHEMA, VERSION, MEND)
    try:
        with as_far_as_it_goes(), open_to_read(path) as file:
            if file.execute("PRAGMA user_version").fetchone()[0] > VERSION:
                remove(new)
                return None
            with transaction(target):
                for table, key in TABLES.items():
                    copy_table(file, target, table, key)
        target.execute("PRAGMA journal_mode = DELETE")  # all of it in the one file
    except BaseException:
        target.close()
        remove(new)
        raise
    target.close()
    return new
