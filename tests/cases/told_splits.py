"""Golden cases of shipments that are planned anew, split and joined while their goods stand packed (R50 to R53)."""

from __future__ import annotations

from tests.cases.told_shipping import leaves, load, manifested, packed_one, part, two_cartons
from tests.cases.writing import SORTER, Case


def standing(qty: int = 2) -> Case:
    """Two pieces of line 1 in L-1, which no plan names, closed at 30; S-1 has `qty` of the line."""
    case = Case().order(2).task(2).shipment(qty).pick(10, 2, lu="L-1").close(30)
    return case.confirmed(2, 10).packed(2, "L-1#1")


def share(case: Case, t: float, *lines: int, rev: int = 1) -> Case:
    scope = [one for line in lines for one in part(1, line)]
    return case.wms("shipment.plan", t, rev=rev, shipment="S-2", scope=scope)


def R53_another_shipment_gets_a_share_of_a_line_that_was_ready() -> Case:
    """R50a, R52, R53: from 60 on nobody can say whose the carton is; that is known when the other plan comes."""
    case = share(standing().ready(2, 30, cartons=["L-1#1"]), 60, 1)
    return case.expect("shipment.unready", "S-1", t=60, cause="shipment.plan").device("telemetry", 90)


def R53_another_shipment_gives_up_its_share() -> Case:
    """R50a, R51, R53: the carton is S-1's since 60, when S-2 was planned anew without the line."""
    case = share(share(standing(), 0, 1), 60, 2, rev=2)
    return case.ready(2, 60, cartons=["L-1#1"]).device("telemetry", 90)


def replanned(t_lost: float) -> Case:
    """S-1 is planned anew at 60, as it was, and its carton is lost."""
    case = standing().wms("shipment.plan", 60, rev=2, shipment="S-1", scope=part(2))
    return case.device("item.lost", t_lost, src=SORTER, lu="L-1").device("telemetry", 90)


def R51_planned_anew_and_ended_before_the_watermark_is_there() -> Case:
    """R51, R52, R3: ready by the plan of 60 for six seconds. The loss of 66 ends it at once, before the watermark has
    passed that hold; what had lasted is told all the same, and once more that it is over."""
    case = replanned(66).ready(2, 60, revision=1, plan_rev=2)
    return case.expect("shipment.unready", "S-1", t=66, revision=1, cause="item.lost")


def R51_planned_anew_and_ended_too_soon() -> Case:
    """R51: ready by the plan of 60 for four seconds, which is not long enough: only its end is told."""
    case = replanned(64).ready(2, 30, revision=0, plan_rev=1)
    return case.expect("shipment.unready", "S-1", t=64, revision=0, cause="item.lost")


def R52_a_plan_gives_the_carton_to_another_shipment_when_it_has_left() -> Case:
    """R52, R54: whatever is planned at 50, C-1 has left with S-1 at 40, and the TMS's second word says it again."""
    case = manifested(packed_one().ready(1, 20).packed(1), 60, "C-1", revision=1, manifest_no="M-2")
    case.wms("manifest.result", 40, shipment="S-1", manifest_no="M-1", tracking=[])
    case.plan(lu=None, t=50, rev=2, shipment="S-2", contents=part(1))
    case.wms("manifest.result", 60, rev=2, shipment="S-1", manifest_no="M-2", tracking=[]).confirmed(1, 10)
    return case.raised("SHP_POST_MANIFEST_CHANGE", "shipment/S-1").device("telemetry", 90)


def R54_a_carton_that_was_emptied_before_its_trailer_closed() -> Case:
    """R54: its piece was put back after it was scanned in: the empty box on the road is no evidence."""
    case = load(packed_one().ready(1, 20), 40).put_back(50, lu="L-1").packed(1).confirmed(0, 50)
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/2/0", qty=1).expect("carton.reopened", "C-1", t=50)
    case.expect("shipment.unready", "S-1", t=50, cause="pick.reverse")
    return leaves(case, 60).device("telemetry", 90)


def R52_a_pick_overtakes_the_bind_of_the_next_use() -> Case:
    """R40, R52, R3: L-1 is C-9 since 60. Until that is told, the open of 60.5 may have opened C-1 again, or not."""
    case = packed_one().ready(1, 20, revision=0).packed(1).confirmed(1, 10).device("carton.open", 60.5, lu="L-1")
    case.wms("lu.bind", 60, 61.5, lu="L-1", carton="C-9").device("telemetry", 62)
    return case.device("telemetry", 90)


