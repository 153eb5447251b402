"""State that is full: unknown keys are refused and counted, planned work is exact (section 1, `state_bytes_max`)."""

from __future__ import annotations

import json

import pytest

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts
from tests.property.agreement import TERMS
from tests.stories import T0, WMS, Record

STATION = "dc1/pick/PTL-01"
CAP_BYTES = 8 << 20
UNKNOWN = 40_000
STRANGE = 150_000


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


STRANGERS: dict[str, Record] = {
    "fault": {"state": "set", "code": "{}"},
    "lane.full": {"state": "set", "dest": "{}"},
    "asrs.exception": {"code": "PICKUP", "loc": "{}"},
    "count.reported": {"loc": "{}", "sku": "A", "qty": 1},
    "return.scanned": {"rma": "{}", "sku": "A", "qty": 1},
    "return.graded": {"rma": "{}", "sku": "A", "qty": 1, "grade": "A", "disposition": "SCRAP"},
    "trailer.closed": {"trailer": "{}"},
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_state_bytes_max_refuses_names_of_every_sort(kind: str) -> None:
    """What is planned is told all the same: the RMA and the place of which the order systems have told."""
    record: Record = {"kind": kind, "src": "dc1/mad/M-1", **STRANGERS[kind]}
    flood = json.dumps(record).replace("{}", "X" * 60 + "%d")[:-1] + ', "seq": %d, "t": %d, "t_rx": %d}'
    place: Record = {"loc": "B-1", "sku": "A", "qty": 5}
    planned: list[Record] = [
        {"kind": "rma.authorised", "src": WMS, "rma": "R-1", "rev": 1, "lines": [{"sku": "A", "qty": 1}]},
        {"kind": "stock.expectation", "src": WMS, **place, "rev": 1, "as_of": T0},
    ]
    facts: list[Record] = [
        {"kind": "return.scanned", "src": STATION, "rma": "R-1", "sku": "A", "qty": 1, "seq": 1},
        {"kind": "count.reported", "src": STATION, **place, "qty": 4, "seq": 2},
    ]
    end = T0 + STRANGE * 1_000
    lines = [json.dumps(one | {"t": T0, "t_rx": T0}) for one in planned]
    lines += [flood % (n, n, T0 + n * 1_000, T0 + n * 1_000) for n in range(STRANGE)]
    lines += [json.dumps(one | {"t": end, "t_rx": end}) for one in facts]
    texts = Texts()
    core, decoder = Core("dc1", texts, {"state_bytes_max": CAP_BYTES}), make_decoder(texts)
    told: list[Record] = []
    for at in range(0, len(lines), 2_000):
        batch = Batch(texts)
        assert decoder.decode_lines([line.encode() for line in lines[at : at + 2_000]], batch) == []
        core.feed(batch)
        told += [json.loads(event[4]) for event in core.take()]
    core.finish()
    told += [json.loads(event[4]) for event in core.take()]
    account = core.account()
    assert account["rejected"] > 0
    assert account["in"] == sum(account[term] for term in TERMS) == STRANGE + 4
    of = {event["subject"]: event["data"] for event in told if "exception" not in event["type"]}
    assert of["return/R-1/A"]["qty"] == 1
    assert of["stock/B-1/A/"]["actual"] == 4
