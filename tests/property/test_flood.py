"""State that is full: unknown keys are refused and counted, planned work is exact (section 1, `state_bytes_max`)."""

from __future__ import annotations

import json

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts
from tests.property.agreement import TERMS
from tests.stories import T0, WMS, Record

STATION = "dc1/pick/PTL-01"
CAP_BYTES = 8 << 20
UNKNOWN = 40_000


def flooded() -> tuple[list[dict[str, object]], dict[str, int], int]:
    """A planned task is picked before and after a flood of presses for tasks that nobody planned."""
    records: list[Record] = [
        {"src": WMS, "kind": "order.released", "order": "O-1", "rev": 1, "lines": [{"line": 1, "sku": "A", "qty": 2}]},
        {"src": WMS, "kind": "pick.task", "task": "T-1", "rev": 1, "order": "O-1", "line": 1, "sku": "A", "qty": 2},
        {"src": STATION, "kind": "pick.confirm", "task": "T-1", "sku": "A", "qty": 1},
    ]
    press: Record = {"src": STATION, "kind": "pick.confirm", "sku": "A", "qty": 1}
    records += [{**press, "task": f"{'X' * 100}-{n}"} for n in range(UNKNOWN)]
    records.append({**press, "task": "T-1"})
    texts = Texts()
    core, batch = Core("dc1", texts, {"state_bytes_max": CAP_BYTES}), Batch(texts)
    lines = []
    for at, record in enumerate(records):
        t = T0 + at * 1_000
        number = {"seq": at} if record["src"] == STATION else {}
        lines.append(json.dumps({**record, **number, "t": t, "t_rx": t}).encode())
    assert make_decoder(texts).decode_lines(lines, batch) == []
    core.feed(batch)
    events = [json.loads(event[4]) for event in core.take()]
    return events, core.account(), core.state_bytes()


def test_planned_work_is_exact_in_a_flood() -> None:
    events, account, _ = flooded()
    told = [event["data"] for event in events if event["type"] == "io.sortline.pick.confirmed.v1"]
    assert [(data["task"], data["qty"]) for data in told] == [("T-1", 2)]  # type: ignore[index]
    assert account["in"] == sum(account[term] for term in TERMS) == UNKNOWN + 4


def test_state_bytes_max_refuses_unknown_keys_and_counts_them() -> None:
    _, account, state_bytes = flooded()
    assert account["open"] < UNKNOWN
    assert account["rejected"] > 0
    assert state_bytes <= CAP_BYTES
