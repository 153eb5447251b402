"""Golden cases of event time, watermark, order and the two clocks (R1 to R4a). Read off the rules' text."""

from __future__ import annotations

from typing import Any

from tests.cases.writing import PACK, SCALE, SORTER, STATION, WMS, Case, at

GUN, MOTOR, LABELLER = "dc1/pick/GUN-01", "dc1/conveyor/M-01", "dc1/pack/LAB-01"
SLOW = 120_000  # idle_source_ms: a source that says nothing more holds the watermark back all through the story


Between = tuple[str, str, float, dict[str, Any]]


def with_slow_sources(**rules: int) -> Case:
    case = Case()
    case.rules = {"idle_source_ms": SLOW, **rules}
    return case


# ------------------------------------------------------------------------------------------------ R1


def R01_the_bound_is_still_inside() -> Case:
    """R1: |t - t_rx| <= skew_max_ms is believed, a microsecond more is not; nor is a hist record that far in the
    future."""
    case = Case().order(4).task(1).task(1, "T-2").task(1, "T-3").task(1, "T-4")
    case.pick(10, rx=15).pick(20, rx=25.000001, task="T-2").pick(35, rx=30, task="T-3")
    case.pick(50, rx=44.999999, task="T-4", hist=True)
    case.confirmed(1, 10).confirmed(1, 25.000001, "T-2").confirmed(1, 35, "T-3").confirmed(1, 44.999999, "T-4")
    return case.raised("TIME_SKEW", STATION)


def R01_context_from_the_future_happens_when_it_is_received() -> Case:
    """R1: context may be any time old, but like everybody no more than skew_max_ms in the future."""
    case = Case().order(2).task(2).pick(10).wms("order.cancelled", 3600, rx=30, rev=2, order="O-1")
    return case.confirmed(1, 30, cancelled=True).raised("TIME_SKEW", WMS)


def R01_a_hundred_good_records_end_a_skew() -> Case:
    """R1: raised once however many bad ones follow, cleared by the hundredth good one in a row."""
    case = Case().device("telemetry", -3600, rx=8, src=STATION).device("telemetry", -3600, rx=9, src=STATION)
    for n in range(100):
        case.device("telemetry", 10 + n / 10, src=STATION)
    return case.cleared("TIME_SKEW", STATION, t=19.9).times("TIME_SKEW", 1)


def R01_ninety_nine_good_records_do_not_end_a_skew() -> Case:
    """R1: in a row; a bad one lets the count begin anew, and is no new episode."""
    case = Case()
    for begin in (10, 30):
        case.device("telemetry", -3600, rx=begin, src=STATION)
        for n in range(1, 100):
            case.device("telemetry", begin + n / 10, src=STATION)
    return case.raised("TIME_SKEW", STATION).times("TIME_SKEW", 1)


def R01_a_second_skew_is_a_second_episode() -> Case:
    """R1: once per episode."""
    case = Case()
    for begin in (10, 30):
        case.device("telemetry", -3600, rx=begin, src=STATION)
        for n in range(1, 101):
            case.device("telemetry", begin + n / 10, src=STATION)
    case.times("TIME_SKEW", 2)
    return case.cleared("TIME_SKEW", STATION, 1, t=20).cleared("TIME_SKEW", STATION, 2, t=40)


# ------------------------------------------------------------------------------------------------ R2


def decided_at_28(case: Case, *between: Between, pick_src: str = PACK) -> Case:
    """Closed at 20, PACK-1 has come to 28, and a second piece of 15 is told at 29: is the close decided by then?"""
    case.order(2).task(2).plan().pick(10, src=pick_src, lu="L-1")
    for src, kind, t, fields in between:
        if kind.startswith("link."):
            case.tell(src, kind, t, **fields)
        else:
            case.device(kind, t, fields.pop("rx", None), src, **fields)
    case.close(20).device("telemetry", 24, src=PACK).device("telemetry", 28, src=PACK)
    return case.pick(15, rx=29, src=GUN, lu="L-1", hist=True).confirmed(2, 15)


