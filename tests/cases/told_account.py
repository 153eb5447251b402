"""Golden cases of the order of delivery, the one content of an id, and the account (R80 to R82); of diverts (R62); and
of traps that no other file tells. Read off the rules' text."""

from __future__ import annotations

from typing import Any

from tests.cases.told_shipping import packed_one
from tests.cases.writing import SORTER, STATION, Case, at

DAY_S = 86_400
UNNUMBERED = "dc1/pick/PTL-09"


def R62_the_wrong_lane_is_where_it_is() -> Case:
    """R62: its place is where it really went, not where it was asked to."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(20)
    case.device("divert.confirmed", 30, src=SORTER, lu="L-1", dest="D-9", dest_req="D-1")
    return case.confirmed(2, 10).packed(2).raised("RTE_WRONG_DEST", "lu/L-1")


def R62_a_second_divert_is_a_relocation() -> Case:
    """R62: diverted once more, to where it was asked: staged, and the exception is cleared."""
    case = R62_the_wrong_lane_is_where_it_is()
    case.expected = [row for row in case.expected if row["type"] in ("pick.confirmed", "carton.closed")]
    case.device("divert.confirmed", 50, src=SORTER, lu="L-1", dest="D-1", dest_req="D-1")
    return case.ready(2, 50).cleared("RTE_WRONG_DEST", "lu/L-1", t=50)


def R62_another_lane_of_the_shipment_will_do() -> Case:
    """R50, R62: not the lane that was asked for, but one of the shipment's: staged, and raised all the same."""
    case = Case().shipped(stage_required=True, lanes=["D-1", "D-2"]).pick(10, 2, lu="L-1").close(20)
    case.device("divert.confirmed", 30, src=SORTER, lu="L-1", dest="D-2", dest_req="D-1")
    return case.confirmed(2, 10).packed(2).ready(2, 30).raised("RTE_WRONG_DEST", "lu/L-1")


def R60_a_no_read_two_loops_and_a_name_after_the_close() -> Case:
    """R60, R61: nobody could read it, it went round twice, and was named by hand: staged since its divert, and its
    carton, which was closed long before, is not told again."""
    case = packed_one().device("item.inducted", 30, src=SORTER, track="5")
    case.device("scan.noread", 31, src=SORTER, track="5")
    for t in (40, 60):
        case.device("item.recirculated", t, src=SORTER, track="5")
    case.device("divert.confirmed", 80, src=SORTER, track="5", dest="D-1")
    case.device("ident.assigned", 95, src=SORTER, track="5", lu="L-1")
    for record in case.records:
        if record["kind"] == "shipment.plan":
            record |= {"stage_required": True, "lanes": ["D-1"]}
    case.never_raised("RTE_MAX_RECIRC").never_raised("ID_UNRESOLVED")
    return case.confirmed(1, 10).packed(1, revision=0).expect("shipment.ready", "S-1", partial=False)


def R02_an_old_death_after_a_new_birth() -> Case:
    """R2, R6: the broker tells the death of the station's last life after its new life has begun: it is not down."""
    case = Case().order(3).task(3, deadline=at(30)).pick(10)
    case.tell(STATION, "pick.confirm", 12, epoch=1, seq=1, task="T-1", sku="A", qty=1)
    case.tell(STATION, "link.down", 11, 13, epoch=0)
    case.tell(STATION, "telemetry", 31, epoch=1, seq=2)
    case.never_raised("SRC_DOWN").never_raised("SEQ_GAP")
    return case.confirmed(2, 30, evidence="exact").shorted(1, 30, evidence="exact")


def R80_confirmed_before_its_short() -> Case:
    """R80, R23: among the events of one order those of a window leave as they were decided."""
    case = Case().order(2, 1).task(2).task(1, "T-2", line=2).pick(10).short(12).pick(14, task="T-2")
    case.confirmed(1, 12).shorted(1, 12).confirmed(1, 14, "T-2")
    return case.in_order(("pick.confirmed", "T-1"), ("pick.short", "T-1"))


def R80_nine_comes_before_ten() -> Case:
    """R80: `sequence` is padded, so that as text the ninth event stands before the tenth."""
    case = Case().order(*[1] * 12)
    for n in range(1, 13):
        case.task(1, f"T-{n:02}", line=n)
    for n in range(1, 13):
        case.pick(10 + n, task=f"T-{n:02}").confirmed(1, 10 + n, f"T-{n:02}", line=n)
    return case.in_order(*[("pick.confirmed", f"T-{n:02}") for n in range(1, 13)])


def R81_what_says_nothing_new_is_no_revision() -> Case:
    """R81: the same press by a second device, the task's next revision without a change, and a record sent again."""
    case = Case().order(1).task(1).pick(10, press="P-1").pick(10.5, press="P-1", src="dc1/pick/GUN-01")
    case.wms("pick.task", 20, rev=2, task="T-1", order="O-1", line=1, sku="A", qty=1)
    case.records.append(case.records[2] | {"t_rx": at(25)})
    return case.confirmed(1, 10, revision=0).counted(duplicate=2)


def R82_each_record_stands_in_one_term() -> Case:
    """R82: noise, a duplicate, one too late, one refused, one that waits for its task; the rest is used."""
    case = Case().order(1).task(1).pick(10)
    case.records.append(case.records[2] | {"t_rx": at(11)})
    case.device("telemetry", 12, src=STATION)
    case.wms("order.changed", 13, rev=1, order="O-1", lines=[{"line": 1, "sku": "A", "qty": 2}])  # R10: a conflict
    case.device("scan.read", 19 - DAY_S, 20, src=SORTER, lu="L-1", hist=True)
    case.pick(21, task="T-9")
    case.confirmed(1, 10)
    return case.counted(**{"in": 8}, used=3, duplicate=1, late=1, rejected=1, noise=1, open=1)


