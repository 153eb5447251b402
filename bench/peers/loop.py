"""What a careful Python programmer would write instead: a loop over msgspec structs.

`Windows` does the core's job as far as the floor story needs it: duplicates by source and number, a watermark that is
the least of all sources, lines picked and confirmed when they are complete, contents and weight by load unit, closed
when the watermark passes close and hold, tracks that belong to a load unit, CloudEvents with an id made of the key.

It keeps no revisions, no gaps, no late context, no shipments; nothing of it survives a restart; its tables only grow.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections import defaultdict
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any

import msgspec

DISORDER_US = 2_000_000
HOLD_US = 5_000_000
NOISE = frozenset(("photo_eye", "motor.state", "zone.state", "machine.state", "telemetry"))
CODES = {"pick.confirmed": "pc", "carton.closed": "cc"}


class Record(msgspec.Struct):
    """The fields that `Windows` looks at."""

    kind: str
    t_rx: int = -1  # stamped by whoever receives it live
    src: str = ""
    t: int = -1
    epoch: int = 0
    seq: int = -1
    task: str = ""
    order: str = ""
    line: int = -1
    sku: str = ""
    lu: str = ""
    track: str = ""
    dest: str = ""
    qty: int = 0
    weight_g: int = -1
    lines: list[Any] = []


decoder = msgspec.json.Decoder(Record)
decode_record = decoder.decode
decode_lines = decoder.decode_lines
encode = msgspec.json.Encoder(order="sorted").encode


class LoadUnit:
    """A load unit's running cycle."""

    __slots__ = ("contents", "place", "t_open", "weight_g")

    def __init__(self, t: int) -> None:
        self.t_open = t
        self.contents: defaultdict[tuple[str, int, str], int] = defaultdict(int)
        self.weight_g = -1
        self.place = ""


class Windows:
    """`take` records in order of arrival; what came of them is in `events`. `finish` at the end."""

    def __init__(self, site: str = "dc1") -> None:
        self.site = site
        self.seen: dict[tuple[str, int], set[int]] = defaultdict(set)
        self.marks: dict[str, int] = {}
        self.watermark = 0
        self.planned: dict[str | tuple[str, int], int] = {}
        self.picked: dict[str | tuple[str, int], tuple[int, int]] = {}  # pieces, time of the last one
        self.units: dict[str, LoadUnit] = {}
        self.tracks: dict[tuple[str, str], str] = {}
        self.closing: list[tuple[int, str, int]] = []  # a heap: due, load unit, t_close
        self.duplicates = 0
        self.noise = 0
        self.sequence = 0
        self.events: list[bytes] = []

    def take(self, records: Iterable[Record]) -> None:
        marks, seen = self.marks, self.seen
        for record in records:
            src, t = record.src, record.t
            if t < 0:
                t = record.t_rx
            kind = record.kind
            if kind in NOISE:
                self.noise += 1
                if t > marks.get(src, t):
                    marks[src] = t
                continue
            if record.seq >= 0:
                numbers = seen[src, record.epoch]
                if record.seq in numbers:
                    self.duplicates += 1
                    continue
                numbers.add(record.seq)
            if kind in ("order.released", "order.changed", "pick.task"):
                self.plan(record)
                continue
            if t > marks.get(src, 0):
                marks[src] = t
            self.apply(kind, record, t)
        self.decide(min(marks.values(), default=0) - DISORDER_US)

    def apply(self, kind: str, record: Record, t: int) -> None:
        if kind == "item.inducted":
            self.tracks[record.src, record.track] = record.lu
        lu = record.lu or self.tracks.get((record.src, record.track), "")
        if not lu:
            return
        unit = self.units.get(lu)
        if unit is None:
            unit = self.units[lu] = LoadUnit(t)
        if kind == "pick.confirm":
            self.pick(record, unit, record.qty, t)
        elif kind == "pick.reverse":
            self.pick(record, unit, -record.qty, t)
        elif kind == "weigh":
            unit.weight_g = record.weight_g
        elif kind == "carton.close":
            heappush(self.closing, (t + HOLD_US, lu, t))
        elif kind == "divert.confirmed":
            unit.place = record.dest

    def plan(self, record: Record) -> None:
        if record.kind == "pick.task":
            self.planned[record.task] = record.qty
            return
        for line in record.lines:
            self.planned[record.order, line["line"]] = line["qty"]

    def pick(self, record: Record, unit: LoadUnit, qty: int, t: int) -> None:
        key = record.task or (record.order, record.line)
        unit.contents[record.order, record.line, record.sku] += qty
        before, last = self.picked.get(key, (0, 0))
        picked, last = self.picked[key] = before + qty, max(last, t)
        if picked == self.planned.get(key):
            name = record.task or f"{record.order}/{record.line}"
            data = {"order": record.order, "line": record.line, "sku": record.sku, "qty": picked, "t_close": last}
            self.emit("pick.confirmed", name, record, data)

    def decide(self, watermark: int) -> None:
        """What the watermark passes."""
        self.watermark = watermark
        closing = self.closing
        while closing and closing[0][0] < watermark:
            _, lu, t = heappop(closing)
            unit = self.units[lu]
            contents = [
                {"order": order, "line": line, "sku": sku, "qty": qty}
                for (order, line, sku), qty in sorted(unit.contents.items())
                if qty
            ]
            data: dict[str, Any] = {"lu": lu, "carton": lu, "contents": contents, "t_open": unit.t_open, "t_close": t}
            if unit.weight_g >= 0:
                data["weight_g"] = unit.weight_g
            self.emit("carton.closed", lu, None, data)

    def finish(self) -> None:
        self.decide(2**62)

    def emit(self, type_: str, key: str, cause: Record | None, data: dict[str, Any]) -> None:
        self.sequence += 1
        digest = hashlib.sha256(f"{self.site}|{type_}|{key}".encode()).digest()
        event = {
            "specversion": "1.0",
            "id": f"{CODES[type_]}1.{b32encode(digest)[:26].decode().lower()}:r0",
            "type": f"io.sortline.{type_}.v1",
            "source": f"/sites/{self.site}",
            "subject": key,
            "sequence": f"{self.sequence:020}",
            "data": data,
        }
        if cause is not None:
            event["causationid"] = f"{cause.src}/{cause.epoch}/{cause.seq}/0"
        self.events.append(encode(event))
