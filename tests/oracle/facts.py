"""From records to facts: which records count (R5, R10, R29), when they happened (R1), and in what order (R3)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.oracle.ids import dev_id

Record = dict[str, Any]

Rules = Mapping[str, Any]

DEFAULTS: dict[str, Any] = {
    "skew_max_ms": 5_000,
    "disorder_ms": 2_000,
    "idle_source_ms": 5_000,
    "gap_hold_ms": 300_000,
    "hold_wall_max_ms": 30_000,
    "dedupe_noseq_ms": 600_000,
    "close_hold_ms": 5_000,
    "ready_hold_ms": 5_000,
    "lateness_ms": 86_400_000,
    "ident_wait_ms": 600_000,
    "expectation_ttl_ms": 14_400_000,
    "retention_ms": 604_800_000,
    "short_on_close": 0,
    "short_at_cutoff": 0,
    "closing_points": (),
    "partial_load": "hold",
}
NOISE = frozenset({"photo_eye", "motor.state", "zone.state", "machine.state", "telemetry"})
CONTEXT = frozenset(
    {
        *("order.released", "order.changed", "order.cancelled", "wave.released", "pick.task", "pick.task_cancelled"),
        *("alloc.failed", "carton.plan", "shipment.plan", "shipment.cancelled", "lu.bind", "lu.release"),
        *("hold.released", "rma.authorised", "stock.expectation", "manifest.result"),
    }
)
ENVELOPE = frozenset({"src", "epoch", "seq", "sub", "t", "t_rx", "hist"})


class Fact(NamedTuple):
    """A record that counts. Sorting facts is R3: time, context first, (src, epoch, seq, sub), arrival."""

    t: int
    device: int  # 0 for context
    name: tuple[str, int, int, int]
    arrival: int
    kind: str
    record: Record

    @property
    def dev_id(self) -> str:
        return dev_id(self.record)


class Sorted(NamedTuple):
    facts: list[Fact]
    account: dict[str, int]  # in noise duplicate late rejected taken; taken = used + open
    times: list[int]  # event time of every record, in order of arrival
    repeated: set[int]  # records that say again what was heard (R5)
    twins: set[int]  # presses that another device told of before (R30)

    @property
    def t_max(self) -> int:
        """The greatest event time of all records, R4a."""
        return max(self.times, default=0)


def parameters(rules: Rules | None) -> dict[str, Any]:
    return {**DEFAULTS, **(rules or {})}


def event_time(record: Record, skew_max_ms: int) -> int:
    """R1: `t` where it can be trusted, else `t_rx`."""
    t_rx: int = record["t_rx"]
    t: int | None = record.get("t")
    if t is None or t - t_rx > skew_max_ms * 1000:
        return t_rx
    backlog = record.get("hist", False) or record["kind"] in CONTEXT
    return t if backlog or t_rx - t <= skew_max_ms * 1000 else t_rx


def is_dead(record: Record, t: int, rules: Rules) -> bool:
    """R29, of a record that happened at `t`."""
    return bool(record["t_rx"] - t > rules["lateness_ms"] * 1000)


def take(records: Iterable[Record], rules: Rules, sources: Mapping[str, Rules] | None = None) -> Sorted:
    """All records in order of arrival -> the facts among them in R3's order, and where the others went (R82)."""
    account = dict.fromkeys(("in", "noise", "duplicate", "late", "rejected", "taken"), 0)
    seen = Seen(rules)
    revisions = Revisions()
    facts = []
    times: list[int] = []
    repeated: set[int] = set()
    twins: set[int] = set()
    for arrival, record in enumerate(records):
        own = next((t for name, t in (sources or {}).items() if record["src"].startswith(name)), {})
        t = event_time(record, {**rules, **own}["skew_max_ms"])
        where = _where(record, t, seen, revisions, rules)
        times.append(t)
        if where == "duplicate" and record["kind"] not in CONTEXT:
            (repeated if seen.repeats else twins).add(arrival)
        account["in"] += 1
        account[where] += 1
        # R30: of several that tell of one press, R3's order says which counts
        if where == "taken" or (where == "duplicate" and record.get("press") and not seen.repeats):
            seq = record.get("seq")
            name = (record["src"], record.get("epoch", 0), -1 if seq is None else seq, record.get("sub", 0))
            facts.append(Fact(t, int(record["kind"] not in CONTEXT), name, arrival, record["kind"], record))
    return Sorted(sorted(facts, key=lambda fact: fact[:4]), account, times, repeated, twins)


