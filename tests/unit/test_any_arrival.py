"""The same story in two orders of arrival within the disorder (R3): who caused a revision, what an exception says."""

from __future__ import annotations

from typing import Any

from tests.cases.writing import SCALE, STATION, WMS, Case, at
from tests.oracle.ids import dev_id
from tests.through_core import feed

LABELLER, DOCK = "dc1/pack/LAB-01", "dc1/dock/GUN-9"


def labelled(rx: float, slow: bool) -> Case:
    """The label is read just after the hold of the close is over. `slow`: the scale holds the watermark back."""
    case = Case().order(1).task(1).plan().pick(10, lu="L-1").close(20)
    if slow:
        case.device("weigh", 21, 24.5, SCALE, lu="Z-1", weight_g=1)
    case.device("scan.read", 27.3, 27.35, lu="Z-2")
    return case.device("label.verified", 26.5, rx, LABELLER, lu="L-1", result="OK", sscc="00340").device(
        "telemetry", 60
    )


def told(case: Case, type_: str) -> list[dict[str, Any]]:
    records = sorted(case.records, key=lambda record: record["t_rx"])
    return [event for event in feed(records).events if event["type"] == f"io.sortline.{type_}.v1"]


def said(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in ("time", "data", "causationid")}


def test_R03_a_label_of_just_after_the_hold_causes_no_revision_of_its_own() -> None:
    """Whether it comes before the watermark has passed the hold or after it."""
    in_time = told(labelled(26.6, slow=True), "carton.closed")
    after = told(labelled(27.9, slow=False), "carton.closed")
    assert (len(in_time), len(after)) == (1, 2)
    assert in_time[-1]["data"]["sscc"] == "00340"
    assert said(in_time[-1]) == said(after[-1])


def pallet(*lus: str) -> Case:
    """Two cartons of a shipment that is not ready, bound to one pallet at one time, and loaded with it."""
    case = Case().order(3).task(3).plan().plan("C-2", "L-2").shipment(3).pick(5, lu="L-1").pick(6, lu="L-2")
    case.close(10).close(11, "L-2")
    for n, lu in enumerate(lus):
        case.wms("lu.bind", 20 if lu == "L-1" else 20.1, 20.2 + n / 10, lu=lu, parent="PAL-1")
    return case.device("load.scanned", 30, src=DOCK, lu="PAL-1", trailer="TR-1").device("telemetry", 60)


def test_R55_which_carton_of_a_pallet_is_named() -> None:
    for lus in (("L-1", "L-2"), ("L-2", "L-1")):
        details = {event["data"]["code"]: event["data"]["detail"] for event in told(pallet(*lus), "exception.raised")}
        assert details["SHP_LOAD_BEFORE_READY"] == "C-1"


def ready_with_two() -> Case:
    """S-1 of C-1 (L-1) and C-2 (L-2), closed at 20 and 21."""
    case = Case().order(1, 1).task(1).task(1, "T-2", line=2).plan(contents=[{"order": "O-1", "line": 1, "qty": 1}])
    case.plan("C-2", "L-2", contents=[{"order": "O-1", "line": 2, "qty": 1}])
    case.wms("shipment.plan", shipment="S-1", scope=[{"order": "O-1", "line": line, "qty": 1} for line in (1, 2)])
    return case.pick(10, lu="L-1").pick(11, task="T-2", lu="L-2").close(20).close(21, "L-2")


def reopened_and_bound(word_rx: float) -> Case:
    """S-1 is ready. A pick of 50 opens C-1 again, C-2 is put onto a pallet at 50.6, the TMS's word is of 50.9. A load
    of 50.3 came before all of them."""
    case = ready_with_two()
    case.device("load.scanned", 50.3, 50.8, DOCK, lu="L-1", trailer="TR-1")
    case.wms("manifest.result", 50.9, word_rx, shipment="S-1", manifest_no="M-1", tracking=[])
    return case.pick(50, rx=51, lu="L-1").wms("lu.bind", 50.6, 51.1, lu="L-2", parent="PAL").device("telemetry", 90)


def test_R52_what_comes_after_the_word_of_the_tms_is_no_cause_before_what_preceded_it() -> None:
    """The word has the load of 50.3 judged before the watermark comes there; the pick of before still waits for it."""
    assert told(reopened_and_bound(word_rx=50.9), "shipment.unready") == []
    (unready,) = told(reopened_and_bound(word_rx=51.2), "shipment.unready")
    assert unready["data"]["cause"] == "pick.confirm"


def test_R52_what_the_word_of_the_tms_has_overtaken_ends_a_readiness_all_the_same() -> None:
    """Opened at 50, closed at 50.3, which came first; the other carton is voided at 50.6. The word is of 50.9."""
    case = ready_with_two()
    case.device("carton.reopen", 50, 51, lu="L-1").device("carton.close", 50.3, 50.8, lu="L-1")
    case.device("carton.void", 50.6, 51.1, lu="L-2").device("telemetry", 90)
    case.wms("manifest.result", 50.9, shipment="S-1", manifest_no="M-1", tracking=[])
    (unready,) = told(case, "shipment.unready")
    assert unready["data"]["cause"] == "carton.reopen"


def pressed_and_asked_anew(press_t: float, press_rx: float, word_rx: float) -> Case:
    """One piece of two, and a word of 20.3 that asks for one."""
    case = Case().order(2).task(2).task(1, t=20.3, rx=word_rx, rev=2)
    return case.pick(press_t, rx=press_rx).device("telemetry", 60, src=SCALE)


