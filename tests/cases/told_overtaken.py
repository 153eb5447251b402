"""Golden cases of R3 where one decision meets another: what came first and happened later, and the other way round."""

from __future__ import annotations

from tests.cases.told_shipping import DOCK, gone, leaves, load, manifested, packed_one, part, two_cartons
from tests.cases.writing import ONE, PACK, SORTER, STATION, Case, at


def gone_at_40() -> Case:
    """Both cartons of S-1 are loaded, and the trailer closes at 40."""
    case = leaves(load(load(two_cartons(), 30), 31, "L-2"), 40)
    return manifested(case.ready(2, 22), 40, "C-1", "C-2", trailer="TR-1")


def post_ship(case: Case, t: float, actual: int) -> Case:
    case.expect("inventory.discrepancy", "/A//T-1", t=t, actual=actual, expected=2, kind="POST_SHIP", as_of=at(t))
    return case.raised("PCK_LATE_AFTER_SHIP", "task/T-1", t=t)


def one_back(case: Case, t: float, seq: int) -> Case:
    return case.expect("pick.reversed", f"T-1/{STATION}/0/{seq}/0", t=t, qty=1)


def R29_a_pick_between_a_trailers_close_and_its_decision() -> Case:
    """R29, R54, R3: the watermark has not passed the close when the pick comes; it happened after it all the same."""
    return post_ship(gone_at_40().pick(42, lu="L-1"), 42, 3).never_raised("PCK_OVER")


def R29_a_reversal_between_a_trailers_close_and_its_decision() -> Case:
    """R29, R28: what was put back after the trailer had left is told, and changes nothing that left."""
    case = post_ship(gone_at_40().put_back(42), 42, 1)
    return one_back(case, 42, 3)


def R29_a_manifest_that_comes_after_a_later_pick() -> Case:
    """R29, R52, R3: the TMS's word of 40 arrives after the pick of 41, before it is known whose use that began."""
    case = two_cartons().pick(41, lu="L-1")
    case.wms("manifest.result", 40, rx=41.3, shipment="S-1", manifest_no="M-1", tracking=[])
    case.ready(2, 22, revision=0)
    post_ship(case, 41, 3).never_raised("PCK_OVER")
    return manifested(case, 40, "C-1", "C-2", manifest_no="M-1")


def R27_a_cancel_between_a_trailers_close_and_its_decision() -> Case:
    """R27, R54: too late, though nobody could tell when it came."""
    case = gone_at_40().wms("order.cancelled", 42, rev=2, order="O-1").raised("CTX_CANCEL_TOO_LATE", "task/T-1")
    return case.never_raised("PCK_PUTBACK_REQUIRED").never_raised("SHP_POST_MANIFEST_CHANGE")


def R10_a_cancel_that_overtakes_its_task() -> Case:
    """R10, R27, R3: the cancel of 2 arrives before the task of 1; of its two picks that of 1.5 counts."""
    case = Case().order(3).wms("pick.task_cancelled", 2, rx=2.1, rev=2, task="T-1").task(2, t=1, rx=2.2)
    case.pick(1.5, rx=2.3, lu="L-1").pick(3, lu="L-1").close(20).packed(2, "L-1#1")
    case.confirmed(1, 2, cancelled=True, qty_task=2).raised("PCK_PUTBACK_REQUIRED", "task/T-1")
    return case.raised("PCK_AFTER_CANCEL", "task/T-1", t=3).counted(rejected=0, open=0)


def R10_a_cancel_that_overtakes_the_second_task_of_a_line() -> Case:
    """R10, R27, R51: T-2 of 30 makes the shipment unready, its cancel of 30.5, which comes first, ready again."""
    case = packed_one().ready(1, 30.5, revision=1).wms("pick.task_cancelled", 30.5, 30.6, rev=2, task="T-2")
    case.task(1, "T-2", t=30, rx=31).device("telemetry", 90).confirmed(1, 10).packed(1)
    return case.expect("shipment.unready", "S-1", t=30, cause="pick.task")