def R02_the_slowest_source_holds_the_watermark() -> Case:
    """R2: the watermark is the least over the sources that are in: the station has only come to 10."""
    return decided_at_28(with_slow_sources(), pick_src=STATION).packed(2, revision=0)


def R02_a_source_leaves_when_it_is_idle() -> Case:
    """R2: 5 seconds after its last record the station holds nobody up."""
    return decided_at_28(Case(), pick_src=STATION).packed(2, revision=1)


def R02_hist_holds_no_watermark() -> Case:
    """R2: a backlog does not bring its source in."""
    early = (GUN, "scan.read", 5, {"rx": 12, "lu": "L-9", "hist": True})
    return decided_at_28(with_slow_sources(), early).packed(2, revision=1)


def R02_hist_moves_no_watermark() -> Case:
    """R2: a backlog of 18 does not move the watermark; else it would decide the deadline of 15 before the live pick of
    14.5 comes."""
    case = Case().order(2, 1).task(2, deadline=at(15)).task(1, "T-2", line=2).pick(14)
    case.pick(18, rx=18.5, task="T-2", hist=True).pick(14.5, rx=18.8)
    return case.confirmed(2, 14.5, revision=0).confirmed(1, 18, "T-2")


def R02_noise_brings_nobody_in() -> Case:
    """R2: a motor that has sent nothing but noise holds no watermark."""
    return decided_at_28(with_slow_sources(), (MOTOR, "telemetry", 12, {})).packed(2, revision=1)


def R02_noise_advances_who_is_in() -> Case:
    """R2: noise moves the watermark of a source that is in: the station's heartbeat says that it has come to 28."""
    case = with_slow_sources().order(2).task(2).plan().pick(10, lu="L-1").close(20)
    case.device("telemetry", 28, src=STATION).device("telemetry", 28, src=PACK)
    return case.pick(15, rx=29, src=GUN, lu="L-1", hist=True).confirmed(2, 15).packed(2, revision=1)


def R02_link_down_lets_a_source_leave() -> Case:
    """R2: a source whose link is down is not waited for."""
    return decided_at_28(with_slow_sources(), (STATION, "link.down", 12, {}), pick_src=STATION).packed(2, revision=1)


def R02_link_down_speaks_for_all_behind_it() -> Case:
    """R2: `scope`: the gateway of all pick stations is gone."""
    down = ("dc1/gateway", "link.down", 12, {"scope": "dc1/pick/"})
    return decided_at_28(with_slow_sources(), down, pick_src=STATION).packed(2, revision=1)


def R02_link_down_speaks_for_no_others() -> Case:
    """R2: the scope is that of another gateway: the station is in, and holds the watermark."""
    down = ("dc1/gateway", "link.down", 12, {"scope": "dc1/sorter/"})
    return decided_at_28(with_slow_sources(), down, pick_src=STATION).packed(2, revision=0)


def R02_back_with_its_next_record() -> Case:
    """R2: after link.down the first device record brings the station in again, and it holds the watermark."""
    story: tuple[Between, ...] = ((STATION, "link.down", 12, {}), (STATION, "scan.read", 14, {"lu": "L-9"}))
    return decided_at_28(with_slow_sources(), *story, pick_src=STATION).packed(2, revision=0)


def R02_link_up_alone_brings_nobody_in() -> Case:
    """R2: it comes back with a device record, which says how far it has come."""
    story: tuple[Between, ...] = (
        (STATION, "link.down", 12, {}),
        (STATION, "link.up", 14, {}),
    )
    return decided_at_28(with_slow_sources(), *story, pick_src=STATION).packed(2, revision=1)


def R02_hist_after_link_down_brings_nobody_in() -> Case:
    """R2: it comes back with a record that is not hist."""
    story: tuple[Between, ...] = (
        (STATION, "link.down", 12, {}),
        (STATION, "scan.read", 14, {"lu": "L-9", "hist": True}),
    )
    return decided_at_28(with_slow_sources(), *story, pick_src=STATION).packed(2, revision=1)


