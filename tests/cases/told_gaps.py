"""Golden cases of gaps and what they hold back (R6, R7). Read off the rules' text.

Most stories: a station tells a pick at 10 (number 1), number 2 is not heard, and number 3 comes at 20. The task has a
deadline of 30, so that what the deadline says rests on silence.
"""

from __future__ import annotations

from tests.cases.writing import PACK, SCALE, SORTER, STATION, Case, at

GUN, OTHER = "dc1/pick/GUN-01", "dc1/pick/PTL-02"


def told_late(case: Case, kind: str = "pick.confirm", rx: float = 60, t: float = 15, seq: int = 2) -> Case:
    """The number that was missing, as backlog."""
    fields = {"task": "T-1", "sku": "A", "qty": 1} if kind == "pick.confirm" else {}
    return case.tell(STATION, kind, t, rx, seq=seq, hist=True, **fields)


def blind() -> Case:
    """One of three picked; number 2 of the station is missing between 10 and 20."""
    case = Case().order(3).task(3, deadline=at(30)).pick(10).lose()
    return case.device("telemetry", 20, src=STATION)


def down(case: Case | None = None) -> Case:
    """One of three picked at 10; the station's link breaks at 12."""
    case = case or Case().order(3).task(3, deadline=at(30))
    return case.pick(10).tell(STATION, "link.down", 12)


def short(case: Case, picked: int, evidence: str) -> Case:
    """What the deadline of 30 says, once."""
    case.confirmed(picked, 30, revision=0, evidence=evidence)
    return case.shorted(3 - picked, 30, revision=0, evidence=evidence, decided_by="DEADLINE")


# ------------------------------------------------------------------------------------------------ R6


def R06_numbers_that_missing_ones_follow() -> Case:
    """R6: a jump in seq that nothing fills is a gap."""
    case = Case().order(2).task(2).pick(10).lose().pick(12)
    return case.confirmed(2, 12).raised("SEQ_GAP", STATION)


def R06_a_jump_that_is_filled_within_the_disorder() -> Case:
    """R6: number 2 comes before the watermark passes number 3: there was no gap."""
    case = Case().order(3).task(3).pick(10)
    for seq, t, rx in ((3, 12, 12), (2, 11, 12.5)):
        case.tell(STATION, "pick.confirm", t, rx, task="T-1", sku="A", qty=1, seq=seq)
    return case.confirmed(3, 12).never_raised("SEQ_GAP")


def R06_filled_by_a_backlog() -> Case:
    """R6: a hist record fills its place."""
    return short(told_late(blind()), 2, "exact").cleared("SEQ_GAP", STATION)


def R06_filled_by_a_late_live_record() -> Case:
    """R6: a record that is live and late fills its place."""
    case = blind().tell(STATION, "pick.confirm", 22, 26.5, task="T-1", sku="A", qty=1, seq=2)
    return short(case, 2, "exact").cleared("SEQ_GAP", STATION)


def R06_filled_by_a_dead_record() -> Case:
    """R6, R29: a record that is too late to count still fills its place."""
    case = told_late(blind(), rx=130)
    case.rules = {"lateness_ms": 100_000}
    return short(case, 1, "exact").cleared("SEQ_GAP", STATION).raised("TIME_TOO_LATE", STATION).counted(late=1)


def R06_filled_by_noise() -> Case:
    """R6: noise counts in seq."""
    return short(told_late(blind(), "telemetry"), 1, "exact").cleared("SEQ_GAP", STATION)


def R06_every_number_has_to_come() -> Case:
    """R6: two numbers are missing and one comes: the gap stays open."""
    case = Case().order(3).task(3, deadline=at(30)).pick(10).lose().lose().device("telemetry", 20, src=STATION)
    return told_late(case).raised("SEQ_GAP", STATION)


def R06_a_number_fills_a_place_of_its_own_epoch() -> Case:
    """R6: the new epoch's number 2, told out of order, is not the one that is missing in the old one."""
    case = Case().order(3).task(3, deadline=at(15.5)).pick(10).lose().device("telemetry", 20, src=STATION)
    for seq, t, rx in ((1, 21, 21), (3, 23, 23), (2, 22, 23.2)):
        case.tell(STATION, "telemetry", t, rx, seq=seq, epoch=1)
    return case.raised("SEQ_GAP", STATION).times("SEQ_GAP", 1)


