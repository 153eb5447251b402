"""The Modbus benchmarks run, and everybody in them does the job."""

from __future__ import annotations

import pytest

from bench import modbus
from bench.settings import OURS


@pytest.mark.parametrize("name", modbus.CASES)
def test_every_case_has_a_figure_for_everybody(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modbus, "READS", 160)
    monkeypatch.setattr(modbus, "UNITS", 12)
    monkeypatch.setattr(modbus, "UNITS_S", 0.3)
    timings = modbus.CASES[name](1)
    assert {OURS, "pymodbus"} <= timings.keys()
    assert all(timing.run_s > 0 and timing.p99_ms >= timing.p50_ms > 0 for timing in timings.values())
