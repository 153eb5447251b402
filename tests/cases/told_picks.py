"""Golden cases of time, duplicates, context and pick windows. The expectations are read off the rules' text."""

from __future__ import annotations

from typing import Any

from tests.cases.writing import STATION, WMS, Case, at


def R01_clock_that_jumps_back() -> Case:
    """R1: a live time more than skew_max_ms away from t_rx is not trusted; the record happens when it is received."""
    case = Case().order(2).task(2).pick(10).pick(-3600, rx=12)
    return case.confirmed(2, 12, t_first=at(10))


def R01_time_in_the_future() -> Case:
    """R1: nobody may be more than skew_max_ms in the future of t_rx."""
    return Case().order(1).task(1).pick(3600, rx=12).confirmed(1, 12)


def R01_backlog_keeps_its_times() -> Case:
    """R1: hist records keep their times however late they come; the window closes at its last pick."""
    case = Case().order(2).task(2).pick(20).pick(10, rx=60, hist=True)
    return case.confirmed(2, 20, t_first=at(10))


def R02_quiet_wms_does_not_hold_the_watermark() -> Case:
    """R2: context brings no source in, so a deadline is decided while the WMS is silent."""
    case = Case().order(2).task(2, deadline=at(15)).pick(10)
    for second in range(11, 60, 3):
        case.device("telemetry", second, src="dc1/pick/PTL-01")
    return case.confirmed(1, 15).shorted(1, 15, decided_by="DEADLINE")


def R05_the_same_number_twice() -> Case:
    """R5: the same dev_id is one record."""
    case = Case().order(3).task(3).pick(10, 1).pick(11, 1)
    case.records.append(case.records[-1] | {"t_rx": at(13)})
    return case.short(20).confirmed(2, 20).shorted(1, 20, qty_picked=2)


def R05_two_presses_of_one_piece_are_two_picks() -> Case:
    """R5: content alone never makes a duplicate."""
    return Case().order(2).task(2).pick(10).pick(10).confirmed(2, 10)


def R05_without_a_number_payload_and_time_decide() -> Case:
    """R5: without seq, the same source, kind, payload and t is a duplicate; another t is another pick."""
    case = Case().order(2).task(2)
    for t, rx in ((10, 10), (10, 12), (11, 13)):
        case.tell("dc1/pick/OLD-01", "pick.confirm", t, rx, task="T-1", sku="A", qty=1)
    return case.confirmed(2, 11)


def R05_numbers_beyond_eight_bits_are_not_duplicates() -> Case:
    """R5: 256 follows 255 (the driver unwraps), and is not 0 again."""
    case = Case().order(3).task(3)
    for seq, t in ((0, 10), (255, 11), (256, 12)):
        case.tell("dc1/pick/PTL-01", "pick.confirm", t, task="T-1", sku="A", qty=1, seq=seq)
    return case.confirmed(3, 12)


def R05_a_new_epoch_counts_from_the_start() -> Case:
    """R5: the same number in another incarnation of the source is another record."""
    case = Case().order(2).task(2)
    for epoch, t in ((0, 10), (1, 20)):
        case.tell("dc1/pick/PTL-01", "pick.confirm", t, task="T-1", sku="A", qty=1, seq=7, epoch=epoch)
    return case.confirmed(2, 20)


def R10_a_higher_rev_replaces_and_a_lower_one_is_refused() -> Case:
    """R10: revision 3 counts, revision 2 comes too late."""
    case = Case().order(5).task(5).task(2, rev=3, t=2).task(4, rev=2, t=3)
    return case.pick(10, 2).confirmed(2, 10, qty_task=2)


def R10_same_rev_other_content_stays_out() -> Case:
    """R10: the first content of a rev stays."""
    return Case().order(2).task(2).task(9, t=1).pick(10, 2).confirmed(2, 10, qty_task=2)


