"""Every case by its name; a module is imported only when its case runs."""

from __future__ import annotations

import importlib

from bench.settings import Case

CASES: dict[str, str] = {
    # name -> module:function, which takes a `settings.Settings` and returns its figures
    "decode.ndjson": "bench.speed:decode_ndjson",
    "core.ndjson": "bench.speed:core_ndjson",
    "core.columns": "bench.speed:core_columns",
    "core.event": "bench.event:event",
    "core.open_windows": "bench.state:open_windows",
    "core.flood": "bench.state:flood",
    "core.collisions": "bench.collisions:collisions",
    "core.growth": "bench.growth:growth",
    "core.sources": "bench.sources:sources",
    "snapshot": "bench.state:snapshot",
    "sources.idle": "bench.idle:idle",
    "journal.append": "bench.journal:append",
    "recovery.tail": "bench.recovery:tail",
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
    "sink.redis": "bench.outbox:sink_redis",
}


def case_of(name: str) -> Case:
    module, _, function = CASES[name].partition(":")
    case: Case = getattr(importlib.import_module(module), function)
    return case
