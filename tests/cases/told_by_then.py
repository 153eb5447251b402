"""Golden cases of R3: what is said of a moment is said by what had happened by then, whatever is known already."""

from __future__ import annotations

from tests.cases.told_gaps import blind, told_late
from tests.cases.told_lifecycles import MINUTE, SINGLE, later, patient
from tests.cases.writing import SCALE, SORTER, STATION, Case, at

OTHER = "dc1/pick/PTL-02"
DOCK = "dc1/dock/GUN-01"


def R21_full_on_arrival_until_the_manifest_is_heard_of() -> Case:
    """R21, R29, R3: the press of 31 fills it when it comes; then the manifest of 30 comes, and it was one too late.
    Nothing was told if that had come first: a revision of quantity 0 says so."""
    case = Case().shipped(3).pick(10, lu="L-1").device("telemetry", 30, src=STATION).pick(31, 2, lu="L-1")
    case.wms("manifest.result", 30, rx=31.5, shipment="S-1", manifest_no="M-1", tracking=[])
    case.confirmed(0, 31, revision=1).expect("shipment.manifested", "S-1", t=30, cartons=[])
    return case.expect("inventory.discrepancy", "/A//T-1", kind="POST_SHIP", expected=0, actual=2)


def R21_full_on_arrival_until_a_reversal_of_before() -> Case:
    """R21, R3: full by the press of 12 until one is told that was put back at 11: it never was, and is open."""
    case = Case().order(2).task(2).pick(10).pick(12).put_back(11, rx=12.5, src=OTHER)
    return case.confirmed(0, 12, revision=1).expect("pick.reversed", f"T-1/{OTHER}/0/1/0", qty=1)


def R21_full_on_arrival_and_once_more() -> Case:
    """R21, R3: as above, and the piece is picked again: confirmed as if it had come in order."""
    case = Case().order(2).task(2).pick(10).pick(12).put_back(11, rx=12.5, src=OTHER).pick(40)
    return case.confirmed(2, 40, revision=2).expect("pick.reversed", f"T-1/{OTHER}/0/1/0", qty=1)


def R22_the_pick_that_ends_it_comes_before_it_is_told() -> Case:
    """R22, R3: silent for `pick_stall_ms` at 910; the press of 911 fills it before the watermark is there."""
    case = Case().order(2).task(2).pick(10).device("scan.read", 909, lu="L-9").pick(911)
    return case.confirmed(2, 911).cleared("PCK_STALLED", "task/T-1", t=911)


def R29_a_late_pick_into_a_carton_of_another_shipment() -> Case:
    """R29, R50a: with O-1's piece in it L-9 is no more S-2's carton than S-1's: the line's only shipment has left."""
    case = Case().order(2).task(2).plan().shipment(2).pick(10, 2, lu="L-1")
    case.wms("order.released", order="O-2", lines=[{"line": 1, "sku": "A", "qty": 5}])
    case.wms("shipment.plan", shipment="S-2", scope=[{"order": "O-2", "line": 1, "qty": 5}])
    case.wms("pick.task", task="T-2", order="O-2", line=1, sku="A", qty=5).pick(12, task="T-2", lu="L-9")
    case.wms("manifest.result", 30, shipment="S-1", manifest_no="M-1", tracking=[]).device("telemetry", 40, src=STATION)
    case.pick(50, lu="L-9").confirmed(2, 10, revision=0).expect("shipment.manifested", "S-1", t=30)
    return case.expect("inventory.discrepancy", "/A//T-1", kind="POST_SHIP", expected=2, actual=3)


def R40_a_number_that_nobody_heard_of() -> Case:
    """R40, R3: the press of 31 into L-2 comes before the manifest of 30, and is taken back: no use was met."""
    case = Case().shipped(3).pick(10, 2, lu="L-1").device("telemetry", 30, src=STATION).pick(31, lu="L-2")
    case.wms("manifest.result", 30, rx=31.5, shipment="S-1", manifest_no="M-1", tracking=[])
    case.device("carton.open", 50, lu="L-2").close(60, lu="L-2")
    case.confirmed(0, 31, revision=1).expect("shipment.manifested", "S-1", t=30)
    case.expect("inventory.discrepancy", "/A//T-1", kind="POST_SHIP", expected=0, actual=1)
    return case.raised("PKG_EMPTY", "carton/L-2#1")


