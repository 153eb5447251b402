"""Golden cases of load units, cartons, shipments and tracks. The expectations are read off the rules' text."""

from __future__ import annotations

from tests.cases.writing import SCALE, SORTER, STATION, Case, at

GUN = "dc1/pick/GUN-01"


def sorted_to(case: Case, t: float, dest: str, track: str = "5", lu: str = "L-1") -> Case:
    case.device("item.inducted", t, src=SORTER, track=track).device("scan.read", t + 1, src=SORTER, track=track, lu=lu)
    return case.device("divert.confirmed", t + 2, src=SORTER, track=track, dest=dest)


def R40_a_tote_is_reused_while_a_pick_is_in_flight() -> Case:
    """R40: a pick joins the cycle that contains its event time, not the current one."""
    case = Case().order(2).task(2).task(1, "T-2").pick(10, lu="L-1").close(20).wms("lu.release", 30, lu="L-1")
    case.pick(40, task="T-2", lu="L-1").pick(15, rx=45, src=GUN, lu="L-1", hist=True).close(60)
    case.packed(2, "L-1#1", t_close=at(20)).packed(1, "L-1#2", t_close=at(60), t_open=at(40))
    return case.confirmed(2, 15).confirmed(1, 40, "T-2")


def R40_what_falls_between_two_cycles_joins_the_earlier() -> Case:
    """R40: a weighing and the close after the release belong to the cycle that was released."""
    case = Case().order(2).task(1).pick(10, lu="L-1").wms("lu.release", 20, lu="L-1").close(22)
    case.device("weigh", 24, src=SCALE, lu="L-1", weight_g=500)
    return case.confirmed(1, 10).packed(1, "L-1#1", t_close=at(22), weight_g=500)


def R40_bound_to_another_carton() -> Case:
    """R40: a bind to another target begins the next cycle."""
    case = Case().order(2).task(1).task(1, "T-2").wms("lu.bind", 1, lu="L-1", carton="C-1").pick(10, lu="L-1").close(20)
    case.wms("lu.bind", 30, lu="L-1", carton="C-2").pick(40, task="T-2", lu="L-1").close(50)
    case.confirmed(1, 10).confirmed(1, 40, "T-2")
    return case.packed(1, "C-1", t_open=at(1), t_close=at(20)).packed(1, "C-2", t_open=at(30), t_close=at(50))


def R40_a_late_bind_makes_one_cycle_of_two() -> Case:
    """R40, R44: with a carton id the open of 16 opens C-1 again; the second cycle never was, and is not told."""
    case = Case().order(2).task(2).pick(10, lu="L-1").close(15).device("carton.open", 16, lu="L-1").pick(17, lu="L-1")
    case.close(18).wms("lu.bind", 12, 19, lu="L-1", carton="C-1").confirmed(2, 17)
    return case.packed(2, "C-1", t_close=at(18)).expect("carton.reopened", "C-1", t=16, cause="carton.open")


def R40a_a_load_unit_without_a_carton_id() -> Case:
    """R40a: the key is lu#cycle, and `carton` in data says the same."""
    case = Case().order(1).task(1).device("carton.open", 5, lu="L-1").pick(10, lu="L-1").close(20)
    return case.confirmed(1, 10).packed(1, "L-1#1", carton="L-1#1", lu="L-1", t_open=at(5), t_close=at(20))


def R40a_the_device_names_the_carton() -> Case:
    """R40a: without bind or plan the carton of the device records is it."""
    case = Case().order(1).task(1).device("carton.open", 5, lu="L-1", carton="C-7").pick(10, lu="L-1").close(20)
    return case.confirmed(1, 10).packed(1, "C-7", carton="C-7", lu="L-1")


