"""Golden cases of packing, holds, loading and the manifest. The expectations are read off the rules' text."""

from __future__ import annotations

from typing import Any

from tests.cases.writing import PACK, SCALE, Case, at

DOCK = "dc1/dock/GUN-9"
GUN = "dc1/pick/GUN-01"
LABELLER = "dc1/pack/LAB-01"
PLANNED: dict[str, Any] = {"weight_g": 500, "tol_g": 10}
CARTON, SHIPMENT = "carton/C-1", "shipment/S-1"


def weigh(case: Case, t: float, weight_g: int, rx: float | None = None, **fields: Any) -> Case:
    return case.device("weigh", t, rx, SCALE, **{"lu": "L-1", "weight_g": weight_g, **fields})


def label(case: Case, t: float, result: str = "OK", lu: str = "L-1", **fields: Any) -> Case:
    return case.device("label.verified", t, src=LABELLER, lu=lu, result=result, **fields)


def load(case: Case, t: float, lu: str = "L-1", trailer: str = "TR-1", rx: float | None = None, **fields: Any) -> Case:
    return case.device("load.scanned", t, rx, DOCK, lu=lu, trailer=trailer, **fields)


def leaves(case: Case, t: float, trailer: str = "TR-1", **fields: Any) -> Case:
    return case.device("trailer.closed", t, src=DOCK, trailer=trailer, **fields)


def packed_one(**plan: Any) -> Case:
    """Shipment S-1 of one piece, picked at 10, carton C-1 closed at 20."""
    return Case().order(1).task(1).plan(contents=part(1), **plan).shipment(1).pick(10, lu="L-1").close(20)


def part(qty: int, line: int = 1) -> list[dict[str, Any]]:
    return [{"order": "O-1", "line": line, "qty": qty}]


def two_cartons(**shipment: Any) -> Case:
    """Shipment S-1 of two pieces, one in C-1 (L-1), one in C-2 (L-2), closed at 20 and 22."""
    case = Case().order(2).task(2).plan(contents=part(1)).plan("C-2", "L-2", contents=part(1)).shipment(2, **shipment)
    case.pick(10, lu="L-1").pick(11, lu="L-2").close(20).close(22, "L-2")
    return case.confirmed(2, 11).packed(1).packed(1, "C-2")


def manifested(case: Case, t: float, *cartons: str, **data: Any) -> Case:
    rows = [{"carton": carton} for carton in cartons]
    return case.expect("shipment.manifested", "S-1", t=t, **{"cartons": rows, "left_behind": [], **data})


# ---------------------------------------------------------------------------------------------- R41, R45, R46


def R41_a_tote_is_bound_again_while_its_carton_is_open() -> Case:
    """R41: accepted; the old carton is orphaned, so its shipment is never ready."""
    case = Case().shipped().pick(10, 2, lu="L-1").wms("lu.bind", 30, lu="L-1", carton="C-9").confirmed(2, 10)
    return case.raised("PKG_TOTE_REBOUND_OPEN", CARTON)


def R41_it_was_closed_before_the_bind() -> Case:
    """R41, R3: the close arrives after the bind."""
    case = Case().shipped().pick(10, 2, lu="L-1").wms("lu.bind", 20.5, lu="L-1", carton="C-9")
    case.device("carton.close", 20, 21, lu="L-1").never_raised("PKG_TOTE_REBOUND_OPEN")
    return case.confirmed(2, 10).packed(2).ready(2, 20)


def R45_contents_that_are_not_the_plan() -> Case:
    """R45: one of two pieces and nobody said why: told all the same, and raised; the operator's short explains it."""
    case = Case().order(2).task(2).plan().shipment().pick(10, lu="L-1").close(20).short(40)
    case.confirmed(1, 40).shorted(1, 40).packed(1).ready(1, 40, short=1)
    return case.cleared("PKG_CONTENT_MISMATCH", CARTON, t=40)


def R45_the_plan_less_a_decided_short() -> Case:
    """R45: what was short before the close is not missing."""
    case = Case().shipped().pick(10, lu="L-1").short(15).close(20).never_raised("PKG_CONTENT_MISMATCH")
    return case.confirmed(1, 15).shorted(1, 15).packed(1).ready(1, 20, short=1)