def R45_its_contents_were_right_before_it_was_voided() -> Case:
    """R45: closed with one of two at 20, with both at 40; the void of 46 comes before that close is decided."""
    case = Case().shipped(2).pick(10, lu="L-1").close(20).pick(22, lu="L-1").close(40)
    case.device("carton.void", 46, lu="L-1").device("telemetry", 60)
    case.confirmed(2, 22).packed(2, t=40).ready(2, 40).expect("carton.reopened", "C-1", t=22)
    case.expect("shipment.unready", "S-1", t=46, cause="carton.void", carton="C-1").expect("carton.voided", "C-1", t=46)
    return case.cleared("PKG_CONTENT_MISMATCH", "carton/C-1", t=40)


def R45_a_carton_that_is_named_after_its_close() -> Case:
    """R45, R40a, R3: L-1 is the planned C-1 since a second close of 26 says so; by then the short of 25.5 had explained
    what is missing in it, though both come before the first close is decided."""
    case = Case().order(2).task(2).plan(lu=None).shipment(2).pick(10, lu="L-1").close(20)
    case.device("scan.read", 24.5, src=SORTER, lu="L-9").short(25.5).close(26, carton="C-1").device("telemetry", 60)
    case.confirmed(1, 25.5).shorted(1, 25.5).packed(1, "L-1#1", carton="C-1").ready(1, 26, short=1, cartons=["C-1"])
    return case.never_raised("PKG_CONTENT_MISMATCH")


def R46_a_label_before_the_bind_of_its_use() -> Case:
    """R46, R3: the label of 10 is read before the plan of 9 is heard of that makes L-1 the carton C-1."""
    case = Case().order(2).task(2).device("label.verified", 10, lu="L-1", result="OK", sscc="SS-1")
    case.wms("carton.plan", 9, rx=11, carton="C-1", lu="L-1", shipment="S-1", contents=[]).pick(30, 2, lu="L-2")
    case.device("label.verified", 40, lu="L-2", result="OK", sscc="SS-1")
    return case.confirmed(2, 30).raised("ID_SSCC_REUSE", "sscc/SS-1", detail="L-2#1, before on C-1")


def R51_a_carton_that_is_named_by_its_label() -> Case:
    """R51, R40a, R50a: closed at 20, called C-1 by the label of 21: until then the planned C-1 had still to come."""
    case = Case().order(2).task(2).plan(lu=None).shipment(2).pick(10, 2, lu="L-1").close(20)
    case.device("label.verified", 21, lu="L-1", carton="C-1", result="OK").device("telemetry", 60)
    return case.confirmed(2, 10).packed(2).ready(2, 21, cartons=["C-1"])


def R55_a_backlog_says_that_it_was_ready_when_it_was_loaded() -> Case:
    """R55, section 11: loaded at 60, and that it had been closed at 20 is heard at 90. Nothing ends before it began."""
    case = (
        Case()
        .shipped()
        .pick(10, 2, lu="L-1")
        .device("load.scanned", 60, src="dc1/dock/DK-01", lu="L-1", trailer="TR-1")
    )
    case.device("carton.close", 20, rx=90, lu="L-1", hist=True).confirmed(2, 10).packed(2).ready(2, 20)
    return case.cleared("SHP_LOAD_BEFORE_READY", "shipment/S-1", t=60)


def R55_what_the_carton_was_called_by_then() -> Case:
    """R55, R40a, R3: scanned into another trailer at 30; what it is called since 31 is known before that is told."""
    case = Case().order(1, 1).task(1).task(1, "T-2", line=2)
    case.wms("shipment.plan", shipment="S-1", scope=[{"order": "O-1", "line": n, "qty": 1} for n in (1, 2)])
    case.pick(10, lu="L-1").pick(11, lu="L-2", task="T-2")
    case.device("load.scanned", 20, src=DOCK, lu="L-2", trailer="TR-1")
    case.device("load.scanned", 30, src=DOCK, lu="L-1", trailer="TR-2").close(31, carton="C-1")
    case.confirmed(1, 10).confirmed(1, 11, "T-2").packed(1)
    return case.raised("SHP_WRONG_TRAILER", "carton/L-1#1", detail="in TR-2; L-2#1 is in TR-1")


def R72_over_since_the_rma_says_so() -> Case:
    """R72: two came back at 10, one too many by what is authorised at 40: unexpected until then, over from then on."""
    case = Case().device("return.scanned", 10, src="dc1/returns/RT-1", rma="R-1", sku="A", qty=2)
    case.wms("rma.authorised", 40, rma="R-1", lines=[{"sku": "A", "qty": 1}])
    case.expect("return.received", "R-1/A", t=10, qty=2, expected_qty=1, condition="OVER")
    case.cleared("RTN_UNEXPECTED", "return/R-1/A", t=40)
    return case.expect("exception.raised", "RTN_OVER/return/R-1/A/1", t=40, detail="2 of 1")