def R43_contents_are_summed_by_line_sku_and_lot() -> Case:
    """R43: one entry for each order, line, sku and lot; zeros are left out; a reversal follows the last pick's unit."""
    case = Case().order(3, 1).task(3).task(1, "T-2", line=2).plan()
    case.pick(10, 2, lu="L-1", lot="X").pick(11, lu="L-1", lot="Y").pick(12, task="T-2", lu="L-1")
    case.device("pick.reverse", 14, src=STATION, task="T-2", sku="A", qty=1).close(20)
    contents = [
        {"line": 1, "lot": "X", "order": "O-1", "qty": 2, "sku": "A"},
        {"line": 1, "lot": "Y", "order": "O-1", "qty": 1, "sku": "A"},
    ]
    case.expect("carton.closed", "C-1", contents=contents, shipment="S-1").confirmed(3, 11)
    case.expect("pick.reversed", "T-2/dc1/pick/PTL-01/0/4/0", qty=1)
    return case.confirmed(0, 14, "T-2")


def R43_a_pick_without_a_load_unit_takes_the_tasks() -> Case:
    """R43: the task names the tote."""
    case = Case().order(1).task(1, lu="L-1").plan().pick(10).close(20)
    return case.confirmed(1, 10, lu="L-1").packed(1)


def R43_a_pick_after_the_close_is_not_in_it() -> Case:
    """R43, R44: contents stop at t_close; the piece after it reopens the carton."""
    case = Case().order(2).task(2).plan().pick(10, lu="L-1").close(20).pick(21, lu="L-1")
    case.expect("carton.reopened", "C-1", t=21, cause="pick.confirm")
    return case.confirmed(2, 21).packed(1, t_close=at(20))


def R44_a_late_pick_revises_the_carton() -> Case:
    """R44: a pick from before t_close that arrives after the emission."""
    case = Case().order(2).task(2).plan().pick(10, lu="L-1").close(20).device("telemetry", 60)
    case.pick(15, rx=70, src=GUN, lu="L-1", hist=True)
    return case.confirmed(2, 15).packed(2, revision=1, t_close=at(20))


def R44_reopened_and_closed_again() -> Case:
    """R44: reopened, and the next close is revision 1."""
    case = Case().order(2).task(2).plan().pick(10, lu="L-1").close(20).device("carton.reopen", 40, lu="L-1")
    case.pick(45, lu="L-1").close(50).expect("carton.reopened", "C-1", t=40, revision=0, cause="carton.reopen")
    return case.confirmed(2, 45).packed(2, revision=1, t_open=at(0), t_close=at(50))


def R44_a_reopening_never_swallows_a_close() -> Case:
    """R44: reopened one second after the close: both are told."""
    case = Case().order(1).task(1).plan().pick(10, lu="L-1").close(20).device("carton.reopen", 21, lu="L-1")
    case.expect("carton.reopened", "C-1", revision=0, cause="carton.reopen")
    return case.confirmed(1, 10).packed(1, revision=0, t_close=at(20))


def R44_an_open_without_a_carton_id_begins_a_new_cycle() -> Case:
    """R44: where the cycle has no carton id, carton.open after t_close is the next cycle."""
    case = Case().order(2).task(1).task(1, "T-2").device("carton.open", 5, lu="L-1").pick(10, lu="L-1").close(20)
    case.device("carton.open", 30, lu="L-1").pick(35, task="T-2", lu="L-1").close(40)
    case.confirmed(1, 10).confirmed(1, 35, "T-2")
    return case.packed(1, "L-1#1", t_close=at(20)).packed(1, "L-1#2", t_open=at(30), t_close=at(40))


def R45_the_last_weighing_within_the_hold() -> Case:
    """R45: the last by event time up to t_close + close_hold_ms; a later one does not count."""
    case = Case().order(1).task(1).plan().pick(10, lu="L-1").device("weigh", 15, src=SCALE, lu="L-1", weight_g=1)
    case.close(20).device("weigh", 24, src=SCALE, lu="L-1", weight_g=2)
    case.device("weigh", 26, src=SCALE, lu="L-1", weight_g=3)
    return case.confirmed(1, 10).packed(1, weight_g=2)


def R45_a_weighing_that_arrives_late_revises() -> Case:
    """R45: a weighing from within the hold that comes after the emission."""
    case = Case().order(1).task(1).plan().pick(10, lu="L-1").close(20).device("telemetry", 60)
    case.device("weigh", 22, rx=70, src=SCALE, lu="L-1", weight_g=2, hist=True)
    return case.confirmed(1, 10).packed(1, revision=1, weight_g=2)


