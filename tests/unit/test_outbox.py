"""Business events stay until every sink has them, leave in order, and never change their content."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine import sqlite_file
from engine.contracts import Account, Emitted, OutRow
from engine.errors import ContentChanged, Full, Refused
from engine.outbox import SqliteOutbox
from engine.outbox_sums import event_sum, row_sum
from engine.sqlite_log import LOG
from tests.counting_core import event

ROUTES = {
    "pick.confirmed": {"erp": "erp.inventory", "lake": "all"},
    "carton.closed": {"erp": "erp.shipping", "lake": "all"},
    "exception.raised": {"lake": "all"},
}


def opened(
    folder: Path,
    *sinks: str,
    rows_max: int = 1_000,
    told_max: int = 1_000,
    routes: Mapping[str, Mapping[str, str]] = ROUTES,
) -> SqliteOutbox:
    return SqliteOutbox(
        folder / "outbox.sqlite",
        routes=routes,
        sinks=sinks or ("erp", "lake"),
        rows_max=rows_max,
        told_max=told_max,
        clock=lambda: 1_000,
    )


def emitted(sequence: int, name: str | None = None, type_: str = "pick.confirmed", **data: object) -> Emitted:
    return Emitted(*event(sequence, name or f"e{sequence}", type_, **data))


def ids(rows: list[OutRow]) -> list[str]:
    return [row.id for row in rows]


def lane(outbox: SqliteOutbox, sink: str, queue: str = "") -> int:
    """The number of the sink's lane; of the only one that goes on, if no queue is given."""
    (found,) = [each.number for each in outbox.lanes(sink) if each.until is None and queue in ("", each.queue)]
    return found


def read(outbox: SqliteOutbox, sink: str, queue: str = "", limit: int = 10) -> list[str]:
    return ids(outbox.read(lane(outbox, sink, queue), limit))


def advance(outbox: SqliteOutbox, sink: str, queue: str, position: int) -> None:
    """As if the sink had taken everything up to there."""
    number = lane(outbox, sink, queue)
    rows = [row for row in outbox.read(number, 1_000) if row.position <= position]
    outbox.advance(number, position, delivered=len(rows))


def test_each_sink_reads_what_its_routes_send_it_in_order(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1), emitted(2, type_="exception.raised"), emitted(3, type_="carton.closed"), emitted(4)])
    assert read(outbox, "erp", "erp.inventory") == ["e1", "e4"]
    assert read(outbox, "erp", "erp.shipping") == ["e3"]
    rows = outbox.read(lane(outbox, "lake"), 10)
    assert [(row.id, row.queue) for row in rows] == [("e1", "all"), ("e2", "all"), ("e3", "all"), ("e4", "all")]
    assert (outbox.depth("erp"), outbox.depth("lake")) == (3, 4)
    assert outbox.oldest_us(lane(outbox, "erp", "erp.shipping")) == 1_000
    outbox.close()


def test_a_lane_moves_alone_and_survives_a_restart(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(n, type_=("pick.confirmed", "carton.closed")[n % 2]) for n in range(1, 7)])
    advance(outbox, "erp", "erp.shipping", 3)
    outbox.close()
    outbox = opened(tmp_path)
    assert read(outbox, "erp", "erp.shipping") == ["e5"]
    assert read(outbox, "erp", "erp.inventory") == ["e2", "e4", "e6"]
    assert len(read(outbox, "lake")) == 6
    assert (outbox.depth("erp"), outbox.depth("lake")) == (4, 6)
    outbox.advance(lane(outbox, "erp", "erp.shipping"), 2, delivered=1)  # a cursor never moves back
    assert outbox.account(lane(outbox, "erp", "erp.shipping")) == Account(3, 2, 1, 0)
    outbox.close()


def test_rows_go_when_every_lane_that_gets_them_has_them(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1, type_="exception.raised"), emitted(2), emitted(3, type_="carton.closed"), emitted(4)])
    advance(outbox, "lake", "all", 4)
    assert stored(tmp_path) == [2, 3, 4]
    advance(outbox, "erp", "erp.shipping", 3)
    assert stored(tmp_path) == [2, 4]
    advance(outbox, "erp", "erp.inventory", 2)
    assert stored(tmp_path) == [4]
    assert outbox.oldest_us(lane(outbox, "lake")) == 0
    outbox.close()


