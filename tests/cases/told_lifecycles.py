"""Golden cases of section 10: what stays in one state for too long, and moves that no state allows."""

from __future__ import annotations

from tests.cases.writing import SCALE, SORTER, Case, at

MINUTE = 60
SINGLE = [{"order": "O-1", "line": 1, "qty": 1}]


def patient(minutes: float = 10) -> Case:
    """A site that reports what stands still for `minutes`."""
    case = Case()
    case.rules = {"stuck_ms": round(minutes * MINUTE * 1000)}
    return case


def later(case: Case, *minutes: float) -> Case:
    """The floor goes on elsewhere: time passes."""
    for minute in minutes:
        case.device("telemetry", minute * MINUTE)
    return case


def S10_without_a_limit_nothing_is_stuck() -> Case:
    """Section 10: `stuck_ms` is 0 unless the site says otherwise."""
    case = later(Case().shipped(2).pick(10, lu="L-1"), 10, 600)
    return case.never_raised("PCK_STUCK").never_raised("PKG_STUCK").never_raised("SHP_STUCK")


def S10_an_order_that_nobody_picks() -> Case:
    """Section 10: released and nothing more; the first pick clears it."""
    case = patient().order(2).task(2)
    case = later(case, 11).pick(12 * MINUTE)
    case.cleared("PCK_STUCK", "order/O-1", t=12 * MINUTE)
    return case


def S10_an_order_in_pick() -> Case:
    """Section 10: longer in pick than the site allows, by however many picks; each line for itself."""
    case = patient().order(4, 1).task(4).task(1, "T-2", line=2)
    case.pick(60).pick(120).pick(121, task="T-2").pick(9 * MINUTE)
    case = later(case, 12)
    detail = "O-1 line 1: 1 of 4 not picked, in pick since 22:14"
    return case.confirmed(1, 121, "T-2").raised("PCK_STUCK", "order/O-1", detail=detail)


def S10_an_order_stands_until_the_last_of_its_lines_has_moved() -> Case:
    """Section 10: of two lines that were stuck one is picked into at twelve minutes, the other at thirteen."""
    case = later(patient().order(2, 1).task(2).task(1, "T-2", line=2), 11)
    case = later(case.pick(12 * MINUTE).pick(13 * MINUTE, task="T-2"), 14)
    return case.confirmed(1, 13 * MINUTE, "T-2").cleared("PCK_STUCK", "order/O-1", t=13 * MINUTE)


def S10_an_order_that_only_its_task_tells_of() -> Case:
    """Section 10: what its tasks ask for is what is waited for."""
    case = later(patient().task(2).pick(60), 12)
    return case.raised("PCK_STUCK", "order/O-1", detail="O-1 line 1: 1 of 2 not picked, in pick since 22:14")


def S10_what_is_left_after_a_short() -> Case:
    """Section 10: nothing was picked of four, and two of them will not be: the line waits for the other two."""
    case = later(patient().order(4).task(2).task(2, "T-2").short(10, "DAMAGED"), 12)
    detail = "O-1 line 1: 2 of 4 not picked, released since 22:13"
    return case.shorted(2, 10).raised("PCK_STUCK", "order/O-1", t=10 * MINUTE, detail=detail)


def S10_a_task_that_is_told_anew() -> Case:
    """Section 10: nobody has picked it, and after five minutes it is to be picked elsewhere: it is released anew."""
    case = patient().order(2).task(2, loc="L-1").task(2, t=5 * MINUTE, rev=2, loc="L-2")
    return later(case, 11, 16).raised("PCK_STUCK", "order/O-1", t=15 * MINUTE)


def S10_a_task_that_is_told_anew_when_it_was_stuck() -> Case:
    """Section 10, R3: likewise a second after ten minutes, which is heard before the watermark has come there."""
    case = later(patient().order(2).task(2).task(2, t=601, rx=601.2, rev=2, loc="L-2"), 12)
    return case.cleared("PCK_STUCK", "order/O-1", t=601)


