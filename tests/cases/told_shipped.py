"""Golden cases about what is heard of around the moment at which a shipment leaves (R27, R29, R40, R54), whichever came
first (R3)."""

from __future__ import annotations

from tests.cases.told_shipping import DOCK, load, manifested, part
from tests.cases.writing import SORTER, STATION, Case, at

TMS = "dc1/tms/main"


def leaves(case: Case, *cartons: str, t: float = 20, rx: float | None = None) -> Case:
    """S-1, and what is told of that."""
    case.tell(TMS, "manifest.result", t, rx, rev=1, shipment="S-1", manifest_no="M-1")
    return manifested(case, t, *cartons, manifest_no="M-1")


def R29_a_plan_from_after_a_late_pick_that_is_heard_of_first() -> Case:
    """R29, R53, R3: S-1 alone plans the line when the second piece is picked, and has left; that it lies in a carton of
    S-2 is said of 20.5, and heard before the piece."""
    case = leaves(Case().order(2).task(2).shipment(2).pick(5, lu="L-1")).plan(t=20.5, shipment="S-2")
    case.pick(20.3, rx=20.6, lu="L-1").device("telemetry", 60, src=STATION)
    case.expect("inventory.discrepancy", "/A//T-1", t=20.3, kind="POST_SHIP", expected=0, actual=1)
    return case.raised("PCK_LATE_AFTER_SHIP", "task/T-1", t=20.3).raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")


def R29_a_close_after_a_pick_that_came_too_late() -> Case:
    """R29, R21c, R3: S-1 left at 20, which is heard after a pick of 20.2 and the close of 20.3: with the pick goes that
    the close would have ended its task short."""
    case = Case().order(2).task(2).shipment(2).plan().pick(20.2, 2, lu="L-1").close(20.3)
    leaves(case, t=20, rx=20.6).device("telemetry", 60, src=STATION).rules["short_on_close"] = True
    case.expect("pick.confirmed", "T-1", t=20.2, qty=0).raised("PKG_EMPTY", "carton/C-1", t=20.3)
    case.expect("inventory.discrepancy", "/A//T-1", t=20.2, kind="POST_SHIP", expected=0, actual=2)
    return case.raised("PCK_LATE_AFTER_SHIP", "task/T-1", t=20.2).raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")


def R29_two_late_picks_of_one_moment() -> Case:
    """R29, R3: two presses of one millisecond, told in the other order: the first of the two raises the alarm."""
    case = (
        leaves(Case().order(4).task(4).shipment(4).plan())
        .pick(20.2, 1, rx=20.5, lu="L-1")
        .pick(20.2, 2, rx=20.4, lu="L-1")
    )
    case.device("telemetry", 60, src=STATION).expect("inventory.discrepancy", "/A//T-1", t=20.2, expected=0, actual=3)
    case.expect("exception.raised", "PCK_LATE_AFTER_SHIP/task/T-1/1", t=20.2, code="PCK_LATE_AFTER_SHIP", detail="+1")
    return case.raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")


def R52_a_loss_and_a_cancel_that_are_heard_of_before_the_manifest() -> Case:
    """R52, R56, R3: the tote is lost at 20.2, S-1 is cancelled at 20.3, and has left at 20, which is heard last: the
    lost tote was not its own any more, so nothing of what was shipped has changed."""
    case = (
        Case().order(2).task(2).shipment(2).plan().pick(5, 2, lu="L-1").close(6).confirmed(2, 5).packed(2).ready(2, 6)
    )
    case.device("item.lost", 20.2, src=SORTER, lu="L-1").tell(TMS, "shipment.cancelled", 20.3, rev=2, shipment="S-1")
    leaves(case, "C-1", t=20, rx=20.5).device("telemetry", 60, src=STATION)
    case.expect("shipment.unready", "S-1", t=20.2, cause="item.lost").expect("shipment.voided", "S-1", t=20.3)
    return case.never_raised("SHP_POST_MANIFEST_CHANGE").raised("RTE_LOST", "lu/L-1", t=20.2)


def two_uses() -> Case:
    """C-1 of S-1, C-2 of S-2, a line each; T-1 and T-2 of two pieces."""
    case = (
        Case().order(2, 2).task(2).task(2, "T-2", 2).shipment(2).wms("shipment.plan", shipment="S-2", scope=part(2, 2))
    )
    return case.plan(lu=None).plan("C-2", lu=None, shipment="S-2", contents=part(2, 2))