def R11_picks_before_their_task() -> Case:
    """R11: a pick of an unknown task waits, and takes effect at its own event time."""
    return Case().pick(10).pick(11).order(2, t=30).task(2, t=30).confirmed(2, 11, t_first=at(10))


def R20_a_line_without_tasks_has_one_window() -> Case:
    """R20: key order/line, q_task is the line's qty."""
    case = Case().order(3).pick(10, 2, order="O-1", line=1).pick(12, 1, order="O-1", line=1)
    return case.expect("pick.confirmed", "O-1/1", t=12, qty=3, qty_task=3, task=None, order="O-1", line=1)


def R20_the_line_window_becomes_the_first_tasks() -> Case:
    """R20: the first pick.task of a line that has emitted nothing takes its window over."""
    case = Case().order(3).pick(10, 2, order="O-1", line=1).task(3, t=15).pick(20)
    return case.confirmed(3, 20, t_first=at(10))


def R20_a_pick_that_names_the_line_goes_to_the_smallest_open_task() -> Case:
    """R20: T-1 first, when it is full T-2."""
    case = Case().order(3).task(2).task(1, "T-2")
    for t in (10, 11, 12):
        case.pick(t, order="O-1", line=1)
    return case.confirmed(2, 11).confirmed(1, 12, "T-2")


def R20_which_task_is_open_is_asked_in_event_time() -> Case:
    """R20, R3: the named pick comes later but happened before, and fills T-1; so the nameless one is T-2's."""
    case = Case().order(3).task(2).task(1, "T-2")
    case.pick(11.5, rx=12.4, order="O-1", line=1).pick(11.4, 2, rx=12.7, src="dc1/pick/PTL-02")
    return case.confirmed(2, 11.4, over_qty=0).confirmed(1, 11.5, "T-2")


def R20_a_task_that_is_lowered_afterwards_was_open() -> Case:
    """R20, R3: when the nameless piece was picked T-1 asked for two and had one; it is lowered to one afterwards."""
    case = Case().order(3).task(2).task(1, "T-2").pick(14.5, rx=15)
    case.pick(16.6, rx=16.9, order="O-1", line=1)
    case.wms("pick.task", 19.3, 19.4, task="T-1", order="O-1", line=1, sku="A", qty=1, rev=2)
    return case.confirmed(2, 16.6, over_qty=1)


def R20_presses_of_one_moment_find_the_same_tasks_open() -> Case:
    """R20, R3: the named press that fills T-1 has the same event time; T-1 is open for the nameless one, too."""
    case = Case().order(3).task(1).task(2, "T-2")
    case.pick(11, rx=11.2, src="dc1/pick/PTL-02").pick(11, rx=11.4, order="O-1", line=1)
    return case.confirmed(2, 11, over_qty=1)


def R20_a_task_told_later_takes_no_pick_from_before() -> Case:
    """R20: when the piece was picked (and came in) only T-2 was there; T-1, though smaller, is told afterwards."""
    case = Case().order(4).task(3, "T-2").pick(10, 3, rx=10.4, order="O-1", line=1)
    case.wms("pick.task", 13.3, 13.8, task="T-1", order="O-1", line=1, sku="A", qty=1)
    return case.confirmed(3, 10, "T-2", over_qty=0, revision=0)


def R20_a_task_that_was_shorted_is_not_open() -> Case:
    """R20, R3: T-1's short is known and earlier, though the watermark has not decided it yet."""
    case = Case().order(2).task(1).task(1, "T-2").short(19).pick(20, rx=20.2, order="O-1", line=1)
    return case.shorted(1, 19, qty_picked=0).confirmed(1, 20, "T-2")


def R20_the_same_sku_on_two_lines() -> Case:
    """R20: two lines of one order, one SKU: two windows, nothing mixes."""
    case = Case().order(1, 2).pick(10, 2, order="O-1", line=2).pick(11, 1, order="O-1", line=1)
    case.expect("pick.confirmed", "O-1/1", qty=1, line=1, t_close=at(11))
    return case.expect("pick.confirmed", "O-1/2", qty=2, line=2, t_close=at(10))