def S10_an_order_that_is_changed_when_it_was_stuck() -> Case:
    """Section 10, R3: released at 0 and changed at 601, which is heard before the watermark has come to ten minutes."""
    case = patient().order(2)
    case.wms("order.changed", 601, rx=601.2, rev=2, order="O-1", lines=[{"line": 1, "sku": "A", "qty": 2}])
    return later(case, 12).cleared("PCK_STUCK", "order/O-1", t=601)


def S10_an_order_that_is_changed_twice() -> Case:
    """Section 10, R3: likewise, but it had been told once more at 15, so it was not stuck at ten minutes."""
    case, lines = patient().order(2), [{"line": 1, "sku": "A", "qty": 2}]
    case.wms("order.changed", 15, rev=2, order="O-1", lines=lines)
    case.wms("order.changed", 601, rx=601.2, rev=3, order="O-1", lines=lines)
    return later(case, 12).never_raised("PCK_STUCK")


def S10_a_held_carton_that_is_moved() -> Case:
    """Section 10: too heavy since 25, and so it stays wherever it is brought."""
    case = patient().order(2).task(2).plan(weight_g=500, tol_g=10).shipment().pick(10, 2, lu="L-1").close(20)
    case.device("weigh", 25, src=SCALE, lu="L-1", weight_g=900)
    case.device("divert.confirmed", 5 * MINUTE, src=SORTER, lu="L-1", dest="REJECT")
    case = later(case, 12).confirmed(2, 10).packed(2, weight_g=900).raised("PKG_WEIGHT_MISMATCH", "carton/C-1")
    case.raised("PCK_STUCK", "order/O-1").raised("SHP_STUCK", "shipment/S-1")
    detail = "carton C-1 held at REJECT since 22:13: no good weight or label, and not released"
    return case.raised("PKG_STUCK", "carton/C-1", t=10 * MINUTE + 25, detail=detail)


def S10_packed_out_of_a_unit_that_nobody_had_told_of() -> Case:
    """Section 10, R47: one piece was picked into no unit, and packed out of U-7: both lie in closed cartons."""
    case = patient().order(2).task(2).pick(10, lu="L-1").pick(11)
    case.device("pack.confirm", 14, from_lu="U-7", lu="L-2", order="O-1", line=1, sku="A", qty=1)
    later(case.close(20).close(22, lu="L-2"), 12, 30).confirmed(2, 11).packed(1, "L-1#1").packed(1, "L-2#1")
    return case.never_raised("PCK_STUCK")


def S10_picked_and_not_packed() -> Case:
    """Section 10: the carton that a line waits for is named, with its place and since when."""
    case = patient().order(1, 4).task(1).task(4, "T-2", line=2)
    case.pick(10, lu="L-1").close(20).wms("lu.bind", 30, lu="L-9", carton="C-9")
    case.pick(35, 3, task="T-2", lu="L-1").pick(38, 1, task="T-2", lu="L-9")
    case.device("carton.open", 39, src="dc1/pack/PACK-3", lu="L-9").close(60)
    case = later(case, 12)
    case.confirmed(1, 10).confirmed(4, 38, "T-2")
    case.expect("carton.reopened", "L-1#1", t=35).expect("carton.closed", "L-1#1", revision=1, t_close=at(60))
    case.raised("PKG_STUCK", "carton/C-9", detail="carton C-9 open at PACK-3 since 22:13: 1 in it, not closed")
    detail = "O-1 line 2: 1 of 4 not packed; carton C-9 open at PACK-3 since 22:13"
    return case.raised("PCK_STUCK", "order/O-1", detail=detail)


def S10_packed_at_last() -> Case:
    """Section 10: the close of its last carton moves the order and the carton on."""
    case = patient().order(1).task(1).pick(10, lu="L-1")
    case = later(case, 12).close(13 * MINUTE)
    case.confirmed(1, 10).packed(1, "L-1#1", t_close=at(13 * MINUTE))
    case.cleared("PKG_STUCK", "carton/L-1#1", t=13 * MINUTE)
    return case.cleared("PCK_STUCK", "order/O-1", t=13 * MINUTE)