def R10_a_cancel_that_overtakes_its_order() -> Case:
    """R10, R27, R3: the cancel of 2 arrives before the order of 1, a line without tasks: the pick of 1.5 counts. The
    same order told once more is refused."""
    case = Case().wms("order.cancelled", 2, rx=2.1, rev=2, order="O-1").order(3, t=1, rx=2.2)
    case.pick(1.5, rx=2.3, lu="L-1", order="O-1", line=1).close(20).packed(1, "L-1#1")
    case.wms("order.released", 30, rev=3, order="O-1", lines=[]).counted(rejected=1)
    case.expect("pick.confirmed", "O-1/1", t=2, qty=1, cancelled=True)
    return case.raised("PCK_PUTBACK_REQUIRED", "line/O-1/1").raised("CTX_AFTER_CANCEL", "order/O-1")


def R10_a_cancel_of_lines_that_overtakes_its_order() -> Case:
    """R10, R27, R3: cancels of two lines arrive before their order: what they overtook is taken, and says what the
    lines are."""
    case = Case().wms("order.cancelled", 3, rx=3.1, rev=3, order="O-1", lines=[2])
    case.wms("order.cancelled", 2, rx=3.2, rev=2, order="O-1", lines=[1]).order(1, 1, 2, t=1, rx=3.3)
    case.pick(4, 2, lu="L-1", order="O-1", line=3).pick(5, lu="L-2", order="O-1", line=2)
    case.close(20).packed(2, "L-1#1", line=3).expect("pick.confirmed", "O-1/3", t=4, qty=2)
    case.wms("order.changed", 30, rev=2, order="O-1", lines=[]).counted(rejected=1, open=0)
    return case.raised("PCK_AFTER_CANCEL", "line/O-1/2").raised("CTX_OUTDATED", "order/O-1").never_raised("CTX_MISSING")


def R22_a_reversal_that_overtakes_its_pick() -> Case:
    """R22, R3: the window is open since the reversal of 11, and silent since its last pick of 10, whichever was heard
    of first."""
    case = Case().order(6).task(6).put_back(11, rx=11.1, lu="L-1").pick(10, 6, rx=11.2, lu="L-1").until(1000)
    return one_back(case.confirmed(5, 11), 11, 1).raised("PCK_STALLED", "task/T-1", t=910)


def R22_silent_since_the_last_pick_and_open_since_a_reversal() -> Case:
    """R22: a reversal opens the window again; it is no pick."""
    case = Case().order(6).task(6).pick(10, 6, lu="L-1").put_back(11, lu="L-1").until(1000)
    return one_back(case.confirmed(5, 11), 11, 2).raised("PCK_STALLED", "task/T-1", t=910)


def R22_open_again_long_after_its_last_pick() -> Case:
    """R22: the window was closed until the reversal; as soon as it is open again it is stalled."""
    case = Case().order(6).task(6).pick(10, 6, lu="L-1").put_back(2000, lu="L-1").until(2100)
    return one_back(case.confirmed(5, 2000), 2000, 2).raised("PCK_STALLED", "task/T-1", t=2000)


def R27_a_cancel_that_comes_after_the_picks_of_later() -> Case:
    """R27: which of them do not count is known when the cancel comes, and said then."""
    case = Case().order(3).task(3).pick(10, lu="L-1").pick(30, lu="L-1").pick(32, lu="L-1")
    case.wms("pick.task_cancelled", 20, rx=33, rev=2, task="T-1").close(40).packed(3, "L-1#1")
    case.confirmed(1, 20, cancelled=True).raised("PCK_PUTBACK_REQUIRED", "task/T-1")
    return case.raised("PCK_AFTER_CANCEL", "task/T-1", t=30)


def R27a_more_is_asked_after_a_deadline_that_found_it_full() -> Case:
    """R21, R27a: the deadline of 50 changed nothing, and does not when the third piece is asked for at 60."""
    case = Case().order(3).task(2, deadline=at(50)).pick(10, 2, lu="L-1")
    return case.task(3, t=60, rev=2, deadline=at(50)).device("telemetry", 100).confirmed(2, 10, qty_task=2)


