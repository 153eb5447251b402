"""How a golden case is written: records in seconds after a fixed moment, and what the rules say must come of them.

A case becomes a folder: `input.ndjson` (canonical records in order of arrival), `expected.ndjson` (one line a business
key: type, key, and what its last revision must hold), `about.txt`, and where a case needs it `rules.json` (the site's
parameters), `sources.json` (those of single sources) and `until.txt` (R4a's T, microseconds).

Types of lines in `expected.ndjson` that are no events: `never`: the code of an exception, and which event of it must
not come; `times`: likewise, and how often it comes; `order`: business keys whose first events come in this order;
`account`: what R82 counts.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

S = 1_000_000
T0 = 1_700_000_000 * S
STATION, PACK, SCALE, SORTER, WMS = (
    *("dc1/pick/PTL-01", "dc1/pack/PK-01", "dc1/pack/SCL-01", "dc1/sorter/SRT-01", "dc1/wms/main"),
)
ONE = [{"order": "O-1", "line": 1, "qty": 2}]


def at(t: float) -> int:
    """Microseconds since 1970 of `t` seconds after the story's start."""
    return T0 + round(t * S)


class Case:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.expected: list[dict[str, Any]] = []
        self.rules: dict[str, Any] = {}
        self.sources: dict[str, dict[str, int]] = {}
        self.until_us: int | None = None
        self.numbers: dict[str, itertools.count[int]] = {}

    def tell(self, src: str, kind: str, t: float, rx: float | None = None, **fields: Any) -> Case:
        """`rx`: arrival in seconds, the event time itself where not given."""
        self.records.append({"src": src, "kind": kind, "t": at(t), "t_rx": at(t if rx is None else rx), **fields})
        return self

    def wms(self, kind: str, t: float = 0, rx: float | None = None, rev: int = 1, **fields: Any) -> Case:
        return self.tell(WMS, kind, t, rx, rev=rev, **fields)

    def device(self, kind: str, t: float, rx: float | None = None, src: str = PACK, **fields: Any) -> Case:
        seq = next(self.numbers.setdefault(src, itertools.count(1)))
        return self.tell(src, kind, t, rx, seq=seq, **fields)

    def lose(self, src: str = STATION) -> Case:
        """A number of `src` that nobody hears."""
        next(self.numbers.setdefault(src, itertools.count(1)))
        return self

    def tick(self, rx: float) -> Case:
        """The wall clock alone (R4)."""
        self.records.append({"src": "dc1/engine/clock", "kind": "clock.tick", "t_rx": at(rx)})
        return self

    def until(self, t: float) -> Case:
        """R4a's T."""
        self.until_us = at(t)
        return self

    def order(self, *quantities: int, t: float = 0, rx: float | None = None, **line: Any) -> Case:
        """Order O-1, its lines numbered from 1, SKU A."""
        lines = [{"line": n, "sku": "A", "qty": qty, **line} for n, qty in enumerate(quantities, start=1)]
        return self.wms("order.released", t, rx, order="O-1", lines=lines)

    def task(
        self, qty: int, task: str = "T-1", line: int = 1, t: float = 0, rx: float | None = None, **fields: Any
    ) -> Case:
        return self.wms("pick.task", t, rx, task=task, order="O-1", line=line, sku="A", qty=qty, **fields)

    def pick(self, t: float, qty: int = 1, rx: float | None = None, src: str = STATION, **fields: Any) -> Case:
        names = {} if "line" in fields or "alloc" in fields or "task" in fields else {"task": "T-1"}
        quantity = {} if "alloc" in fields else {"qty": qty}
        return self.device("pick.confirm", t, rx, src, **{**names, "sku": "A", **quantity, **fields})

    def put_back(self, t: float, qty: int = 1, rx: float | None = None, src: str = STATION, **fields: Any) -> Case:
        return self.device("pick.reverse", t, rx, src, **{"task": "T-1", "sku": "A", "qty": qty, **fields})

    def short(self, t: float, code: str = "EMPTY", src: str = STATION, **fields: Any) -> Case:
        return self.device("pick.short", t, None, src, **{"task": "T-1", "code": code, **fields})

    def close(self, t: float, lu: str = "L-1", **fields: Any) -> Case:
        return self.device("carton.close", t, lu=lu, **fields)

    def plan(self, carton: str = "C-1", lu: str | None = "L-1", t: float = 0, **fields: Any) -> Case:
        where = {"lu": lu} if lu else {}
        return self.wms("carton.plan", t, **{"carton": carton, "shipment": "S-1", "contents": ONE, **where, **fields})

    def shipment(self, qty: int = 2, **fields: Any) -> Case:
        scope = [{"order": "O-1", "line": 1, "qty": qty}]
        return self.wms("shipment.plan", **{"shipment": "S-1", "scope": scope, **fields})

    def shipped(self, qty: int = 2, **plan: Any) -> Case:
        """O-1 of one line, one task T-1, one planned carton C-1 in L-1, shipment S-1."""
        return self.order(qty).task(qty).plan().shipment(qty, **plan)

    def expect(
        self,
        type_: str,
        key: str,
        *,
        t: float | None = None,
        revision: int | None = None,
        evidence: str | None = None,
        partitionkey: str | None = None,
        correlationid: str | None = None,
        **data: Any,
    ) -> Case:
        """`t`: the envelope's `time`, in seconds. Fields of `data` that are None must be absent."""
        expected: dict[str, Any] = {"type": type_, "key": key, "data": data}
        if t is not None:
            expected["time"] = at(t)
        if revision is not None:
            expected["revision"] = revision
        if evidence is not None:
            expected["evidence"] = evidence
        if partitionkey is not None:
            expected["partitionkey"] = partitionkey
        if correlationid is not None:
            expected["correlationid"] = correlationid
        self.expected.append(expected)
        return self

    def packed(self, qty: int, key: str = "C-1", line: int = 1, **data: Any) -> Case:
        """carton.closed with `qty` pieces of one line."""
        contents = [{"line": line, "order": "O-1", "qty": qty, "sku": "A"}]
        return self.expect("carton.closed", key, contents=contents, **data)

    def confirmed(self, qty: int, t_close: float, task: str = "T-1", **data: Any) -> Case:
        return self.expect("pick.confirmed", task, t=t_close, qty=qty, t_close=at(t_close), **data)

    def shorted(self, qty_short: int, t_close: float, task: str = "T-1", **data: Any) -> Case:
        return self.expect("pick.short", task, t=t_close, qty_short=qty_short, t_close=at(t_close), **data)

    def raised(self, code: str, subject: str, episode: int = 1, **data: Any) -> Case:
        """An exception that still stands in the end."""
        self.expect("never", code, type="exception.cleared")
        return self.expect("exception.raised", f"{code}/{subject}/{episode}", code=code, subject=subject, **data)

    def never_raised(self, code: str) -> Case:
        return self.expect("never", code, type="exception.raised")

    def times(self, code: str, count: int, type_: str = "exception.raised") -> Case:
        return self.expect("times", code, type=type_, count=count)

    def in_order(self, *keys: tuple[str, str]) -> Case:
        """(type, key): their first events leave in this order."""
        return self.expect("order", "", keys=[list(key) for key in keys])

    def counted(self, **account: Any) -> Case:
        return self.expect("account", "", **account)

    def cleared(self, code: str, subject: str, episode: int = 1, t: float | None = None) -> Case:
        """An exception that was raised and cleared, at `t`."""
        self.expect("exception.raised", f"{code}/{subject}/{episode}", code=code, subject=subject)
        return self.expect("exception.cleared", f"{code}/{subject}/{episode}", t=t, code=code, subject=subject)

    def ready(self, packed: int, t: float, short: int = 0, **data: Any) -> Case:
        line = {"cancelled": 0, "line": 1, "order": "O-1", "ordered": packed + short, "packed": packed, "short": short}
        return self.expect("shipment.ready", "S-1", t=t, lines=[line], partial=short > 0, **data)


Writer = Callable[[], Case]


def write(folder: Path, about: str, case: Case) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "about.txt").write_text(about.strip() + "\n")
    for name, rows in (("input", case.records), ("expected", case.expected)):
        text = "".join(json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n" for row in rows)
        (folder / f"{name}.ndjson").write_text(text)
    for name, table in (("rules", case.rules), ("sources", case.sources)):
        if table:
            (folder / f"{name}.json").write_text(json.dumps(table) + "\n")
    if case.until_us is not None:
        (folder / "until.txt").write_text(f"{case.until_us}\n")
