"""Golden cases of what happens on the sorter, told in whatever order it arrives (R3, R60 to R64)."""

from __future__ import annotations

from typing import Any

from tests.cases.told_shipping import leaves, load, manifested, part, two_cartons
from tests.cases.told_time import with_slow_sources
from tests.cases.writing import SORTER, STATION, Case

MANUAL, CRANE = "dc1/sorter/MAN-1", "dc1/asrs/CRN-1"


def R62_diverted_anew_before_it_went_astray_was_told() -> Case:
    """R62, R3: it went astray at 10, which is told after the divert of 11 to where it was asked."""
    case = Case().device("divert.confirmed", 11, src=MANUAL, lu="L-1", dest="D-1", dest_req="D-1")
    case.device("divert.confirmed", 10, 11.5, SORTER, lu="L-1", dest="D-9", dest_req="D-1")
    return case.device("telemetry", 60).cleared("RTE_WRONG_DEST", "lu/L-1", t=11)


def R62_named_after_it_went_astray_again() -> Case:
    """R62, R60: that track 7 was L-1, diverted as asked at 20, is said after it went astray at 30: it still is; L-2
    was diverted at 22, and astray since."""
    case = Case().device("item.inducted", 10, src=SORTER, track="7")
    case.device("divert.confirmed", 20, src=SORTER, track="7", dest="D-1", dest_req="D-1")
    case.device("item.inducted", 21, src=SORTER, track="8")
    case.device("divert.confirmed", 22, src=SORTER, track="8", dest="D-1", dest_req="D-1")
    case.device("divert.confirmed", 25, src=MANUAL, lu="L-1", dest="D-1", dest_req="D-1")
    case.device("divert.confirmed", 30, src=MANUAL, lu="L-1", dest="D-9", dest_req="D-1")
    case.device("ident.assigned", 50, src=SORTER, track="7", lu="L-1")
    case.device("divert.confirmed", 55, src=MANUAL, lu="L-2", dest="D-9", dest_req="D-1")
    case.device("ident.assigned", 60, src=SORTER, track="8", lu="L-2")
    case.expect("exception.raised", "RTE_WRONG_DEST/lu/L-1/1", t=30).raised("RTE_WRONG_DEST", "lu/L-2")
    return case


def R61_the_divert_was_told_before_the_last_loop() -> Case:
    """R61, R3: the fourth loop was before the divert, and is told after it."""
    case = Case()
    for t in (10, 20, 30):
        case.device("item.recirculated", t, src=SORTER, lu="L-1")
    case.device("divert.confirmed", 41, src=MANUAL, lu="L-1", dest="D-1")
    case.device("item.recirculated", 40, 41.5, SORTER, lu="L-1")
    return case.expect("exception.raised", "RTE_MAX_RECIRC/lu/L-1/1", t=40, code="RTE_MAX_RECIRC", detail="4 loops")


def R61_loops_of_an_earlier_use_do_not_count() -> Case:
    """R61, R40: two loops of the tote as C-1, two as C-2."""
    case = Case().wms("lu.bind", 5, lu="L-1", carton="C-1")
    for t in (10, 20, 40, 50):
        case.device("item.recirculated", t, src=SORTER, lu="L-1")
    case.wms("lu.release", 25, rev=2, lu="L-1").wms("lu.bind", 30, rev=1, lu="L-1", carton="C-2")
    case.records.sort(key=lambda record: record["t_rx"])
    return case.never_raised("RTE_MAX_RECIRC")


def R60_identified_too_long_ago() -> Case:
    """R60: `ident_wait_ms` holds in both directions: a machine that told no induction may have another item by then."""
    case = Case().device("scan.read", 10, src=SORTER, track="7", lu="L-1")
    case.device("divert.confirmed", 609, src=SORTER, track="7", dest="D-9", dest_req="D-1")
    case.device("divert.confirmed", 611, src=SORTER, track="7", dest="D-1", dest_req="D-1").until(1300)
    case.expect("exception.raised", f"ID_UNRESOLVED/track/{SORTER}/7/1", t=1211, code="ID_UNRESOLVED")
    return case.raised("RTE_WRONG_DEST", "lu/L-1").counted(open=0)


