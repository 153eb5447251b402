"""A start on an outbox or dead letters that SQLite gives up: it goes on by itself where nothing is lost for it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from engine.clock import now_us
from engine.contracts import OutRow
from engine.dead_letters import Cause, DeadLetters
from engine.errors import Refused
from tests.integration.test_app import delivered, lines_protocol, picks, queued, run, site
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


def test_what_the_journal_has_not_any_more_is_refused(tmp_path: Path) -> None:
    path = site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"')
    run(path, delivered(2))
    spoil(tmp_path / "data" / "outbox.sqlite", "lanes")
    (tmp_path / "data" / "journal" / "00000001.journal").rename(tmp_path / "gone")
    (tmp_path / "data" / "journal" / "00000002.journal").touch()
    for _ in range(2):
        with pytest.raises(Refused, match=r"00000001.journal is missing.* 2 events had been told"):
            run(path, lambda engine: engine.metrics.state == "running")


@pytest.mark.parametrize("how", ["a page", "all of it"])
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
    else:
        path.write_bytes(b"\xff" * path.stat().st_size)
    run(site(tmp_path, two=f'file = "{picks(tmp_path, "two", "T-3")}"'), delivered(1))
    letters = DeadLetters(path, now_us)
    found = len(letters.find())
    assert LETTERS * 0.8 < found < LETTERS if how == "a page" else found == 0
    letters.close()
    assert path.with_name("dead.sqlite.bad").exists()
    assert f"{path}: is damaged" in caplog.text
    assert len(queued(tmp_path)) == 3
