"""Golden cases of stock, returns, equipment, scans of several codes, and what is lost and found again."""

from __future__ import annotations

from typing import Any

from tests.cases.told_cartons import GUN, sorted_to
from tests.cases.writing import SORTER, STATION, Case, at

HANDHELD, CRANE, RETURNS = "dc1/pick/HH-01", "dc1/asrs/CRN-01", "dc1/returns/RT-01"


def on_shelf(qty: int, t: float = 0, rev: int = 1, case: Case | None = None, **fields: Any) -> Case:
    """Order O-1 of 5, task T-1 at place B-1, where so many pieces of A are expected as of `t`."""
    case = case or Case().order(5).task(5, loc="B-1")
    told: Any = {"loc": "B-1", "sku": "A", "rev": rev, "qty": qty, "as_of": at(t), **fields}
    return case.wms("stock.expectation", t, **told)


def counted(case: Case, t: float, qty: int, rx: float | None = None, **fields: Any) -> Case:
    return case.device("count.reported", t, rx, HANDHELD, **{"loc": "B-1", "sku": "A", "qty": qty, **fields})


def differs(case: Case, t: float, *, key: str = "B-1/A/", **data: Any) -> Case:
    return case.expect("inventory.discrepancy", key, t=t, as_of=at(t), **data)


def raised(case: Case, code: str, subject: str, t: float, episode: int = 1) -> Case:
    return case.expect("exception.raised", f"{code}/{subject}/{episode}", t=t, code=code, subject=subject)


def cleared(case: Case, code: str, subject: str, t: float, episode: int = 1) -> Case:
    return case.expect("exception.cleared", f"{code}/{subject}/{episode}", t=t, code=code, subject=subject)


def R63_one_code_that_was_seen_here_counts() -> Case:
    """R63: of two codes one was seen in the same area: it is a read, and the track is known by it."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    case.device("scan.read", 25, src="dc1/sorter/SCN-02", lu="L-1").device("item.inducted", 30, src=SORTER, track="5")
    case.device("scan.multiread", 31, src=SORTER, track="5", codes=["L-1", "JUNK"])
    case.device("divert.confirmed", 33, src=SORTER, track="5", dest="D-1")
    return case.confirmed(2, 10).packed(2).ready(2, 33, cartons=["C-1"])


def R63_one_code_that_is_bound_counts() -> Case:
    """R63: bound to a carton by its plan, although never seen."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    case.device("scan.multiread", 31, src=SORTER, track="5", codes=["JUNK", "L-1"])
    case.device("divert.confirmed", 33, src=SORTER, track="5", dest="D-1")
    return case.confirmed(2, 10).packed(2).ready(2, 33)


def R63_two_known_codes_are_a_no_read() -> Case:
    """R63: two codes that are both bound tell nothing: ID_MULTI, until somebody identifies the item."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    case.wms("lu.bind", 1, lu="L-2", carton="C-2").device("item.inducted", 30, src=SORTER, track="5")
    case.device("scan.multiread", 31, src=SORTER, track="5", codes=["L-1", "L-2"])
    case.device("divert.confirmed", 33, src=SORTER, track="5", dest="D-1")
    case.device("ident.assigned", 40, src=SORTER, track="5", lu="L-1")
    subject = f"track/{SORTER}/5"
    cleared(raised(case, "ID_MULTI", subject, 31), "ID_MULTI", subject, 40)
    return case.confirmed(2, 10).packed(2).expect("shipment.ready", "S-1", partial=False, cartons=["C-1"])


def R63_seen_in_another_area_does_not_count() -> Case:
    """R63: the sight must be of the same site/area."""
    case = Case().device("scan.read", 25, src="dc1/dock/SCN-02", lu="L-1")
    case.device("scan.multiread", 31, src=SORTER, track="5", codes=["L-1", "JUNK"])
    return raised(case, "ID_MULTI", f"track/{SORTER}/5", 31)


def R64_lost_then_stray() -> Case:
    """R64: lost: not ready; a stray brings it back, without a place, and clears the exception; then it is diverted."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    sorted_to(case, 30, "D-1").device("item.lost", 60, src=SORTER, track="5")
    case.device("item.stray", 80, src=SORTER, lu="L-1").device("divert.confirmed", 90, src=SORTER, lu="L-1", dest="D-1")
    case.expect("shipment.unready", "S-1", t=60, cause="item.lost", carton="C-1")
    cleared(raised(case, "RTE_LOST", "lu/L-1", 60), "RTE_LOST", "lu/L-1", 80)
    return case.confirmed(2, 10).packed(2).ready(2, 90, revision=1)


