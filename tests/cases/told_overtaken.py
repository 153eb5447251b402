"""Golden cases of R3 where one decision meets another: what came first and happened later, and the other way round."""

from __future__ import annotations

from tests.cases.told_shipping import leaves, load, manifested, two_cartons
from tests.cases.writing import Case, at


def gone_at_40() -> Case:
    """Both cartons of S-1 are loaded, and the trailer closes at 40."""
    case = leaves(load(load(two_cartons(), 30), 31, "L-2"), 40)
    return manifested(case.ready(2, 22), 40, "C-1", "C-2", trailer="TR-1")


def post_ship(case: Case, t: float, actual: int) -> Case:
    case.expect("inventory.discrepancy", "/A//T-1", t=t, actual=actual, expected=2, kind="POST_SHIP", as_of=at(t))
    return case.raised("PCK_LATE_AFTER_SHIP", "task/T-1", t=t)


def R29_a_pick_between_a_trailers_close_and_its_decision() -> Case:
    """R29, R54, R3: the watermark has not passed the close when the pick comes; it happened after it all the same."""
    return post_ship(gone_at_40().pick(41, lu="L-1"), 41, 3).cleared("PCK_OVER", "task/T-1")


def R29_a_reversal_between_a_trailers_close_and_its_decision() -> Case:
    """R29, R28: what was put back after the trailer had left is told, and changes nothing that left."""
    case = post_ship(gone_at_40().put_back(41), 41, 1)
    return case.expect("pick.reversed", "T-1/dc1/pick/PTL-01/0/3/0", t=41, qty=1)


def R29_a_manifest_that_comes_after_a_later_pick() -> Case:
    """R29, R3: the TMS's word of 40 arrives after the pick of 41, which had made the shipment unready."""
    case = two_cartons().pick(41, lu="L-1")
    case.wms("manifest.result", 40, rx=41.3, shipment="S-1", manifest_no="M-1", tracking=[])
    case.expect("shipment.unready", "S-1", t=41, cause="pick.confirm").ready(2, 22)
    post_ship(case, 41, 3).cleared("PCK_OVER", "task/T-1")
    return manifested(case, 40, "C-1", "C-2", manifest_no="M-1")


def R27_a_cancel_between_a_trailers_close_and_its_decision() -> Case:
    """R27, R54: too late, though nobody could tell when it came."""
    case = gone_at_40().wms("order.cancelled", 41, rev=2, order="O-1").raised("CTX_CANCEL_TOO_LATE", "task/T-1")
    return case.never_raised("PCK_PUTBACK_REQUIRED").never_raised("SHP_POST_MANIFEST_CHANGE")
