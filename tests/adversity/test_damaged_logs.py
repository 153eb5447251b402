"""Damage in a write-ahead log of SQLite: no commit behind it is lost, and what was never synced stays so."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from engine.contracts import OutRow
from engine.dead_letters import DeadLetters
from engine.letter import Cause, Letter, Refusal
from engine.sinks.queue import Queue, Settings
from engine.sinks.queue_mended import opened_queue
from engine.sqlite_file import open_to_read, reading
from engine.sqlite_log import FRAME_BYTES, HEADER_BYTES, put_in_order

PAGE = 4096
FRAME = FRAME_BYTES + PAGE
NO = Cause("permanent", "400", "no")
HOLDS = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1])
file.execute("SELECT count(*) FROM letters").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


def row(number: int) -> OutRow:
    body = b'{"id":"e%d","data":"%s"}' % (number, b"x" * (number * 37 % 3000))
    return OutRow(number, f"e{number}", "pick.confirmed", "erp", f"O-{number % 7}", body)


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fifty dead letters, all of them in the log, as a kill leaves them beside somebody who reads."""
    work = tmp_path / "work"
    work.mkdir()
    opened = DeadLetters(work / "dead.sqlite", lambda: 7)
    with monkeypatch.context() as patched:
        patched.setattr("engine.sqlite_file.empty_log", lambda _: False)
        for number in range(1, 51):
            opened.bury("web", [row(number)], NO)
    shutil.copytree(work, tmp_path / "killed")
    opened.close()
    return tmp_path / "killed" / "dead.sqlite"


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def found_in(path: Path) -> list[Letter]:
    opened = DeadLetters(path, lambda: 7)
    try:
        return opened.find()
    finally:
        opened.close()


def test_a_flipped_bit_loses_no_commit(letters: Path, tmp_path: Path) -> None:
    """Some bits may have been one of several: then the frame is taken as it is, and only its content has the flip."""
    log, rng, turned, lost = log_of(letters).read_bytes(), random.Random(4), 0, 0
    for turn in range(90):
        folder = tmp_path / str(turn)
        folder.mkdir()
        path = Path(shutil.copy(letters, folder))
        bit = rng.randrange(8 * HEADER_BYTES) if turn < 10 else rng.randrange(8 * len(log))
        damaged = bytearray(log)
        damaged[bit // 8] ^= 1 << bit % 8
        log_of(path).write_bytes(damaged)
        said = list(put_in_order(path))
        if said and "turned back" in said[0]:
            assert log_of(path).read_bytes() == log
            turned += 1
        elif bit // 8 < len(log) - 3 * FRAME:
            lost += len(found_in(path)) < 50
        shutil.rmtree(folder)
    assert turned > 60
    assert lost <= 2, "the name of a page, where a bit of the page may have been the one"


def test_what_is_worse_costs_a_page_and_no_commit_behind_it(letters: Path) -> None:
    log = bytearray(log_of(letters).read_bytes())
    place = 20 * FRAME + HEADER_BYTES + FRAME_BYTES + 3000
    log[place : place + 64] = bytes(range(64))
    log_of(letters).write_bytes(log)
    (said,) = put_in_order(letters)
    assert said.startswith(f"{log_of(letters)}: damaged at offset {20 * FRAME + HEADER_BYTES}: taken as it is")
    assert log_of(letters).with_name("dead.sqlite-wal.bad").read_bytes() == log
    assert list(put_in_order(letters)) == []
    assert [letter.id for letter in found_in(letters)][-20:] == [f"e{number}" for number in range(31, 51)]


def test_what_was_never_synced_is_no_commit(letters: Path) -> None:
    """A machine that stops may leave any of the frames of its last commit."""
    log = bytearray(log_of(letters).read_bytes())
    frames = (len(log) - HEADER_BYTES) // FRAME
    ends = [at for at in range(frames) if any(log[HEADER_BYTES + at * FRAME + 4 :][:4])]
    last = HEADER_BYTES + (ends[-2] + 1) * FRAME
    log[last + FRAME_BYTES : last + FRAME_BYTES + 512] = bytes(512)
    log_of(letters).write_bytes(log)
    assert list(put_in_order(letters)) == []
    assert [letter.id for letter in found_in(letters)] == [f"e{number}" for number in range(1, 50)]


def test_a_log_that_another_process_writes_keeps_its_sums(letters: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLDS, letters], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        log = bytearray(log_of(letters).read_bytes())
        log[20 * FRAME + HEADER_BYTES + 2000 : 20 * FRAME + HEADER_BYTES + 2064] = bytes(range(64))
        log_of(letters).write_bytes(log)
        assert list(put_in_order(letters)) == []
        assert log_of(letters).read_bytes() == log
    finally:
        other.communicate()


def test_a_dead_letter_is_not_in_the_log_alone(tmp_path: Path) -> None:
    """Nothing makes it again; and as soon as whoever read meanwhile has ended."""
    letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 7)
    letters.bury("web", [row(1)], NO)
    letters.refuse({Refusal("payload", "floor", "no number", b"{}"): 1})
    with open_to_read(letters.path) as file, reading(file):
        file.execute("SELECT count(*) FROM letters").fetchone()
        letters.bury("web", [row(2)], NO)
    letters.changes()
    (tmp_path / "killed").mkdir()
    shutil.copy(letters.path, tmp_path / "killed")
    letters.close()
    assert [(each.kind, each.id) for each in found_in(tmp_path / "killed" / "dead.sqlite")] == [
        ("event", "e1"),
        ("payload", ""),
        ("event", "e2"),
    ]


