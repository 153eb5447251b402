"""A start on an outbox or dead letters that SQLite gives up: it goes on by itself where nothing is lost for it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.app import Engine
from engine.clock import now_us
from engine.contracts import OutRow
from engine.dead_letters import DeadLetters
from engine.errors import Refused
from engine.letter import Cause
from engine.mended_databases import letters_in_order
from engine.mended_databases import opened as opened_in_order
from engine.outbox import SqliteOutbox
from engine.run import without_what_is_missing
from engine.sinks.queue import Queue, Settings
from engine.sinks.queue_mended import opened_queue
from engine.snapshots import MAGIC
from tests.integration.test_app import delivered, lines_protocol, picks, queued, run, running, site
from tests.unit.test_outbox import emitted, opened

__all__ = ["lines_protocol"]

LETTERS = 400


def spoil(path: Path, table: str, at: int = 0) -> None:
    """What holds a page of the table together: its first one, or one of its leaves."""
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = file.execute("PRAGMA page_size").fetchone()
        pages = [root]
        if at:
            found = file.execute("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'", (table,)).fetchall()
            pages = [found[at][0]]
    file.close()
    with path.open("r+b") as raw:
        for page in pages:
            raw.seek((page - 1) * size + (100 if page == 1 else 0) + 3)
            raw.write(b"\xff" * 12)


def test_what_a_snapshot_stands_for_is_in_the_outbox_itself(tmp_path: Path) -> None:
    """Of the write-ahead log SQLite drops all commits behind a damaged one."""
    outbox = opened(tmp_path)
    outbox.append([emitted(1), emitted(2)])
    assert (tmp_path / "outbox.sqlite-wal").stat().st_size > 0
    outbox.settle()
    assert (tmp_path / "outbox.sqlite-wal").stat().st_size == 0
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "outbox.sqlite", tmp_path / "alone")
    outbox.close()
    alone = opened(tmp_path / "alone")
    assert alone.last_sequence() == 2
    alone.close()


def test_an_outbox_of_which_all_that_waits_can_be_read_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"'), delivered(2))
    outbox = tmp_path / "data" / "outbox.sqlite"
    spoil(outbox, "told")
    run(site(tmp_path, two=f'file = "{picks(tmp_path, "two", "T-3")}"'), delivered(1))
    assert [int(event["sequence"]) for event in queued(tmp_path)] == [1, 2, 3]
    assert outbox.with_name("outbox.sqlite.bad").exists()
    assert f"{outbox}: made of what could be read of the damaged one" in caplog.text


@pytest.mark.parametrize("table", ["lanes", "events"])
def test_what_cannot_be_read_the_journal_makes_again(
    tmp_path: Path, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the lanes all of it, and the sinks know what they have."""
    run(site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"'), delivered(2))
    outbox = tmp_path / "data" / "outbox.sqlite"
    spoil(outbox, table)
    path = site(tmp_path, two=f'file = "{picks(tmp_path, "two", "T-3")}"')
    run(path, lambda _: len(queued(tmp_path)) == 3)
    assert [int(event["sequence"]) for event in queued(tmp_path)] == [1, 2, 3]
    assert outbox.with_name("outbox.sqlite.bad").exists()
    assert (f"{outbox}: nothing of it could be used: a new one is begun" in caplog.text) == (table == "lanes")


def test_a_queue_without_its_log_is_sent_what_that_had(tmp_path: Path) -> None:
    """SQLite takes it for a queue that has had nothing yet."""
    path = site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"')
    killed = tmp_path / "killed"

    def as_a_kill_leaves_it(engine: Engine) -> bool:
        if engine.metrics.sink("queue").delivered < 2:
            return False
        shutil.copytree(tmp_path / "data", killed, ignore=shutil.ignore_patterns("*.sock"))
        return True

    run(path, as_a_kill_leaves_it)
    before = queued(tmp_path)
    shutil.rmtree(tmp_path / "data")
    killed.rename(tmp_path / "data")
    (tmp_path / "data" / "queue.sqlite-wal").unlink()
    run(site(tmp_path), lambda _: len(queued(tmp_path)) == 2)
    assert queued(tmp_path) == before


def test_what_the_journal_has_not_any_more_is_refused(tmp_path: Path) -> None:
    path = site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"')
    run(path, delivered(2))
    spoil(tmp_path / "data" / "outbox.sqlite", "lanes")
    (tmp_path / "data" / "journal" / "00000001.journal").rename(tmp_path / "gone")
    (tmp_path / "data" / "journal" / "00000002.journal").touch()
    for _ in range(2):
        with pytest.raises(Refused, match=r"00000001.journal is missing.* 2 events had been told"):
            run(path, lambda engine: engine.metrics.state == "running")


@pytest.mark.parametrize("how", ["outbox", "outbox and journal", "all but the outbox", "the last segment"])
def test_a_start_goes_on_without_what_nobody_has_any_more(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What an operator could do about it, `sortline run` does."""
    run(site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"'), delivered(2))
    before = queued(tmp_path)
    data = tmp_path / "data"
    segments = sorted((data / "journal").glob("*.journal"))
    if "outbox" in how.split("but")[0]:
        spoil(data / "outbox.sqlite", "lanes")
    if how == "outbox and journal":
        segments[0].rename(tmp_path / "gone")
        (data / "journal" / "00000002.journal").touch()
    elif how == "all but the outbox":
        shutil.rmtree(data / "journal")
        shutil.rmtree(data / "snapshots")
    elif how == "the last segment":
        segments[-1].rename(tmp_path / "gone")
    path = site(tmp_path, two=f'file = "{picks(tmp_path, "two", "T-3")}"')
    without_what_is_missing(data, lambda: running(path, lambda _: len(queued(tmp_path)) == 3))
    after = queued(tmp_path)
    assert after[:2] == before
    assert after[2]["subject"] == "task/T-3"
    assert int(after[2]["sequence"]) > 2
    if how != "outbox":
        assert "repaired: " in caplog.text
        assert list(data.glob("fsck-*.report"))


def test_dead_letters_outlive_an_outbox_that_is_gone(tmp_path: Path) -> None:
    """A start that finds that nothing fits must not take what no lane of a new outbox has passed for one cut short."""
    path = site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"')
    run(path, delivered(2))
    data = tmp_path / "data"
    letters = DeadLetters(data / "dead.sqlite", now_us)
    rows = [OutRow(n, f"e{n}", "pick.confirmed", "erp.inventory", f"k{n}", b"x") for n in (1, 2)]
    letters.bury("queue", rows, Cause("permanent", "400", "no"))
    letters.close()
    (data / "outbox.sqlite").unlink()
    (data / "journal" / "00000001.journal").rename(tmp_path / "gone")
    (data / "journal" / "00000002.journal").touch()
    without_what_is_missing(data, lambda: running(path, lambda engine: engine.metrics.sink("queue").state == "up"))
    letters = DeadLetters(data / "dead.sqlite", now_us)
    assert [letter.id for letter in letters.find()] == ["e1", "e2"]
    letters.close()


def test_a_snapshot_of_another_version_is_not_given_up(tmp_path: Path) -> None:
    """That one goes on from it: nothing in the folder is changed."""
    path = site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"')
    run(path, delivered(2))
    data = tmp_path / "data"
    (data / "journal" / "00000001.journal").rename(tmp_path / "gone")
    for snapshot in (data / "snapshots").glob("*.snapshot"):
        content = bytearray(snapshot.read_bytes())
        content[len(MAGIC)] = 99
        snapshot.write_bytes(content)
    with pytest.raises(Refused, match=r"accounts for 0 business events, the outbox for 2"):
        without_what_is_missing(data, lambda: running(path, delivered(1)))
    assert not list(data.glob("fsck-*.report"))
    assert len(list((data / "snapshots").glob("*.snapshot"))) > 0


@pytest.mark.parametrize("how", ["a page", "its end", "all of it"])
def test_dead_letters_are_kept_as_far_as_they_can_be_read(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"'), delivered(2))
    path = tmp_path / "data" / "dead.sqlite"
    letters = DeadLetters(path, now_us)
    rows = [OutRow(n, f"e{n}", "pick.confirmed", "other", f"k{n}", b"x" * 200) for n in range(1, LETTERS + 1)]
    letters.bury("another", rows, Cause("permanent", "400", "no"))
    letters.close()
    if how == "a page":
        spoil(path, "letters", 10)
    elif how == "its end":
        os.truncate(path, int(path.stat().st_size * 0.9))
    else:
        path.write_bytes(b"\xff" * path.stat().st_size)
    run(site(tmp_path, two=f'file = "{picks(tmp_path, "two", "T-3")}"'), delivered(1))
    letters = DeadLetters(path, now_us)
    found = len(letters.find())
    assert LETTERS * 0.8 < found < LETTERS if how != "all of it" else found == 0
    letters.close()
    assert path.with_name("dead.sqlite.bad").exists()
    assert f"{path}: is damaged" in caplog.text
    assert len(queued(tmp_path)) == 3


FLIPS = {
    "how it is written": (18, 0x40),
    "its schema": (0, 0x80),
}


def outbox_in(folder: Path) -> SqliteOutbox:
    return opened_in_order(folder / "outbox.sqlite", lambda: opened(folder))


def letters_in(folder: Path) -> DeadLetters:
    path = folder / "dead.sqlite"
    letters_in_order(path)
    return opened_in_order(path, lambda: DeadLetters(path, now_us))


def queue_in(folder: Path) -> Queue:
    return opened_queue(folder / "queue.sqlite", Settings())


OPENED: dict[str, Callable[[Path], SqliteOutbox | DeadLetters | Queue]] = {
    "outbox.sqlite": outbox_in,
    "dead.sqlite": letters_in,
    "queue.sqlite": queue_in,
}


@pytest.mark.parametrize("name", OPENED)
def test_i8_no_bit_of_its_version_makes_a_file_a_newer_programs(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of version 3 is one bit from one of version 7: that was refused, at each start."""
    path = tmp_path / name
    OPENED[name](tmp_path).close()
    sound = path.read_bytes()
    for bit in (*range(8 * 60, 8 * 64), *range(8 * 68, 8 * 72)):
        content = bytearray(sound)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        OPENED[name](tmp_path).close()
        assert path.read_bytes()[60:72] == sound[60:72], bit
    assert "a flipped bit of its version, turned back" in caplog.text
    assert not list(tmp_path.glob("*.bad"))


@pytest.mark.parametrize("name", OPENED)
def test_a_file_of_a_newer_program_is_refused(tmp_path: Path, name: str) -> None:
    """As that program will have written it, and where somebody says so in one place."""
    path = tmp_path / name
    for statement in ("PRAGMA user_version = 20", "PRAGMA application_id = 0x534C1414"):
        OPENED[name](tmp_path).close()
        with sqlite3.connect(path) as file:
            file.execute(statement)
            file.execute("PRAGMA user_version = 20")
        file.close()
        for _ in range(2):
            with pytest.raises(Refused, match=r"of version 20, .*: start the newer one"):
                OPENED[name](tmp_path)
        assert [each.name for each in tmp_path.glob("*.*")] == [name]
        path.unlink()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        *[("outbox.sqlite", column) for column in ("since_us", "content", "delivered")],
        *[("dead.sqlite", column) for column in ("last_us", "action", "value")],
        *[("queue.sqlite", column) for column in ("partitionkey", "last", "position")],
    ],
)
def test_i8_a_flipped_bit_in_the_name_of_a_column_stops_no_start(tmp_path: Path, name: str, column: str) -> None:
    """To SQLite it was another name: some statement failed, after each start, and the process ended."""
    path = tmp_path / name
    (tmp_path / "journal").mkdir()
    OPENED[name](tmp_path).close()
    content = path.read_bytes()
    at = content.index(f"{column} ".encode())
    path.write_bytes(content[:at] + bytes([content[at] ^ 2]) + content[at + 1 :])
    OPENED[name](tmp_path).close()
    assert path.with_name(f"{name}.bad").exists()
    with sqlite3.connect(path) as file:
        tables = [table for (table,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {row[1] for table in tables for row in file.execute(f"PRAGMA table_info({table})")}
    file.close()
    assert column in found


def test_an_earlier_programs_file_gets_the_second_version(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as file:
        file.execute("PRAGMA application_id = 0")
    file.close()
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as file:
        assert file.execute("PRAGMA application_id").fetchone() == (0x534C0303,)
    file.close()


@pytest.mark.parametrize("flip", FLIPS)
@pytest.mark.parametrize("name", ["outbox.sqlite", "dead.sqlite", "queue.sqlite"])
def test_a_flipped_bit_of_what_a_file_says_of_itself_stops_no_start(tmp_path: Path, name: str, flip: str) -> None:
    """SQLite, or Python for what SQLite says then, took it for a disk that cannot be written to, a newer program's, a
    new file, or had no words for it at all: each start ended there."""
    run(site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"'), delivered(2))
    path = tmp_path / "data" / name
    content = bytearray(path.read_bytes())
    at, bit = FLIPS[flip]
    if flip == "its schema":
        at = content.index(b"CREATE TABLE ") + len(b"CREATE TABL")
    content[at] ^= bit
    path.write_bytes(content)
    run(site(tmp_path, two=f'file = "{picks(tmp_path, "two", "T-3")}"'), delivered(1))
    assert path.with_name(f"{name}.bad").exists()
    if name != "queue.sqlite" or flip != "its schema":
        assert [event["subject"] for event in queued(tmp_path)] == ["task/T-1", "task/T-2", "task/T-3"]


def spoil_index(path: Path, index: str) -> None:
    """One bit, so that what leads to a row no longer does, and nothing else is wrong with the file."""
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA journal_mode = DELETE")
        ((page, size),) = file.execute(
            "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = ?", (index,)
        )
    file.close()
    sound = path.read_bytes()
    for bit in range(8 * page * size - 1, 8 * (page - 1) * size, -1):
        content = bytearray(sound)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with sqlite3.connect(path) as file:
            found = [
                str(file.execute(f"PRAGMA {check}(1)").fetchone()[0]) for check in ("quick_check", "integrity_check")
            ]
        file.close()
        if found[0] == "ok" != found[1] and "missing from index" in found[1]:
            return
    raise AssertionError(f"no bit of {index} does that")


@pytest.mark.parametrize("index", ["letters_once", "letters_by_state", "letters_by_key", "letters_by_size"])
def test_i8_a_flipped_bit_in_an_index_of_the_letters_ends_no_engine(tmp_path: Path, index: str) -> None:
    """The first letter that was sent again or discarded ended the process, and each start found the file sound."""
    letters = letters_in(tmp_path)
    rows = [OutRow(n, f"e{n}", "t", "q", f"k{n}", b"x") for n in range(1, 11)]
    letters.bury("erp", rows, Cause("permanent", "422", "no"))
    letters.close()
    spoil_index(tmp_path / "dead.sqlite", index)
    letters = letters_in(tmp_path)
    assert [letter.number for letter in letters.find()] == list(range(1, 11))
    assert letters.want(range(1, 11), 0, "me") == 10
    while letter := letters.next_wanted("erp", "q", in_order=True):
        begun = letters.begin(letter, 10)
        assert begun is not None
        letters.delivered(begun)
    assert letters.find() == []
    letters.close()


def test_i8_a_flipped_bit_in_an_index_of_a_queue_ends_no_engine(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    queue.put([OutRow(n, f"e{n}", "t", "q", "k", b"{}") for n in range(1, 11)])
    queue.close()
    spoil_index(tmp_path / "queue.sqlite", "entries_by_id")
    queue = queue_in(tmp_path)
    queue.put([OutRow(n, f"e{n}", "t", "q", "k", b"{}") for n in range(1, 12)])
    assert [entry.id for entry in queue.read("q", 0, 20)] == [f"e{n}" for n in range(1, 12)]
    queue.close()
