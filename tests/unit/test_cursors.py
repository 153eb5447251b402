"""A cursor moves over what the sink surely has: of a file of the box, once it no longer stands in a log alone."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from engine.contracts import Account, OutRow
from engine.cursors import SETTLE_EVENTS, SETTLE_S, SETTLE_SHARE, UNSETTLED_S_MAX, UNSETTLED_TIMES_MAX, Cursors
from engine.errors import Refused
from engine.outbox import SqliteOutbox
from engine.sinks.queue import Queue, Settings
from engine.sinks.queue_sink import QueueSink
from tests.unit.test_delivery import INVENTORY, ONE_QUEUE, QUEUES, SHIPPING, Delivery, ScriptedSink, names, refuses
from tests.unit.test_outbox import emitted

LANE = 1
UNSETTLED_EVENTS_MAX = UNSETTLED_TIMES_MAX * SETTLE_EVENTS


class FileOfTheBox:
    """settles: what `settle` says, or raises."""

    path = Path("somewhere.sqlite")

    def __init__(self) -> None:
        self.settles: bool | Exception = True

    async def open(self) -> None: ...

    async def send(self, rows: Sequence[OutRow]) -> None: ...

    async def close(self) -> None: ...

    def settle(self) -> bool:
        if isinstance(self.settles, Exception):
            raise self.settles
        return self.settles


class Story:
    def __init__(
        self, folder: Path, sink: FileOfTheBox | QueueSink | None = None, count: int = 20, rows_max: int = 100_000
    ) -> None:
        self.now_s = 100.0
        self.sink = sink or FileOfTheBox()
        self.outbox = SqliteOutbox(folder / "outbox.sqlite", routes=ONE_QUEUE, sinks=["erp"], rows_max=rows_max)
        if not self.outbox.last_sequence():
            self.outbox.append([emitted(n, type_=INVENTORY) for n in range(1, count + 1)])
        self.cursors = Cursors(self.outbox, self.sink, lambda: self.now_s)

    def take(self, count: int) -> list[OutRow]:
        rows = self.cursors.read(LANE, count)
        self.cursors.advance(LANE, rows[-1].position, delivered=len(rows))
        return rows

    @property
    def settled(self) -> int:
        return self.outbox.cursor(LANE)


def test_what_a_log_that_is_gone_had_is_sent_again_to_the_same_places(tmp_path: Path) -> None:
    sink = QueueSink("erp", Settings(), tmp_path, lambda: 0)
    story = Story(tmp_path, sink)

    async def send(count: int) -> None:
        await sink.send(story.take(count))

    asyncio.run(sink.open())
    asyncio.run(send(8))
    story.cursors.settle()
    asyncio.run(send(5))
    killed = tmp_path / "killed"
    killed.mkdir()
    for path in tmp_path.glob("*.sqlite*"):
        shutil.copy(path, killed)
    before = [(entry.position, entry.id) for entry in Queue(sink.path).read("q", 0, 100)]
    story.outbox.close()
    asyncio.run(sink.close())

    (killed / "erp.sqlite-wal").unlink()
    again = Story(killed)
    queue = Queue(killed / "erp.sqlite")
    assert len(queue.read("q", 0, 100)) == 8
    queue.put(again.take(20))
    assert [(entry.position, entry.id) for entry in queue.read("q", 0, 13)] == before
    queue.close()
    again.outbox.close()


def test_what_was_sent_counts_as_delivered_and_is_not_read_again(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.take(5)
    assert (story.settled, story.cursors.is_ahead) == (0, True)
    assert story.cursors.account(LANE) == Account(20, 5, 15, 0)
    assert story.outbox.account(LANE) == Account(20, 0, 20, 0)
    assert [row.position for row in story.cursors.read(LANE, 2)] == [6, 7]
    assert story.cursors.oldest_us(LANE) > 0
    story.take(15)
    assert story.cursors.oldest_us(LANE) == 0
    story.now_s += SETTLE_S
    story.cursors.look()
    assert (story.settled, story.cursors.is_ahead) == (20, False)
    assert story.cursors.account(LANE) == story.outbox.account(LANE) == Account(20, 20, 0, 0)
    story.outbox.close()


def test_many_events_are_settled_at_once(tmp_path: Path) -> None:
    story = Story(tmp_path, count=SETTLE_EVENTS)
    story.take(SETTLE_EVENTS - 1)
    assert story.settled == 0
    story.take(1)
    assert story.settled == SETTLE_EVENTS
    story.outbox.close()


def test_a_small_outbox_is_not_filled_with_what_the_sink_has(tmp_path: Path) -> None:
    """Else sources would be shed, and wait, while every sink keeps up."""
    story = Story(tmp_path, count=1_000, rows_max=1_000)
    share = 1_000 // SETTLE_SHARE
    story.take(share - 1)
    assert story.outbox.rows == 1_000
    story.take(1)
    assert story.outbox.rows == 1_000 - share
    story.outbox.close()


def test_whoever_waits_for_room_is_told_that_there_is_some(tmp_path: Path) -> None:
    class Settling(ScriptedSink):
        path = tmp_path / "erp.sqlite"

        def settle(self) -> bool:
            return True

    rows: list[int] = []
    delivery = Delivery(tmp_path, Settling())
    delivery.forwarder._advanced = lambda: rows.append(delivery.outbox.rows)
    delivery.tell(1, 3)
    delivery.until(lambda: rows[-1:] == [0])
    assert 3 in rows
    delivery.close()


@pytest.mark.parametrize("how", ["long", "many"])
def test_a_reader_holds_the_cursor_up_for_a_while_alone(tmp_path: Path, how: str) -> None:
    """A queue passes over what is sent again as far back as it keeps entries."""
    sink = FileOfTheBox()
    sink.settles = False
    story = Story(tmp_path, sink, UNSETTLED_EVENTS_MAX)
    story.take(UNSETTLED_EVENTS_MAX - 1)
    story.now_s += UNSETTLED_S_MAX - 0.1
    story.cursors.look()
    assert story.settled == 0
    if how == "long":
        story.now_s += 0.1
        story.cursors.look()
    else:
        story.take(1)
    assert story.settled >= UNSETTLED_EVENTS_MAX - 1
    story.outbox.close()


@pytest.mark.parametrize("error", [Refused("damaged"), RuntimeError("not open"), sqlite3.DatabaseError("malformed")])
def test_what_a_file_that_cannot_be_had_may_have_lost_is_sent_again(tmp_path: Path, error: Exception) -> None:
    sink = FileOfTheBox()
    sink.settles = error
    story = Story(tmp_path, sink)
    story.take(5)
    story.now_s += 2 * UNSETTLED_S_MAX
    story.cursors.look()
    story.cursors.settle()
    assert story.settled == 0
    story.cursors.go_back()
    assert [row.position for row in story.cursors.read(LANE, 2)] == [1, 2]
    story.outbox.close()


def test_an_outbox_without_room_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(tmp_path)
    story.take(5)
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    def no_room(*_: object, **__: object) -> None:
        raise full

    story.now_s += SETTLE_S
    with monkeypatch.context() as patched:
        patched.setattr(story.outbox, "advance", no_room)
        with pytest.raises(sqlite3.OperationalError):
            story.take(3)
        story.cursors.look()
        assert story.cursors.account(LANE) == Account(20, 5, 15, 0)
    story.take(3)
    assert story.outbox.account(LANE) == Account(20, 8, 12, 0)
    story.outbox.close()


def test_a_letter_that_was_sent_again_is_in_the_file_before_it_is_let_go(tmp_path: Path) -> None:
    class Noting(ScriptedSink):
        path = tmp_path / "erp.sqlite"

        def settle(self) -> bool:
            has = [row.id for row in self.rows]
            settled.append((has, [letter.id for letter in delivery.letters.find()]))
            return True

    settled: list[tuple[list[str], list[str]]] = []
    delivery = Delivery(tmp_path, Noting(refuses("e1")))
    delivery.tell(1, 1)
    delivery.until_empty()
    delivery.sink.refuses = lambda rows: None
    delivery.wanted_again(delivery.letters.find())
    delivery.until(lambda: not delivery.letters.find())
    assert (["e1"], ["e1"]) in settled
    delivery.close()


def test_a_dead_letter_is_behind_the_cursor_at_once(tmp_path: Path) -> None:
    """A start forgets letters that stand beyond it."""
    story = Story(tmp_path)
    story.cursors.advance(LANE, 3, delivered=2, dead=1)
    assert story.outbox.account(LANE) == Account(20, 2, 17, 1)
    story.outbox.close()


class LostFileSink(ScriptedSink):
    """A queue whose file is a new one, with nothing in it, each time that it is opened; `settles` as above."""

    path = Path("somewhere.sqlite")

    def __init__(self, fails_on: str, lost: Callable[[], None] = lambda: None) -> None:
        super().__init__(self._refusal)
        self.settles: bool | Exception = RuntimeError("not open")
        self._fails_on = fails_on
        self._lost = lost

    async def open(self) -> None:
        await super().open()
        self.rows.clear()

    def settle(self) -> bool:
        if isinstance(self.settles, Exception):
            raise self.settles
        return self.settles

    def _refusal(self, rows: Sequence[OutRow]) -> Exception | None:
        """Once, at that event."""
        if rows[0].id != self._fails_on or self.opened > 1:
            return None
        self.settles = RuntimeError("not open")
        self._lost()
        return ConnectionResetError()


def test_what_is_sent_again_to_a_new_file_counts_once(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, LostFileSink("e17"))
    delivery.tell(1, 22)
    delivery.until(lambda: delivery.metrics.delivered >= 22)
    assert (delivery.sink.opened, delivery.ids) == (2, names(1, 22))
    assert delivery.metrics.delivered == sum(lane.delivered for lane in delivery.metrics.lanes.values()) == 22
    delivery.close()


def test_i1_a_cursor_that_waits_for_room_passes_over_nothing_that_a_new_file_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events were taken and could not be noted; by then the file that had them, and those before, was another one."""
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    asked: list[int] = []

    def no_room(_: int, position: int, **__: int) -> None:
        asked.append(position)
        raise full

    sink = LostFileSink("e23", monkeypatch.undo)
    delivery = Delivery(tmp_path, sink, QUEUES)
    delivery.tell(1, 22, SHIPPING)
    delivery.tell(23, 23, INVENTORY)
    monkeypatch.setattr(delivery.outbox, "advance", no_room)
    monkeypatch.setattr("engine.cursors.SETTLE_S", 0)
    monkeypatch.setattr(sink, "settles", True)
    delivery.until(lambda: delivery.metrics.delivered >= 23)
    assert asked
    assert (sink.opened, sorted(delivery.ids)) == (2, sorted(names(1, 23)))
    assert delivery.metrics.delivered == 23
    delivery.close()
