"""What was told, by sequence and id: the outbox's table `told`, and what a replay makes of it.

The program that told the events makes the same ones again, each in its place. Another program may judge the same
records otherwise (a rule was mended), and tells other events, or in another order. What was told by then stays: it has
left. So ids count, not places: an event whose id was told is passed over, whatever it says now; one that never was is
told behind all others; and the next revision of every key comes after the last one that was told of it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from engine.contracts import Emitted
from engine.errors import Refused
from engine.sqlite_file import transaction
from engine.told_ids import ToldIds

UNKNOWN = b""  # content of what was told long ago: nothing contradicts it
UNTOLD_MAX = 100_000

log = logging.getLogger("sortline.outbox")


class ToldEvents:
    """path, file: the outbox. told_max: how many ids are kept. Its owner's lock is held at every call.

    may_differ: the journal is read from its beginning, maybe by another program than the one that told: from the first
    event that differs on, ids count (`by_id`).
    """

    def __init__(self, path: Path, file: sqlite3.Connection, told_max: int) -> None:
        self._path = path
        self._file = file
        self._told_max = told_max
        self._ids = ToldIds(file.execute("SELECT sequence, id FROM told ORDER BY sequence"))
        self._untold: dict[str, Emitted] = {}
        self._warned = False
        self.may_differ = False
        self.by_id = False

    def add(self, told: Sequence[tuple[int, str]], last: int) -> None:
        """These were told now; `last`: the greatest sequence."""
        self._ids.add(told, last - self._told_max)

    def known(self, events: Sequence[Emitted]) -> dict[str, bytes]:
        """id -> content of those that were told before."""
        known: dict[str, bytes] = {}
        for id_, sequence in self._ids.places([event.id for event in events]):
            found = self._file.execute("SELECT id, content FROM told WHERE sequence = ?", (sequence,)).fetchone()
            if found is not None and found[0] == id_:
                known[id_] = found[1]
        return known

    def contradicts(self, event: Emitted, content: bytes) -> bool:
        """Whether an event whose id was told with that content must not be. Another program may see it otherwise."""
        return not self.by_id and content not in (UNKNOWN, event.content)

    def pass_over(self, replayed: Sequence[Emitted], last: int) -> None:
        """What the journal makes again of events up to `last`. Raises Refused if one is another now and must not be."""
        if not self.by_id:
            differs = next((event for event in replayed if self._differs(event)), None)
            if differs and not self.may_differ:
                raise Refused(
                    f"{self._path}: event {differs.sequence} was told as {self._told_at(differs.sequence)[0]}, and the "
                    f"journal now makes {differs.id} ({differs.type} of {differs.partitionkey}) of it: the rules, the "
                    "site's name or the program have changed. Start with those of before, or with a new data_dir once "
                    "the sinks have everything"
                )
            self.by_id = differs is not None
        if self.by_id:
            known = self.known(replayed)
            kept_from = last - self._told_max
            self._untold |= {e.id: e for e in replayed if e.id not in known and e.sequence > kept_from}
            if len(self._untold) > UNTOLD_MAX:
                raise Refused(
                    f"{self._path}: of the events that the journal makes now, more than {UNTOLD_MAX} were never told: "
                    "it is not the journal of this outbox. Start the program of before, or with a new data_dir"
                )

    def _told_at(self, sequence: int) -> tuple[str, bytes]:
        """("", b""): not known any more."""
        found = self._file.execute("SELECT id, content FROM told WHERE sequence = ?", (sequence,)).fetchone()
        return found or ("", b"")

    def _differs(self, event: Emitted) -> bool:
        """Whether another event stands in its place."""
        id_, content = self._told_at(event.sequence)
        if not id_:
            return False
        if id_ != event.id and content == event.content:
            self._put_right(event)
        elif id_ == event.id and content not in (UNKNOWN, event.content) and not self._warned:
            log.warning("replay: %s has other content than when it was told; the first stays", event.id)
            self._warned = True
        return id_ != event.id and content != event.content

    def _put_right(self, event: Emitted) -> None:
        """The content has the id in it: so it is the event that was told, and the id beside it is damaged."""
        log.warning("told: the id of event %d was damaged, it is %s: put right", event.sequence, event.id)
        with transaction(self._file):
            self._file.execute("UPDATE told SET id = ? WHERE sequence = ?", (event.id, event.sequence))
        self._ids.add([(event.sequence, event.id)], 0)

    def untold(self) -> list[Emitted]:
        """Those that were passed over by their place, and never told under their id; in order. The replay is over."""
        found = sorted(self._untold.values(), key=lambda event: event.sequence)
        self._untold = {}
        self.may_differ = self.by_id = False
        return found

    def revisions(self) -> dict[str, int]:
        """Of every key, without `:rN`, the greatest revision that was told."""
        found: dict[str, int] = {}
        for (id_,) in self._file.execute("SELECT id FROM told"):
            key, _, revision = str(id_).rpartition(":r")
            if revision.isdigit():
                found[key] = max(found.get(key, 0), int(revision))
        return found