def R64_a_scan_finds_it() -> Case:
    """R64: any later sight brings it back; no lane is asked for, so the shipment is ready again at the scan."""
    case = Case().shipped().pick(10, 2, lu="L-1").close(20).device("item.lost", 60, src=SORTER, lu="L-1")
    case.device("scan.read", 80, src="dc1/dock/SCN-09", lu="L-1")
    case.expect("shipment.unready", "S-1", t=60, cause="item.lost", carton="C-1")
    cleared(raised(case, "RTE_LOST", "lu/L-1", 60), "RTE_LOST", "lu/L-1", 80)
    return case.confirmed(2, 10).packed(2).ready(2, 80, revision=1)


def R64_the_scan_arrives_before_the_loss() -> Case:
    """R64, R3: the scan of 60.8 that finds it arrives before the loss of 60."""
    case = Case().shipped().pick(10, 2, lu="L-1").close(20)
    case.device("scan.read", 60.8, src="dc1/dock/SCN-09", lu="L-1")
    case.device("item.lost", 60, rx=61, src=SORTER, lu="L-1")
    case.expect("shipment.unready", "S-1", t=60, cause="item.lost", carton="C-1")
    cleared(raised(case, "RTE_LOST", "lu/L-1", 60), "RTE_LOST", "lu/L-1", 60.8)
    return case.confirmed(2, 10).packed(2).ready(2, 60.8, revision=1)


def R64_lost_for_good() -> Case:
    """R64: a lost carton keeps its shipment back."""
    case = Case().shipped().pick(10, 2, lu="L-1").close(20).device("item.lost", 22, src=SORTER, lu="L-1")
    return raised(case, "RTE_LOST", "lu/L-1", 22).confirmed(2, 10).packed(2)


def R65_a_jam_is_one_episode() -> Case:
    """R65: raised once, cleared once, whatever is told twice; the next jam is the next episode."""
    case, subject = Case(), f"device/{SORTER}"
    for t, state in ((1, "set"), (2, "set"), (5, "clear"), (6, "clear"), (9, "set")):
        case.device("jam", t, src=SORTER, state=state)
    cleared(raised(case, "DEV_JAM", subject, 1), "DEV_JAM", subject, 5)
    return raised(case, "DEV_JAM", subject, 9, episode=2)


def R65_a_clear_that_overtakes_its_set() -> Case:
    """R65, R3: arrived in the other order it is the same episode."""
    case, subject = Case(), f"device/{SORTER}/E-7"
    case.tell(SORTER, "fault", 2, 2.5, seq=2, state="clear", code="E-7")
    case.tell(SORTER, "fault", 1, 2.6, seq=1, state="set", code="E-7")
    return cleared(raised(case, "DEV_FAULT", subject, 1), "DEV_FAULT", subject, 2)


def R65_a_clear_without_a_code_ends_every_fault_of_the_device() -> Case:
    """R65: two faults are two episodes; one clear of the whole device ends both."""
    case = Case()
    for t, code in ((1, "E-1"), (2, "E-2")):
        raised(case.device("fault", t, src=SORTER, state="set", code=code), "DEV_FAULT", f"device/{SORTER}/{code}", t)
    case.device("fault", 9, src=SORTER, state="clear")
    for code in ("E-1", "E-2"):
        cleared(case, "DEV_FAULT", f"device/{SORTER}/{code}", 9)
    return case


def R65_a_full_lane_is_the_lanes() -> Case:
    """R65: a full lane is named by the lane; nothing of it is a business event."""
    case = Case().device("lane.full", 1, src=SORTER, state="set", dest="D-1")
    case.device("lane.full", 7, src=SORTER, state="clear", dest="D-1")
    return cleared(raised(case, "RTE_LANE_FULL", "lane/D-1", 1), "RTE_LANE_FULL", "lane/D-1", 7)