def R45_an_empty_carton_is_no_event() -> Case:
    """R45: closed empty: nothing; the late pick that fills it makes revision 0, with the weight as known."""
    case = Case().order(1).task(1).plan().device("carton.open", 5, lu="L-1").close(20)
    case.device("weigh", 21, src=SCALE, lu="L-1", weight_g=2).device("telemetry", 60)
    case.pick(15, rx=70, src=GUN, lu="L-1", hist=True)
    return case.confirmed(1, 15).packed(1, revision=0, weight_g=2)


def R45_an_empty_carton_stays_no_event() -> Case:
    """R45: closed empty and nothing ever in it."""
    return Case().order(1).plan().device("carton.open", 5, lu="L-1").close(20)


def R46_a_second_close_is_no_event() -> Case:
    """R46: without a reopening between, the second close says nothing."""
    case = Case().order(1).task(1).plan().pick(10, lu="L-1").close(20).close(40)
    return case.confirmed(1, 10).packed(1, revision=0, t_close=at(20))


def R50_ready() -> Case:
    """R50, R51: all packed and closed; time is that of the fact that made it true."""
    case = Case().shipped(carrier="UPS").pick(10, 2, lu="L-1").close(20)
    return case.confirmed(2, 10).packed(2, shipment="S-1").ready(2, 20, cartons=["C-1"], plan_rev=1)


def R50_not_ready_while_a_window_is_open() -> Case:
    """R50: one piece is missing and nobody said why."""
    return Case().shipped().pick(10, lu="L-1").close(20).packed(1)


def R50_ready_with_a_short() -> Case:
    """R50: p + s reaches the plan; partial."""
    case = Case().shipped().pick(10, lu="L-1").short(15).close(20)
    return case.confirmed(1, 15).shorted(1, 15).packed(1).ready(1, 20, short=1)


def R50_a_short_is_picked_at_another_place() -> Case:
    """R50: the rest of a short task is tasked again; what is packed in the end is not short."""
    case = Case().shipped(3).pick(10, 2, lu="L-1").short(15, "NOT_FOUND").task(1, "T-2", t=30, loc="B-9")
    case.pick(40, task="T-2", lu="L-1").close(50)
    return case.confirmed(2, 15).shorted(1, 15).confirmed(1, 40, "T-2").packed(3).ready(3, 50)


def R50_a_held_short_waits_for_the_oms() -> Case:
    """R50: short_policy HOLD: a short line keeps the shipment back."""
    case = Case().order(2, short_policy="HOLD").task(2).plan().shipment().pick(10, lu="L-1").short(15).close(20)
    return case.confirmed(1, 15).shorted(1, 15).packed(1)


def R50_a_planned_carton_that_is_never_used() -> Case:
    """R50a: a planned carton without a cycle counts as not closed, until the plan drops it."""
    return Case().shipped().plan("C-2", lu=None).pick(10, 2, lu="L-1").close(20).confirmed(2, 10).packed(2)


def R50a_the_plan_drops_an_unused_carton() -> Case:
    """R50a: planned again without contents it does not count; the shipment is ready from then on."""
    case = Case().shipped().plan("C-2", lu=None).pick(10, 2, lu="L-1").close(20)
    case.plan("C-2", lu=None, t=40, rev=2, contents=[])
    return case.confirmed(2, 10).packed(2).ready(2, 40, cartons=["C-1"])


def R50_nothing_packed_is_not_ready() -> Case:
    """R50: all short, nothing packed: SHP_EMPTY, never ready."""
    return Case().order(2).task(2).shipment().short(10).shorted(2, 10)


def R50_over_the_plan_is_not_ready() -> Case:
    """R24, R50: over tolerance the line is not ready, until a reversal undoes it."""
    case = Case().shipped().pick(10, 3, lu="L-1").close(20)
    return case.confirmed(3, 10, over_qty=1).packed(3)


