"""Golden cases of plans, tasks and orders that are told anew while a readiness waits to be told (R10, R27a, R51, R52).

What is asked for anew counts from its arrival on. What was true before its own moment, and had lasted, was true.
"""

from __future__ import annotations

from typing import Any

from tests.cases.told_shipping import packed_one, part
from tests.cases.writing import SORTER, STATION, Case, at


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


def changed(case: Case, t: float, rev: int, qty: int, **line: object) -> Case:
    lines = [{"line": 1, "sku": "A", "qty": qty, **line}]
    return case.wms("order.changed", t, rev=rev, order="O-1", lines=lines)


def over_packed() -> Case:
    """Two pieces of one that was asked for, closed at 20."""
    case = Case().order(1).task(1).shipment(1).pick(10, 2, lu="L-1").close(20)
    return case.confirmed(2, 10).packed(2, "L-1#1")


def ready_over(case: Case, t: float) -> Case:
    line = {"cancelled": 0, "line": 1, "order": "O-1", "ordered": 1, "packed": 2, "short": 0}
    return case.expect("shipment.ready", "S-1", t=t, lines=[line])


def R24_covered_right_after_the_close() -> Case:
    """R24, R51: ready since the change of 21 that covers it, though the watermark passes the close of 20 after it."""
    case = changed(over_packed(), 21, 2, 2).cleared("PCK_OVER", "task/T-1", t=21)
    return ready_over(case, 21).device("telemetry", 40, src=STATION)


def R24_covered_for_a_moment() -> Case:
    """R24, R51: an order.changed covers the over-pick from 21 to 24, which is less than `ready_hold_ms`: no readiness
    is told, and PCK_OVER stands again."""
    case = changed(changed(over_packed(), 21, 2, 2), 24, 3, 1)
    case.device("telemetry", 40, src=STATION).times("PCK_OVER", 2).times("PCK_OVER", 1, "exception.cleared")
    for episode, t in ((1, 10), (2, 24)):
        case.expect("exception.raised", f"PCK_OVER/task/T-1/{episode}", t=t, detail="2 of 1")
    return case.expect("exception.cleared", "PCK_OVER/task/T-1/1", t=21)


def R50_a_policy_that_is_changed_right_after_the_close() -> Case:
    """R50, R51: the order held its short until the change of 21, so it is ready since then, not since the close."""
    case = Case().order(2, short_policy="HOLD").task(2).shipment(2).pick(10, lu="L-1").short(15).close(20)
    changed(case, 21, 2, 2, short_policy="SHIP_PARTIAL").device("telemetry", 40, src=STATION)
    case.confirmed(1, 15).shorted(1, 15).packed(1, "L-1#1").ready(1, 21, short=1)
    return case.cleared("SHP_HELD_SHORT", "shipment/S-1", t=21)


def R23_more_has_failed_right_after_the_close() -> Case:
    """R23, R51: two pieces could not be allocated by the revision of 21; that explains what is missing, so the
    shipment is ready since 21."""
    case = Case().order(3).task(1).shipment(3).pick(10, lu="L-1")
    case.wms("alloc.failed", 5, order="O-1", line=1, qty=1, code="EMPTY").close(20)
    case.wms("alloc.failed", 21, rev=2, order="O-1", line=1, qty=2, code="EMPTY").device("telemetry", 40, src=STATION)
    case.confirmed(1, 10).packed(1, "L-1#1").ready(1, 21, short=2)
    return case.expect("pick.short", "O-1/1", t=21, qty_short=2, decided_by="ALLOC")


def R27a_raised_and_lowered_while_it_is_open() -> Case:
    """R27a, R21 (a): asked for one more at 20 and for one in all at 30: full by the pick of 10."""
    case = Case().order(2).task(2).pick(10).task(3, t=20)
    case.records[-1]["rev"] = 2
    case.task(1, t=30).records[-1]["rev"] = 3
    return case.confirmed(1, 10, qty_task=1)


