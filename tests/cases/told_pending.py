"""Golden cases of what the core does not tell yet, or tells otherwise; `pending` says why. Read off the rules' text."""

from __future__ import annotations

from tests.cases.told_shipping import DOCK, label, leaves, load, packed_one, two_cartons
from tests.cases.writing import ONE, PACK, SCALE, SORTER, STATION, Case, at


def R20_a_new_revision_leaves_the_task_where_it_was() -> Case:
    """R20, R3: T-1 was there when the press came at 10, whatever its later revision says and whenever that arrives."""
    case = Case().order(2).task(1).task(1, "T-2").pick(10, line=1, order="O-1")
    case.wms("pick.task", 12, rev=2, task="T-1", order="O-1", line=1, sku="A", qty=1, loc="A-9")
    return case.confirmed(1, 10)


def R07_a_gap_of_the_station_that_closed_what_was_packed() -> Case:
    """R7, R47: the shipment's carton was filled out of a tote; the station that closed it was not heard for a while."""
    case = Case().order(1).task(1).shipment(1).pick(10, lu="TOTE").device("carton.open", 5, lu="L-1")
    case.device("pack.confirm", 15, src="dc1/pack/PK-02", from_lu="TOTE", lu="L-1").lose(PACK).close(20)
    return case.confirmed(1, 10).packed(1, "L-1#1").raised("SEQ_GAP", PACK)


def R51_a_readiness_that_is_held_ends_with_the_cancel() -> Case:
    """R51, R7: after its cancel a shipment is never ready again, also when a hold is over."""
    case = packed_one().lose().device("telemetry", 24, src=STATION)
    case.wms("shipment.cancelled", 60, rev=2, shipment="S-1").until(500)
    return case.confirmed(1, 10).packed(1).raised("SEQ_GAP", STATION)


def R51_a_truth_that_ends_with_the_cancel() -> Case:
    """R51: cancelled at 22, before `ready_hold_ms` was over: a truth that does not last emits nothing."""
    case = packed_one().wms("shipment.cancelled", 22, rev=2, shipment="S-1")
    return case.confirmed(1, 10).packed(1)


def R52_two_facts_end_a_truth() -> Case:
    """R52, R3: the truth ended with the wrong label at 60, also where the reopening of 60.5 arrives before it."""
    case = packed_one().device("carton.reopen", 60.5, 60.6, lu="L-1")
    label(case, 60, "MISMATCH").records[-1]["t_rx"] = at(61)
    case.confirmed(1, 10).packed(1).ready(1, 20).expect("carton.reopened", "C-1", t=60.5)
    return case.expect("shipment.unready", "S-1", t=60, cause="label.verified", carton="C-1")


def R54_a_trailer_that_took_nothing() -> Case:
    """R54: what was taken out again left with nobody: the second trailer is no evidence, and not the shipment's."""
    case = two_cartons().ready(2, 22)
    load(load(case, 50), 51, "L-2", "TR-2").device("load.removed", 55, src=DOCK, lu="L-2", trailer="TR-2")
    leaves(leaves(case, 60), 70, "TR-2").rules["partial_load"] = "emit"
    case.raised("SHP_PARTIAL_LOAD", "shipment/S-1")
    return case.expect(
        *("shipment.manifested", "S-1"),
        t=60,
        revision=0,
        trailer="TR-1",
        cartons=[{"carton": "C-1"}],
        left_behind=["C-2"],
    )


def R46_a_fact_for_a_window_that_was_forgotten() -> Case:
    """R46: forgotten after `retention_ms`, the window leaves a tombstone: what comes for it is dead."""
    case = Case().order(1).task(1).pick(10)
    for t in (100, 200, 300):
        case.device("telemetry", t, src=STATION)
    case.pick(12, rx=310, hist=True).rules["retention_ms"] = 60_000
    return case.confirmed(1, 10, revision=0).counted(late=1).raised("TIME_TOO_LATE", STATION)


def R46_a_task_that_is_told_again_after_it_was_forgotten() -> Case:
    """R46: the order systems send it once more and somebody picks: never a second revision 0."""
    case = Case().order(1).task(1).pick(10)
    for t in (100, 200, 300):
        case.device("telemetry", t, src=STATION)
    case.order(1, t=305).task(1, t=305).pick(310).rules["retention_ms"] = 60_000
    return case.confirmed(1, 10, revision=0).counted(late=1)


def R82_a_voided_carton_cannot_be_closed() -> Case:
    """Section 10, R82: VOIDED is the end of a carton. A close of it is refused, kept, and counted `rejected`."""
    case = packed_one().device("carton.void", 30, lu="L-1").close(50)
    case.confirmed(1, 10).packed(1, revision=0).expect("carton.voided", "C-1", t=30)
    case.expect("shipment.ready", "S-1", t=20).expect("shipment.unready", "S-1", t=30, cause="carton.void")
    return case.counted(rejected=1)


