"""Golden cases in which two things cross: a task and the line it moves to, two units that are called one carton."""

from __future__ import annotations

from tests.cases.told_lifecycles import MINUTE, later, patient
from tests.cases.told_shipping import load, manifested, part, two_cartons
from tests.cases.writing import PACK, SORTER, STATION, Case, at

OTHER = "dc1/pick/PTL-02"


def R63_a_bind_that_is_heard_of_before_the_scan_is_judged() -> Case:
    """R63, R3: L-1 was used, and bound to nothing, when it was read together with U-9; the bind of 20.5 came later."""
    case = Case().device("carton.open", 1, lu="L-1").device("scan.multiread", 20, src=SORTER, codes=["L-1", "U-9"])
    case.wms("lu.bind", 20.5, rx=20.6, lu="L-1", carton="C-1").device("telemetry", 60)
    return case.raised("ID_MULTI", SORTER, t=20)


def R30_a_press_of_a_line_that_waits_for_its_order() -> Case:
    """R30, R20, R3: the second telling of a press, of 10, comes in time, after the line's first task, of 10.4, and
    waits for the watermark: of the two it is the earlier, and counts."""
    case = Case().order(1).pick(10.2, order="O-1", line=1, press="7").task(1, t=10.4, rx=10.5)
    case.pick(10, rx=11, src=OTHER, order="O-1", line=1, press="7").device("telemetry", 60, src=STATION)
    return case.confirmed(1, 10, "O-1/1").counted(duplicate=1, open=0)


def R20_two_first_tasks_of_a_line() -> Case:
    """R20, R81: what was told of the line is taken back for T-1, and not once more for T-2, which comes after it."""
    case = Case().order(2).pick(10, 2, order="O-1", line=1).task(2, t=9, rx=10.5).task(1, "T-2", t=8, rx=10.6)
    case.device("telemetry", 60, src=STATION).confirmed(2, 10)
    return case.expect("pick.confirmed", "O-1/1", t=10, qty=0, t_close=at(10), revision=1)


def R45_an_empty_unit_that_was_called_as_another() -> Case:
    """R45, R81: L-1 is closed empty, and called C-2 by its close; C-2 is L-2, which is closed empty, too, and stays
    so when a piece comes into L-1."""
    case = Case().order(1).task(1).wms("lu.bind", 1, lu="L-1", carton="C-1").wms("lu.bind", 1, lu="L-2", carton="C-2")
    case.device("carton.close", 10, lu="L-1", carton="C-2").close(20, "L-2").pick(40, lu="L-1").close(50)
    case.device("telemetry", 90).confirmed(1, 40).packed(1, t_close=at(50)).cleared("PKG_EMPTY", "carton/C-1", t=50)
    case.expect("exception.raised", "PKG_EMPTY/carton/C-2/1", t=20)
    return case.times("PKG_EMPTY", 1, "exception.cleared")


def R55_a_manifest_before_the_last_scan_is_judged() -> Case:
    """R55, R3: L-2 stands in another trailer since 31, and is scanned there again at 45, which is judged when the
    manifest of 46 is known: that ends the exception of 31, and no other begins."""
    case = load(load(two_cartons(), 30), 31, "L-2", "TR-2")
    load(case, 45, "L-2", "TR-2").wms("manifest.result", 46, rx=46.1, shipment="S-1", manifest_no="M-1")
    case.device("telemetry", 90).times("SHP_WRONG_TRAILER", 1).cleared("SHP_WRONG_TRAILER", "carton/C-2", t=46)
    return manifested(case.ready(2, 22), 46, "C-1", "C-2", manifest_no="M-1")


def R27_a_task_that_moves_to_a_cancelled_line() -> Case:
    """R27, R10, R3: line 2 was cancelled at 20; T-1, with a piece of 10, is of that line by a revision of 21."""
    case = Case().order(2, 2).task(2).pick(10).wms("order.cancelled", 20, rev=2, order="O-1", lines=[2])
    case.task(2, line=2, t=21, rev=2).device("telemetry", 60, src=STATION)
    return case.confirmed(1, 20, cancelled=True, line=2).raised("PCK_PUTBACK_REQUIRED", "task/T-1", t=20)


def R20_a_short_of_a_line_that_gets_its_task_by_a_move() -> Case:
    """R20, R3: the station says at 10 that line 2 is short; its first task is T-1, which moved there at 9, as is heard
    afterwards."""
    case = Case().order(2, 3).task(2).short(10, task=None, order="O-1", line=2)
    del case.records[-1]["task"]
    case.task(3, line=2, t=9, rx=10.5, rev=2).device("telemetry", 60, src=STATION)
    return case.shorted(3, 10, line=2)


