"""Business events stay until every sink has them, leave in order, and never change their content."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.contracts import Emitted, OutRow
from engine.errors import ContentChanged, Full, Refused
from engine.outbox import SqliteOutbox
from tests.counting_core import event

ROUTES = {
    "pick.confirmed": {"erp": "erp.inventory", "lake": "all"},
    "carton.closed": {"erp": "erp.shipping", "lake": "all"},
    "exception.raised": {"lake": "all"},
}


def opened(folder: Path, *sinks: str, rows_max: int = 1_000, told_max: int = 1_000) -> SqliteOutbox:
    return SqliteOutbox(
        folder / "outbox.sqlite",
        routes=ROUTES,
        sinks=sinks or ("erp", "lake"),
        rows_max=rows_max,
        told_max=told_max,
        clock=lambda: 1_000,
    )


def emitted(sequence: int, name: str | None = None, type_: str = "pick.confirmed", **data: object) -> Emitted:
    return Emitted(*event(sequence, name or f"e{sequence}", type_, **data))


def ids(rows: list[OutRow]) -> list[str]:
    return [row.id for row in rows]


def test_each_sink_reads_what_its_routes_send_it_in_order(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1), emitted(2, type_="exception.raised"), emitted(3, type_="carton.closed")])
    assert [(row.id, row.queue) for row in outbox.read("erp", 10)] == [("e1", "erp.inventory"), ("e3", "erp.shipping")]
    assert [(row.id, row.queue) for row in outbox.read("lake", 10)] == [("e1", "all"), ("e2", "all"), ("e3", "all")]
    assert (outbox.depth("erp"), outbox.depth("lake")) == (2, 3)
    assert outbox.oldest_us("erp") == 1_000
    outbox.close()


def test_a_cursor_moves_alone_and_survives_a_restart(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(n) for n in range(1, 6)])
    outbox.advance("erp", 3)
    outbox.close()
    outbox = opened(tmp_path)
    assert ids(outbox.read("erp", 10)) == ["e4", "e5"]
    assert len(outbox.read("lake", 10)) == 5
    assert (outbox.depth("erp"), outbox.depth("lake")) == (2, 5)
    outbox.advance("erp", 2)  # a cursor never moves back
    assert ids(outbox.read("erp", 1)) == ["e4"]
    outbox.close()


def test_rows_go_when_every_sink_has_them(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1, type_="exception.raised"), emitted(2), emitted(3)])
    outbox.advance("lake", 3)
    outbox.advance("erp", 2)
    with sqlite3.connect(tmp_path / "outbox.sqlite") as file:
        assert file.execute("SELECT sequence FROM events").fetchall() == [(3,)]
    assert outbox.oldest_us("lake") == 0
    outbox.close()


def test_a_sink_that_gets_nothing_holds_nothing_back(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(n, type_="exception.raised") for n in (1, 2)])
    assert outbox.read("erp", 10) == []
    outbox.advance("lake", 2)
    with sqlite3.connect(tmp_path / "outbox.sqlite") as file:
        assert file.execute("SELECT count(*) FROM events").fetchall() == [(0,)]
    outbox.append([emitted(3)])
    assert ids(outbox.read("erp", 10)) == ["e3"]
    outbox.close()


def test_what_it_has_is_passed_over(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1), emitted(2)])
    outbox.advance("erp", 2)
    outbox.close()
    outbox = opened(tmp_path)
    outbox.append([emitted(1), emitted(2), emitted(3)])
    assert outbox.last_sequence() == 3
    assert ids(outbox.read("erp", 10)) == ["e3"]
    outbox.close()


def test_the_same_id_never_leaves_with_other_content(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1, "a", qty=1)])
    with pytest.raises(ContentChanged, match="a"):
        outbox.append([emitted(2, "a", qty=2), emitted(3, "b")])
    outbox.append([emitted(4, "b"), emitted(5, "c"), emitted(6, "c")])  # the same content again is a repetition
    assert ids(outbox.read("erp", 10)) == ["a", "b", "c"]
    assert outbox.last_sequence() == 6
    outbox.close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as file:
        assert file.execute("SELECT sequence, id FROM refused").fetchall() == [(2, "a")]
    outbox = opened(tmp_path)
    outbox.append([emitted(1, "a", qty=1), emitted(2, "a", qty=2)])  # the replay of it stops nothing
    assert len(outbox.read("erp", 10)) == 3
    outbox.close()


def test_a_replay_that_tells_another_story_is_refused(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1, "a"), emitted(2, "b")])
    with pytest.raises(Refused, match="event 2 was told as b, and the journal now makes c"):
        outbox.append([emitted(1, "a"), emitted(2, "c"), emitted(3, "d")])
    assert outbox.last_sequence() == 2
    outbox.close()


def test_at_the_cap_nothing_is_dropped_and_the_writer_waits(tmp_path: Path) -> None:
    outbox = opened(tmp_path, rows_max=3)
    outbox.append([emitted(n) for n in (1, 2, 3)])
    with pytest.raises(Full):
        outbox.append([emitted(4)])
    outbox.advance("lake", 3)
    with pytest.raises(Full):
        outbox.append([emitted(4)])
    outbox.advance("erp", 1)
    outbox.append([emitted(4)])
    assert ids(outbox.read("erp", 10)) == ["e2", "e3", "e4"]
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
    assert (ids(outbox.read("erp", 10)), ids(outbox.read("lake", 10))) == (["e1", "e2", "e3"], ["e3"])
    outbox.close()


def test_a_sink_that_is_gone_holds_nothing_back(tmp_path: Path) -> None:
    outbox = opened(tmp_path, rows_max=3)
    outbox.append([emitted(n) for n in (1, 2, 3)])
    outbox.advance("erp", 3)
    outbox.close()
    outbox = opened(tmp_path, "erp", rows_max=3)
    outbox.append([emitted(4)])
    assert ids(outbox.read("erp", 10)) == ["e4"]
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
    with pytest.raises(Refused, match=r"outbox\.sqlite: .*Move it away"):
        opened(tmp_path)
    assert (tmp_path / "outbox.sqlite").read_bytes() == content


def test_a_type_without_a_route_is_a_fault_of_ours(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    with pytest.raises(KeyError):
        outbox.append([emitted(1, type_="pick.invented")])
    assert outbox.last_sequence() == 0
    outbox.close()
