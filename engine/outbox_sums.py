"""What tells a damaged outbox. SQLite finds pages that do not hang together, but a bit that flips inside a row is to it
only another value: an event would leave with other content, or a lane begin at another place. So each row has a sum.

`told` has none: content stands for the id, too, so what is told again is known by one of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from engine.sqlite_file import not_whole
from ext import frames

FIRST_VERSION = 3  # that has sums
LANE = "number, sink, queue, types, until, cursor, events, delivered, dead"


def event_sum(sequence: int, id_: str, type_: str, partitionkey: str, body: bytes) -> int:
    """Of a row of `events`."""
    return frames.crc32c(b"%d\0%b\0%b\0%b\0%b" % (sequence, id_.encode(), type_.encode(), partitionkey.encode(), body))


def row_sum(*row: object) -> int:
    """Of a row of `lanes` or `last`, in the order of its columns."""
    return frames.crc32c(repr(row).encode())


def is_event(event: Sequence[Any], sum_: object) -> bool:
    """Whether a row of `events` is what was written."""
    try:
        return event_sum(*event) == sum_
    except (AttributeError, TypeError):
        return False  # damage has made other types of its columns


def flaw(file: sqlite3.Connection) -> str:
    """What is damaged in an outbox; empty: nothing. Raises what SQLite does."""
    found = not_whole(file)
    file.execute("SELECT sequence FROM last")  # another program's file has none
    if found or file.execute("PRAGMA user_version").fetchone()[0] < FIRST_VERSION:
        return found
    rows = file.execute("SELECT sequence, rows, sum FROM last").fetchall()
    if len(rows) != 1 or rows[0][2] != row_sum(*rows[0][:2]):
        return "which event was the last one cannot be read"
    for *lane, sum_ in file.execute(f"SELECT {LANE}, sum FROM lanes"):  # noqa: S608 - our own text
        if sum_ != row_sum(*lane):
            return f"lane {lane[0]} has other content than what was written"
    count = 0
    for *event, sum_ in file.execute("SELECT sequence, id, type, partitionkey, body, sum FROM events"):
        count += 1
        if not is_event(event, sum_):
            return f"event {event[0]} has other content than what was written"
    return "" if count == rows[0][1] else f"it has {count} events, and should have {rows[0][1]}"