def R21a_full_at_the_last_pick() -> Case:
    """R21 (a): out of order arrival; t_close is the greatest event time of the picks."""
    case = Case().order(3).task(3).pick(10).pick(12, rx=12.1).pick(11, rx=12.4)
    return case.confirmed(3, 12, t_first=at(10), over_qty=0, order="O-1", line=1, sku="A", task="T-1")


def R21b_the_operators_short() -> Case:
    """R21 (b): t_close is the short's event time; its reason is the code."""
    case = Case().order(3).task(3).pick(10).short(20, "DAMAGED", loc="B-7")
    case.confirmed(1, 20)
    return case.shorted(2, 20, reason="DAMAGED", decided_by="OPERATOR", qty_picked=1, qty_task=3, loc="B-7")


def R21b_a_pick_before_the_short_that_arrives_after_it() -> Case:
    """R21: the close waits for the watermark, so a pick from before it still counts; the window was full: no short."""
    return Case().order(2).task(2).pick(10).short(20).pick(19.5, rx=21).confirmed(2, 19.5)


def R21b_a_short_after_full_changes_nothing() -> Case:
    """R21: b that arrives after a changes nothing."""
    return Case().order(1).task(1).pick(10).short(20).confirmed(1, 10, revision=0)


def R21c_short_on_close_is_off() -> Case:
    """R21 (c): by default a closing carton does not end its tasks."""
    return Case().order(2).task(2).pick(10, lu="L-1").close(20).packed(1, "L-1#1", t_close=at(20))


def R21c_short_on_close_is_on() -> Case:
    """R21 (c): with short_on_close the destination's close ends a task that is not full."""
    case = Case().order(2).task(2).pick(10, lu="L-1").close(20)
    case.rules = {"short_on_close": True}
    case.packed(1, "L-1#1").confirmed(1, 20)
    return case.shorted(1, 20, reason="CLOSE", decided_by="CLOSE")


def R21c_the_last_pick_went_elsewhere() -> Case:
    """R21 (c), R20: a nameless pick into L-2 was before the close of L-1, though it is given to T-1 only afterwards."""
    case = Case().order(2).task(2, lu="L-1").device("carton.open", 5, lu="L-1")
    case.rules = {"short_on_close": True}
    case.pick(10, order="O-1", line=1, lu="L-2").close(10.5)
    return case.pick(20, lu="L-2").confirmed(2, 20, revision=0)


def R21c_the_last_pick_went_elsewhere_at_the_very_close() -> Case:
    """R21 (a), R40: all at 10, and the release goes first: the pick belongs to the unit's next use, so the close is
    not that of its destination."""
    case = Case().order(1).task(1).plan()
    case.rules = {"short_on_close": True}
    case.close(10).pick(10, rx=10.1, lu="L-1").wms("lu.release", 10, 10.2, lu="L-1")
    return case.confirmed(1, 10)


def R21d_deadline() -> Case:
    """R21 (d), R23: confirmed with what is there, and short of the rest; a pick at the very deadline counts."""
    case = Case().order(3).task(3, deadline=at(30)).pick(10).pick(30).pick(70, task="T-9")
    case.confirmed(2, 30)
    return case.shorted(1, 30, reason="DEADLINE", decided_by="DEADLINE", qty_picked=2)


def R21d_cutoff_of_the_wave() -> Case:
    """R21 (d): with short_at_cutoff the wave's cutoff is a deadline."""
    case = Case().order(3).wms("wave.released", wave="W-1", orders=["O-1"], cutoff=at(30)).task(3).pick(10)
    case.rules = {"short_at_cutoff": True}
    return case.confirmed(1, 30).shorted(2, 30, decided_by="DEADLINE")


def R21d_a_cutoff_without_the_policy() -> Case:
    """R21 (d): without short_at_cutoff the cutoff decides nothing."""
    return Case().order(3).wms("wave.released", wave="W-1", orders=["O-1"], cutoff=at(30)).task(3).pick(10)


