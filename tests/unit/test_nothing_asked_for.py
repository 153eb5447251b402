"""R21 a, R27a: a task of which nothing is asked for is no open window: nothing keeps its shipment back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cases.writing import Case, at
from tests.oracle import expected
from tests.oracle.compare import bare, differences
from tests.through_core import feed


def lasts(case: Case, **rules: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """The last of every key, held against the oracle; by type and subject."""
    events = feed(case.records, rules=rules).events
    assert differences(events, expected(case.records, "dc1", rules)) == []
    return {(bare(event["type"]), event["subject"]): event for event in events}


def floor(**second: Any) -> Case:
    """Two tasks; the first one's pieces are picked at 10 and packed at 12."""
    return Case().order(2).shipment(2).task(2).task(1, task="T-2", t=1, **second)


def packed(case: Case) -> Case:
    return case.pick(10, qty=2, lu="L-1").close(12)


@pytest.mark.parametrize(("lowered", "ready"), [(5, 12), (30, 30)])
def test_R27a_a_task_lowered_to_nothing_keeps_no_shipment_back(lowered: float, ready: float) -> None:
    """Before its carton is closed, and after."""
    case = floor() if lowered > 12 else floor().task(0, task="T-2", t=lowered, rev=2)
    packed(case)
    if lowered > 12:
        case.task(0, task="T-2", t=lowered, rev=2)
    told = lasts(case.device("telemetry", 60))
    assert feed(case.records).events[-1]["time"][17:19] == f"{(20 + ready) % 60:02.0f}"
    assert ("shipment.ready", "shipment/S-1") in told
    assert not [key for key in told if key[1] == "task/T-2"]


def test_R21a_a_task_that_never_asked_for_anything() -> None:
    case = Case().order(2).shipment(2).task(2).task(0, task="T-0", t=1)
    assert ("shipment.ready", "shipment/S-1") in lasts(packed(case))


def test_R20_a_press_of_the_line_goes_to_a_task_that_asks_for_something() -> None:
    case = Case().order(2).task(0, task="T-0").task(2).pick(10, qty=2, order="O-1", line=1)
    told = lasts(case)
    assert told["pick.confirmed", "task/T-1"]["data"]["qty"] == 2


@pytest.mark.parametrize("at_s", [3, 20])
def test_R21d_its_deadline_finds_nothing_missing(at_s: float) -> None:
    """Also one that had passed: what was told short is taken back."""
    case = floor(deadline=at(at_s)).device("telemetry", 4).device("telemetry", 8)
    case.task(0, task="T-2", t=10, rev=2, deadline=at(at_s)).device("telemetry", 30)
    short = lasts(case).get(("pick.short", "task/T-2"))
    assert (short is not None) is (at_s == 3)
    assert short is None or short["data"]["qty_short"] == 0


def test_R27a_an_operators_short_of_it_is_taken_back() -> None:
    case = floor().short(4, task="T-2").task(0, task="T-2", t=30, rev=2)
    short = lasts(case.device("telemetry", 40))["pick.short", "task/T-2"]
    assert (short["data"]["qty_short"], short["data"]["qty_task"]) == (0, 0)


def test_R24_a_piece_that_is_picked_all_the_same_is_one_too_many() -> None:
    case = floor().task(0, task="T-2", t=5, rev=2).pick(10, task="T-2")
    told = lasts(case)
    assert told["pick.confirmed", "task/T-2"]["data"]["over_qty"] == 1
    assert ("exception.raised", "task/T-2") in told


def test_R27a_more_is_asked_for_again() -> None:
    case = floor().task(0, task="T-2", t=5, rev=2).task(2, task="T-2", t=8, rev=3)
    told = lasts(packed(case).device("telemetry", 60))
    assert ("shipment.ready", "shipment/S-1") not in told
    told = lasts(case.pick(70, qty=2, task="T-2", lu="L-2").close(72, lu="L-2"))
    assert told["pick.confirmed", "task/T-2"]["data"]["qty"] == 2