def R02_the_watermark_is_at_the_deadline() -> Case:
    """R2, R4: with nobody in, the watermark is the wall clock less 5 s: it is at 15, and so does not pass the deadline
    of 15."""
    case = Case().order(3).task(3, deadline=at(15)).pick(10).tick(20).pick(14, rx=20, src=GUN, hist=True)
    return case.confirmed(2, 15, revision=0).shorted(1, 15, revision=0)


def R02_the_watermark_passes_the_deadline() -> Case:
    """R2, R4: the watermark is greater than the deadline by a microsecond: decided, and the pick that comes now is a
    revision."""
    case = Case().order(3).task(3, deadline=at(15)).pick(10).tick(20.000001).pick(14, rx=20.000001, src=GUN, hist=True)
    return case.confirmed(2, 15, revision=1).shorted(1, 15, revision=1)


# ------------------------------------------------------------------------------------------------ R3


def R03_context_goes_first_at_one_time() -> Case:
    """R3: the pick and the bind of 30 are of one moment; context goes first, so the pick is the new carton's, though
    it was told before."""
    case = Case().order(2).task(1).task(1, "T-2").wms("lu.bind", 1, lu="L-1", carton="C-1").pick(10, lu="L-1").close(20)
    case.pick(30, rx=30.1, task="T-2", lu="L-1").wms("lu.bind", 30, rx=30.5, rev=2, lu="L-1", carton="C-2").close(50)
    case.confirmed(1, 10).confirmed(1, 30, "T-2")
    return case.packed(1, "C-1", t_close=at(20)).packed(1, "C-2", t_open=at(30), t_close=at(50))


def weighed_twice(last: dict[str, Any], first: dict[str, Any]) -> Case:
    """Two weighings of one moment; `last` arrives before `first`, and is the last by R3."""
    case = Case().order(1).task(1).plan().pick(10, lu="L-1").close(20)
    case.tell(**{"src": SCALE, **last}, kind="weigh", t=22, rx=22.5, lu="L-1", weight_g=2)
    case.tell(**{"src": SCALE, **first}, kind="weigh", t=22, rx=22.6, lu="L-1", weight_g=1)
    return case.confirmed(1, 10).packed(1, weight_g=2)


def R03_then_the_name_of_the_source() -> Case:
    """R3: the source's name goes before epoch, number and arrival."""
    return weighed_twice({"src": "dc1/pack/SCL-02", "seq": 1}, {"epoch": 3, "seq": 5})


def R03_then_the_epoch() -> Case:
    """R3: the epoch goes before number and arrival."""
    return weighed_twice({"epoch": 1, "seq": 1}, {"seq": 5})


def R03_then_the_number() -> Case:
    """R3: the number goes before arrival; 10 comes after 9."""
    return weighed_twice({"seq": 10}, {"seq": 9})


def R03_then_the_place_in_the_telegram() -> Case:
    """R3: `sub` goes before arrival."""
    return weighed_twice({"seq": 1, "sub": 1}, {"seq": 1})


def R03_then_the_arrival() -> Case:
    """R3: of two weighings of one moment, by a scale that does not number, the one that arrived last counts."""
    case = Case().order(1).task(1).plan().pick(10, lu="L-1").close(20)
    for grams, rx in ((3, 22.5), (2, 22.6)):
        case.tell(SCALE, "weigh", 22, rx, lu="L-1", weight_g=grams)
    return case.confirmed(1, 10).packed(1, weight_g=2)


# ------------------------------------------------------------------------------------------------ R4


def R04_an_ordinary_close_after_a_quiet_minute() -> Case:
    """R4: within the jump to 90 all leave at 25, the watermark passes 25 at 30, and only then the bound of 50 comes."""
    case = Case().shipped().pick(10, 2, lu="L-1").close(20).tick(90)
    case.confirmed(2, 10, revision=0, evidence="exact").packed(2, revision=0, evidence="exact")
    case.ready(2, 20, revision=0, evidence="exact")
    return case.in_order(("pick.confirmed", "T-1"), ("carton.closed", "C-1"), ("shipment.ready", "S-1"))


