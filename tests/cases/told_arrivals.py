"""Golden cases of R3: what is told in the end is told in whatever order the records arrived."""

from __future__ import annotations

from typing import Any

from tests.cases.told_premises import differs, on_shelf
from tests.cases.told_shipping import leaves, load, manifested, packed_one
from tests.cases.writing import SORTER, STATION, Case, at

OTHER = "dc1/pick/PTL-02"


def R43_a_reversal_that_is_told_first() -> Case:
    """R43, R3: one piece of two is put back at 11 into the unit that the pick of 10 went into; the reversal arrives
    first."""
    case = Case().order(2).task(2).plan().put_back(11).pick(10, 2, rx=12, lu="L-1").close(20)
    case.records[-3]["seq"], case.records[-2]["seq"] = 2, 1
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/2/0", t=11, qty=1)
    return case.confirmed(1, 11).packed(1)


def R43_a_reversal_after_a_pick_that_comes_late() -> Case:
    """R43, R3: put back at 12 out of L-2, where the last piece went at 11, and not out of L-1 or L-3."""
    case = Case().order(2).task(2).pick(10, lu="L-1").pick(13, rx=13, lu="L-3", src="dc1/pick/PTL-02")
    case.put_back(12, rx=13.1).pick(11, rx=13.2, lu="L-2").close(20).close(21, "L-2").close(22, "L-3")
    case.records[-5]["seq"], case.records[-4]["seq"] = 3, 2
    case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/3/0", t=12, qty=1)
    case.expect("exception.raised", "PKG_EMPTY/carton/L-2#1/1", code="PKG_EMPTY")
    return case.confirmed(2, 13).packed(1, "L-1#1").packed(1, "L-3#1")


def R31_a_station_names_the_carton_late() -> Case:
    """R31, R40a, R3: opened as C-1 before the pick, told after it was confirmed."""
    case = Case().order(1).task(1).pick(10, lu="L-1").device("carton.open", 9, rx=10.5, lu="L-1", carton="C-1")
    return case.confirmed(1, 10, revision=1, carton="C-1")


def R64_a_close_arrives_before_the_loss() -> Case:
    """R64, R3: every device record of the unit is a sight: the station's close of 60.3 finds it, though it arrives
    before the loss of 60."""
    case = packed_one().device("carton.close", 60.3, lu="L-1").device("item.lost", 60, 61, SORTER, lu="L-1")
    case.device("telemetry", 90).cleared("RTE_LOST", "lu/L-1", t=60.3)
    case.expect("shipment.unready", "S-1", t=60, cause="item.lost").ready(1, 60.3)
    case.expect("exception.raised", "PKG_DOUBLE_CLOSE/carton/C-1/1", code="PKG_DOUBLE_CLOSE")
    return case.confirmed(1, 10).packed(1)


def R50_nothing_packed_and_then_cancelled() -> Case:
    """R50, R56: nothing was packed by 11; the cancel of 12 ends that, though the watermark had not passed 11."""
    case = Case().order(2).task(2).shipment(2).short(11).wms("shipment.cancelled", 12, rev=2, shipment="S-1")
    case.device("telemetry", 60).cleared("SHP_EMPTY", "shipment/S-1", t=12)
    return case.shorted(2, 11)


def R56_voided_twice() -> Case:
    """R56, section 10: voided is the end of it: the first void by event time is told, the other is refused."""
    case = packed_one().device("carton.void", 31, rx=31.1, lu="L-1").device("carton.void", 30, rx=31.5, lu="L-1")
    case.records[-2]["seq"], case.records[-1]["seq"] = 3, 2
    case.expect("carton.voided", "C-1", t=30, revision=0, cause="carton.void")
    case.expect("shipment.unready", "S-1", t=30, cause="carton.void").expect("shipment.ready", "S-1", t=20)
    return case.confirmed(1, 10).packed(1).raised("PKG_AFTER_VOID", "carton/C-1").counted(rejected=1)


