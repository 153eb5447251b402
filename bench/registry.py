"""Every case by its name; a module is imported only when its case runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from bench.measure import Timing
from bench.settings import OURS, Case, Figures, Settings

CASES: dict[str, str] = {
    # name -> module:function. The function takes a `settings.Settings` and returns its figures; or it takes `runs` and
    # returns contestant -> Timing or contestant -> microseconds, "sortline" among them
    "decode.ndjson": "bench.speed:decode_ndjson",
    "core.ndjson": "bench.speed:core_ndjson",
    "core.columns": "bench.speed:core_columns",
    "core.event": "bench.event:event",
    "core.open_windows": "bench.state:open_windows",
    "core.flood": "bench.state:flood",
    "snapshot": "bench.state:snapshot",
    "e2e.mqtt_redis": "bench.e2e:mqtt_redis",
    "e2e.latency": "bench.e2e:latency",
    "wire.mqtt_qos0": "bench.mqtt:wire_mqtt_qos0",
    "wire.mqtt_qos1": "bench.mqtt:wire_mqtt_qos1",
    "broker.mqtt": "bench.mqtt:broker_mqtt",
    "wire.sparkplug": "bench.mqtt:wire_sparkplug",
    "modbus.single": "bench.modbus:single",
    "modbus.pipelined": "bench.modbus:pipelined",
    "modbus.units": "bench.modbus:units",
    "opcua.decode": "bench.opcua:decode",
    "opcua.live": "bench.opcua:live",
    "outbox.append": "bench.outbox:outbox_append",
    "outbox.drain": "bench.outbox:outbox_drain",
    "outbox.dead_sink": "bench.outbox:outbox_dead_sink",
}


def case_of(name: str) -> Case:
    module, _, function = CASES[name].partition(":")
    case: Callable[..., Any] = getattr(importlib.import_module(module), function)
    if "settings" in signature(case).parameters:
        return case

    def of_runs(settings: Settings) -> Figures:
        return told(case(runs=settings.runs))

    return of_runs


def told(result: Mapping[str, Any]) -> Figures:
    """The figures of a case that gives a result a contestant. `ratio`: how many times as much as ours a peer takes."""
    if OURS not in result:
        return {name: value for name, value in result.items() if name != "case"}
    if not all(isinstance(timing, Timing) for timing in result.values()):
        return {"us": {name: round(us, 3) for name, us in result.items()}, "ratio": _ratios(result)}
    ours: Timing = result[OURS]
    return {
        "run_s": round(ours.run_s, 4),
        "p50_ms": round(ours.p50_ms, 4),
        "p99_ms": round(ours.p99_ms, 4),
        "seconds": {name: round(timing.run_s, 4) for name, timing in result.items()},
        "peers_ms": {
            name: {"p50_ms": round(timing.p50_ms, 4), "p99_ms": round(timing.p99_ms, 4)}
            for name, timing in result.items()
            if name != OURS
        },
        "ratio": _ratios({name: timing.run_s for name, timing in result.items()}),
    }


def _ratios(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value / values[OURS], 2) for name, value in values.items() if name != OURS}
