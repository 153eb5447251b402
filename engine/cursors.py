"""The outbox as one sink's forwarder sees it: a cursor moves over what the sink surely has.

A sink that keeps a file of the box itself has what it took in that file's write-ahead log at first; where the disk
damages that, SQLite drops what stands behind. So until the log has gone into the file the events stay in the outbox.
A start sends them again, and the sink passes over what it has.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from engine.contracts import Account, FileSink, Outbox, OutRow, Sink
from engine.errors import Refused
from engine.sqlite_file import passes

SETTLE_S = 1.0
SETTLE_EVENTS = 4_096
SETTLE_SHARE = 10
"""An outbox that is small keeps no more than one in so many of its rows for it: what the sink has must not fill it."""
UNSETTLED_S_MAX = 5.0
UNSETTLED_TIMES_MAX = 2
"""A reader may keep the log from going into the file: then until so many times the events. What is sent again must be
among the entries that a queue keeps."""


class Ahead(NamedTuple):
    """Up to where a lane is sent beyond its cursor, and how many events lie between."""

    position: int
    delivered: int
    dead: int


NOTHING = Ahead(0, 0, 0)


class Cursors:
    """Thread-safe; every call may wait for the disk. timer: seconds that only grow."""

    def __init__(self, outbox: Outbox, sink: Sink, timer: Callable[[], float]) -> None:
        self._outbox = outbox
        self._file = sink if isinstance(sink, FileSink) else None
        self._timer = timer
        self._events_max = min(SETTLE_EVENTS, outbox.rows_max // SETTLE_SHARE)
        self._calls = threading.Lock()
        self._ahead: dict[int, Ahead] = {}
        self._since_s = 0.0

    @property
    def of_a_file(self) -> bool:
        """Whether the sink keeps one, which may be another one the next time."""
        return self._file is not None

    @property
    def is_ahead(self) -> bool:
        """Whether something was sent that the sink may lose yet."""
        return bool(self._ahead)

    def read(self, lane: int, limit: int) -> list[OutRow]:
        """The lane's next events behind those that were sent."""
        with self._calls:
            return self._outbox.read(lane, limit, self._sent(lane).position)

    def advance(self, lane: int, position: int, *, delivered: int, dead: int = 0) -> None:
        """All of the lane's events up to `position` were taken, or are dead letters, so many of each. Where the outbox
        raises an error nothing has changed for this lane."""
        with self._calls:
            before = self._sent(lane)
            if not self._ahead:
                self._since_s = self._timer()
            self._ahead.pop(lane, None)  # to stand last, and be written down last
            self._ahead[lane] = Ahead(position, before.delivered + delivered, before.dead + dead)
            try:
                if dead:  # a letter that stands beyond a cursor is forgotten
                    self._settle(give_up=True)
                self._settle_if_due()
            except BaseException:
                self._ahead[lane] = before
                if before == NOTHING:
                    del self._ahead[lane]
                raise

    def cursor(self, lane: int) -> int:
        self.settle()
        return self._outbox.cursor(lane)

    def account(self, lane: int) -> Account:
        with self._calls:
            events, delivered, pending, dead = self._outbox.account(lane)
            _, more, more_dead = self._sent(lane)
        return Account(events, delivered + more, pending - more - more_dead, dead + more_dead)

    def oldest_us(self, lane: int) -> int:
        with self._calls:
            return self._outbox.oldest_us(lane, self._sent(lane).position)

    def look(self) -> bool:
        """Every now and then. Whether a cursor has moved."""
        with self._calls, _if_there_is_room():
            was_ahead = self.is_ahead
            self._settle_if_due()
            return was_ahead and not self.is_ahead
        return False

    def settle(self) -> None:
        """All that was sent is in the sink's file itself and the cursors are behind it, as far as that can be now."""
        with self._calls, _if_there_is_room():
            self._settle(give_up=True)

    def go_back(self) -> dict[int, int]:
        """The sink may have lost it: that is sent again. Returns how many events of each lane are."""
        with self._calls:
            again = {lane: ahead.delivered for lane, ahead in self._ahead.items()}
            self._ahead.clear()
        return again

    def _sent(self, lane: int) -> Ahead:
        return self._ahead.get(lane, NOTHING)

    def _settle_if_due(self) -> None:
        if not self._ahead:
            return
        count = sum(ahead.delivered + ahead.dead for ahead in self._ahead.values())
        waited_s = self._timer() - self._since_s
        if self._file is None or waited_s >= SETTLE_S or count >= self._events_max:
            self._settle(give_up=waited_s >= UNSETTLED_S_MAX or count >= UNSETTLED_TIMES_MAX * self._events_max)

    def _settle(self, *, give_up: bool) -> None:
        """give_up: also where a reader keeps the log from going into the file."""
        try:
            settled = self._file is None or self._file.settle()
        except (RuntimeError, Refused, sqlite3.Error):
            return  # what is wrong with it, the next event that is sent will show
        if settled or give_up:
            for lane, (position, delivered, dead) in list(self._ahead.items()):
                self._outbox.advance(lane, position, delivered=delivered, dead=dead)
                del self._ahead[lane]


@contextmanager
def _if_there_is_room() -> Iterator[None]:
    """What the disk has no room for now is tried again later."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not passes(error):
            raise