def R27a_more_is_asked_after_a_short_that_found_it_full() -> Case:
    """R21, R27a: an operator's short of a full task changed nothing; that of 70 says that the third is not there."""
    case = Case().order(3).task(2).pick(10, 2, lu="L-1").short(50, "OPERATOR").task(3, t=60, rev=2).short(70)
    return case.confirmed(2, 70, qty_task=3).shorted(1, 70, reason="EMPTY", revision=0)


def R27a_a_short_that_is_covered_and_a_piece_put_back() -> Case:
    """R27a, R26: two pieces have followed the short of 10, and two are asked for at 30: closed by a, at its last pick.
    So the reversal of 40 opens it again, and nothing is short."""
    case = Case().order(3).task(3).short(10).pick(20, 2, lu="L-1").task(2, t=30, rev=2).put_back(40)
    case.expect("pick.reversed", f"T-1/{STATION}/0/3/0", qty=1).device("telemetry", 60)
    return case.confirmed(1, 40, qty_task=2).shorted(0, 40, qty_task=2)


def R27a_a_short_that_is_covered_and_more_is_asked_for() -> Case:
    """R27a: it had closed by a, at 30 at the latest, so that the third piece that is asked for at 40 opens it again."""
    case = Case().order(3).task(3).short(10).pick(20, 2, lu="L-1").task(2, t=30, rev=2).task(3, t=40, rev=3)
    return case.device("telemetry", 60).confirmed(2, 20, qty_task=2).shorted(0, 20)


def R27a_less_is_asked_for_than_had_been_there_at_the_short() -> Case:
    """R27a, R26: three of four at the short of 20, and two put back at 30. Of the three that are asked for at 40 two
    are short: that there were three once closed nothing by a, for four were asked for then."""
    case = Case().order(4).task(4).pick(10, 3, lu="L-1").short(20).put_back(30, 2).task(3, t=40, rev=2)
    case.expect("pick.reversed", f"T-1/{STATION}/0/3/0", qty=2).device("telemetry", 60)
    return case.confirmed(1, 30, qty_task=3).shorted(2, 30, qty_task=3, qty_picked=1)


def R27a_less_is_asked_for_than_had_been_there_once() -> Case:
    """R21 (a), R27a: three of five at 10, one from 20 on, of three since 30: never full, so open; nothing is told."""
    case = Case().order(5).task(5).pick(10, 3, lu="L-1").put_back(20, 2).task(3, t=30, rev=2)
    return case.expect("pick.reversed", f"T-1/{STATION}/0/2/0", qty=2).device("telemetry", 60)


def R27a_more_is_asked_after_a_cutoff_that_found_it_full() -> Case:
    """R21, R27a: the cutoff of 50 found a line without tasks full, and changes nothing when a third piece is asked for
    at 60."""
    case = Case().order(2).wms("wave.released", 1, wave="W-1", orders=["O-1"], cutoff=at(50))
    case.rules = {"short_at_cutoff": True}
    case.pick(20, 2, lu="L-1", order="O-1", line=1)
    case.wms("order.changed", 60, rev=2, order="O-1", lines=[{"line": 1, "sku": "A", "qty": 3}])
    return case.pick(70, lu="L-1", order="O-1", line=1).expect("pick.confirmed", "O-1/1", t=70, qty=3, qty_task=3)


def R31_a_line_whose_only_pick_is_of_another_sku() -> Case:
    """R20, R23, R31: the wrong piece has opened the line's window; the operator's short is of all that it asks for."""
    case = Case().order(3).pick(5, lu="L-1", order="O-1", line=1, sku="Z")
    case.device("pick.short", 10, src=STATION, order="O-1", line=1, code="EMPTY").raised("PCK_WRONG_SKU", "line/O-1/1")
    return case.expect("pick.short", "O-1/1", t=10, qty_picked=0, qty_short=3)


def emptied() -> Case:
    """L-1 is closed with a piece at 20, opened again, emptied, and closed with nothing in it at 40."""
    case = Case().order(1).task(1).pick(10, lu="L-1").close(20).device("carton.reopen", 30, lu="L-1")
    case.put_back(32, lu="L-1").close(40).expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/2/0", t=32, qty=1)
    return case.expect("carton.reopened", "L-1#1", t=30, cause="carton.reopen")


