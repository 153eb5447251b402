"""What SQLite gives up has its rows still: a page that leads to others, or the beginning of the file, is not them."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import letters_salvage
from engine.clock import now_us
from engine.contracts import Emitted, OutRow
from engine.dead_letters import DeadLetters
from engine.errors import ContentChanged
from engine.journal import Position
from engine.letter import Cause
from engine.mended_databases import opened
from engine.outbox import SqliteOutbox
from engine.outbox_pages import found_rows
from engine.rule_book import RuleSet
from engine.sinks.queue import Queue, Settings
from engine.sinks.queue_mended import opened_queue
from engine.snapshots import Snapshot, Snapshots
from engine.sqlite_pages import rows_in
from tests.adversity.test_damaged_databases import spoil
from tests.counting_core import event

COUNT = 900
ROUTES = {"pick.confirmed": {"erp": "erp.inventory", "lake": "lake.all"}}


def row(number: int) -> OutRow:
    """Some are longer than a page."""
    body = b"%d" % number * (4_000 if number % 50 == 0 else 150)
    return OutRow(number, f"e{number}", "pick.confirmed", "erp", f"k{number}", body)


def a_queue(path: Path) -> None:
    queue = Queue(path, Settings())
    for first in range(1, COUNT, 100):
        queue.put([row(number) for number in range(first, first + 100)])
    queue.ack("erp", "reader", 7)
    queue.close()


def its_root(path: Path) -> None:
    spoil(path, "entries")


def its_beginning(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(4096))


@pytest.mark.parametrize("damage", [its_root, its_beginning])
def test_a_queue_that_only_leads_nowhere_has_all_its_entries(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "queue.sqlite"
    a_queue(path)
    damage(path)
    queue = opened_queue(path, Settings())
    entries = queue.read("erp", 0, COUNT + 1)
    assert [entry.position for entry in entries] == list(range(1, COUNT + 1))
    assert [entry.body for entry in entries] == [row(number).body for number in range(1, COUNT + 1)]
    (state,) = queue.states()
    assert state.consumers == {"reader": 7}
    queue.close()


def test_a_flipped_bit_in_the_name_of_a_queue_hides_none_of_its_entries(tmp_path: Path) -> None:
    """Its readers were told that there is nothing."""
    path = tmp_path / "queue.sqlite"
    a_queue(path)
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE queues SET queue = 'erq'")
    queue = opened_queue(path, Settings())
    assert len(queue.read("erp", 0, COUNT + 1)) == COUNT
    assert [(state.queue, state.last) for state in queue.states()] == [("erp", COUNT)]
    queue.close()


def test_a_flipped_bit_of_what_leads_to_an_entry_keeps_nobody_from_it(tmp_path: Path) -> None:
    """The entry is whole; its reader was refused it for ever, or a person had to give it up."""
    path = tmp_path / "queue.sqlite"
    a_queue(path)
    sound, chance = path.read_bytes(), random.Random(4)
    with sqlite3.connect(path) as file:
        query = "SELECT pageno FROM dbstat WHERE name = 'entries_by_position' AND pagetype = 'leaf'"
        pages = [page for (page,) in file.execute(query)]
    file.close()
    for page in pages:
        content = bytearray(sound)
        content[page * 4096 - chance.randrange(1, 2000)] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        queue = opened_queue(path, Settings())
        entries = queue.read("erp", 0, COUNT + 1)
        while entries and (more := queue.read("erp", entries[-1].position, COUNT)):
            entries += more
        assert [entry.body for entry in entries] == [row(number).body for number in range(1, COUNT + 1)]
        queue.close()


@pytest.mark.parametrize("position", ["'x'", "1 << 60", "0"])
def test_a_damaged_entry_does_not_say_where_a_queue_stands(tmp_path: Path, position: str) -> None:
    path = tmp_path / "queue.sqlite"
    a_queue(path)
    with sqlite3.connect(path) as file:
        file.execute(f"UPDATE entries SET position = {position} WHERE position = 30")
        file.execute("UPDATE queues SET last = 12")
        file.execute("INSERT INTO consumers SELECT queue, 'other', 1 << 61, 0 FROM consumers")
    file.close()
    queue = opened_queue(path, Settings())
    (state,) = queue.states()
    assert state.last == COUNT
    assert len(queue.read("erp", 30, COUNT)) == COUNT - 30
    queue.close()


def test_a_queue_whose_end_is_missing_has_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    a_queue(path)
    os.truncate(path, int(path.stat().st_size * 0.8))
    queue = opened_queue(path, Settings())
    assert len(queue.read("erp", 0, COUNT // 2)) == COUNT // 2
    queue.close()


@pytest.mark.parametrize("damage", [lambda path: spoil(path, "letters"), its_beginning])
def test_letters_that_nothing_leads_to_are_kept(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "dead.sqlite"
    letters = DeadLetters(path, now_us)
    letters.bury("erp", [row(number) for number in range(1, COUNT + 1)], Cause("permanent", "400", "no"))
    letters.discard([5, 6], "me")
    letters.forget("erp", "erp", COUNT, None)
    before = letters.find(), letters.audit(10), letters.counts()
    letters.close()
    damage(path)
    assert letters_salvage.salvage(path)
    path.unlink()
    path.with_name("dead.sqlite.new").rename(path)
    letters = opened(path, lambda: DeadLetters(path, now_us))
    assert (letters.find(), letters.audit(10), letters.counts()) == before, "and what was discarded stays away"
    letters.close()


def an_outbox(folder: Path) -> SqliteOutbox:
    return SqliteOutbox(folder / "outbox.sqlite", routes=ROUTES, sinks=["erp", "lake"], rows_max=10 * COUNT)


def an_outbox_of_a_trimmed_journal(folder: Path) -> dict[str, list[OutRow]]:
    """Of 900 events the one sink has 300 and the other one 600; the journal makes none of them again. Returns what
    each has not."""
    outbox = an_outbox(folder)
    for first in range(1, COUNT, 100):
        outbox.append(
            [Emitted(*event(n, f"e{n}", "pick.confirmed", note="x" * 200)) for n in range(first, first + 100)]
        )
    for sink, has in (("erp", 300), ("lake", 600)):
        (lane,) = outbox.lanes(sink)
        outbox.advance(lane.number, has, delivered=has)
    rows = waiting(outbox)
    outbox.close()
    (folder / "journal").mkdir()
    (folder / "journal" / "00000007.journal").touch()
    Snapshots(folder / "snapshots").write(Snapshot(Position(7, 100), COUNT, RuleSet("dc1", {}, []), b""))
    return rows


def waiting(outbox: SqliteOutbox) -> dict[str, list[OutRow]]:
    return {sink: outbox.read(outbox.lanes(sink)[0].number, COUNT) for sink in ("erp", "lake")}


@pytest.mark.parametrize("damage", [lambda path: spoil(path, "events"), its_beginning])
def test_i1_an_outbox_that_leads_nowhere_has_all_that_waits(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    rows = an_outbox_of_a_trimmed_journal(tmp_path)
    damage(tmp_path / "outbox.sqlite")
    outbox = opened(tmp_path / "outbox.sqlite", lambda: an_outbox(tmp_path))
    assert waiting(outbox) == rows
    assert [outbox.account(outbox.lanes(sink)[0].number).delivered for sink in ("erp", "lake")] == [300, 600]
    assert outbox.last_sequence() == COUNT
    with pytest.raises(ContentChanged):
        outbox.append([Emitted(*event(COUNT + 1, "e7", "pick.confirmed", note="y"))])
    outbox.close()


def test_i1_an_outbox_whose_end_is_missing_has_the_rest(tmp_path: Path) -> None:
    rows = an_outbox_of_a_trimmed_journal(tmp_path)
    path = tmp_path / "outbox.sqlite"
    os.truncate(path, int(path.stat().st_size * 0.8))
    outbox = opened(path, lambda: an_outbox(tmp_path))
    found = waiting(outbox)
    assert len(found["erp"]) > 0.6 * len(rows["erp"])
    assert all(set(found[sink]) <= set(rows[sink]) for sink in rows)
    outbox.close()


def test_lanes_that_cannot_all_be_told_are_none(tmp_path: Path) -> None:
    """One that is missing would begin anew, behind all that it has not got."""
    an_outbox_of_a_trimmed_journal(tmp_path)
    path = tmp_path / "outbox.sqlite"
    content = bytearray(path.read_bytes())
    with found_rows(path) as file:
        assert file.execute("SELECT count(*) FROM lanes").fetchone() == (2,)
    content[:4096] = bytes(4096)
    for leaf in range(4096, len(content), 4096):
        if content[leaf] == 13 and b"erp.inventory" in content[leaf : leaf + 4096] and content[leaf + 4] == 2:
            content[leaf + 4] = 1  # rows of the page, of two
    path.write_bytes(content)
    with pytest.raises(sqlite3.DatabaseError, match="which lanes it has cannot be told"), found_rows(path):
        pass


def test_rows_are_those_that_sqlite_reads(tmp_path: Path) -> None:
    """Of the file and of its log; and no noise makes more of it than rows that are none."""
    path = tmp_path / "some.sqlite"
    chance = random.Random(3)
    values = (
        None,
        0,
        1,
        -1,
        127,
        -(2**15),
        2**23,
        -(2**31),
        2**47,
        2**63 - 1,
        1.5,
        "",
        "\u00e4\u20ac" * 700,
        b"x" * 20_000,
    )
    rows = [(number, *chance.choices(values, k=4)) for number in range(1, 500)]
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("CREATE TABLE some (number INTEGER PRIMARY KEY, a, b, c, d)")
    file.executemany("INSERT INTO some VALUES (?, ?, ?, ?, ?)", rows[:250])
    file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.executemany("INSERT INTO some VALUES (?, ?, ?, ?, ?)", rows[250:])
    file.execute("DELETE FROM some WHERE number <= 100")
    found = {(number, *columns[1:]) for number, columns in rows_in(path) if len(columns) == 5 and columns[0] is None}
    assert found == set(rows[100:])
    file.close()
    content = bytearray(path.read_bytes())
    for _ in range(200):
        for _ in range(50):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(content)
        list(rows_in(path))