def test_R27a_the_later_of_press_and_word_has_decided() -> None:
    """Whichever of the two was heard of first."""
    for press_t, cause in ((20, WMS), (20.6, STATION)):
        word_last = told(pressed_and_asked_anew(press_t, 20.7, 20.8), "pick.confirmed")[-1]
        press_last = told(pressed_and_asked_anew(press_t, 20.8, 20.7), "pick.confirmed")[-1]
        assert said(word_last) == said(press_last)
        assert word_last["causationid"].startswith(cause)


def named(bind_rx: float, plan_rx: float) -> Case:
    """A piece that was told at 10; its unit is called C-1 by a plan of 12, and bound to it at 12.2."""
    case = Case().order(1).task(1).pick(10, lu="L-1").plan("C-1", "L-1", t=12, rx=plan_rx)
    return case.wms("lu.bind", 12.2, bind_rx, lu="L-1", carton="C-1").device("telemetry", 60, src=STATION)


def test_R31_a_carton_that_is_named_later_has_not_decided_the_pick() -> None:
    """Whichever of the two names was heard of first: the piece has."""
    first = told(named(bind_rx=12.3, plan_rx=12.1), "pick.confirmed")[-1]
    second = told(named(bind_rx=12.3, plan_rx=12.4), "pick.confirmed")[-1]
    assert first["data"]["carton"] == "C-1"
    assert said(first) == said(second)
    assert first["causationid"].startswith(STATION)


def waited(late_rx: float) -> Case:
    """A press of the line of 20 waits until the watermark has passed it; a piece of 21 is put back at 21.5."""
    case = Case().order(4).task(2, deadline=at(15)).pick(20, order="O-1", line=1)
    case.pick(21).put_back(21.5, rx=late_rx)
    return case.device("telemetry", 60, src=STATION)


def test_R20_a_press_that_waited_for_the_watermark_is_not_what_came_last() -> None:
    """The reversal has decided, whether it came before the watermark had passed the press or after that."""
    for type_ in ("pick.confirmed", "pick.short"):
        in_order, late = (told(waited(rx), type_)[-1] for rx in (21.5, 23.4))
        assert in_order["data"]["t_close"] == at(21.5)
        assert said(in_order) == said(late)


def cut_off(order_rx: float) -> Case:
    """The wave's cutoff of 6 had come when order and task were told."""
    case = Case().wms("wave.released", 0, wave="W-1", orders=["O-1"], cutoff=at(6)).device("telemetry", 1)
    case.order(1, t=20, rx=order_rx).task(1, t=20.4, rx=20.5).device("telemetry", 60, src=STATION)
    case.rules = {"short_at_cutoff": True}
    return case


def test_R21_the_wave_has_set_the_cutoff() -> None:
    """`causationid` is of the context that set it, whichever record let it be told."""
    for order_rx in (20.1, 20.6):
        case = cut_off(order_rx)
        records = sorted(case.records, key=lambda record: record["t_rx"])
        events = feed(records, rules=case.rules).events
        short = [event for event in events if event["type"] == "io.sortline.pick.short.v1"][-1]
        wave = next(record for record in records if record["kind"] == "wave.released")
        assert short["causationid"] == dev_id(wave)


def counted(word_rx: float, slow: bool) -> Case:
    """A count of 10, and the expectation that it is held against, told at 12.5. `slow`: the watermark lags."""
    case = Case().device("count.reported", 10, loc="A-1", sku="A", qty=3)
    if slow:
        case.device("weigh", 10.4, 11, SCALE, lu="Z-1", weight_g=1)
    case.device("telemetry", 12.4)
    case.wms("stock.expectation", 12.5, word_rx, loc="A-1", sku="A", qty=8, as_of=at(5))
    return case.device("telemetry", 60)


def test_R71_a_count_has_decided_what_an_expectation_says_within_the_disorder() -> None:
    """Also where the watermark has passed the count by then."""
    in_time = told(counted(12.55, slow=True), "inventory.discrepancy")[-1]
    after = told(counted(12.55, slow=False), "inventory.discrepancy")[-1]
    assert in_time["data"]["actual"] == 3
    assert said(in_time) == said(after)


def found_after_all(found_rx: float) -> Case:
    """A count of 10 that differs; a short of 20, and the piece is found at 20.5."""
    case = Case().order(2).task(2, loc="A-1").wms("stock.expectation", 0, loc="A-1", sku="A", qty=8, as_of=at(0))
    case.device("count.reported", 10, loc="A-1", sku="A", qty=3).device("telemetry", 15)
    case.pick(16, loc="A-1").short(20).pick(20.5, rx=found_rx, loc="A-1")
    case.device("telemetry", 22.2, src=STATION).device("telemetry", 22.2)
    return case.device("telemetry", 60, src=STATION).device("telemetry", 60.1)


def test_R71_a_count_that_stands_again_names_itself() -> None:
    """Whether the short was told before the piece was heard of or not."""
    in_order, late = (told(found_after_all(rx), "inventory.discrepancy") for rx in (20.6, 22.3))
    assert in_order[-1]["data"]["kind"] == "COUNT_DIFF"
    assert said(in_order[-1]) == said(late[-1])


def test_S10_of_two_facts_of_one_moment_the_later_one_names_what_is_stuck() -> None:
    """By R3's order: the scale's, whose name is the less, is not what the carton was heard of last by."""
    causes = set()
    for pick_rx, scale_rx in ((10, 10.5), (10.5, 10)):
        case = Case().order(2).task(2).pick(10, rx=pick_rx, lu="L-1")
        case.device("weigh", 10, scale_rx, SCALE, lu="L-1", weight_g=5).device("telemetry", 700)
        records = sorted(case.records, key=lambda record: record["t_rx"])
        stuck = [event for event in feed(records, rules={"stuck_ms": 600_000}).events if "PKG_STUCK" in str(event)]
        causes |= {event["causationid"] for event in stuck}
    assert len(causes) == 1
    assert causes.pop().startswith(STATION)
