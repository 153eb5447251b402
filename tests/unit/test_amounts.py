"""Quantities and times at the ends of what a record can say: refused, or right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cases.writing import Case
from tests.oracle.compare import bare
from tests.through_core import feed


def told(case: Case, **rules: Any) -> list[tuple[str, dict[str, Any]]]:
    outcome = feed(case.records, rules=rules)
    return [(bare(event["type"]), event["data"]) for event in outcome.events]


def test_R24_the_greatest_quantities_add_up() -> None:
    """No sum of them runs over."""
    most = 2**53 - 1
    case = Case().order(most).task(most).pick(10, qty=most).pick(11, qty=most).pick(12, qty=most)
    quantities = [data["qty"] for type_, data in told(case) if type_ == "pick.confirmed"]
    assert quantities == [most, 2 * most, 3 * most]


def test_R24_the_greatest_tolerance_of_the_greatest_quantity() -> None:
    most = 2**53 - 1
    case = Case()
    case.wms(
        "order.released", 0, order="O-1", rev=1, lines=[{"line": 1, "sku": "A", "qty": most, "over_tol_pct": 1000}]
    )
    case.task(most).pick(10, qty=most).pick(11)
    assert [type_ for type_, _ in told(case)] == ["pick.confirmed", "pick.confirmed"]


@pytest.mark.parametrize("percent", [1001, 2**62])
def test_R24_a_tolerance_that_no_one_means_is_refused(percent: int) -> None:
    case = Case()
    case.wms(
        "order.released", 0, order="O-1", rev=1, lines=[{"line": 1, "sku": "A", "qty": 1, "over_tol_pct": percent}]
    )
    assert feed(case.records).account["rejected"] == 1


@pytest.mark.parametrize("before_the_last_us", [0, 1, 1_000_000, 30_000_000, 60_000_000])
def test_R21d_a_deadline_at_the_end_of_all_time_never_comes(before_the_last_us: int) -> None:
    """Some systems say `none` so."""
    case = Case().order(2).task(2, deadline=2**63 - 1 - before_the_last_us).pick(10)
    case.device("telemetry", 100)
    assert told(case) == []