def S10_the_close_was_on_its_way() -> Case:
    """Section 10: a close that happened in time and came late: nothing was stuck in the end."""
    case = patient().order(1).task(1).pick(10, lu="L-1")
    case = later(case, 12).close(9 * MINUTE, rx=13 * MINUTE, hist=True)
    case.confirmed(1, 10).packed(1, "L-1#1", t_close=at(9 * MINUTE))
    return case.cleared("PKG_STUCK", "carton/L-1#1").cleared("PCK_STUCK", "order/O-1")


def S10_a_carton_that_goes_its_way_is_not_stuck() -> Case:
    """Section 10: every state begins anew; eight minutes in each are no ten in one, but for its shipment."""
    case = patient().shipped(1, stage_required=True, lanes=["LANE-1"]).pick(8 * MINUTE, lu="L-1").close(16 * MINUTE)
    case.device("item.arrived", 24 * MINUTE, lu="L-1", loc="LANE-1")
    case.wms("manifest.result", 32 * MINUTE, shipment="S-1", manifest_no="M-1")
    case.confirmed(1, 8 * MINUTE).packed(1).ready(1, 24 * MINUTE).expect("shipment.manifested", "S-1")
    case.cleared("SHP_STUCK", "shipment/S-1", t=24 * MINUTE)
    return case.never_raised("PKG_STUCK").never_raised("PCK_STUCK")


def S10_a_carton_that_was_bound_and_not_used() -> Case:
    """Section 10: a unit is bound to a planned carton, and nothing comes into it."""
    case = later(patient().order(2).task(2).plan().shipment(2), 11).pick(12 * MINUTE, lu="L-1")
    waits = "O-1 line 1: 2 of 2 not picked; carton C-1 planned since 22:13"
    case.expect("exception.raised", "SHP_STUCK/shipment/S-1/1", detail=f"S-1: {waits}")
    case.expect("exception.cleared", "SHP_STUCK/shipment/S-1/1", t=12 * MINUTE)
    case.cleared("PCK_STUCK", "order/O-1", t=12 * MINUTE)
    return case.cleared("PKG_STUCK", "carton/C-1", t=12 * MINUTE)


def S10_a_name_that_no_carton_has_any_more() -> Case:
    """Section 10: a device named a carton before the unit was bound as another one. Nobody planned that name: it waits
    for nothing."""
    case = patient().device("carton.open", 10, lu="L-1", carton="C-1").wms("lu.bind", 20, lu="L-1", carton="C-2")
    return later(case.close(30), 12, 30).raised("PKG_EMPTY", "carton/C-2").never_raised("PKG_STUCK")


def S10_a_carton_that_is_held() -> Case:
    """Section 10, R45: held by its weight, and nobody comes; a good weighing moves it on."""
    case = patient().order(1).task(1).plan(contents=SINGLE, weight_g=500, tol_g=10).shipment(1).pick(10, lu="L-1")
    case.device("weigh", 20, src=SCALE, lu="L-1", weight_g=900).close(30)
    case = later(case, 11).device("weigh", 12 * MINUTE, src=SCALE, lu="L-1", weight_g=505)
    case.wms("manifest.result", 13 * MINUTE, shipment="S-1", manifest_no="M-1")
    case.confirmed(1, 10).packed(1, weight_g=900).ready(1, 12 * MINUTE).expect("shipment.manifested", "S-1")
    case.cleared("PKG_WEIGHT_MISMATCH", "carton/C-1").cleared("SHP_STUCK", "shipment/S-1", t=12 * MINUTE)
    return case.cleared("PKG_STUCK", "carton/C-1", t=12 * MINUTE)