def R21c_a_task_that_is_told_after_its_carton_was_closed() -> Case:
    """R21 (c), R11: nobody picked for T-2; its carton was closed at 30, before the order systems told of it."""
    case = Case().plan(contents=[*ONE, {"order": "O-1", "line": 2, "qty": 3}])
    case.pick(10, 2, lu="L-1").close(30).device("telemetry", 60)
    lines = [{"line": 1, "sku": "A", "qty": 2}, {"line": 2, "sku": "A", "qty": 3}]
    case.wms("order.released", 0, 70, order="O-1", lines=lines)
    for task, line, qty in (("T-1", 1, 2), ("T-2", 2, 3)):
        case.wms("pick.task", 0, 70, task=task, order="O-1", line=line, sku="A", qty=qty, lu="L-1")
    case.device("telemetry", 100).rules["short_on_close"] = True
    return case.confirmed(2, 10).packed(2).shorted(3, 30, "T-2", decided_by="CLOSE")


def R56_a_void_that_arrives_before_the_bind() -> Case:
    """R40, R56, R3: voided at 30.9, bound to C-9 since 30.6: C-9 is void, also where the bind comes later."""
    case = Case().order(1).task(1).plan(contents=[{"order": "O-1", "line": 1, "qty": 1}]).pick(10, lu="L-1").close(20)
    case.device("carton.void", 30.9, 31, lu="L-1").wms("lu.bind", 30.6, 31.1, lu="L-1", carton="C-9")
    return case.confirmed(1, 10).packed(1).expect("carton.voided", "C-9", t=30.9, cause="carton.void")


def R52_a_release_and_a_void_of_one_moment() -> Case:
    """R52, R3: the void has ended the readiness, for a release ends none, whichever of the two is heard first."""
    case = packed_one().wms("lu.release", 60, lu="L-1").device("carton.void", 60, rx=60.5, lu="L-1")
    case.device("telemetry", 90).confirmed(1, 10).packed(1).ready(1, 20).expect("carton.voided", "C-1", t=60)
    return case.expect("shipment.unready", "S-1", t=60, cause="carton.void", carton="C-1")


def R52_a_void_at_the_very_moment_of_the_manifest() -> Case:
    """R52: the void, and not the manifest, has changed what left."""
    case = packed_one().wms("manifest.result", 60, shipment="S-1", manifest_no="M-1", tracking=[])
    case.device("carton.void", 60, rx=60.5, lu="L-1").device("telemetry", 90).confirmed(1, 10).packed(1).ready(1, 20)
    case.expect("shipment.manifested", "S-1", t=60).expect("carton.voided", "C-1", t=60)
    return case.raised("SHP_POST_MANIFEST_CHANGE", "shipment/S-1", detail="carton.void")


def R45_a_release_that_comes_before_the_close_is_decided() -> Case:
    """R45, R40a: L-1#1 is let go a second after its label was found wrong, before anything was told under that name."""
    case = Case().order(1).task(1).pick(10, lu="L-1").close(20)
    label(case, 26, "MISMATCH").wms("hold.released", 27, carton="L-1#1").device("telemetry", 60)
    case.confirmed(1, 10).packed(1, "L-1#1")
    return case.cleared("PKG_LABEL_MISMATCH", "carton/L-1#1", t=27)


def R52_a_void_that_is_heard_of_after_the_repacking() -> Case:
    """R52, R47, R3: the carton, which no plan names, was voided at 60 and packed out at 60.5, which is heard first."""
    case = Case().order(1).task(1).shipment(1).pick(10, lu="L-1").close(20)
    case.device("pack.confirm", 60.5, rx=60.6, src="dc1/pack/PK-02", from_lu="L-1", lu="L-2")
    case.device("carton.void", 60, rx=61, lu="L-1").close(70, "L-2").device("telemetry", 120)
    case.confirmed(1, 10).packed(1, "L-1#1").packed(1, "L-2#1").expect("carton.voided", "L-1#1", t=60).ready(1, 70)
    return case.expect("shipment.unready", "S-1", t=60, cause="carton.void", carton="L-1#1")


def R45_a_release_that_comes_before_the_unit_is_met() -> Case:
    """R45, R40, R3: likewise while a source that lags keeps the watermark before the first piece of L-1#1."""
    case = Case().order(1).task(1).shipment(1).pick(10, lu="L-1").close(12)
    label(case, 13, "MISMATCH").device("scan.read", 11.5, rx=13.1, src=SORTER, lu="Z-9")
    case.wms("hold.released", 13.4, carton="L-1#1").device("telemetry", 60)
    return case.confirmed(1, 10).packed(1, "L-1#1", t_close=at(12)).ready(1, 13.4)


def R63_codes_that_wait_when_a_manifest_settles_the_track() -> Case:
    """R63, R60: the track is identified at 10.4; with a word of the TMS that counts before the codes are judged."""
    case = Case().device("item.inducted", 9, src=SORTER, track="7")
    case.device("scan.multiread", 10, src=SORTER, track="7", codes=["U-1", "U-2"])
    case.device("scan.read", 10.4, src=SORTER, track="7", lu="U-1").device(
        "weigh", 9.5, 10.5, SCALE, lu="Z", weight_g=4
    )
    case.device("telemetry", 12.5, src=SORTER)
    case.wms("manifest.result", 12.6, shipment="S-2", manifest_no="M-2", tracking=[]).device("telemetry", 90)
    case.expect("shipment.manifested", "S-2", t=12.6)
    return case.cleared("ID_MULTI", f"track/{SORTER}/7", t=10.4)