def R56_a_bind_that_comes_after_its_void() -> Case:
    """R40, R56: the tote was C-9 from 28 on, and voided as such; the order systems say so minutes later."""
    case = Case().device("carton.void", 30, lu="L-1").device("telemetry", 100)
    case.wms("lu.bind", 28, rx=200, lu="L-1", carton="C-9")
    return case.expect("carton.voided", "C-9", t=30, cause="carton.void")


def R29_late_picks_in_any_order() -> Case:
    """R29, R3: the pick of 71 is told before that of 70: what is said of the stock is as of the later one."""
    case = packed_one().wms("manifest.result", 50, shipment="S-1", manifest_no="M-1", tracking=[])
    case.pick(71, rx=71.1).pick(70, rx=71.5)
    case.records[-2]["seq"], case.records[-1]["seq"] = 3, 2
    case.expect("inventory.discrepancy", "/A//T-1", t=71, actual=3, expected=1, as_of=at(71))
    case.raised("PCK_LATE_AFTER_SHIP", "task/T-1")
    return manifested(case.confirmed(1, 10).packed(1).ready(1, 20), 50, "C-1", manifest_no="M-1")


def R63_the_next_read_came_before_it_was_judged() -> Case:
    """R63: nobody knows either code, and the scanner reads the next tote before the watermark has passed that."""
    case = (
        Case()
        .device("scan.multiread", 10, src=SORTER, codes=["L-8", "L-9"])
        .device("scan.read", 11, src=SORTER, lu="L-1")
    )
    return case.device("telemetry", 30).cleared("ID_MULTI", SORTER, t=11)


def R64_found_between_two_losses() -> Case:
    """R64, R60: lost at 20 as track 7, found at 24, lost again at 25; the track's facts take effect last."""
    case = (
        Case()
        .device("item.inducted", 10, src=SORTER, track="7", lu="L-1")
        .device("item.lost", 20, src=SORTER, track="7")
    )
    case.device("carton.reopen", 24, lu="L-1").device("item.lost", 25, src=SORTER, lu="L-1")
    case.cleared("RTE_LOST", "lu/L-1", t=24)
    return case.expect("exception.raised", "RTE_LOST/lu/L-1/2", t=25, code="RTE_LOST").device("telemetry", 60)


def R40_uses_that_are_told_in_time_are_counted_in_order() -> Case:
    """R40, R3: the pick after the void comes before the bind of 10 does, which says that what was voided was the second
    use, C-9's."""
    case = Case().order(1).task(1).plan().device("carton.void", 10.3, 10.9, lu="L-1").pick(10.6, rx=10.9, lu="L-1")
    case.wms("lu.bind", 10, 10.9, lu="L-1", carton="C-9").close(10.9)
    case.expect("carton.voided", "C-9", t=10.3, cause="carton.void")
    return case.confirmed(1, 10.6).packed(1, "L-1#3", t_open=at(10.6), t_close=at(10.9))


def R40_a_use_that_is_told_late_gets_the_next_number() -> Case:
    """R40: emptied at 25, used from 30 to 32, opened anew at 40; the middle one is told when the third has a number."""
    case = Case().order(2).task(2).pick(10, lu="L-1").close(20)
    case.device("carton.open", 40, lu="L-1").pick(41, lu="L-1").close(50).device("telemetry", 90)
    case.wms("lu.release", 25, 91, lu="L-1").device("carton.open", 30, 92, lu="L-1").close(32, rx=93)
    case.confirmed(2, 41).packed(1, "L-1#1", t=20).packed(1, "L-1#2", t_open=at(40), t_close=at(50))
    return case.raised("PKG_EMPTY", "carton/L-1#3")


def R60_the_place_was_told_before_the_identification() -> Case:
    """R60, R51: also backwards: it stood in its lane since the divert, and the read after that says that it was it."""
    case = Case().shipped(1, stage_required=True, lanes=["D-1"]).pick(10, lu="L-1").close(20)
    case.device("divert.confirmed", 30, src=SORTER, track="7", dest="D-1")
    case.device("scan.read", 33, src=SORTER, track="7", lu="L-1")
    return case.confirmed(1, 10).packed(1).ready(1, 30)