def R22_silence_is_not_a_short() -> Case:
    """R22: an hour without a pick closes nothing."""
    case = Case().order(3).task(3).pick(10)
    for minute in range(1, 61):
        case.device("telemetry", 60 * minute, src="dc1/pick/PTL-01")
    return case


def R23_zero_picks_and_a_short() -> Case:
    """R23: with q = 0 only the short."""
    return Case().order(2).task(2).short(20, "NOT_FOUND").shorted(2, 20, qty_picked=0, reason="NOT_FOUND")


def R23_allocation_failed_after_the_lines_own_short() -> Case:
    """R23: the line has no task; of 5 pieces one is picked and the rest found missing at 15. What is told at 30 of 2 of
    them takes nothing away from that."""
    case = Case().order(5).pick(10, line=1, order="O-1").short(15, task=None, order="O-1", line=1)
    case.wms("alloc.failed", 30, order="O-1", line=1, qty=2, code="NO_STOCK").device("telemetry", 60)
    for record in case.records:
        record.pop("task", None)
    case.confirmed(1, 15, "O-1/1")
    return case.shorted(4, 15, "O-1/1", revision=0, decided_by="OPERATOR", qty_task=5)


def R23_allocation_failed() -> Case:
    """R23: alloc.failed is a short of the line at once, and closes no window; a higher rev revises it."""
    case = Case().order(5).task(3).wms("alloc.failed", 5, order="O-1", line=1, qty=1, code="NO_STOCK")
    case.wms("alloc.failed", 6, rev=2, order="O-1", line=1, qty=2, code="NO_STOCK").pick(10, 3).confirmed(3, 10)
    short: dict[str, Any] = {
        "qty_task": 2,
        "qty_short": 2,
        "qty_picked": 0,
        "decided_by": "ALLOC",
        "reason": "NO_STOCK",
    }
    return case.expect("pick.short", "O-1/1", revision=1, task=None, **short)


def R24_over_picked() -> Case:
    """R24: the true quantity, and over_qty."""
    return Case().order(2).task(2).pick(10, 2).pick(12).confirmed(3, 12, over_qty=1, qty_task=2)


def R25_a_late_pick_revises_the_short() -> Case:
    """R25: from before t_close, after the decision: the whole new q, the same t_close, the short revised too."""
    case = Case().order(3).task(3).pick(10).short(20).device("telemetry", 60, src="dc1/pick/PTL-02")
    case.pick(15, rx=70, src="dc1/pick/GUN-01", hist=True)
    return case.confirmed(2, 20, revision=1, t_first=at(10)).shorted(1, 20, revision=1, qty_picked=2)


def R25_a_late_pick_takes_the_short_back() -> Case:
    """R25: down to qty_short 0."""
    case = Case().order(2).task(2).pick(10).short(20).device("telemetry", 60, src="dc1/pick/PTL-02")
    case.pick(15, rx=70, src="dc1/pick/GUN-01", hist=True)
    return case.confirmed(2, 20, revision=1).shorted(0, 20, revision=1, qty_picked=2)


def R26_a_piece_that_follows_an_operators_short() -> Case:
    """R26: revision at once, t_close becomes the pick's, the window keeps its reason."""
    case = Case().order(3).task(3).pick(10).short(20, "EMPTY").device("telemetry", 60, src="dc1/pick/PTL-02").pick(70)
    return case.confirmed(2, 70, revision=1).shorted(1, 70, revision=1, reason="EMPTY", decided_by="OPERATOR")


def R26_a_piece_right_after_the_short() -> Case:
    """R21, R26: a pick after t_close does not count in the close even if it comes before the decision."""
    case = Case().order(3).task(3).pick(10).short(20).pick(20.5)
    return case.confirmed(2, 20.5, revision=1).shorted(1, 20.5, revision=1)