def S10_a_carton_that_is_lost() -> Case:
    """Section 10, R64: lost and not seen again."""
    case = patient().order(1).task(1).pick(10, lu="L-1").device("item.lost", 30, lu="L-1")
    case = later(case, 12)
    case.confirmed(1, 10).raised("RTE_LOST", "lu/L-1").raised("PCK_STUCK", "order/O-1")
    return case.raised("PKG_STUCK", "carton/L-1#1", detail="carton L-1#1 lost since 22:13: not seen again")


def S10_a_shipment_that_waits_for_its_cartons() -> Case:
    """Section 10, R50a: the stuck report names the open carton and the planned one that was never used."""
    case = patient().order(2, 1).task(2).task(1, "T-2", line=2)
    case.plan().plan("C-3", lu=None).shipment(2).pick(10, 2, lu="L-1").close(20).device("carton.reopen", 30, lu="L-1")
    case = later(case, 12)
    case.confirmed(2, 10).packed(2, revision=0).expect("carton.reopened", "C-1", t=30)
    case.raised("PCK_STUCK", "order/O-1").raised("PKG_STUCK", "carton/C-1")
    case.raised("PKG_STUCK", "carton/C-3", detail="carton C-3 planned for S-1 since 22:13: never used")
    waits = "O-1 line 1: 2 of 2 not packed; carton C-1 open at PK-01 since 22:13; carton C-3 never used"
    return case.raised("SHP_STUCK", "shipment/S-1", detail=f"S-1: {waits}")


def S10_a_shipment_that_is_ready_and_does_not_leave() -> Case:
    """Section 10: ready for too long; its manifest clears it, and its order and carton with it."""
    case = patient().shipped(1).pick(10, lu="L-1").close(20)
    case = later(case, 12)
    case.wms("manifest.result", 13 * MINUTE, shipment="S-1", manifest_no="M-1")
    case.confirmed(1, 10).packed(1).ready(1, 20).expect("shipment.manifested", "S-1")
    for code, subject in (("PCK", "order/O-1"), ("PKG", "carton/C-1"), ("SHP", "shipment/S-1")):
        case.cleared(f"{code}_STUCK", subject, t=13 * MINUTE)
    return case


def S10_a_cancelled_shipment_waits_for_nothing() -> Case:
    """Section 10, R56: the owner's word ends it."""
    case = later(patient().order(1).plan(lu=None).shipment(1), 11)
    case.wms("shipment.cancelled", 12 * MINUTE, rev=2, shipment="S-1")
    case.cleared("PKG_STUCK", "carton/C-1", t=12 * MINUTE).cleared("SHP_STUCK", "shipment/S-1", t=12 * MINUTE)
    return case.cleared("PCK_STUCK", "order/O-1", t=12 * MINUTE)


def S10_stuck_a_second_time() -> Case:
    """Section 10: it moves on and stands still again: a second episode."""
    case = patient().order(1).task(1).pick(10, lu="L-1")
    case = later(case, 12).close(13 * MINUTE).device("carton.reopen", 14 * MINUTE, lu="L-1")
    case = later(case, 30)
    case.confirmed(1, 10).packed(1, "L-1#1").expect("carton.reopened", "L-1#1")
    case.cleared("PKG_STUCK", "carton/L-1#1", t=13 * MINUTE)
    case.expect("exception.raised", "PKG_STUCK/carton/L-1#1/2", t=24 * MINUTE)
    case.cleared("PCK_STUCK", "order/O-1", t=13 * MINUTE)
    return case.expect("exception.raised", "PCK_STUCK/order/O-1/2")


def S10_a_deadline_moves_it_on() -> Case:
    """Section 10, R21 d: the short that a deadline decides ends the waiting of a line with nothing picked."""
    case = patient().order(2).task(2, deadline=at(15 * MINUTE))
    case = later(case, 11, 16)
    case.shorted(2, 15 * MINUTE, reason="DEADLINE")
    return case.cleared("PCK_STUCK", "order/O-1", t=15 * MINUTE)