def R60_identified_too_long_ago_and_once_more() -> Case:
    """R60: what came too late for the first identification is named by the next."""
    case = Case().device("scan.read", 10, src=SORTER, track="7", lu="L-1")
    case.device("divert.confirmed", 611, src=SORTER, track="7", dest="D-9", dest_req="D-1")
    case.device("scan.read", 620, src=SORTER, track="7", lu="L-1").until(1300)
    return case.expect("exception.raised", "RTE_WRONG_DEST/lu/L-1/1", t=611).never_raised("ID_UNRESOLVED")


def R60_a_divert_that_names_both() -> Case:
    """R60: a machine that says "track 7, L-1" with a divert has identified the track as well as with a scan: it was L-1
    that was lost at 20."""
    case = Case().device("item.inducted", 10, src=SORTER, track="7").device("item.lost", 20, src=SORTER, track="7")
    case.device("divert.confirmed", 30, src=SORTER, track="7", lu="L-1", dest="D-1").until(700)
    case.expect("exception.raised", "RTE_LOST/lu/L-1/1", t=20, code="RTE_LOST").cleared("RTE_LOST", "lu/L-1", t=30)
    return case.never_raised("ID_UNRESOLVED").counted(open=0)


def R61_loops_that_name_both() -> Case:
    """R61, R60: four loops of one life of track 7, three of which say that it is L-1."""
    case = Case().device("item.recirculated", 10, src=SORTER, track="7")
    for t in (20, 30, 40):
        case.device("item.recirculated", t, src=SORTER, track="7", lu="L-1")
    return case.expect("exception.raised", "RTE_MAX_RECIRC/lu/L-1/1", t=40, code="RTE_MAX_RECIRC", detail="4 loops")


def R64_a_scan_that_nobody_could_read_finds_it() -> Case:
    """R64, R60: of two sights of track 7 the first could not be read: it was there all the same."""
    case = Case().device("item.lost", 20, src=MANUAL, lu="L-1").device("item.inducted", 25, src=SORTER, track="7")
    case.device("scan.noread", 30, src=SORTER, track="7").device("scan.read", 40, src=SORTER, track="7", lu="L-1")
    return case.cleared("RTE_LOST", "lu/L-1", t=30)


def R64_what_a_crane_has_and_what_it_misses() -> Case:
    """R64, R66: a crane that cannot reach a tote has not seen it; one that cannot put it down has. A
    route is a sight, too."""
    case = Case().device("item.lost", 10, src=MANUAL, lu="L-1").device("item.lost", 11, src=MANUAL, lu="L-2")
    case.device("asrs.exception", 20, src=CRANE, code="UNREACHABLE", loc="A-1", lu="L-1")
    case.device("asrs.exception", 30, src=CRANE, code="DROPOFF", lu="L-1")
    case.device("route.assigned", 31, src=SORTER, lu="L-2", dest="D-1")
    return case.cleared("RTE_LOST", "lu/L-1", t=30).cleared("RTE_LOST", "lu/L-2", t=31)


def R64_the_first_of_two_sights_comes_last() -> Case:
    """R64, R3: seen at 21 and 22, told in the other order, and both before the loss."""
    case = Case().device("scan.read", 22, src=SORTER, lu="L-1")
    case.device("scan.read", 21, 22.3, "dc1/sorter/SCN-1", lu="L-1")
    case.device("item.lost", 20.5, 22.4, MANUAL, lu="L-1")
    return case.device("telemetry", 60).cleared("RTE_LOST", "lu/L-1", t=21)


def R64_the_first_of_three_reads_of_its_track() -> Case:
    """R64, R60, R3: the read of 21 says whose track 7 was; all three came before the watermark passed the loss."""
    case = Case().device("item.inducted", 20, src=SORTER, track="7").device("item.lost", 20.5, src=SORTER, track="7")
    for t, rx in ((21.0, 21.2), (22.0, 22.1), (21.5, 22.2)):
        case.device("scan.read", t, rx, SORTER, track="7", lu="L-1")
    return case.device("telemetry", 60).cleared("RTE_LOST", "lu/L-1", t=21)


