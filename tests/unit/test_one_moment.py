"""Facts of one microsecond: R3's order says which of them came last, whoever is told of first."""

from __future__ import annotations

import pytest

from tests.cases.writing import Case
from tests.oracle import expected
from tests.oracle.compare import bare, differences
from tests.through_core import feed


@pytest.mark.parametrize("crane", ["dc1/asrs/CR-01", "dc1/zone/CR-01"])
@pytest.mark.parametrize("loc", ["A-1", "Z-1"])
@pytest.mark.parametrize("crane_first", [False, True])
def test_R70_R66_a_short_and_an_empty_shelf_of_one_moment(crane: str, loc: str, crane_first: bool) -> None:
    """Both say the same of the stock; whose it is (correlationid) is said by the one whose source's name comes last."""
    case = Case().order(3).task(3, loc=loc)
    case.wms("stock.expectation", 1, loc=loc, sku="A", qty=9, as_of=case.records[0]["t"])
    if crane_first:
        case.device("asrs.exception", 20, src=crane, code="SOURCE_EMPTY", loc=loc)
    case.short(20)
    if not crane_first:
        case.device("asrs.exception", 20, src=crane, code="SOURCE_EMPTY", loc=loc)
    events = feed(case.records).events
    found = [one for one in events if bare(one["type"]) == "inventory.discrepancy"]
    assert [one["correlationid"] for one in found] == ["O-1" if crane < "dc1/pick" else f"{loc}/A/"]
    assert differences(events, expected(case.records, "dc1")) == []