def R54_a_scan_of_the_very_moment_of_the_close() -> Case:
    """R3, R54: the dock's numbers say that it had closed before; what is in it then leaves with the next visit."""
    case = load(leaves(packed_one(), 50), 50)
    return manifested(leaves(case, 70).confirmed(1, 10).packed(1).ready(1, 20), 70, "C-1", trailer="TR-1", revision=0)


def R41_the_bind_was_told_before_the_close() -> Case:
    """R41, R3: closed at 32.5, bound to C-2 at 33, but the bind arrives first; the label of 31 is judged in between."""
    case = packed_one().device("carton.reopen", 30, lu="L-1").device("label.verified", 31, lu="L-1", result="OK")
    case.wms("lu.bind", 33, lu="L-1", carton="C-2").device("telemetry", 33.2).device("carton.close", 32.5, 34, lu="L-1")
    case.expect("carton.reopened", "C-1", t=30).expect("shipment.unready", "S-1", t=30, cause="carton.reopen")
    case.never_raised("PKG_TOTE_REBOUND_OPEN").device("telemetry", 60)
    return case.confirmed(1, 10).packed(1, t_close=at(32.5)).ready(1, 32.5)


def R70_the_pieces_that_followed_a_short_are_heard_of_first() -> Case:
    """R70, R3: nothing is there at 20, and the five come from B-2 at 21; they arrive first, so nothing is told of a
    short. They were missing at B-1 all the same."""
    case = on_shelf(9).pick(21, 5, rx=21.1, loc="B-2", src=OTHER)
    case.tell(STATION, "pick.short", 20, 21.3, seq=1, task="T-1", code="EMPTY").device("telemetry", 60)
    return differs(case.confirmed(5, 21, loc="B-2"), 20, kind="SHORT_AT_LOC", expected=9, actual=0)


def R22_of_two_that_tell_of_a_press_the_earlier_is_the_last() -> Case:
    """R22, R30, R3: the light told of the press of 10 at 10.5, and arrives first; it has been silent since 10."""
    case = Case().order(2).task(2).pick(10.5, press="P-1").pick(10, rx=11, src=OTHER, press="P-1")
    return case.until(1000).raised("PCK_STALLED", "task/T-1", t=910).times("PCK_STALLED", 1)


def R46_closed_twice_before_it_got_its_name() -> Case:
    """R46, R40a: closed empty at 20 and again at 22, as C-0; from 55 on it is C-1. It was closed twice once, under
    the name of then."""
    case = Case().order(1).task(1).device("carton.open", 10, lu="L-1", carton="C-0").close(20).close(22)
    case.device("telemetry", 40).wms("lu.bind", 55, lu="L-1", carton="C-1").pick(60, lu="L-1").close(70)
    case.device("telemetry", 90).confirmed(1, 60).packed(1, t_close=at(70))
    return case.raised("PKG_DOUBLE_CLOSE", "carton/C-0", t=22).times("PKG_DOUBLE_CLOSE", 1)


def R41_an_open_arrives_before_the_bind() -> Case:
    """R41, R3: open since the piece of 30 and bound to C-2 at 31: since then it is an orphan, though the open of 31.5
    came first."""
    case = Case().order(3).task(3).wms("lu.bind", 5, lu="L-1", order="O-1").pick(10, lu="L-1").close(20)
    case.device("carton.open", 31.5, rx=31.6, lu="L-1").wms("lu.bind", 31, rx=31.7, lu="L-1", carton="C-2")
    case.pick(30, rx=31.8, lu="L-1").device("telemetry", 60).packed(1, "L-1#1", t_close=at(20))
    case.expect("carton.reopened", "L-1#1", t=30)
    return case.raised("PKG_TOTE_REBOUND_OPEN", "carton/L-1#1", t=31)


def S10_of_two_moves_of_one_moment_the_first_is_named() -> Case:
    """Section 10, R3: labelled and closed at 30, after the void; the close arrives first, though the
    label goes before it by its source."""
    case = Case().order(1).task(1).plan().pick(10, lu="L-1").device("carton.void", 20, lu="L-1")
    case.device("carton.close", 30, rx=30.1, lu="L-1")
    case.device("label.verified", 30, rx=30.2, src="dc1/pack/LBL-01", lu="L-1", result="OK").device("telemetry", 60)
    case.confirmed(1, 10).expect("carton.voided", "C-1", t=20).counted(rejected=2)
    return case.raised("PKG_AFTER_VOID", "carton/C-1", detail="label.verified", t=30)