def R50_over_within_tolerance_is_ready() -> Case:
    """R24, R50: 3 for 2 with 50 % is within tolerance."""
    case = Case().order(2, over_tol_pct=50).task(2).plan().shipment().pick(10, 3, lu="L-1").close(20)
    line = {"cancelled": 0, "line": 1, "order": "O-1", "ordered": 2, "packed": 3, "short": 0}
    return case.confirmed(3, 10, over_qty=1).packed(3).expect("shipment.ready", "S-1", lines=[line], partial=False)


def R50_staged_in_its_lane() -> Case:
    """R50, R60, R62: with stage_required ready comes with the divert; the track is known from the scan."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    return sorted_to(case, 30, "D-1").confirmed(2, 10).packed(2).ready(2, 32)


def R50_in_another_lane_is_not_staged() -> Case:
    """R50, R62: the place is the actual dest; a second divert is a relocation."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    return sorted_to(case, 30, "REJECT").confirmed(2, 10).packed(2)


def R50_loaded_counts_as_staged() -> Case:
    """R50: loaded, although never seen in a lane."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    case.device("load.scanned", 30, src="dc1/dock/GUN-9", lu="L-1", trailer="TR-1")
    return case.confirmed(2, 10).packed(2).ready(2, 30)


def R50_late_picks_fill_an_unplanned_carton() -> Case:
    """R50a, R45: closed while nothing was known to be in it; the backlog fills it, and the shipment is ready."""
    case = Case().order(2).task(2).shipment().close(20, carton="C-7").device("telemetry", 60)
    case.pick(10, 2, rx=70, src=GUN, lu="L-1", carton="C-7", hist=True)
    contents = [{"line": 1, "order": "O-1", "qty": 2, "sku": "A"}]
    case.expect("carton.closed", "C-7", revision=0, contents=contents)
    return case.confirmed(2, 10).ready(2, 20, cartons=["C-7"])


def R50_more_than_planned_is_not_ready() -> Case:
    """R50: planned is the scope's quantity; a task that was raised above it does not make the shipment ready."""
    case = Case().shipped(2).task(3, rev=2, t=5).pick(10, 3, lu="L-1").close(20)
    return case.confirmed(3, 10, over_qty=0).packed(3)


def R51_reopened_at_the_very_end_of_the_hold() -> Case:
    """R51: the watermark has to pass t + ready_hold_ms, and by then the reopening of that moment is known."""
    case = Case().shipped().pick(10, 2, lu="L-1").close(20).device("carton.reopen", 25, lu="L-1")
    case.expect("carton.reopened", "C-1", cause="carton.reopen")
    return case.confirmed(2, 10).packed(2)


def R51_ready_is_not_told_again_after_unready() -> Case:
    """R51, R52: a weighing made nothing true; when a pick breaks the truth, no second ready may follow the unready."""
    case = Case().shipped().pick(14.35, 2, rx=14.983, src=GUN, lu="L-1").device("carton.close", 20, rx=21.016, lu="L-1")
    case.tell(SCALE, "weigh", 25.75, 25.831, lu="L-1", weight_g=9)
    case.device("pick.short", 26.3, 27.033, STATION, task="T-9", code="EMPTY").pick(31, rx=31.972, lu="L-1")
    case.expect("carton.reopened", "C-1", cause="pick.confirm").expect("shipment.unready", "S-1", t=31, revision=0)
    return case.confirmed(3, 31, over_qty=1).packed(2, weight_g=None).ready(2, 20, revision=0)


def R51_a_truth_that_does_not_last() -> Case:
    """R51: reopened within ready_hold_ms: never ready, and so never unready."""
    case = Case().shipped().pick(10, 2, lu="L-1").close(20).device("carton.reopen", 23, lu="L-1")
    case.expect("carton.reopened", "C-1", cause="carton.reopen")
    return case.confirmed(2, 10).packed(2)


