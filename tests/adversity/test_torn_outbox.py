"""A crash inside a commit of the outbox: what was committed before is there, and of the commit all or nothing.

SQLite promises it; the crash states of the journal rely on it, so it is tried here: of the bytes that the commit wrote
to the write-ahead log any blocks may have reached the disk, in any order.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from engine.contracts import Emitted
from engine.model import BUSINESS
from engine.outbox import SqliteOutbox
from tests.counting_core import event

STATES = 300
SECTOR = 512
ROUTES = {type_: {"queue": "erp"} for type_ in BUSINESS}


def opened(folder: Path) -> SqliteOutbox:
    return SqliteOutbox(folder / "outbox.sqlite", routes=ROUTES, sinks=["queue"], rows_max=10_000)


def events(first: int, last: int) -> list[Emitted]:
    return [Emitted(*event(n, f"LU-{n}", note="x" * 300)) for n in range(first, last + 1)]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def torn(before: bytes, after: bytes, draw: random.Random) -> bytes:
    """Any of the sectors that differ are as they were, and the end may be missing."""
    left = bytearray(before.ljust(len(after), b"\0"))
    sectors = [at for at in range(0, len(after), SECTOR) if left[at : at + SECTOR] != after[at : at + SECTOR]]
    match draw.randrange(3):
        case 0:
            kept = sectors[: draw.randrange(len(sectors) + 1)]
        case 1:
            kept = [at for at in sectors if draw.random() < 0.5]
        case _:
            kept = [at for at in sectors if draw.random() < 0.95]
    for at in kept:
        left[at : at + SECTOR] = after[at : at + SECTOR]
    return bytes(left[: draw.choice((len(left), draw.randrange(len(before), len(left) + 1)))])


def test_a_commit_that_a_crash_cuts_short_is_there_or_not(tmp_path: Path) -> None:
    live = tmp_path / "live"
    live.mkdir()
    outbox = opened(live)
    outbox.append(events(1, 5))
    lane = outbox.lanes("queue")[0].number
    outbox.advance(lane, 2, delivered=2)
    before = files(live)
    outbox.append(events(6, 12))
    after = files(live)
    outbox.close()
    assert before.keys() == after.keys()
    changed = [name for name in after if after[name] != before[name]]
    assert changed == ["outbox.sqlite-wal"]
    draw = random.Random(1)
    found = set()
    for number in range(STATES):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, content in before.items():
            (folder / name).write_bytes(torn(content, after[name], draw) if name in changed else content)
        again = opened(folder)
        last = again.last_sequence()
        rows = again.read(lane, 100)
        assert last in (5, 12)
        assert [(row.id, row.body) for row in rows] == [(each.id, each.body) for each in events(3, last)]
        again.append(events(1, 12))
        assert len(again.read(lane, 100)) == 10
        again.close()
        found.add(last)
        shutil.rmtree(folder)
    assert found == {5, 12}