def R53_a_carton_changes_its_shipment_while_its_close_waits() -> Case:
    """R53, R3, contract 4: closed at 30, due at 35: told as S-1's, whose it is until 36, wherever the watermark is."""
    case = Case().order(1).task(1).plan(contents=part(1)).pick(10, lu="L-1").close(30)
    case.plan(lu=None, t=36, rev=2, shipment="S-2", contents=part(1)).device("telemetry", 90).confirmed(1, 10)
    return case.packed(1, shipment="S-1", partitionkey="S-1")


def split(plan_rx: float) -> Case:
    """C-2 leaves S-1 at 50, S-2 is planned at 51, what S-1 has left at 52, which comes at `plan_rx`."""
    case = two_cartons().ready(2, 22, revision=0, cartons=["C-1", "C-2"])
    case.plan("C-2", None, t=50, rev=2, shipment="S-2", contents=part(1))
    case.wms("shipment.plan", 51, 52.5, shipment="S-2", scope=part(1))
    case.wms("shipment.plan", 52, plan_rx, rev=2, shipment="S-1", scope=part(1))
    case.expect("shipment.unready", "S-1", t=50, cause="carton.plan").ready(1, 52, revision=1, plan_rev=2)
    line = {"order": "O-1", "line": 1, "ordered": 1, "packed": 1, "short": 0, "cancelled": 0}
    case.expect("shipment.ready", "S-2", t=51, cartons=["C-2"], lines=[line], partial=False)
    return case.device("telemetry", 90)


def R53_a_shipment_is_split_in_three_plans() -> Case:
    """R51 to R53: S-1 is unready since 50, S-2 ready since 51, S-1 again since 52."""
    return split(53)


def R53_a_split_whose_last_plan_comes_first() -> Case:
    """R3: each moment is judged by what was planned then, whatever is known since."""
    return split(52)


def R56_a_cancel_behind_what_waits_for_the_watermark() -> Case:
    """R52, R56: C-1 was opened at 50, which ended its readiness before the cancel of 50.5."""
    case = packed_one().ready(1, 20, revision=0).packed(1).confirmed(1, 10).device("carton.open", 50, lu="L-1")
    case.wms("shipment.cancelled", 50.5, rev=2, shipment="S-1").expect("carton.reopened", "C-1", t=50)
    case.expect("shipment.unready", "S-1", t=50, cause="carton.open", revision=0)
    return case.device("telemetry", 90)


def R53_a_carton_is_moved_and_its_manifest_comes_late() -> Case:
    """R53, R54, R3: the TMS's word of 50 comes after the plan of 50.7, until which the carton was its own."""
    case = manifested(packed_one().ready(1, 20).packed(1).confirmed(1, 10), 50, "C-1", manifest_no="M-1")
    case.plan(lu=None, t=50.7, rev=2, shipment="S-2", contents=part(1))
    case.wms("manifest.result", 50, 51.5, shipment="S-1", manifest_no="M-1", tracking=[]).device("telemetry", 90)
    case.expect("shipment.unready", "S-1", t=50.7, cause="carton.plan")
    return case.raised("SHP_POST_MANIFEST_CHANGE", "shipment/S-1")


def R52_a_share_that_is_told_late_has_ended_it_before() -> Case:
    """R52, R53, R3: since 50 S-2 has a share, so S-1's plan of 51 leaves it with a piece too many: seen when
    S-2's plan comes, after C-2 was taken away."""
    case = two_cartons().ready(2, 22, revision=0, cartons=["C-1", "C-2"])
    case.wms("shipment.plan", 51, rev=2, shipment="S-1", scope=part(1))
    case.plan("C-2", None, t=51.5, rev=2, shipment="S-2", contents=part(1))
    case.wms("shipment.plan", 50, 51.9, shipment="S-2", scope=part(1))
    case.expect("shipment.unready", "S-1", t=51, cause="shipment.plan")
    case.ready(1, 51.5, plan_rev=2).expect("shipment.ready", "S-2", t=51.5, cartons=["C-2"])
    return case.device("telemetry", 90)


