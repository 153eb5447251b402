"""Golden cases of plans, tasks and orders that are told anew while a readiness waits to be told (R10, R27a, R51, R52).

What is asked for anew counts from its arrival on. What was true before its own moment, and had lasted, was true.
"""

from __future__ import annotations

from tests.cases.told_shipping import part
from tests.cases.writing import SORTER, Case, at


def packed_at_30(**shipment: object) -> Case:
    """Two of two in C-1, closed at 30. With nobody in, the watermark passes 35 at 40 by the wall clock."""
    case = Case().order(2).task(2).plan().shipment(2, **shipment).pick(10, 2, lu="L-1").close(30)
    return case.confirmed(2, 10).packed(2).ready(2, 30)


def unready(case: Case, t: float, cause: str) -> Case:
    return case.expect("shipment.unready", "S-1", t=t, cause=cause).device("telemetry", 90)


def R52_a_plan_that_asks_for_more_before_the_readiness_is_told() -> Case:
    """R51, R52: it was ready by the plan before, from 30 to 39: told, though the new one is known by then."""
    return unready(packed_at_30().wms("shipment.plan", 39, rev=2, shipment="S-1", scope=part(3)), 39, "shipment.plan")


def R52_a_plan_that_asks_for_more_within_the_hold() -> Case:
    """R51: a readiness that ended after four seconds is never told."""
    case = Case().order(2).task(2).plan().shipment(2).pick(10, 2, lu="L-1").close(30).confirmed(2, 10).packed(2)
    return case.wms("shipment.plan", 34, rev=2, shipment="S-1", scope=part(3)).device("telemetry", 90)


def R52_a_task_that_asks_for_more_before_the_readiness_is_told() -> Case:
    """R27a, R52: by what was asked for then it was ready from 30 to 39; the divert of 34 has not ended it."""
    case = packed_at_30().device("divert.confirmed", 34, 34.2, SORTER, lu="L-1", dest="LANE-1")
    return unready(case.task(3, t=39, rev=2), 39, "pick.task")


def R52_a_task_that_asks_for_less_before_the_readiness_is_told() -> Case:
    """R27a, R52: two of three from 30 to 39, and short; two of two from 39 on."""
    case = Case().order(3).task(3).plan().shipment(2).pick(10, 2, lu="L-1").short(20).close(30).packed(2)
    case.task(2, t=39, rev=2).confirmed(2, 10, revision=1).shorted(0, 10, revision=1)
    return case.ready(2, 30, revision=0).device("telemetry", 90)


def R51_a_carton_that_is_planned_again_within_the_hold() -> Case:
    """R51: known before the watermark passes the close, it says what the plan before said; nothing began with it."""
    case = packed_at_30().plan(lu=None, t=31, rev=2, contents=[{"order": "O-1", "line": 1, "qty": 2}])
    return case.device("telemetry", 90)


def R51_a_carton_that_weighs_otherwise_within_the_hold() -> Case:
    """R51, R45: what it weighs is right by the plan of 31, so it is ready since then."""
    case = Case().order(2).task(2).plan(weight_g=500, tol_g=5).shipment(2).pick(10, 2, lu="L-1")
    case.device("weigh", 29, lu="L-1", weight_g=700).close(30).confirmed(2, 10).packed(2)
    case.plan(lu=None, t=31, rev=2, weight_g=700, tol_g=5).ready(2, 31).device("telemetry", 90)
    return case.never_raised("PKG_WEIGHT_MISMATCH")


def R40a_a_plan_that_comes_when_the_close_was_due() -> Case:
    """R40a, contract 4: the partition is that of 35, when the first event was due, like the key: it had no shipment."""
    case = Case().order(2).task(2, deadline=at(60)).pick(10, lu="L-1").close(30)
    case.plan(t=39, contents=part(1)).packed(1, "L-1#1", carton="C-1").device("telemetry", 90)
    return case.confirmed(1, 60).shorted(1, 60)


def R51_a_carton_that_is_withdrawn_makes_ready() -> Case:
    """R50a, R51: C-2 is not needed any more, known before the watermark passes the close: since 31, not 30."""
    case = Case().order(2).task(2).plan().plan("C-2", lu=None).shipment(2).pick(10, 2, lu="L-1").close(30)
    case.plan("C-2", lu=None, t=31, rev=2, contents=[]).confirmed(2, 10).packed(2).ready(2, 31)
    return case.device("telemetry", 90)


def R40a_a_name_from_after_the_close_is_not_the_name_of_then() -> Case:
    """R40a, R52: bound at 33, before the watermark passes the close: ready as L-1#1 since 30, and as C-1 since 33."""
    case = Case().order(2).task(2).shipment(2).pick(10, 2, lu="L-1").close(30)
    case.wms("lu.bind", 33, lu="L-1", carton="C-1").ready(2, 33, revision=1, cartons=["C-1"])
    return case.confirmed(2, 10).packed(2, carton="C-1").device("telemetry", 90)