def R52_ready_reopened_ready_again() -> Case:
    """R52: ready, unready with its cause, and ready again as revision 1."""
    case = Case().shipped().pick(10, 2, lu="L-1").close(20).device("carton.reopen", 60, lu="L-1").close(80)
    case.expect("carton.reopened", "C-1", cause="carton.reopen")
    case.expect("shipment.unready", "S-1", t=60, revision=0, cause="carton.reopen")
    return case.confirmed(2, 10).packed(2, revision=1, t_close=at(80)).ready(2, 80, revision=1)


def R52_a_late_pick_turns_a_short_into_packed() -> Case:
    """R52: the data of a ready shipment changes: ready n+1 without an unready."""
    case = Case().shipped().pick(10, lu="L-1").short(15).close(20).device("telemetry", 60)
    case.pick(12, rx=70, src=GUN, lu="L-1", hist=True)
    case.confirmed(2, 15, revision=1).shorted(0, 15, revision=1)
    line = {"cancelled": 0, "line": 1, "order": "O-1", "ordered": 2, "packed": 2, "short": 0}
    return case.packed(2, revision=1).expect("shipment.ready", "S-1", revision=1, lines=[line], partial=False)


def R52_recirculated_after_ready() -> Case:
    """R50, R52: recirculation leaves the carton without a place; the next divert stages it again."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    sorted_to(case, 30, "D-1").device("item.recirculated", 60, src=SORTER, track="5")
    case.device("divert.confirmed", 70, src=SORTER, track="5", dest="D-1")
    case.expect("shipment.unready", "S-1", t=60, cause="item.recirculated")
    return case.confirmed(2, 10).packed(2).ready(2, 70, revision=1)


def R54_manifested() -> Case:
    """R54: the TMS's result, with its numbers and the carton's weight."""
    case = Case().shipped().pick(10, 2, lu="L-1").close(20).device("weigh", 21, src=SCALE, lu="L-1", weight_g=700)
    tracking = [{"carton": "C-1", "tracking_no": "1Z9"}]
    case.wms("manifest.result", 60, shipment="S-1", manifest_no="M-1", carrier="UPS", tracking=tracking)
    cartons = [{"carton": "C-1", "tracking_no": "1Z9", "weight_g": 700}]
    case.expect("shipment.manifested", "S-1", t=60, manifest_no="M-1", carrier="UPS", cartons=cartons, left_behind=[])
    return case.confirmed(2, 10).packed(2).ready(2, 20)


def R56_the_shipment_is_cancelled() -> Case:
    """R56: before the manifest, unready if it was ready; never ready again (R51)."""
    case = Case().shipped().pick(10, 2, lu="L-1").close(20).wms("shipment.cancelled", 60, rev=2, shipment="S-1")
    case.expect("shipment.unready", "S-1", t=60, cause="shipment.cancelled")
    return case.confirmed(2, 10).packed(2).ready(2, 20, revision=0)


def R60_facts_before_the_identification_belong_to_the_unit() -> Case:
    """R60: the divert came before the manual identification, within one life of the track."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    case.device("item.inducted", 30, src=SORTER, track="5").device("scan.noread", 31, src=SORTER, track="5")
    case.device("item.recirculated", 33, src=SORTER, track="5").device("item.recirculated", 36, src=SORTER, track="5")
    case.device("divert.confirmed", 40, src=SORTER, track="5", dest="D-1")
    case.device("ident.assigned", 90, src=SORTER, track="5", lu="L-1")
    return case.confirmed(2, 10).packed(2).expect("shipment.ready", "S-1", partial=False, cartons=["C-1"])