def S10_stuck_under_the_name_of_then() -> Case:
    """Section 10, R40a: it is called C-1 since its close, which clears what was raised of L-1#1."""
    case = later(patient().order(2).task(2).pick(10, lu="L-1"), 11)
    case.close(12 * MINUTE, carton="C-1")
    return case.packed(1).cleared("PKG_STUCK", "carton/L-1#1", t=12 * MINUTE)


def S10_planned_anew_before_it_was_found_stuck() -> Case:
    """Section 10, R3: it stands for ten minutes at 600; the plan of 601 comes before the watermark is there."""
    case = patient().order(2).shipment(2).device("scan.read", 599, lu="L-9")
    case.shipment(2, t=601, rev=2).device("telemetry", 610)
    return case.cleared("SHP_STUCK", "shipment/S-1", t=601)


def S10_a_refused_move_names_nothing() -> Case:
    """Section 10, R54: L-2 was voided before its close calls it C-2: C-2 has still to come, and is left behind."""
    case = Case().order(2).task(2).plan().shipment(2)
    case.plan("C-2", lu=None, contents=[{"order": "O-1", "line": 1, "qty": 1}]).pick(10, 2, lu="L-1").close(20)
    case.device("load.scanned", 30, src=DOCK, lu="L-1", trailer="TR-1")
    case.device("carton.open", 35, lu="L-2").device("trailer.closed", 40, src=DOCK, trailer="TR-1")
    case.device("carton.void", 50, lu="L-2").close(80, lu="L-2", carton="C-2")
    case.device("load.removed", 79, rx=80.5, src=DOCK, lu="L-1", trailer="TR-9").device("telemetry", 100)
    case.confirmed(2, 10).packed(2).expect("carton.voided", "L-2#1", t=50)
    case.raised("PKG_AFTER_VOID", "carton/L-2#1", detail="carton.close")
    return case.raised("SHP_PARTIAL_LOAD", "shipment/S-1", detail="left behind: C-2")


def in_a_wave_that_is_moved(to: int, t: float = 30, rx: float | None = None) -> Case:
    """Cutoff 20, and from `t` on `to`."""
    case = Case().order(2).wms("wave.released", 5, wave="W-1", orders=["O-1"], cutoff=at(20))
    case.rules = {"short_at_cutoff": True}
    return case.wms("wave.released", t, rx, rev=2, wave="W-1", orders=["O-1"], cutoff=at(to))


def R21d_a_task_from_before_its_cutoff_was_moved() -> Case:
    """R21 (d), R26, R3: the cutoff of 20 has closed it, though the task of 10 arrives after the word of 30."""
    case = in_a_wave_that_is_moved(60).task(2, t=10, rx=31).device("telemetry", 70, src=STATION)
    return case.shorted(2, 20, revision=0, qty_picked=0)


def R21d_a_pick_from_after_a_cutoff_was_moved() -> Case:
    """R20, R21 (d), R3: the line has a window since 31. The word of 30 comes after that pick, and what the cutoff of 20
    had told is taken back: when it moved on there was nothing to close."""
    case = in_a_wave_that_is_moved(60, rx=32).device("telemetry", 29, src=STATION).pick(31, line=1, order="O-1")
    case.records.sort(key=lambda record: record["t_rx"])
    case.device("telemetry", 50, src=STATION)
    case.expect("pick.confirmed", "O-1/1", t=31, revision=1, qty=0).until(55)
    return case.expect("pick.short", "O-1/1", revision=1, qty_short=0)


def R22_silent_since_long_when_its_cutoff_turns_out_to_be_none() -> Case:
    """R21 (d), R22, R10: short by the cutoff of 20; at 1000 it is heard that it had been moved at 15. The window is
    open, and nobody has picked for `pick_stall_ms` since 910."""
    case = in_a_wave_that_is_moved(5_000, t=15, rx=1_000).task(2).pick(10)
    for t in (30, 950, 1_100):
        case.device("telemetry", t, src=STATION)
    case.records.sort(key=lambda record: record["t_rx"])
    case.until(1_200).confirmed(0, 20, revision=1).shorted(0, 20, revision=1)
    return case.raised("PCK_STALLED", "task/T-1", t=910)


