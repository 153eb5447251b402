"""Golden cases of records that nobody would think of: each brought the core down once, or told one key twice."""

from __future__ import annotations

from tests.cases.told_shipping import manifested, part
from tests.cases.writing import ONE, PACK, SORTER, STATION, Case, at

DAY = 24 * 3600


def R63_a_scanner_that_read_nothing() -> Case:
    """R63: several codes, and none of them: a no-read, until the next read."""
    case = Case().device("scan.multiread", 0, src=SORTER, codes=[]).device("scan.read", 9, src=SORTER, lu="L-1")
    return case.device("telemetry", 20, src=SORTER).cleared("ID_MULTI", SORTER, t=9)


def R45_a_label_after_all_is_forgotten() -> Case:
    """R45: the label of a tote that was voided days ago is the first that is heard since: its facts go before it is
    asked what the tote held."""
    case = Case().wms("lu.bind", 1, lu="L-1", carton="C-1").device("carton.void", 5, lu="L-1")
    case.device("scan.read", 60, lu="L-9").device("label.verified", 8 * DAY, lu="L-1", result="NOREAD")
    return case.expect("carton.voided", "C-1", t=5)


def R45_released_under_what_only_looks_like_a_number() -> Case:
    """R45: L-1#² is no cycle of L-1."""
    case = Case().device("scan.read", 1, lu="L-1").device("carton.open", 2, lu="L-1")
    case.wms("hold.released", 3, carton="L-1#²").device("scan.read", 4, lu="L-1")
    return case.counted(**{"in": 4, "used": 4, "rejected": 0})


def R81_a_void_of_what_was_another_carton_first() -> Case:
    """R40, R81: L-1 is C-3 when it is voided; then the plan comes by which it was C-1 before the bind of 9. The void is
    that of C-3, told under its key once more, and not for the first time."""
    case = Case().order(1).task(1).pick(7, lu="L-1").wms("lu.bind", 9, lu="L-1", carton="C-3")
    case.device("carton.void", 14, lu="L-1").device("telemetry", 24, src=PACK)
    case.wms("carton.plan", 0, rx=24.2, carton="C-1", shipment="S-1", lu="L-1", contents=[]).device("telemetry", 60)
    return case.confirmed(1, 7).expect("carton.voided", "C-3", t=14)


def R81_a_close_of_what_was_another_carton_first() -> Case:
    """R40, R81: likewise a close: what was told to lie in C-3 lay in C-1, and one key has one row of revisions."""
    case = Case().order(2).task(2).pick(7, lu="L-1").wms("lu.bind", 9, lu="L-1", carton="C-3").pick(11, lu="L-1")
    case.close(14).device("telemetry", 24)
    case.wms("carton.plan", 0, rx=24.2, carton="C-1", shipment="S-1", lu="L-1", contents=[]).device("telemetry", 60)
    return case.confirmed(2, 11).packed(1, "C-3", t_open=at(9))


def R81_a_carton_that_was_called_as_another_when_it_closed() -> Case:
    """R40a, R81: L-2 is called C-1 by its close of 40, and bound as C-2 since 46: told as C-1, as L-1 was."""
    case = Case().order(3).task(3).wms("lu.bind", 1, lu="L-1", carton="C-1").pick(10, lu="L-1").close(20)
    case.pick(30, 2, lu="L-2").device("carton.close", 40, lu="L-2", carton="C-1")
    case.wms("lu.bind", 46, lu="L-2", carton="C-2").device("telemetry", 90).confirmed(3, 30)
    return case.packed(2, "C-1", lu="L-2", carton="C-2", t_open=at(30), t_close=at(40), revision=1)


def R43_a_press_of_no_pieces() -> Case:
    """R43, R45: it puts nothing into the carton, which closes empty."""
    case = Case().order(2).task(2).pick(10, 0, lu="L-1").close(20).device("telemetry", 60)
    return case.raised("PKG_EMPTY", "carton/L-1#1")


def R45_the_last_weighing_says_nothing_is_there() -> Case:
    """R45: the last weighing is one of 0 g: told as it is, and off."""
    case = Case().order(2).task(2).plan(weight_g=500, tol_g=10).shipment(2).pick(10, 2, lu="L-1")
    case.device("weigh", 20, lu="L-1", weight_g=500).close(21).device("weigh", 23, lu="L-1", weight_g=0)
    case.device("telemetry", 60).confirmed(2, 10).packed(2, weight_g=0)
    return case.raised("PKG_WEIGHT_MISMATCH", "carton/C-1")


def R81_a_reversal_that_names_one_task_twice() -> Case:
    """R28, R81: one record is one `pick.reversed` a task: 1 piece, and then 3 as its revision."""
    case = Case().order(5).task(5).pick(10, 5, lu="L-1")
    case.device("pick.reverse", 20, src=STATION, sku="A", alloc=[{"task": "T-1", "qty": 1}, {"task": "T-1", "qty": 2}])
    return case.confirmed(2, 20).expect("pick.reversed", f"T-1/{STATION}/0/2/0", qty=3, revision=1)


