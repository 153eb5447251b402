"""A Sparkplug host with a node and its device in front of it, for tests that let them speak."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from protocols.mapping.plan import Lines
from protocols.mapping.sequence import Sequences
from protocols.mqtt.sparkplug.host import Host
from protocols.mqtt.sparkplug.settings import Sparkplug
from tests import sparkplug as wire

MS = 1_000
T0 = 1_795_420_000_000_000
PICKS: dict[str, Any] = {
    "filter": "Plant1/+line/+device",
    "trigger": "Pick/Count",
    "record": {
        "src": {"template": "dc1/{line}/{device}"},
        "kind": {"const": "pick.confirm"},
        "seq": {"path": "Pick/Count", "wrap": 256},
        "task": "Pick/Task",
        "sku": "Pick/SKU",
        "qty": "Pick/Qty",
    },
}
HEAT: dict[str, Any] = {
    "filter": "Plant1/+node",
    "trigger": "Temperature",
    "constants": {"kind": "telemetry"},
    "record": {"src": {"template": "dc1/nodes/{node}"}, "qty": {"path": "Temperature", "scale": 10}},
}


class Floor:
    """A host, and a node `L1` with a device `PTL` in front of it. Time goes on by a second a message."""

    def __init__(self, *records: dict[str, Any], known: tuple[int, int] | None = None, **more: Any) -> None:
        table = {"groups": ["Plant1"], "records": list(records) or [PICKS, HEAT], **more}
        self.host = Host(msgspec.convert(table, Sparkplug), Sequences(lambda src: known))
        self.now_us = T0
        self.seq = 0
        self.causes: list[str] = []

    def say(self, type_: str, *metrics: bytes, seq: int | None = None, device: str = "", **more: Any) -> list[Any]:
        """A message with the next number unless `seq` says another (-1: none); the records of it without t_rx."""
        self.now_us += 1_000_000
        if type_ != "NDEATH" and seq is None:
            self.seq = 0 if type_ == "NBIRTH" else (self.seq + 1) % 256
            seq = self.seq
        raw = wire.payload(*metrics, seq=seq if seq is not None and seq >= 0 else None, **more)
        topic = f"spBv1.0/Plant1/{type_}/L1" + (f"/{device}" if device else "")
        return self.read(self.host.message(topic, raw, self.now_us))

    def read(self, found: Lines) -> list[Any]:
        self.causes += found.causes
        records = [json.loads(line) for line in found.lines]
        for record in records:
            record.pop("t_rx")
        return records

    def born(self, count: int = 250, bd_seq: int = 7) -> list[Any]:
        self.say(
            "NBIRTH", wire.metric("bdSeq", bd_seq, wire.INT64), wire.metric("Temperature", 21.5, wire.DOUBLE, alias=100)
        )
        return self.say(
            "DBIRTH",
            wire.metric("Pick/Count", count, wire.UINT8, alias=1),
            wire.metric("Pick/Task", "T-0", wire.STRING, alias=2),
            wire.metric("Pick/SKU", "S", wire.STRING, alias=3),
            wire.metric("Pick/Qty", 1, wire.INT32, alias=4),
            device="PTL",
        )

    def pick(self, count: int, task: str, qty: int | None = None, **more: Any) -> list[Any]:
        metrics = [
            wire.metric(None, count, alias=1, kind=wire.UINT8),
            wire.metric(None, task, alias=2, kind=wire.STRING),
        ]
        if qty is not None:
            metrics.append(wire.metric(None, qty, alias=4, kind=wire.INT32))
        return self.say("DDATA", *metrics, device="PTL", **more)

    def requests(self) -> list[str]:
        return [request.topic for request in self.host.requests(self.now_us)]


def picked(seq: int, task: str, qty: int = 1, **more: Any) -> dict[str, Any]:
    base = {"src": "dc1/L1/PTL", "kind": "pick.confirm", "t": 1_750_000_000_000_000, "sku": "S"}
    return {**base, "seq": seq, "task": task, "qty": qty, **more}