def R06_noise_counts_in_seq() -> Case:
    """R6: a heartbeat between two picks leaves no hole."""
    case = Case().order(2).task(2).pick(10).device("telemetry", 11, src=STATION).pick(12)
    return case.confirmed(2, 12).never_raised("SEQ_GAP")


def R06_a_wrap_a_new_epoch_and_a_first_number_are_none() -> Case:
    """R6: begins at 254, is counted on over 255, begins again at 0, and at 7 in a new epoch."""
    case = Case().order(6).task(6)
    for t, seq, epoch in ((10, 254, 0), (11, 255, 0), (12, 256, 0), (13, 0, 0), (14, 1, 0), (15, 7, 1)):
        case.tell(STATION, "pick.confirm", t, task="T-1", sku="A", qty=1, seq=seq, epoch=epoch)
    return case.confirmed(6, 15).never_raised("SEQ_GAP")


def R06_a_link_that_was_down_and_missed_nothing() -> Case:
    """R6: the first live number follows on: the time of link.down is filled."""
    case = down().tell(STATION, "link.up", 39).device("telemetry", 40, src=STATION)
    return short(case, 1, "exact").never_raised("SEQ_GAP").cleared("SRC_DOWN", STATION)


def R06_a_link_that_was_down_and_its_backlog() -> Case:
    """R6: the backlog is told first, and the live number follows on from it."""
    case = told_late(down(), rx=39)
    case.tell(STATION, "telemetry", 40, seq=3)
    return short(case, 2, "exact").never_raised("SEQ_GAP")


def R06_a_backlog_alone_ends_no_link_down() -> Case:
    """R6: a lost link is a gap up to the source's first record that is not hist."""
    return told_late(down(), rx=39).never_raised("SEQ_GAP")


def R06_a_record_that_is_sent_again_ends_no_link_down() -> Case:
    """R5, R6: the broker repeats the pick of 10 when the link is back; it says nothing of the time between."""
    case = down()
    case.records.append(case.records[-2] | {"t_rx": at(14)})
    return case.never_raised("SEQ_GAP").raised("SRC_DOWN", STATION).counted(duplicate=1)


def R06_a_link_that_was_down_and_missed_something() -> Case:
    """R6: the first live number does not follow on."""
    case = down().lose().lose().device("telemetry", 40, src=STATION).until(330)
    return short(case, 1, "incomplete").raised("SEQ_GAP", STATION)


def R06_a_source_that_was_down_and_began_anew() -> Case:
    """R6: a new epoch is no jump, but its number does not follow on: what it missed while it was down is not known."""
    case = down().tell(STATION, "telemetry", 40, seq=2, epoch=1).until(330)
    return short(case, 1, "incomplete").never_raised("SEQ_GAP").cleared("SRC_DOWN", STATION)


def R06_a_source_without_numbers_that_was_down() -> Case:
    """R6: nothing tells whether its first live record follows on: a gap."""
    case = Case().order(3).task(3, deadline=at(30)).tell(STATION, "pick.confirm", 10, task="T-1", sku="A", qty=1)
    case.tell(STATION, "link.down", 12).tell(STATION, "telemetry", 40).until(330)
    return short(case, 1, "incomplete").never_raised("SEQ_GAP")


# ------------------------------------------------------------------------------------------------ R7


def R07_a_deadline_inside_a_gap_is_held() -> Case:
    """R7: held, with the pick.confirmed of the same close."""
    return blind().until(329.999999).raised("SEQ_GAP", STATION)


def R07_held_until_the_gap_is_filled() -> Case:
    """R7: then exact, and what filled it counts; the pick of 70 follows the short (R26)."""
    case = told_late(blind(), rx=60).pick(70).cleared("SEQ_GAP", STATION)
    return case.confirmed(3, 70, revision=1).shorted(0, 70, revision=1)