def R11_a_record_whose_task_never_comes() -> Case:
    """R11, R82: after `lateness_ms` it is given up, and counted late."""
    case = Case().order(1).pick(10).device("telemetry", 70, src=STATION)
    case.rules |= {"ctx_wait_ms": 20_000, "lateness_ms": 60_000}
    return case.raised("CTX_MISSING", "task/T-1", t=30).counted(used=1, late=1, open=0, noise=1)


def split(short: int, *picked: int, cutoffs: tuple[int, ...] = (0, 0)) -> Case:
    """One line of four pieces, two for S-1 in C-1, two for S-2 in C-2; `picked` of them, `short` more are short, and no
    task has asked for the rest yet."""
    case = Case().order(4).task(short + sum(picked))
    for n, (qty, cutoff) in enumerate(zip(picked, cutoffs, strict=True), start=1):
        contents = [{"order": "O-1", "line": 1, "qty": 2}]
        case.plan(f"C-{n}", f"L-{n}", shipment=f"S-{n}", contents=contents)
        case.wms("shipment.plan", shipment=f"S-{n}", scope=contents, **({"cutoff": at(cutoff)} if cutoff else {}))
        case.pick(10 + n, qty, lu=f"L-{n}")
    case.short(15).close(20, "L-1").close(22, "L-2")
    return case.confirmed(sum(picked), 15).shorted(short, 15).packed(picked[0]).packed(picked[1], "C-2")


def shipped_short(case: Case, shipment: str, t: float, packed: int, short: int) -> Case:
    line = {"cancelled": 0, "line": 1, "order": "O-1", "ordered": 2, "packed": packed, "short": short}
    return case.expect("shipment.ready", shipment, t=t, lines=[line], partial=short > 0)


def R53_a_short_of_a_line_of_two_shipments() -> Case:
    """R53: without cutoffs the greatest id first, up to what it lacks: one short is S-2's, the other S-1's."""
    return shipped_short(shipped_short(split(2, 1, 1), "S-1", 20, 1, 1), "S-2", 22, 1, 1)


def R53_what_is_packed_lacks_nothing() -> Case:
    """R53: S-2 comes first and has its two pieces; the piece that is short is S-1's."""
    return shipped_short(shipped_short(split(1, 1, 2), "S-1", 20, 1, 1), "S-2", 22, 2, 0)


def R53_the_latest_cutoff_is_short_first() -> Case:
    """R53: S-1 leaves later, so what is short is short there, up to what it lacks."""
    case = split(1, 1, 2, cutoffs=(900, 600))
    return shipped_short(shipped_short(case, "S-1", 20, 1, 1), "S-2", 22, 2, 0)


def R53_both_wait_for_the_short_and_the_later_one_has_it() -> Case:
    """R53: each lacks a piece, and one is short so far: S-1 leaves later, so the short is its, and S-2 waits on."""
    return shipped_short(split(1, 1, 1, cutoffs=(900, 600)), "S-1", 20, 1, 1)


def R53_both_wait_for_the_short_and_leave_together() -> Case:
    """R53: of two with one cutoff the greatest id first: the short is S-2's, and S-1 waits on."""
    return shipped_short(split(1, 1, 1, cutoffs=(600, 600)), "S-2", 22, 1, 1)


def R53_both_wait_for_the_short_and_one_has_no_cutoff() -> Case:
    """R53: it counts as the one that leaves last, so the short is S-1's, and S-2 waits on."""
    return shipped_short(split(1, 1, 1, cutoffs=(0, 600)), "S-1", 20, 1, 1)


def R53_a_cancel_of_a_line_of_two_shipments() -> Case:
    """R50, R53: the line is cancelled before anybody picked: both have nothing to ship of it."""
    case = Case().order(4).task(4)
    for n in (1, 2):
        contents = [{"order": "O-1", "line": 1, "qty": 2}]
        case.wms("shipment.plan", shipment=f"S-{n}", scope=contents)
    case.wms("order.cancelled", 10, rev=2, order="O-1")
    return case.raised("SHP_EMPTY", "shipment/S-1").raised("SHP_EMPTY", "shipment/S-2")


def R28_reversals_of_a_source_that_does_not_number() -> Case:
    """R28: their keys end with their names: a digest of what they say and when it was, or came; told
    once more with the same time, it is the same."""
    case = Case().order(3).task(3).pick(10, 3, lu="L-1")
    back: dict[str, Any] = {"task": "T-1", "sku": "A", "qty": 1, "lu": "L-1"}
    case.tell(UNNUMBERED, "pick.reverse", 12, **back).tell(UNNUMBERED, "pick.reverse", 12, rx=13, **back)
    case.records.append({"src": UNNUMBERED, "kind": "pick.reverse", "t_rx": at(14), **back})
    for t, name in ((12, "ghxsbrb5k4e7id3zkgbilpumve"), (14, "pdf5klcpuvqkdviwokumgoxbj5")):
        case.expect("pick.reversed", f"T-1/{UNNUMBERED}/h/{name}", t=t, qty=1)
    return case.confirmed(1, 14).counted(duplicate=1)


def R82_a_press_that_is_given_to_nobody() -> Case:
    """R82, R30: an empty `alloc` is no pick at all, but nobody has said it before: used, however often it comes."""
    case = Case().order(2).task(2)
    for t in (10, 11):
        case.pick(t, alloc=[], press="7")
    return case.pick(12, 2).confirmed(2, 12).counted(used=5, duplicate=0)