def R64_the_first_of_three_sights_of_a_tote() -> Case:
    """R64, R60, R3: track 7 was lost at 20.5, and a scanner reads the tote at 21, 22 and 23, before the watermark has
    passed the loss: the first of these found it."""
    case = Case().device("scan.read", 19, src=SORTER, track="7", lu="L-1")
    case.device("item.lost", 20.5, src=SORTER, track="7")
    for t in (21, 22, 23):
        case.device("scan.read", t, src="dc1/sorter/SCN-1", lu="L-1")
    return case.device("telemetry", 60).cleared("RTE_LOST", "lu/L-1", t=21)


def R60_told_at_the_moment_of_the_next_induction() -> Case:
    """R60, R3: the number is given out again in the millisecond of the divert; that was told before, so it is not L-2
    that went astray."""
    case = Case().device("item.inducted", 20, src=SORTER, track="7")
    case.device("divert.confirmed", 30, src=SORTER, track="7", dest="D-9", dest_req="D-1")
    case.device("item.inducted", 30, src=SORTER, track="7", lu="L-2").until(700)
    return case.never_raised("RTE_WRONG_DEST").raised("ID_UNRESOLVED", f"track/{SORTER}/7", t=630).counted(open=0)


def R60_the_next_induction_of_that_moment_is_told_first() -> Case:
    """The same, the induction first: its number says that it came after the divert."""
    case = R60_told_at_the_moment_of_the_next_induction()
    case.records[1], case.records[2] = case.records[2], case.records[1]
    return case


def R52_a_sight_ends_nothing() -> Case:
    """R52: of one moment a read, which would have found the carton had it still been lost, and a bad weight, which is
    the cause: there was no `item.stray` at all."""
    case = Case().order(2).task(2).plan(weight_g=1000, tol_g=50).shipment(stage_required=True, lanes=["D-1"])
    case.pick(10, 2, lu="L-1").close(20).device("item.lost", 25, src=MANUAL, lu="L-1")
    case.device("item.arrived", 26, src=MANUAL, lu="L-1", loc="D-1").rules["ready_hold_ms"] = 500
    case.device("scan.multiread", 28, src=SORTER, track="8", codes=["L-1", "L-9"])
    case.device("weigh", 28, src=SORTER, track="8", weight_g=1400).device("telemetry", 60)
    case.expect("shipment.unready", "S-1", t=28, cause="weigh", carton="C-1").cleared("RTE_LOST", "lu/L-1", t=26)
    case.raised("PKG_WEIGHT_MISMATCH", "carton/C-1")
    return case.confirmed(2, 10).packed(2).ready(2, 26)


def R63_the_next_read_and_not_the_last() -> Case:
    """R63: it reads two totes before the watermark has passed the codes that tell nothing: the first ends it."""
    case = Case().device("scan.multiread", 10, src=SORTER, codes=["L-8", "L-9"])
    case.device("scan.read", 10.5, src=SORTER, lu="L-1").device("scan.read", 11, src=SORTER, lu="L-2")
    return case.device("telemetry", 30).cleared("ID_MULTI", SORTER, t=10.5)


def R63_a_read_that_was_heard_of_before_the_codes() -> Case:
    """R63, R3: the codes of 10 are heard of after the read of 10.5; it reads again before the watermark is there."""
    case = Case().device("scan.multiread", 10, 11.9, src=SORTER, codes=["L-8", "L-9"])
    late = case.records.pop()
    case.device("scan.read", 10.5, src=SORTER, lu="L-1").records.append(late)
    case.device("scan.read", 12, src=SORTER, lu="L-2")
    return case.device("telemetry", 30).cleared("ID_MULTI", SORTER, t=10.5)


def R52_named_as_lost_long_after() -> Case:
    """R52, R60: that it was C-1 which was lost at 40 is said at 90, when the divert of C-2 has long been judged: not
    ready since the loss, and not by that divert, which ended nothing. The word itself finds it."""
    case = two_cartons().device("item.inducted", 35, src=SORTER, track="7")
    case.device("item.lost", 40, src=SORTER, track="7").device("divert.confirmed", 60, src=MANUAL, lu="L-2", dest="D-1")
    case.device("ident.assigned", 90, src=SORTER, track="7", lu="L-1")
    case.expect("shipment.unready", "S-1", t=40, cause="item.lost", carton="C-1").cleared("RTE_LOST", "lu/L-1", t=90)
    return case.confirmed(2, 11).packed(1, "C-1").packed(1, "C-2").ready(2, 90)