def R07_held_no_longer_than_gap_hold_ms() -> Case:
    """R7: 300 s after the deadline the short is told, incomplete."""
    return short(blind().until(330), 1, "incomplete").raised("SEQ_GAP", STATION)


def R07_the_hold_of_one_source() -> Case:
    """R7: gap_hold_ms may be the source's own."""
    case = blind().until(90)
    case.sources = {"dc1/pick": {"gap_hold_ms": 60_000}}
    return short(case, 1, "incomplete")


def R07_one_of_two_gaps_is_filled() -> Case:
    """R7: the other one still holds it, until its hold is over."""
    case = blind().lose().device("telemetry", 25, src=STATION)
    return short(told_late(case).until(330), 2, "incomplete")


def R07_one_of_two_gaps_is_filled_and_the_other_holds() -> Case:
    """R7: nothing is told before the hold is over."""
    case = blind().lose().device("telemetry", 25, src=STATION)
    return told_late(case).until(329.999999).times("SEQ_GAP", 1)


def R07_the_deadline_is_moved_while_it_is_held() -> Case:
    """R7, R10: the new deadline of 500 has a hold of its own, to 800."""
    case = blind().task(3, rev=2, t=60, deadline=at(500)).until(799.999999)
    return case.raised("SEQ_GAP", STATION)


def R07_filled_while_what_followed_the_deadline_is_blind() -> Case:
    """R7: a piece of 50 follows the deadline of 30, and so does a gap of 46: once number 2 is here, nothing is blind
    that the deadline rests on."""
    case = blind().device("telemetry", 45, src=STATION).lose().pick(50)
    case = told_late(case, "telemetry").times("SEQ_GAP", 1)
    return case.confirmed(2, 50, evidence="exact").shorted(1, 50, evidence="exact")


def R07_filled_after_the_hold() -> Case:
    """R7, R25: what was told incomplete is revised by the pick that was missing."""
    case = told_late(blind().tick(340), rx=350).cleared("SEQ_GAP", STATION)
    return case.confirmed(2, 30, revision=1).shorted(1, 30, revision=1)


def R07_a_jump_taints_from_its_first_sight() -> Case:
    """R6, R7: the watermark passes the deadline of 15 before the jump of 20 is sure to be a gap, and it is filled."""
    case = Case().order(3).task(3, deadline=at(15)).pick(10).lose().device("telemetry", 20, src=STATION)
    told_late(case, rx=20.5).never_raised("SEQ_GAP").confirmed(2, 15, revision=0, evidence="exact")
    return case.shorted(1, 15, revision=0, evidence="exact")


def R07_a_gap_before_the_window_opened() -> Case:
    """R7: the task came after the gap: they do not overlap."""
    case = Case().order(3).device("telemetry", 2, src=STATION).lose().device("telemetry", 5, src=STATION)
    case.task(3, t=8, deadline=at(30)).pick(10)
    return short(case, 1, "exact").raised("SEQ_GAP", STATION)


def R07_a_number_that_shortens_a_gap() -> Case:
    """R6, R7: numbers 2 and 3 are missing between 10 and 20; 3 comes as backlog, of 16. T-2 was asked for at 16.5
    and due at 17.5, where nothing is missing any more: its short is told then, and is exact, though 2 never comes."""
    case = Case().order(1, 1).task(1).pick(10).lose().lose().task(1, "T-2", line=2, t=16.5, deadline=at(17.5))
    told_late(case.device("telemetry", 20, src=STATION).tick(40), "telemetry", t=16, seq=3).confirmed(1, 10)
    return case.shorted(1, 17.5, "T-2", revision=0, evidence="exact", qty_picked=0).raised("SEQ_GAP", STATION)


def R07_a_gap_after_the_deadline() -> Case:
    """R7: the station was heard up to 31 without a hole; a gap after the deadline holds nothing."""
    case = Case().order(3).task(3, deadline=at(30)).pick(10).device("telemetry", 31, src=STATION).lose()
    return short(case.device("telemetry", 33, src=STATION), 1, "exact").raised("SEQ_GAP", STATION)