def test_a_lane_that_is_held_holds_back_only_what_it_gets(tmp_path: Path) -> None:
    outbox = opened(tmp_path, "erp", rows_max=20)
    outbox.append([emitted(1, type_="carton.closed")])
    for first in range(2, 202, 10):
        outbox.append([emitted(n) for n in range(first, first + 10)])
        advance(outbox, "erp", "erp.inventory", first + 9)
        assert outbox.rows == 1
    outbox.append([emitted(202, type_="carton.closed"), emitted(203)])
    outbox.close()
    outbox = opened(tmp_path, "erp", rows_max=20)
    assert stored(tmp_path) == [1, 202, 203]
    assert read(outbox, "erp", "erp.shipping") == ["e1", "e202"]
    advance(outbox, "erp", "erp.shipping", 202)
    assert stored(tmp_path) == [203]
    outbox.close()


def test_what_an_earlier_version_kept_for_a_held_lane_goes_at_the_start(tmp_path: Path) -> None:
    outbox = opened(tmp_path, "erp")
    outbox.append([emitted(1, type_="carton.closed"), emitted(2)])
    advance(outbox, "erp", "erp.inventory", 2)
    outbox.close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as file:
        sum_ = event_sum(2, "e2", "pick.confirmed", "", b"")
        file.execute("INSERT INTO events VALUES (2, 'e2', 'pick.confirmed', '', x'', 0, ?)", (sum_,))
        file.execute("UPDATE last SET rows = 2, sum = ?", (row_sum(2, 2),))
    outbox = opened(tmp_path, "erp")
    assert stored(tmp_path) == [1]
    assert outbox.rows == 1
    outbox.close()


def stored(folder: Path) -> list[int]:
    with sqlite3.connect(folder / "outbox.sqlite") as file:
        rows = [sequence for (sequence,) in file.execute("SELECT sequence FROM events ORDER BY sequence")]
        assert file.execute("SELECT rows FROM last").fetchone() == (len(rows),)
    return rows


def test_a_lane_that_gets_nothing_holds_nothing_back(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(n, type_="exception.raised") for n in (1, 2)])
    assert read(outbox, "erp", "erp.inventory") == []
    advance(outbox, "lake", "all", 2)
    assert stored(tmp_path) == []
    outbox.append([emitted(3)])
    assert read(outbox, "erp", "erp.inventory") == ["e3"]
    outbox.close()


def test_dead_letters_are_accounted_for(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(n) for n in range(1, 6)])
    outbox.advance(lane(outbox, "erp", "erp.inventory"), 4, delivered=3, dead=1)
    outbox.close()
    outbox = opened(tmp_path)
    assert outbox.account(lane(outbox, "erp", "erp.inventory")) == Account(events=5, delivered=3, pending=1, dead=1)
    assert outbox.depth("erp") == 1
    outbox.close()


def test_when_routes_change_what_was_told_goes_where_it_was_to_go_first(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1), emitted(2, type_="carton.closed")])
    outbox.close()
    routes = {**ROUTES, "carton.closed": {"erp": "erp.inventory", "lake": "all"}}
    for _ in range(2):
        outbox = opened(tmp_path, routes=routes)
        outbox.append([emitted(1), emitted(2, type_="carton.closed"), emitted(3), emitted(4, type_="carton.closed")])
        *ended, new = outbox.lanes("erp")
        assert [(each.queue, each.until, ids(outbox.read(each.number, 10))) for each in ended] == [
            ("erp.inventory", 2, ["e1"]),
            ("erp.shipping", 2, ["e2"]),
        ]
        assert (new.queue, new.until, ids(outbox.read(new.number, 10))) == ("erp.inventory", None, ["e3", "e4"])
        assert outbox.depth("erp") == 4
        outbox.close()


