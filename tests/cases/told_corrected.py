"""Golden cases of picks that are decided once and corrected by what comes later."""

from __future__ import annotations

from tests.cases.told_shipping import CARTON, label, packed_one
from tests.cases.writing import SCALE, STATION, Case, at


def R27_a_cancel_from_before_a_short_without_picks() -> Case:
    """R27: nobody picked, the deadline of 60 told a short, and the cancel of 50 comes at 100: it is revised to 0."""
    case = Case().order(2).task(2, deadline=at(60)).device("telemetry", 70, src=STATION)
    case.wms("pick.task_cancelled", 50, rx=100, rev=2, task="T-1")
    return case.shorted(0, 50, revision=1, reason="DEADLINE", qty_picked=0)


def R27_a_task_that_is_told_after_the_cancel_of_its_order() -> Case:
    """R27, R10: the order is cancelled at 20 before anything is known of it; its task comes later, with a deadline."""
    case = Case().pick(10, 2).wms("order.cancelled", 20, rev=2, order="O-1").task(3, t=30, deadline=at(60))
    return case.device("telemetry", 70, src=STATION).confirmed(2, 20, cancelled=True)


def R26_shorted_after_it_was_full_and_opened_again() -> Case:
    """R21, R26: full when its deadline passed, opened by a reversal, shorted by the operator; then a late press."""
    case = Case().order(3).task(3, deadline=at(60)).pick(10, 3).put_back(80, 2).short(120)
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/2/0", qty=2).device("telemetry", 130, src=STATION)
    case.tell("dc1/pick/PTL-02", "pick.confirm", 100, 150, seq=1, hist=True, task="T-1", sku="A", qty=1)
    return case.confirmed(2, 120, revision=3).shorted(1, 120, revision=1, reason="EMPTY", decided_by="OPERATOR")


def R10_a_wave_moves_its_cutoff() -> Case:
    """R10, R21: the cutoff of 60 counts no more when the wave says 200."""
    case = Case().order(3).task(3).wms("wave.released", wave="W-1", orders=["O-1"], cutoff=at(60)).pick(10)
    case.wms("wave.released", 20, rev=2, wave="W-1", orders=["O-1"], cutoff=at(200))
    case.device("telemetry", 70, src=STATION).pick(120).device("telemetry", 210, src=STATION).rules[
        "short_at_cutoff"
    ] = True
    return case.confirmed(2, 200, revision=0).shorted(1, 200, revision=0)


def R10_a_wave_leaves_an_order_out() -> Case:
    """R10, R21: the order is in no wave any more, so no cutoff ends it."""
    case = Case().order(3).task(3).wms("wave.released", wave="W-1", orders=["O-1"], cutoff=at(60)).pick(10)
    case.wms("wave.released", 20, rev=2, wave="W-1", orders=["O-2"], cutoff=at(60)).device("telemetry", 70, src=STATION)
    case.pick(120, 2).rules["short_at_cutoff"] = True
    return case.confirmed(3, 120, revision=0)


def in_two_waves() -> Case:
    """O-1 is in W-1 until 30, and in W-2, which is told last, until 60."""
    case = Case().order(3).task(3).wms("wave.released", 1, wave="W-1", orders=["O-1"], cutoff=at(30))
    case.wms("wave.released", 2, wave="W-2", orders=["O-1"], cutoff=at(60)).pick(10)
    case.rules["short_at_cutoff"] = True
    return case


def R21d_an_order_in_two_waves() -> Case:
    """R21 (d), R3: it has the cutoff of both, whichever was told last, and the first that comes closes."""
    return in_two_waves().device("telemetry", 70, src=STATION).confirmed(1, 30).shorted(2, 30, decided_by="DEADLINE")


def R10_one_of_two_waves_leaves_an_order_out() -> Case:
    """R10, R21 (d): from 20 on it is in W-2 alone."""
    case = in_two_waves().wms("wave.released", 20, rev=2, wave="W-1", orders=["O-2"], cutoff=at(30))
    case.device("telemetry", 40, src=STATION).pick(50).device("telemetry", 70, src=STATION)
    return case.confirmed(2, 60, revision=0).shorted(1, 60, revision=0)


