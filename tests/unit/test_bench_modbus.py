"""The Modbus benchmarks run, and everybody in them does the job."""

from __future__ import annotations

import pytest

from bench.registry import case_of
from bench.settings import Settings

LOOK = Settings(scale=0.02, runs=1)


@pytest.mark.parametrize("name", ["modbus.single", "modbus.pipelined", "modbus.units"])
def test_every_case_has_a_figure_for_everybody(name: str) -> None:
    figures = case_of(name)(LOOK)
    assert {"sortline", "pymodbus"} <= figures["us"].keys()
    assert all(us > 0 for us in figures["us"].values())
    if name == "modbus.units":
        assert figures["units"] == 10
        assert "p50_ms" not in figures  # nobody waits for a single read
    else:
        assert figures["p99_ms"] >= figures["p50_ms"] > 0