def R44_reopened_emptied_and_closed() -> Case:
    """R44, R45: what was told of it is not so any more: a revision without contents, and PKG_EMPTY."""
    case = emptied().confirmed(0, 32).raised("PKG_EMPTY", "carton/L-1#1", t=40)
    return case.expect("carton.closed", "L-1#1", t=40, revision=1, contents=[])


def R44_emptied_and_filled_again() -> Case:
    """R44: the reopening of a carton that was told to be empty is told like any other."""
    case = emptied().pick(50, lu="L-1").close(60).confirmed(1, 50).packed(1, "L-1#1", t=60, revision=2)
    case.expected = [row for row in case.expected if row["type"] != "carton.reopened"]
    return case.expect("carton.reopened", "L-1#1", t=50).cleared("PKG_EMPTY", "carton/L-1#1", t=60)


def R40a_a_name_from_before_the_close_was_due() -> Case:
    """R40a: the labeller calls it C-7 at 24.9, and is heard when the watermark is near: the key is C-7."""
    return named_at(24.9).packed(1, "C-7", carton="C-7", sscc="00340")


def R40a_a_name_from_after_the_close_was_due() -> Case:
    """R40a: the labeller calls the unit C-7 at 25.1, before the watermark has decided the close: its event was due
    without that name."""
    return named_at(25.1).packed(1, "L-1#1", carton="C-7", sscc="00340")


def named_at(t: float) -> Case:
    case = Case().order(1).task(1).pick(10, lu="L-1").close(20).device("telemetry", 24, src=PACK)
    case.device("label.verified", t, src="dc1/pack/LAB-01", lu="L-1", carton="C-7", result="OK", sscc="00340")
    return case.device("telemetry", 40, src=PACK).confirmed(1, 10, carton="C-7")


def mismatched() -> Case:
    """C-1 is planned with two pieces of line 1 and one of line 2, and closed at 20 with the two."""
    contents = [{"order": "O-1", "line": 1, "qty": 2}, {"order": "O-1", "line": 2, "qty": 1}]
    case = Case().order(2, 1).task(2).plan(contents=contents).wms("shipment.plan", shipment="S-1", scope=contents)
    return case.pick(10, 2, lu="L-1").close(20).confirmed(2, 10).packed(2).device("telemetry", 30, src=PACK)


def R45_a_cancel_of_a_line_that_nobody_picks() -> Case:
    """R45: the cancel of 40 explains what is missing, though the line has no task and no pick."""
    case = mismatched().wms("order.cancelled", 40, rev=2, order="O-1", lines=[2])
    case.expect("shipment.ready", "S-1", t=40, partial=True)
    return case.cleared("PKG_CONTENT_MISMATCH", "carton/C-1", t=40)


def R45_what_is_missing_could_not_be_allocated() -> Case:
    """R45, R23: an alloc.failed of 40 explains what is missing."""
    case = mismatched().wms("alloc.failed", 40, order="O-1", line=2, qty=1, code="NO_STOCK")
    case.expect("shipment.ready", "S-1", t=40, partial=True).expect("pick.short", "O-1/2", t=40, decided_by="ALLOC")
    return case.cleared("PKG_CONTENT_MISMATCH", "carton/C-1", t=40)


def R45_it_is_planned_anew_as_it_is() -> Case:
    """R45: what should be in it is said again at 40, and that is in it."""
    case = mismatched().plan(t=40, rev=2, contents=[{"order": "O-1", "line": 1, "qty": 2}])
    return case.cleared("PKG_CONTENT_MISMATCH", "carton/C-1", t=40)


def R45_it_leaves_as_it_is() -> Case:
    """R45, R54: with the manifest of 40 nobody asks any more."""
    case = mismatched().wms("manifest.result", 40, shipment="S-1", manifest_no="M-1", tracking=[])
    return manifested(case, 40, "C-1", manifest_no="M-1").cleared("PKG_CONTENT_MISMATCH", "carton/C-1", t=40)