def R07_a_gap_of_a_source_that_does_not_feed_it() -> Case:
    """R7: a window is fed by the sources whose records it holds; a gap of another station holds nothing."""
    case = Case().order(3, 2).task(3, deadline=at(30)).task(2, "T-2", line=2).pick(10)
    case.pick(11, src=OTHER, task="T-2").lose(OTHER).pick(20, src=OTHER, task="T-2")
    return short(case, 1, "exact").confirmed(2, 20, "T-2").raised("SEQ_GAP", OTHER)


def R07_a_window_without_records_is_fed_by_all_who_pick() -> Case:
    """R7: nobody picked for T-2; the station that has a gap may have."""
    case = Case().order(1, 1).task(1).task(1, "T-2", line=2, deadline=at(30)).pick(10).lose()
    case.device("telemetry", 20, src=STATION)
    return case.confirmed(1, 10, evidence="exact").raised("SEQ_GAP", STATION)


def R07_a_window_without_records_is_not_fed_by_others() -> Case:
    """R7: the sorter has a gap, and never sent a pick kind."""
    case = Case().order(1, 1).task(1).task(1, "T-2", line=2, deadline=at(30)).pick(10)
    case.device("scan.read", 8, src=SORTER, lu="L-9").lose(SORTER).device("scan.read", 20, src=SORTER, lu="L-9")
    case.confirmed(1, 10).raised("SEQ_GAP", SORTER)
    return case.shorted(1, 30, "T-2", revision=0, evidence="exact", qty_picked=0)


def R07_a_cutoff_inside_a_gap_is_held() -> Case:
    """R7: with short_at_cutoff the cutoff is the deadline of all, and rests on silence as well."""
    case = Case().order(3).task(3).wms("wave.released", wave="W-1", orders=["O-1"], cutoff=at(30)).pick(10).lose()
    case.rules = {"short_at_cutoff": True}
    return case.device("telemetry", 20, src=STATION).raised("SEQ_GAP", STATION)


def R07_an_operators_short_is_never_held() -> Case:
    """R7: somebody looked, and said so."""
    case = blind().short(25, "EMPTY").raised("SEQ_GAP", STATION).confirmed(1, 25, revision=0, evidence="exact")
    return case.shorted(2, 25, revision=0, evidence="exact", decided_by="OPERATOR")


def R07_a_full_window_is_never_held() -> Case:
    """R7: two more pieces inside the gap, told by another station while the deadline is held: positive evidence."""
    case = blind().tick(50).pick(15, 2, rx=60, src=GUN, hist=True)
    return case.confirmed(3, 15, revision=0, evidence="exact").raised("SEQ_GAP", STATION)


def R07_a_cancel_is_never_held() -> Case:
    """R7, R27: the owner's word."""
    case = blind().wms("order.cancelled", 25, rev=2, order="O-1").raised("SEQ_GAP", STATION)
    return case.confirmed(1, 25, revision=0, evidence="exact", cancelled=True)


def ready_but_for_a_gap() -> Case:
    """Packed and closed; number 2 of the station is missing between 8 and 10."""
    case = Case().shipped().pick(8, lu="L-1").lose().pick(10, lu="L-1").close(20)
    return case.confirmed(2, 10, revision=0, evidence="exact").packed(2, revision=0, evidence="exact")


def R07_a_carton_is_never_held_and_readiness_is() -> Case:
    """R7: the close is positive; that nothing else belongs to the shipment rests on silence."""
    return ready_but_for_a_gap().raised("SEQ_GAP", STATION)


def R07_readiness_is_exact_once_the_gap_is_filled() -> Case:
    """R7: with the time at which it became true."""
    case = told_late(ready_but_for_a_gap(), "telemetry", t=9)
    return case.ready(2, 20, revision=0, evidence="exact").cleared("SEQ_GAP", STATION)


def R07_readiness_is_incomplete_after_gap_hold_ms() -> Case:
    """R7: nothing filled it."""
    return ready_but_for_a_gap().until(400).ready(2, 20, revision=0, evidence="incomplete").raised("SEQ_GAP", STATION)