def R26_a_reversal_opens_a_full_window_again() -> Case:
    """R26, R28: q < q_task after a: a revision with the smaller q, open again; the next pick fills it again."""
    case = Case().order(2).task(2).pick(10, 2).put_back(20).pick(30)
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/2/0", t=20, revision=0, qty=1, sku="A", task="T-1")
    return case.confirmed(2, 30, revision=2, t_first=at(10), over_qty=0)


def R26_all_put_back() -> Case:
    """R26: a revision may carry qty 0."""
    case = Case().order(1).task(1).pick(10).put_back(20)
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/2/0", qty=1)
    return case.confirmed(0, 20, revision=1)


def R27_cancel_effective_before_a_pick_that_came_first() -> Case:
    """R27: picks at or after the cancel do not count although they arrived before it."""
    case = Case().order(3).task(3).pick(10).pick(21).wms("pick.task_cancelled", 20, rx=22, rev=2, task="T-1")
    return case.confirmed(1, 20, cancelled=True, qty_task=3)


def R27_cancel_of_a_closed_window() -> Case:
    """R27: a closed window is cut to the picks before the cancel."""
    case = Case().order(2).task(2).pick(10).pick(20).wms("order.cancelled", 15, rx=60, rev=2, order="O-1")
    return case.confirmed(1, 15, revision=1, cancelled=True)


def R27_cancel_at_the_very_time_of_the_last_pick() -> Case:
    """R27: picks at the cancel do not count; the confirmation that was out is revised to qty 0."""
    case = Case().order(2).task(2).pick(10, 2).wms("order.cancelled", 10, rx=11, rev=2, order="O-1")
    return case.confirmed(0, 10, revision=1, cancelled=True)


def R27_cancel_before_any_pick() -> Case:
    """R27: nothing was picked before the cancel: no event, never a short."""
    return Case().order(2).task(2, deadline=at(30)).wms("order.cancelled", 5, rev=2, order="O-1").pick(10)


def R27_put_back_after_the_cancel() -> Case:
    """R27: later reversals cut q, t_close stays."""
    case = Case().order(3).task(3).pick(10, 2).wms("order.cancelled", 20, rev=2, order="O-1", lines=[1]).put_back(60)
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/2/0", qty=1)
    return case.confirmed(1, 20, revision=1, cancelled=True)


def R27a_the_quantity_is_lowered() -> Case:
    """R27a: the open window is full by the new quantity, at its last pick."""
    return Case().order(3).task(3).pick(10, 2).task(2, rev=2, t=20).confirmed(2, 10, qty_task=2)


def R27a_the_quantity_is_raised_after_a_short() -> Case:
    """R27a: a window that was closed by a short stays closed; its short is revised."""
    case = Case().order(3).task(3).pick(10).short(20).task(5, rev=2, t=60)
    return case.confirmed(1, 20, qty_task=5).shorted(4, 20, qty_task=5, reason="EMPTY")


def R28_a_reversal_before_the_close() -> Case:
    """R28: the reversal is told, and q is confirmed minus reversed."""
    case = Case().order(3).task(3).pick(10, 2).put_back(15).short(20)
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/2/0", t=15, qty=1, order="O-1", line=1)
    return case.confirmed(1, 20).shorted(2, 20, qty_picked=1)


def R29_a_record_older_than_lateness() -> Case:
    """R29: a device record that comes more than lateness_ms after its event time is dead; context never is."""
    case = Case().pick(10, rx=86_411, hist=True).pick(86_412)
    case.tell(WMS, "order.released", 0, 86_420, rev=1, order="O-1", lines=[{"line": 1, "sku": "A", "qty": 1}])
    case.tell(WMS, "pick.task", 0, 86_420, rev=1, task="T-1", order="O-1", line=1, sku="A", qty=1)
    return case.confirmed(1, 86_412)


def R30_one_press_told_by_two_devices() -> Case:
    """R30: the same press on one task is one pick."""
    case = Case().order(2).task(2).pick(10, press="p1").pick(10, src="dc1/pick/GUN-01", press="p1").pick(12, press="p2")
    return case.confirmed(2, 12)