def R52_two_facts_of_one_moment() -> Case:
    """R52, R3: both are opened at 40; the cause is the station whose name comes first, though heard last."""
    case = (
        two_cartons()
        .device("carton.reopen", 40, lu="L-1")
        .device("carton.reopen", 40, 40.5, "dc1/pack/PK-00", lu="L-2")
    )
    case.expect("carton.reopened", "C-1", t=40).expect("carton.reopened", "C-2", t=40).ready(2, 22)
    return case.expect("shipment.unready", "S-1", t=40, cause="carton.reopen", carton="C-2").device("telemetry", 60)


def R52_a_weighing_of_the_same_moment() -> Case:
    """R52: a good weighing ends no readiness; the reopening of that moment does."""
    case = two_cartons().device("carton.reopen", 40, src="dc1/sack/PK-09", lu="L-1")
    case.device("weigh", 40, 40.5, "dc1/pack/SCL-00", lu="L-2", weight_g=500).expect("carton.reopened", "C-1", t=40)
    case.expect("shipment.unready", "S-1", t=40, cause="carton.reopen", carton="C-1")
    return case.ready(2, 22).device("telemetry", 60)


def R52_a_reversal_that_overtakes_the_first_pick_of_a_use() -> Case:
    """R40, R52, R3: the tote was released at 28; put back at 40.5 out of what was picked into it at 40. That carton C-1
    was opened again nobody may say before the watermark has passed it."""
    case = Case().order(2, 2).task(2).task(2, "T-2", line=2).plan().shipment(2).pick(10, 2, lu="L-1").close(20)
    case.wms("lu.release", 28, lu="L-1").put_back(40.5, src="dc1/pick/PTL-02", task="T-2", lu="L-1")
    case.pick(40, 2, rx=41.2, task="T-2", lu="L-1").device("telemetry", 60).confirmed(2, 10).packed(2).ready(2, 20)
    case.expect("pick.reversed", "T-2/dc1/pick/PTL-02/0/1/0", t=40.5, qty=1)
    return case.confirmed(1, 40.5, "T-2")


def R20_a_choice_is_not_taken_back_by_a_backlog() -> Case:
    """R20: at 20 the first task was open, as far as was known; that it was full at 15 is told later."""
    case = Case().order(2).task(1).task(1, "T-2").pick(20, order="O-1", line=1).device("telemetry", 30)
    case.tell("dc1/pick/GUN", "pick.confirm", 15, 50, seq=1, hist=True, task="T-1", sku="A", qty=1)
    return case.confirmed(2, 20, over_qty=1).raised("PCK_OVER", "task/T-1")


def stands() -> Case:
    """S-1 was told ready at 20; its last touch was a deadline that found the task full."""
    case = Case().order(2).task(2, deadline=at(30)).plan().shipment(2).pick(10, 2, lu="L-1").close(20)
    return case.device("telemetry", 60).confirmed(2, 10).packed(2)


def R52_the_same_plan_in_a_new_revision() -> Case:
    """R52: while it stays true a change of its data, here of `plan_rev`, is the next ready, without an unready."""
    case = stands().wms("shipment.plan", 70, rev=2, shipment="S-1", scope=ONE).device("telemetry", 90)
    return case.ready(2, 70, plan_rev=2, revision=1)


def R52_a_carton_that_is_planned_again() -> Case:
    """R52, R53: what is planned for a carton is told once more, and nothing changes."""
    return stands().plan(t=70, rev=2).device("telemetry", 90).ready(2, 20, revision=0)


def R52_a_plan_that_asks_for_more() -> Case:
    """R52: unready by the plan, and as of the plan."""
    scope = [{"order": "O-1", "line": 1, "qty": 3}]
    case = stands().wms("shipment.plan", 70, rev=2, shipment="S-1", scope=scope).device("telemetry", 90)
    return case.expect("shipment.unready", "S-1", t=70, cause="shipment.plan").ready(2, 20)