def missed_at_the_close() -> Case:
    """PACK was not heard between 5 and 20; the second piece, of 10, is told at 60 and makes it ready as of 20."""
    case = Case().shipped().device("carton.open", 5, lu="L-1").pick(8, lu="L-1").lose(PACK).close(20)
    case.pick(10, rx=60, lu="L-1", hist=True).raised("SEQ_GAP", PACK)
    return case.confirmed(2, 10).packed(2, revision=1)


def R07_the_hold_counts_from_the_pick_that_made_it_ready() -> Case:
    """R4, R7: from 60, not from 20: it is over at 360."""
    return missed_at_the_close().until(359.999999)


def R07_the_hold_from_the_pick_that_made_it_ready_is_over() -> Case:
    """R4, R7: nothing filled the gap."""
    return missed_at_the_close().until(360).ready(2, 20, revision=0, evidence="incomplete")


def changed_by_a_late_pick(rx: float) -> Case:
    """Ready as of 20 with an operator's short, held for PACK's gap; a piece from before the short is told late."""
    case = Case().shipped().device("carton.open", 5, lu="L-1").pick(8, lu="L-1").short(15).lose(PACK).close(20)
    case.device("pick.confirm", 10, rx, OTHER, task="T-1", sku="A", qty=1, lu="L-1", hist=True).raised("SEQ_GAP", PACK)
    return case.confirmed(2, 15).shorted(0, 15).packed(2)


def R07_what_was_not_told_yet_is_told_as_it_became() -> Case:
    """R7, R52: the truth of 20 was changed at 22, before its hold was over: that is what the gap held."""
    return changed_by_a_late_pick(22).until(400).ready(2, 20, revision=0, short=0)


def R07_what_changes_while_it_is_held_has_its_own_hold() -> Case:
    """R4, R7: from 60 to 360, whatever waited before."""
    return changed_by_a_late_pick(60).until(359.999999)


def R07_ready_again_while_the_gap_is_open() -> Case:
    """R7, R51: the truth of 20 ended at 60 untold; that of 80 is held for itself, and told when its hold is over."""
    case = ready_but_for_a_gap().device("carton.reopen", 60, lu="L-1").close(80).until(500)
    case.expected.pop()
    case.expect("carton.reopened", "C-1", t=60, cause="carton.reopen").raised("SEQ_GAP", STATION)
    return case.packed(2, revision=1, t_close=at(80)).ready(2, 80, revision=0, evidence="incomplete")


def R07_a_lagging_source_does_not_shorten_the_hold() -> Case:
    """R4, R7: hold_wall_max_ms ends the wait for a watermark, not that for a gap."""
    case = Case().shipped().pick(8, lu="L-1").lose().pick(10, lu="L-1").close(20).tick(55).until(200)
    case.rules = {"idle_source_ms": 120_000}
    case.confirmed(2, 10).packed(2, revision=0, evidence="incomplete")
    return case.raised("SEQ_GAP", STATION)


def R07_a_gap_between_the_last_pick_and_the_close() -> Case:
    """R7: the carton is fed by the stations that picked into it until it is closed."""
    case = Case().shipped().pick(10, 2, lu="L-1").lose().device("telemetry", 14, src=STATION).close(20)
    return case.confirmed(2, 10, evidence="exact").packed(2, revision=0, evidence="exact").raised("SEQ_GAP", STATION)


def R07_a_gap_before_the_shipment() -> Case:
    """R7: what a source missed before any of its windows opened holds nothing."""
    case = Case().device("telemetry", 1, src=STATION).lose().device("telemetry", 2, src=STATION)
    case.order(2, t=5).task(2, t=5).plan(t=5).shipment(t=5).pick(10, 2, lu="L-1").close(20)
    return case.confirmed(2, 10).packed(2).ready(2, 20, evidence="exact").raised("SEQ_GAP", STATION)


def R07_a_gap_exactly_over_the_closing_scan() -> Case:
    """R7: the close itself was lost; nobody says that the carton is closed until it comes, as backlog."""
    case = Case().shipped().device("carton.open", 5, lu="L-1").pick(10, 2, lu="L-1").lose(PACK)
    case.device("telemetry", 25, src=PACK).tell(PACK, "carton.close", 20, 60, lu="L-1", seq=2, hist=True)
    case.confirmed(2, 10).cleared("SEQ_GAP", PACK).packed(2, t_close=at(20), revision=0, evidence="exact")
    return case.ready(2, 20, revision=0, evidence="exact")