def R60_a_track_number_is_used_again() -> Case:
    """R60: the second life's divert is not the first carton's."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    sorted_to(case, 30, "REJECT")
    return sorted_to(case, 60, "D-1", lu="L-9").confirmed(2, 10).packed(2)


def R61_recirculation_closes_nothing() -> Case:
    """R61: loops of an open carton emit nothing."""
    case = Case().order(2).task(2).plan().pick(10, lu="L-1")
    for t in range(20, 50, 10):
        case.device("item.recirculated", t, src=SORTER, lu="L-1")
    return case


def R61_too_many_loops() -> Case:
    """R61: the fourth loop is one too many; a divert ends the count."""
    case = Case().order(2).task(2).plan().pick(10, lu="L-1")
    for t in (20, 30, 40, 50, 70, 80, 90):
        case.device("item.recirculated", t, src=SORTER, lu="L-1")
    case.device("divert.confirmed", 60, src=SORTER, lu="L-1", dest="D-1")
    case.records.sort(key=lambda record: record["t_rx"])
    for at_, record in enumerate(record for record in case.records if record["src"] == SORTER):
        record["seq"] = at_
    case.expect("exception.raised", "RTE_MAX_RECIRC/lu/L-1/1", t=50, code="RTE_MAX_RECIRC", detail="4 loops")
    return case.times("RTE_MAX_RECIRC", 1)


def read_at(case: Case, t: float, point: str = "SEALER-1") -> Case:
    """Behind the sealer only closed cartons come by."""
    case.rules = case.rules | {"closing_points": ["SEALER-1"]}
    return case.device("scan.read", t, src=SORTER, lu="L-1", point=point)


def R42_read_behind_the_sealer() -> Case:
    """R42: closed, inferred; a pick that comes within the hold is in it."""
    case = read_at(Case().order(2).task(2).plan().pick(10, lu="L-1"), 20).pick(15, rx=22, src=GUN, lu="L-1", hist=True)
    return case.confirmed(2, 15).packed(2, t_close=at(20), revision=0, evidence="inferred")


def R42_read_elsewhere() -> Case:
    """R42: another read point closes nothing, and neither does an hour."""
    case = read_at(Case().order(1).task(1).plan().pick(10, lu="L-1"), 20, "SCN-7")
    return case.device("telemetry", 3600).confirmed(1, 10)


def R42_the_real_close_comes_later() -> Case:
    """R42, R46: it is closed already: no event, and the inferred close stands."""
    case = read_at(Case().order(1).task(1).plan().pick(10, lu="L-1"), 20).close(30)
    case.expect("exception.raised", "PKG_DOUBLE_CLOSE/carton/C-1/1", code="PKG_DOUBLE_CLOSE")
    return case.confirmed(1, 10).packed(1, t_close=at(20), revision=0, evidence="inferred")


def R42_the_real_close_came_before() -> Case:
    """R42: only an open unit is closed by it: nothing happens, and nobody closed twice."""
    case = read_at(Case().order(1).task(1).plan().pick(10, lu="L-1").close(20), 30).never_raised("PKG_DOUBLE_CLOSE")
    return case.confirmed(1, 10).packed(1, t_close=at(20), revision=0, evidence="exact")


def R42_a_real_close_of_an_earlier_moment() -> Case:
    """R42, R3: the close of 19 arrives after the read of 20: the carton was closed already when it was read."""
    case = read_at(Case().order(1).task(1).plan().pick(10, lu="L-1"), 20)
    case.device("carton.close", 19, rx=20.5, lu="L-1").never_raised("PKG_DOUBLE_CLOSE")
    return case.confirmed(1, 10).packed(1, t_close=at(19), revision=0, evidence="exact")


def R42_read_twice() -> Case:
    """R42: the sorter's loop brings it by again: it is not open any more, and nobody closed it twice."""
    case = read_at(read_at(Case().order(1).task(1).plan().pick(10, lu="L-1"), 20), 40).never_raised("PKG_DOUBLE_CLOSE")
    return case.confirmed(1, 10).packed(1, t_close=at(20), revision=0, evidence="inferred")


def R42_a_read_before_it_was_opened() -> Case:
    """R42: only an open unit is closed; what is picked into it later is open."""
    return read_at(Case().order(1).task(1), 5).pick(10, lu="L-1").confirmed(1, 10)


def R42_reopened_and_read_again() -> Case:
    """R42, R44: open again, so the next read closes it again."""
    case = read_at(Case().order(2).task(2).plan().pick(10, lu="L-1").close(20), 30).device(
        "carton.reopen", 40, lu="L-1"
    )
    read_at(case.pick(45, lu="L-1"), 50).expect("carton.reopened", "C-1", t=40, cause="carton.reopen")
    return case.confirmed(2, 45).packed(2, t_close=at(50), revision=1, evidence="inferred")