def R52_named_as_lost_and_found_before_it_was_ready() -> Case:
    """R52, R60: that it was C-1 which was lost at 30 and came back at 40 is said at 90, by one word. It is ready since
    its good label of 50, and never known to be anything else: no unready is told."""
    case = Case().shipped().pick(10, 2, lu="L-1").close(20).device("label.verified", 21, lu="L-1", result="NOREAD")
    case.device("item.inducted", 25, src=SORTER, track="7").device("item.lost", 30, src=SORTER, track="7")
    case.device("item.stray", 40, src=SORTER, track="7").device("label.verified", 50, lu="L-1", result="OK")
    case.device("ident.assigned", 90, src=SORTER, track="7", lu="L-1").cleared("RTE_LOST", "lu/L-1", t=40)
    return case.confirmed(2, 10).packed(2).ready(2, 50, revision=0)


def on_a_second_round(seen: float) -> Case:
    """C-1 lay in its lane at 35, went round once more from 50 to 70, and C-2 came to it at 60. That it was C-1 is said
    at 90. L-2 is seen in the lane again at `seen`."""
    case = two_cartons(stage_required=True, lanes=["D-1"]).device(
        "divert.confirmed", 35, src=MANUAL, lu="L-1", dest="D-1"
    )
    case.device("item.inducted", 45, src=SORTER, track="7").device("item.recirculated", 50, src=SORTER, track="7")
    facts: list[tuple[float, str, str, dict[str, Any]]] = [
        (60, "divert.confirmed", MANUAL, {"lu": "L-2", "dest": "D-1"}),
        (70, "divert.confirmed", SORTER, {"track": "7", "dest": "D-1"}),
        (seen, "item.arrived", MANUAL, {"lu": "L-2", "loc": "D-1"}),
    ]
    for t, kind, src, fields in sorted(facts):
        case.device(kind, t, src=src, **fields)
    case.device("ident.assigned", 90, src=SORTER, track="7", lu="L-1")
    case.expect("shipment.unready", "S-1", t=50, cause="item.recirculated", carton="C-1")
    return case.confirmed(2, 11).packed(1, "C-1").packed(1, "C-2").ready(2, 70, revision=1)


def R51_it_had_never_been_ready_then() -> Case:
    """R51, R52: told ready since 60, when C-1 was not in its lane, as is known at 90: ready since 70, whatever has been
    judged since (L-2 is seen once more at 80)."""
    return on_a_second_round(80)


def R51_it_had_never_been_ready_and_was_judged_meanwhile() -> Case:
    """R51, R52: the same with the sight at 65, while it went round."""
    return on_a_second_round(65)


def R64_lost_and_read_at_one_moment() -> Case:
    """R64, R3: lost at 10, and once more at 20; the read of that very moment comes after the loss by its number."""
    case = Case().device("item.lost", 10, src=SORTER, lu="L-1").device("item.lost", 20, 20.2, SORTER, lu="L-1")
    case.device("scan.read", 20, 20.1, SORTER, lu="L-1", track="7").device("telemetry", 60)
    case.records[1], case.records[2] = case.records[2], case.records[1]
    return case.cleared("RTE_LOST", "lu/L-1", t=20).times("RTE_LOST", 1)


def R65_a_clear_of_one_dest_ends_every_code_of_it() -> Case:
    """R65: two jams of D-1, by their codes, and one of D-2; the clear names only D-1."""
    case = Case()
    for t, dest, code in ((10, "D-1", "E1"), (11, "D-1", "E2"), (12, "D-2", "E1")):
        case.device("jam", t, src=SORTER, state="set", dest=dest, code=code)
    case.device("jam", 30, src=SORTER, state="clear", dest="D-1").device("telemetry", 60, src=SORTER)
    for code in ("E1", "E2"):
        case.cleared("DEV_JAM", f"device/{SORTER}/D-1/{code}", t=30)
    return case.times("DEV_JAM", 2, "exception.cleared")


def R65_a_full_lane_by_another_code() -> Case:
    """R65: the lane is full, by whichever of its photo eyes says so; it is one episode."""
    case = Case().device("lane.full", 10, src=SORTER, state="set", dest="D-1", code="PE-1")
    case.device("lane.full", 11, src=SORTER, state="set", dest="D-1", code="PE-2")
    case.device("lane.full", 30, src=SORTER, state="clear", dest="D-1").device("telemetry", 60, src=SORTER)
    return case.times("RTE_LANE_FULL", 1).cleared("RTE_LANE_FULL", "lane/D-1", t=30)