def R10_a_wave_takes_over_what_is_left_of_another() -> Case:
    """R10, R21 (d): W-2, told anew, leaves O-1 to W-1, whose cutoff was told before and still counts."""
    case = in_two_waves().wms("wave.released", 20, rev=2, wave="W-2", orders=["O-2"], cutoff=at(25))
    return case.device("telemetry", 70, src=STATION).confirmed(1, 30).shorted(2, 30, decided_by="DEADLINE")


def R43_a_reversal_goes_with_the_pick_before_it() -> Case:
    """R43, R3: put back at 11.5 out of L-1, although the press into L-2 of 12 arrives first."""
    case = Case().order(5).task(5).pick(10, 2, lu="L-1").pick(12, lu="L-2")
    case.put_back(11.5, rx=12.5, src="dc1/pick/PTL-02").close(20).close(21, lu="L-2")
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-02/0/1/0", qty=1)
    return case.packed(1, "L-1#1").packed(1, "L-2#1")


def R43_a_reversal_that_overtakes_its_pick() -> Case:
    """R43, R3: the press into L-2 of 12 arrives after it was put back at 12.5."""
    case = Case().order(5).task(5, lu="L-1").pick(10, 2, lu="L-1")
    case.put_back(12.5, src="dc1/pick/PTL-02").pick(12, 2, rx=13, lu="L-2").close(20).close(21, lu="L-2")
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-02/0/1/0", qty=1)
    return case.packed(2, "L-1#1").packed(1, "L-2#1")


def R30_of_two_that_tell_of_a_press_the_earlier_counts() -> Case:
    """R30, R3: the light told of the press of 10 at 10.5, and arrives before the scanner that told of it at 10."""
    case = Case().order(2).task(2).pick(10.5, 2, press="P-1", lu="L-1")
    case.pick(10, 2, rx=11, src="dc1/pick/RF-07", press="P-1", lu="L-1").close(20)
    return case.confirmed(2, 10, t_first=at(10)).packed(2, "L-1#1", t_open=at(10)).counted(used=4, duplicate=1)


def R30_the_earlier_counts_also_of_those_that_waited() -> Case:
    """R30, R11, R3: two devices tell of a press at 10.5 and at 10, the task only comes at 60: both take effect then,
    and the press of 10 counts."""
    case = Case().order(2).pick(10.5, 2, press="P-1", lu="L-1")
    case.pick(10, 2, rx=11, src="dc1/pick/RF-07", press="P-1", lu="L-1").close(20).task(2, t=60)
    return case.confirmed(2, 10, t_first=at(10)).packed(2, "L-1#1", t_open=at(10)).counted(used=4, duplicate=1)


def R30_a_press_that_is_told_late_again() -> Case:
    """R30: what was decided by the first telling stays."""
    case = Case().order(2).task(2).pick(10.5, 2, press="P-1").device("telemetry", 30, src=STATION)
    case.pick(10, 2, rx=40, src="dc1/pick/RF-07", press="P-1", hist=True)
    return case.confirmed(2, 10.5, revision=0).counted(duplicate=1)


def R20_the_picks_of_the_line_go_where_its_task_says() -> Case:
    """R20, R43: the line's window becomes the task's, and what was picked without a load unit lies in the task's."""
    case = Case().order(4).pick(10, order="O-1", line=1).pick(12, line=1, order="O-1", lu="L-2")
    case.task(4, t=15, lu="L-1").pick(16).close(20).close(21, lu="L-2")
    return case.packed(2, "L-1#1").packed(1, "L-2#1")


def R31_a_wrong_sku_is_put_back_out_of_where_it_was() -> Case:
    """R31, R43: B went into L-2, and comes out of it though the last pick of the task went into L-1."""
    case = Case().order(4).task(4).pick(10, sku="B", lu="L-2").pick(12, lu="L-1").put_back(14, sku="B")
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/3/0", qty=1, sku="B").pick(16, lu="L-2")
    return case.close(20).close(21, lu="L-2").packed(1, "L-1#1").packed(1, "L-2#1")