def R45_too_heavy_until_a_good_weighing() -> Case:
    """R45: held by its weight, so not ready, until a good weighing, however late."""
    case = weigh(weigh(packed_one(**PLANNED), 21, 700), 90, 505)
    case.confirmed(1, 10).packed(1, weight_g=700).ready(1, 90)
    return case.cleared("PKG_WEIGHT_MISMATCH", CARTON, t=90)


def R45_without_a_tolerance_nothing_is_compared() -> Case:
    """R45: both `weight_g` and `tol_g` must be planned."""
    case = weigh(packed_one(weight_g=500), 21, 700).never_raised("PKG_WEIGHT_MISMATCH")
    return case.confirmed(1, 10).packed(1, weight_g=700).ready(1, 20)


def R45_a_weighing_while_it_is_filled_is_none() -> Case:
    """R45: only what stands when the close is decided is compared."""
    case = Case().order(1).task(1).plan(contents=part(1), **PLANNED).shipment(1)
    weigh(weigh(case.pick(10, lu="L-1"), 12, 90).close(20), 22, 500).never_raised("PKG_WEIGHT_MISMATCH")
    return case.confirmed(1, 10).packed(1, weight_g=500).expect("shipment.ready", "S-1", partial=False)


def R45_a_label_that_was_not_read() -> Case:
    """R45: NOREAD holds the carton; the good label clears it, and its sscc revises the event."""
    case = label(label(packed_one(), 21, "NOREAD"), 60, sscc="00340")
    case.confirmed(1, 10).packed(1, revision=1, evidence="exact", sscc="00340").ready(1, 60)
    return case.cleared("PKG_LABEL_NOREAD", CARTON, t=60)


def R45_the_wrong_label_is_let_go() -> Case:
    """R45: MISMATCH until `hold.released`."""
    case = label(packed_one(), 21, "MISMATCH").wms("hold.released", 70, carton="C-1")
    return case.confirmed(1, 10).packed(1).ready(1, 70).cleared("PKG_LABEL_MISMATCH", CARTON, t=70)


def R45_still_held() -> Case:
    """R45: a mismatch nobody looked at."""
    case = label(weigh(packed_one(**PLANNED), 21, 700), 22, "MISMATCH").confirmed(1, 10).packed(1)
    case.raised("PKG_WEIGHT_MISMATCH", CARTON)
    return case.raised("PKG_LABEL_MISMATCH", CARTON)


def R46_an_sscc_on_two_cartons() -> Case:
    """R46: the same SSCC on another carton within `retention_ms`; the same carton may be labelled twice."""
    case = label(label(label(two_cartons(), 21, sscc="00340"), 23, sscc="00340"), 24, lu="L-2", sscc="00341")
    label(case, 40, lu="L-2", sscc="00340").expect("shipment.ready", "S-1", partial=False)
    return case.raised("ID_SSCC_REUSE", "sscc/00340")


# ---------------------------------------------------------------------------------------------- R47, R48


def move(case: Case, t: float, lu: str, from_lu: str = "TOTE", rx: float | None = None, **fields: Any) -> Case:
    return case.device("pack.confirm", t, rx, PACK, lu=lu, from_lu=from_lu, **fields)


def R47_a_tote_is_packed_into_a_carton() -> Case:
    """R47: everything in the tote comes into the carton; the pick stays where it was picked."""
    case = Case().shipped().pick(10, 2, lu="TOTE")
    move(case, 15, "L-1").close(20)
    return case.confirmed(2, 10, lu="TOTE", carton=None).packed(2).ready(2, 20)


def R47_a_tote_is_packed_into_two_cartons() -> Case:
    """R47: by piece; what is in the tote is taken by order, line and lot."""
    case = Case().order(2).task(2).plan(contents=part(1)).plan("C-2", "L-2", contents=part(1)).shipment()
    move(move(case.pick(10, 2, lu="TOTE"), 15, "L-1", sku="A", qty=1), 16, "L-2", sku="A", qty=1)
    case.close(20).close(21, "L-2").never_raised("PKG_CONTENT_MISMATCH")
    return case.confirmed(2, 10).packed(1).packed(1, "C-2").ready(2, 21, cartons=["C-1", "C-2"])