def S10_a_voided_carton_is_closed() -> Case:
    """Section 10: a close after the void is refused, kept as `rejected`, and raised."""
    case = Case().order(1).task(1).plan().shipment(1).pick(10, lu="L-1")
    case.device("carton.void", 20, lu="L-1").close(30)
    case = later(case, 2)
    case.confirmed(1, 10).expect("carton.voided", "C-1", t=20)
    return case.raised("PKG_AFTER_VOID", "carton/C-1", detail="carton.close").counted(rejected=1)


def S10_a_voided_carton_is_labelled_and_loaded() -> Case:
    """Section 10: neither counts; where it is seen still does."""
    case = Case().order(1).task(1).plan().shipment(1).pick(10, lu="L-1").close(20)
    case.device("carton.void", 40, lu="L-1").device("label.verified", 50, lu="L-1", result="MISMATCH")
    case.device("load.scanned", 60, src="dc1/dock/GATE-1", lu="L-1", trailer="TR-1")
    case.device("item.arrived", 70, lu="L-1", loc="TRASH")
    case.device("trailer.closed", 80, src="dc1/dock/GATE-1", trailer="TR-1")
    case = later(case, 3)
    case.confirmed(1, 10).packed(1).expect("carton.voided", "C-1", t=40).expect("shipment.ready", "S-1", t=20)
    case.expect("shipment.unready", "S-1", cause="carton.void").never_raised("SHP_PARTIAL_LOAD")
    case.never_raised("SHP_LOAD_BEFORE_READY")
    case.never_raised("PKG_LABEL_MISMATCH").times("PKG_AFTER_VOID", 1).counted(rejected=2)
    return case.raised("PKG_AFTER_VOID", "carton/C-1", detail="label.verified")


def S10_the_void_came_late() -> Case:
    """Section 10: the close happened after the void, and arrived before it: the watermark decides, and refuses it."""
    case = Case().order(1).task(1).plan().pick(10, lu="L-1").close(20)
    case.device("carton.void", 19, rx=20.5, src="dc1/pack/PK-02", lu="L-1")
    case = later(case, 2)
    case.confirmed(1, 10).expect("carton.voided", "C-1", t=19).counted(rejected=1)
    return case.raised("PKG_AFTER_VOID", "carton/C-1", detail="carton.close")


def S10_a_unit_that_was_bound_again_after_the_void() -> Case:
    """Section 10, R40: the bind arrives after the close and happened before it: the next carton's, and legal."""
    case = Case().order(2).task(1).task(1, "T-2").plan().pick(10, lu="L-1").device("carton.void", 20, lu="L-1")
    case.close(30).wms("lu.bind", 29, rx=30.1, lu="L-1", carton="C-2")
    case.pick(29.5, task="T-2", lu="L-1", rx=30.2)
    case = later(case, 2)
    case.confirmed(1, 10).confirmed(1, 29.5, "T-2").expect("carton.voided", "C-1", t=20)
    return case.packed(1, "C-2", t_close=at(30)).never_raised("PKG_AFTER_VOID").counted(rejected=0)


def S10_a_use_that_is_told_after_its_close_was_refused() -> Case:
    """Section 10, R40: the backlog of 66 tells that the unit had been picked into since 25: the close of 30, its label
    and its loading are of that use."""
    case = Case().order(1, 1).task(1).task(1, "T-2", line=2).pick(10, lu="L-1").device("carton.void", 20, lu="L-1")
    case.close(30).device("label.verified", 31, lu="L-1", result="OK", sscc="SSCC-1")
    case.wms("shipment.plan", shipment="S-2", scope=[{"order": "O-1", "line": 2, "qty": 1}])
    case.device("load.scanned", 40, src="dc1/dock/GATE-1", lu="L-1", trailer="TR-1").tick(60)
    case.pick(25, rx=66, src="dc1/pick/PTL-02", task="T-2", lu="L-1", hist=True)
    case.device("trailer.closed", 80, src="dc1/dock/GATE-1", trailer="TR-1").device("telemetry", 120)
    case.confirmed(1, 10).confirmed(1, 25, "T-2").expect("carton.voided", "L-1#1", t=20)
    case.packed(1, "L-1#2", line=2, t_close=at(30), sscc="SSCC-1").expect("shipment.ready", "S-2", t=30)
    case.expect("shipment.manifested", "S-2", t=80, cartons=[{"carton": "L-1#2"}], left_behind=[])
    return case.cleared("PKG_AFTER_VOID", "carton/L-1#1").counted(rejected=0)


