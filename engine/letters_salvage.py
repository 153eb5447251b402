"""What of damaged dead letters can be read still goes into a new file: for `sortline fsck --repair`, and for a start.

Nobody else has them, so whatever can be read is worth having: each table from both ends, up to where it is damaged, and
what stands in the pages behind that. An
event that the disk has changed is known by its digest (see dead_letters) when somebody wants it to be sent again.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.letter import EVENT, LINE, MEND, PAYLOAD, SCHEMA, UPGRADES, VERSION
from engine.salvage import as_far_as_it_goes, begun, copy_rows, copy_table, remove
from engine.sqlite_file import is_newer, open_damaged, open_file
from engine.sqlite_pages import Row
from engine.whole_file import NEW

KINDS_OF_LETTERS = (EVENT, PAYLOAD, LINE)
LETTER_COLUMNS = 23
TABLES = {"letters": "number", "counts": "name", "audit": "number"}


def salvage(path: Path) -> Path | None:
    """A new file beside `path`, whole and on disk, to be put in its place; None: another version has written it. Raises
    sqlite3.OperationalError where there is no room for it."""
    new = path.with_name(path.name + NEW)
    of_another = False
    with begun(new, _new) as target:
        with as_far_as_it_goes(), open_damaged(path) as file:
            of_another = is_newer(file, VERSION)
            for table, key in TABLES.items() if not of_another else ():
                copy_table(file, target, table, key)
        if not of_another:
            copy_rows(path, target, _table_of)
    if of_another:
        remove(new)
        return None
    return new


def _new(path: Path) -> sqlite3.Connection:
    return open_file(path, SCHEMA, VERSION, MEND, UPGRADES)


def _table_of(number: int, row: Row) -> tuple[str, Row] | None:
    """Where a row belongs. A letter that is damaged is worth having: what of it is right is asked later."""
    kinds = [type(value) for value in row]
    if len(row) == LETTER_COLUMNS and row[0] is None and row[1] in KINDS_OF_LETTERS:
        return "letters", (number, *row[1:])
    if kinds == [type(None), int, str, str, int, str]:
        return "audit", (number, *row[1:])
    return ("counts", row) if kinds == [str, int] and not number else None  # has no numbers