def R04_a_deadline_after_a_quiet_minute() -> Case:
    """R4: a tick of 90 ends a quiet minute: the sources leave and the watermark passes the deadline of 15 before its
    bound of 45 comes."""
    case = Case().order(2).task(2, deadline=at(15)).pick(10).tick(90)
    return case.confirmed(1, 15, revision=0, evidence="exact").shorted(1, 15, revision=0, evidence="exact")


def R04_a_leaving_before_the_bound() -> Case:
    """R4: the sources leave at 30 and 40, so the watermark passes 25 at 45: before the bound of 50."""
    case = Case()
    case.rules = {"idle_source_ms": 20_000}
    case.order(1).task(1).plan().pick(10, lu="L-1").close(20).tick(90)
    return case.confirmed(1, 10).packed(1, revision=0, evidence="exact")


def R04_a_leaving_after_the_bound() -> Case:
    """R4: the station leaves at 70; the bound of 50 comes first, and forces the close."""
    case = Case()
    case.rules = {"idle_source_ms": 60_000}
    case.order(1).task(1).plan().pick(10, lu="L-1").close(20).tick(90)
    return case.confirmed(1, 10).packed(1, revision=0, evidence="incomplete")


def R04_one_source_that_lags_holds_no_longer_than_the_bound() -> Case:
    """R4: the pack station has come to 52, the pick station only to 10; 30 s after it arrived the close is told."""
    case = with_slow_sources().order(1).task(1).plan().pick(10, lu="L-1").device("carton.close", 20, rx=21, lu="L-1")
    case.device("telemetry", 50.9, src=PACK).device("telemetry", 52, src=PACK)
    case.pick(53, task="T-9").confirmed(1, 10, evidence="exact").counted(open=1)
    return case.packed(1, revision=0, evidence="incomplete")


def R04_a_bound_counts_from_the_arrival() -> Case:
    """R4: the close of 20 came at 21: a pick that comes just before 51 is in it, without a revision."""
    case = with_slow_sources().order(2).task(2).plan().pick(10, lu="L-1")
    case.device("carton.close", 20, rx=21, lu="L-1").pick(15, rx=50.999999, src=GUN, lu="L-1", hist=True).tick(51)
    return case.confirmed(2, 15).packed(2, revision=0, evidence="incomplete")


def R04_a_bound_is_reached_at_its_very_moment() -> Case:
    """R4: a record of 51 first moves the wall clock, which decides; then its pick takes effect, as a revision."""
    case = with_slow_sources().order(2).task(2).plan().pick(10, lu="L-1")
    case.device("carton.close", 20, rx=21, lu="L-1").pick(15, rx=51, src=GUN, lu="L-1", hist=True)
    return case.confirmed(2, 15).packed(2, revision=1)


def R04_the_bound_of_a_deadline_counts_from_the_deadline() -> Case:
    """R4: the task was told at 0, its deadline is 40: not before 70."""
    case = with_slow_sources().order(3).task(3, deadline=at(40)).pick(10)
    case.pick(15, rx=69.999999, src=GUN, hist=True).tick(70)
    case.confirmed(2, 40, revision=0, evidence="incomplete")
    return case.shorted(1, 40, revision=0, evidence="incomplete", decided_by="DEADLINE")


def R04_the_bound_of_a_deadline_is_reached() -> Case:
    """R4: a record of 70 first moves the wall clock, which decides the deadline of 40; then its pick is a revision."""
    case = with_slow_sources().order(3).task(3, deadline=at(40)).pick(10).pick(15, rx=70, src=GUN, hist=True)
    return case.confirmed(2, 40, revision=1).shorted(1, 40, revision=1)