def R45_another_plan_fits_the_weight() -> Case:
    """R45, R51: too heavy until somebody corrects the plan; ready since then."""
    one = [{"order": "O-1", "line": 1, "qty": 1}]
    case = Case().order(1).task(1).plan(contents=one, weight_g=500, tol_g=10).shipment(1).pick(10, lu="L-1").close(20)
    case.device("weigh", 21, lu="L-1", weight_g=700).device("telemetry", 60)
    case.plan(t=70, rev=2, contents=one, weight_g=700, tol_g=10).device("telemetry", 90).confirmed(1, 10)
    return case.packed(1, weight_g=700).ready(1, 70).cleared("PKG_WEIGHT_MISMATCH", "carton/C-1", t=70)


def R51_another_plan_does_not_keep_a_truth_alive() -> Case:
    """R51: ready from 20 to 24, less than its hold; the plan of 25.5 is known before the watermark has passed 24."""
    case = Case().shipped(2).pick(10, 2, lu="L-1").close(20)
    case.device("label.verified", 24, src="dc1/pack/LAB-01", lu="L-1", result="NOREAD")
    case.wms("shipment.plan", 25.5, rev=2, shipment="S-1", scope=ONE).device("telemetry", 60)
    return case.confirmed(2, 10).packed(2).raised("PKG_LABEL_NOREAD", "carton/C-1")


def R31_pieces_from_two_places() -> Case:
    """R31: no single place could be booked for both; the station that says none picked at the task's."""
    case = Case().order(3).task(3, loc="A-1").pick(10).pick(12, loc="A-1").confirmed(3, 14, loc=None)
    return case.pick(14, loc="A-2")


def R31_pieces_from_the_place_of_the_task() -> Case:
    """R31: said by one press and not by the other."""
    return Case().order(2).task(2, loc="A-1").pick(10).pick(12, loc="A-1").confirmed(2, 12, loc="A-1")


def R45_let_go_twice() -> Case:
    """R45, R52: somebody lets the carton go once more; it had been let go, and its shipment ready, since 50."""
    case = Case().shipped(2).pick(10, 2, lu="L-1").close(20)
    case.device("label.verified", 21, src="dc1/pack/LAB-01", lu="L-1", result="MISMATCH")
    case.wms("hold.released", 50, carton="C-1").device("telemetry", 70)
    case.wms("hold.released", 80, rev=2, carton="C-1").device("telemetry", 100).confirmed(2, 10).packed(2)
    return case.ready(2, 50, revision=0).cleared("PKG_LABEL_MISMATCH", "carton/C-1", t=50)


def told_of_one_moment(oms: str) -> Case:
    """The word of the TMS and the cancel of `oms`, both of 40, and the cancel arrives last."""
    case = manifested(two_cartons().ready(2, 22), 40, "C-1", "C-2", manifest_no="M-1")
    case.tell("dc1/tms/main", "manifest.result", 40, rev=1, shipment="S-1", manifest_no="M-1", tracking=[])
    return case.tell(oms, "shipment.cancelled", 40, 40.2, rev=2, shipment="S-1").device("telemetry", 90)


def R56_a_cancel_of_the_moment_of_the_manifest() -> Case:
    """R56, R3: the name of its source stands before the TMS's, so it came before the manifest."""
    return told_of_one_moment("dc1/oms/main").expect("shipment.unready", "S-1", t=40, cause="shipment.cancelled")


def R56_a_cancel_right_behind_a_manifest_of_that_moment() -> Case:
    """R56, R3: the name of its source stands behind the TMS's."""
    return told_of_one_moment("dc1/wms/main").expect("shipment.voided", "S-1", t=40, cause="shipment.cancelled")


def R56_a_cancel_of_the_moment_at_which_its_trailer_closes() -> Case:
    """R56, R3: context goes first, so the dock closed the trailer of a cancelled shipment."""
    case = gone_at_40().wms("shipment.cancelled", 40, rx=40.2, rev=2, shipment="S-1").device("telemetry", 90)
    return case.expect("shipment.unready", "S-1", t=40, cause="shipment.cancelled")


def R51_a_manifest_within_the_hold_of_a_truth() -> Case:
    """R51: it left after four seconds of being ready."""
    return manifested(gone(packed_one().confirmed(1, 10).packed(1), 24), 24, "C-1", manifest_no="M-1")


