"""R3: exceptions too are a function of the records: which are raised and cleared, when, how often and with what detail.

Small stories of one thing each, told in the order of event time and in others within the disorder.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.minimise import show
from tests.oracle import expected
from tests.oracle.compare import bare, differences
from tests.stories import DELAY_MAX_MS, MS, T0, WMS, Record, S, by_arrival
from tests.through_core import feed

EXAMPLES = int(os.environ.get("SORTLINE_EXAMPLES", "50"))
STEPS = (0, 100 * MS, 400 * MS, 900 * MS, 3 * S)
Happenings = list[tuple[int, str, Record]]  # event time, source, the rest


def returns(draw: random.Random) -> Happenings:
    """R72: two desks, an RMA that is revised while they scan."""
    told: Happenings = []
    t, revised, rev = 10 * S, 0, 0
    for _ in range(draw.randint(2, 12)):
        t += draw.choice(STEPS)
        if draw.random() < 0.3 and t - revised > DELAY_MAX_MS * MS:
            revised, rev = t, rev + 1
            lines = [{"sku": draw.choice("AB"), "qty": draw.randint(1, 4)} for _ in range(draw.randrange(3))]
            told.append((t, WMS, {"kind": "rma.authorised", "rma": "R-1", "rev": rev, "lines": lines}))
            continue
        rma = {"rma": draw.choice(("R-1", "R-1", "R-2"))} if draw.random() < 0.9 else {}
        serial = {"serial": draw.choice(("s1", "s2"))} if draw.random() < 0.4 else {}
        scan = {"kind": "return.scanned", "sku": draw.choice("AB"), "qty": draw.randint(1, 2), **rma, **serial}
        told.append((t, f"dc1/returns/RT-{draw.randint(1, 2)}", scan))
    return told


def orders(draw: random.Random) -> Happenings:
    """R24, R27a: a line without tasks of which less is asked for, at last nothing, while it is picked."""
    qty, rev, revised = draw.randint(1, 3), 1, 0
    told: Happenings = [(0, WMS, order("order.released", rev, qty))]
    t = 10 * S
    for _ in range(draw.randint(2, 9)):
        t += draw.choice(STEPS)
        chance = draw.random()
        if chance < 0.35 and t - revised > DELAY_MAX_MS * MS:
            # more is never asked for: what was told full on arrival is open again then, and that depends on arrival
            revised, rev, qty = t, rev + 1, max(0, qty - draw.randint(0, 2))
            told.append((t, WMS, order("order.changed", rev, qty)))
        else:
            press = {"kind": "pick.confirm", "order": "O-1", "line": 1, "sku": "A", "qty": 1, "lu": "L-1"}
            told.append((t, f"dc1/pick/PTL-{draw.randint(1, 2)}", press))
    return told


def order(kind: str, rev: int, qty: int) -> Record:
    return {"kind": kind, "order": "O-1", "rev": rev, "lines": [{"line": 1, "sku": "A", "qty": qty}]}


def first_tasks(draw: random.Random) -> Happenings:
    """R20: presses that name only their line, about the moment of its first tasks."""
    qty = draw.randint(1, 2)
    told: Happenings = [
        (0, WMS, order("order.released", 1, qty)),
        (
            0,
            WMS,
            {"kind": "shipment.plan", "shipment": "S-1", "rev": 1, "scope": [{"order": "O-1", "line": 1, "qty": qty}]},
        ),
    ]
    t, presses = 10 * S, []
    for _ in range(qty + draw.randrange(2)):
        t += draw.choice((100 * MS, 500 * MS, 900 * MS, 4 * S))
        presses.append(t)
        press = {"kind": "pick.confirm", "order": "O-1", "line": 1, "sku": "A", "qty": 1, "lu": "L-1"}
        told.append((t, f"dc1/pick/PTL-{draw.randint(1, 2)}", press))
    for n in range(draw.randint(1, 2)):
        task = {"kind": "pick.task", "task": f"T-{2 - n}", "rev": 1, "order": "O-1", "line": 1, "sku": "A", "qty": qty}
        lu = {"lu": "L-9"} if draw.random() < 0.2 else {}
        told.append((draw.choice(presses) + draw.choice((-1200, -400, -1, 0, 1, 300)) * MS, WMS, {**task, **lu}))
    return [*told, (t + 3 * S, "dc1/pack/PK-01", {"kind": "carton.close", "lu": "L-1"})]


def late_picks(draw: random.Random) -> Happenings:
    """R29: picks about the moment of the manifest, and after it."""
    lines = [{"line": 1, "sku": "A", "qty": 4}]
    scope = [{"order": "O-1", "line": 1, "qty": 4}]
    task = {"kind": "pick.task", "task": "T-1", "rev": 1, "order": "O-1", "line": 1, "sku": "A", "qty": 4, "loc": "B-1"}
    told: Happenings = [
        (0, WMS, {"kind": "order.released", "order": "O-1", "rev": 1, "lines": lines}),
        (0, WMS, {"kind": "shipment.plan", "shipment": "S-1", "rev": 1, "scope": scope}),
        (0, WMS, task),
        (13 * S, WMS, {"kind": "manifest.result", "shipment": "S-1", "rev": 1, "manifest_no": "M", "tracking": []}),
    ]
    t = 12 * S
    for _ in range(draw.randint(1, 3)):  # never so many that the task is full
        t += draw.choice(STEPS[1:]) + 1
        pick = {"kind": "pick.confirm", "task": "T-1", "sku": "A", "qty": 1, "lu": "L-1"}
        told.append((t, f"dc1/pick/PTL-{draw.randint(1, 2)}", pick))
    return told


def shares(draw: random.Random) -> Happenings:
    """R53, R27: a line of several shipments, not all of it given to tasks; one is short, one may be cancelled as soon
    as it is told."""
    parts = [draw.randint(1, 2) for _ in range(draw.randint(2, 3))]
    told: Happenings = [(0, WMS, order("order.released", 1, sum(parts)))]
    for n, qty in enumerate(parts, start=1):
        part = [{"order": "O-1", "line": 1, "qty": qty}]
        cutoff = draw.choice(({}, {"cutoff": T0 + 300 * S}, {"cutoff": T0 + 600 * S}))
        told.append((0, WMS, {"kind": "shipment.plan", "shipment": f"S-{n}", "rev": 1, "scope": part, **cutoff}))
        plan = {"kind": "carton.plan", "carton": f"C-{n}", "rev": 1, "shipment": f"S-{n}", "contents": part}
        told.append((0, WMS, {**plan, "lu": f"L-{n}"}))
    task = {"kind": "pick.task", "rev": 1, "order": "O-1", "line": 1, "sku": "A"}
    told.append((0, WMS, {**task, "task": "T-1", "qty": draw.randint(2, sum(parts))}))
    t = 10 * S
    for n, qty in enumerate(parts, start=1):
        picked = draw.randint(0, qty)
        t += draw.choice(STEPS[1:])
        if picked:
            pick = {"kind": "pick.confirm", "task": "T-1", "sku": "A", "qty": picked, "lu": f"L-{n}"}
            told.append((t, f"dc1/pick/PTL-{draw.randint(1, 2)}", pick))
    told.append((t + draw.choice(STEPS[1:]), "dc1/pick/PTL-1", {"kind": "pick.short", "task": "T-1", "code": "EMPTY"}))
    for n in range(1, len(parts) + 1):
        t += draw.choice(STEPS[1:])
        told.append((t + 3 * S, "dc1/pack/PK-01", {"kind": "carton.close", "lu": f"L-{n}"}))
    if draw.random() < 0.5:
        t += 20 * S
        told.append((t, WMS, {**task, "task": "T-2", "qty": 1}))
        told.append((t + draw.choice(STEPS[1:]), WMS, {"kind": "pick.task_cancelled", "task": "T-2", "rev": 2}))
    return told


def records_of(told: Happenings) -> list[Record]:
    """In the order of event time, with numbers; every device speaks first before anything happens, and each second."""
    devices = sorted({src for _, src, _ in told if src != WMS})
    end = max(t for t, _, _ in told) + 5 * S
    told = [(9 * S, src, {"kind": "scan.read", "lu": "X", "point": "RP-1"}) for src in devices] + told
    told += [(t, src, {"kind": "telemetry"}) for src in devices for t in range(10 * S, end, S)]
    numbers = {src: itertools.count(1) for src in devices}
    return [
        {"src": src, "t": T0 + t, "t_rx": T0 + t, **rest, **({"seq": next(numbers[src])} if src in numbers else {})}
        for t, src, rest in sorted(told, key=lambda one: (one[0], one[1] != WMS))
    ]


def told_of(records: list[Record]) -> dict[str, Any]:
    """What the last revision of every key says; one that says that there is nothing is none."""
    events = {event["id"].rpartition(":")[0]: event for event in feed(records).events}
    return {
        key: (bare(event["type"]), event["subject"], event["time"], event["data"])
        for key, event in events.items()
        if event["data"].get("qty") != 0
    }


def arrivals(records: list[Record], draw: random.Random) -> Iterable[list[Record]]:
    """Orders in which every object's revisions come in their order, which R10 rests on."""
    for _ in range(4):
        first = [r for r in records if r["kind"] == "scan.read"]
        late = [r | {"t_rx": r["t"] + draw.randrange(DELAY_MAX_MS * MS)} for r in records if r["kind"] != "scan.read"]
        found = by_arrival(first + late)
        revisions = [r["rev"] for r in found if r["kind"] in ("rma.authorised", "order.released", "order.changed")]
        if revisions == sorted(revisions):
            yield found


@pytest.mark.parametrize("story", [returns, orders, first_tasks, late_picks, shares])
def test_R3_exceptions_are_a_function_of_the_records(story: Callable[[random.Random], Happenings]) -> None:
    for seed in range(EXAMPLES):
        draw = random.Random(seed)
        records = records_of(story(draw))
        in_order = told_of(records)
        assert differences(feed(records).events, expected(records, "dc1")) == [], seed
        for other in arrivals(records, draw):
            assert told_of(other) == in_order, (seed, show([r for r in other if r["kind"] != "telemetry"]))