def R21d_a_deadline_that_was_moved_long_before() -> Case:
    """R10, R21 (d): short by the deadline of 20; at 40 it is heard that it had been moved at 15. The window is open."""
    case = Case().order(2).task(2, deadline=at(20)).pick(10).device("telemetry", 30, src=STATION)
    case.task(2, t=15, rx=40, rev=2, deadline=at(90)).until(60)
    return case.confirmed(0, 20, revision=1).shorted(0, 20, revision=1)


def R54_the_carrier_of_the_time_of_its_manifest() -> Case:
    """R54, R3: the plan of 40.5 comes before the watermark has passed the manifest of 40, and says nothing of it."""
    case = Case().shipped(carrier="UPS").pick(10, 2, lu="L-1").close(20).confirmed(2, 10).packed(2)
    case.wms("manifest.result", 40, shipment="S-1", manifest_no="M-1", tracking=[])
    scope = [{"order": "O-1", "line": 1, "qty": 2}]
    case.wms("shipment.plan", 40.5, rev=2, shipment="S-1", scope=scope, carrier="DHL").device("telemetry", 60)
    return case.ready(2, 20).expect("shipment.manifested", "S-1", t=40, revision=0, carrier="UPS")


def R29_a_late_pick_of_a_line_that_is_shorted_afterwards() -> Case:
    """R29: as of a task: the short of 30 tells of one piece of the line, and a second was picked too late."""
    case = Case().order(3).shipment(3).pick(8, lu="L-1", loc="A-1", line=1, order="O-1")
    case.wms("manifest.result", 10.5, shipment="S-1", manifest_no="M-1", tracking=[])
    case.pick(14, lu="L-1", loc="A-1", line=1, order="O-1")
    case.device("pick.short", 30, src=STATION, order="O-1", line=1, code="EMPTY").device("telemetry", 90)
    case.expect("pick.confirmed", "O-1/1", t=30, qty=1).expect("pick.short", "O-1/1", t=30, qty_short=2)
    case.expect("shipment.manifested", "S-1", t=10.5)
    return case.expect(
        "inventory.discrepancy", "A-1/A//", t=14, revision=1, kind="POST_SHIP", expected=1, actual=2, as_of=at(14)
    )


def R50_held_short_just_before_its_manifest() -> Case:
    """R50, R3: only the policy keeps it back from 39 on; the manifest of 40 comes before the watermark is there."""
    case = Case().order(2, short_policy="HOLD").task(2).plan().shipment().pick(10, lu="L-1").close(20).short(39)
    case.wms("manifest.result", 40, shipment="S-1", manifest_no="M-1", tracking=[]).device("telemetry", 60)
    case.confirmed(1, 39).shorted(1, 39, policy="HOLD").packed(1).expect("shipment.manifested", "S-1", t=40)
    return case.cleared("SHP_HELD_SHORT", "shipment/S-1", t=40)


def R30_the_earlier_twin_of_a_late_pick() -> Case:
    """R30, R29, R3: the twin of 40.6 comes first and is too late for the manifest of 40; that of 39.9 is the press, and
    in time. POST_SHIP says nothing any more."""
    case = Case().shipped(3).pick(10, 2, lu="L-1").close(20)
    case.wms("manifest.result", 40, shipment="S-1", manifest_no="M-1", tracking=[])
    case.tell(OTHER, "pick.confirm", 40.6, 40.7, seq=1, task="T-1", sku="A", qty=1, lu="L-9", press="7")
    case.pick(39.9, rx=41, lu="L-8", press="7").device("telemetry", 60)
    case.expect("shipment.manifested", "S-1", t=40).packed(2).confirmed(3, 39.9).counted(duplicate=1)
    case.expect("inventory.discrepancy", "/A//T-1", expected=3, actual=3)
    return case.never_raised("PCK_LATE_AFTER_SHIP")


def R45_too_heavy_when_its_close_is_told() -> Case:
    """R45, R3: the weighing of 24 is what the watermark has passed when the close is told; that of 26 is here by then
    and clears what the other one raised."""
    case = (
        Case().order(1).task(1).plan(contents=SINGLE, weight_g=500, tol_g=10).shipment(1).pick(10, lu="L-1").close(20)
    )
    for t, weight_g in ((24, 700), (26, 505), (27.5, 505)):
        case.device("weigh", t, src=SCALE, lu="L-1", weight_g=weight_g)
    case.device("telemetry", 60).confirmed(1, 10).packed(1, weight_g=700).ready(1, 26)
    return case.cleared("PKG_WEIGHT_MISMATCH", "carton/C-1", t=26)


