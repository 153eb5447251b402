"""A bit of the outbox that flips while nobody looks: SQLite has no checksums of its own, so it would hand out whatever
stands there.

Whatever is hit, an event leaves as it was told, once and in its lane, or the file is refused by name with the command
that helps; and that helps.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine.sqlite_file
from engine.app import usable
from engine.cli import main
from engine.contracts import Account, Emitted, OutRow
from engine.errors import Refused
from engine.journal import Position
from engine.mended_databases import opened as opened_in_order
from engine.outbox import SqliteOutbox
from engine.outbox_salvage import salvage
from engine.outbox_sums import row_sum
from engine.rule_book import RuleSet
from engine.snapshots import Snapshot, Snapshots
from tests.counting_core import event

ROUTES = {"pick.confirmed": {"erp": "erp.inventory"}, "carton.closed": {"erp": "erp.shipping"}}
E30 = "event e30 (sequence 30, pick.confirmed of key-e30) has other content"
EVENTS = [
    Emitted(*event(n, f"e{n}", ("pick.confirmed", "carton.closed")[n % 2], lu=f"LU-{n}", note="x" * 200))
    for n in range(1, 41)
]
CURSOR = 12
FLIPS = 1_000
INVENTORY = (1, "erp", "erp.inventory", "pick.confirmed", None, CURSOR, 20, 4, 0)
BEHIND = f"UPDATE lanes SET delivered = 4, sum = {row_sum(*INVENTORY)} WHERE number = 1"


def opened(folder: Path) -> SqliteOutbox:
    return SqliteOutbox(folder / "outbox.sqlite", routes=ROUTES, sinks=["erp"], rows_max=1_000)


def left(outbox: SqliteOutbox) -> dict[str, list[OutRow]]:
    """What each queue would get now."""
    return {lane.queue: outbox.read(lane.number, 1_000) for lane in outbox.lanes("erp")}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, list[OutRow]]]:
    """The file's bytes, all in the main file, some events delivered and some not; and what is left to deliver."""
    folder = tmp_path_factory.mktemp("sound")
    outbox = opened(folder)
    outbox.append(EVENTS)
    for lane in outbox.lanes("erp"):
        done = [row for row in outbox.read(lane.number, 1_000) if row.position <= CURSOR]
        outbox.advance(lane.number, CURSOR, delivered=len(done))
    rows = left(outbox)
    outbox.close()
    return (folder / "outbox.sqlite").read_bytes(), rows


