"""The same story in two orders of arrival within the disorder (R3): who caused a revision, what an exception says."""

from __future__ import annotations

from typing import Any

from tests.cases.writing import SCALE, Case
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
