"""What tells a damaged outbox. SQLite finds pages that do not hang together, but a bit that flips inside a row is to it
only another value: an event would leave with other content, or a lane begin at another place. So each row has a sum,
which also tells which bit it was, if it was one: that is turned back.

Rows may each be as they were written, and not be of one moment: a start puts what it can read of the write-ahead log
over a file that may hold commits which stood behind the damage there. So they are held against each other, too.

`told` has none: content stands for the id, too, so what is told again is known by one of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

from engine.logs import escaped
from engine.sqlite_file import not_whole, transaction, version_of
from ext import frames

FIRST_VERSION = 3  # that has sums
ROW_BYTES_MAX = 16 * 1024  # of more, all bits are not tried
UNCOUNTED = -1  # of a lane's events: they have to be counted before it goes on
LANE = "number, sink, queue, types, until, cursor, events, delivered, dead"


def event_sum(sequence: int, id_: str, type_: str, partitionkey: str, body: bytes) -> int:
    """Of a row of `events`."""
    return frames.crc32c(b"%d\0%b\0%b\0%b\0%b" % (sequence, id_.encode(), type_.encode(), partitionkey.encode(), body))


def row_sum(*row: object) -> int:
    """Of a row of `lanes` or `last`, in the order of its columns."""
    return frames.crc32c(repr(row).encode())


def is_event(event: Sequence[Any], sum_: object) -> bool:
    """Whether a row of `events` is what was written."""
    return _fits(event_sum, event, sum_)


class Table(NamedTuple):
    """columns: what the sum covers; texts: which of them are texts. what: of a row, for a message."""

    columns: Sequence[str]
    texts: frozenset[int]
    sum_of: Callable[..., int]
    what: str


EVENT = ("sequence", "id", "type", "partitionkey", "body")
TABLES = {
    "last": Table(("sequence", "rows"), frozenset(), row_sum, "the number of the last event"),
    "lanes": Table(LANE.split(", "), frozenset({1, 2, 3}), row_sum, "where sink {1} stands in queue {2}"),
    "events": Table(EVENT, frozenset({1, 2, 3}), event_sum, "event {1} (sequence {0}, {2} of {3})"),
}


class Turned(NamedTuple):
    """A row whose bit was turned back, to what was written. what: it is, for a message."""

    table: str
    rowid: int
    row: Sequence[Any]
    what: str


class Damage(NamedTuple):
    """flaw: the first that is more than a flipped bit of a row; empty: there is none. turned: rows with only that,
    which have to be turned back before the rest can be judged."""

    flaw: str
    turned: Sequence[Turned] = ()


def damage(file: sqlite3.Connection) -> Damage:
    """What is damaged in an outbox. Raises what SQLite does."""
    found = not_whole(file)
    file.execute("SELECT sequence FROM last")  # another program's file has none
    if found or version_of(file) < FIRST_VERSION:
        return Damage(found)
    turned: list[Turned] = []
    counts: dict[str, int] = {}
    last: Sequence[Any] = ()
    for name in TABLES:
        counts[name] = 0
        for rowid, row, right in rows_of(file, name):
            counts[name] += 1
            if right is None:
                return Damage(changed(name, row))
            if right is not row:
                turned.append(Turned(name, rowid, right, named(name, right)))
            last = right if name == "last" else last
    if counts["last"] != 1:
        return Damage("which event was the last one cannot be read")
    if counts["events"] != last[1]:
        return Damage(f"it has {counts['events']} events, and should have {last[1]}")
    return Damage("", turned) if turned else Damage(not_of_one_moment(file))


def not_of_one_moment(file: sqlite3.Connection) -> str:
    """Where the tables contradict each other; empty: nowhere."""
    (last,) = file.execute("SELECT sequence FROM last").fetchone()
    for table in ("events", "told"):
        (newest,) = file.execute(f"SELECT max(sequence) FROM {table}").fetchone()  # noqa: S608 - our own text
        if newest is not None and newest > last:
            return f"its last event is {last}, and {table} goes up to {newest}"
    for _, sink, queue, types, until, cursor, events, delivered, dead in file.execute(f"SELECT {LANE} FROM lanes"):  # noqa: S608
        left = count_left(file, types.split(), cursor, last if until is None else until)
        if events not in (UNCOUNTED, delivered + dead + left):
            pending = events - delivered - dead
            return f"sink {escaped(sink)} has not got {pending} events of queue {escaped(queue)}, and {left} are there"
    return ""


def count_left(file: sqlite3.Connection, types: Sequence[str], after: int, until: int) -> int:
    """How many events of these types are there, after one sequence and up to another."""
    marks = ", ".join("?" * len(types))
    query = f"SELECT count(*) FROM events WHERE sequence > ? AND sequence <= ? AND type IN ({marks})"  # noqa: S608
    (count,) = file.execute(query, (after, until, *types)).fetchone()
    return int(count)


def named(table: str, row: Sequence[Any]) -> str:
    """A row by what can be looked up elsewhere; of one that is damaged any part may be another one."""
    return escaped(TABLES[table].what.format(*row))


def changed(table: str, row: Sequence[Any]) -> str:
    """What to say of a row that does not fit its sum."""
    return f"{named(table, row)} has other content than what was written"


def rows_of(
    file: sqlite3.Connection, name: str, order: Literal["ASC", "DESC"] = "ASC"
) -> Iterator[tuple[int, Sequence[Any], Sequence[Any] | None]]:
    """rowid, the row as it is, and as it was written; None: that cannot be told."""
    table = TABLES[name]
    query = f"SELECT rowid, {', '.join(table.columns)}, sum FROM {name} ORDER BY rowid {order}"  # noqa: S608 - our own
    for rowid, *row, sum_ in file.execute(query):
        yield rowid, row, row if _fits(table.sum_of, row, sum_) else _turned_back(file, name, rowid)


def turn_back(file: sqlite3.Connection, rows: Sequence[Turned]) -> None:
    """Write those rows as they were."""
    with transaction(file):
        for name, rowid, row, _ in rows:
            settings = ", ".join(f"{column} = ?" for column in (*TABLES[name].columns, "sum"))
            values = (*row, TABLES[name].sum_of(*row), rowid)
            file.execute(f"UPDATE {name} SET {settings} WHERE rowid = ?", values)  # noqa: S608 - our own text


def _fits(sum_of: Callable[..., int], row: Sequence[Any], sum_: object) -> bool:
    try:
        return sum_of(*row) == sum_
    except (AttributeError, TypeError):
        return False  # damage has made other types of its columns


def _turned_back(file: sqlite3.Connection, name: str, rowid: int) -> Sequence[Any] | None:
    """The row as it was written, if one bit of it was flipped; None: more was."""
    table = TABLES[name]
    as_bytes = [f"CAST({each} AS BLOB)" if at in table.texts else each for at, each in enumerate(table.columns)]
    query = f"SELECT {', '.join(as_bytes)}, sum FROM {name} WHERE rowid = ?"  # noqa: S608 - our own text
    *row, sum_ = file.execute(query, (rowid,)).fetchone() or (None,)  # where pages do not hang together
    return one_bit_back(row, sum_, table.sum_of, table.texts)


def one_bit_back(
    row: Sequence[Any], sum_: object, sum_of: Callable[..., int], texts: Container[int]
) -> Sequence[Any] | None:
    """The row with the one bit turned over that makes it fit its sum; None: there is no such bit. texts: which columns
    are, and come as their bytes."""
    if not isinstance(sum_, int) or sum(len(each) for each in row if isinstance(each, bytes)) > ROW_BYTES_MAX:
        return None
    tries: Iterator[Sequence[Any]] = (
        (*row[:at], each, *row[at + 1 :]) for at, value in enumerate(row) for each in _one_bit_off(value)
    )
    for one in chain([row], tries):
        try:
            values = [value.decode() if at in texts else value for at, value in enumerate(one)]
            off = sum_of(*values) ^ sum_
        except (AttributeError, TypeError, UnicodeDecodeError):
            continue
        if off == 0 or (one is row and off.bit_count() == 1):  # or the sum itself was hit
            return values
    return None


def _one_bit_off(value: object) -> Iterator[object]:
    if isinstance(value, int):
        yield from (value ^ 1 << bit for bit in range(63))
    elif isinstance(value, bytes):
        for bit in range(8 * len(value)):
            turned = bytearray(value)
            turned[bit // 8] ^= 1 << bit % 8
            yield bytes(turned)