def test_a_file_of_version_1_goes_on_where_it_stood(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with sqlite3.connect(tmp_path / "outbox.sqlite") as file:
        file.executescript(VERSION_1)
        for n in (3, 4):
            file.execute("INSERT INTO events VALUES (?, ?, 'pick.confirmed', 'k', x'7b7d', 7)", (n, f"e{n}"))
            file.execute("INSERT INTO told VALUES (?, ?, x'00112233')", (n, f"e{n}"))
    outbox = opened(tmp_path)
    outbox.append([emitted(3), emitted(4)])  # the journal's tail, once more
    assert caplog.text == ""
    assert outbox.last_sequence() == 4
    assert (read(outbox, "erp", "erp.inventory"), read(outbox, "lake")) == (["e3", "e4"], ["e4"])
    assert (outbox.depth("erp"), outbox.depth("lake")) == (2, 1)
    assert stored(tmp_path) == [3, 4]
    outbox.close()
    outbox = opened(tmp_path)
    advance(outbox, "erp", "erp.inventory", 4)
    advance(outbox, "lake", "all", 4)
    assert stored(tmp_path) == []
    outbox.close()


VERSION_1 = """
CREATE TABLE events (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, partitionkey TEXT NOT NULL,
  body BLOB NOT NULL, since_us INTEGER NOT NULL);
CREATE TABLE told (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, content BLOB NOT NULL);
CREATE TABLE refused (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE cursors (sink TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE last (sequence INTEGER NOT NULL);
INSERT INTO last VALUES (4);
INSERT INTO cursors VALUES ('erp', 2), ('lake', 3);
PRAGMA user_version = 1;
"""


def test_what_it_has_is_passed_over(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1), emitted(2)])
    advance(outbox, "erp", "erp.inventory", 2)
    outbox.close()
    outbox = opened(tmp_path)
    outbox.append([emitted(1), emitted(2), emitted(3)])
    assert outbox.last_sequence() == 3
    assert read(outbox, "erp", "erp.inventory") == ["e3"]
    outbox.close()


def test_the_same_id_never_leaves_with_other_content(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1, "a", qty=1)])
    with pytest.raises(ContentChanged, match="a"):
        outbox.append([emitted(2, "a", qty=2), emitted(3, "b")])
    outbox.append([emitted(4, "b"), emitted(5, "c"), emitted(6, "c")])  # the same content again is a repetition
    assert read(outbox, "erp", "erp.inventory") == ["a", "b", "c"]
    assert outbox.last_sequence() == 6
    outbox.close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as file:
        assert file.execute("SELECT sequence, id FROM refused").fetchall() == [(2, "a")]
    outbox = opened(tmp_path)
    outbox.append([emitted(1, "a", qty=1), emitted(2, "a", qty=2)])  # the replay of it stops nothing
    assert len(read(outbox, "erp", "erp.inventory")) == 3
    outbox.close()


def test_a_replay_that_tells_another_story_is_refused(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1, "a"), emitted(2, "b")])
    with pytest.raises(Refused, match="event 2 was told as b, and the journal now makes c"):
        outbox.append([emitted(1, "a"), emitted(2, "c"), emitted(3, "d")])
    assert outbox.last_sequence() == 2
    outbox.close()


def test_a_replay_by_another_program_goes_by_ids(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1, "a:r0"), emitted(2, "b:r0"), emitted(3, "b:r1")])
    outbox.retell()
    outbox.append([emitted(1, "a:r0"), emitted(2, "c:r0")])
    outbox.append([emitted(3, "b:r0", qty=7), emitted(4, "d:r0"), emitted(5, "b:r1", qty=8)])
    found = outbox.untold()
    assert found is not None
    untold, revisions = found
    assert [event.id for event in untold] == ["c:r0"]
    assert revisions == {"a": 0, "b": 1, "d": 0}
    assert read(outbox, "erp", "erp.inventory") == [
        "a:r0",
        "b:r0",
        "b:r1",
        "d:r0",
    ]  # as they were told; d for the first time
    with pytest.raises(Refused, match="event 2 was told as b:r0"):
        outbox.append([emitted(2, "c:r0")])  # the replay is over
    outbox.close()


