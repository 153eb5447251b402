"""Dead letters: what will not go on by itself, kept with everything that a person needs to decide. One SQLite file.

    letters     events that a sink will never take, and payloads and lines that were refused on the way in
    counts      by name: what happened to the letters that are gone
    audit       who did what to which letter, the last AUDIT_MAX of them

Two processes work on the file: the engine buries and sends again, `sortline dlq` looks, asks for a letter to be sent
again (`wanted`), or discards it. Each step is one commit.

A letter of an event stands here before its lane's cursor moves over it. If the engine dies in between, the event is
tried once more, so the next start forgets letters beyond the cursor.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec

from engine.clock import Clock
from engine.contracts import OutRow
from engine.errors import Full
from engine.letter import (
    COLUMNS,
    DEAD,
    DISCARDED,
    EVENT,
    LINE,
    MEND,
    SCHEMA,
    SENDING,
    UPGRADES,
    VERSION,
    WANTED,
    Cause,
    Letter,
    Refusal,
    letter_of,
)
from engine.outbox_sums import one_bit_back
from engine.sqlite_file import ShortLog, open_file, open_to_look, transaction

REFUSALS_PART = 2  # refused payloads take at most half of the room: a noisy machine leaves some for events
LETTER_BYTES = 512  # a letter without its raw bytes, about
AUDIT_MAX = 100_000
AT_ONCE = 100  # letters that a person's command changes in one commit
BETWEEN_S = 0.002  # and what it leaves to the engine between two
REASON_CHARS_MAX = 500
LAST_SEQUENCE = 2**63 - 1
BEHIND = Cause("held", "behind", "an earlier event of its partition key is a dead letter")
MIB = 1024 * 1024


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[dead_letters]` of the site file.

    bytes_max: how much the letters may take on the disk. At it, a sink with one more event to bury is held, and a
      refused payload is only counted, until a person has sent again or discarded some.
    """

    bytes_max: Annotated[int, msgspec.Meta(ge=MIB, le=2**40)] = 256 * MIB


