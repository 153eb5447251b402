"""The embedded queue: in order, once each, until every consumer has said that it has them."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import re
import sqlite3
from pathlib import Path

import pytest

from engine.contracts import OutRow
from engine.errors import ContentChanged, Full, Refused
from engine.sinks.queue import SCHEMA, Entry, Queue, QueueState, Settings, entry_sum
from engine.sinks.queue_sink import QueueSink
from tests.counting_core import event


def row(sequence: int, name: str | None = None, queue: str = "erp", **data: object) -> OutRow:
    _, id_, type_, key, body, _ = event(sequence, name or f"e{sequence}", "pick.confirmed", **data)
    return OutRow(sequence, id_, type_, queue, key, body)


def rows(first: int, last: int) -> list[OutRow]:
    return [row(n) for n in range(first, last + 1)]


def limited(entries_max: int, keep: int, when_full: str = "wait") -> Settings:
    """Limits too small for a site file, so that a test reaches them."""
    return Settings(entries_max=entries_max, keep=keep, when_full=when_full)  # type: ignore[arg-type]


def test_entries_keep_their_order_and_each_queue_counts_for_itself(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite")
    queue.put([row(1), row(2, queue="ops"), row(3)])
    queue.put([row(5)])
    assert [(entry.position, entry.id) for entry in queue.read("erp", 0, 10)] == [(1, "e1"), (2, "e3"), (3, "e5")]
    assert [(entry.position, entry.id) for entry in queue.read("ops", 0, 10)] == [(1, "e2")]
    assert [entry.body for entry in queue.read("erp", 2, 10)] == [row(5).body]
    assert queue.states() == [QueueState("erp", 1, 3, {}), QueueState("ops", 1, 1, {})]
    queue.close()


def test_what_is_sent_again_stands_there_once(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite")
    queue.put(rows(1, 3))
    queue.put(rows(2, 5))
    queue.put([row(99, "e5")])  # another sequence is no other content
    assert [entry.id for entry in queue.read("erp", 0, 10)] == ["e1", "e2", "e3", "e4", "e5"]
    queue.close()


def test_the_same_id_with_other_content_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite")
    queue.put([row(1, "a", qty=1)])
    with pytest.raises(ContentChanged, match="a"):
        queue.put([row(2), row(3, "a", qty=2)])
    assert [entry.id for entry in queue.read("erp", 0, 10)] == ["a"]
    queue.close()


def test_a_consumer_stands_where_it_acknowledged(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite")
    queue.put(rows(1, 5))
    assert queue.position("erp", "sap") == 0
    assert queue.ack("erp", "sap", 3) == 3
    assert queue.ack("erp", "sap", 2) == 3
    queue.close()
    queue = Queue(tmp_path / "queue.sqlite")
    assert queue.position("erp", "sap") == 3
    for position in (6, -1):
        with pytest.raises(ValueError, match="position"):
            queue.ack("erp", "sap", position)
    with pytest.raises(ValueError, match="erb"):
        queue.ack("erb", "sap", 1)
    queue.close()


def test_only_what_every_consumer_has_is_trimmed_and_the_newest_stay(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite", limited(1_000, keep=4))
    queue.put(rows(1, 10))
    queue.ack("erp", "sap", 10)
    queue.ack("erp", "lake", 3)
    queue.put([row(11)])
    assert queue.states()[0].first == 4
    queue.ack("erp", "lake", 11)
    queue.put([row(12)])
    assert (queue.states()[0].first, queue.states()[0].last) == (8, 12)
    queue.close()


def test_positions_never_come_again(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite", limited(1_000, keep=0))
    queue.put(rows(1, 3))
    queue.ack("erp", "sap", 3)
    queue.put([row(4)])
    queue.ack("erp", "sap", 4)
    queue.close()
    queue = Queue(tmp_path / "queue.sqlite", limited(1_000, keep=0))
    queue.put([row(5)])
    assert [entry.position for entry in queue.read("erp", 0, 10)] == [5]
    queue.close()


def test_a_full_queue_waits_for_its_consumers(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite", limited(5, keep=1))
    queue.put(rows(1, 5))
    with pytest.raises(Full):
        queue.put([row(6)])
    queue.put([row(5)])  # what is there needs no room
    queue.ack("erp", "sap", 2)
    queue.put([row(6)])
    assert [entry.id for entry in queue.read("erp", 0, 10)] == ["e3", "e4", "e5", "e6"]
    queue.close()


def test_a_full_queue_drops_its_oldest_where_the_site_says_so(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite", limited(5, keep=1, when_full="drop_oldest"))
    for n in range(1, 12):
        queue.put([row(n)])
    first = queue.states()[0].first
    assert [entry.position for entry in queue.read("erp", 0, 10)] == list(range(first, 12))
    assert 5 <= 12 - first <= 6
    queue.close()


def _write(path: Path, first: int) -> None:
    queue = Queue(path)
    for n in range(first, first + 40, 2):
        queue.put([row(n)])
        queue.ack("erp", f"reader-{first}", 1)
    queue.close()


def test_processes_may_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    Queue(path).close()
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write, args=(path, first)) for first in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert [writer.exitcode for writer in writers] == [0, 0]
    queue = Queue(path)
    entries = queue.read("erp", 0, 100)
    assert [entry.position for entry in entries] == list(range(1, 41))
    assert sorted(int(entry.id[1:]) for entry in entries) == list(range(1, 41))
    queue.close()


def test_the_sink_opens_again_after_it_was_closed(tmp_path: Path) -> None:
    async def story() -> None:
        sink = QueueSink("erp-queue", Settings(), tmp_path, lambda: 0)
        for n in (1, 2):
            await sink.open()
            await sink.send([row(n)])
            await sink.close()

    asyncio.run(story())
    with sqlite3.connect(tmp_path / "erp-queue.sqlite") as file:
        assert file.execute("SELECT id FROM entries ORDER BY position").fetchall() == [("e1",), ("e2",)]


def test_a_flipped_bit_never_hands_out_another_event(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "sound.sqlite")
    queue.put(rows(1, 20))
    expected = queue.read("erp", 0, 100)
    queue.close()
    content = (tmp_path / "sound.sqlite").read_bytes()
    rng = random.Random(5)
    starts = [match.start() for match in re.finditer(rb"pick\.confirmed", content)]
    refused = 0
    for n in range(600):
        flipped = bytearray(content)
        flipped[rng.choice(starts) + rng.randrange(-20, 90)] ^= 1 << rng.randrange(8)
        path = tmp_path / f"{n}.sqlite"
        path.write_bytes(flipped)
        try:
            found = read_on(path)
        except Refused as error:
            assert str(path) in str(error)
            refused += 1
        else:
            assert found == expected
    assert 0 < refused < 100


def read_on(path: Path) -> list[Entry]:
    """As a consumer does, a few at a time."""
    queue = Queue(path)
    try:
        found: list[Entry] = []
        while entries := queue.read("erp", found[-1].position if found else 0, 7):
            found += entries
        return found
    finally:
        queue.close()


def test_a_damaged_entry_is_named_with_the_way_on(tmp_path: Path) -> None:
    path = tmp_path / "erp.sqlite"
    queue = Queue(path)
    queue.put(rows(1, 3))
    with sqlite3.connect(path) as file:
        file.execute("UPDATE entries SET body = replace(body, 'e2', 'e9') WHERE position = 2")
    assert [entry.id for entry in queue.read("erp", 0, 10)] == ["e1"]
    with pytest.raises(Refused, match=rf"{path}: entry 2 of erp .* sortline queue ack {path} erp .* --upto 2"):
        queue.read("erp", 1, 10)
    assert [entry.id for entry in queue.read("erp", 2, 10)] == ["e3"]
    queue.close()


def test_a_file_of_version_1_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "erp.sqlite"
    with sqlite3.connect(path) as file:
        for statement in SCHEMA[:5]:
            file.execute(statement)
        file.execute("INSERT INTO entries VALUES ('erp', 1, 'e1', 'pick.confirmed', 'key-e1', ?)", (row(1).body,))
        file.execute("INSERT INTO queues VALUES ('erp', 1)")
        file.execute("PRAGMA user_version = 1")
    queue = Queue(path)
    queue.put(rows(1, 2))
    assert [entry.id for entry in queue.read("erp", 0, 10)] == ["e1", "e2"]
    queue.close()


def test_a_file_of_version_2_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "erp.sqlite"
    with sqlite3.connect(path) as file:
        for statement in SCHEMA[:6]:
            file.execute(statement)
        for n in (4, 5):
            values = ("erp", n, *row(n)[1:3], row(n).partitionkey, row(n).body)
            file.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, entry_sum(*values)))
        file.executescript("INSERT INTO queues VALUES ('erp', 5), ('all read', 3)")
        file.execute("INSERT INTO consumers VALUES ('erp', 'stock', 4)")
        file.execute("PRAGMA user_version = 2")
    looked = Queue(path, only_looks=True)
    states = [QueueState("all read", 4, 3, {}), QueueState("erp", 4, 5, {"stock": 4})]
    assert looked.states() == states
    looked.close()
    queue = Queue(path)
    assert queue.states() == states
    queue.put([row(6)])
    assert [(entry.position, entry.id) for entry in queue.read("erp", 0, 10)] == [(4, "e4"), (5, "e5"), (6, "e6")]
    assert queue.position("erp", "stock") == 4
    queue.close()


def test_a_flipped_bit_anywhere_passes_over_no_event(tmp_path: Path) -> None:
    """An index, or where a queue begins and ends, or where a consumer stands."""
    queue = Queue(tmp_path / "sound.sqlite")
    queue.put(rows(1, 60))
    queue.ack("erp", "stock", 30)
    expected = (queue.read("erp", 0, 100), queue.position("erp", "stock"))
    queue.close()
    content = (tmp_path / "sound.sqlite").read_bytes()
    rng = random.Random(6)
    ends = {"the same": 0, "refused": 0}
    for n in range(400):
        flipped = bytearray(content)
        flipped[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path = tmp_path / f"{n}.sqlite"
        path.write_bytes(flipped)
        try:
            queue = Queue(path)
            if queue.position("erp", "stock"):  # else its row is gone: it begins anew, and passes over nothing
                assert (read_on(path), queue.position("erp", "stock")) == expected, n
            queue.close()
            ends["the same"] += 1
        except (Refused, sqlite3.DatabaseError):
            ends["refused"] += 1
    assert ends["the same"] > 300, ends


def test_where_a_consumer_stands_can_be_said_again(tmp_path: Path) -> None:
    path = tmp_path / "erp.sqlite"
    queue = Queue(path)
    queue.put(rows(1, 9))
    queue.ack("erp", "stock", 5)
    with sqlite3.connect(path) as file:
        file.execute("UPDATE consumers SET position = 4")
    assert queue.position("erp", "stock") == 5, "one bit: turned back"
    with sqlite3.connect(path) as file:
        file.execute("UPDATE consumers SET position = 8")
    with pytest.raises(Refused, match=rf"sortline queue ack {path} erp --consumer stock --upto POSITION"):
        queue.position("erp", "stock")
    assert queue.ack("erp", "stock", 4) == 4
    assert queue.position("erp", "stock") == 4
    queue.close()