def R21_a_task_that_moves_to_an_order_with_a_cutoff() -> Case:
    """R21 d: of a task of O-2 the cutoffs of O-1 close nothing any more, and those of O-2 from then on do."""
    case = Case().order(2).task(2)
    case.wms("order.released", 0, order="O-2", lines=[{"line": 1, "sku": "A", "qty": 2}])
    case.wms("wave.released", 1, wave="W-1", orders=["O-1"], cutoff=at(40))
    case.wms("wave.released", 1, wave="W-2", orders=["O-2"], cutoff=at(50)).pick(10)
    case.wms("pick.task", 20, rev=2, task="T-1", order="O-2", line=1, sku="A", qty=2).device("telemetry", 90, src=PACK)
    case.rules = {"short_at_cutoff": True}
    return case.confirmed(1, 50, order="O-2").shorted(1, 50, order="O-2")


def S10_a_tote_that_was_stuck_until_it_was_emptied() -> Case:
    """Section 10, R47: full since 10 s, stuck ten minutes later, packed out at 15 minutes, which ends it then."""
    case = later(patient().order(1).task(1).pick(10, lu="L-1"), 12)
    case.device("pack.confirm", 15 * MINUTE, from_lu="L-1", lu="L-2").close(15 * MINUTE + 5, "L-2")
    case = later(case, 16).confirmed(1, 10).packed(1, "L-2#1").cleared("PKG_STUCK", "carton/L-1#1", t=15 * MINUTE)
    return case.cleared("PCK_STUCK", "order/O-1", t=15 * MINUTE + 5)


def S10_a_plan_that_is_withdrawn_when_it_was_stuck() -> Case:
    """Section 10, R3: planned at 0 and never used, which is stuck at ten minutes; that it was withdrawn at 601 s is
    heard before the watermark has come there."""
    case = later(patient().plan(lu=None), 10).wms("carton.plan", 601, rx=601.2, rev=2, carton="C-1", shipment="S-1")
    return later(case, 12).cleared("PKG_STUCK", "carton/C-1", t=601)


def S10_the_first_task_of_an_order_is_heard_of_second() -> Case:
    """Section 10, R3: T-1 stands since 0, its first pick comes after ten minutes; T-2 of 1 s was heard of first."""
    case = patient().task(1, "T-2", line=2, t=1).task(1, t=0, rx=1.5).pick(600.5).pick(600.7, task="T-2")
    return later(case, 12).confirmed(1, 600.5).confirmed(1, 600.7, "T-2").cleared("PCK_STUCK", "order/O-1", t=600.5)


def S10_a_shipment_that_is_planned_anew_when_it_was_stuck() -> Case:
    """Section 10, R3: in work since a pick of 10 s, which it plans no more by a revision of 600.2 s. That is heard
    before the watermark comes to where it had been planned for ten minutes."""
    case = patient().order(2, 2).task(2).shipment(2).pick(10)
    case.device("telemetry", 599)
    case.wms("shipment.plan", 600.2, rx=600.3, rev=2, shipment="S-1", scope=[{"order": "O-1", "line": 2, "qty": 2}])
    case = later(case, 11).never_raised("SHP_STUCK").raised("PCK_STUCK", "order/O-1", t=600)
    return case


def R45_a_label_and_a_scale_before_the_pick_that_waits() -> Case:
    """R45, R20, R3: the piece of 10 names only its line, and waits for a sorter that lags. Scale and label (12, 13),
    which found a carton that nothing had begun yet, are held against it all the same."""
    case = Case().order(1).task(1).plan(lu=None, weight_g=500, tol_g=10, contents=part(1), shipment=None)
    del case.records[-1]["shipment"]
    case.device("telemetry", 9, rx=9.9, src=SORTER).pick(10, order="O-1", line=1, lu="L-1").close(11, carton="C-1")
    case.device("weigh", 12, src="dc1/pack/SCL-01", lu="L-1", weight_g=900)
    case.device("label.verified", 13, lu="L-1", result="NOREAD").device("telemetry", 60, src=STATION)
    case.rules = {"close_hold_ms": 0}
    case.expect("exception.raised", "PKG_WEIGHT_MISMATCH/carton/C-1/1", t=12)
    return case.confirmed(1, 10).packed(1).raised("PKG_LABEL_NOREAD", "carton/C-1", t=13)


def R27_a_cancel_that_the_manifest_takes_back() -> Case:
    """R27, section 11: too late by the manifest that comes after it; what it raised ends no earlier than it began."""
    case = Case().order(2).task(2).shipment(2).pick(10, 2).wms("order.cancelled", 31, rx=31.1, rev=2, order="O-1")
    case.device("telemetry", 36, src=STATION).wms("manifest.result", 30, rx=36.2, shipment="S-1", manifest_no="M-1")
    case.device("telemetry", 60, src=STATION).confirmed(2, 10, cancelled=None)
    case.expect("exception.raised", "CTX_CANCEL_TOO_LATE/task/T-1/1", t=31)
    case.cleared("PCK_PUTBACK_REQUIRED", "task/T-1", t=31)
    return manifested(case, 30, manifest_no="M-1")