def _where(record: Record, t: int, seen: Seen, revisions: Revisions, rules: Rules) -> str:
    if record["kind"] in NOISE:
        return "noise"  # R5: noise is never deduplicated
    if record["kind"] in CONTEXT:
        return revisions.judge(record)
    if is_dead(record, t, rules):
        return "late"  # R29. reading: a dead record is dead before it is a duplicate
    return "duplicate" if seen.before(record) else "taken"


class Seen:
    """R5: duplicates among device records."""

    def __init__(self, rules: Rules) -> None:
        self.lateness_us = rules["lateness_ms"] * 1000
        self.noseq_us = rules["dedupe_noseq_ms"] * 1000
        self.first_rx: dict[str, int] = {}
        self.presses: set[tuple[object, ...]] = set()
        self.repeats = False  # the last duplicate was one by its name, not by its press

    def before(self, record: Record) -> bool:
        self.repeats = self._named(record)
        return self.repeats or self._pressed(record)

    def _pressed(self, record: Record) -> bool:
        """R30. reading: a record whose every press was told before by another device counts as a duplicate."""
        if not record.get("press") or record.get("alloc") == []:
            return False
        parts = record.get("alloc", [record])
        told = {(record["kind"], record["press"], p.get("task"), p.get("order"), p.get("line")) for p in parts}
        known = told <= self.presses
        self.presses |= told
        return known

    def _named(self, record: Record) -> bool:
        if record.get("seq") is not None:
            key, reach = dev_id(record), self.lateness_us
        elif record.get("t") is not None:
            payload = {name: value for name, value in record.items() if name not in ("t_rx", "hist")}
            key, reach = json.dumps(payload, sort_keys=True), self.noseq_us
        else:
            return False
        # reading: "inside" is counted from the last record of that name that was none, and includes the bound
        first = self.first_rx.get(key)
        if first is not None and abs(record["t_rx"] - first) <= reach:
            return True
        self.first_rx[key] = record["t_rx"]
        return False


def target(record: Record) -> tuple[str, str] | None:
    """R40: what a load unit is bound to. reading: a bind to a parent alone has no target and begins no cycle."""
    return next(((name, record[name]) for name in ("carton", "order", "task") if record.get(name)), None)


class Revisions:
    """R10, in order of arrival: which context records replace what was known."""

    def __init__(self) -> None:
        self.highest: dict[tuple[object, ...], tuple[int, str]] = {}
        self.cancelled: set[tuple[object, ...]] = set()
        self.untold: set[tuple[object, ...]] = set()  # nothing is known of it but its cancel, or those of its lines

    def judge(self, record: Record) -> str:
        subject = _object(record)
        # reading: "content" is the kind and every field that is not of the envelope
        content = json.dumps({k: v for k, v in record.items() if k not in ENVELOPE}, sort_keys=True)
        rev, first = self.highest.get(subject, (0, ""))
        untold = subject not in self.highest or subject in self.untold
        if subject in self.untold and record["rev"] < rev:
            if not line_cancel(record):
                self.untold.remove(subject)
            return "taken"  # reading: its cancel overtook it (R3)
        if record["rev"] < rev:
            return "rejected"  # CTX_OUTDATED
        if record["rev"] == rev:
            return "duplicate" if content == first else "rejected"  # CTX_CONFLICT
        if subject in self.cancelled:
            return "rejected"  # CTX_AFTER_CANCEL
        self.untold.discard(subject)
        if whole_cancel(record):
            self.cancelled.add(subject)
        if untold and (whole_cancel(record) or line_cancel(record)):
            self.untold.add(subject)
        self.highest[subject] = record["rev"], content
        return "taken"


def line_cancel(record: Record) -> bool:
    return record["kind"] == "order.cancelled" and record.get("lines") is not None


def whole_cancel(record: Record) -> bool:
    if record["kind"] == "order.cancelled":
        return record.get("lines") is None
    return record["kind"] in ("pick.task_cancelled", "shipment.cancelled")


def _object(record: Record) -> tuple[object, ...]:
    kind: str = record["kind"]
    if kind in ("lu.bind", "lu.release"):
        # reading: where only a parent is named, that is the target
        return "bind", record["lu"], target(record) or record.get("parent")
    if kind == "alloc.failed":
        return "alloc", record["order"], record["line"]
    if kind == "stock.expectation":
        return "stock", record["loc"], record["sku"], record.get("lot")
    if kind in ("manifest.result", "hold.released"):
        return kind, record["shipment" if kind == "manifest.result" else "carton"]
    name = {"wave.released": "wave", "rma.authorised": "rma", "pick.task": "task", "pick.task_cancelled": "task"}
    field = name.get(kind, kind.partition(".")[0])
    return field, record[field]