def R30_a_press_that_names_only_its_line() -> Case:
    """R30, R20: both devices name the line. The first telling fills T-1, which has the second as well, not T-2."""
    case = Case().order(3).task(2).task(1, "T-2").pick(10, 2, order="O-1", line=1, press="p1")
    case.pick(10.5, 2, src="dc1/pick/GUN-01", order="O-1", line=1, press="p1").pick(12, order="O-1", line=1, press="p2")
    return case.confirmed(2, 10).confirmed(1, 12, "T-2").counted(duplicate=1)


def R30_one_press_for_several_tasks() -> Case:
    """R30: a pick with alloc is one pick for each entry."""
    case = Case().order(3).task(2).task(1, "T-2")
    case.pick(10, alloc=[{"task": "T-1", "qty": 2, "lu": "L-1"}, {"task": "T-2", "qty": 1, "lu": "L-2"}])
    return case.confirmed(2, 10, lu="L-1").confirmed(1, 10, "T-2", lu="L-2")


def R30_a_press_for_several_waits_as_a_whole() -> Case:
    """R30, R11, R25: one of its tasks is told at 50; the other's window was decided at the deadline of 20 meanwhile."""
    case = Case().order(2).task(1, deadline=at(20))
    case.pick(10, alloc=[{"task": "T-1", "qty": 1}, {"task": "T-2", "qty": 1}]).device("telemetry", 40)
    case.task(1, "T-2", t=50).device("telemetry", 60)
    case.confirmed(1, 20, t_first=at(10), revision=0).expect("pick.short", "T-1", t=20, qty_short=0, revision=1)
    return case.confirmed(1, 10, "T-2")


def R31_a_wrong_sku_leaves_the_time_of_a_close() -> Case:
    """R31, R26: a piece of another SKU does not count, so it makes no revision of what was told."""
    return Case().order(1).task(1).pick(10).pick(12, sku="B").confirmed(1, 10, revision=0)


def R31_a_wrong_sku_does_not_count() -> Case:
    """R31: it stands in the carton under its own sku."""
    case = Case().order(1).task(1).plan().pick(10, sku="B", lu="L-1").pick(12, lu="L-1").close(20)
    foreign = {"line": 1, "order": "O-1", "qty": 1, "sku": "B"}
    own = {"line": 1, "order": "O-1", "qty": 1, "sku": "A"}
    case.expect("carton.closed", "C-1", contents=[own, foreign])
    return case.confirmed(1, 12, sku="A", t_first=at(12))


def R31_picks_into_several_load_units() -> Case:
    """R31: lu is left out if picks went into several."""
    return Case().order(2).task(2).pick(10, lu="L-1").pick(12, lu="L-2").confirmed(2, 12, lu=None)


def R20_a_task_that_comes_right_after_its_press() -> Case:
    """R20, R3: the task of 9.8 arrives after the press of 10, which filled the line and was told: it is the task's."""
    case = Case().order(1).pick(10, line=1, order="O-1").task(1, t=9.8, rx=10.2)
    return case.device("telemetry", 20, src=STATION).confirmed(1, 10)


def R20_a_task_that_is_dated_after_what_was_told() -> Case:
    """R20, R3: in event time the line was full at 10, and told; the task of 10.3 is another, though it comes first."""
    case = Case().order(1).task(1, t=10.3).pick(10, rx=10.6, line=1, order="O-1").pick(12)
    return case.device("telemetry", 20, src=STATION).confirmed(1, 10, "O-1/1").confirmed(1, 12)


def R20_of_two_first_tasks_the_earlier_takes_the_lines_window() -> Case:
    """R20, R3: one of two pieces was picked at 10, before T-2 of 10.4 and T-1 of 10.5; T-1 arrives first."""
    case = Case().order(2).pick(10, line=1, order="O-1").task(2, t=10.5, rx=10.6).task(2, "T-2", t=10.4, rx=10.8)
    case.pick(12, task="T-2").pick(13, 2)
    return case.device("telemetry", 20, src=STATION).confirmed(2, 12, "T-2", t_first=at(10)).confirmed(2, 13)