def S10_one_of_two_refused_moves_was_of_the_next_use() -> Case:
    """Section 10: the close of 22 was of the carton that had been voided, and stays refused; so its exception
    stands."""
    case = Case().order(1).task(1).pick(10, lu="L-1", task="T-1").device("carton.void", 20, lu="L-1")
    case.close(22).close(30).tick(60)
    case.device("carton.open", 25, rx=66, src="dc1/pack/PK-02", lu="L-1", hist=True).device("telemetry", 120)
    case.confirmed(1, 10).expect("carton.voided", "L-1#1", t=20).counted(rejected=1)
    case.raised("PKG_AFTER_VOID", "carton/L-1#1")
    return case.expect("exception.raised", "PKG_EMPTY/carton/L-1#2/1")


def S10_a_close_that_is_refused_ends_no_picking() -> Case:
    """Section 10, R21 (c): T-1 goes into L-1, and T-2 would. Its carton was voided at 20, so the close of 30 is none,
    and it is the deadline that finds them open."""
    case = Case().order(2, 1).task(2, lu="L-1", deadline=at(60)).task(1, "T-2", line=2, lu="L-1", deadline=at(60))
    case.rules["short_on_close"] = True
    case = later(case.pick(10, lu="L-1").device("carton.void", 20, lu="L-1").close(30), 2)
    case.expect("carton.voided", "L-1#1", t=20).raised("PKG_AFTER_VOID", "carton/L-1#1")
    case.confirmed(1, 60).shorted(1, 60, decided_by="DEADLINE").counted(rejected=1)
    return case.shorted(1, 60, "T-2", decided_by="DEADLINE")


def S10_put_back_out_of_a_voided_carton() -> Case:
    """Section 10: voided is the end of a carton; taking its pieces out does not open it again."""
    case = (
        Case().shipped(2).pick(10, 2, lu="L-1").close(20).device("carton.void", 40, lu="L-1").put_back(50, 2, lu="L-1")
    )
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/2/0", t=50, qty=2).confirmed(0, 50)
    case.expect("carton.voided", "C-1", t=40).ready(2, 20)
    return case.packed(2, revision=0).expect("shipment.unready", "S-1", t=40, cause="carton.void")


def S10_packed_until_its_carton_was_voided() -> Case:
    """Section 10: picked at 10, packed at 20, and picked again since the carton was voided: the line waits for a new
    carton."""
    case = patient().order(1).task(1).pick(10, lu="L-1").close(20).device("carton.void", 5 * MINUTE, lu="L-1")
    case = later(case, 6, 12, 16).confirmed(1, 10).packed(1, "L-1#1")
    return case.expect("carton.voided", "L-1#1", t=5 * MINUTE).raised("PCK_STUCK", "order/O-1", t=15 * MINUTE)


def S10_opened_again_before_it_was_packed() -> Case:
    """Section 10: one of two cartons never closed; that the other is opened again moves nothing."""
    case = patient().order(2).task(2).pick(10, lu="L-1").pick(12, lu="L-2").close(20)
    case = later(case.device("carton.reopen", 5 * MINUTE, lu="L-1"), 6, 12).confirmed(2, 12).packed(1, "L-1#1")
    case.expect("carton.reopened", "L-1#1").expect("exception.raised", "PKG_STUCK/carton/L-2#1/1")
    return case.raised("PCK_STUCK", "order/O-1", t=10 * MINUTE + 12)