def R04_readiness_is_bounded_too() -> Case:
    """R4: `hold_wall_max_ms` bounds both holds: a shipment that one lagging source would keep back is told ready,
    `incomplete`."""
    case = with_slow_sources().shipped().pick(10, 2, lu="L-1").close(20).tick(50)
    case.confirmed(2, 10, evidence="exact").packed(2, revision=0, evidence="incomplete")
    return case.ready(2, 20, revision=0, evidence="incomplete")


def R04_the_bound_tells_no_truth_that_is_known_to_have_ended() -> Case:
    """R4, R51: the wrong label of 22 is known when the bound of 20 comes: what was ready has not lasted its hold."""
    case = with_slow_sources().shipped().pick(10, 2, lu="L-1").close(20)
    case.device("label.verified", 22, src=LABELLER, lu="L-1", result="MISMATCH").tick(60)
    case.confirmed(2, 10).packed(2, revision=0, evidence="incomplete")
    return case.raised("PKG_LABEL_MISMATCH", "carton/C-1")


def R04_the_bound_finds_a_truth_where_it_began() -> Case:
    """R4, R51: the weighing of 20.25 arrived before the close of 20, so its bound comes first; the shipment was ready
    since 20 all the same."""
    case = with_slow_sources(hold_wall_max_ms=4_000).shipped().pick(10, 2, lu="L-1")
    case.tell(SCALE, "weigh", 20.25, 20.5, lu="L-1", weight_g=500).device("carton.close", 20, 20.75, lu="L-1").tick(60)
    case.confirmed(2, 10).packed(2, revision=0, weight_g=500)
    return case.ready(2, 20, revision=0, evidence="incomplete")


def R04_what_has_lasted_is_told_before_the_bound_of_its_end() -> Case:
    """R4, R52, R60: which unit was diverted is known at 63.1, when the divert's own bound is over. The readiness is
    told before the bound of what ended it."""
    case = Case().shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L-1").close(24)
    case.rules = {"idle_source_ms": 30_000, "hold_wall_max_ms": 10_000}
    case.device("scan.read", 28, src=SORTER, track="7", lu="L-1")
    case.device("divert.confirmed", 33, 33.5, SORTER, track="7", dest="D-1")
    case.device("item.arrived", 53, 54, "dc1/dock/GUN-9", lu="L-1", loc="PARK")
    case.confirmed(2, 10).packed(2, revision=0).ready(2, 33, revision=0, evidence="incomplete")
    return case.expect("shipment.unready", "S-1", t=53, cause="item.arrived")


def R04_what_the_bound_has_told_of_a_line_a_first_task_of_later_leaves() -> Case:
    """R4, R20: the bound has decided the short of 12, as one source lags behind. A task of 20 is told: what the line
    had told by then stays as it is, and is not taken back till the watermark comes."""
    case = with_slow_sources(hold_wall_max_ms=4_000).order(5).pick(10, 3, order="O-1", line=1)
    case.device("pick.short", 12, src=STATION, order="O-1", line=1, sku="A", code="EMPTY", qty=2)
    case.tick(40).task(5, t=20, rx=41)
    case.expect("pick.confirmed", "O-1/1", t=12, revision=0, evidence="incomplete", qty=3)
    return case.expect("pick.short", "O-1/1", t=12, revision=0, evidence="incomplete", qty_short=2)


def R04_a_tick_lets_time_decide() -> Case:
    """R4: nothing but the engine's own tick comes, and the deadline is decided by it: the pick of 21.5 revises."""
    case = Case().order(3).task(3, deadline=at(15)).pick(10).tick(21).pick(14, rx=21.5, src=GUN, hist=True)
    case.counted(open=0, used=len(case.records))
    return case.confirmed(2, 15, revision=1).shorted(1, 15, revision=1)


def R04_ctx_wait_ms_has_not_passed() -> Case:
    """R4, R11: a microsecond less than ten minutes after its arrival, nothing is missing yet."""
    return Case().pick(10, rx=12, task="T-9").tick(611.999999).never_raised("CTX_MISSING").counted(open=1)