def R21c_the_close_is_told_after_a_pick_that_came_later() -> Case:
    """R21, R3: the task's carton was closed at 20, before anybody picked; the press of 20.5 elsewhere arrives first."""
    case = Case().order(3).task(3, lu="L-1").device("carton.open", 5, lu="L-1").pick(20.5, lu="L-2")
    case.device("carton.close", 20, 21, src="dc1/pack/PK-02", lu="L-1").rules["short_on_close"] = True
    return case.confirmed(1, 20.5).shorted(2, 20.5, decided_by="CLOSE")


def R29_two_late_picks_in_any_order() -> Case:
    """R29, R3: what is told of the place is as of the later one, whichever came first."""
    case = Case().order(3).task(3, loc="A-1").shipment(3).pick(10, 3, lu="L-1")
    case.wms("manifest.result", 50, shipment="S-1", manifest_no="M-1", tracking=[])
    case.pick(72).pick(71, rx=73, src="dc1/pick/PTL-02").confirmed(3, 10, revision=0)
    case.expect("shipment.manifested", "S-1", t=50)
    return case.expect("inventory.discrepancy", "A-1/A//T-1", t=72, actual=5, expected=3, as_of=at(72))


def R23_a_short_of_a_line_that_nobody_picked() -> Case:
    """R20, R23: a line without tasks or picks has no short but alloc.failed's, and no window that is open."""
    case = Case().order(1, 2).shipment(1).plan(contents=[{"order": "O-1", "line": 1, "qty": 1}])
    case.shipment(1, scope=[{"order": "O-1", "line": 1, "qty": 1}, {"order": "O-1", "line": 2, "qty": 2}], rev=2)
    case.task(1).pick(10, lu="L-1").device("pick.short", 12, src=STATION, order="O-1", line=2, code="EMPTY")
    case.wms("alloc.failed", 14, order="O-1", line=2, qty=2, code="NO_STOCK").close(20)
    case.confirmed(1, 10).packed(1).expect("pick.short", "O-1/2", decided_by="ALLOC", qty_short=2, revision=0)
    return case.expect("shipment.ready", "S-1", t=20, partial=True)


def R23_a_pick_from_before_the_short_of_its_line() -> Case:
    """R20, R21 b: the first pick arrives after the short that followed it: the window was open when it was shorted."""
    case = Case().order(3).device("pick.short", 10, src=STATION, order="O-1", line=1, code="EMPTY")
    case.pick(9, rx=10.5, src="dc1/pick/PTL-02", order="O-1", line=1).device("telemetry", 20, src=STATION)
    return case.confirmed(1, 10, "O-1/1").shorted(2, 10, "O-1/1", reason="EMPTY")


def R20_a_short_of_the_line_before_its_first_task() -> Case:
    """R20: nothing was told of the line yet, so a short of the line is one of its first task."""
    case = Case().order(3).device("pick.short", 10, src=STATION, order="O-1", line=1, code="EMPTY")
    case.device("telemetry", 20, src=STATION).task(3, t=9).records[-1]["t_rx"] = at(30)
    return case.device("telemetry", 40, src=STATION).shorted(3, 10, reason="EMPTY")


def R45_a_plan_whose_moment_is_to_come() -> Case:
    """R45, R3: the plan of 17 arrives at 14.9, and counts for the weight from 17 on. So that of 14.9 is good until
    then, as it would be if the plan had come when it was made."""
    case = Case().order(2).task(2).plan(weight_g=100, tol_g=5).pick(4, 2, lu="L-1")
    case.device("weigh", 5, lu="L-1", weight_g=120).close(6).device("scan.read", 14, lu="L-9")
    case.plan(lu=None, t=17, rx=14.9, rev=2, weight_g=120, tol_g=5)
    case.device("label.verified", 14.5, rx=15, lu="L-1", result="OK").device("scan.read", 16.7, lu="L-9")
    case.device("weigh", 14.9, rx=16.8, lu="L-1", weight_g=100).device("scan.read", 30, lu="L-9")
    case.confirmed(2, 4).packed(2, weight_g=120).cleared("PKG_WEIGHT_MISMATCH", "carton/C-1", t=14.9)
    case.expect("exception.raised", "PKG_WEIGHT_MISMATCH/carton/C-1/2", t=17, code="PKG_WEIGHT_MISMATCH")
    return case.times("PKG_WEIGHT_MISMATCH", 2).times("PKG_WEIGHT_MISMATCH", 1, "exception.cleared")