def of_backlog(*order: int) -> Case:
    """Track 7 is inducted at 30, not read, diverted at 40, identified at 70: told as backlog, in that order."""
    case = Case().shipment(stage_required=True, lanes=["D-1"]).order(2).task(2).plan().pick(10, 2, lu="L-1").close(20)
    case.device("link.down", 25, src=SORTER)
    facts: list[tuple[str, float, dict[str, str]]] = [
        ("item.inducted", 30, {}),
        ("scan.noread", 33, {}),
        ("divert.confirmed", 40, {"dest": "D-1"}),
        ("ident.assigned", 70, {"lu": "L-1"}),
    ]
    for at, number in enumerate(order):
        kind, t, fields = facts[number]
        case.device(kind, t, 5000 + at / 10, SORTER, track="7", hist=True, **fields)
    return case.confirmed(2, 10).packed(2).ready(2, 40).counted(open=0)


def R60_a_backlog_says_whose_the_facts_before_it_were() -> Case:
    """R60: the backlog comes an hour late, so nobody identified its facts in time, until its last one does."""
    return of_backlog(0, 1, 2, 3).cleared("ID_UNRESOLVED", f"track/{SORTER}/7", t=70)


def R60_a_backlog_that_tells_the_induction_last() -> Case:
    """R60: a life begins with its induction, also if that is told after the identification."""
    return of_backlog(3, 1, 2, 0).never_raised("ID_UNRESOLVED")


def R45_released_under_its_key_for_days() -> Case:
    """R45, R40a: a carton without an id was let go under its key; it goes to its lane the day after."""
    case = Case().shipment(stage_required=True, lanes=["D-1"]).order(2).task(2).pick(10, 2, lu="L-1").close(20)
    case.device("label.verified", 25, lu="L-1", result="NOREAD").wms("hold.released", 60, carton="L-1#1")
    case.device("divert.confirmed", 86_500, src=SORTER, lu="L-1", dest="D-1")
    case.confirmed(2, 10).packed(2, "L-1#1")
    return case.ready(2, 86_500, cartons=["L-1#1"]).cleared("PKG_LABEL_NOREAD", "carton/L-1#1", t=60)


def R60_named_at_the_last_moment() -> Case:
    """R60: the identification comes after exactly ident_wait_ms: in time, whatever the track is called."""
    case = Case()
    for track in ("9", "z9"):
        case.device("divert.confirmed", 10, src=SORTER, track=track, dest="LANE-1")
    for track, lu in (("9", "L-1"), ("z9", "L-2")):
        case.device("ident.assigned", 610, src=SORTER, track=track, lu=lu)
    return case.never_raised("ID_UNRESOLVED")


def R60_named_a_moment_too_late() -> Case:
    """R60: a microsecond more is not."""
    case = Case()
    for track in ("9", "z9"):
        case.device("divert.confirmed", 10, src=SORTER, track=track, dest="LANE-1")
    for track, lu in (("9", "L-1"), ("z9", "L-2")):
        case.device("ident.assigned", 610.000001, src=SORTER, track=track, lu=lu)
    return case.times("ID_UNRESOLVED", 2)


def R65_a_jam_that_is_told_three_times() -> Case:
    """R65: raised once, counted, cleared once: the clear says how often it was told."""
    case = Case()
    for t in (10, 12, 15):
        case.device("jam", t, src=SORTER, state="set")
    case.device("jam", 30, src=SORTER, state="clear")
    subject = f"device/{SORTER}"
    case.times("DEV_JAM", 1).cleared("DEV_JAM", subject, t=30)
    case.expected[-1]["data"]["detail"] = "told 3 times"
    return case


def loaded_at_30() -> Case:
    """Both cartons of S-1 are in the trailer, and the sorter says afterwards that C-1 went round."""
    case = load(load(two_cartons(stage_required=True, lanes=["LANE-1"]), 30), 31, "L-2")
    return case.device("item.recirculated", 36, src=SORTER, lu="L-1").ready(2, 31)


