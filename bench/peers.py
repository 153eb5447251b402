"""What a careful Python programmer would write instead: the peers of our cases.

`Windows` does a job of the same shape as the core's, and less of it: duplicates by source and number, one watermark for
all, picks summed by task and closed when they are complete, contents by load unit told when the watermark passes the
close. No watermark for each source, no revisions, no gaps, no late context, no shipments, no tracks.
"""

from __future__ import annotations

from collections import defaultdict
from heapq import heappop, heappush

import msgspec

DISORDER_US = 2_000_000
HOLD_US = 5_000_000
PICKS = frozenset(("pick.confirm", "pick.reverse"))
NOISE = frozenset(("photo_eye", "motor.state", "zone.state", "machine.state", "telemetry"))


class Record(msgspec.Struct):
    """The fields that `Windows` looks at."""

    kind: str
    t_rx: int
    src: str = ""
    t: int = -1
    epoch: int = 0
    seq: int = -1
    task: str = ""
    order: str = ""
    line: int = -1
    sku: str = ""
    lu: str = ""
    qty: int = 0


decode_record = msgspec.json.Decoder(Record).decode


class Windows:
    def __init__(self) -> None:
        self.seen: set[tuple[str, int, int]] = set()
        self.clock = 0
        self.planned: dict[str, int] = {}
        self.picked: defaultdict[str, int] = defaultdict(int)
        self.contents: defaultdict[str, defaultdict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
        self.closing: list[tuple[int, str]] = []  # a heap
        self.events: list[bytes] = []

    def take(self, record: Record) -> None:
        kind = record.kind
        if kind in NOISE:
            return
        if kind == "pick.task":
            self.planned[record.task] = record.qty
            return
        if record.seq >= 0:
            name = (record.src, record.epoch, record.seq)
            if name in self.seen:
                return
            self.seen.add(name)
        t = record.t if record.t >= 0 else record.t_rx
        if kind in PICKS:
            self.pick(record, t)
        elif kind == "carton.close":
            heappush(self.closing, (t, record.lu))
        self.clock = max(self.clock, t)
        while self.closing and self.closing[0][0] + HOLD_US < self.clock - DISORDER_US:
            self.close(*heappop(self.closing))

    def pick(self, record: Record, t: int) -> None:
        sign = 1 if record.kind == "pick.confirm" else -1
        self.picked[record.task] += sign * record.qty
        self.contents[record.lu][record.task, record.sku] += sign * record.qty
        if self.picked[record.task] == self.planned.get(record.task):
            self.emit("pick.confirmed", record.task, {"qty": self.picked[record.task], "t_close": t})

    def close(self, t: int, lu: str) -> None:
        contents = sorted((task, sku, qty) for (task, sku), qty in self.contents.pop(lu, {}).items() if qty)
        self.emit("carton.closed", lu, {"contents": contents, "t_close": t})

    def emit(self, type_: str, key: str, data: object) -> None:
        self.events.append(msgspec.json.encode({"type": type_, "subject": key, "data": data}))