def R07_a_gap_of_the_station_that_closed_the_carton() -> Case:
    """R7: a window is fed by every source whose record it holds: the shipment by the pack station as well."""
    case = Case().shipped().device("carton.open", 5, lu="L-1").lose(PACK).pick(10, 2, lu="L-1").close(20)
    return case.confirmed(2, 10).packed(2, revision=0, evidence="exact").raised("SEQ_GAP", PACK)


def R07_a_gap_of_a_scale_that_has_nothing_to_do_with_it() -> Case:
    """R7: it weighed another carton."""
    case = Case().shipped().pick(10, 2, lu="L-1").device("weigh", 5, src=SCALE, lu="L-9", weight_g=1).lose(SCALE)
    case.device("weigh", 25, src=SCALE, lu="L-9", weight_g=2).close(26).confirmed(2, 10).packed(2)
    return case.ready(2, 26, evidence="exact").raised("SEQ_GAP", SCALE)


def R07_a_source_that_is_down_is_not_empty() -> Case:
    """R7: the deadline passes while the link is down: held."""
    return down().until(329.999999).raised("SRC_DOWN", STATION).never_raised("SEQ_GAP")


def R07_a_source_that_stays_down() -> Case:
    """R7: the hold is over, and it has not come back: incomplete."""
    return short(down().until(330), 1, "incomplete").raised("SRC_DOWN", STATION)


def R07_all_since_its_last_record_is_blind() -> Case:
    """R6, R7: the link is found down at 19, but nothing was heard after 10: a deadline of 14.5 is held."""
    case = Case().order(3).task(3, deadline=at(14.5)).pick(10).tell(STATION, "link.down", 19)
    return case.raised("SRC_DOWN", STATION)


def R07_what_the_driver_says_was_lost() -> Case:
    """R6, R7: source.gap is one: held, then incomplete."""
    case = Case().order(3).task(3, deadline=at(30)).pick(10)
    case.tell(STATION, "source.gap", 20, t_from=at(12), t_to=at(18)).device("telemetry", 20, src=STATION).until(330)
    return short(case, 1, "incomplete").never_raised("SEQ_GAP")


def R07_a_source_that_is_down_is_not_clear() -> Case:
    """R7: a lane that was full stays full."""
    case = Case().device("lane.full", 10, src=SORTER, state="set", dest="D-1").tell(SORTER, "link.down", 12).tick(100)
    return case.times("RTE_LANE_FULL", 1).times("RTE_LANE_FULL", 0, "exception.cleared")


def R07_a_pick_that_fills_the_gap_after_the_deadline() -> Case:
    """R7, R21, R52: the deadline of 60 was held, and the pick that was missing makes the task full: ready since 30, and
    the short that was never told is in no shipment."""
    case = Case().order(3).task(3, deadline=at(60)).plan().shipment(3)
    case.pick(10, lu="L-1").lose().pick(12, lu="L-1").close(30).device("telemetry", 64)
    case.tell(STATION, "pick.confirm", 11, 66, seq=2, hist=True, task="T-1", sku="A", qty=1, lu="L-1")
    case.device("telemetry", 100)
    return case.confirmed(3, 12, revision=0).packed(3).ready(3, 30)


def R06_what_a_source_tells_of_its_link_counts_in_seq() -> Case:
    """R6, R7: number 2 is link.down, number 4 link.up; nothing was missed, so the deadline of 60 is exact."""
    case = Case().order(3).task(3, deadline=at(60)).pick(10).device("link.down", 20, src=STATION)
    case.device("telemetry", 61, src=OTHER).device("telemetry", 70, src=OTHER)
    case.pick(30, rx=80, hist=True).device("link.up", 84, src=STATION).device("telemetry", 95, src=STATION)
    return case.confirmed(2, 60, evidence="exact").shorted(1, 60, evidence="exact").never_raised("SEQ_GAP")