def R66_a_missing_unit() -> Case:
    """R66: SOURCE_EMPTY with its unit; the next retrieval there clears the exception."""
    case = Case().device("asrs.exception", 10, src=CRANE, code="SOURCE_EMPTY", loc="R-1", lu="L-1")
    case.device("retrieve.confirmed", 40, src=CRANE, loc="R-1", lu="L-9")
    cleared(raised(case, "ASR_SOURCE_EMPTY", "loc/R-1", 10), "ASR_SOURCE_EMPTY", "loc/R-1", 40)
    return differs(case, 10, key="R-1/L-1", kind="LU_MISSING", expected=None, actual=None)


def R66_an_unexpected_unit() -> Case:
    """R66: DEST_OCCUPIED and LU_MISMATCH."""
    case = Case().device("asrs.exception", 10, src=CRANE, code="DEST_OCCUPIED", loc="R-1")
    case.device("asrs.exception", 20, src=CRANE, code="LU_MISMATCH", loc="R-2", lu="L-2")
    raised(case, "ASR_DEST_OCCUPIED", "loc/R-1", 10)
    raised(case, "ASR_LU_MISMATCH", "loc/R-2", 20)
    differs(case, 10, key="R-1/", kind="LU_UNEXPECTED")
    return differs(case, 20, key="R-2/L-2", kind="LU_UNEXPECTED")


def R66_an_empty_shelf() -> Case:
    """R66, R70: without a unit: every sku that is expected there, by its figure; one that is picked empty is not."""
    case = on_shelf(7)
    on_shelf(2, case=case, sku="B")
    case.order(5).pick(5, 2, loc="B-1").pick(6, 2, loc="B-1", sku="B")
    case.device("asrs.exception", 10, src=CRANE, code="SOURCE_EMPTY", loc="B-1")
    raised(case, "ASR_SOURCE_EMPTY", "loc/B-1", 10)
    return differs(case, 10, kind="SHORT_AT_LOC", expected=5, actual=0)


def R66_the_others_are_exceptions_only() -> Case:
    """R66: UNREACHABLE, PICKUP, DROPOFF say nothing of the stock."""
    case = on_shelf(7, case=Case())
    for t, code in ((10, "UNREACHABLE"), (11, "PICKUP"), (12, "DROPOFF")):
        raised(case.device("asrs.exception", t, src=CRANE, code=code, loc="B-1"), f"ASR_{code}", "loc/B-1", t)
    return case


def R70_a_short_where_stock_is_expected() -> Case:
    """R70: 10 expected, 2 picked, 3 short: 8 should be there, and nothing is."""
    case = on_shelf(10).pick(5, 2).short(10, "EMPTY")
    case.confirmed(2, 10).shorted(3, 10)
    return differs(case, 10, kind="SHORT_AT_LOC", expected=8, actual=0)


def R70_insufficient_leaves_actual_out() -> Case:
    """R70: something was there, nobody counted it."""
    case = on_shelf(10).pick(5, 2).short(10, "INSUFFICIENT").confirmed(2, 10).shorted(3, 10)
    return differs(case, 10, kind="SHORT_AT_LOC", expected=8, actual=None)


def R70_the_operator_names_the_place() -> Case:
    """R70: the short's own `loc` goes before the task's."""
    case = on_shelf(10, loc="B-2").short(10, "NOT_FOUND", loc="B-2").shorted(5, 10, loc="B-2")
    return differs(case, 10, key="B-2/A/", kind="SHORT_AT_LOC", expected=10, actual=0)


def R70_a_short_whose_task_goes_on_at_another_place() -> Case:
    """R70, R31: one of five picked at B-1, then nothing is there; the task is told anew with B-2, and four come from
    there. They were missing at B-1 all the same, and `pick.confirmed` has no one place."""
    case = on_shelf(9).pick(5).short(6).task(5, t=20, rev=2, loc="B-2").pick(25, 2).pick(26, 2)
    case.confirmed(5, 26, loc=None).shorted(0, 26, loc="B-1")
    return differs(case, 6, kind="SHORT_AT_LOC", expected=8, actual=0)


def R70_what_was_missing_is_found_at_its_place() -> Case:
    """R70, R25: likewise, but the four lay at B-1 after all: nothing was missing."""
    case = on_shelf(9).pick(5).short(6).pick(15, 4).confirmed(5, 15, loc="B-1").shorted(0, 15, loc="B-1")
    return differs(case, 6, kind="SHORT_AT_LOC", expected=8, actual=8)


