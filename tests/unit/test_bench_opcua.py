"""The OPC UA benchmark does what it says: everybody gets every notification."""

from __future__ import annotations

import pytest

from bench import opcua
from bench.registry import case_of
from bench.settings import Settings

CONTESTANTS = {
    "opcua.decode": {"sortline", "sortline.values", "asyncua"},
    "opcua.live": {"sortline", "sortline.records", "asyncua"},
}


@pytest.mark.parametrize("case", CONTESTANTS)
def test_every_contestant_takes_part_and_costs_something(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua, "ITEMS", 20)
    figures = case_of(case)(Settings(scale=0.1, runs=1))
    assert set(figures["us"]) == CONTESTANTS[case]
    assert all(us > 0 for us in figures["us"].values())
    assert set(figures["ratio"]) == CONTESTANTS[case] - {"sortline"}
