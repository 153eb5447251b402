"""Golden cases of shipments that are planned anew, split and joined while their goods stand packed (R50 to R53)."""

from __future__ import annotations

from tests.cases.told_shipping import part
from tests.cases.writing import Case


def standing(qty: int = 2) -> Case:
    """Two pieces of line 1 in L-1, which no plan names, closed at 30; S-1 has `qty` of the line."""
    case = Case().order(2).task(2).shipment(qty).pick(10, 2, lu="L-1").close(30)
    return case.confirmed(2, 10).packed(2, "L-1#1")


def share(case: Case, t: float, *lines: int, rev: int = 1) -> Case:
    scope = [one for line in lines for one in part(1, line)]
    return case.wms("shipment.plan", t, rev=rev, shipment="S-2", scope=scope)


def R53_another_shipment_gets_a_share_of_a_line_that_was_ready() -> Case:
    """R50a, R52, R53: from 60 on nobody can say whose the carton is; that is known when the other plan comes."""
    case = share(standing().ready(2, 30, cartons=["L-1#1"]), 60, 1)
    return case.expect("shipment.unready", "S-1", t=60, cause="shipment.plan").device("telemetry", 90)


def R53_another_shipment_gives_up_its_share() -> Case:
    """R50a, R51, R53: the carton is S-1's since 60, when S-2 was planned anew without the line."""
    case = share(share(standing(), 0, 1), 60, 2, rev=2)
    return case.ready(2, 60, cartons=["L-1#1"]).device("telemetry", 90)