def R52_a_share_that_is_told_late_has_ended_it_before_its_loss() -> Case:
    """R52, R53, R3: unready by the loss of 60. Then S-2's plan of 50 comes: it had ended at 57, when S-1 was planned
    anew with a piece too many."""
    case = two_cartons().ready(2, 22, plan_rev=1, revision=0)
    case.wms("shipment.plan", 57, rev=2, shipment="S-1", scope=part(1))
    case.device("item.lost", 60, src=SORTER, lu="L-1").wms("shipment.plan", 50, 62, shipment="S-2", scope=part(1))
    case.expect("shipment.unready", "S-1", t=57, cause="shipment.plan").raised("RTE_LOST", "lu/L-1")
    return case.device("telemetry", 90)


def packed_over(bind_rx: float, pack_rx: float) -> Case:
    """S-1's piece lies in the tote TOTE, closed at 20; at 40 it goes into L-9, which is bound at that moment."""
    case = Case().order(1).task(1).shipment(1).pick(10, lu="TOTE").close(20, "TOTE")
    told = [("lu.bind", bind_rx), ("pack.confirm", pack_rx)]
    for kind, rx in sorted(told, key=lambda one: one[1]):
        if kind == "lu.bind":
            case.wms(kind, 40, rx, lu="L-9", carton="C-9")
        else:
            case.device(kind, 40, rx, from_lu="TOTE", lu="L-9")
    case.close(45, "L-9").device("telemetry", 90).confirmed(1, 10)
    case.expect("shipment.unready", "S-1", t=40, cause="lu.bind", carton="C-9")
    case.packed(1, "TOTE#1").expect("carton.reopened", "TOTE#1", t=40).packed(1, "C-9")
    return case.ready(1, 45, cartons=["C-9"])


def R52_the_bind_before_the_pack_of_its_moment() -> Case:
    """R52, R3: a bind and a pack.confirm of one moment end the truth; the cause is the first in R3's order: the bind,
    for context goes first."""
    return packed_over(40, 41)


def R52_the_pack_before_the_bind_of_its_moment() -> Case:
    """R52, R3: a bind and a pack.confirm of one moment end the truth; the cause is the bind, though the pack.confirm
    arrives first."""
    return packed_over(41, 40)


def R50_a_piece_that_was_picked_after_its_cancel_is_packed() -> Case:
    """R27, R47, R50: what was picked of T-1 after its cancel counts nowhere, and lies in the carton all the same."""
    case = Case().order(3).task(1).task(2, "T-2").plan(contents=part(3)).shipment(2)
    case.wms("pick.task_cancelled", 5, rev=2, task="T-1").pick(10, lu="TOTE").pick(11, 2, lu="TOTE", task="T-2")
    case.device("pack.confirm", 15, from_lu="TOTE", lu="L-1").close(20)
    return case.confirmed(2, 11, "T-2").packed(3).raised("PCK_AFTER_CANCEL", "task/T-1")


def on_two_pallets(*, off: float | None = None) -> Case:
    """Packed, and bound to PAL-1 at 30, to PAL-2 at 40. Both are first revisions. `off`: when it comes off."""
    case = Case().order(2).task(2).plan().shipment(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    case.wms("lu.bind", 30, lu="L-1", parent="PAL-1").wms("lu.bind", 40, lu="L-1", parent="PAL-2")
    if off is not None:
        case.wms("lu.release", off, rev=2, lu="L-1", parent="PAL-2")
    case.device("item.arrived", 50, src=SORTER, lu="PAL-2", loc="D-1").device("telemetry", 90)
    return case.confirmed(2, 10).packed(2)


def R48_from_one_pallet_to_the_next() -> Case:
    """R48, R10: where only a parent is named that is the target, and each has revisions of its own."""
    return on_two_pallets().ready(2, 50)


def R48_off_the_pallet_and_still_the_same_carton() -> Case:
    """R48, R40: a release that names only the pallet ends the ride, not the use of the unit: C-1 is opened again."""
    case = on_two_pallets(off=45).device("carton.open", 55, lu="L-1").close(60).device("telemetry", 100)
    return case.expect("carton.reopened", "C-1", t=55, cause="carton.open")
