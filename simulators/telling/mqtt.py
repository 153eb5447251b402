"""Pick stations, conveyor and order system over MQTT. `dc1` stands for the site; all but the noise at QoS 1.

`dc1/pick/PTL-01/evt`, the pick-to-light controllers:

    {"ty":"C","n":17,"boot":1795420800,"ts":1795420812345,"job":"T-1001","sku":"SKU-0042","q":2,"bin":"B-07-01","tote":"CTN-0001002"}

    ty    C confirm, S short, R reverse (put back)
    n     number of the message, 8 bits: 255 is followed by 0
    boot  when the controller was started; n begins at 1 then
    ts    milliseconds since 1970 UTC
    job   task; in its place `ord` and `ln` (order, line) where the order system plans no tasks
    sku, q, bin   what, how many, from where (C and R; S has only `bin`)
    tote  load unit, where the station knows it
    lot   where the goods have lots
    why   of a short: EMPTY, INSUFFICIENT, DAMAGED, NOT_FOUND, OPERATOR
    buf   true: kept while the station was cut off, sent now

`dc1/conveyor/SCN-01/evt`, the conveyor's scanners: {"e":"R","bc":"CTN-0001002","at":"2026-11-23T08:00:12.345678Z"}

    e     R read, N not read
    bc    what was read (R)
    trk   number of the item on the conveyor (N)
    at    RFC 3339

`dc1/conveyor/PE-01/state`, `dc1/conveyor/MTR-01/state`, photo eyes and motors (QoS 0):

    {"d":"PE","v":1,"ts":1795420812345}

`dc1/wms/main/ctx`, the order system: context records as they stand in a file, without `t_rx`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import aiomqtt

from simulators.statements import Record
from simulators.telling.voice import Queued

_TY = {"pick.confirm": "C", "pick.short": "S", "pick.reverse": "R"}
_PICK_NAMES = {
    "task": "job",
    "order": "ord",
    "line": "ln",
    "sku": "sku",
    "qty": "q",
    "loc": "bin",
    "lu": "tote",
    "lot": "lot",
    "code": "why",
}
_RECONNECT_S = 0.5


class Message(NamedTuple):
    topic: str
    payload: bytes
    qos: int


def message(record: Record) -> Message:
    """The message in which a device says what a canonical record says."""
    src, kind = record["src"], record["kind"]
    area = src.split("/")[1]
    if area == "pick":
        return Message(f"{src}/evt", _json(_pick(record)), 1)
    if area == "wms":
        return Message(f"{src}/ctx", _json({name: value for name, value in record.items() if name != "t_rx"}), 1)
    if kind.startswith("scan."):
        return Message(f"{src}/evt", _json(_scan(record)), 1)
    state = {"d": "PE" if kind == "photo_eye" else "MTR", "v": int(record["state"] == "set"), "ts": record["t"] // 1000}
    return Message(f"{src}/state", _json(state), 0)


def _pick(record: Record) -> Record:
    said: Record = {
        "ty": _TY[record["kind"]],
        "n": record["seq"] % 256,
        "boot": record["epoch"],
        "ts": record["t"] // 1000,
    }
    said |= {_PICK_NAMES[name]: value for name, value in record.items() if name in _PICK_NAMES}
    return said | ({"buf": True} if record.get("hist") else {})


def _scan(record: Record) -> Record:
    said = {"e": "R", "bc": record["lu"]} if record["kind"] == "scan.read" else {"e": "N", "trk": record["track"]}
    at = datetime.fromtimestamp(record["t"] // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return said | {"at": f"{at}.{record['t'] % 1_000_000:06}Z"}


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class MqttVoice(Queued):
    """Publishes what it is given, in order; after a lost connection it goes on with what was not confirmed."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._host = host
        self._port = port

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with aiomqtt.Client(self._host, self._port, keepalive=20) as client:
                    while True:
                        topic, payload, qos = message(await self.next())
                        await client.publish(topic, payload, qos)
                        self.said()
            except aiomqtt.MqttError:
                await asyncio.sleep(_RECONNECT_S)
