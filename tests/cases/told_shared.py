"""Golden cases of lines that two shipments share, of which one has left (R27, R29, R52, R53)."""

from __future__ import annotations

from tests.cases.told_shipping import part
from tests.cases.writing import STATION, Case, at


def shared(qty: int = 2) -> Case:
    """Line 1 is planned to S-1 in C-1 (L-1) and to S-2 in C-2 (L-2), a piece each."""
    case = Case().order(qty).plan(contents=part(1)).plan("C-2", "L-2", shipment="S-2", contents=part(1))
    case.wms("shipment.plan", shipment="S-1", scope=part(1)).wms("shipment.plan", shipment="S-2", scope=part(1))
    for shipment, carton, closed in (("S-1", "C-1", 20), ("S-2", "C-2", 22)):
        case.packed(1, carton, shipment=shipment)
        line = {"cancelled": 0, "line": 1, "order": "O-1", "ordered": 1, "packed": 1, "short": 0}
        case.expect("shipment.ready", shipment, t=closed, lines=[line], cartons=[carton])
    return case


def picked() -> Case:
    """By one task."""
    return shared().task(2).pick(10, lu="L-1").pick(11, lu="L-2").close(20).close(22, "L-2").confirmed(2, 11)


def manifest(case: Case, rx: float = 40) -> Case:
    """Of S-1, at 40."""
    case.wms("manifest.result", 40, rx=rx, shipment="S-1", manifest_no="M-1", tracking=[])
    return case.expect("shipment.manifested", "S-1", t=40, cartons=[{"carton": "C-1"}])


def post_ship(case: Case, t: float) -> Case:
    """One of the two pieces of T-1 was taken out of C-1, which was on the road by then."""
    case.expect("inventory.discrepancy", "/A//T-1", t=t, actual=1, expected=2, kind="POST_SHIP", as_of=at(t))
    return case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/3/0", qty=1).raised("PCK_LATE_AFTER_SHIP", "task/T-1")


def R27_a_cancel_of_a_task_of_which_a_part_has_left() -> Case:
    """R27: a piece is on the road and cannot be put back, so it is too late for the task, and S-2 stays ready."""
    case = manifest(picked()).wms("pick.task_cancelled", 50, rev=2, task="T-1").device("telemetry", 90)
    return case.raised("CTX_CANCEL_TOO_LATE", "task/T-1").never_raised("PCK_PUTBACK_REQUIRED")


def R27_a_cancel_of_a_task_whose_piece_was_put_elsewhere() -> Case:
    """R27: its piece had lain in C-1, but was in C-2 when C-1 left; so the cancel is in time, and S-2 waits for it."""
    case = shared().task(1).task(1, "T-2").pick(10, lu="L-1").pick(11, task="T-2", lu="L-1").put_back(12, lu="L-1")
    case = manifest(case.pick(13, lu="L-2").close(20).close(22, "L-2"))
    case.wms("pick.task_cancelled", 50, rev=2, task="T-1").device("telemetry", 90)
    case.confirmed(1, 50, cancelled=True).confirmed(1, 11, "T-2").expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/3/0")
    case.expect("shipment.unready", "S-2", t=50, cause="pick.task_cancelled")
    return case.raised("PCK_PUTBACK_REQUIRED", "task/T-1").never_raised("CTX_CANCEL_TOO_LATE")


def R29_a_reversal_of_a_shared_line_after_its_carton_left() -> Case:
    """R29, R40: it came out of C-1, whose use the manifest had ended, and between two uses it joins the earlier."""
    return post_ship(manifest(picked()).put_back(50, lu="L-1").device("telemetry", 90), 50)


def R29_a_reversal_of_a_shared_line_before_the_manifest_is_known() -> Case:
    """R29, R52, R3: it had ended both readinesses. The TMS's word of 40 takes it back; S-2 is as ready as before."""
    case = post_ship(manifest(picked().put_back(41, lu="L-1").tick(47), 48).device("telemetry", 90), 41)
    for shipment in ("S-1", "S-2"):
        case.expect("shipment.unready", shipment, t=41, cause="pick.reverse")
    return case.expect("shipment.ready", "S-2", t=22, revision=1).times("SHP_LOAD_BEFORE_READY", 0)


