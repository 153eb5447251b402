"""Two uses of a load unit that turn out to be one (R40): what was told of the second does not stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.cases.writing import Case
from tests.through_core import feed


def two_uses() -> Case:
    """Without a carton id the open of 20 begins a new use. Both are told by 60."""
    case = Case().order(5).task(5).pick(10, 2, lu="L-1").close(15).device("carton.open", 20, lu="L-1")
    return case.pick(22, 3, lu="L-1").close(30).tick(60)


def merged(case: Case) -> Case:
    """The order systems say late that it was carton C-1 since 12: the open of 20 opened it again (R44)."""
    return case.wms("lu.bind", 12, 61, lu="L-1", carton="C-1")


def pieces(events: Sequence[dict[str, Any]]) -> dict[str, int]:
    """By carton, as its last carton.closed says."""
    last = {one["subject"]: one["data"]["contents"] for one in events if one["type"].endswith("carton.closed.v1")}
    return {subject: sum(row["qty"] for row in contents) for subject, contents in last.items()}


def test_R40_pieces_lie_in_one_carton_only() -> None:
    assert pieces(feed(two_uses().records).events) == {"carton/L-1#1": 2, "carton/L-1#2": 3}
    assert pieces(feed(merged(two_uses()).records).events) == {"carton/L-1#1": 5, "carton/L-1#2": 0}


def test_R45_nothing_is_wrong_with_a_carton_that_never_was() -> None:
    """Its second use closed empty; what was raised of it is cleared."""
    case = (
        Case().order(2).task(2).pick(10, 2, lu="L-1").close(15).device("carton.open", 20, lu="L-1").close(30).tick(60)
    )
    events = feed(merged(case).records).events
    told = [one["type"].split(".")[3] for one in events if one["data"].get("code") == "PKG_EMPTY"]
    assert told == ["raised", "cleared"]


def test_R81_a_unit_that_turns_out_late_not_to_be_the_carton() -> None:
    """L-1 was told as C-1. By the void of 22 it was not, and the bind of 24 began another use. So L-2, which was opened
    as C-1, goes on with C-1's revisions."""
    case = Case().order(1, 1).task(1).task(1, "T-2", line=2)
    case.device("carton.open", 5, lu="L-2", carton="C-1").pick(10, lu="L-1").pick(11, task="T-2", lu="L-2").close(20)
    case.wms("lu.bind", 24, lu="L-1", carton="C-1").tick(40)
    case.device("carton.void", 22, rx=45, src="dc1/pack/PK-02", lu="L-1", hist=True).tick(60)
    case.device("carton.close", 62, src="dc1/pack/PK-03", lu="L-2").device("telemetry", 120)
    told = [one for one in feed(case.records).events if one["type"].endswith("carton.closed.v1")]
    assert [one["id"].rpartition(":")[2] for one in told] == ["r0", "r1", "r2"]
    assert len({one["id"].rpartition(":")[0] for one in told}) == 1
    assert (told[-1]["data"]["lu"], told[-1]["data"]["contents"][0]["line"]) == ("L-2", 2)
