"""Golden cases of records that nobody would think of: each brought the core down once, or told one key twice."""

from __future__ import annotations

from tests.cases.writing import PACK, SORTER, STATION, Case, at

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
