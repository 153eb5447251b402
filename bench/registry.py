"""Every case by its name; a module is imported only when its case runs."""

from __future__ import annotations

import importlib

from bench.settings import Case

CASES: dict[str, str] = {
    # name -> module:function, a `bench.settings.Case`
    "decode.ndjson": "bench.speed:decode_ndjson",
    "core.ndjson": "bench.speed:core_ndjson",
    "core.columns": "bench.speed:core_columns",
    "core.event": "bench.event:event",
    "core.open_windows": "bench.state:open_windows",
    "core.flood": "bench.state:flood",
    "snapshot": "bench.state:snapshot",
    "e2e.mqtt_redis": "bench.e2e:mqtt_redis",
    "e2e.latency": "bench.e2e:latency",
}


def case_of(name: str) -> Case:
    module, _, function = CASES[name].partition(":")
    case: Case = getattr(importlib.import_module(module), function)
    return case