def R81_a_reversal_of_what_has_left_that_names_one_task_twice() -> Case:
    """R28, R29, R81: likewise where its shipment has left: one row of revisions, of all that it puts back."""
    case = Case().order(5).task(5).shipment(5).pick(10, 5).wms("manifest.result", 20, shipment="S-1", manifest_no="M-1")
    case.device("pick.reverse", 40, src=STATION, sku="A", alloc=[{"task": "T-1", "qty": 1}, {"task": "T-1", "qty": 2}])
    case.device("telemetry", 60).expect("pick.reversed", f"T-1/{STATION}/0/2/0", qty=3, revision=1).confirmed(5, 10)
    manifested(case, 20, manifest_no="M-1")
    return case.expect("inventory.discrepancy", "/A//T-1", kind="POST_SHIP", expected=5, actual=2, revision=1)


def R81_a_reversal_that_names_a_line_twice_before_its_first_task() -> Case:
    """R20, R28, R81: told as the line's until the task of 9 comes; then taken back once, and told as the task's."""
    twice = [{"order": "O-1", "line": 1, "qty": 1}, {"order": "O-1", "line": 1, "qty": 2}]
    case = Case().order(5).device("pick.reverse", 10, src=STATION, sku="A", alloc=twice).task(5, t=9, rx=10.5)
    case.device("telemetry", 60).expect("pick.reversed", f"O-1/1/{STATION}/0/1/0", qty=0, revision=2)
    return case.expect("pick.reversed", f"T-1/{STATION}/0/1/0", qty=3, revision=1)


def R81_a_carton_that_its_first_pick_leaves() -> Case:
    """R29, R81: C-1 was told as begun by the pick of 2. Then it is heard that the pick came after the manifest: it
    leaves the carton, which the bind of 11 begins now, and what is told of it stays one row of revisions."""
    case = Case().order(1, 1).task(1).task(1, "T-2", 2).pick(2, lu="L-1").wms("lu.bind", 11, lu="L-1", carton="C-1")
    case.pick(14, lu="L-1", task="T-2").close(15).device("telemetry", 24)
    case.wms("manifest.result", 1, rx=30, shipment="S-1", manifest_no="M-1").shipment(1, rx=31)
    case.device("telemetry", 60).packed(1, "C-1", line=2, t_open=at(11), revision=2).confirmed(1, 14, "T-2")
    return _left_behind(case, 1)


def R81_a_void_of_what_its_first_pick_leaves() -> Case:
    """R29, R56, R81: likewise a void, of the plan's carton: told once."""
    case = (
        Case()
        .shipment(1)
        .pick(7, lu="L-1")
        .task(1, rx=25)
        .wms("carton.plan", 0, rx=26, carton="C-1", shipment="S-1", lu="L-1", contents=ONE)
    )
    case.device("carton.void", 27, lu="L-1").device("telemetry", 50)
    case.wms("manifest.result", 6, rx=60, shipment="S-1", manifest_no="M-1").device("telemetry", 80)
    return _left_behind(case.expect("carton.voided", "C-1", t=27, revision=0), 6)


def R81_a_void_of_a_planned_unit_that_its_first_pick_leaves() -> Case:
    """R29, R40, R56, R81: likewise where the plan began the use and the pick joined it later. The late manifest ends
    the use; the pick, which then seems to begin another, is none: no other carton is there to be voided."""
    case = Case().shipment(1).pick(7, lu="L-1")
    case.wms("carton.plan", 0, rx=25, carton="C-1", shipment="S-1", lu="L-1", contents=ONE).task(1, rx=26)
    case.device("carton.void", 27, lu="L-1").device("telemetry", 50)
    case.wms("manifest.result", 6, rx=60, shipment="S-1", manifest_no="M-1").device("telemetry", 80)
    return _left_behind(case.expect("carton.voided", "C-1", t=27, revision=0), 6)


def _left_behind(case: Case, manifest_t: float) -> Case:
    """R29: the pick counts no more, and the place is said to hold a piece less."""
    case.expect("shipment.manifested", "S-1", t=manifest_t)
    return case.expect("inventory.discrepancy", "/A//T-1", kind="POST_SHIP", actual=1)


def R48_a_pallet_that_is_first_seen_after_what_is_over_was_looked_for() -> Case:
    """R48, R50: L-1 rides on P-1 since 30; what is over is looked for every two minutes; P-1 comes at 310."""
    case = Case().order(1).task(1).plan(contents=part(1)).shipment(1, stage_required=True, lanes=["LANE-1"])
    case.pick(10, lu="L-1").close(20).wms("lu.bind", 30, lu="L-1", parent="P-1")
    for t in range(31, 310, 9):
        case.device("telemetry", t, src=STATION)
    case.device("item.arrived", 310, src=SORTER, lu="P-1", loc="LANE-1").device("telemetry", 330, src=STATION)
    case.rules |= {"retention_ms": 7_200_000, "lateness_ms": 3_600_000}
    return case.confirmed(1, 10).packed(1).ready(1, 310)