def R27_a_cancel_of_a_shared_task_before_the_manifest_is_known() -> Case:
    """R27, R52, R3: the cancel of 41 had ended both readinesses; by the word of 40 it is too late, and S-2 is ready."""
    case = picked().wms("pick.task_cancelled", 41, rev=2, task="T-1").tick(60)
    case = manifest(case, 60).device("telemetry", 90).raised("CTX_CANCEL_TOO_LATE", "task/T-1")
    for shipment in ("S-1", "S-2"):
        case.expect("shipment.unready", shipment, t=41, cause="pick.task_cancelled")
    return case.expect("shipment.ready", "S-2", t=22, revision=1).cleared("PCK_PUTBACK_REQUIRED", "task/T-1")


def R50_more_than_its_share_of_a_shared_line() -> Case:
    """R50, R53: both pieces lie in C-1. The order covers them, but S-1 plans one of them, and S-2 lacks the other."""
    case = Case().order(2).plan(contents=part(1)).wms("shipment.plan", shipment="S-2", scope=part(1))
    case.wms("shipment.plan", shipment="S-1", scope=part(1)).task(2).pick(10, 2, lu="L-1").close(20)
    return case.confirmed(2, 10).packed(2, shipment="S-1").device("telemetry", 90)


# ---------------------------------------------------------------------------------------------- not of its scope


def R27_a_cancel_of_a_line_that_lies_in_a_carton_of_another_shipment() -> Case:
    """R27, R54, R3: C-1 is planned to S-1, which does not plan line 2. Its piece has left when the cancel of 39.5
    arrives, though the watermark has not passed the close of 34.5."""
    case = Case().order(1, 1).task(1, "T-2", line=2).plan(contents=part(1)).shipment(1)
    case.pick(7, task="T-2", lu="L-1").close(10).device("load.scanned", 20, lu="L-1", trailer="TR-1")
    case.device("trailer.closed", 34.5, trailer="TR-1").wms("order.cancelled", 39.5, rev=2, order="O-1", lines=[2])
    case.expect("shipment.manifested", "S-1", t=34.5, cartons=[{"carton": "C-1"}]).packed(1, line=2)
    case.raised("CTX_CANCEL_TOO_LATE", "task/T-2").never_raised("PCK_PUTBACK_REQUIRED")
    return case.confirmed(1, 7, "T-2").device("telemetry", 90)


def R29_a_late_pick_before_the_deadline_is_decided() -> Case:
    """R29, R21: it is told at once. The deadline of 9.5 is decided after it: two pieces were picked, and one told."""
    case = Case().order(2).task(2, deadline=at(9.5), loc="A-1").shipment(2).pick(8, lu="L-1")
    case.wms("manifest.result", 10.5, shipment="S-1", manifest_no="M-1", tracking=[]).pick(14, lu="L-1")
    case.expect("shipment.manifested", "S-1", t=10.5).confirmed(1, 9.5).shorted(1, 9.5).device("telemetry", 90)
    case.expect(
        "inventory.discrepancy", "A-1/A//T-1", t=14, revision=1, kind="POST_SHIP", expected=1, actual=2, as_of=at(14)
    )
    return case.raised("PCK_LATE_AFTER_SHIP", "task/T-1").raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")


def R29_a_late_pick_of_a_task_that_is_shorted_afterwards() -> Case:
    """R29: nothing was told of the task when its second piece came too late; the short of 30 tells of one."""
    case = Case().order(3).task(3, loc="A-1").shipment(3).pick(8, lu="L-1")
    case.wms("manifest.result", 10.5, shipment="S-1", manifest_no="M-1", tracking=[]).pick(14, lu="L-1").short(30)
    case.expect("shipment.manifested", "S-1", t=10.5).confirmed(1, 30).shorted(2, 30).device("telemetry", 90)
    case.expect(
        "inventory.discrepancy", "A-1/A//T-1", t=14, revision=1, kind="POST_SHIP", expected=1, actual=2, as_of=at(14)
    )
    return case.raised("PCK_LATE_AFTER_SHIP", "task/T-1").raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")


