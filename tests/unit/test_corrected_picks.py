"""Picks that are decided once and told again, where what counts is who came first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.cases.writing import STATION, Case, at
from tests.through_core import feed

GUN = "dc1/pick/GUN"


def last(case: Case, type_: str, subject: str) -> dict[str, Any]:
    """What was told last of a subject."""
    events = [one for one in feed(case.records, rules=case.rules).events if one["subject"] == subject]
    return dict([one["data"] for one in events if one["type"] == f"io.sortline.{type_}.v1"][-1])


def test_R25_the_same_deadline_in_a_new_revision_leaves_t_close() -> None:
    """Full by a press that came after the deadline had decided; then its task is told again, to be picked elsewhere:
    what was picked by then lay at A-1 (R70)."""
    case = Case().order(3).task(3, deadline=at(60), loc="A-1").pick(10).device("telemetry", 70, src=STATION)
    case.tell(GUN, "pick.confirm", 50, 100, seq=1, hist=True, task="T-1", sku="A", qty=2)
    case.task(3, t=110, rev=2, deadline=at(60), loc="A-2")
    confirmed = last(case, "pick.confirmed", "task/T-1")
    assert (confirmed["qty"], confirmed["t_close"], confirmed["loc"]) == (3, at(60), "A-1")
    assert last(case, "pick.short", "task/T-1")["qty_short"] == 0


def test_R20_a_line_window_that_has_told_keeps_what_is_its_own() -> None:
    """What names only the line goes to its task from the task's event time on, and what happened before stays here."""
    case = Case().order(2).pick(10, 2, order="O-1", line=1).task(3, t=20).pick(30, 3, order="O-1", line=1)
    case.tell(GUN, "pick.confirm", 5, 50, seq=1, hist=True, order="O-1", line=1, sku="A", qty=1)
    assert last(case, "pick.confirmed", "task/T-1")["qty"] == 3
    assert last(case, "pick.confirmed", "line/O-1/1")["qty"] == 3


def test_R20_a_line_window_that_told_a_reversal_keeps_its_pick() -> None:
    """R28: the reversal is an event of the window; it arrives before its press, or after it."""
    told = {}
    for rx in (10, 11):
        case = Case().order(1).pick(10, rx=rx, order="O-1", line=1)
        case.tell(GUN, "pick.reverse", 10.5, seq=1, order="O-1", line=1, sku="A", qty=1).task(1, t=30).pick(40)
        case.records.sort(key=lambda record: record["t_rx"])
        told[rx] = last(case, "pick.confirmed", "task/T-1")
    assert told[10] == told[11] and told[10]["qty"] == 1


def over(case: Case) -> list[tuple[str, float]]:
    """The episodes of PCK_OVER: the event, and how many seconds after the story's start."""
    events = feed(case.records, rules=case.rules).events
    return [
        (one["type"].split(".")[3], datetime.fromisoformat(one["time"]).timestamp() - at(0) / 1e6)
        for one in events
        if one["data"].get("code") == "PCK_OVER"
    ]


def changed(case: Case, qty: int) -> Case:
    return case.wms("order.changed", 40, order="O-1", rev=2, lines=[{"line": 1, "sku": "A", "qty": qty}])


def test_R24_a_change_of_the_order_covers_what_was_picked_too_much() -> None:
    case = Case().order(2).task(2).pick(10, 2).pick(12)
    assert over(case) == [("raised", 12)]
    assert over(changed(case, 3)) == [("raised", 12), ("cleared", 40)]
    assert over(case.pick(50)) == [("raised", 12), ("cleared", 40), ("raised", 50)]


def test_R24_a_change_that_does_not_cover_it_clears_nothing() -> None:
    assert over(changed(Case().order(2).task(2).pick(10, 4), 3)) == [("raised", 10)]


def test_R23_a_piece_that_follows_the_short_of_a_line_without_tasks() -> None:
    """R21 b, R26: without a pick the line has no short; the first one makes the operator's word count."""
    case = Case().order(3).device("pick.short", 10, src=STATION, order="O-1", line=1, code="EMPTY")
    case.device("telemetry", 15, src=STATION)
    assert [one for one in feed(case.records, rules=case.rules).events if "pick" in one["type"]] == []
    case.pick(20, order="O-1", line=1)
    confirmed, short = last(case, "pick.confirmed", "line/O-1/1"), last(case, "pick.short", "line/O-1/1")
    assert (confirmed["qty"], confirmed["t_close"]) == (1, at(20))
    assert (short["qty_short"], short["reason"], short["t_close"]) == (2, "EMPTY", at(20))
