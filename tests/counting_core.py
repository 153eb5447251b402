"""A core for tests of what stands around it: every new `lu` that is read becomes one business event.

It decides in the open, so that a test can say from its input alone which events must arrive, in which order, with which
bytes. A `weigh` opens a window that time alone closes HOLD_US later, into an event of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from ext.batch import Batch

HOLD_US = 200_000
TYPES = ("pick.confirmed", "carton.closed", "exception.raised")

Event = tuple[int, str, str, str, bytes, bytes]


class CountingCore:
    def __init__(self) -> None:
        self.sequence = 0
        self.records = 0
        self.rejected = 0
        self._wall_us = 0
        self._told: set[str] = set()
        self._due: dict[str, int] = {}
        self._last: dict[str, tuple[int, int]] = {}
        self._events: list[Event] = []

    def feed(self, batch: Batch, start: int = 0, stop: int = -1) -> None:
        for i in range(start, len(batch) if stop < 0 else stop):
            self._apply(batch.record(i))

    def _apply(self, record: dict[str, object]) -> None:
        self.records += 1
        self._wall_us = max(self._wall_us, int(str(record["t_rx"])))
        for name, due in sorted(self._due.items()):
            if due <= self._wall_us:
                del self._due[name]
                self._emit(name, "exception.raised")
        if "seq" in record:
            self._last[str(record["src"])] = (0, int(str(record["seq"])))
        name = str(record.get("lu"))
        if record["kind"] == "weigh":
            self._due.setdefault(f"weight-{name}", self._wall_us + HOLD_US)
        elif record["kind"] == "scan.read":
            self._emit(name, TYPES[len(self._told) % 2])

    def _emit(self, name: str, type_: str) -> None:
        if name in self._told:
            return
        self._told.add(name)
        self.sequence += 1
        self._events.append(event(self.sequence, name, type_))

    def take(self) -> list[Event]:
        taken, self._events = self._events, []
        return taken

    def reject(self, count: int) -> None:
        self.rejected += count

    def wall_us(self) -> int:
        return self._wall_us

    def due_us(self) -> int:
        return min(self._due.values(), default=-1)

    def account(self) -> Mapping[str, int]:
        return {"in": self.records + self.rejected, "used": self.records, "rejected": self.rejected}

    def slots(self) -> int:
        return 1

    def windows(self, start: int = 0, stop: int = -1) -> Mapping[str, int]:
        return {"cartons": len(self._due)}

    def sources(self) -> Sequence[Mapping[str, object]]:
        return [{"src": src} for src in sorted(self._last)]

    def position(self, src: str) -> tuple[int, int] | None:
        return self._last.get(src)

    def snapshot(self) -> bytes:
        if self._events:
            raise ValueError("take the events first")
        told, due = sorted(self._told), sorted(self._due.items())
        return msgspec.json.encode(
            [self.sequence, self.records, self.rejected, self._wall_us, told, due, sorted(self._last.items())]
        )

    def restore(self, data: bytes) -> None:
        self.sequence, self.records, self.rejected, self._wall_us, told, due, last = msgspec.json.decode(data)
        self._told, self._due = set(told), dict(due)
        self._last = {src: (epoch, seq) for src, (epoch, seq) in last}

    def go_on_from(self, revisions: Mapping[str, int]) -> None:
        """Its keys have one event each: there is no next revision."""


def event(sequence: int, name: str, type_: str = "pick.confirmed", **data: object) -> Event:
    """A business event as a core emits it, named after its id."""
    fields: dict[str, object] = {"id": name, "type": type_, "partitionkey": f"key-{name}", "data": data}
    content = hashlib.sha256(msgspec.json.encode(fields)).digest()[:16]
    body = msgspec.json.encode({**fields, "sequence": f"{sequence:020d}"})
    return (sequence, name, type_, f"key-{name}", body, content)


def read(name: str, t_rx: int, **fields: object) -> bytes:
    """The line of a `scan.read`."""
    return msgspec.json.encode({"src": "dc1/scan/A", "kind": "scan.read", "lu": name, "t_rx": t_rx, **fields})


def weigh(name: str, t_rx: int) -> bytes:
    """The line of a `weigh`."""
    return msgspec.json.encode({"src": "dc1/scale/A", "kind": "weigh", "lu": name, "weight_g": 1, "t_rx": t_rx})