def R40_the_manifest_of_a_carton_whose_unit_is_used_anew() -> Case:
    """R40: L-1 was C-1, which leaves at 20, and is C-2 since 15: the manifest does not end that use."""
    case = two_uses().wms("lu.bind", 1, lu="L-1", carton="C-1").pick(5, 2, lu="L-1").close(6)
    case.wms("lu.bind", 15, rev=2, lu="L-1", carton="C-2").pick(17, lu="L-1", task="T-2")
    leaves(case, "C-1").pick(22, lu="L-1", task="T-2").close(25).device("telemetry", 60, src=STATION)
    case.confirmed(2, 5).packed(2).ready(2, 6).confirmed(2, 22, "T-2").packed(2, "C-2", line=2)
    return case.expect("shipment.ready", "S-2", t=25, cartons=["C-2"])


def R40_a_bind_from_before_the_manifest_that_is_heard_of_after_it() -> Case:
    """R40, R29, R3: L-1 had no name, and its piece was S-1's; that it is C-2 (of S-2) since 19.5 is heard when S-1
    has left and the next piece has been picked."""
    case = two_uses().pick(5, lu="L-1")
    leaves(case).pick(20.3, lu="L-1").wms("lu.bind", 19.5, rx=20.6, lu="L-1", carton="C-2")
    case.close(30).device("telemetry", 60, src=STATION)
    case.expect("pick.confirmed", "T-1", t=20.3, qty=2, carton="C-2").packed(2, "C-2")
    case.raised("PKG_CONTENT_MISMATCH", "carton/C-2").raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")
    return case.expect("inventory.discrepancy", "/A//T-1", t=20.3, kind="POST_SHIP", expected=2, actual=2)


def R55_a_load_from_before_its_plan() -> Case:
    """R55, section 11: S-1 is planned at 20.5, which is heard before the watermark has passed the load of 15 and the
    manifest of 20: nobody had planned it then."""
    case = Case().order(2).task(2).plan().pick(5, 2, lu="L-1").confirmed(2, 5)
    load(case, 15).tell(TMS, "manifest.result", 20, rev=1, shipment="S-1", manifest_no="M-1").shipment(2, t=20.5)
    case.device("telemetry", 60, src=STATION).never_raised("SHP_LOAD_BEFORE_READY")
    return manifested(case, 20, manifest_no="M-1")


def R55_a_plan_and_a_load_that_are_heard_of_after_the_manifest() -> Case:
    """R55, R52, R3: S-1 is not ready since the plan of 19.6, and C-1 was loaded at 19.8."""
    case = Case().order(2, 1).task(2).task(1, "T-2", 2).plan().shipment(2).pick(5, 2, lu="L-1").close(10)
    leaves(case.device("telemetry", 19.5), "C-1")
    case.wms("shipment.plan", 19.6, rx=20.5, rev=2, shipment="S-1", scope=[*part(2), *part(1, 2)])
    case.device("load.scanned", 19.8, 20.6, DOCK, lu="L-1", trailer="TR-1").device("telemetry", 60, src=STATION)
    case.confirmed(2, 5).packed(2).ready(2, 10).expect("shipment.unready", "S-1", t=19.6, cause="shipment.plan")
    return case.raised("SHP_LOAD_BEFORE_READY", "shipment/S-1", t=19.8)


def R40_the_use_of_before_the_manifest_is_heard_of_last() -> Case:
    """R40, R3: L-1 left with the piece of 20, and is used anew at 20.9. That is its second use, though it is heard of
    first."""
    case = Case().order(1, 1).task(1).task(1, "T-2", 2).shipment(1)
    case.wms("shipment.plan", shipment="S-2", scope=part(1, 2))
    leaves(case, t=20.3).pick(20.9, lu="L-1", task="T-2").pick(20, rx=21.2, src="dc1/pick/PTL-02", lu="L-1")
    case.close(24).device("telemetry", 60, src=STATION).confirmed(1, 20).confirmed(1, 20.9, "T-2")
    case.packed(1, "L-1#2", line=2).raised("SHP_LOAD_BEFORE_READY", "shipment/S-1", t=20.3)
    return case.expect("shipment.ready", "S-2", t=24, cartons=["L-1#2"])


def R29_a_reversal_out_of_a_voided_carton_that_overtakes_the_manifest() -> Case:
    """R29, R3: C-1, with a piece of a line that S-1 does not plan, was voided; the piece is put back after
    the manifest of S-1, of 30, which is heard of later."""
    case = Case().order(1, 1).task(1).plan(contents=part(1, 2)).pick(5, lu="L-1").close(10)
    case.device("carton.void", 20, lu="L-1").put_back(31)
    case.tell(TMS, "manifest.result", 30, 31.5, rev=1, shipment="S-1", manifest_no="M-1")
    case.device("telemetry", 60, src=STATION).confirmed(1, 5).packed(1, t_close=at(10))
    case.expect("carton.voided", "C-1", t=20).expect("pick.reversed", f"T-1/{STATION}/0/2/0", t=31, qty=1)
    case.expect("inventory.discrepancy", "/A//T-1", t=31, kind="POST_SHIP", expected=1, actual=0)
    return manifested(case, 30, manifest_no="M-1")