def R51_a_manifest_while_the_watermark_lags() -> Case:
    """R51, R3: a scanner of 20.5 is in at 25.3, and the watermark has not even passed the close. It had lasted."""
    case = packed_one().device("scan.read", 20.5, src=SORTER, lu="L-9").confirmed(1, 10).packed(1).ready(1, 20)
    return manifested(gone(case, 25.3), 25.3, "C-1", manifest_no="M-1")


def R51_a_manifest_after_a_trailer_that_closed_within_the_hold() -> Case:
    """R51, R54: its trailer had closed at 24, after four seconds, and that was known when the TMS's word came."""
    case = leaves(load(packed_one(), 22), 24).confirmed(1, 10).packed(1).never_raised("SHP_LOAD_BEFORE_READY")
    return manifested(gone(case, 28), 28, "C-1", manifest_no="M-1", trailer="TR-1")


def R51_a_close_that_comes_before_the_open_that_names_the_carton() -> Case:
    """R40a, R51, R3: nobody knew what was closed at 30, until the open of 29 arrives and says C-1: ready since 30."""
    case = Case().order(1).task(1).plan(lu=None, contents=part(1)).shipment(1).close(30)
    case.device("carton.open", 29, 30.5, lu="L-1", carton="C-1").pick(29.5, rx=30.8, lu="L-1")
    return case.confirmed(1, 29.5).packed(1).ready(1, 30).device("telemetry", 60)


def ended_by_a_reopening(filled_rx: float | None) -> Case:
    """S-1 is ready from 20 to 26, when C-1 is opened. The watermark passes both while number 2 of the
    station is missing, which comes at `filled_rx`."""
    case = packed_one().packed(1).confirmed(1, 10).device("carton.reopen", 26, lu="L-1")
    case.expect("carton.reopened", "C-1", t=26)
    for src, seq, t in ((STATION, 3, 27.5), (PACK, 3, 27.6), (STATION, 4, 28.2), (PACK, 4, 28.3)):
        case.tell(src, "telemetry", t, seq=seq)
    if filled_rx is not None:
        case.tell(STATION, "telemetry", 26.9, filled_rx, seq=2)
    return case.tell(PACK, "telemetry", 90, seq=5)


def R06_a_readiness_that_ended_while_a_jump_was_open() -> Case:
    """R6, R51, R3: number 2 comes in time, so the jump was no gap: what was ready for six seconds is told."""
    case = ended_by_a_reopening(28.5).ready(1, 20).never_raised("SEQ_GAP")
    return case.expect("shipment.unready", "S-1", t=26, cause="carton.reopen")


def R07_a_readiness_that_ended_inside_a_gap() -> Case:
    """R7, R51: number 2 never comes: a readiness that waits for a gap when it ends is never told."""
    return ended_by_a_reopening(None).raised("SEQ_GAP", STATION)


def R54_an_empty_carton_stays_when_its_shipment_leaves() -> Case:
    """R50a, R51, R54: C-2 was closed empty. S-1 has left at 78, which is known when the TMS speaks at 82:
    what was ready since its loading of 75 had not lasted."""
    case = Case().order(1).task(1).plan(contents=part(1)).plan("C-2", "L-2", contents=part(1)).confirmed(1, 10)
    case.shipment(1, stage_required=True, lanes=["LANE-1"]).pick(10, lu="L-1").close(20).close(22, "L-2").packed(1)
    manifested(leaves(load(case, 75), 78), 82, "C-1", trailer="TR-1", manifest_no="M-1")
    return case.wms("manifest.result", 82, shipment="S-1", manifest_no="M-1", tracking=[]).device("telemetry", 110)


def partly(t_word: float, word_rx: float) -> Case:
    """The trailer of 60 leaves C-2 behind; the TMS's word of `t_word` says what left."""
    case = leaves(load(two_cartons().ready(2, 22), 50), 60).device("telemetry", 60.5)
    case.wms("manifest.result", t_word, word_rx, shipment="S-1", manifest_no="M-1", tracking=[])
    return manifested(case, t_word, "C-1", "C-2", manifest_no="M-1").device("telemetry", 90)