def lagging(case: Case) -> Case:
    """One of two pieces is packed. PTL-01 lags: its last word before the manifest of 36 leaves the watermark at 29."""
    case.pick(10, lu="L-1").close(15).device("scan.read", 29, src=STATION, lu="L-9")
    case.device("telemetry", 30, 33, src=STATION).device("telemetry", 31, 35.9, src=STATION)
    case.wms("manifest.result", 36, shipment="S-1", manifest_no="M-1", tracking=[]).device("telemetry", 60)
    case.confirmed(1, 30).shorted(1, 30).packed(1).ready(1, 30, short=1).never_raised("SHP_LOAD_BEFORE_READY")
    return case.expect("shipment.manifested", "S-1", t=36)


def R51_ready_by_a_deadline_that_the_watermark_has_not_passed() -> Case:
    """R51, R54: the deadline of 30 made it ready, which had lasted by the manifest of 36: told before it."""
    return lagging(Case().order(2).plan().shipment().task(2, deadline=at(30)))


def R51_ready_by_a_cutoff_that_the_watermark_has_not_passed() -> Case:
    """R51, R54: likewise by the cutoff of its wave."""
    case = Case().order(2).plan().shipment().task(2)
    case.wms("wave.released", wave="W-1", orders=["O-1"], cutoff=at(30))
    case.rules["short_at_cutoff"] = True
    return lagging(case)


def R51_ready_by_a_cutoff_that_was_told_before_its_order() -> Case:
    """R51, R54: likewise, and the wave was told first."""
    case = Case().wms("wave.released", wave="W-1", orders=["O-1"], cutoff=at(30)).order(2).plan().shipment().task(2)
    case.rules["short_at_cutoff"] = True
    return lagging(case)


def R45_seen_between_its_close_and_the_short_that_explains_it() -> Case:
    """R45: where it arrives at 30 says nothing of its contents; the short of 40 does."""
    case = Case().order(2).task(2).plan().shipment().pick(10, lu="L-1").close(20)
    case.device("item.arrived", 30, src=SORTER, lu="L-1", loc="D-1").short(40).device("telemetry", 60)
    case.confirmed(1, 40).shorted(1, 40).packed(1).ready(1, 40, short=1)
    return case.cleared("PKG_CONTENT_MISMATCH", "carton/C-1", t=40)


def R07_a_piece_that_follows_a_deadline_that_is_held() -> Case:
    """R7, R26: when the gap is filled, what the deadline of 30 decided is told first, and then what the piece of 35
    made of it."""
    case = told_late(blind().pick(35), "telemetry").cleared("SEQ_GAP", STATION)
    return case.confirmed(2, 35, revision=1, evidence="exact").shorted(1, 35, revision=1, evidence="exact")


def R45_incomplete_until_its_void() -> Case:
    """R45, R56: nobody asks any more what was missing in a carton since it was voided at 40."""
    case = Case().order(2).task(2).plan().pick(10, lu="L-1").close(20).device("carton.void", 40, lu="L-1")
    case.device("telemetry", 60).packed(1).expect("carton.voided", "C-1", t=40)
    return case.cleared("PKG_CONTENT_MISMATCH", "carton/C-1", t=40)


def R45_a_hold_is_told_by_the_plan_of_then() -> Case:
    """R45, R3: the label of 30 was wrong until the release of 31, though a plan of 31.8 was heard of before the
    watermark came to 30."""
    case = Case().shipped(1).pick(10, lu="L-1").close(20).device("label.verified", 30, lu="L-1", result="NOREAD")
    case.wms("hold.released", 31, carton="C-1", rev=1).plan(t=31.8, rev=2, contents=SINGLE)
    case.device("telemetry", 32.5).device("telemetry", 60).confirmed(1, 10).packed(1)
    case.ready(1, 31).expect("shipment.unready", "S-1", t=30, cause="label.verified").times("PKG_LABEL_NOREAD", 1)
    return case.cleared("PKG_LABEL_NOREAD", "carton/C-1", t=31)


def R06_a_jump_that_is_none_when_the_shipment_has_left() -> Case:
    """R6, R51, R3: the number of 26 is missing when the manifest of 27 comes, and is there before it would be a gap:
    the shipment had been ready since 20."""
    case = Case().shipped(1).pick(10, lu="L-1").close(20).device("telemetry", 26, rx=27.9).device("telemetry", 26.5)
    case.wms("manifest.result", 27, shipment="S-1", manifest_no="M-1", tracking=[]).device("telemetry", 60)
    case.records.sort(key=lambda record: record["t_rx"])
    return case.confirmed(1, 10).packed(1).ready(1, 20).expect("shipment.manifested", "S-1", t=27)