def R21d_a_cutoff_that_had_passed_when_it_was_moved() -> Case:
    """R21 (d), R26: the cutoff of 20 has closed the window; that the wave is given until 50 at 30 changes nothing."""
    case = Case().order(2).task(2).pick(10).wms("wave.released", 1, wave="W-1", orders=["O-1"], cutoff=at(20))
    case.wms("wave.released", 30, rev=2, wave="W-1", orders=["O-1"], cutoff=at(50)).device("telemetry", 60, src=STATION)
    case.rules["short_at_cutoff"] = True
    return case.confirmed(1, 20).shorted(1, 20)


def R24_less_is_asked_for_before_the_presses_are_heard_of() -> Case:
    """R24, R27a, R3: over since less is asked for at 11, though the presses of 10 arrive after that."""
    case = Case().order(2).task(2).task(1, t=11)
    case.records[-1]["rev"] = 2
    case.pick(10, 2, rx=12).confirmed(2, 10, qty_task=1)
    return case.expect("exception.raised", "PCK_OVER/task/T-1/1", t=11, detail="2 of 1")


def unplanned_ready() -> Case:
    """Closed at 20 in L-1 that nobody planned: its contents are S-1's alone."""
    case = Case().order(2).task(2).shipment(2).pick(10, 2, lu="L-1").close(20).device("telemetry", 60)
    return case.ready(2, 20, revision=0).packed(2, "L-1#1", revision=1).confirmed(2, 10)


def R53_a_plan_that_gives_an_unplanned_carton_to_another_shipment() -> Case:
    """R50a, R53, R52: by its contents it was S-1's; from the plan on it is no more, and its pieces with it."""
    return unready(unplanned_ready().plan(shipment="S-2", t=70), 70, "carton.plan")


def R53_a_bind_that_gives_an_unplanned_carton_to_another_shipment() -> Case:
    """R50a, R53: S-2's plan names C-1, and only the bind of 70 says that the unit is C-1: S-1, whose pieces lie in it,
    is unready since then."""
    case = unplanned_ready().plan(shipment="S-2", lu=None, t=30).wms("lu.bind", 70, lu="L-1", carton="C-1")
    return unready(case, 70, "lu.bind")


def R52_a_plan_that_names_an_unplanned_carton() -> Case:
    """R52: it stays true, and says what the carton is called, without an unready: the unit comes with the plan."""
    case = unplanned_ready().plan(t=70).device("telemetry", 90)
    case.expected = [row for row in case.expected if row["type"] != "shipment.ready"]
    return case.ready(2, 70, revision=1, cartons=["C-1"])


def R50_concerned_is_what_was_planned_then() -> Case:
    """R51, R3: told ready by the plan of two orders, of which the next one, known by then, leaves out one."""
    case = Case().order(2).task(2).plan().pick(10, 2, lu="L-1").close(30).confirmed(2, 10).packed(2)
    case.wms("shipment.plan", 1, shipment="S-1", scope=[*part(2), {"order": "O-2", "line": 1, "qty": 0}])
    unready(case.wms("shipment.plan", 39, rev=2, shipment="S-1", scope=part(3)), 39, "shipment.plan")
    return case.expect("shipment.ready", "S-1", t=30, plan_rev=1, correlationid="S-1")


def R50a_planned_without_contents_from_the_first() -> Case:
    """R50a: nothing was planned *again*, so the carton is its shipment's, whatever is picked into it."""
    case = Case().order(2).task(2).shipment(2).wms("carton.plan", carton="C-1", shipment="S-1", lu="L-1")
    case.pick(10, 2, lu="L-1").close(20).confirmed(2, 10).packed(2, shipment="S-1")
    return case.ready(2, 20, cartons=["C-1"]).never_raised("PKG_CONTENT_MISMATCH")


def moved_to_line_2() -> Case:
    """T-1 of line 1 is picked into C-1 and told; at 60 it is line 2's."""
    case = Case().order(1, 1).task(1).plan(contents=part(1)).shipment(1).pick(10, lu="L-1").close(20)
    case.device("telemetry", 40, src=STATION).task(1, line=2, t=60)
    case.records[-1]["rev"] = 2
    return case.confirmed(1, 10, line=2)


def R52_a_task_that_moves_to_another_line() -> Case:
    """R10, R52: line 1 lacks its piece from then on, and the carton holds one of line 2."""
    case = unready(moved_to_line_2().ready(1, 20), 60, "pick.task").packed(1, line=2, revision=1)
    return case.raised("PKG_CONTENT_MISMATCH", "carton/C-1")


