"""kill -9 of a command at any step: nothing is lost or twice, and the same command does it the next time.

SORTLINE_KILLS says how often where it is by chance (CI: 100); `make torture` asks for thousands.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import dead_letters
from engine.cli import main
from engine.contracts import OutRow
from engine.dead_letters import DeadLetters
from engine.errors import Refused
from engine.letter import Cause
from engine.recordings import read
from engine.segment_folder import SegmentFolder
from tests.adversity.engine_process import die_at
from tests.integration.test_data_folders_of_releases import FOLDERS, unpacked
from tests.integration.test_fsck import DECIDED, left_behind, segments, snapshots
from tests.integration.test_pipeline import RULES
from tests.integration.test_restarts import LINES, bodies, told

__all__ = ["left_behind"]

KILLS = int(os.environ.get("SORTLINE_KILLS", "100"))
LETTERS = 400
STEPS_MAX = 200


def in_a_process(work: Callable[[], object], kill_after_s: float | None = None) -> int:
    """Exit code of a fork that does it: 0, or what it says; -9: killed."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            found = work()
            code = found if isinstance(found, int) else 0
        finally:
            os._exit(code)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def killed_at_every_step(begin: Callable[[], object], work: Callable[[], object], then: Callable[[int], None]) -> int:
    """begin: before each life. then: after the one that was killed at so many steps. Returns how many there were."""
    for step in range(1, STEPS_MAX):
        begin()

        def life(step: int = step) -> object:
            die_at(step)
            return work()

        if in_a_process(life) != -signal.SIGKILL:
            return step - 1
        then(step)
    raise AssertionError("it never comes to its end")