def R47_a_late_pick_is_moved_with_the_rest() -> Case:
    """R47, R44: a pick into the tote from before the move that arrives late changes both units."""
    case = Case().shipped().pick(10, lu="TOTE")
    move(case, 15, "L-1").close(20).device("telemetry", 60).pick(12, rx=70, src=GUN, lu="TOTE", hist=True)
    return case.confirmed(2, 12).packed(2, revision=1).expect("shipment.ready", "S-1", partial=False)


def R47_a_pick_after_the_move_stays_in_the_tote() -> Case:
    """R47: contents change at the event time of the move."""
    case = Case().shipped().pick(10, lu="TOTE")
    move(case, 15, "L-1").close(20).pick(25, lu="TOTE").raised("PKG_CONTENT_MISMATCH", CARTON)
    return case.confirmed(2, 25).packed(1)


def R47_through_two_totes_into_an_unplanned_carton() -> Case:
    """R47, R50a: contents are followed through every move, into a carton without a plan."""
    case = Case().order(2).task(2).shipment().pick(10, 2, lu="TOTE")
    move(move(case, 12, "TOTE-2"), 15, "L-1", "TOTE-2", sku="A", qty=2, order="O-1", line=1).close(20)
    return case.confirmed(2, 10).packed(2, "L-1#1").ready(2, 20, cartons=["L-1#1"])


def R47_packed_into_a_closed_carton() -> Case:
    """R47, R44: a piece that comes after t_close is a physical reopening."""
    case = Case().shipped().pick(10, lu="L-1").close(20).pick(30, lu="TOTE")
    move(case, 40, "L-1").close(50).expect("carton.reopened", "C-1", t=40, cause="pack.confirm")
    return case.confirmed(2, 30).packed(2, revision=1, t_close=at(50)).ready(2, 50)


def on_pallet(case: Case, t: float, lu: str = "L-1", rx: float | None = None) -> Case:
    return case.wms("lu.bind", t, rx, lu=lu, parent="PAL-1")


def R48_a_carton_on_a_pallet_is_staged_with_it() -> Case:
    """R48: it shares the pallet's place from the bind on."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    on_pallet(case, 30).device("item.arrived", 40, src=DOCK, lu="PAL-1", loc="D-1")
    return case.confirmed(2, 10).packed(2).ready(2, 40)


def R48_the_pallet_stood_there_already() -> Case:
    """R48: its place is shared from the bind on, whenever it came there."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    on_pallet(case.device("item.arrived", 25, src=DOCK, lu="PAL-1", loc="D-1"), 30)
    return case.confirmed(2, 10).packed(2).ready(2, 30)


def R48_onto_a_loaded_pallet() -> Case:
    """R48, R54: put onto a pallet that stood in the trailer, it shares its loading from then on, and leaves with it."""
    case = load(packed_one().ready(1, 20), 30, "PAL").wms("lu.bind", 40, lu="L-1", parent="PAL")
    return manifested(leaves(case, 50).confirmed(1, 10).packed(1), 50, "C-1", trailer="TR-1")


def R48_off_the_pallet() -> Case:
    """R48: what the pallet did before the bind, or after the carton went to another, is not the carton's."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    on_pallet(case, 30).wms("lu.bind", 35, rev=2, lu="L-1", parent="PAL-2")
    case.device("item.arrived", 40, src=DOCK, lu="PAL-1", loc="D-1")
    return case.confirmed(2, 10).packed(2)


def R48_a_bind_that_comes_after_the_pallet_moved() -> Case:
    """R48: told late, it holds from its event time on."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    on_pallet(case.device("item.arrived", 40, src=DOCK, lu="PAL-1", loc="D-1"), 30, rx=60)
    return case.confirmed(2, 10).packed(2).expect("shipment.ready", "S-1", partial=False)


def R48_a_pallet_is_loaded_with_all_on_it() -> Case:
    """R48, R54: one scan loads both cartons."""
    case = on_pallet(on_pallet(two_cartons(), 30), 31, "L-2")
    leaves(load(case, 60, "PAL-1"), 90, seal="S-77")
    return manifested(case.ready(2, 22), 90, "C-1", "C-2", trailer="TR-1", seal="S-77")


# ---------------------------------------------------------------------------------------------- R27, R29


def gone(case: Case, t: float = 60) -> Case:
    return case.wms("manifest.result", t, shipment="S-1", manifest_no="M-1")


