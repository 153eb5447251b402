"""One dead letter, and the tables in which letters stand: see dead_letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_type_hints

from engine.contracts import OutRow

VERSION = 2
# what is asked between two letters that are sent must not read all of a hundred thousand
INDEXES = (
    "CREATE INDEX letters_by_state ON letters (kind, source, queue, state, sequence)",
    "CREATE INDEX letters_by_key ON letters (kind, source, queue, partitionkey, sequence, state)",
    "CREATE INDEX letters_by_size ON letters (kind, size)",
)
SCHEMA = (
    "CREATE TABLE letters (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, state TEXT NOT NULL, "
    "source TEXT NOT NULL, queue TEXT NOT NULL, sequence INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, "
    "partitionkey TEXT NOT NULL, raw BLOB NOT NULL, digest BLOB NOT NULL, class TEXT NOT NULL, code TEXT NOT NULL, "
    "reason TEXT NOT NULL, attempts INTEGER NOT NULL, first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, "
    "decoder TEXT NOT NULL, config TEXT NOT NULL, position INTEGER NOT NULL, again INTEGER NOT NULL, "
    "rate REAL NOT NULL, size INTEGER NOT NULL)",
    "CREATE UNIQUE INDEX letters_once ON letters (kind, source, queue, sequence, digest)",
    *INDEXES,
    "CREATE TABLE counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE audit (number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, "
    "letter INTEGER NOT NULL, id TEXT NOT NULL)",
)
UPGRADES = {1: INDEXES}
MEND = "Move it away: the engine makes a new one; what was in it stays in the file that you moved"

EVENT = "event"
PAYLOAD: Literal["payload"] = "payload"
LINE: Literal["line"] = "line"
DEAD, WANTED, SENDING = "dead", "wanted", "sending"
DISCARDED = "discarded"  # nothing but its place is left, until the lane's cursor is known to be past it
COLUMNS = (
    "number, kind, state, source, queue, sequence, id, type, partitionkey, raw, class, code, reason, attempts, "
    "first_us, last_us, decoder, config, position, again, rate"
)


class Letter(NamedTuple):
    """One dead letter.

    kind: `event` (a sink will not take it; `source` is the sink), `payload` (a source's bytes that did not fit its
      mapping; `queue` is the topic that they came by, if they came by one) or `line` (a canonical record that was
      refused). state: `dead`, `wanted` (it shall be sent again) or `sending` (it is on its way). class_, code, reason:
      as `engine.error_classes` has them. attempts: how often it was tried, or came. decoder, config: the program's
      version and the site file's digest when it was buried.
    position, again: its place in the sink while it is on its way. rate: letters a second, as it was asked for.
    """

    number: int
    kind: str
    state: str
    source: str
    queue: str
    sequence: int
    id: str
    type: str
    partitionkey: str
    raw: bytes
    class_: str
    code: str
    reason: str
    attempts: int
    first_us: int
    last_us: int
    decoder: str
    config: str
    position: int
    again: int
    rate: float

    def row(self) -> OutRow:
        """As the sink gets it."""
        return OutRow(self.position, self.id, self.type, self.queue, self.partitionkey, self.raw, self.again)


KINDS = tuple(get_type_hints(Letter).values())


def letter_of(row: Sequence[object]) -> Letter:
    """What the disk has made something else of is empty; `whole` knows which of it can be told again."""
    return Letter(*(value if isinstance(value, kind) else kind() for value, kind in zip(row, KINDS, strict=True)))


class Cause(NamedTuple):
    """Why: the error's class, its code, its text, and how often it was tried."""

    class_: str
    code: str
    reason: str
    attempts: int = 1


class Refusal(NamedTuple):
    """What came in and cannot be used. `place`: where in its source it came from, as a payload does not say that."""

    kind: Literal["payload", "line"]
    source: str
    cause: str
    raw: bytes
    place: str = ""
