"""The OPC UA benchmark does what it says: everybody gets every notification."""

from __future__ import annotations

import pytest

from bench import opcua

CONTESTANTS = {
    "opcua.decode": {"sortline", "sortline.values", "asyncua"},
    "opcua.live": {"sortline", "sortline.records", "asyncua"},
}


@pytest.mark.parametrize("case", opcua.CASES)
def test_every_contestant_takes_part_and_costs_something(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua, "ITEMS", 20)
    monkeypatch.setattr(opcua, "ROUNDS", 2)
    result = opcua.CASES[case](1)
    assert set(result) == CONTESTANTS[case]
    assert all(us > 0 for us in result.values())
    figures = opcua.figures_of(case, result)
    assert set(figures["ratio"]) == CONTESTANTS[case] - {"sortline"}