def R21_full_on_arrival_until_more_is_asked_for() -> Case:
    """R21, R27a, R3: full by the press of 9 until the task's revision of 8.5 is heard of: it never was, and is open."""
    case = Case().order(3).task(1).pick(9).task(3, t=8.5, rx=9.5)
    case.records[-1]["rev"] = 2
    return case.device("telemetry", 40, src=STATION).confirmed(0, 9, revision=1)


def R21_full_on_arrival_until_more_is_asked_for_and_picked() -> Case:
    """R21, R27a, R3: likewise, and the rest is picked: confirmed as if it had come in order."""
    case = Case().order(3).task(1).pick(9).task(3, t=8.5, rx=9.5)
    case.records[-1]["rev"] = 2
    return case.pick(30, 2).confirmed(3, 30, revision=2, qty_task=3)


def over_and_short() -> Case:
    """Of two tasks of ten pieces each one is five short, the other five over: twenty of the line's twenty, in C-1."""
    case = Case().order(20).task(10).task(10, "T-2").plan(contents=part(20)).shipment(20)
    case.pick(10, 5, lu="L-1").short(11).pick(12, 15, task="T-2", lu="L-1").close(20)
    return case.confirmed(5, 11).shorted(5, 11).confirmed(15, 12, "T-2", over_qty=5).packed(20)


def R24_over_on_one_task_and_short_on_the_other() -> Case:
    """R24, R50: the line has what was ordered; not ready all the same while PCK_OVER stands."""
    return over_and_short().device("telemetry", 60).raised("PCK_OVER", "task/T-2", t=12)


def R24_over_on_one_task_and_covered() -> Case:
    """R24, R50: the order says at 30 that it knows: ready since then."""
    case = changed(over_and_short(), 30, 2, 20).cleared("PCK_OVER", "task/T-2", t=30)
    return case.ready(20, 30).device("telemetry", 60)


def R50_a_scope_that_names_a_line_twice() -> Case:
    """R50, R50a: one and one of it are two, as in a carton's plan; ready when both are packed."""
    case = Case().order(2).task(2).plan(contents=[*part(1), *part(1)]).pick(10, 2, lu="L-1").close(20)
    case.wms("shipment.plan", shipment="S-1", scope=[*part(1), *part(1)]).confirmed(2, 10).packed(2)
    return case.ready(2, 20).never_raised("PKG_CONTENT_MISMATCH").device("telemetry", 60)


def R50_a_scope_that_names_a_line_twice_and_lacks_one() -> Case:
    """R50: one of two is not enough."""
    case = Case().order(2).task(1).shipment(1).pick(10, lu="L-1").close(20).confirmed(1, 10).packed(1, "L-1#1")
    case.wms("shipment.plan", 30, rev=2, shipment="S-1", scope=[*part(1), *part(1)]).device("telemetry", 60)
    return unready(case.ready(1, 20), 30, "shipment.plan")


def sixteen_plans_later(kind: str, *plans: dict[str, Any]) -> Case:
    """Ready at 20. Before the watermark is there, it is planned anew for each tenth of a second from 22 on."""
    case = packed_one().confirmed(1, 10).packed(1).ready(1, 20, revision=0, plan_rev=1)
    case.rules["ready_hold_ms"] = 1_000
    for n, plan in enumerate(plans):
        case.wms(kind, 22 + n / 10, 20.5 + n / 100, rev=n + 2, **plan)
    return case.expect("shipment.unready", "S-1", t=22, cause=kind).device("telemetry", 90)


def R51_the_first_of_seventeen_plans_of_a_shipment() -> Case:
    """R51: sixteen that were replaced are remembered, so it is known that it was ready by the first."""
    return sixteen_plans_later("shipment.plan", *16 * [{"shipment": "S-1", "scope": part(2)}])


def R51_the_first_of_seventeen_plans_of_a_carton() -> Case:
    """R51, R53: likewise of its carton, which goes to S-2, then to S-3 and so on."""
    plans = [{"carton": "C-1", "shipment": f"S-{n}", "contents": part(1)} for n in range(2, 18)]
    return sixteen_plans_later("carton.plan", *plans)