def R27_a_cancel_after_the_manifest() -> Case:
    """R27: too late: an exception, and nothing is taken back."""
    case = gone(packed_one()).wms("order.cancelled", 90, rev=2, order="O-1")
    manifested(case.confirmed(1, 10, cancelled=None).packed(1).ready(1, 20), 60, "C-1", manifest_no="M-1")
    return case.raised("CTX_CANCEL_TOO_LATE", "task/T-1")


def R29_a_pick_after_its_shipment_left() -> Case:
    """R29: no revision of what was told; the stock at its place is not what was told, and an exception."""
    case = gone(Case().shipped().pick(10, lu="L-1").short(15).close(20)).device("telemetry", 90)
    case.pick(12, rx=100, src=GUN, lu="L-1", loc="A-1", hist=True)
    case.confirmed(1, 15, revision=0).shorted(1, 15, revision=0).packed(1, revision=0).ready(1, 20, short=1)
    manifested(case, 60, "C-1").raised("PCK_LATE_AFTER_SHIP", "task/T-1")
    return case.expect(
        "inventory.discrepancy", "A-1/A//T-1", t=12, kind="POST_SHIP", expected=1, actual=2, as_of=at(12)
    )


def R29_two_late_picks_are_two_revisions() -> Case:
    """R29: one discrepancy a task and place; the same press again is no pick (R30)."""
    case = gone(Case().shipped(3).pick(10, lu="L-1").short(15).close(20)).device("telemetry", 90)
    for t, press in ((12, "P-1"), (13, "P-2"), (13, "P-2")):
        case.pick(t, rx=100, src=GUN, lu="L-1", loc="A-1", press=press, hist=True)
    case.confirmed(1, 15).shorted(2, 15).packed(1).ready(1, 20, short=2)
    manifested(case, 60, "C-1")
    return case.expect("inventory.discrepancy", "A-1/A//T-1", revision=1, kind="POST_SHIP", expected=1, actual=3)


def R29_disorder_is_not_late() -> Case:
    """R29, R3: a pick that comes after the manifest only by disorder is in it."""
    case = gone(Case().shipped().pick(10, lu="L-1").close(59)).pick(58.5, rx=60.5, src=GUN, lu="L-1")
    case.never_raised("PCK_LATE_AFTER_SHIP")
    return manifested(case.confirmed(2, 58.5).packed(2), 60, "C-1")


# ---------------------------------------------------------------------------------------------- R50, R52, R53


def R50_only_the_short_policy_holds_it() -> Case:
    """R50: SHP_HELD_SHORT while that alone keeps it back; the OMS lets it go."""
    case = Case().order(2, short_policy="HOLD").task(2).plan().shipment().pick(10, lu="L-1").short(15).close(20)
    lines = [{"line": 1, "sku": "A", "qty": 2, "short_policy": "SHIP_PARTIAL"}]
    case.wms("order.changed", 80, rev=2, order="O-1", lines=lines)
    case.confirmed(1, 15).shorted(1, 15).packed(1).ready(1, 80, short=1)
    return case.cleared("SHP_HELD_SHORT", SHIPMENT, t=80)


def R50_not_held_by_the_short_alone() -> Case:
    """R50: while a carton is open it is not the policy that keeps it from being ready."""
    case = Case().order(2, short_policy="HOLD").task(2).plan().shipment().pick(10, lu="L-1").short(15)
    return case.confirmed(1, 15).shorted(1, 15).never_raised("SHP_HELD_SHORT")


def R50_an_empty_shipment() -> Case:
    """R50: SHP_EMPTY until a piece is found after all."""
    case = Case().order(2).task(2).shipment().short(10).task(2, "T-2", t=40).pick(60, 2, task="T-2", lu="L-1").close(70)
    case.shorted(2, 10).confirmed(2, 60, "T-2").packed(2, "L-1#1").ready(2, 70)
    return case.cleared("SHP_EMPTY", SHIPMENT)


def R52_a_change_after_the_manifest() -> Case:
    """R52: only SHP_POST_MANIFEST_CHANGE; no unready."""
    case = gone(packed_one()).device("carton.reopen", 90, lu="L-1")
    manifested(case.confirmed(1, 10).packed(1).ready(1, 20, revision=0), 60, "C-1")
    case.expect("carton.reopened", "C-1", cause="carton.reopen")
    return case.raised("SHP_POST_MANIFEST_CHANGE", SHIPMENT)


