"""Closes and reopenings of a carton that late facts change (R44): in which order they are told, and how sure."""

from __future__ import annotations

from typing import Any

from tests.cases.writing import STATION, T0, Case, S, at
from tests.through_core import feed

GUN = "dc1/pick/GUN"


def carton() -> Case:
    """C-1 in L-1, bound at 1, for a task of ten pieces."""
    return Case().order(10).task(10).wms("lu.bind", 1, lu="L-1", carton="C-1")


def late_pick(case: Case, t: float, rx: float) -> Case:
    return case.device("pick.confirm", t, rx, GUN, task="T-1", sku="A", qty=1, lu="L-1", hist=True)


def told(case: Case) -> list[tuple[str, int]]:
    """What is told of the carton, and of which second."""
    events = [one for one in feed(case.records, rules=case.rules).events if one["type"].split(".")[2] == "carton"]
    return [(one["type"].split(".")[3], second(one)) for one in events]


def second(event: dict[str, Any]) -> int:
    seconds = int(event["time"][14:16]) * 60 + int(event["time"][17:19])
    return seconds - T0 // S % 3600


def test_R44_a_close_that_a_late_pick_fills_is_told_with_its_reopening_before_the_last_close() -> None:
    case = carton().close(5).pick(7, lu="L-1").close(10).tick(40)
    assert told(case) == [("closed", 10)]
    assert told(late_pick(case, 4, 41)) == [("closed", 10), ("closed", 5), ("reopened", 7), ("closed", 10)]


def test_R44_a_late_pick_dates_the_reopening() -> None:
    case = carton().pick(4, lu="L-1").close(10).device("carton.open", 12, lu="L-1").tick(40)
    assert told(late_pick(case, 11, 41)) == [("closed", 10), ("reopened", 12), ("reopened", 11)]


def test_R45_an_empty_close_that_comes_late_is_no_event() -> None:
    case = carton().pick(7, lu="L-1").close(10).tick(40)
    case.device("carton.close", 5, 41, "dc1/pack/PK-09", lu="L-1", hist=True).tick(80)
    assert told(case) == [("closed", 10)]
    assert told(late_pick(case, 4, 81)) == [("closed", 10), ("closed", 5), ("reopened", 7), ("closed", 10)]


def test_R4_a_reopening_that_a_bound_forces_is_incomplete() -> None:
    """The station is in, and its watermark lags: `hold_wall_max_ms` after their arrival nothing is waited for."""
    case = carton().pick(10, lu="L-1").close(20).device("carton.reopen", 26, lu="L-1").tick(60)
    events = feed(case.records, rules={"idle_source_ms": 120_000}, until_us=at(61)).events
    assert [one["evidence"] for one in events if one["type"].split(".")[2] == "carton"] == ["incomplete", "incomplete"]


def test_R46_a_second_close_is_judged_when_its_hold_is_over() -> None:
    """A reopening between the two arrives before."""
    case = carton().pick(5, lu="L-1").close(10).close(14)
    raised = [one for one in feed(case.records).events if one["data"].get("code") == "PKG_DOUBLE_CLOSE"]
    assert [second(one) for one in raised] == [14]
    case.device("pick.confirm", 12, 15, STATION, task="T-1", sku="A", qty=1, lu="L-1")
    assert not [one for one in feed(case.records).events if one["data"].get("code") == "PKG_DOUBLE_CLOSE"]
    assert told(case) == [("closed", 10), ("reopened", 12), ("closed", 14)]