def R70_a_pick_that_is_heard_before_its_task_goes_elsewhere() -> Case:
    """R70, R3: the press of 25 comes before the revision of 20 that says B-2: it was there, and at B-1 the books
    say 8."""
    case = on_shelf(9).pick(5).pick(25).task(5, t=20, rx=26, rev=2, loc="B-2")
    return differs(counted(case, 40, 7).device("telemetry", 60), 40, kind="COUNT_DIFF", expected=8, actual=7)


def R70_a_short_that_the_books_explain() -> Case:
    """R70: 3 expected, 2 picked, 3 short: the books say 1; no discrepancy."""
    return on_shelf(3).pick(5, 2).short(10).confirmed(2, 10).shorted(3, 10)


def R70_without_an_expectation_none() -> Case:
    """R70: nobody said what should be there."""
    return Case().order(5).task(5, loc="B-1").short(10).shorted(5, 10)


def R70_damaged_says_nothing_of_the_stock() -> Case:
    """R70: only EMPTY, INSUFFICIENT and NOT_FOUND do."""
    return on_shelf(10).short(10, "DAMAGED").shorted(5, 10)


def R70_an_expectation_that_is_too_old() -> Case:
    """R70: older than expectation_ttl_ms at the short."""
    case = on_shelf(10).short(10).shorted(5, 10)
    case.rules = {"expectation_ttl_ms": 9_999}
    return case


def R70_an_expectation_just_young_enough() -> Case:
    """R70: not older than: the bound itself still counts."""
    case = on_shelf(10).short(10).shorted(5, 10)
    case.rules = {"expectation_ttl_ms": 10_000}
    return differs(case, 10, expected=10, actual=0)


def R70_a_piece_that_follows_the_short() -> Case:
    """R70, R26: the operator finds all of them after all: the discrepancy is taken back by `actual` = `expected`."""
    case = on_shelf(10).short(10).device("telemetry", 40).pick(60, 5)
    case.confirmed(5, 60).shorted(0, 60)
    return differs(case, 10, revision=1, kind="SHORT_AT_LOC", expected=10, actual=10)


def R70_a_late_pick_lowers_the_figure() -> Case:
    """R70, R25: a pick from before the short that arrives late."""
    case = on_shelf(10).short(10).pick(40, task="T-2", loc="B-9").pick(8, 2, rx=60, src=GUN, hist=True)
    case.task(1, "T-2").confirmed(1, 40, "T-2").confirmed(2, 10).shorted(3, 10)
    return differs(case, 10, revision=1, kind="SHORT_AT_LOC", expected=8, actual=0)


def R70_a_lot_is_a_place_of_its_own() -> Case:
    """R70: what is expected of one lot is not held against a short that names none."""
    return on_shelf(10, lot="X").short(10).shorted(5, 10)


def R71_a_count_that_differs() -> Case:
    """R71: 10 expected, 2 picked before the count: 8 expected, 7 counted."""
    case = counted(on_shelf(10).pick(5, 2), 10, 7, count="CT-1")
    return differs(case, 10, kind="COUNT_DIFF", expected=8, actual=7)


def R71_a_count_that_agrees_says_nothing() -> Case:
    """R71: as the books have it."""
    return counted(on_shelf(10).pick(5, 2), 10, 8)


def R71_a_count_between_two_picks_that_arrive_later() -> Case:
    """R71: only the pick with event time <= t_count is taken off, and that revises what was decided."""
    case = counted(on_shelf(10), 20, 8).device("telemetry", 40)
    case.pick(15, 2, rx=60, src=GUN, hist=True).pick(25, 3, rx=61, src=GUN, hist=True).confirmed(5, 25)
    return differs(case, 20, revision=1, kind="COUNT_DIFF", expected=8, actual=8)


def R71_a_pick_at_the_very_time_of_the_count() -> Case:
    """R71: event time <= t_count."""
    return differs(counted(on_shelf(10).pick(10, 2), 10, 10), 10, kind="COUNT_DIFF", expected=8, actual=10)


def R71_the_expectation_as_of_the_count() -> Case:
    """R71: a later expectation is not held against an earlier count, even if it arrives before it."""
    case = on_shelf(10)
    on_shelf(4, t=21, rev=2, case=case)
    counted(case, 20, 9, rx=22)
    return differs(case, 20, kind="COUNT_DIFF", expected=10, actual=9)