def R52_a_tote_that_goes_its_way_changes_nothing() -> Case:
    """R52: places and weights of a unit after its manifest are those of its next use."""
    case = gone(weigh(packed_one(**PLANNED), 22, 500)).device("item.arrived", 90, src=DOCK, lu="L-1", loc="EMPTIES")
    weigh(case, 95, 90).device("item.lost", 97, src=DOCK, lu="L-1").never_raised("SHP_POST_MANIFEST_CHANGE")
    manifested(case, 60, cartons=[{"carton": "C-1", "weight_g": 500}])
    return case.confirmed(1, 10).packed(1).expect("shipment.ready", "S-1", partial=False)


def R53_a_carton_moves_to_another_shipment() -> Case:
    """R53: the new plan revision bumps the shipment that had been ready; S-2 was not."""
    case = two_cartons().wms("shipment.plan", shipment="S-2", scope=part(1, line=9))
    case.plan("C-2", "L-2", t=60, rev=2, shipment="S-2", contents=part(1)).ready(2, 22, revision=0)
    return case.expect("shipment.unready", "S-1", t=60, cause="carton.plan")


def R53_a_plan_alone_makes_no_revision() -> Case:
    """R53: C-1 was told as of S-1. Its new plan names S-2, and the unit again, and changes nothing else of it."""
    case = packed_one().plan(t=60, rev=2, shipment="S-2", contents=part(1)).device("telemetry", 90)
    case.expect("shipment.unready", "S-1", t=60, cause="carton.plan").ready(1, 20)
    return case.confirmed(1, 10).packed(1, revision=0, shipment="S-1")


def R53_a_carton_in_two_plans() -> Case:
    """R10, R53: the same revision with another shipment is a conflict; the first stays."""
    case = packed_one().plan(t=40, shipment="S-2", contents=part(1)).raised("CTX_CONFLICT", CARTON)
    return case.confirmed(1, 10).packed(1, shipment="S-1").ready(1, 20)


# ---------------------------------------------------------------------------------------------- R54, R55, R56


def R54_the_trailer_closed_with_all_of_it() -> Case:
    """R54: positive evidence without any number of the TMS; none is invented."""
    case = leaves(load(load(two_cartons(carrier="UPS"), 50), 51, "L-2"), 60, seal="S-77", door="D-1").ready(2, 22)
    case.never_raised("SHP_PARTIAL_LOAD").never_raised("SHP_LOAD_BEFORE_READY")
    told = {"manifest_no": None, "carrier": "UPS", "trailer": "TR-1", "seal": "S-77"}
    return manifested(case, 60, "C-1", "C-2", **told)


def R54_the_result_revises_the_trailer() -> Case:
    """R54: the first evidence is revision 0, the other revises; a label's number stands where the TMS has none."""
    case = label(two_cartons(), 30, tracking_no="1Z1")
    leaves(load(load(case, 50), 51, "L-2"), 60).ready(2, 22)
    tracking = [{"carton": "C-2", "tracking_no": "1Z2"}]
    case.wms("manifest.result", 90, shipment="S-1", manifest_no="M-1", tracking=tracking)
    cartons = [{"carton": "C-1", "tracking_no": "1Z1"}, {"carton": "C-2", "tracking_no": "1Z2"}]
    return case.expect(
        "shipment.manifested", "S-1", t=90, revision=1, manifest_no="M-1", trailer="TR-1", seal=None, cartons=cartons
    )


def R54_the_trailer_revises_the_result() -> Case:
    """R54: the TMS first, then the dock."""
    case = leaves(load(load(gone(two_cartons(), 50), 60), 61, "L-2"), 90, seal="S-77").ready(2, 22)
    told = {"manifest_no": "M-1", "trailer": "TR-1", "seal": "S-77"}
    return manifested(case, 90, "C-1", "C-2", **told)


