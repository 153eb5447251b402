"""Golden cases of what is told of one thing before that shows it to be another's (R3): another SKU's,
another unit's, a task's, a next use's."""

from __future__ import annotations

from tests.cases.told_shipping import part
from tests.cases.writing import STATION, WMS, Case, at

OTHER = "dc1/pick/PTL-02"


def told_again(case: Case, t: float, rx: float | None = None, **fields: object) -> Case:
    """T-1's second revision, of one piece."""
    told = {"task": "T-1", "order": "O-1", "line": 1, "sku": "A", "qty": 1, **fields}
    return case.wms("pick.task", t, rx, rev=2, **told)


def into_l2(case: Case) -> Case:
    case.close(20).close(21, "L-2").confirmed(1, 11, lu="L-2")
    return case.packed(1, "L-2#1").device("telemetry", 60)


def R43_a_task_that_goes_into_another_unit() -> Case:
    """R43, R3: the press of 11 names none; the task's is L-2 since 10."""
    case = Case().order(1).task(1, lu="L-1")
    return into_l2(told_again(case, 10, lu="L-2").pick(11, rx=11.5))


def R43_a_task_that_had_gone_into_another_unit() -> Case:
    """R43, R3: likewise where the press is heard of before."""
    case = Case().order(1).task(1, lu="L-1").pick(11)
    return into_l2(told_again(case, 10, 11.5, lu="L-2"))


def R43_a_press_from_before_its_task_went_elsewhere() -> Case:
    """R43, R3: the press of 9 is heard of after the revision of 10: it went into L-1."""
    case = told_again(Case().order(1).task(1, lu="L-1"), 10, lu="L-2").pick(9, rx=10.5).close(20)
    return case.confirmed(1, 9, lu="L-1").packed(1, "L-1#1").device("telemetry", 60)


def R31_another_sku_is_asked_for() -> Case:
    """R31, R10: B is asked for since 20. The piece of A does not count any more, and that of B does."""
    case = told_again(Case().order(1).task(1).pick(10), 20, sku="B").pick(30, sku="B")
    case.confirmed(1, 30, sku="B").times("PCK_WRONG_SKU", 1)
    return case.expect("exception.raised", "PCK_WRONG_SKU/task/T-1/1", detail="A instead of B").device("telemetry", 60)


def R31_a_press_that_overtakes_the_revision_that_asks_for_it() -> Case:
    """R31, R3: B is asked for since 9, which is heard of after the press of 10."""
    case = told_again(Case().order(1).task(1).pick(10, sku="B"), 9, 10.5, sku="B")
    return case.confirmed(1, 10, sku="B").never_raised("PCK_WRONG_SKU").device("telemetry", 60)


def R31_the_order_asks_for_another_sku() -> Case:
    """R31, R3: likewise of a line without tasks, by its order."""
    case = Case().order(1).pick(10, sku="B", order="O-1", line=1)
    case.wms("order.changed", 9, 10.5, rev=2, order="O-1", lines=[{"line": 1, "sku": "B", "qty": 1}])
    return (
        case.expect("pick.confirmed", "O-1/1", t=10, sku="B", qty=1)
        .never_raised("PCK_WRONG_SKU")
        .device("telemetry", 60)
    )


def R28_a_reversal_that_overtakes_the_task_of_its_line() -> Case:
    """R28, R20, R3: told as the line's at first, and taken back: the task of 10 is there when it is put back at 11."""
    case = Case().order(2).device("pick.reverse", 11, src=STATION, order="O-1", line=1, sku="A", qty=1)
    case.task(2, t=10, rx=11.5).pick(13, 3)
    case.expect("pick.reversed", f"O-1/1/{STATION}/0/1/0", revision=1, qty=0)
    return case.expect("pick.reversed", f"T-1/{STATION}/0/1/0", t=11, qty=1).confirmed(2, 13).device("telemetry", 60)


def gone_at_30() -> Case:
    """S-1, which plans line 2, has left without a piece of it; C-1 is planned to S-2. At 45 one is picked into L-1."""
    case = Case().order(1, 1).task(1, "T-2", 2).wms("shipment.plan", shipment="S-1", scope=part(1, 2))
    case.wms("manifest.result", 30, shipment="S-1", manifest_no="M-1", tracking=[])
    return case.expect("shipment.manifested", "S-1", t=30)


def R29_a_pick_that_overtakes_the_release_of_its_unit() -> Case:
    """R29, R40, R3: told as S-2's until the release of 44 is heard of: it is line 2's, which has left."""
    case = gone_at_30().plan(shipment="S-2").pick(45, task="T-2", lu="L-1").wms("lu.release", 44, 45.5, lu="L-1")
    case.confirmed(0, 45, "T-2").raised("PCK_LATE_AFTER_SHIP", "task/T-2").device("telemetry", 90)
    return case.expect("inventory.discrepancy", "/A//T-2", t=45, kind="POST_SHIP", expected=0, actual=1)


def R29_a_pick_that_overtakes_the_bind_of_its_unit() -> Case:
    """R29, R40, R3: told as late until the bind of 44 to C-1 is heard of: it is S-2's, and in time."""
    case = gone_at_30().plan(shipment="S-2", lu=None).pick(45, task="T-2", lu="L-1")
    case.wms("lu.bind", 44, 45.5, lu="L-1", carton="C-1").confirmed(1, 45, "T-2", carton="C-1")
    case.expect("inventory.discrepancy", "/A//T-2", kind="POST_SHIP", expected=1, actual=1)
    return case.never_raised("PCK_LATE_AFTER_SHIP").device("telemetry", 90)