LINE: dict[str, Any] = {"order": "O-1", "line": 1}


def back_of_line(case: Case, t: float, qty: int = 1, rx: float | None = None, **fields: Any) -> Case:
    """A reversal that names only its line."""
    return case.device("pick.reverse", t, rx, STATION, sku="A", qty=qty, **LINE, **fields)


def R20_a_press_of_after_the_task_where_the_line_has_put_back() -> Case:
    """R20, R3: the line's window stays the line's, for it has told a reversal; the press of 22 is the task's all the
    same, though it arrives before the task of 21."""
    case = back_of_line(Case().order(4).pick(10, 2, lu="L-1", **LINE), 12, lu="L-1")
    case.pick(22, 3, lu="L-1", **LINE).task(3, t=21, rx=22.5).device("telemetry", 60)
    case.expect("pick.reversed", f"O-1/1/{STATION}/0/2/0", t=12, qty=1).expect("pick.confirmed", "O-1/1", qty=0)
    return case.confirmed(3, 22)


def R20_what_a_line_had_told_before_its_cancel_was_heard_of() -> Case:
    """R20, R27, R3: the press of 11 is told as the line's and taken back, for the line was cancelled at 10: it has told
    nothing, and is the task's of 40."""
    case = Case().order(1).pick(11, rx=11.1, lu="L-1", **LINE)
    case.wms("order.cancelled", 10, rx=11.5, rev=2, order="O-1", lines=[1]).task(1, t=40).device("telemetry", 60)
    return case.expect("pick.confirmed", "O-1/1", qty=0).raised("PCK_AFTER_CANCEL", "task/T-1", t=11)


def R43_a_reversal_that_was_the_lines_until_its_task_was_told() -> Case:
    """R43, R20, R3: the line is full at 10; what is put back at 20.5 is the task's of 20, into which nothing was picked
    yet: nothing leaves L-1, though the reversal arrives before the task."""
    case = back_of_line(Case().order(1).pick(10, lu="L-1", **LINE), 20.5, rx=20.6).task(1, t=20, rx=21.5)
    case.close(30).device("telemetry", 60).expect("pick.confirmed", "O-1/1", t=10, qty=1)
    return case.expect("pick.reversed", f"T-1/{STATION}/0/2/0", t=20.5, qty=1).packed(1, "L-1#1")


def R20_a_short_of_a_line_whose_press_was_its_tasks() -> Case:
    """R20, R23, R3: short at 5, and picked at 20.5: told as the line's until the task of 20 is heard of. Without a pick
    the line has no short; it is the task's, and so is the piece that followed."""
    case = Case().order(2).tell(STATION, "pick.short", 5, seq=1, code="EMPTY", **LINE)
    case.tell(STATION, "pick.confirm", 20.5, 20.6, seq=2, sku="A", qty=1, **LINE).task(2, t=20, rx=21.5)
    case.device("telemetry", 60).expect("pick.confirmed", "O-1/1", qty=0).expect("pick.short", "O-1/1", qty_short=0)
    return case.confirmed(1, 20.5).shorted(1, 20.5)


def R20_full_before_its_first_task() -> Case:
    """R20, R3: the line is full at 19.5, before the task of 20; what was put back at 20.5 is the task's, though it is
    heard of before both."""
    case = back_of_line(Case().order(2), 20.5, 2, rx=20.6, lu="L-1")
    case.pick(19.5, 2, rx=20.8, src=OTHER, lu="L-1", **LINE).task(2, t=20, rx=21.5).device("telemetry", 60)
    case.expect("pick.confirmed", "O-1/1", t=19.5, qty=2)
    return case.expect("pick.reversed", f"T-1/{STATION}/0/1/0", t=20.5, qty=2)