def R45_an_empty_carton_that_is_named_before_it_is_filled() -> Case:
    """R45, R40a: what was raised under the unit's number ends under it, though the carton is called C-1 by then."""
    case = Case().order(1).device("carton.open", 1, lu="L-1").close(5).tick(18)
    case.wms("lu.bind", 20, lu="L-1", carton="C-1").pick(25, lu="L-1", order="O-1", line=1).close(30)
    case.packed(1).expect("pick.confirmed", "O-1/1", qty=1).times("PKG_EMPTY", 1)
    return case.cleared("PKG_EMPTY", "carton/L-1#1", t=30).device("telemetry", 60)


def R45_an_empty_carton_that_is_named_and_closed_empty_again() -> Case:
    """R45, R40a: it is closed empty twice; PKG_EMPTY goes by the name of each moment, and only the last one stands."""
    case = Case().device("carton.open", 1, lu="L-1").close(5).tick(18).wms("lu.bind", 20, lu="L-1", carton="C-1")
    case.device("carton.reopen", 25, lu="L-1").close(30).device("telemetry", 60)
    case.expect("exception.cleared", "PKG_EMPTY/carton/L-1#1/1", t=30, code="PKG_EMPTY")
    case.expect("exception.raised", "PKG_EMPTY/carton/L-1#1/1", code="PKG_EMPTY")
    return case.expect("exception.raised", "PKG_EMPTY/carton/C-1/1", t=30, code="PKG_EMPTY")


def R45_the_label_of_an_empty_carton() -> Case:
    """R45: nothing was ever in it and its label could not be read; when the tote is let go, nobody has to label it."""
    case = label(Case().device("carton.open", 5, lu="L-1").close(20), 22, "NOREAD").wms("lu.release", 60, lu="L-1")
    case.device("telemetry", 40, src=SCALE).device("telemetry", 70, src=SCALE)
    return case.cleared("PKG_LABEL_NOREAD", "carton/L-1#1", t=60).times("PKG_LABEL_NOREAD", 1)


def R45_a_wrong_label_ends_with_the_void() -> Case:
    """R45: cleared by the void, and at its time."""
    case = label(packed_one(), 22, "MISMATCH").device("carton.void", 40, lu="L-1").confirmed(1, 10).packed(1)
    return case.cleared("PKG_LABEL_MISMATCH", CARTON, t=40).expect("carton.voided", "C-1", t=40)


def R26_a_deadline_that_had_passed_when_it_was_moved() -> Case:
    """R10, R26, R3: short at 50, and so it stays, though the watermark had not passed 50 when the word of 51 came."""
    case = Case().order(2).task(2, deadline=at(50)).pick(10).device("telemetry", 49.5, src=STATION)
    case.task(2, t=51, rev=2, deadline=at(80)).pick(60).device("telemetry", 120, src=STATION)
    return case.confirmed(2, 60, revision=1).shorted(0, 60, revision=1, reason="DEADLINE")


def R10_a_deadline_that_is_moved_before_it_comes() -> Case:
    """R10, R21: at 49 it is moved to 80, and then the second piece of 60 is in time."""
    case = Case().order(3).task(3, deadline=at(50)).pick(10).task(3, t=49, rev=2, deadline=at(80)).pick(60)
    return case.device("telemetry", 120, src=STATION).confirmed(2, 80, revision=0).shorted(1, 80, revision=0)


def R50_ready_by_the_cutoff_of_a_wave_released_before() -> Case:
    """R21 d, R50, R51: nothing is picked of the second line; its task was told after wave and plan, and ends at 30."""
    case = Case().order(1, 1).shipment(1).wms("wave.released", wave="W-1", orders=["O-1"], cutoff=at(30))
    case.records[-2]["scope"].append({"order": "O-1", "line": 2, "qty": 1})
    case.rules = {"short_at_cutoff": True}
    case.task(1, t=1).task(1, "T-2", line=2, t=1).pick(10, lu="L-1").close(20)
    return (
        case.confirmed(1, 10)
        .packed(1, "L-1#1")
        .shorted(1, 30, "T-2")
        .expect("shipment.ready", "S-1", t=30, partial=True)
    )


