"""Stories that read what was not there: the core went down with them, or told what it had never decided."""

from __future__ import annotations

from tests.cases.writing import SORTER, STATION, Case, at
from tests.through_core import feed

OTHER = "dc1/pick/PTL-02"


def test_r29_a_plan_of_a_unit_whose_picks_all_came_late() -> None:
    """The press of 1.2 goes to the task that is told later; the manifest of 1 makes it late, and the use of L-2 that it
    had begun is none: the plan of that unit finds nothing in it."""
    case = Case().order(2).pick(1.2, 2, rx=1.45, line=1, order="O-1", lu="L-2").task(2, rx=1.47)
    case.wms("manifest.result", 1, rx=2.49, shipment="S-1", manifest_no="M-1", tracking=[])
    case.wms("carton.plan", 2, rx=3.33, carton="C-2", shipment="S-1", lu="L-2", contents=[])
    case.device("telemetry", 60, src=STATION)
    assert feed(case.records).account["used"] == 5


def test_r53_less_than_nothing_is_counted_for_a_shipment() -> None:
    """Two pieces are put back that nobody had picked, one of them out of a carton of S-1: its line is short by one more
    than was planned, and nothing of it is ready."""
    case = Case()
    case.rules["hold_wall_max_ms"] = 5_000
    scope = [{"order": "O-2", "line": 1, "qty": 2}, {"order": "O-1", "line": 1, "qty": 1}]
    case.wms("shipment.plan", shipment="S-2", scope=scope, hist=True)
    case.task(2, "T-4", rx=0.65, loc="B-4", lu="L-2", deadline=at(18))
    case.wms("carton.plan", rx=1.87, carton="C-1", shipment="S-1", lu="L-1", contents=[], weight_g=100, tol_g=5)
    case.wms("shipment.plan", 3, shipment="S-1", scope=[{**scope[1], "qty": 2}], stage_required=False)
    case.task(2, rx=7.86, loc="B-1", lu="L-1", deadline=at(13), hist=True).put_back(7, rx=8.53, src=OTHER, lu="L-1")
    case.put_back(120, src=OTHER, lu="L-3").pick(960, rx=979.4, src=OTHER, press="2").device(
        "scan.read", 999, src=SORTER
    )
    told = {event["type"] for event in feed(case.records, rules=case.rules).events}
    assert "io.sortline.shipment.ready.v1" not in told