def R54_a_number_learned_late() -> Case:
    """R45, R54: a tracking number that is read after the trailer closed revises."""
    case = label(leaves(load(packed_one(), 50), 60), 90, tracking_no="1Z1").confirmed(1, 10).packed(1).ready(1, 20)
    cartons = [{"carton": "C-1", "tracking_no": "1Z1"}]
    return case.expect("shipment.manifested", "S-1", t=60, revision=1, cartons=cartons)


def R54_partly_loaded_is_held() -> Case:
    """R54: a trailer closes with one of two cartons: an exception, and nothing is manifested."""
    case = leaves(load(two_cartons(), 50), 60).ready(2, 22)
    return case.raised("SHP_PARTIAL_LOAD", SHIPMENT, detail="left behind: C-2")


def R54_partly_loaded_is_emitted() -> Case:
    """R54: by policy, with what was left behind; its trailer revises when it has left too."""
    case = leaves(load(two_cartons(), 50), 60).ready(2, 22)
    case.rules["partial_load"] = "emit"
    case.raised("SHP_PARTIAL_LOAD", SHIPMENT)
    return manifested(case, 60, "C-1", left_behind=["C-2"], trailer="TR-1")


def R54_the_rest_leaves_with_another_trailer() -> Case:
    """R54: held until the rest has left; the trailer is the one that completed it."""
    case = leaves(load(leaves(load(two_cartons(), 50), 60), 80, "L-2", "TR-2"), 90, "TR-2").ready(2, 22)
    case.cleared("SHP_PARTIAL_LOAD", SHIPMENT, t=90)
    return manifested(case, 90, "C-1", "C-2", trailer="TR-2")


def R54_taken_out_before_it_closed() -> Case:
    """R54: scanned and removed again: not in the trailer."""
    case = load(load(two_cartons(), 50), 51, "L-2").device("load.removed", 55, src=DOCK, lu="L-2", trailer="TR-1")
    return leaves(case, 60).ready(2, 22).raised("SHP_PARTIAL_LOAD", SHIPMENT, detail="left behind: C-2")


def R54_a_scan_that_comes_after_the_trailer_closed() -> Case:
    """R54, R3: the last scan arrives 20 s late: the trailer was complete."""
    case = leaves(load(two_cartons(), 50), 60).device("telemetry", 80)
    load(case, 55, "L-2", rx=80, hist=True).ready(2, 22).cleared("SHP_PARTIAL_LOAD", SHIPMENT)
    return manifested(case, 60, "C-1", "C-2", trailer="TR-1")


def R54_the_trailer_comes_again() -> Case:
    """R54: a load of its last visit is not in it any more."""
    case = leaves(load(two_cartons(), 50), 60)
    leaves(load(case, 70, "L-9"), 80).ready(2, 22)
    return case.raised("SHP_PARTIAL_LOAD", SHIPMENT, detail="left behind: C-2")


def R54_a_manifest_before_ready() -> Case:
    """R54: the owner's word is believed, and raised."""
    case = gone(Case().shipped().pick(10, lu="L-1").close(20))
    return manifested(case.packed(1), 60, "C-1", manifest_no="M-1").raised("SHP_LOAD_BEFORE_READY", SHIPMENT)


def R51_a_manifest_that_arrives_before_a_truth_was_told() -> Case:
    """R51, R54, R3: nobody is in at 26, and the watermark of 21 has not passed 25. It had been ready since 20, and that
    had lasted: it is told, and before it left."""
    case = packed_one().confirmed(1, 10).packed(1).ready(1, 20).never_raised("SHP_LOAD_BEFORE_READY")
    case.in_order(("shipment.ready", "S-1"), ("shipment.manifested", "S-1"))
    return manifested(gone(case, 26), 26, "C-1", manifest_no="M-1")


def R54_the_earlier_evidence_comes_later() -> Case:
    """R40, R54: the unit went with the trailer of 50, told at 100; its next use, of 70, was never one with it."""
    case = Case().order(1, 1).task(1).task(1, "T-2", line=2).plan(contents=part(1)).shipment(1)
    case.pick(10, lu="L-1").close(20)
    gone(load(case, 40)).pick(70, task="T-2", lu="L-1").close(80)
    leaves(case.tick(95), 50, rx=100, hist=True).confirmed(1, 10).confirmed(1, 70, "T-2").packed(1, revision=0)
    case.packed(1, "L-1#2", 2, revision=0).ready(1, 20)
    return manifested(case, 60, "C-1", revision=1, trailer="TR-1", manifest_no="M-1")