def R45_contents_are_held_against_the_plan_of_then() -> Case:
    """R45, R3: the close of 20 was due at 25; that one piece is enough is said at 26, and heard before the watermark is
    at 25."""
    case = Case().order(1).task(1).plan().pick(10, lu="L-1").close(20)
    again = {"carton": "C-1", "shipment": "S-1", "lu": "L-1", "contents": part(1)}
    case.wms("carton.plan", 26, rx=26.1, rev=2, **again).device("telemetry", 60)
    return case.confirmed(1, 10).packed(1).cleared("PKG_CONTENT_MISMATCH", "carton/C-1", t=26)


def R45_a_plan_that_asks_for_more_after_the_close() -> Case:
    """R45: what lies in C-1 was planned until 60, and is too little since then."""
    case = Case().order(2).task(2).plan().pick(10, 2, lu="L-1").close(20).device("telemetry", 40)
    case.plan(t=60, rev=2, contents=part(3)).device("telemetry", 90)
    return case.confirmed(2, 10).packed(2).raised("PKG_CONTENT_MISMATCH", "carton/C-1", t=60)


def R51_a_plan_that_is_heard_between_a_task_and_its_short() -> Case:
    """R51, R3: line 2 is asked for at 30.9, by a clock that is ahead, and told short at 30.2. The plan of 30.1 comes
    between the two: the shipment is ready since 30.9, as if it had come first."""
    case = Case().order(1, 2).task(1).pick(3, lu="L-1").close(5).device("telemetry", 20)
    case.task(2, "T-2", 2, t=30.9, rx=30.3)
    scope = [{"order": "O-1", "line": 1, "qty": 1}, {"order": "O-1", "line": 2, "qty": 2}]
    case.wms("shipment.plan", 30.1, rx=30.35, shipment="S-1", scope=scope)
    case.device("pick.short", 30.2, 30.5, STATION, task="T-2", code="EMPTY").device("telemetry", 60)
    case.confirmed(1, 3).packed(1, "L-1#1").shorted(2, 30.2, "T-2")
    return case.expect("shipment.ready", "S-1", t=30.9, cartons=["L-1#1"], partial=True)


def R45_a_plan_that_was_wrong_until_the_next() -> Case:
    """R45, R3: no plan until 26; the next, of 30.9, is heard before the watermark is at 26, and dates nothing."""
    case = Case().order(2).task(2).pick(10, 2, lu="L-1").close(20)
    plan = {"carton": "C-1", "shipment": "S-1", "lu": "L-1"}
    case.wms("carton.plan", 26, rx=26.1, rev=1, contents=part(3), **plan)
    case.wms("carton.plan", 30.9, rx=30.95, rev=2, contents=part(2), **plan).device("telemetry", 60)
    case.confirmed(2, 10).packed(2, "L-1#1", carton="C-1")
    case.expect("exception.raised", "PKG_CONTENT_MISMATCH/carton/L-1#1/1", t=26)
    return case.expect("exception.cleared", "PKG_CONTENT_MISMATCH/carton/L-1#1/1", t=30.9)


def R64_a_press_that_was_told_before_the_loss() -> Case:
    """R64, R30, R3: L-1 is lost at 10.2. A press of 10 into it is told by a second station as of 10.4, and that is
    heard of first: it is the same press, and nobody has seen L-1 since."""
    entries = [{"task": "T-1", "qty": 1, "lu": "L-1"}, {"task": "T-2", "qty": 1, "lu": "L-2"}]
    case = Case().order(1, 1).task(1).task(1, "T-2", 2).device("carton.open", 5, lu="L-1")
    case.device("item.lost", 10.2, src=SORTER, lu="L-1").pick(10.4, src=OTHER, press="7", alloc=entries)
    case.pick(10, rx=10.5, press="7", alloc=entries).device("telemetry", 60)
    return case.confirmed(1, 10).confirmed(1, 10, "T-2").raised("RTE_LOST", "lu/L-1", t=10.2).counted(duplicate=1)


def R27_a_task_that_left_its_line_just_before_the_cancel() -> Case:
    """R27, R10, R3: T-1 is of line 2 since 20; that line 1 was cancelled at 20.5 is heard of before."""
    case = (
        Case().order(2, 2).task(2).pick(10).tell("dc1/oms/main", "order.cancelled", 20.5, rev=2, order="O-1", lines=[1])
    )
    case.task(2, line=2, t=20, rx=20.6, rev=2).pick(30).device("telemetry", 60, src=STATION)
    return case.confirmed(2, 30, line=2, cancelled=None).never_raised("PCK_PUTBACK_REQUIRED")


def R27_a_task_that_leaves_a_cancelled_line() -> Case:
    """R27, R10: line 1 was cancelled at 20, and that was told; its piece is line 2's by a revision of 40, and need not
    be put back any more."""
    case = Case().order(2, 2).task(2).pick(10).wms("order.cancelled", 20, rev=2, order="O-1", lines=[1])
    case.device("telemetry", 30, src=STATION).task(2, line=2, t=40, rev=2).device("telemetry", 60, src=STATION)
    case.expect("pick.confirmed", "T-1", t=20, qty=0, cancelled=None, line=2, revision=1)
    return case.cleared("PCK_PUTBACK_REQUIRED", "task/T-1", t=40)