def R20_presses_that_came_before_their_task_find_the_open_one() -> Case:
    """R20, R3: both tasks were there at 9.8, though the presses of 10 and 11, which fill the line, came first. T-1 is
    full at 10, so T-2 has the other."""
    case = Case().order(2).pick(10, line=1, order="O-1").pick(11, line=1, order="O-1")
    case.task(1, "T-2", t=9.8, rx=11.2).task(1, t=9.8, rx=11.3)
    return case.device("telemetry", 20, src=STATION).confirmed(1, 10).confirmed(1, 11, "T-2")


def R21c_a_wrong_piece_shows_where_the_task_goes() -> Case:
    """R21 (c), R31: a wrong piece of T-1 went into L-1 after the right one, and another of T-2 into L-2 instead of L-1.
    The close of L-1 is that of T-1's destination alone."""
    case = Case().order(2, 2).task(2).task(2, "T-2", line=2, lu="L-1").pick(10, lu="L-3").pick(12, sku="B", lu="L-1")
    case.pick(13, sku="B", task="T-2", lu="L-2").close(20).device("telemetry", 40, src=STATION)
    case.rules["short_on_close"] = True
    case.expect("carton.closed", "L-1#1", contents=[{"line": 1, "order": "O-1", "qty": 1, "sku": "B"}])
    return case.confirmed(1, 20).shorted(1, 20, decided_by="CLOSE")


def R27a_lowered_after_a_piece_was_put_back() -> Case:
    """R27a, R26: full at 10, put back at 20, less asked for at 30: closed by a at 20, for q counts what is before
    t_close, and all of 10 were three."""
    case = Case().order(3).task(3).pick(10, 3).put_back(20).task(2, t=30)
    case.records[-1]["rev"] = 2
    return case.confirmed(2, 20, qty_task=2).expect("pick.reversed", f"T-1/{STATION}/0/2/0", qty=1)


def R27a_raised_and_lowered_after_a_piece_was_put_back() -> Case:
    """R27a, R26: two of three are picked and one is put back at 15, before anything was told; four are asked for, then
    one: closed by (a) at 15."""
    case = Case().order(3).task(3).pick(10, 2).put_back(15).task(4, t=20)
    case.records[-1]["rev"] = 2
    case.task(1, t=30).records[-1]["rev"] = 3
    return case.confirmed(1, 15, qty_task=1).expect("pick.reversed", f"T-1/{STATION}/0/2/0", qty=1)


def R20_a_source_that_lags_keeps_no_press_of_a_line() -> Case:
    """R20, R4: the bound of the wall clock holds for a press that waits to be told in order, too."""
    case = Case().order(1).task(1).pick(10, line=1, order="O-1").device("telemetry", 40, src=STATION).until(41)
    case.sources = {STATION: {"disorder_ms": 120_000, "idle_source_ms": 60_000}}
    return case.confirmed(1, 10, evidence="incomplete")


def R23_a_failed_allocation_beside_a_short_that_is_found() -> Case:
    """R23, R26: the line is short of one for its operator, until that is found; what could not be allocated is told as
    if it never had been."""
    case = Case().order(3).pick(10, 2, order="O-1", line=1)
    case.device("pick.short", 20, src=STATION, order="O-1", line=1, code="EMPTY")
    case.wms("alloc.failed", 15, order="O-1", line=1, qty=1, code="NO_STOCK").device("telemetry", 24, src=STATION)
    case.pick(30, order="O-1", line=1).device("telemetry", 60, src=STATION)
    case.expect("pick.confirmed", "O-1/1", t=30, qty=3)
    return case.expect("pick.short", "O-1/1", t=15, qty_short=1, decided_by="ALLOC", reason="NO_STOCK")