def R71_a_late_expectation_revises() -> Case:
    """R71: it arrives after the decision, with `as_of` before the count."""
    case = counted(on_shelf(10), 20, 7).device("telemetry", 40)
    case.wms("stock.expectation", 50, loc="B-1", sku="A", rev=2, qty=9, as_of=at(15))
    return differs(case, 20, revision=1, kind="COUNT_DIFF", expected=9, actual=7)


def R71_an_expectation_after_the_count_decides_it_for_the_first_time() -> Case:
    """R71: nothing could be said until the books came."""
    case = counted(Case(), 20, 7).device("telemetry", 40)
    case.wms("stock.expectation", 50, loc="B-1", sku="A", qty=9, as_of=at(15))
    return differs(case, 20, revision=0, kind="COUNT_DIFF", expected=9, actual=7)


def R71_cleared_by_the_next_count_and_revised_on() -> Case:
    """R71: one discrepancy a key: wrong, right, and wrong again are revisions 0, 1 and 2."""
    case = on_shelf(10)
    for t, qty in ((20, 7), (40, 10), (60, 10), (80, 12)):
        counted(case, t, qty)
    return differs(case, 80, revision=2, kind="COUNT_DIFF", expected=10, actual=12)


def R71_what_stood_before_a_short_that_is_taken_back() -> Case:
    """R71, R27: what the count of 20 found still stands; the books of 0 that it was held against are needed for that
    when `lateness_ms` and `expectation_ttl_ms` since then are over."""
    case = counted(on_shelf(10), 20, 7)
    case.rules = {"lateness_ms": 10_000, "expectation_ttl_ms": 25_000}
    on_shelf(6, 40, rev=2, case=case).short(48).wms("pick.task_cancelled", 49, rev=2, task="T-1")
    case.expect("pick.short", "T-1", qty_short=0)
    return differs(case, 20, revision=2, kind="COUNT_DIFF", expected=10, actual=7)


def R71_put_back_is_there_again() -> Case:
    """R71: picks less reversals."""
    case = on_shelf(10).pick(5, 2).put_back(7, 1)
    case.expect("pick.reversed", f"T-1/{STATION}/0/2/0", qty=1)
    return differs(counted(case, 20, 8), 20, kind="COUNT_DIFF", expected=9, actual=8)


def returned(case: Case, t: float, qty: int = 1, rx: float | None = None, **fields: Any) -> Case:
    return case.device("return.scanned", t, rx, RETURNS, **{"sku": "A", "qty": qty, "rma": "RMA-1", **fields})


def rma(qty: int, case: Case | None = None, **fields: Any) -> Case:
    lines = [{"sku": "A", "qty": qty}]
    return (case or Case()).wms("rma.authorised", **{"rma": "RMA-1", "lines": lines, **fields})


def R72_each_scan_is_a_revision() -> Case:
    """R72: the total, told at every scan."""
    case = returned(returned(rma(3), 10), 20, 2)
    data: Any = {"sku": "A", "qty": 3, "expected_qty": 3, "condition": "EXPECTED", "serials": None}
    return case.expect("return.received", "RMA-1/A", t=20, revision=1, **data)


def R72_over_the_rma_is_still_received() -> Case:
    """R72: RTN_OVER, cleared by a revision of the RMA that covers it."""
    case = rma(2, returned(returned(rma(1), 10), 20), t=40, rev=2)
    cleared(raised(case, "RTN_OVER", "return/RMA-1/A", 20), "RTN_OVER", "return/RMA-1/A", 40)
    return case.expect("return.received", "RMA-1/A", t=20, qty=2, expected_qty=2, condition="EXPECTED", revision=2)


def R72_over_at_the_scan_that_was_one_too_many() -> Case:
    """R72, R3: the scan of 11 is the one too many, though that of 10 arrives last."""
    case = returned(returned(rma(1), 11, rx=11), 10, 1, rx=12)
    raised(case, "RTN_OVER", "return/RMA-1/A", 11)
    return case.expect("return.received", "RMA-1/A", t=11, qty=2, expected_qty=1, condition="OVER")