def R50_ready_by_the_cutoff_of_a_line_without_tasks() -> Case:
    """R21 d, R50, R51: one of two pieces of a line without tasks is picked; the cutoff of 30 makes the rest short, and
    the shipment ready."""
    case = Case().order(2).shipment(2).wms("wave.released", wave="W-1", orders=["O-1"], cutoff=at(30))
    case.rules = {"short_at_cutoff": True}
    case.pick(10, line=1, order="O-1", lu="L-1").close(20)
    case.expect("pick.confirmed", "O-1/1", t=30, qty=1).expect("pick.short", "O-1/1", t=30, qty_short=1)
    return case.packed(1, "L-1#1").ready(1, 30, short=1, cartons=["L-1#1"])


def R26_put_back_twice() -> Case:
    """R26, R28: the first reversal opened it again; the second is told like the first."""
    case = Case().order(3).task(3).pick(10, 3).put_back(20).put_back(30)
    for number in (2, 3):
        case.expect("pick.reversed", f"T-1/{STATION}/0/{number}/0", qty=1)
    return case.confirmed(1, 30, qty_task=3, over_qty=0)


def R26_a_piece_that_follows_after_it_turns_out_never_full() -> Case:
    """R26, R25: told full at 30 and open again at 40. A backlog tells that a piece had been put back before: nothing is
    left, and the window never was full. The piece of 50, told then, is a revision of its own time and unit."""
    case = Case().order(2).task(2).pick(10, lu="L-1").pick(30, lu="L-1").put_back(40, lu="L-1")
    case.put_back(20, rx=90, src="dc1/pick/PTL-02", lu="L-1", hist=True)
    case.pick(50, rx=91, src="dc1/pick/PTL-02", lu="L-2", hist=True)
    for key in (f"T-1/{STATION}/0/3/0", "T-1/dc1/pick/PTL-02/0/1/0"):
        case.expect("pick.reversed", key, qty=1)
    return case.confirmed(1, 50, lu=None, revision=3)


def R26_put_back_after_more_was_asked() -> Case:
    """R26, R27a: three of three are picked, then five are asked for; the reversal of 20 and the pick of 25 are each
    told at once."""
    case = Case().order(5).task(3).pick(10, 3)
    case.wms("pick.task", 15, rev=2, task="T-1", order="O-1", line=1, sku="A", qty=5)
    case.put_back(20).pick(25, 2).expect("pick.reversed", f"T-1/{STATION}/0/2/0", qty=1)
    return case.confirmed(4, 25, qty_task=5, over_qty=0)


def R43_put_back_without_its_lot() -> Case:
    """R43: two of a lot are in the carton, and one is put back by a press that names no lot: one is left of it."""
    case = Case().order(3).task(3).pick(10, 2, lot="B-1", lu="L-1").put_back(15, lu="L-1").close(20)
    case.expect("pick.reversed", f"T-1/{STATION}/0/2/0", qty=1)
    return case.expect(
        "carton.closed", "L-1#1", contents=[{"line": 1, "lot": "B-1", "order": "O-1", "qty": 1, "sku": "A"}]
    )


def R43_put_back_out_of_the_wrong_carton() -> Case:
    """R43, R45: the press says L-2, where nothing lies: it is closed empty, nobody finds less than nothing."""
    case = Case().order(2).task(2).pick(10, 2, lu="L-1").device("carton.open", 5, lu="L-2").put_back(15, lu="L-2")
    case.close(20).close(21, lu="L-2").expect("pick.reversed", f"T-1/{STATION}/0/2/0", qty=1)
    return case.confirmed(1, 15).packed(2, "L-1#1").raised("PKG_EMPTY", "carton/L-2#1")


def R21_full_at_the_very_moment_of_the_deadline() -> Case:
    """R21: the pick of 20 counts for the deadline of 20 and fills the window, so it closes by (a); when the piece is
    put back, the window is open."""
    case = Case().order(1).task(1, deadline=at(20)).pick(20).put_back(30)
    return case.confirmed(0, 30).expect("pick.reversed", f"T-1/{STATION}/0/2/0", qty=1)