def R04_ctx_wait_ms_has_passed() -> Case:
    """R4, R11: ten minutes are reached, and CTX_MISSING raised; the task that comes later lets the pick count at its
    own time, and clears it."""
    case = Case().pick(10, rx=12, task="T-9").tick(612).order(1, t=620).task(1, "T-9", t=620).counted(open=0)
    return case.cleared("CTX_MISSING", "task/T-9", t=620).confirmed(1, 10, "T-9")


def R04_what_is_due_goes_by_time_then_kind_then_key() -> Case:
    """R4: by due time, then pick, carton, shipment, then key; L-2 is due at 23, T-1, T-2, L-1 at 25, T-0 at 26."""
    case = Case().order(4, 2).task(2, "T-2", line=2, deadline=at(25)).task(2, "T-1", deadline=at(25))
    case.task(1, "T-0", deadline=at(26)).task(1, "T-3")
    case.pick(9, task="T-3", lu="L-2").pick(10, lu="L-1").pick(11, task="T-2", lu="L-1")
    case.close(18, "L-2").close(20).tick(90)
    contents = [{"line": line, "order": "O-1", "qty": 1, "sku": "A"} for line in (1, 2)]
    case.confirmed(1, 9, "T-3").packed(1, "L-2#1").expect("carton.closed", "L-1#1", contents=contents, revision=0)
    case.confirmed(1, 25).shorted(1, 25).confirmed(1, 25, "T-2").shorted(1, 25, "T-2").shorted(1, 26, "T-0")
    return case.in_order(
        *(("pick.confirmed", "T-3"), ("carton.closed", "L-2#1"), ("pick.confirmed", "T-1"), ("pick.short", "T-1")),
        *(("pick.confirmed", "T-2"), ("pick.short", "T-2"), ("carton.closed", "L-1#1"), ("pick.short", "T-0")),
    )


# ------------------------------------------------------------------------------------------------ R4a


def R04a_due_at_the_very_end() -> Case:
    """R4a: up to and including T: a deadline of 30, and a close whose hold is over at 30."""
    case = Case().order(2, 1).task(2, deadline=at(30)).task(1, "T-2", line=2).plan()
    case.pick(10, lu="L-1").close(25).until(30)
    case.confirmed(1, 30, evidence="exact").shorted(1, 30, evidence="exact")
    return case.packed(1, t_close=at(25), evidence="exact")


def R04a_due_after_the_end_stays_open() -> Case:
    """R4a: what is due a microsecond after T is not decided, and never flushed."""
    case = Case().order(2).task(2, deadline=at(30.000001)).plan()
    return case.pick(10, lu="L-1").close(25.000001).until(30).never_raised("PKG_EMPTY")


def R04a_what_waits_is_counted_open() -> Case:
    """R4a, R82: a pick whose task never came."""
    return Case().order(1).task(1).pick(10).pick(11, task="T-9").confirmed(1, 10).counted(open=1, used=3)


def R04a_every_source_leaves() -> Case:
    """R4a: a source that would hold the watermark for minutes does not hold the end: decided by time, not forced."""
    case = Case()
    case.sources = {"dc1/pick": {"idle_source_ms": SLOW}}
    case.order(1).task(1).plan().pick(10, lu="L-1").close(20)
    return case.confirmed(1, 10).packed(1, revision=0, evidence="exact")


def R04a_without_a_time_it_is_a_minute_after_the_last() -> Case:
    """R4a: the greatest event time, here the close's 20, and 60 s: a deadline of 80 is decided, one of 81 is open."""
    case = Case().order(2, 2).task(2, deadline=at(80)).task(2, "T-2", line=2, deadline=at(81)).pick(10, lu="L-1")
    case.close(20).packed(1, "L-1#1")
    return case.confirmed(1, 80).shorted(1, 80)


def R04a_the_last_may_be_noise() -> Case:
    """R4a: noise has an event time, too: the motor's 50 and 60 s."""
    case = Case().order(2).task(2, deadline=at(110)).pick(10).device("telemetry", 50, src=MOTOR)
    return case.confirmed(1, 110).shorted(1, 110)