def R72_not_over_for_a_moment() -> Case:
    """R72, R3: the scan of 11 is that of 10 once more (one serial), which arrives after it: there was never one too
    many."""
    case = returned(returned(rma(2), 9, serial="S-1"), 11, serial="S-2")
    case.device("return.scanned", 10, 12, "dc1/returns/RT-02", sku="A", qty=1, rma="RMA-1", serial="S-2")
    raised(case, "RTN_DUP_SERIAL", "serial/S-2", 11).never_raised("RTN_OVER")
    return case.expect("return.received", "RMA-1/A", t=10, qty=2, serials=["S-1", "S-2"], condition="EXPECTED")


def R72_without_an_rma() -> Case:
    """R72: its own key each, RTN_UNEXPECTED."""
    case = Case().device("return.scanned", 10, src=RETURNS, sku="A", qty=1)
    key = f"unexpected/{RETURNS}/0/1/0"
    raised(case, "RTN_UNEXPECTED", f"return/{key}", 10)
    return case.expect("return.received", key, qty=1, sku="A", condition="UNEXPECTED", expected_qty=None)


def R72_an_rma_that_comes_later() -> Case:
    """R72: received at once under its key; when the RMA comes it was expected after all."""
    case = rma(1, returned(Case(), 10), t=30)
    cleared(raised(case, "RTN_UNEXPECTED", "return/RMA-1/A", 10), "RTN_UNEXPECTED", "return/RMA-1/A", 30)
    return case.expect("return.received", "RMA-1/A", t=10, revision=1, qty=1, expected_qty=1, condition="EXPECTED")


def R72_the_same_serial_twice() -> Case:
    """R72: not counted."""
    case = returned(returned(returned(rma(3), 10, serial="S-2"), 20, serial="S-2"), 30, serial="S-1")
    raised(case, "RTN_DUP_SERIAL", "serial/S-2", 20)
    return case.expect("return.received", "RMA-1/A", t=30, revision=1, qty=2, serials=["S-1", "S-2"])


def R72_the_same_serial_in_two_returns() -> Case:
    """R72, R3: it counts where it was scanned first by event time, whichever arrived first."""
    case = returned(rma(1), 11, rx=11, serial="S-1")
    case.device("return.scanned", 10, 12, "dc1/returns/RT-02", sku="A", qty=1, rma="RMA-2", serial="S-1")
    raised(case, "RTN_DUP_SERIAL", "serial/S-1", 11)
    raised(case, "RTN_UNEXPECTED", "return/RMA-2/A", 10)
    case.expect("return.received", "RMA-1/A", qty=0)
    return case.expect("return.received", "RMA-2/A", t=10, qty=1, serials=["S-1"])


def R72_graded() -> Case:
    """R72: the total of each grade and disposition; a return by its load unit alone."""
    case = rma(3)
    for t, qty, grade, disposition in ((10, 1, "A", "RESTOCK"), (20, 1, "A", "RESTOCK"), (30, 1, "C", "SCRAP")):
        fields: Any = {"rma": "RMA-1", "sku": "A", "grade": grade, "disposition": disposition}
        case.device("return.graded", t, src=RETURNS, qty=qty, **fields)
    case.device("return.graded", 40, src=RETURNS, rma="RMA-1", lu="L-1", qty=4, grade="B", disposition="VENDOR")
    case.expect("return.dispositioned", "RMA-1/A/A/RESTOCK", t=20, qty=2, grade="A", disposition="RESTOCK", sku="A")
    case.expect("return.dispositioned", "RMA-1/A/C/SCRAP", t=30, qty=1, grade="C", disposition="SCRAP")
    return case.expect("return.dispositioned", "RMA-1/L-1/B/VENDOR", t=40, qty=4, sku=None)


def R70_what_is_learned_of_a_short_that_was_forgotten() -> Case:
    """R70, R71: its order has left with `retention_ms`; what stands of the place is still revised, under that order."""
    case = Case().order(1).task(1, loc="LOC-1").wms("stock.expectation", 1, loc="LOC-1", sku="A", qty=5, as_of=at(0))
    case.short(20).tick(100).tick(200).tick(300)
    case.wms("stock.expectation", 10, rx=400, rev=2, loc="LOC-1", sku="A", qty=7, as_of=at(10))
    case.rules["retention_ms"] = 60_000
    case.shorted(1, 20).expect("inventory.discrepancy", "LOC-1/A/", t=20, revision=1, expected=7, actual=0)
    return case