def flips(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Half of them anywhere, half where the rows stand that decide what leaves: lanes, the last event, the events."""
    rng = random.Random(11)
    marks = [content.find(word) for word in (b"erpposerp.inventory", b"erperp.inventory", b"pick.confirmed", b"LU-40")]
    places = [mark for mark in marks if mark >= 0]
    for n in range(FLIPS):
        at = rng.randrange(len(content)) if n % 2 else rng.choice(places) + rng.randrange(-40, 60)
        flipped = bytearray(content)
        flipped[at] ^= 1 << rng.randrange(8)
        yield at, bytes(flipped)


def test_a_flipped_bit_changes_no_event_and_loses_none(
    sound: tuple[bytes, dict[str, list[OutRow]]], tmp_path: Path
) -> None:
    content, expected = sound
    ends = {"as told": 0, "refused": 0, "salvaged": 0}
    for at, flipped in flips(content):
        for path in tmp_path.glob("*.*"):
            path.unlink()
        (tmp_path / "journal").mkdir(exist_ok=True)
        (tmp_path / "outbox.sqlite").write_bytes(flipped)
        try:
            outbox = opened(tmp_path)
        except Refused as refused:
            assert str(tmp_path / "outbox.sqlite") in str(refused), (at, refused)
            assert "sortline fsck" in str(refused) or "start the newer one" in str(refused), (at, refused)
            ends["refused"] += 1
            ends["salvaged"] += repaired(tmp_path, expected) if "start the newer one" not in str(refused) else 0
            continue
        outbox.append(EVENTS)  # the journal's tail, once more
        assert left(outbox) == expected, at
        outbox.close()
        ends["as told"] += 1
    assert 0 < ends["refused"] < FLIPS // 20, ends
    assert ends["salvaged"] > ends["refused"] // 10, ends


def repaired(folder: Path, expected: dict[str, list[OutRow]]) -> bool:
    """Whether the repair saved what waits and where each queue stands. If not, all is built again from the journal."""
    assert main(["fsck", "--repair", str(folder)]) == 0
    saved = (folder / "outbox.sqlite").exists()
    outbox = opened(folder)
    assert outbox.last_sequence() in ((len(EVENTS), CURSOR) if saved else (0,))
    outbox.append(EVENTS)  # the journal, from where it is needed
    assert left(outbox) == expected if saved else sum(map(len, left(outbox).values())) == len(EVENTS)
    outbox.close()
    return saved


def spoilt(file: Path, statement: str) -> None:
    with sqlite3.connect(file) as database:
        database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE events SET body = replace(body, 'LU-30', 'LU-31') WHERE sequence = 30", E30),
        ("UPDATE events SET sequence = 300 WHERE sequence = 30", E30.replace("sequence 30", "sequence 300")),
        ("DELETE FROM events WHERE sequence = 30", "it has 27 events, and should have 28"),
        ("UPDATE lanes SET cursor = 20 WHERE number = 1", "where sink erp stands in queue erp.inventory has other"),
        ("UPDATE last SET sequence = 20", "the number of the last event has other content"),
        ("INSERT INTO told VALUES (41, 'e41', x'00')", "its last event is 40, and told goes up to 41"),
        (BEHIND, "sink erp has not got 16 events of queue erp.inventory, and 14 are there"),
    ],
)
def test_what_is_damaged_is_named_and_put_aside(
    sound: tuple[bytes, dict[str, list[OutRow]]],
    tmp_path: Path,
    statement: str,
    what: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(sound[0])
    spoilt(path, statement)
    with pytest.raises(Refused, match=re.escape(what)) as refused:
        opened(tmp_path)
    (tmp_path / "journal").mkdir()
    assert main(["fsck", str(tmp_path)]) == 1
    assert f"{path}: is damaged: {what}" in capsys.readouterr().out
    command = str(refused.value).partition("sortline ")[2].split(". ")[0]
    assert main(command.split()) == 0
    assert path.with_name("outbox.sqlite.bad").exists()
    assert path.exists() == ("where sink erp stands" not in what)
    places = {CURSOR} if path.exists() else {0}
    outbox = opened(tmp_path)
    assert outbox.last_sequence() in places | ({len(EVENTS)} if "told" in what else set())
    outbox.append(EVENTS)  # the journal, from where it is needed
    assert outbox.last_sequence() == len(EVENTS)
    assert places == {0} or left(outbox) == sound[1]
    outbox.close()


def test_lanes_that_are_ahead_get_nothing_twice(tmp_path: Path) -> None:
    """One sink has all, the other nothing, and an event that waits cannot be read: the journal makes it again."""
    routes = {type_: {"erp": "erp", "lake": "lake"} for type_ in ROUTES}

    def both() -> SqliteOutbox:
        return SqliteOutbox(tmp_path / "outbox.sqlite", routes=routes, sinks=["erp", "lake"], rows_max=1_000)

    outbox = both()
    outbox.append(EVENTS[:30])
    outbox.advance(outbox.lanes("erp")[0].number, 30, delivered=30)
    outbox.close()
    spoilt(tmp_path / "outbox.sqlite", "DELETE FROM events WHERE sequence = 20")
    outbox = opened_in_order(tmp_path / "outbox.sqlite", both)
    assert outbox.last_sequence() == 0
    erp, lake = outbox.lanes("erp")[0].number, outbox.lanes("lake")[0].number
    for first in range(0, 40, 10):
        outbox.append(EVENTS[first : first + 10])
        assert [row.id for row in outbox.read(erp, 100)] == [f"e{n}" for n in range(31, first + 11)]
    assert [row.id for row in outbox.read(lake, 100)] == [f"e{n}" for n in range(1, 41)]
    assert (outbox.account(erp), outbox.account(lake)) == (Account(40, 30, 10, 0), Account(40, 0, 40, 0))
    outbox.close()


def test_what_no_journal_makes_again_stays_as_far_as_it_is_whole(tmp_path: Path) -> None:
    """The journal was trimmed: it goes back to a snapshot before which 25 events had been told."""
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "00000007.journal").touch()
    Snapshots(tmp_path / "snapshots").write(Snapshot(Position(7, 100), 25, RuleSet("dc1", {}, []), b""))
    outbox = opened(tmp_path)
    outbox.append(EVENTS)
    for lane in outbox.lanes("erp"):
        outbox.advance(lane.number, CURSOR, delivered=CURSOR // 2)
    outbox.close()
    spoilt(tmp_path / "outbox.sqlite", "UPDATE events SET body = 'other' WHERE sequence IN (20, 30)")
    outbox = opened_in_order(tmp_path / "outbox.sqlite", lambda: opened(tmp_path))
    assert outbox.last_sequence() == 25
    outbox.append(EVENTS[25:])
    found = sorted(row.position for rows in left(outbox).values() for row in rows)
    assert found == [n for n in range(CURSOR + 1, 41) if n != 20]
    assert outbox.depth("erp") == len(found)
    outbox.close()


def test_of_the_log_nothing_is_left_that_the_file_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.sqlite_file, "LOG_BYTES_MAX", 20_000)
    outbox = opened(tmp_path)
    sizes = []
    for event_ in EVENTS:
        outbox.append([event_])
        sizes.append((tmp_path / "outbox.sqlite-wal").stat().st_size)
    outbox.close()
    assert max(sizes) < 60_000
    assert sizes.count(0) > 3


def test_a_flipped_bit_of_a_row_is_said_and_turned_back(
    sound: tuple[bytes, dict[str, list[OutRow]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "outbox.sqlite").write_bytes(sound[0].replace(b'"LU-30"', b'"LU-10"', 1))
    (tmp_path / "journal").mkdir()
    assert main(["fsck", str(tmp_path)]) == 0
    assert (
        "outbox.sqlite: a flipped bit, which the next start turns back: event e30 (sequence 30,"
        in capsys.readouterr().out
    )
    outbox = opened(tmp_path)
    assert left(outbox) == sound[1]
    outbox.close()
    assert main(["fsck", str(tmp_path)]) == 0
    assert "a flipped bit" not in capsys.readouterr().out


def test_a_repair_that_was_cut_short_is_done_by_the_next(
    sound: tuple[bytes, dict[str, list[OutRow]]], tmp_path: Path
) -> None:
    """The damaged one was put aside already, and what was salvaged not yet in its place."""
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(sound[0])
    new = salvage(path)
    assert new is not None
    path.rename(tmp_path / "outbox.sqlite.bad")
    (tmp_path / "journal").mkdir()
    assert main(["fsck", "--repair", str(tmp_path)]) == 0
    outbox = opened(tmp_path)
    outbox.append(EVENTS)
    assert left(outbox) == sound[1]
    outbox.close()


@pytest.mark.parametrize("salvaged", [True, False])
def test_a_log_that_a_repair_has_left_is_not_read_into_the_new_outbox(
    sound: tuple[bytes, dict[str, list[OutRow]]], tmp_path: Path, salvaged: bool
) -> None:
    """Only the main file of the damaged one was put aside: what stands beside it is of that one."""
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(sound[0])
    if salvaged:
        assert salvage(path) is not None
    (tmp_path / "other").mkdir()
    other = opened(tmp_path / "other")
    other.append(EVENTS[:1])
    (tmp_path / "outbox.sqlite-wal").write_bytes((tmp_path / "other" / "outbox.sqlite-wal").read_bytes())
    other.close()
    path.rename(tmp_path / "outbox.sqlite.bad")
    (tmp_path / "journal").mkdir()
    assert main(["fsck", "--repair", str(tmp_path)]) == 0
    outbox = opened(tmp_path)
    assert outbox.last_sequence() == (len(EVENTS) if salvaged else 0)
    assert not salvaged or left(outbox) == sound[1]
    outbox.close()
    assert (tmp_path / "outbox.sqlite-wal.bad").exists()


def test_a_folder_in_its_place_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").mkdir()
    with pytest.raises(Refused, match=rf"/outbox\.sqlite: .* sortline fsck {tmp_path}$"), usable(tmp_path):
        opened(tmp_path)
    (tmp_path / "journal").mkdir()
    assert main(["fsck", "--repair", str(tmp_path)]) == 0
    outbox = opened(tmp_path)
    outbox.append(EVENTS)
    outbox.close()


def test_damage_that_comes_while_it_is_open_is_refused_too(
    sound: tuple[bytes, dict[str, list[OutRow]]], tmp_path: Path
) -> None:
    (tmp_path / "outbox.sqlite").write_bytes(sound[0])
    outbox = opened(tmp_path)
    spoilt(tmp_path / "outbox.sqlite", "UPDATE events SET partitionkey = 'k2' WHERE sequence = 30")
    with pytest.raises(Refused, match=r"event e30 \(sequence 30, pick.confirmed of k2\) has other content"):
        left(outbox)
    outbox.close()


def test_an_id_that_was_damaged_beside_its_content_is_put_right(
    sound: tuple[bytes, dict[str, list[OutRow]]], tmp_path: Path
) -> None:
    (tmp_path / "outbox.sqlite").write_bytes(sound[0])
    spoilt(tmp_path / "outbox.sqlite", "UPDATE told SET id = CAST(x'65ff30' AS TEXT) WHERE sequence = 30")
    outbox = opened(tmp_path)
    outbox.append(EVENTS)
    outbox.append([Emitted(41, *EVENTS[29][1:])])  # the same event once more: known by its id again
    assert left(outbox) == sound[1]
    outbox.close()
