"""Golden cases of a shipment's plan of 20 that arrives at 40, after all that makes it ready (R3, R50 to R52)."""

from __future__ import annotations

from typing import Any

from tests.cases.told_shipping import part
from tests.cases.writing import SORTER, Case


def picked(qty: int = 1, **line: Any) -> Case:
    """`qty` of one piece in L-1, closed at 15."""
    case = Case().order(1, **line).task(1, lu="L-1").pick(10, qty).close(15)
    return case.confirmed(qty, 10).packed(qty, "L-1#1")


def planned(case: Case, t: float, **data: Any) -> Case:
    """The plan; ready since `t`."""
    case.wms("shipment.plan", 20, rx=40, **{"shipment": "S-1", "scope": part(1), **data.pop("plan", {})})
    case.expect("shipment.ready", "S-1", t=t, revision=0, **data)
    return case.device("telemetry", 90)


def R50_a_plan_that_comes_after_a_failed_allocation() -> Case:
    """R50, R23, R3: of line 2 nothing can be allocated at 30: ready since then."""
    case = Case().order(1, 1).task(1, lu="L-1").pick(10).close(15).confirmed(1, 10).packed(1, "L-1#1")
    case.wms("alloc.failed", 30, order="O-1", line=2, qty=1, code="NOSTOCK").shorted(1, 30, "O-1/2")
    scope = [{"order": "O-1", "line": line, "qty": 1} for line in (1, 2)]
    return planned(case, 30, plan={"scope": scope}, partial=True)


def R45_a_plan_that_comes_after_the_release_of_its_carton() -> Case:
    """R50, R45, R3: held by its label of 16 until somebody let it go at 30."""
    case = picked().device("label.verified", 16, lu="L-1", result="NOREAD")
    return planned(case.wms("hold.released", 30, carton="L-1#1").cleared("PKG_LABEL_NOREAD", "carton/L-1#1", t=30), 30)


def R24_a_plan_that_comes_after_what_covers_it() -> Case:
    """R50, R24, R3: two of one were picked; the order asks for two since 30."""
    case = picked(2).wms("order.changed", 30, rev=2, order="O-1", lines=[{"line": 1, "sku": "A", "qty": 2}])
    return planned(case.cleared("PCK_OVER", "task/T-1", t=30), 30)


def R48_a_plan_that_comes_after_the_pallet_has_arrived() -> Case:
    """R50, R48, R3: it stands in the lane since its pallet does, at 30."""
    case = picked().wms("lu.bind", 16, lu="L-1", parent="P-1")
    case.device("item.arrived", 30, src=SORTER, lu="P-1", loc="LANE-1")
    return planned(case, 30, plan={"stage_required": True, "lanes": ["LANE-1"]})


def R47_a_plan_that_comes_after_goods_were_moved() -> Case:
    """R50, R47, R3: moved into L-2 at 22, which is closed at 30."""
    case = Case().order(1).task(1, lu="L-1").pick(10).device("pack.confirm", 22, from_lu="L-1", lu="L-2")
    case.close(25).close(30, "L-2").confirmed(1, 10).packed(1, "L-2#1").raised("PKG_EMPTY", "carton/L-1#1")
    return planned(case, 30, cartons=["L-2#1"])


def R52_a_plan_that_comes_after_a_second_task() -> Case:
    """R51, R52, R3: ready from 20 to 30, when one more task of its line was told, and since that was packed, at
    33."""
    case = Case().order(2).task(1, lu="L-1").pick(10).close(15).task(1, "T-2", t=30, lu="L-1").pick(32, task="T-2")
    case.close(33).confirmed(1, 10).confirmed(1, 32, "T-2").packed(2, "L-1#1").expect("carton.reopened", "L-1#1", t=32)
    case.wms("shipment.plan", 20, rx=40, shipment="S-1", scope=part(1))
    case.expect("shipment.unready", "S-1", t=30, cause="pick.task").expect("shipment.ready", "S-1", t=33, revision=1)
    return case.device("telemetry", 90)


def R51_ready_in_the_lanes_that_were_planned_then() -> Case:
    """R51, R52, R3: at 33 it stands in the lane of the first plan, that of 38.5 names another; both are known before
    the watermark is at 33."""
    case = Case().shipped(1, stage_required=True, lanes=["D-1"]).pick(10, lu="L-1").close(20)
    case.device("divert.confirmed", 33, src=SORTER, lu="L-1", dest="D-1")
    case.wms("shipment.plan", 38.5, 34, 2, shipment="S-1", scope=part(1), stage_required=True, lanes=["D-2"])
    case.confirmed(1, 10).packed(1).ready(1, 33, revision=0, plan_rev=1).device("telemetry", 90)
    return case.expect("shipment.unready", "S-1", t=38.5, cause="shipment.plan")


def unasked() -> Case:
    """Two pieces of which nobody knows who wanted them, packed and closed."""
    return Case().plan().shipment(2).pick(10, 2, lu="L-1").close(20)


def R51_a_task_of_after_its_picks() -> Case:
    """R51: context counts with its event time: ready when somebody asked for the pieces, at 30."""
    case = unasked().task(2, t=30, rx=30).device("telemetry", 60)
    return case.confirmed(2, 10).packed(2).ready(2, 30)


def R51_a_task_of_after_the_void_of_its_carton() -> Case:
    """R51: likewise, and nothing is ready where the carton is voided by then."""
    case = unasked().device("carton.void", 28, lu="L-1").task(2, t=30, rx=30).device("telemetry", 60)
    return case.confirmed(2, 10).packed(2).expect("carton.voided", "C-1", t=28)


def R51_an_order_of_after_its_picks() -> Case:
    """R51: likewise a line's own window, where its order's first word got lost."""
    case = Case().plan().shipment(2).pick(10, 2, lu="L-1", order="O-1", line=1).close(20)
    case.wms("order.changed", 30, rev=2, order="O-1", lines=[{"line": 1, "sku": "A", "qty": 2}])
    return case.device("telemetry", 60).confirmed(2, 10, "O-1/1").packed(2).ready(2, 30)