def R41_the_read_point_had_closed_it() -> Case:
    """R41, R42: closed behind the sealer, so the tote that is bound again at 40 leaves nobody open."""
    case = read_at(Case().order(2).task(2).plan().shipment(2).pick(10, 2, lu="L-1"), 20)
    case.wms("lu.bind", 40, lu="L-1", carton="C-2").never_raised("PKG_TOTE_REBOUND_OPEN")
    return case.confirmed(2, 10).packed(2, t_close=at(20), evidence="inferred").ready(2, 20, cartons=["C-1"])


def R41_the_last_pick_at_the_very_close() -> Case:
    """R41, R43: a pick of the close's own moment lies in the closed carton, it opens nothing."""
    case = Case().order(2).task(2).plan().shipment(2).pick(20, 2, lu="L-1").close(20)
    case.wms("lu.bind", 40, lu="L-1", carton="C-2").never_raised("PKG_TOTE_REBOUND_OPEN")
    return case.confirmed(2, 20).packed(2, t_close=at(20)).ready(2, 20, cartons=["C-1"])


def R44_opened_again_behind_the_read_point() -> Case:
    """R42, R44: closed by a read point or by a station, an open without a carton id is the next carton."""
    case = read_at(Case().order(2).task(1).task(1, "T-2").pick(10, lu="L-1"), 20)
    case.device("carton.open", 30, lu="L-1").pick(35, task="T-2", lu="L-1").close(40)
    case.confirmed(1, 10).confirmed(1, 35, "T-2")
    return case.packed(1, "L-1#1", t_close=at(20)).packed(1, "L-1#2", t_open=at(30), t_close=at(40))


def R42_inferred_and_forced() -> Case:
    """R42, R4: incomplete outranks inferred: the station has only come to 10."""
    case = read_at(Case().order(1).task(1).plan().pick(10, lu="L-1"), 20).tick(50)
    case.rules = case.rules | {"idle_source_ms": 120_000}
    return case.confirmed(1, 10).packed(1, t_close=at(20), revision=0, evidence="incomplete")


def R40a_another_unit_becomes_the_carton() -> Case:
    """R40a, R81: C-1 was told out of L-1, then L-2 is bound to it: one key, so its close is the next revision."""
    case = (
        Case()
        .order(2)
        .task(2)
        .plan()
        .shipment(2)
        .pick(10, 2, lu="L-1")
        .close(20)
        .wms("lu.bind", 40, lu="L-2", carton="C-1")
    )
    case.device("pack.confirm", 45, from_lu="L-1", lu="L-2").close(50, "L-2")
    case.expect("carton.reopened", "C-1", t=45).expect("shipment.unready", "S-1", t=40, cause="lu.bind")
    return case.confirmed(2, 10).packed(2, t_close=at(50), revision=1, lu="L-2").ready(2, 50, cartons=["C-1"])


def R44_a_late_pick_into_a_carton_that_another_unit_carries_on() -> Case:
    """R40a, R44: the piece of 15 lay in L-1, which was C-1 then; C-1 is L-2 now, and what was told of it stands."""
    case = Case().order(3).task(3).plan().pick(10, lu="L-1").close(20).wms("lu.bind", 40, lu="L-2", carton="C-1")
    case.pick(45, lu="L-2").close(50, "L-2").device("telemetry", 100)
    case.pick(15, rx=105, src=GUN, lu="L-1", hist=True)
    return case.confirmed(3, 45).packed(1, t_close=at(50), revision=1, lu="L-2")


def R47_out_of_a_unit_that_nobody_knows() -> Case:
    """R47: two pieces of T-1 were picked without a unit, and packed out of a cart that nobody had scanned."""
    case = Case().order(2).task(2).shipment(2).pick(10, 2)
    case.device("pack.confirm", 15, from_lu="CART", lu="L-1", task="T-1", sku="A", qty=2).close(20)
    return case.confirmed(2, 10).packed(2, "L-1#1").ready(2, 20, cartons=["L-1#1"])