def R54_a_plan_without_the_carton_completes_the_load() -> Case:
    """R50a, R54: the carton that was left behind is planned without contents: it does not count."""
    case = packed_one().plan("C-2", lu=None)
    leaves(load(case, 50), 60).plan("C-2", lu=None, t=80, rev=2, contents=[])
    case.confirmed(1, 10).packed(1).cleared("SHP_PARTIAL_LOAD", SHIPMENT)
    return manifested(case, 60, "C-1", trailer="TR-1")


def R55_a_carton_in_the_wrong_trailer() -> Case:
    """R55: C-1 stands in another trailer that is not closed; taking C-2 out clears it."""
    case = load(load(two_cartons(), 50), 60, "L-2", "TR-2").ready(2, 22)
    case.device("load.removed", 70, src=DOCK, lu="L-2", trailer="TR-2")
    return case.cleared("SHP_WRONG_TRAILER", "carton/C-2", t=70)


def R55_the_other_trailer_has_left() -> Case:
    """R55: its shipment goes with two trailers, one after the other."""
    case = load(leaves(load(two_cartons(), 50), 60), 70, "L-2", "TR-2").ready(2, 22)
    return case.never_raised("SHP_WRONG_TRAILER").raised("SHP_PARTIAL_LOAD", SHIPMENT)


def R55_loaded_before_ready() -> Case:
    """R55: judged just before the load, and kept: the load itself would make it ready."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    case = load(case, 50).confirmed(2, 10).packed(2).ready(2, 50)
    return case.cleared("SHP_LOAD_BEFORE_READY", SHIPMENT)


def R55_ready_just_before_the_load() -> Case:
    """R55: ready for a second, and not told yet."""
    case = load(packed_one(), 21).never_raised("SHP_LOAD_BEFORE_READY")
    return case.confirmed(1, 10).packed(1).ready(1, 20)


def R56_a_carton_is_voided() -> Case:
    """R56: its contents leave the shipment."""
    case = two_cartons().device("carton.void", 60, lu="L-2").ready(2, 22, revision=0)
    case.expect("carton.voided", "C-2", t=60, cause="carton.void")
    return case.expect("shipment.unready", "S-1", t=60, cause="carton.void", carton="C-2")


def R56_cancelled_after_the_manifest() -> Case:
    """R56: after the manifest `shipment.voided`, and nothing else."""
    case = gone(packed_one()).wms("shipment.cancelled", 90, rev=2, shipment="S-1")
    manifested(case.confirmed(1, 10).packed(1).ready(1, 20, revision=0), 60, "C-1")
    return case.expect("shipment.voided", "S-1", t=90, cause="shipment.cancelled")


def R56_a_manifest_that_comes_after_its_cancel() -> Case:
    """R3, R56: the manifest happened before the cancel, and arrived after it."""
    case = packed_one().wms("shipment.cancelled", 60.5, rev=2, shipment="S-1")
    case.wms("manifest.result", 60, 61, shipment="S-1", manifest_no="M-1")
    case.expect("shipment.unready", "S-1").expect("shipment.voided", "S-1", t=60.5, cause="shipment.cancelled")
    return manifested(case.confirmed(1, 10).packed(1).ready(1, 20), 60, "C-1")


def R50_nothing_but_another_sku_is_packed() -> Case:
    """R50, R31: the carton holds a wrong piece only, and all that was asked for is short: SHP_EMPTY, not ready."""
    case = Case().order(1).task(1).shipment(1).pick(10, lu="L-1", sku="Z").short(15).close(20)
    contents = [{"line": 1, "order": "O-1", "qty": 1, "sku": "Z"}]
    case.shorted(1, 15).expect("carton.closed", "L-1#1", contents=contents).raised("PCK_WRONG_SKU", "task/T-1")
    return case.expect("exception.raised", "SHP_EMPTY/shipment/S-1/1", code="SHP_EMPTY")


def R31_another_sku_after_it_was_full() -> Case:
    """R31, R26: it does not count, so nothing is told of the window again."""
    case = Case().order(1).task(1).pick(10).pick(20, sku="Z")
    return case.confirmed(1, 10, revision=0).raised("PCK_WRONG_SKU", "task/T-1")
