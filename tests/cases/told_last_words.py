"""Golden cases of shipments whose last words come one close behind the other: what had lasted is told, in whatever
order they arrive (R27, R51 to R56)."""

from __future__ import annotations

from tests.cases.told_shipping import leaves, load, manifested, packed_one, part
from tests.cases.writing import Case, at


def ready_since_20() -> Case:
    """S-1 with its only carton, closed at 20."""
    return packed_one().confirmed(1, 10).packed(1).ready(1, 20)


def R56_a_manifest_behind_a_cancel_of_what_had_been_ready() -> Case:
    """R51, R54, R56: ready for seven seconds, then cancelled, then the TMS's word all the same: all three are told,
    though the watermark had not come to the first."""
    case = ready_since_20().wms("shipment.cancelled", 27, rev=2, shipment="S-1")
    case.wms("manifest.result", 27.8, shipment="S-1", manifest_no="M-1").device("telemetry", 90)
    case.expect("shipment.unready", "S-1", t=27, cause="shipment.cancelled")
    case.in_order(("shipment.ready", "S-1"), ("shipment.unready", "S-1"), ("shipment.manifested", "S-1"))
    return manifested(case, 27.8, "C-1", manifest_no="M-1").raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")


def R52_a_void_before_a_cancel_has_ended_it() -> Case:
    """R51, R52, R56: ready for five and a half seconds. What is told of its end is the void's, though the cancel was
    known when the readiness was told."""
    case = ready_since_20().device("carton.void", 25.5, lu="L-1").wms("shipment.cancelled", 28, rev=2, shipment="S-1")
    case.expect("carton.voided", "C-1", t=25.5).device("telemetry", 90)
    return case.expect("shipment.unready", "S-1", t=25.5, cause="carton.void")


def R56_a_cancel_behind_the_trailer() -> Case:
    """R54, R56: all of it has left when the cancel happens, and both are known before the watermark has come to the
    trailer: voided, and never unready."""
    case = leaves(load(ready_since_20(), 30), 40).wms("shipment.cancelled", 41, rev=2, shipment="S-1")
    manifested(case.device("telemetry", 90), 40, "C-1", trailer="TR-1")
    return case.expect("shipment.voided", "S-1", t=41, cause="shipment.cancelled")


def R56_a_cancel_behind_a_trailer_out_of_which_it_was_taken() -> Case:
    """R54, R56, R3: as before, but the carton was taken out again, which is told last: unready."""
    case = leaves(load(ready_since_20(), 30), 40).wms("shipment.cancelled", 41, rev=2, shipment="S-1")
    case.tell("dc1/dock/GUN-2", "load.removed", 39, 41.5, seq=1, lu="L-1", trailer="TR-1").device("telemetry", 90)
    return case.expect("shipment.unready", "S-1", t=41, cause="shipment.cancelled")


def R56_what_was_voided_is_no_share_of_a_line() -> Case:
    """R50, R53, R56: two shipments plan the line. What lay in the carton that was voided is S-1's no longer: what is
    left is not too much for it."""
    case = Case().order(4).task(4).plan(contents=part(1)).plan("C-2", "L-2", contents=part(3)).shipment(1)
    case.wms("shipment.plan", 0, shipment="S-2", scope=part(3))
    case.pick(10, lu="L-1").pick(11, 3, lu="L-2").close(20).close(21, "L-2").device("carton.void", 40, lu="L-2")
    case.confirmed(4, 11).packed(1).packed(3, "C-2").expect("carton.voided", "C-2", t=40)
    line = {"order": "O-1", "line": 1, "ordered": 1, "packed": 1, "short": 0, "cancelled": 0}
    return case.expect("shipment.ready", "S-1", t=40, lines=[line], cartons=["C-1"]).device("telemetry", 90)


