"""R43: a slot of a put wall that nobody releases keeps what lies in it, and not what went through it long ago.

Orders go through three slots into boxes and leave, for ten times `retention_ms`; some pieces go from slot to slot,
some back to the shelf, and at the end a slot is closed for the first time. With a `retention_ms` that never ends the
very same is told, out of a state that grows.
"""

from __future__ import annotations

import itertools
import random

import pytest

from tests.stories import MS, T0, WMS, Record, S
from tests.through_core import Outcome, feed

SOON = {"lateness_ms": 30 * 60_000, "ctx_wait_ms": 60_000, "gap_hold_ms": 60_000, "retention_ms": 60 * 60_000}
NEVER = {**SOON, "retention_ms": 10**9}
ORDERS = 300
SLOTS = ("PW-1", "PW-2", "PW-3")
WALL, PACK, DOCK = "dc1/pick/PW-01", "dc1/pack/PK-01", "dc1/ship/DOOR-1"


class Wall:
    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.records: list[Record] = []
        self.numbers = {src: itertools.count(1) for src in (WALL, PACK, DOCK)}
        self.t = T0

    def say(self, src: str, kind: str, **fields: object) -> None:
        self.t += self.draw.randint(1, 3_000) * MS
        numbered = {"rev": 1} if src == WMS else {"seq": next(self.numbers[src])}
        late = 0 if src == WMS else self.draw.randint(0, 1_500 * MS)
        self.records.append({"src": src, "kind": kind, "t": self.t, "t_rx": self.t + late, **numbered, **fields})

    def order(self, number: int) -> None:
        """Two pieces, mostly planned to a shipment, which leaves with the tenth order's trailer."""
        draw, line = self.draw, {"order": f"O-{number}", "line": 1}
        slot, piece = draw.choice(SLOTS), {**line, "sku": "A", "qty": 1}
        self.say(WMS, "order.released", order=f"O-{number}", lines=[{"line": 1, "sku": "A", "qty": 2}])
        if draw.random() < 0.7:
            self.say(WMS, "shipment.plan", shipment=f"S-{number}", scope=[{**line, "qty": 2}])
        for _ in range(2):
            self.say(WALL, "pick.confirm", **piece, lu=slot)
        if draw.random() < 0.1:
            self.say(WALL, "pick.reverse", **piece, lu=slot)
            self.say(WALL, "pick.confirm", **piece, lu=slot)
        if draw.random() < 0.1:
            self.say(WALL, "weigh", lu=slot, weight_g=500)
        if draw.random() < 0.2 and (other := draw.choice(SLOTS)) != slot:
            self.say(PACK, "pack.confirm", from_lu=slot, lu=other)
            slot = other
        box, some = f"BX-{number}", {"sku": "A", "qty": 2, **line} if draw.random() < 0.3 else {}
        self.say(PACK, "pack.confirm", from_lu=slot, lu=box, **some)
        self.say(PACK, "carton.close", lu=box)
        self.say(DOCK, "load.scanned", lu=box, trailer=f"TR-{number // 10}")
        if number % 10 == 9:
            self.t += 60 * S
            self.say(DOCK, "trailer.closed", trailer=f"TR-{number // 10}")
        self.t += 120 * S

    def story(self, *, waits: bool) -> list[Record]:
        """waits: the very first order's box is closed at the end only, and its shipment is ready then."""
        if waits:
            line = {"order": "O-W", "line": 1}
            self.say(WMS, "order.released", order="O-W", lines=[{"line": 1, "sku": "A", "qty": 1}])
            self.say(WMS, "shipment.plan", shipment="S-W", scope=[{**line, "qty": 1}])
            self.say(WALL, "pick.confirm", **line, sku="A", qty=1, lu="PW-1")
            self.say(PACK, "pack.confirm", from_lu="PW-1", lu="PW-2")
            self.say(PACK, "pack.confirm", from_lu="PW-2", lu="BX-W")
        for number in range(ORDERS):
            self.order(number)
        if waits:
            self.say(PACK, "carton.close", lu="BX-W")
        self.say(WMS, "order.released", order="O-L", lines=[{"line": 1, "sku": "A", "qty": 3}])
        for slot in SLOTS:
            self.say(WALL, "pick.confirm", order="O-L", line=1, sku="A", qty=1, lu=slot)
            self.say(WALL, "carton.close", lu=slot)
        self.t += 60 * S
        self.say(WALL, "weigh", lu="BX-0", weight_g=1)
        return sorted(self.records, key=lambda record: record["t_rx"])


def told_alike(seed: int, *, waits: bool) -> tuple[Outcome, Outcome]:
    """What the core keeps and tells, forgetting soon and never: the same bytes."""
    told = Wall(seed).story(waits=waits)
    soon, never = feed(told, rules=SOON), feed(told, rules=NEVER)
    assert soon.lines == never.lines
    return soon, never


@pytest.mark.parametrize("seed", range(6))
def test_R43_what_went_through_a_slot_long_ago_is_forgotten_without_a_trace(seed: int) -> None:
    soon, never = told_alike(seed, waits=False)
    closed = [event for event in soon.events if event["type"] == "io.sortline.carton.closed.v1"]
    assert {event["data"]["lu"] for event in closed} >= set(SLOTS)
    assert soon.state_bytes * 4 < never.state_bytes


@pytest.mark.parametrize("seed", range(3))
def test_R50a_a_shipment_that_waits_still_knows_where_its_pieces_went(seed: int) -> None:
    soon, _ = told_alike(seed, waits=True)
    ready = [event for event in soon.events if event["type"] == "io.sortline.shipment.ready.v1"]
    assert "S-W" in {event["partitionkey"] for event in ready}