def R54_gone_round_after_it_was_loaded() -> Case:
    """R54, R61, R50: a loop takes the place and nothing else: loaded it stays, and ready, and it leaves."""
    case = manifested(leaves(loaded_at_30(), 60), 60, "C-1", "C-2", trailer="TR-1")
    case.cleared("SHP_LOAD_BEFORE_READY", "shipment/S-1")
    return case.never_raised("SHP_PARTIAL_LOAD").device("telemetry", 90)


def in_its_lane(kind: str, **scan: Any) -> Case:
    """Nothing comes from the pick station after 10. The sorter names track 7 at 24, and diverts it at 25."""
    case = with_slow_sources().order(2).task(2).plan().shipment(2, stage_required=True, lanes=["D-1"])
    case.pick(10, 2, lu="L-1").close(20).device(kind, 24, src=SORTER, track="7", **scan)
    case.device("divert.confirmed", 25, src=SORTER, track="7", dest="D-1")
    return case.confirmed(2, 10, evidence="exact").packed(2, revision=0, evidence="incomplete")


def R04_a_track_waits_no_longer_than_the_bound() -> Case:
    """R4, R60: 30 s after it came, the divert takes effect without the watermark, and no record is open any more."""
    case = in_its_lane("scan.read", lu="L-1").tick(55)
    return case.ready(2, 25, revision=0, evidence="incomplete").counted(open=0)


def R04_several_codes_wait_no_longer_than_the_bound() -> Case:
    """R4, R63: of its two codes only that of the unit is bound."""
    case = in_its_lane("scan.multiread", codes=["L-1", "OLD"]).tick(55)
    return case.ready(2, 25, revision=0, evidence="incomplete").counted(open=0)


def diverted_and_manifested_while_another_lags() -> Case:
    """C-1 was diverted by its track at 30, ready since then; the manifest of 49 comes while another sorter, heard of
    last at 31, holds the watermark back."""
    case = Case().order(1).task(1)
    case.plan(contents=part(1)).shipment(1, stage_required=True, lanes=["LANE-1"]).pick(10, lu="L-1").close(20)
    case.confirmed(1, 10).packed(1).ready(1, 30)
    case.device("scan.read", 25, src=SORTER, track="7", lu="L-1")
    case.device("divert.confirmed", 30, src=SORTER, track="7", dest="LANE-1")
    case.device("lane.full", 31, src="dc1/sorter/SRT-02", dest="LANE-9", state="clear")
    case.rules["idle_source_ms"] = 20_000
    return case


def R54_the_word_comes_before_the_watermark_has_passed_a_divert_by_track() -> Case:
    """R54, R60, R51: the sorter has gone on, so nothing can come before its divert any more: ready before it left."""
    case = diverted_and_manifested_while_another_lags().device("telemetry", 45, src=SORTER)
    case.wms("manifest.result", 49, shipment="S-1", manifest_no="M-1", tracking=[])
    return manifested(case.device("telemetry", 90), 49, "C-1", manifest_no="M-1")


def R54_the_word_comes_when_the_sorter_of_a_divert_by_track_is_silent() -> Case:
    """R54, R60, R2: the sorter has left when the word comes; that the watermark waits for another changes nothing."""
    case = diverted_and_manifested_while_another_lags()
    case.sources[SORTER] = {"idle_source_ms": 5_000}
    case.wms("manifest.result", 49, shipment="S-1", manifest_no="M-1", tracking=[])
    return manifested(case.device("telemetry", 90), 49, "C-1", manifest_no="M-1")


def R60_identified_right_after_its_loading() -> Case:
    """R60, R51: C-1 lay in its lane since the divert of 18, as is known by 30.3. That it was loaded at 30 had made the
    shipment ready first, which was not told yet."""
    case = Case().shipped(2, stage_required=True, lanes=["LN-1"]).pick(5, 2, lu="L-1").close(10)
    case.device("divert.confirmed", 18, src=SORTER, track="7", dest="LN-1")
    load(case, 30).device("ident.assigned", 30.3, src=SORTER, track="7", lu="L-1")
    leaves(case, 33).device("telemetry", 60, src=STATION)
    case.confirmed(2, 5).packed(2).ready(2, 18).times("SHP_LOAD_BEFORE_READY", 1, "exception.cleared")
    return manifested(case, 33, "C-1", trailer="TR-1")