def test_a_log_that_is_gone_takes_the_last_seconds_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("engine.sqlite_file.time.monotonic", lambda: clock[0])
    queue = Queue(tmp_path / "queue.sqlite")
    for number in range(1, 31):
        clock[0] += 1.0
        queue.put([row(number)])
    (tmp_path / "killed").mkdir()
    shutil.copy(queue.path, tmp_path / "killed")
    queue.close()
    left = Queue(tmp_path / "killed" / "queue.sqlite")
    assert len(left.read("erp", 0, 100)) >= 25
    left.close()


def test_a_queue_that_sqlite_gives_up_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "queue.sqlite"
    queue = Queue(path)
    queue.put([row(number) for number in range(1, 401)])
    queue.ack("erp", "connector", 120)
    queue.close()
    with sqlite3.connect(path) as file:
        leaves = "SELECT pageno FROM dbstat WHERE name = 'entries' AND pagetype = 'leaf' ORDER BY pageno"
        pages = file.execute(leaves).fetchall()
    file.close()
    with path.open("r+b") as raw:
        raw.seek((pages[len(pages) // 2][0] - 1) * PAGE)
        raw.write(bytes(16))
    queue = opened_queue(path, Settings())
    assert "queue.sqlite: is damaged" in caplog.text
    assert path.with_name("queue.sqlite.bad").exists()
    queue.put([row(number) for number in range(399, 403)])
    (state,) = queue.states()
    assert (state.last, state.consumers) == (402, {"connector": 120})
    read = [entry.position for entry in queue.read("erp", 0, 1000)]
    assert read == list(range(1, len(read) + 1))
    assert [entry.id for entry in queue.read("erp", 380, 100)] == [f"e{number}" for number in range(381, 403)]
    queue.close()


@pytest.mark.parametrize("gone", [True, False])
def test_a_log_that_another_process_empties_while_it_is_looked_at_is_in_order(
    letters: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """An engine at work empties its log, and takes it away at its end."""

    def read(path: Path) -> bytes:
        if gone:
            raise FileNotFoundError(path)
        return b""

    monkeypatch.setattr("engine.sqlite_log.read_whole", read)
    assert list(put_in_order(letters)) == []