def noise(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def leave_only_the_last_segment(data: Path) -> None:
    """And that damaged, with nothing that stands for anything else."""
    noise(segments(data)[-1])
    for path in (*snapshots(data), *segments(data)[:-1], data / "outbox.sqlite", data / "queue.sqlite"):
        path.unlink()


def take_snapshots_and_beginning(data: Path) -> None:
    for path in (*snapshots(data), segments(data)[0]):
        path.unlink()


DAMAGES: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "the outbox": (lambda data: noise(data / "outbox.sqlite"), ()),
    "a snapshot": (lambda data: noise(snapshots(data)[-1]), ()),
    "a segment in the middle": (lambda data: noise(segments(data)[-3]), ()),
    "the last segment": (lambda data: noise(segments(data)[-1]), ()),
    "the only segment": (leave_only_the_last_segment, ("--accept-loss",)),
    "a segment that is gone": (lambda data: segments(data)[-2].unlink(), ()),
    "the rules": (lambda data: noise(data / "rules.json"), ()),
    "no snapshot and no beginning": (take_snapshots_and_beginning, ("--accept-loss",)),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_repair_that_is_killed_is_done_by_the_next(left_behind: Path, tmp_path: Path, what: str) -> None:
    """With the same outcome as one that nobody killed."""
    damage, options = DAMAGES[what]
    damaged = Path(shutil.copytree(left_behind, tmp_path / "damaged"))
    damage(damaged)
    data = tmp_path / "data"

    def begin() -> None:
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(damaged, data)

    def repair() -> int:
        return main(["fsck", "--repair", *options, str(data)])

    begin()
    assert in_a_process(repair) == 0
    said = starts(data)
    lossy = _says_a_loss(data)

    def then(step: int) -> None:
        at_once = Path(shutil.copytree(data, tmp_path / f"at-once-{step}"))
        with contextlib.suppress(Refused):  # or it is refused; what it is not is lost in silence
            assert (starts(at_once), _says_a_loss(at_once)) == (said, lossy), step
        assert in_a_process(repair) == 0, step
        assert starts(data) == said, step
        assert _says_a_loss(data) == lossy, step

    assert killed_at_every_step(begin, repair, then) > 0


def starts(data: Path) -> list[bytes]:
    """What is told once a start has read everything."""
    return told(data, [], (0, False, RULES), keep_bytes=1 << 24)


def _says_a_loss(data: Path) -> bool:
    folder = SegmentFolder(data / "journal")
    return any(map(folder.is_loss, folder.numbers()))


@pytest.mark.parametrize("ending", ["ndjson", "zst"])
def test_an_export_that_is_killed_leaves_no_half_file(left_behind: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out.{ending}"

    def export() -> int:
        return main(["journal", "export", str(left_behind), "--out", str(out)])

    def whole() -> bool:
        return b"".join(chunk.data for chunk in read(str(out))) == b"".join(line + b"\n" for line in LINES[:DECIDED])

    def then(step: int) -> None:
        assert not out.exists() or whole(), step
        if not out.exists():
            assert in_a_process(export) == 0, step
        assert whole()

    assert killed_at_every_step(lambda: out.unlink(missing_ok=True), export, then) > 0
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_replay_that_is_killed_leaves_the_file_of_before(left_behind: Path, tmp_path: Path) -> None:
    out = tmp_path / "events.ndjson"

    def replay() -> int:
        return main(["replay", str(left_behind), "--out", str(out)])

    assert in_a_process(replay) == 0
    expected = out.read_bytes()
    assert expected

    def then(step: int) -> None:
        assert out.read_bytes() in (b"before", expected), step
        assert in_a_process(replay) == 0, step
        assert out.read_bytes() == expected

    assert killed_at_every_step(lambda: out.write_bytes(b"before"), replay, then) > 0
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def letters_in(folder: Path) -> DeadLetters:
    letters = DeadLetters(folder / "dead.sqlite", lambda: 1_700_000_000_000_000)
    rows = [OutRow(n, f"e{n}", "pick.confirmed", "erp", f"k{n}", b"{}") for n in range(1, LETTERS + 1)]
    letters.bury("erp", rows, Cause("permanent", "400", "no"))
    return letters


def states(letters: DeadLetters) -> Counter[str]:
    found = Counter(letter.state for letter in letters.find())
    found["discarded"] = letters.counts().get("discarded/erp/erp", 0)
    return +found


@pytest.mark.parametrize(("action", "state"), [("replay", "wanted"), ("discard", "discarded")])
def test_a_step_on_letters_that_is_killed_has_been_taken_for_each_or_not(
    tmp_path: Path, action: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "AT_ONCE", 10)
    monkeypatch.setattr(dead_letters, "BETWEEN_S", 0.005)
    chance = random.Random(7)
    command = ["dlq", action, str(tmp_path / "dead.sqlite"), "--all", "--yes"]
    letters = letters_in(tmp_path)
    letters.close()
    shutil.copytree(tmp_path, tmp_path / "fresh")
    began_s = time.monotonic()
    assert in_a_process(lambda: main(command)) == 0
    took_s = time.monotonic() - began_s
    between = turn = 0
    while turn < max(6, KILLS // 16) or not between:
        turn += 1
        assert between or turn < 200, "it is never killed in between"
        for path in tmp_path.glob("dead.sqlite*"):
            path.unlink()
        shutil.copy(tmp_path / "fresh" / "dead.sqlite", tmp_path)
        for _ in range(3):
            in_a_process(lambda: main(command), chance.uniform(0, took_s))
        letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 0)
        found = states(letters)
        assert sum(found.values()) == LETTERS
        assert len(letters.audit(10 * LETTERS)) == found[state], "each with its line"
        between += 0 < found[state] < LETTERS
        # how fast the computer is changes while it runs
        took_s *= 0.8 if found[state] == LETTERS else 1.0 if found[state] else 1.5
        letters.close()
        assert in_a_process(lambda: main(command)) == 0 or found[state] == LETTERS
        letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 0)
        assert states(letters) == {state: LETTERS}
        letters.close()


def test_an_export_of_letters_that_is_killed_leaves_no_half_file(tmp_path: Path) -> None:
    chance = random.Random(8)
    letters_in(tmp_path).close()
    out = tmp_path / "letters.ndjson"
    command = ["dlq", "export", str(tmp_path / "dead.sqlite"), "--all", "--output", str(out)]
    began_s = time.monotonic()
    assert in_a_process(lambda: main(command)) == 0
    took_s = time.monotonic() - began_s
    for _ in range(max(6, KILLS // 16)):
        out.unlink(missing_ok=True)
        in_a_process(lambda: main(command), chance.uniform(0, took_s))
        assert not out.exists() or out.read_bytes().count(b"\n") == LETTERS
        assert out.exists() or in_a_process(lambda: main(command)) == 0
        assert out.read_bytes().count(b"\n") == LETTERS
        assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)
def test_a_start_on_a_folder_of_an_earlier_version_may_be_killed(tmp_path: Path, path: Path) -> None:
    chance = random.Random(9)
    folder = unpacked(path, tmp_path / "data")
    lines = (folder / "input.ndjson").read_bytes().splitlines()
    left = lines[int((folder / "accepted.txt").read_text()) :]

    def start() -> None:
        told(folder, left, (0, False, RULES), keep_bytes=1 << 24)

    fresh = shutil.copytree(folder, tmp_path / "fresh")
    not_killed = shutil.copytree(folder, tmp_path / "not_killed")
    expected = told(not_killed, left, (len(left), False, RULES), keep_bytes=1 << 24)
    began_s = time.monotonic()
    assert in_a_process(start) == 0
    took_s = time.monotonic() - began_s
    for _ in range(max(5, KILLS // 20)):
        shutil.rmtree(folder)
        shutil.copytree(fresh, folder)
        for _ in range(4):
            in_a_process(start, chance.uniform(0, took_s))
        assert told(folder, left, (len(left), False, RULES), keep_bytes=1 << 24) == expected
        assert bodies(folder) == expected
