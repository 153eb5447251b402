"""`correlationid` of an exception: the order if exactly one is concerned, else the shipment, else the partition key."""

from __future__ import annotations

import pytest

from tests.cases.told_shipping import packed_one, part
from tests.cases.writing import SORTER, Case
from tests.through_core import feed


def correlations(case: Case) -> dict[str, set[str]]:
    """By the code of the exception, raised and cleared."""
    found: dict[str, set[str]] = {}
    for event in feed(case.records).events:
        if event["subject"] == event["data"].get("subject"):
            assert event["partitionkey"] == event["subject"]
            found.setdefault(event["data"]["code"], set()).add(event["correlationid"])
    return found


def two_orders() -> Case:
    """Shipment S-1 of one piece of O-1 and one of O-2, both in C-1, closed at 20."""
    scope = [{"order": "O-1", "line": 1, "qty": 1}, {"order": "O-2", "line": 1, "qty": 1}]
    case = Case().order(1).task(1).plan(contents=scope).wms("shipment.plan", shipment="S-1", scope=scope)
    case.wms("order.released", order="O-2", lines=[{"line": 1, "sku": "A", "qty": 1}])
    case.wms("pick.task", task="T-2", order="O-2", line=1, sku="A", qty=1)
    return case.pick(10, lu="L-1").pick(11, lu="L-1", task="T-2").close(20)


def test_of_a_task_it_is_the_order() -> None:
    assert correlations(Case().order(1).task(1).pick(10, 2)) == {"PCK_OVER": {"O-1"}}


def test_of_a_line_it_is_the_order() -> None:
    assert correlations(Case().order(1).pick(10, 2, line=1, order="O-1")) == {"PCK_OVER": {"O-1"}}


def test_of_an_order_it_is_the_order() -> None:
    case = Case().order(1).order(2)
    assert correlations(case) == {"CTX_CONFLICT": {"O-1"}}


def test_of_a_carton_it_is_the_order_of_its_pieces() -> None:
    assert correlations(packed_one().close(30)) == {"PKG_DOUBLE_CLOSE": {"O-1"}}


def test_of_a_carton_of_several_orders_it_is_the_shipment() -> None:
    assert correlations(two_orders().close(30)) == {"PKG_DOUBLE_CLOSE": {"S-1"}}


def test_of_a_carton_without_a_name_it_is_the_order_too() -> None:
    assert correlations(Case().order(1).task(1).pick(10, lu="L-1").close(20).close(30)) == {"PKG_DOUBLE_CLOSE": {"O-1"}}


def test_of_an_empty_carton_it_is_the_order_that_was_planned() -> None:
    assert correlations(Case().order(1).plan(contents=part(1)).close(20)) == {"PKG_EMPTY": {"O-1"}}


@pytest.mark.parametrize(("case", "concerned"), [(packed_one(), "O-1"), (two_orders(), "S-1")])
def test_of_a_load_unit_it_is_what_it_carries(case: Case, concerned: str) -> None:
    case.device("item.lost", 30, src=SORTER, lu="L-1").device("scan.read", 40, src=SORTER, lu="L-1")
    assert correlations(case) == {"RTE_LOST": {concerned}}


@pytest.mark.parametrize(("case", "concerned"), [(packed_one(), "O-1"), (two_orders(), "S-1")])
def test_of_a_shipment_it_is_its_only_order_else_itself(case: Case, concerned: str) -> None:
    case.device("load.scanned", 15, lu="L-1", trailer="TR-1")
    assert correlations(case) == {"SHP_LOAD_BEFORE_READY": {concerned}}


def test_of_what_concerns_no_order_it_is_the_partition_key() -> None:
    case = Case().device("item.lost", 10, src=SORTER, lu="L-9").device("jam", 11, src=SORTER, state="set")
    case.pick(12, task="T-9").tick(700)
    assert correlations(case) == {
        "RTE_LOST": {"lu/L-9"},
        "DEV_JAM": {f"device/{SORTER}"},
        "CTX_MISSING": {"task/T-9"},
    }


def test_of_a_carton_it_is_the_order_of_the_pieces_that_it_had_by_then() -> None:
    """R3: the press of 22 is known before the watermark passes the divert of 20."""
    case = Case().order(1).task(1).device("carton.open", 10, lu="L-1")
    case.device("divert.confirmed", 20, src=SORTER, lu="L-1", dest="X", dest_req="Y").pick(21.5, lu="L-1")
    assert correlations(case) == {"RTE_WRONG_DEST": {"lu/L-1"}}