def R29_a_late_pick_of_a_task_that_goes_to_another_place() -> Case:
    """R29, R70, R3: told as one from A-1, until the revision of 19 comes after it: it was picked at B-1."""
    case = Case().order(1).task(1, loc="A-1").shipment(1).pick(8, lu="L-1").close(9)
    case.wms("manifest.result", 10.5, shipment="S-1", manifest_no="M-1", tracking=[]).pick(20, lu="L-2")
    case.task(2, t=19, rx=20.5, rev=2, loc="B-1").device("telemetry", 90).expect("shipment.manifested", "S-1", t=10.5)
    case.expect("inventory.discrepancy", "A-1/A//T-1", t=20, kind="POST_SHIP", expected=1, actual=1, as_of=at(20))
    case.expect("inventory.discrepancy", "B-1/A//T-1", t=20, kind="POST_SHIP", expected=1, actual=2, as_of=at(20))
    case.confirmed(1, 8, qty_task=1).packed(1, "L-1#1").expect("pick.confirmed", "T-1", loc="A-1")
    return case.raised("PCK_LATE_AFTER_SHIP", "task/T-1")


def R29_a_bind_to_a_carton_that_left_long_ago() -> Case:
    """R29, R40, R53: the use that the pick of 20 begins is C-1, as the bind of 60 says, and S-1's. Without the pick
    it would begin with the bind, and the piece be nobody's."""
    case = Case().order(4).plan(lu=None, contents=part(1)).shipment(3)
    case.wms("shipment.plan", shipment="S-2", scope=part(1))
    case.wms("manifest.result", 10, shipment="S-1", manifest_no="M-1", tracking=[])
    case.device("pick.confirm", 20, src=STATION, order="O-1", line=1, sku="A", qty=1, lu="L-1").tick(40)
    case.wms("lu.bind", 60, lu="L-1", carton="C-1").device("telemetry", 90).expect("shipment.manifested", "S-1", t=10)
    case.expect("inventory.discrepancy", "/A//", t=20, kind="POST_SHIP", expected=0, actual=1, as_of=at(20))
    return case.raised("PCK_LATE_AFTER_SHIP", "line/O-1/1").raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")


def R29_a_pick_overtakes_the_bind_to_a_carton_that_has_left() -> Case:
    """R29, R3: nobody plans the line, so the pick of 20 was nobody's. The bind of 19.5 comes after it: L-1 is C-1,
    which left with S-1 at 10, and the confirmation is taken back."""
    case = Case().order(1, 1).task(1).plan(lu=None, contents=part(1, 2))
    case.wms("shipment.plan", shipment="S-1", scope=part(1, 2))
    case.wms("manifest.result", 10, shipment="S-1", manifest_no="M-1", tracking=[]).pick(20, lu="L-1")
    case.wms("lu.bind", 19.5, 20.5, lu="L-1", carton="C-1").device("telemetry", 90).confirmed(0, 20)
    case.expect("shipment.manifested", "S-1", t=10).raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")
    case.expect("inventory.discrepancy", "/A//T-1", t=20, kind="POST_SHIP", expected=0, actual=1, as_of=at(20))
    return case.raised("PCK_LATE_AFTER_SHIP", "task/T-1")


def stranger() -> Case:
    """C-1 is S-1's, and holds a piece of line 2, which nobody plans. Ready at 20."""
    case = Case().order(1, 1).task(1).task(1, "T-2", line=2).plan(contents=[*part(1), *part(1, 2)]).shipment(1)
    case.pick(10, lu="L-1").pick(11, task="T-2", lu="L-1").close(20).confirmed(1, 10).ready(1, 20, revision=0)
    contents = [{"line": line, "order": "O-1", "qty": 1, "sku": "A"} for line in (1, 2)]
    case.expect("carton.closed", "C-1", contents=contents).raised("PCK_PUTBACK_REQUIRED", "task/T-2")
    return case.confirmed(1, 60, "T-2", cancelled=True)


def R50_a_cancel_of_a_task_whose_piece_lies_in_a_carton_of_another_line() -> Case:
    """R50, R52: the carton holds a piece of a cancelled task since 60, though S-1 does not plan its line."""
    case = stranger().wms("pick.task_cancelled", 60, rev=2, task="T-2").device("telemetry", 90)
    return case.expect("shipment.unready", "S-1", t=60, cause="pick.task_cancelled")


def R50_a_cancel_of_a_line_whose_piece_lies_in_a_carton_of_another_line() -> Case:
    """R50, R52: likewise where the line is cancelled."""
    case = stranger().wms("order.cancelled", 60, rev=2, order="O-1", lines=[2]).device("telemetry", 90)
    return case.expect("shipment.unready", "S-1", t=60, cause="order.cancelled")