def R30_one_press_into_two_units_that_two_devices_tell_of() -> Case:
    """R30: each entry of the press is a pick, also of one task; the other device's telling of 10.2 is a duplicate."""
    parts = [{"task": "T-1", "qty": 1, "lu": lu} for lu in ("L-1", "L-2")]
    case = Case().order(2).task(2).pick(10.2, rx=10.5, src=OTHER, alloc=parts, press="7")
    case.pick(10, rx=10.9, alloc=parts, press="7").close(20).close(21, "L-2").device("telemetry", 60)
    return case.confirmed(2, 10, over_qty=0).packed(1, "L-1#1").packed(1, "L-2#1").counted(duplicate=1)


def R30_one_press_into_two_units_after_the_manifest() -> Case:
    """R30, R29: likewise of late picks."""
    parts = [{"task": "T-1", "qty": 1, "lu": lu} for lu in ("L-1", "L-2")]
    case = Case().order(2).task(2).shipment(2)
    case.wms("manifest.result", 5, shipment="S-1", manifest_no="M-1", tracking=[])
    case.pick(10.2, rx=10.5, src=OTHER, alloc=parts, press="7").pick(10, rx=10.9, alloc=parts, press="7")
    case.expect("inventory.discrepancy", "/A//T-1", t=10, kind="POST_SHIP", expected=0, actual=2, as_of=at(10))
    case.expect("shipment.manifested", "S-1", t=5).raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")
    return case.raised("PCK_LATE_AFTER_SHIP", "task/T-1").device("telemetry", 60).counted(duplicate=1)


def R23_a_deadline_that_found_the_window_full_does_not_name_a_short() -> Case:
    """R23, R27a, R31: the deadline of 8 changed nothing. The operator's short of 12 keeps its name when no more is
    asked for."""
    case = Case().order(2).task(1, deadline=at(8)).pick(5, lu="L-1").task(2, t=10, rev=2, deadline=at(8)).short(12)
    case.task(1, t=30, rev=3, deadline=at(8)).device("telemetry", 60).confirmed(1, 5, qty_task=1)
    return case.shorted(0, 5, decided_by="OPERATOR", reason="EMPTY", qty_task=1)


def R43_a_task_goes_into_another_unit_after_its_late_pick_was_none() -> Case:
    """R29, R43: the pick of 45 names no unit. It was late until the bind of 44 came: L-1 is C-1, and S-2's. By the
    revision of 44.5, told at 61, it went into L-2, which is S-2's too."""
    case = Case().order(1, 1).task(1, "T-2", 2, lu="L-1").wms("shipment.plan", shipment="S-1", scope=part(1, 2))
    case.wms("manifest.result", 30, shipment="S-1", manifest_no="M-1", tracking=[])
    case.plan(shipment="S-2", lu=None, contents=part(1, 2)).plan("C-2", "L-2", shipment="S-2", contents=part(1, 2))
    case.pick(45, task="T-2").wms("lu.bind", 44, 45.5, lu="L-1", carton="C-1").device("telemetry", 60)
    case.task(1, "T-2", 2, t=44.5, rx=61, rev=2, lu="L-2").device("telemetry", 90).never_raised("PCK_LATE_AFTER_SHIP")
    case.expect("inventory.discrepancy", "/A//T-2", kind="POST_SHIP", expected=1, actual=1)
    case.expect("shipment.manifested", "S-1", t=30).raised("SHP_LOAD_BEFORE_READY", "shipment/S-1")
    return case.confirmed(1, 45, "T-2", lu="L-2", carton="C-2")


def R43_a_wrong_piece_is_put_back_before_it_is_told_of() -> Case:
    """R43, R31, R3: what is put back of Y at 12 comes out of L-1, where the Y of 10.5 went, whatever the Z of 11 went
    into. Both are heard of after it."""
    case = Case().order(1).task(1).put_back(12, sku="Y")
    case.pick(11, rx=12.3, src=OTHER, sku="Z", lu="L-2").pick(10.5, 2, rx=12.4, src=OTHER, sku="Y", lu="L-1")
    case.close(20).close(21, "L-2").device("telemetry", 60).raised("PCK_WRONG_SKU", "task/T-1")
    for key, sku in (("L-1#1", "Y"), ("L-2#1", "Z")):
        case.expect("carton.closed", key, contents=[{"order": "O-1", "line": 1, "sku": sku, "qty": 1}])
    return case.expect("pick.reversed", f"T-1/{STATION}/0/1/0", sku="Y", qty=1)


def R50_one_task_of_two_asks_for_another_sku() -> Case:
    """R50, R31, R3: T-2, which was heard of first, was closed short with the carton, and asks for B since 26.
    What T-1 picked is of the line's own SKU all the same: the carton is ready again with its label."""
    case = Case().tell(WMS, "pick.task", 0, rev=1, task="T-2", order="O-1", line=1, sku="A", qty=1, lu="L-1")
    case.task(1).order(2).shipment(2).pick(5, lu="L-1").close(14)
    case.device("label.verified", 20, lu="L-1", result="NOREAD").tell(
        WMS, "pick.task", 26, rev=2, task="T-2", order="O-1", line=1, sku="B", qty=1, lu="L-1"
    )
    case.device("label.verified", 27.5, lu="L-1", result="OK").device("telemetry", 60)
    case.rules = {"short_on_close": True}
    case.confirmed(1, 5).packed(1, "L-1#1").shorted(1, 14, "T-2", sku="B").ready(1, 27.5, short=1)
    case.expect("shipment.unready", "S-1", t=20, cause="label.verified")
    return case.cleared("PKG_LABEL_NOREAD", "carton/L-1#1", t=27.5)