class DeadLetters:
    """The file, for the engine or the command. Thread-safe; every call may wait for the disk.

    decoder, config: what new letters say of the program and the site file. only_looks: nothing can be changed through
    it. Raises Refused for a file that is damaged.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        bytes_max: int = Settings().bytes_max,
        decoder: str = "",
        config: str = "",
        only_looks: bool = False,
    ) -> None:
        self.path = path
        self._clock = clock
        self._bytes_max = bytes_max
        self._made_by = (decoder, config)
        self._calls = threading.Lock()
        self._sizes: dict[bool, int] = {}  # bytes of events, and of everything else; empty: to be counted
        self._counted_at = 0  # the file's `changes`, when they were
        self._file = (
            open_to_look(path, VERSION, MEND) if only_looks else open_file(path, SCHEMA, VERSION, MEND, UPGRADES)
        )
        self._log = ShortLog(self._file, path, 0)  # what is buried is nowhere else

    def close(self) -> None:
        with self._calls:
            self._file.close()

    # the engine's side

    def bury(self, sink: str, rows: Sequence[OutRow], cause: Cause) -> None:
        """Durable, all or none; one that is here already counts one more attempt. Raises Full: there is no room."""
        now = self._clock()
        with self._step():
            self._require_room(sum(len(row.body) + LETTER_BYTES for row in rows))
            for row in rows:
                place = (EVENT, DEAD, sink, row.queue, row.position, row.id, row.type, row.partitionkey)
                self._insert(place, row.body, _digest_of(row.id, row.type, row.partitionkey, row.body), cause, now)

    def bury_behind(self, sink: str, rows: Sequence[OutRow]) -> list[OutRow]:
        """Those of `rows` whose partition key has a letter, as `bury`; the others' keys are free by now. Each follows
        the last one of its key: where that shall be sent again, it shall, too, or a key that goes on would never be
        free. Raises Full: there is no room."""
        now = self._clock()
        with self._step():
            ahead = {place: self._last_of(sink, *place) for place in {(row.queue, row.partitionkey) for row in rows}}
            behind = [(row, last) for row in rows if (last := ahead[row.queue, row.partitionkey])]
            self._require_room(sum(len(row.body) + LETTER_BYTES for row, _ in behind))
            for row, (state, rate) in behind:
                follows = DEAD if state == DEAD else WANTED
                place = (EVENT, follows, sink, row.queue, row.position, row.id, row.type, row.partitionkey)
                digest = _digest_of(row.id, row.type, row.partitionkey, row.body)
                number = self._insert(place, row.body, digest, BEHIND, now, rate)
                if number and follows == WANTED:
                    self._note("engine", "replay", number, row.id)
        return [row for row, _ in behind]

    def forget(self, sink: str, queue: str, after: int, until: int | None) -> int:
        """At a start: letters of events that a lane has not passed are tried again, discarded ones too. Returns how
        many. What was discarded behind the cursor is only a count from now on."""
        place = "kind = ? AND source = ? AND queue = ?"
        lane = (EVENT, sink, queue)
        with self._step():
            beyond = f"DELETE FROM letters WHERE {place} AND sequence > ? AND sequence <= ?"  # noqa: S608
            forgotten = self._file.execute(beyond, (*lane, after, LAST_SEQUENCE if until is None else until)).rowcount
            passed = f"DELETE FROM letters WHERE {place} AND sequence <= ? AND state = ?"  # noqa: S608
            gone = self._file.execute(passed, (*lane, after, DISCARDED)).rowcount
            self._count(f"discarded/{sink}/{queue}", gone)
            self._sizes = {}
        return forgotten

    def keys(self, sink: str, queue: str) -> set[str]:
        """The partition keys that have a letter."""
        which = "kind = ? AND source = ? AND queue = ? AND state != ?"
        query = f"SELECT DISTINCT partitionkey FROM letters WHERE {which}"  # noqa: S608
        with self._calls:
            return {key for (key,) in self._file.execute(query, (EVENT, sink, queue, DISCARDED))}

    def has_key(self, sink: str, queue: str, partitionkey: str) -> bool:
        """Whether it has a letter."""
        which = "kind = ? AND source = ? AND queue = ? AND partitionkey = ? AND state != ?"
        query = f"SELECT 1 FROM letters WHERE {which} LIMIT 1"  # noqa: S608
        with self._calls:
            return bool(self._file.execute(query, (EVENT, sink, queue, partitionkey, DISCARDED)).fetchone())

    def places(self, sink: str) -> set[tuple[str, int]]:
        """(queue, sequence) of every event that is one, or was discarded."""
        query = "SELECT queue, sequence FROM letters WHERE kind = ? AND source = ?"
        with self._calls:
            return set(self._file.execute(query, (EVENT, sink)).fetchall())

    def next_wanted(self, sink: str, queue: str, *, in_order: bool) -> Letter | None:
        """The letter that the lane has to send before anything else: one that is on its way, or the first wanted one.

        in_order: none before an older letter of the same key.
        """
        older = (
            "NOT EXISTS (SELECT 1 FROM letters AS older WHERE older.kind = letters.kind AND older.source = "
            "letters.source AND older.queue = letters.queue AND older.partitionkey = letters.partitionkey AND "
            "older.sequence < letters.sequence AND older.state != 'discarded')"
        )
        which = f"kind = ? AND source = ? AND queue = ? AND state = ?{f' AND {older}' if in_order else ''}"
        query = f"SELECT {COLUMNS} FROM letters WHERE {which} ORDER BY sequence LIMIT 1"  # noqa: S608
        with self._calls:
            for state in (SENDING, WANTED):
                found = self._file.execute(query, (EVENT, sink, queue, state)).fetchone()
                if found:
                    return letter_of(found)
        return None

    def begin(self, letter: Letter, position: int) -> Letter | None:
        """The letter is about to be sent behind `position`: its place is written down before. From now on nobody can
        discard it; None: somebody has, since it was found."""
        name = f"again/{letter.source}/{letter.queue}/{position}"
        with self._step():
            if not self._is_there(letter):
                return None
            self._file.execute("INSERT INTO counts VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1", (name,))
            (again,) = self._file.execute("SELECT value FROM counts WHERE name = ?", (name,)).fetchone()
            # places behind earlier positions are not given out any more
            others = f"again/{letter.source}/{letter.queue}/*"
            self._file.execute("DELETE FROM counts WHERE name GLOB ? AND name != ?", (others, name))
            self._file.execute(
                "UPDATE letters SET state = ?, position = ?, again = ? WHERE number = ?",
                (SENDING, position, again, letter.number),
            )
        return letter._replace(state=SENDING, position=position, again=again)

    def whole(self, letter: Letter) -> Letter | None:
        """The event as it was buried, a flipped bit turned back; None: it is damaged worse. Of one that an earlier
        version buried it is not known."""
        names = ("id", "type", "partitionkey", "raw")
        as_bytes = ", ".join(f"CAST({name} AS BLOB)" for name in names[:-1])
        query = f"SELECT {as_bytes}, raw, digest FROM letters WHERE number = ?"  # noqa: S608 - our own text
        with self._calls:
            *row, digest = self._file.execute(query, (letter.number,)).fetchone() or (None,)
        if digest == b"" and isinstance(letter.raw, bytes):
            return letter
        right = one_bit_back(row, int.from_bytes(digest or b""), _number_of, range(len(names) - 1)) if row else None
        return letter._replace(**dict(zip(names, right, strict=True))) if right else None

    def delivered(self, letter: Letter) -> None:
        """It is where it belongs."""
        with self._step():
            self._take_out(letter.number, f"replayed/{letter.source}/{letter.queue}")
            self._note("engine", "delivered", letter.number, letter.id)

    def returned(self, letter: Letter, cause: Cause) -> bool:
        """It was not taken this time either. False: it was discarded since it was found, and stays so."""
        query = (
            "UPDATE letters SET state = ?, class = ?, code = ?, reason = ?, attempts = attempts + ?, last_us = ? "
            "WHERE number = ?"
        )
        with self._step():
            if not self._is_there(letter):
                return False
            values = (DEAD, cause.class_, cause.code, cause.reason[:REASON_CHARS_MAX], cause.attempts)
            self._file.execute(query, (*values, self._clock(), letter.number))
            self._note("engine", "returned", letter.number, letter.id)
        return True

    def refuse(self, refusals: Mapping[Refusal, int]) -> int:
        """Durable; `refusals`: how often each came. The same bytes of the same source and place for the same cause are
        one letter, with a count. Returns for how many there was no room: those are only counted."""
        now, left_out = self._clock(), 0
        with self._step():
            room = self._bytes_max // REFUSALS_PART - self._held()[False]
            for refusal, times in refusals.items():
                digest = hashlib.blake2b(refusal.cause.encode() + b"\0" + refusal.raw, digest_size=16).digest()
                room -= len(refusal.raw) + LETTER_BYTES
                if room < 0 and not self._holds(refusal, digest):
                    left_out += times
                    continue
                place = (refusal.kind, DEAD, refusal.source, refusal.place, 0, "", "", "")
                self._insert(place, refusal.raw, digest, Cause("permanent", "refused", refusal.cause, times), now)
            if left_out:
                self._count("refused/left out", left_out)
        return left_out

    def wanted_lines(self, limit: int) -> list[Letter]:
        """Refused lines that shall go through the decoder once more."""
        query = f"SELECT {COLUMNS} FROM letters WHERE kind = ? AND state = ? ORDER BY number LIMIT ?"  # noqa: S608
        with self._calls:
            return [letter_of(found) for found in self._file.execute(query, (LINE, WANTED, limit))]

    def line_is_back(self, letter: Letter) -> None:
        """It is in the journal once more. It is gone here, unless the decoder has refused it again meanwhile."""
        query = "SELECT attempts FROM letters WHERE number = ?"
        with self._step():
            if self._file.execute(query, (letter.number,)).fetchone() == (letter.attempts,):
                self._take_out(letter.number, f"replayed/{letter.source}/")
                self._note("engine", "delivered", letter.number, letter.id)
            else:
                self._file.execute("UPDATE letters SET state = ? WHERE number = ?", (DEAD, letter.number))
                self._note("engine", "returned", letter.number, letter.id)

    def changes(self) -> int:
        """A number that is another one as soon as another process has changed the file."""
        with self._calls:
            self._log.look()
            return self._changes()

    def counts(self) -> dict[str, int]:
        """`dead/SINK/QUEUE`: letters of events; `payloads`: refused; `replayed/SINK/QUEUE`, `discarded/SINK/QUEUE`,
        `replayed/SOURCE/`, `discarded/SOURCE/`: what is gone."""
        with self._calls:
            counts = dict(self._file.execute("SELECT name, value FROM counts WHERE name NOT GLOB 'again/*'"))
            by_place = "SELECT kind, source, queue, state = ?, count(*) FROM letters GROUP BY 1, 2, 3, 4"
            for kind, source, queue, discarded, count in self._file.execute(by_place, (DISCARDED,)):
                event = f"discarded/{source}/{queue}" if discarded else f"dead/{source}/{queue}"
                name = event if kind == EVENT else "payloads"
                counts[name] = counts.get(name, 0) + count
        return counts

    def size(self) -> int:
        """Bytes that the letters take, about."""
        with self._calls:
            return sum(self._held().values())

    # the command's side

    def find(
        self, numbers: Sequence[int] = (), *, source: str = "", class_: str = "", kind: str = "", limit: int = -1
    ) -> list[Letter]:
        """Those that fit all that is given, oldest first."""
        all_ = self.each(numbers, source=source, class_=class_, kind=kind)
        return list(all_ if limit < 0 else islice(all_, limit))

    def each(
        self, numbers: Sequence[int] = (), *, source: str = "", class_: str = "", kind: str = ""
    ) -> Iterator[Letter]:
        """The same, one by one: only a few are in memory at a time, however many there are."""
        which, values = ["state != ?", "number > ?"], list[object]([DISCARDED])
        if numbers:
            which.append("number IN (SELECT value FROM json_each(?))")
        for column, value in (("source", source), ("class", class_), ("kind", kind)):
            if value:
                which.append(f"{column} = ?")
        query = f"SELECT {COLUMNS} FROM letters WHERE {' AND '.join(which)} ORDER BY number LIMIT ?"  # noqa: S608
        more = [json.dumps(sorted(numbers))] if numbers else []
        more += [value for value in (source, class_, kind) if value]
        last = -1
        while True:
            with self._calls:
                found = self._file.execute(query, (*values, last, *more, AT_ONCE)).fetchall()
            if not found:
                return
            last = found[-1][0]
            yield from map(letter_of, found)

    def want(self, numbers: Sequence[int], rate: float, who: str) -> int:
        """They shall be sent again, so many a second. Returns how many; those that are on their way are not asked."""

        def want(letter: Letter) -> None:
            query = "UPDATE letters SET state = ?, rate = ? WHERE number = ?"
            self._file.execute(query, (WANTED, rate, letter.number))

        return self._step_by_step(numbers, (DEAD,), want, who, "replay")

    def discard(self, numbers: Sequence[int], who: str) -> int:
        """They are gone for good. Returns how many; those that are on their way stay."""
        return self._step_by_step(numbers, (DEAD, WANTED), self._discard, who, "discard")

    def _step_by_step(
        self, numbers: Sequence[int], states: Sequence[str], do: Callable[[Letter], None], who: str, action: str
    ) -> int:
        """A few in each commit, so that an engine that has something to bury never waits for long."""
        query, done = f"SELECT {COLUMNS} FROM letters WHERE number = ?", 0  # noqa: S608
        for first in range(0, len(numbers), AT_ONCE):
            with self._step():
                for number in numbers[first : first + AT_ONCE]:
                    found = self._file.execute(query, (number,)).fetchone()
                    if found is not None and (letter := letter_of(found)).state in states:
                        do(letter)
                        self._note(who, action, number, letter.id)
                        done += 1
            time.sleep(BETWEEN_S)
        return done

    def audit(self, limit: int) -> list[tuple[int, str, str, int, str]]:
        """(when, who, what, letter, id of the event) of the last steps, newest first."""
        query = "SELECT at_us, who, action, letter, id FROM audit ORDER BY number DESC LIMIT ?"
        with self._calls:
            return self._file.execute(query, (limit,)).fetchall()

    # inside a transaction

    @contextmanager
    def _step(self) -> Iterator[None]:
        """All of it or nothing, on disk when it returns; one call at a time."""
        with self._calls:
            try:
                with transaction(self._file):
                    yield
            except BaseException:
                self._sizes = {}
                raise
            self._log.written()

    def _is_there(self, letter: Letter) -> bool:
        found = self._file.execute("SELECT state FROM letters WHERE number = ?", (letter.number,)).fetchone()
        return found is not None and found != (DISCARDED,)

    def _changes(self) -> int:
        return int(self._file.execute("PRAGMA data_version").fetchone()[0])

    def _last_of(self, sink: str, queue: str, partitionkey: str) -> tuple[str, float] | None:
        """State and rate of the key's last letter."""
        which = "kind = ? AND source = ? AND queue = ? AND partitionkey = ? AND state != ?"
        query = f"SELECT state, rate FROM letters WHERE {which} ORDER BY sequence DESC LIMIT 1"  # noqa: S608
        found: tuple[str, float] | None = self._file.execute(
            query, (EVENT, sink, queue, partitionkey, DISCARDED)
        ).fetchone()
        return found

    def _insert(
        self, place: tuple[object, ...], raw: bytes, digest: bytes, cause: Cause, now: int, rate: float = 0
    ) -> int:
        """The letter's number; 0: it was here already, and counts once more."""
        values = (cause.class_, cause.code, cause.reason[:REASON_CHARS_MAX], cause.attempts, now, now, *self._made_by)
        size = len(raw) + LETTER_BYTES
        new = self._file.execute(
            "INSERT INTO letters (kind, state, source, queue, sequence, id, type, partitionkey, raw, digest, class, "
            "code, reason, attempts, first_us, last_us, decoder, config, position, again, rate, size) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?) ON CONFLICT DO NOTHING",
            (*place, raw, digest, *values, rate, size),
        )
        kind, _, source, queue, sequence, *_ = place
        if new.rowcount:
            self._grow(kind, size)
            return int(new.lastrowid or 0)
        self._file.execute(
            "UPDATE letters SET attempts = attempts + ?, last_us = ? "
            "WHERE kind = ? AND source = ? AND queue = ? AND sequence = ? AND digest = ?",
            (cause.attempts, now, kind, source, queue, sequence, digest),
        )
        return 0

    def _require_room(self, size: int) -> None:
        held = sum(self._held().values())
        if held + size > self._bytes_max:
            raise Full(
                f"the dead letters {self.path} take {held} of {self._bytes_max} bytes: `sortline dlq` can send them "
                "again or discard them"
            )

    def _held(self) -> dict[bool, int]:
        """Bytes that events take (True), and everything else. Counted when another process has changed the file, or a
        step was taken back; the letters are not read for each record that is refused."""
        changes = self._changes()
        if not self._sizes or changes != self._counted_at:
            counted = self._file.execute("SELECT kind = ?, sum(size) FROM letters GROUP BY 1", (EVENT,))
            self._sizes = {False: 0, True: 0, **{bool(is_event): size for is_event, size in counted}}
            self._counted_at = changes
        return self._sizes

    def _grow(self, kind: object, size: int) -> None:
        if self._sizes:
            self._sizes[kind == EVENT] += size

    def _holds(self, refusal: Refusal, digest: bytes) -> bool:
        query = "SELECT 1 FROM letters WHERE kind = ? AND source = ? AND queue = ? AND sequence = 0 AND digest = ?"
        return self._file.execute(query, (refusal.kind, refusal.source, refusal.place, digest)).fetchone() is not None

    def _take_out(self, number: int, count: str) -> None:
        found = self._file.execute("SELECT kind, size FROM letters WHERE number = ?", (number,)).fetchone()
        if found is not None:
            self._grow(found[0], -found[1])
            self._file.execute("DELETE FROM letters WHERE number = ?", (number,))
            self._count(count, 1)

    def _discard(self, letter: Letter) -> None:
        if letter.kind != EVENT:
            self._take_out(letter.number, f"discarded/{letter.source}/")
            return
        query = "UPDATE letters SET state = ?, raw = x'', size = 0 WHERE number = ?"
        self._file.execute(query, (DISCARDED, letter.number))
        self._sizes = {}

    def _count(self, name: str, number: int) -> None:
        if not number:
            return
        query = "INSERT INTO counts VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value"
        self._file.execute(query, (name, number))

    def _note(self, who: str, action: str, number: int, id_: str) -> None:
        values = (self._clock(), who, action, number, id_)
        self._file.execute("INSERT INTO audit (at_us, who, action, letter, id) VALUES (?, ?, ?, ?, ?)", values)
        (last,) = self._file.execute("SELECT max(number) FROM audit").fetchone()
        self._file.execute("DELETE FROM audit WHERE number <= ?", (last - AUDIT_MAX,))


def _digest_of(id_: str, type_: str, partitionkey: str, body: bytes) -> bytes:
    names = "\0".join((id_, type_, partitionkey, ""))
    return hashlib.blake2b(names.encode() + body, digest_size=16).digest()


def _number_of(id_: str, type_: str, partitionkey: str, body: bytes) -> int:
    return int.from_bytes(_digest_of(id_, type_, partitionkey, body))