def test_a_replay_that_may_differ_and_does_not_is_like_any_other(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1, "a:r0"), emitted(2, "b:r0")])
    outbox.retell()
    outbox.append([emitted(1, "a:r0"), emitted(2, "b:r0")])
    assert outbox.untold() is None
    outbox.close()


def test_at_the_cap_nothing_is_dropped_and_the_writer_waits(tmp_path: Path) -> None:
    outbox = opened(tmp_path, rows_max=3)
    outbox.append([emitted(n) for n in (1, 2, 3)])
    with pytest.raises(Full):
        outbox.append([emitted(4)])
    advance(outbox, "lake", "all", 3)
    with pytest.raises(Full):
        outbox.append([emitted(4)])
    advance(outbox, "erp", "erp.inventory", 1)
    outbox.append([emitted(4)])
    assert read(outbox, "erp", "erp.inventory") == ["e2", "e3", "e4"]
    outbox.close()


def test_remembered_ids_are_bounded(tmp_path: Path) -> None:
    outbox = opened(tmp_path, told_max=10)
    for n in range(1, 101):
        outbox.append([emitted(n)])
    outbox.close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as file:
        assert file.execute("SELECT min(sequence), count(*) FROM told").fetchall() == [(91, 10)]


def test_a_new_sink_starts_behind_the_last_event(tmp_path: Path) -> None:
    outbox = opened(tmp_path, "erp")
    outbox.append([emitted(1), emitted(2)])
    outbox.close()
    outbox = opened(tmp_path, "erp", "lake")
    outbox.append([emitted(3)])
    assert (read(outbox, "erp", "erp.inventory"), read(outbox, "lake")) == (["e1", "e2", "e3"], ["e3"])
    outbox.close()


def test_what_a_sink_that_is_gone_did_not_have_stays_until_somebody_sees_to_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(n) for n in (1, 2, 3)])
    advance(outbox, "erp", "erp.inventory", 3)
    advance(outbox, "lake", "all", 1)
    outbox.close()
    for sequence in (4, 5):
        outbox = opened(tmp_path, "erp")
        (left,) = outbox.gone()
        assert (left.sink, left.until, ids(outbox.read(left.number, 10))) == ("lake", 3, ["e2", "e3"])
        outbox.append([emitted(sequence)])
        outbox.close()
    outbox = opened(tmp_path, "erp")
    outbox.advance(left.number, 3, delivered=0, dead=2)
    assert outbox.gone() == []
    assert outbox.account(left.number) == Account(3, 1, 0, 2)
    assert (outbox.rows, read(outbox, "erp", "erp.inventory")) == (2, ["e4", "e5"])
    outbox.close()
    outbox = opened(tmp_path)  # it is back: what was told meanwhile was not for it
    outbox.append([emitted(6)])
    assert (read(outbox, "lake"), outbox.gone()) == (["e6"], [])
    outbox.close()


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as file:
        file.execute("PRAGMA user_version = 9")
    with pytest.raises(Refused, match="version 9"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "content", [b"not a database, at least 16 bytes of it", b"SQLite format 3\0" + b"\xff" * 4_096]
)
def test_a_file_that_is_none_is_refused_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "outbox.sqlite").write_bytes(content)
    with pytest.raises(Refused, match=r"outbox\.sqlite: .*sortline fsck --repair"):
        opened(tmp_path)
    assert (tmp_path / "outbox.sqlite").read_bytes() == content


def test_a_type_without_a_route_is_a_fault_of_ours(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    with pytest.raises(KeyError):
        outbox.append([emitted(1, type_="pick.invented")])
    assert outbox.last_sequence() == 0
    outbox.close()


def test_the_log_beside_the_file_stays_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether events come or go: nothing else shortens it."""
    monkeypatch.setattr(sqlite_file, "LOG_BYTES_MAX", 100_000)
    log = tmp_path / f"outbox.sqlite{LOG}"
    longest = 200_000  # what one commit adds, and some room
    outbox = opened(tmp_path)
    for n in range(1, 101):
        outbox.append([emitted(n)])
        assert log.stat().st_size < longest
    for n in range(1, 101):
        advance(outbox, "erp", "erp.inventory", n)
        assert log.stat().st_size < longest
    outbox.close()