def S10_a_wave_before_its_orders() -> Case:
    """Section 10: all that is known of O-1 is a carton's plan and the cutoff of a wave: nobody waits for it yet."""
    case = patient(1).plan(lu=None).wms("wave.released", 1, wave="W-1", orders=["O-1"], cutoff=at(90))
    case.rules["short_at_cutoff"] = True
    return later(case, 5).never_raised("PCK_STUCK")


def S10_taken_out_of_its_trailer() -> Case:
    """Section 10: loaded at 8, closed again since it was taken out at 12, and stuck in that ten minutes later."""
    case = patient().shipped(1).pick(10, lu="L-1").close(20)
    for minute, kind in ((8, "load.scanned"), (12, "load.removed")):
        case.device(kind, minute * MINUTE, src="dc1/dock/GATE-1", lu="L-1", trailer="TR-1")
    case = later(case, 19, 23).confirmed(1, 10).packed(1).ready(1, 20)
    case.raised("SHP_STUCK", "shipment/S-1").raised("PCK_STUCK", "order/O-1")
    return case.raised("PKG_STUCK", "carton/C-1", t=22 * MINUTE)


def S10_round_once_more() -> Case:
    """Section 10: staged at 8, closed again since it was sent round at 12, and staged anew at 20."""
    case = patient().shipped(1, stage_required=True, lanes=["LANE-1"]).pick(10, lu="L-1").close(20)
    case.device("divert.confirmed", 8 * MINUTE, src=SORTER, lu="L-1", dest="LANE-1")
    case.device("item.recirculated", 12 * MINUTE, src=SORTER, lu="L-1")
    case.device("divert.confirmed", 20 * MINUTE, src=SORTER, lu="L-1", dest="LANE-1")
    case = later(case, 29, 31).confirmed(1, 10).packed(1).ready(1, 20 * MINUTE, revision=1)
    case.expect("shipment.unready", "S-1", t=12 * MINUTE, cause="item.recirculated")
    return case.raised("PKG_STUCK", "carton/C-1", t=30 * MINUTE)


def S10_named_after_its_move_was_refused() -> Case:
    """Section 10, R60: that track 7 was diverted before the void is said when a load after it was refused: it begins no
    use, and the load stays refused."""
    case = Case().shipped(1).pick(10, lu="L-1").close(20)
    case.device("divert.confirmed", 25, src=SORTER, track="7", dest="LANE-1").device("carton.void", 30, lu="L-1")
    case.device("load.scanned", 40, src="dc1/dock/GATE-1", lu="L-1", trailer="TR-1")
    case.device("ident.assigned", 60, src=SORTER, track="7", lu="L-1").device("telemetry", 90)
    case.expect("carton.voided", "C-1", t=30).expect("shipment.unready", "S-1", t=30, cause="carton.void")
    case.confirmed(1, 10).packed(1).ready(1, 20).counted(rejected=1, open=0)
    return case.times("PKG_AFTER_VOID", 1).raised("PKG_AFTER_VOID", "carton/C-1", t=40)


def S10_round_after_it_was_loaded() -> Case:
    """Section 10, R54: loaded at 8, and told to go round at 12: it is still loaded, and stuck in that at 18."""
    case = patient().shipped(1).pick(10, lu="L-1").close(20)
    case.device("load.scanned", 8 * MINUTE, src="dc1/dock/GATE-1", lu="L-1", trailer="TR-1")
    case.device("item.recirculated", 12 * MINUTE, src=SORTER, lu="L-1")
    case = later(case, 17, 19).confirmed(1, 10).packed(1).ready(1, 20)
    case.raised("SHP_STUCK", "shipment/S-1").raised("PCK_STUCK", "order/O-1")
    return case.raised("PKG_STUCK", "carton/C-1", t=18 * MINUTE)