def R05_a_link_down_that_is_sent_again() -> Case:
    """R5: the broker repeats that the station went, after it has come back: it is in, and nothing is blind."""
    case = Case().order(3).task(3, deadline=at(60)).pick(10).device("link.down", 20, src=STATION)
    case.pick(25).records.append({**case.records[-2], "t_rx": at(26)})
    case.device("telemetry", 64, src=STATION).device("telemetry", 80, src=STATION)
    case.confirmed(2, 60, evidence="exact").shorted(1, 60, evidence="exact").counted(duplicate=1)
    return case.times("SRC_DOWN", 1)


# ------------------------------------------------------------------------------------------------ several at once


def gap(case: Case, t_from: float, t_to: float, t: float, src: str = STATION) -> Case:
    """What the driver of a source says it has not heard."""
    return case.tell(src, "source.gap", t, t_from=at(t_from), t_to=at(t_to))


def R06_noise_is_a_last_record_before_link_down() -> Case:
    """R6: the station was heard at 22, though it has been idle since 15: at 20 its link was not down."""
    case = Case().shipped().pick(10, 2, lu="L-1").close(20).device("telemetry", 22, src=STATION)
    case.tell(STATION, "link.down", 23).until(120)
    case.confirmed(2, 10).packed(2).raised("SRC_DOWN", STATION)
    return case.ready(2, 20, evidence="exact")


def R06_who_was_only_heard_of_by_noise_goes_down() -> Case:
    """R6, R7: the packer had sent nothing but noise; until it closes the carton it was blind, and readiness waits."""
    case = Case().shipped().device("telemetry", 1, src=PACK).tell("dc1/gw/G-1", "link.down", 7, scope="dc1/pack")
    case.pick(15, 2, lu="L-1").lose(PACK).close(18).until(120)
    return case.confirmed(2, 15).packed(2).cleared("SRC_DOWN", PACK, t=18)


def R07_of_two_gaps_the_longer_hold_ends_with_its_filling() -> Case:
    """R7: from 30 on it waits for the packer until 60, when its number comes, and for the station until 35."""
    case = gap(Case().shipped().pick(10, 2, lu="L-1"), 11, 14, 15).close(20).lose(PACK)
    case.device("telemetry", 30, src=PACK).tell(PACK, "telemetry", 25, 60, seq=2, hist=True).until(120)
    case.sources = {STATION: {"gap_hold_ms": 5_000}}
    case.confirmed(2, 10).packed(2).cleared("SEQ_GAP", PACK)
    return case.ready(2, 20, evidence="incomplete")


def R07_a_gap_that_is_seen_while_another_holds() -> Case:
    """R7: at 35 the station's hold is over; the packer's, which was blind from 20 to 33, is not."""
    case = gap(Case().shipped().pick(10, 2, lu="L-1"), 11, 14, 15).close(20).tick(31).lose(PACK)
    case.device("telemetry", 33, src=PACK).until(120).sources = {STATION: {"gap_hold_ms": 5_000}}
    return case.confirmed(2, 10).packed(2).raised("SEQ_GAP", PACK)


def R07_full_at_its_deadline_is_not_held() -> Case:
    """R7, R21: nothing is short of it."""
    case = gap(Case().order(2).task(2, deadline=at(13)), 1, 5, 6).pick(8).pick(13).until(100)
    return case.confirmed(2, 13, evidence="exact")


def R07_a_gap_of_the_station_that_told_a_short() -> Case:
    """R7: a short is a record of the window, too: its station feeds the window like the one that picked."""
    case = Case().shipped().pick(10, src="dc1/pick/PTL-02", lu="L-1").short(15, "DAMAGED").close(18)
    gap(case, 17, 21, 22).until(120)
    return case.confirmed(1, 15).shorted(1, 15).packed(1)


def R07_what_was_told_when_the_hold_was_over_is_not_moved() -> Case:
    """R7, R26: at 330 the deadline of 30 has closed the window, incomplete; one that is set later opens nothing."""
    case = blind().tick(340).task(3, t=350, rev=2, deadline=at(400)).pick(360).until(500).raised("SEQ_GAP", STATION)
    return case.confirmed(2, 360, revision=1).shorted(1, 360, revision=1, reason="DEADLINE")