def R54_the_word_of_the_tms_before_the_close_is_judged() -> Case:
    """R54, R3: partly loaded from 60 until the word of 61, also where that comes before the watermark has passed 60."""
    return partly(61, 61).cleared("SHP_PARTIAL_LOAD", "shipment/S-1", t=61)


def R54_the_word_of_the_tms_from_before_the_close() -> Case:
    """R54, R3: the owner had spoken at 59, though it came after the close: nobody waits for the rest."""
    return partly(59, 60.9).never_raised("SHP_PARTIAL_LOAD")


def R24_the_release_is_overtaken_by_what_covers_it() -> Case:
    """R24, R10: the change of 30 is the first that is heard of the order, and covers what was picked all the same."""
    case = Case().task(2).pick(10, 2).pick(20)
    case.wms("order.changed", 30, rev=2, order="O-1", lines=[{"line": 1, "sku": "A", "qty": 3}]).order(2, rx=50)
    case.device("telemetry", 90, src=STATION).confirmed(3, 20, over_qty=1)
    return case.cleared("PCK_OVER", "task/T-1", t=30).raised("CTX_OUTDATED", "order/O-1").counted(rejected=1)


def R52_a_cancel_that_comes_before_the_watermark_has_passed_a_change() -> Case:
    """R52, R56, R3: the void of 60 follows the manifest of 40; the cancel of 61 is known before it is judged."""
    case = gone_at_40().device("carton.void", 60, lu="L-1").wms("shipment.cancelled", 61, rev=2, shipment="S-1")
    case.device("telemetry", 90).expect("carton.voided", "C-1", cause="carton.void")
    case.expect("shipment.voided", "S-1", t=61, cause="shipment.cancelled")
    return case.raised("SHP_POST_MANIFEST_CHANGE", "shipment/S-1", t=60)


def R55_of_several_in_the_other_trailer_the_least_is_named() -> Case:
    """R55, R3: C-2 and C-3 stand in TR-1 when C-1 is scanned into TR-2; C-3 was planned, packed and loaded first."""
    case = Case().order(3).task(3)
    for lu in ("L-3", "L-2", "L-1"):
        case.plan(f"C-{lu[2:]}", lu, contents=part(1))
    case.shipment(3).pick(10, lu="L-3").pick(11, lu="L-2").pick(12, lu="L-1").confirmed(3, 12)
    case.close(20, "L-3").close(21, "L-2").close(22, "L-1")
    case.packed(1, "C-3").packed(1, "C-2").packed(1).ready(3, 22)
    load(load(load(case, 40, "L-3"), 41, "L-2"), 42, "L-1", "TR-2").device("telemetry", 90, src=DOCK)
    return case.raised("SHP_WRONG_TRAILER", "carton/C-1", t=42, detail="in TR-2; C-2 is in TR-1")


def R24_a_backlogs_press_from_before_the_change_that_covers_it() -> Case:
    """R24, R3: the third of two was pressed at 20, the change of 30 asks for three; the press is heard of at 80."""
    case = Case().order(2).task(2).pick(10, 2)
    case.wms("order.changed", 30, rev=2, order="O-1", lines=[{"line": 1, "sku": "A", "qty": 3}])
    case.device("telemetry", 70, src=STATION).pick(20, rx=80, src="dc1/pick/PTL-02", hist=True)
    return case.device("telemetry", 90, src=STATION).confirmed(3, 20, over_qty=1).never_raised("PCK_OVER")


def R24_nothing_was_heard_of_the_line_before_what_covers_it() -> Case:
    """R24, R10, R11: the change of 30 is the first that is heard of the line; the task of 0, told at 50, wants two."""
    case = Case().pick(10, 2, lu="L-1").pick(20, lu="L-1").close(25).shipment(3)
    case.wms("order.changed", 30, rev=2, order="O-1", lines=[{"line": 1, "sku": "A", "qty": 3}]).task(2, rx=50)
    case.device("telemetry", 90).confirmed(3, 20, over_qty=1).packed(3, "L-1#1").never_raised("PCK_OVER")
    return case.ready(3, 30)