def R24_over_at_the_press_that_was_one_too_many() -> Case:
    """R24, R3: the press of 11 is the one too many, though that of 10 arrives last."""
    case = Case().order(1).task(1).pick(11).pick(10, rx=12, src="dc1/pick/PTL-02")
    return case.confirmed(2, 11).expect("exception.raised", "PCK_OVER/task/T-1/1", t=11, detail="2 of 1")


def R24_over_for_a_moment() -> Case:
    """R24, R3: put back at 12 what was one too many at 11, and that is told first: over from 11 to 12 all the same."""
    case = Case().order(1).task(1).pick(10).pick(11, rx=13, src="dc1/pick/PTL-02").put_back(12)
    case.confirmed(1, 12).expect("pick.reversed", f"T-1/{STATION}/0/2/0", qty=1)
    return case.cleared("PCK_OVER", "task/T-1", t=12)


def R27_the_first_pick_after_the_cancel() -> Case:
    """R27, R3: that of 21, though that of 22 arrives before it."""
    case = Case().order(3).task(3).pick(10).wms("pick.task_cancelled", 20, rev=2, task="T-1")
    case.pick(22).pick(21, rx=22.5, src="dc1/pick/PTL-02").confirmed(1, 20, cancelled=True)
    return case.expect("exception.raised", "PCK_AFTER_CANCEL/task/T-1/1", t=21)


def R25_a_late_pick_does_not_close_its_window_before_the_deadline() -> Case:
    """R25, R51: t_close stays 45. The window was open until then, so the shipment is ready since 45, though the carton
    that was closed at 44 held all of it."""
    case = Case().order(1).task(1, deadline=at(45)).shipment(1).close(44)
    case.pick(21, rx=52, lu="L-1", hist=True).confirmed(1, 45).shorted(0, 45)
    return case.packed(1, "L-1#1").ready(1, 45)


def R50a_a_carton_with_nothing_but_another_sku() -> Case:
    """R50a, R31: what lies in it lies in the shipment's scope, so it is one of its cartons."""
    case = Case().order(1).task(1).shipment(1).pick(10, lu="L-1").pick(11, lu="L-2", sku="Z").close(20).close(22, "L-2")
    contents = [{"line": 1, "order": "O-1", "qty": 1, "sku": "Z"}]
    case.confirmed(1, 10).packed(1, "L-1#1").expect("carton.closed", "L-2#1", contents=contents)
    return case.raised("PCK_WRONG_SKU", "task/T-1").ready(1, 22, cartons=["L-1#1", "L-2#1"])


def R10_places_whose_names_run_together() -> Case:
    """R10: A/B of C and A of B/C are two places: each has its own first revision."""
    case = Case()
    for rev, loc, sku in ((1, "A/B", "C"), (1, "A", "B/C")):
        case.wms("stock.expectation", 1, rev=rev, loc=loc, sku=sku, qty=5, as_of=at(0))
    return case.never_raised("CTX_CONFLICT").counted(used=2, rejected=0)


def R27a_lowered_and_raised_again() -> Case:
    """R27a, R26: T-1 is full at 20, and full with one too many by the revision of 30; that four are asked for since 40
    opens it, and tells nothing by itself."""
    case = Case().order(2).task(2).pick(10).pick(20).task(1, t=30, rev=2).task(4, t=40, rev=3)
    case.device("telemetry", 60, src=STATION).confirmed(2, 20, qty_task=1, over_qty=1, revision=1)
    return case.cleared("PCK_OVER", "task/T-1", t=40)


def R27a_put_back_before_less_is_asked_for() -> Case:
    """R27a, R21, R3: full on arrival of the revision of 20.5, until the reversal of 20 is heard of: it never was, and
    what is picked later is told when that closes it."""
    case = Case().order(2).task(2).pick(10).task(1, t=20.5, rev=2).put_back(20, rx=20.8).task(4, t=25, rev=3).pick(30)
    case.device("telemetry", 60, src=STATION).expect("pick.confirmed", "T-1", t=10, qty=0, revision=1)
    return case.expect("pick.reversed", f"T-1/{STATION}/0/2/0", t=20, qty=1)
