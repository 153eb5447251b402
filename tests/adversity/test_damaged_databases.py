"""A start on an outbox or dead letters that SQLite gives up: it goes on by itself where nothing is lost for it."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from engine.clock import now_us
from engine.contracts import OutRow
from engine.dead_letters import Cause, DeadLetters
from engine.errors import Refused
from tests.adversity.engine_process import Victim
from tests.adversity.test_killed_engine import assert_kept, last_life
from tests.integration.test_app import delivered, lines_protocol, picks, queued, run, site
from tests.promises import Promises

__all__ = ["lines_protocol"]

LETTERS = 400
WAL_FLIPS = 30


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


def test_a_flipped_bit_in_the_write_ahead_log_takes_nothing_that_only_the_outbox_has(tmp_path: Path) -> None:
    """SQLite drops all commits from there on. What snapshots stand for must not be among them: the rest the journal's
    tail makes once more."""
    victim = Victim(tmp_path / "data")
    names = [f"LU-{n}" for n in range(600)]
    for at in range(0, len(names), 20):
        victim.feed(names[at : at + 20])
        victim.until(lambda at=at: len(victim.acknowledged) >= at + 20)  # type: ignore[misc]
    victim.kill()
    ledger = victim.end()
    assert not list((tmp_path / "data" / "journal").glob("00000001.journal*")), "it cannot be built anew"
    wal = tmp_path / "data" / "outbox.sqlite-wal"
    chance = random.Random(3)
    for number in range(WAL_FLIPS):
        data = Path(shutil.copytree(tmp_path / "data", tmp_path / f"data-{number}"))
        content = bytearray(wal.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        (data / wal.name).write_bytes(content)
        assert_kept(data, ledger + last_life(data, f"LU-last-{number}"), Promises())


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


def test_one_of_which_something_that_waits_cannot_is_refused(tmp_path: Path) -> None:
    path = site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"')
    run(path, delivered(2))
    outbox = tmp_path / "data" / "outbox.sqlite"
    spoil(outbox, "lanes")
    with pytest.raises(Refused, match=r"outbox\.sqlite: is damaged.*sortline fsck --repair"):
        run(path, delivered(0))
    assert outbox.exists()
    assert not list(outbox.parent.glob("outbox.sqlite*.bad"))


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
