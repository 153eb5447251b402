"""What is forgotten leaves no trace in what is still remembered ("Forgetting" in docs/rules.md): stories over many
`retention_ms`, in which a thing goes and its neighbour stays."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.cases.writing import STATION, Case
from tests.through_core import feed

SOON = {"lateness_ms": 20_000, "ctx_wait_ms": 20_000, "retention_ms": 60_000, "gap_hold_ms": 0}
OTHER = "dc1/pick/PTL-09"
Event = dict[str, Any]


def told(case: Case) -> list[Event]:
    events = feed(case.records, rules=SOON).events
    twice = [id_ for id_, count in Counter(event["id"] for event in events).items() if count > 1]
    assert twice == []  # R81
    return events


def last(events: list[Event], subject: str, type_: str = "carton.closed") -> Any:
    found = [
        event["data"] for event in events if event["subject"] == subject and event["type"] == f"io.sortline.{type_}.v1"
    ]
    return found[-1] if found else None


def long_after(case: Case, start: int, times: int = 8) -> Case:
    """Half a minute at a time goes by, and the floor is heard of."""
    for n in range(times):
        case.device("telemetry", start + 30 * n, src=OTHER).device(
            "count.reported", start + 30 * n, src=OTHER, loc="X", sku="X", qty=0
        )
    return case


def another_order(case: Case, name: str, t: float, qty: int) -> Case:
    return case.wms("order.released", t, order=name, lines=[{"line": 1, "sku": "B", "qty": qty}])


def test_R47_what_left_a_tote_stays_out_of_it_when_its_order_is_forgotten() -> None:
    """A tote that nobody ever releases: what is packed out of it today is what was picked into it today."""
    case = Case().order(2).task(2).wms("carton.plan", 0, carton="C-1", shipment="S-1", lu="L-1")
    case.shipment(2).pick(5, 2, lu="TOTE")
    case.device("pack.confirm", 8, from_lu="TOTE", lu="L-1", sku="A", qty=2, order="O-1", line=1).close(10)
    case.wms("manifest.result", 20, shipment="S-1", manifest_no="M-1", tracking=[])
    another_order(long_after(case, 30), "O-2", 300, 3).wms("lu.bind", 301, lu="L-2", carton="C-2")
    case.tell(STATION, "pick.confirm", 305, order="O-2", line=1, sku="B", qty=3, lu="TOTE")
    case.device("pack.confirm", 308, from_lu="TOTE", lu="L-2").close(310, "L-2").device("telemetry", 330)
    events = told(case)
    assert last(events, "carton/C-1")["contents"] == [{"order": "O-1", "line": 1, "sku": "A", "qty": 2}]
    assert last(events, "carton/C-2")["contents"] == [{"order": "O-2", "line": 1, "sku": "B", "qty": 3}]


def kept_for_its_shipment(*after: tuple[str, dict[str, Any]]) -> Case:
    """C-1 waits for its shipment for ever, without the unit that carried it: that was used for others since."""
    case = (
        Case()
        .order(3)
        .task(3)
        .plan(contents=[{"order": "O-1", "line": 1, "qty": 3}])
        .shipment(3)
        .pick(5, 2, lu="L-1")
        .close(10)
    )
    for n, (kind, fields) in enumerate(after):
        case.wms(kind, 20 + n, lu="L-1", rev=2 + n, **fields)
    another_order(long_after(case, 30), "O-2", 300, 1)
    case.tell(STATION, "pick.confirm", 305, order="O-2", line=1, sku="B", qty=1, lu="L-1")
    return case.close(310).device("telemetry", 330)


def test_R40_a_release_still_ends_a_use_that_waits_for_its_shipment() -> None:
    events = told(kept_for_its_shipment(("lu.release", {})))
    assert sum(row["qty"] for row in last(events, "carton/C-1")["contents"]) == 2
    assert sum(row["qty"] for row in last(events, "carton/L-1#2")["contents"]) == 1


def test_R40_the_next_use_still_ends_it_when_that_is_forgotten() -> None:
    events = told(kept_for_its_shipment(("lu.bind", {"carton": "C-9"}), ("lu.release", {"carton": "C-9"})))
    assert sum(row["qty"] for row in last(events, "carton/C-1")["contents"]) == 2
    assert sum(row["qty"] for row in last(events, "carton/L-1#3")["contents"]) == 1


def test_R40_what_is_nobodys_joins_no_use_that_another_has_followed() -> None:
    """A close long after the forgotten use of L-1 as C-9 is not one of C-1."""
    case = (
        Case()
        .order(3)
        .task(3)
        .plan(contents=[{"order": "O-1", "line": 1, "qty": 3}])
        .shipment(3)
        .pick(5, 2, lu="L-1")
        .close(10)
    )
    case.wms("lu.bind", 20, lu="L-1", carton="C-9").wms("lu.release", 21, rev=2, lu="L-1", carton="C-9")
    case = long_after(case, 30).close(310).device("telemetry", 330)
    assert not [event for event in told(case) if event["data"].get("code") == "PKG_DOUBLE_CLOSE"]


def test_R46_a_number_that_an_exception_named_is_not_given_out_again() -> None:
    """A tote without a carton id is bound elsewhere while it is open, is forgotten, and is used once more."""
    case = Case()
    for n, t in enumerate((0, 300)):
        case.wms("order.released", t, order=f"O-{n}", lines=[{"line": 1, "sku": "A", "qty": 1}])
        case.wms("lu.bind", t + 1, lu="TOTE", order=f"O-{n}", rev=1)
        case.tell(STATION, "pick.confirm", t + 5, order=f"O-{n}", line=1, sku="A", qty=1, lu="TOTE")
        case.wms("lu.bind", t + 10, lu="TOTE", carton=f"TC-{n}", rev=1).wms("lu.release", t + 11, lu="TOTE", rev=n + 1)
        long_after(case, t + 30)
    raised = [event["subject"] for event in told(case) if event["data"].get("code") == "PKG_TOTE_REBOUND_OPEN"]
    assert raised == ["carton/TOTE#1", "carton/TOTE#3"]


def test_an_exception_stays_as_long_as_its_subject() -> None:
    """A line that waits for its last piece has got a wrong one; long after, its tote is given a name."""
    case = Case().order(2).pick(5, 1, order="O-1", line=1, lu="TOTE")
    case.tell(STATION, "pick.confirm", 6, order="O-1", line=1, sku="B", qty=1, lu="TOTE")
    case = long_after(case, 30).wms("lu.bind", 300, lu="TOTE", carton="C-1").device("telemetry", 330)
    assert len([event for event in told(case) if event["data"].get("code") == "PCK_WRONG_SKU"]) == 1


def test_R46_a_double_close_of_a_use_that_goes_on_is_raised_once() -> None:
    case = Case().order(5).task(5).pick(5, 2, lu="TOTE").close(10, "TOTE").close(20, "TOTE")
    case = long_after(case, 40).pick(300, 1, lu="TOTE").close(310, "TOTE").device("telemetry", 330)
    assert len([event for event in told(case) if event["data"].get("code") == "PKG_DOUBLE_CLOSE"]) == 1


def test_nothing_is_told_of_a_task_that_is_forgotten() -> None:
    """Its piece lies in a tote that goes on, and is called otherwise long after."""
    case = Case().order(1).task(1).pick(5, 1, lu="TOTE")
    case = long_after(case, 30).wms("lu.bind", 300, lu="TOTE", carton="C-1").device("telemetry", 330)
    assert len([event for event in told(case) if event["subject"] == "task/T-1"]) == 1


def test_R53_what_left_with_another_shipment_is_not_packed_for_this_one() -> None:
    """One line for two shipments, of which one left long ago."""
    six, four = ([{"order": "O-1", "line": 1, "qty": qty}] for qty in (6, 4))
    case = (
        Case()
        .order(10)
        .task(6, lu="L-1")
        .wms("pick.task", 0, task="T-2", order="O-1", line=1, sku="A", qty=4, lu="L-2")
    )
    case.wms("shipment.plan", 0, shipment="S-1", scope=six).wms("shipment.plan", 0, shipment="S-2", scope=four)
    case.wms("carton.plan", 0, carton="C-1", shipment="S-1", contents=six, lu="L-1")
    case.wms("carton.plan", 0, carton="C-2", shipment="S-2", contents=four, lu="L-2").pick(5, 6).close(10)
    case.wms("manifest.result", 20, shipment="S-1", manifest_no="M-1", tracking=[])
    case = long_after(case, 30).pick(300, 4, task="T-2").close(310, "L-2").device("telemetry", 330)
    ready = last(told(case), "shipment/S-2", "shipment.ready")
    assert ready["cartons"] == ["C-2"]
    assert ready["lines"] == [{"order": "O-1", "line": 1, "ordered": 4, "packed": 4, "short": 0, "cancelled": 0}]