def R27_a_cancel_between_the_manifests_of_two() -> Case:
    """R27, R53: the piece lies in a carton that is planned to S-1 and leaves after the cancel. That S-2, which plans
    the line, had left before is no matter, also when S-1's leaving has the line judged again."""
    case = Case().order(2).task(2).plan(contents=part(1)).pick(10, lu="L-1").close(20)
    case.wms("shipment.plan", 0, shipment="S-2", scope=part(1))
    case.wms("manifest.result", 5, shipment="S-2", manifest_no="M-2")
    case.wms("order.cancelled", 60, rev=2, order="O-1", lines=[1])
    case.wms("manifest.result", 80, shipment="S-1", manifest_no="M-1").device("telemetry", 120)
    case.confirmed(1, 60, cancelled=True).packed(1).raised("PCK_PUTBACK_REQUIRED", "task/T-1")
    case.never_raised("CTX_CANCEL_TOO_LATE").expect("shipment.manifested", "S-2", t=5)
    return manifested(case, 80, "C-1", manifest_no="M-1")


def R54_the_last_box_to_leave_is_an_empty_one() -> Case:
    """R54: the goods leave with TR-1 at 40. C-2, planned and never filled, stays, and leaves with TR-2 at 45."""
    case = Case().order(2).task(2).plan("C-2", "L-2", contents=part(2)).shipment(2).pick(10, 2, lu="L-1").close(20)
    case = leaves(load(load(case, 30), 32, lu="L-2", trailer="TR-2"), 40)
    case = leaves(case, 45, trailer="TR-2").device("telemetry", 90)
    case.confirmed(2, 10).packed(2, "L-1#1").cleared("SHP_PARTIAL_LOAD", "shipment/S-1", t=45)
    return manifested(case, 45, "L-1#1", trailer="TR-2").raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")


def R52_a_deadline_passes_with_the_reopening() -> Case:
    """R21, R52: the deadline of a task that is done comes at the very moment of the reopening. It opens no window: what
    ends the readiness is the reopening."""
    case = Case().order(1).task(1, deadline=at(40)).plan(contents=part(1)).shipment(1).pick(10, lu="L-1").close(20)
    case.device("carton.reopen", 40, lu="L-1").device("telemetry", 90).confirmed(1, 10).packed(1).ready(1, 20)
    case.expect("shipment.unready", "S-1", t=40, cause="carton.reopen")
    return case.expect("carton.reopened", "C-1", t=40)


def R54_a_manifest_while_a_number_is_on_its_way() -> Case:
    """R54, R6, R3: ready since 20 for as long as it must be; the manifest of 21 comes while one number of the packer's
    is still on its way, as it may be within the disorder. That is no gap, and the shipment was ready."""
    case = Case().shipped().device("carton.open", 8, lu="L-1").pick(10, 2, lu="L-1").device("telemetry", 19.9, 21.8)
    late = case.records.pop()
    case.close(20).wms("manifest.result", 21, shipment="S-1", manifest_no="M-1", tracking=[]).records.append(late)
    case.rules["ready_hold_ms"] = 500
    case.confirmed(2, 10).packed(2).ready(2, 20).expect("shipment.manifested", "S-1", t=21, manifest_no="M-1")
    return case.never_raised("SHP_LOAD_BEFORE_READY").never_raised("SEQ_GAP")


def R55_loaded_and_manifested_before_the_watermark() -> Case:
    """R55, R54, R3: the load of 30 makes it ready, and was too early by a moment. The manifest of 31 has the readiness
    told before the watermark comes to the load; that ended it all the same."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    case.device("load.scanned", 30, src="dc1/dock/GATE-1", lu="L-1", trailer="TR-1").rules["ready_hold_ms"] = 500
    case.wms("manifest.result", 31, shipment="S-1", manifest_no="M-1", tracking=[]).device("telemetry", 60)
    case.confirmed(2, 10).packed(2).ready(2, 30).expect("shipment.manifested", "S-1", t=31, manifest_no="M-1")
    return case.cleared("SHP_LOAD_BEFORE_READY", "shipment/S-1", t=30).times("SHP_LOAD_BEFORE_READY", 1)