def R43_put_back_before_the_task_has_its_lines_pieces() -> Case:
    """R43, R20, R3: one of two is put back at 21, before the watermark has passed the task of 20: out of L-1, where the
    line had them."""
    case = Case().order(3).pick(10, 2, lu="L-1", **LINE).task(3, t=20).put_back(21).close(30).device("telemetry", 60)
    return case.expect("pick.reversed", f"T-1/{STATION}/0/2/0", t=21, qty=1).packed(1, "L-1#1")


def R46_a_second_close_of_what_is_called_otherwise_by_then() -> Case:
    """R46, R40a, R3: told as C-1 and bound as C-2 since 28, which is known before the close of 22 is found too many."""
    case = (
        Case().order(1).task(1).device("carton.open", 5, lu="L-1", carton="C-1").pick(10, lu="L-1").close(20).close(22)
    )
    case.device("telemetry", 27.5).wms("lu.bind", 28, 28.5, lu="L-1", carton="C-2").device("telemetry", 60)
    case.confirmed(1, 10).packed(1, t=20)
    return case.raised("PKG_DOUBLE_CLOSE", "carton/C-1", t=22, correlationid="O-1")


def R20_a_short_that_its_cancel_overtook() -> Case:
    """R20, R23, R27, R3: the line's short of 20 is told only where the pick of 25, the line's first, comes before the
    watermark has passed the cancel; the line stays what it was in any case."""
    case = Case().order(3).device("pick.short", 20, src=STATION, code="OPERATOR", **LINE)
    case.wms("order.cancelled", 20.2, 22.2, rev=2, order="O-1").pick(25, rx=27, src=OTHER, **LINE).task(1, t=34)
    return case.device("telemetry", 60).raised("PCK_AFTER_CANCEL", "line/O-1/1").times("PCK_AFTER_CANCEL", 1)


def R21_a_close_of_what_the_line_has_sent_back() -> Case:
    """R21 c, R20, R3: the pick of 22 comes before the task of 21 and waits in L-1; a close of 23 ends its task."""
    case = Case().order(3).pick(10, lu="L-1", **LINE).device("pick.short", 20, src=STATION, code="EMPTY", **LINE)
    case.pick(22, lu="L-1", **LINE).task(2, t=21, rx=22.5).close(23).device("telemetry", 60)
    case.rules["short_on_close"] = True
    case.expect("pick.confirmed", "O-1/1", t=20, qty=1).confirmed(1, 23, qty_task=2).packed(2, "L-1#1", t=23)
    return case.shorted(1, 23).expect("pick.short", "O-1/1", t=20, qty_short=2)


def R21_a_close_that_comes_before_what_began_its_use() -> Case:
    """R21 c, R40, R3: T-1's use of L-1 was released; the close of the next one comes before its first pick does."""
    case = Case().order(1, 1).pick(10, lu="L-1", **LINE).task(1, t=12, lu="L-1").wms("lu.release", 15, lu="L-1")
    case.close(30).pick(28, rx=31, src=OTHER, order="O-1", line=2, lu="L-1").device("telemetry", 60)
    case.rules["short_on_close"] = True
    case.expect("pick.confirmed", "O-1/1", t=10, qty=1).expect("pick.confirmed", "O-1/2", t=28, qty=1)
    return case.packed(1, "L-1#2", line=2, t=30).expect("never", "T-1", type="pick.short")


def R21_a_close_of_the_use_after_that_of_a_reversal() -> Case:
    """R21 c, R40, R3: of T-1 there is but a reversal in L-1; the next use is closed before its first pick is heard."""
    case = Case().order(1, 1).pick(10, lu="L-1", **LINE).task(1, t=12).put_back(13, lu="L-1", task="T-1")
    case.wms("lu.release", 15, lu="L-1").close(30)
    case.pick(28, rx=31, src=OTHER, order="O-1", line=2, lu="L-1").device("telemetry", 60)
    case.rules["short_on_close"] = True
    case.expect("pick.confirmed", "O-1/1", t=10, qty=1).expect("pick.confirmed", "O-1/2", t=28, qty=1)
    case.packed(1, "L-1#2", line=2, t=30).expect("pick.reversed", f"T-1/{STATION}/0/2/0", t=13, qty=1)
    return case.expect("never", "T-1", type="pick.short")
