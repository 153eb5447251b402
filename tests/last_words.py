"""Stories of shipments that do become ready, and whose last words come within seconds of one another: closed, opened
again, voided, lost and found, staged, loaded, manifested, cancelled, planned anew, with lines that several share.

`whole_floor` tells of everything, so most of its shipments lack something in the end. Here holds and disorder of the
rules (5 s, 2 s) are as long as the time between two facts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from tests.cases.writing import SORTER, Case, at
from tests.stories import Record, by_arrival

DOCK = "dc1/dock/GUN-1"
LANE = "LANE-1"
TRAILERS = ("TR-1", "TR-2")
SPANS = (3.0, 8.0, 20.0)  # seconds
TRANSITS_US = (500_000, 1_500_000, 1_900_000)

Happens = Callable[[float], object]


class LastWords:
    """One order of one or two lines, up to three shipments, two cartons each."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.case = Case()
        self.happens: list[tuple[float, Happens]] = []
        self.span = draw.choice(SPANS)
        self.staged = self.chance(30)
        self.voids = self.chance(50)  # else trailers: what a void after the road is worth, nobody says
        self.lines = {line: draw.randint(1, 4) for line in range(1, draw.randint(2, 3))}
        self.scopes = self.shared([f"S-{n}" for n in draw.sample(range(1, 10), draw.randint(1, 3))])
        self.units: dict[str, list[str]] = {}
        self.used: set[str] = set()
        self.end = 4.0  # of the picking

    def chance(self, percent: int) -> bool:
        return self.draw.randint(1, 100) <= percent

    def at(self, low: float, high: float, happens: Happens) -> float:
        t = round(self.draw.uniform(low, high), 6)
        self.happens.append((t, happens))
        return t

    def behind(self, most: float, happens: Happens) -> float:
        """So many spans after the last pick, at most."""
        return self.at(self.end + 0.5, self.end + most * self.span, happens)

    def shared(self, shipments: list[str]) -> dict[str, list[Record]]:
        """The pieces of each line, among the shipments."""
        scopes: dict[str, list[Record]] = {shipment: [] for shipment in shipments}
        for line, left in self.lines.items():
            for shipment in self.draw.sample(shipments, len(shipments) - 1):
                qty = self.draw.randint(0, left)
                scopes[shipment] += [{"order": "O-1", "line": line, "qty": qty}] if qty else []
                left -= qty
            rest = next(one for one in shipments if all(row["line"] != line for row in scopes[one]))
            scopes[rest] += [{"order": "O-1", "line": line, "qty": left}] if left else []
        return {shipment: scope for shipment, scope in scopes.items() if scope}

    def told(self) -> list[Record]:
        policy = self.draw.choice(["SHIP_PARTIAL"] * 4 + ["BACKORDER", "HOLD"])
        lines = [{"line": n, "sku": "AB"[n - 1], "qty": qty, "short_policy": policy} for n, qty in self.lines.items()]
        self.at(0, 1, partial(self.case.wms, "order.released", order="O-1", lines=lines))
        for number, (shipment, scope) in enumerate(self.scopes.items()):
            self.plan(number, shipment, scope)
        for line, qty in self.lines.items():
            half = qty // 2 if self.chance(40) else 0
            for number, part in enumerate((half, qty - half)):
                if part:
                    self.picking(line, f"T-{line}{number}", part)
        for lu in sorted(self.used):
            self.carton(lu)
        self.last_words_of_all()
        for shipment, scope in self.scopes.items():
            self.last_words(shipment, scope)
        return self.in_order()

    def plan(self, number: int, shipment: str, scope: list[Record]) -> None:
        more: Record = {"cutoff": at(self.draw.choice((100, 200, 300)))} if self.chance(60) else {}
        more |= {"stage_required": True, "lanes": [LANE]} if self.staged else {}
        latest = 1 if self.chance(70) else 2.5
        self.at(0, latest, partial(self.case.wms, "shipment.plan", shipment=shipment, scope=scope, **more))
        self.units[shipment] = [f"L-{number}{carton}" for carton in range(self.draw.randint(1, 2))]
        for lu in self.units[shipment]:
            if self.chance(85):
                contents = [{**scope[0], "qty": 1}]
                names: Record = {"carton": lu.replace("L", "C"), "lu": lu, "shipment": shipment, "contents": contents}
                self.at(0, 1.9, partial(self.case.wms, "carton.plan", **names))

    def picking(self, line: int, task: str, qty: int) -> None:
        """Full, short, or left alone."""
        names: Record = {"task": task, "src": f"dc1/pick/PTL-{line}"}
        what: Record = {"sku": "AB"[line - 1], "qty": qty}
        self.at(1, 1.9, partial(self.case.wms, "pick.task", task=task, order="O-1", line=line, **what))
        units = [lu for shipment, own in self.units.items() if self.plans(shipment, line) for lu in own]
        picked = qty if self.chance(60) else self.draw.randint(0, qty)
        t, lu = self.draw.uniform(2, 4), ""
        for _ in range(picked):
            lu = self.draw.choice(units)
            self.used.add(lu)
            t = self.at(t + 0.5, t + 3, partial(self.case.pick, lu=lu, **{**names, "sku": what["sku"]}))
        if picked < qty and self.chance(90):
            t = self.at(t + 0.5, t + 3, partial(self.case.short, **names))
        if lu and self.chance(12):
            t = self.at(t + 1, t + self.span, partial(self.case.put_back, lu=lu, **{**names, "sku": what["sku"]}))
        self.end = max(self.end, t)

    def plans(self, shipment: str, line: int) -> bool:
        return any(row["line"] == line for row in self.scopes[shipment])

    def carton(self, lu: str) -> None:
        """Closed, and what becomes of it."""
        if self.chance(4):
            return
        t = self.behind(1, partial(self.case.close, lu=lu))
        fate = self.draw.random()
        if fate < 0.12:
            self.at(t + 0.5, t + self.span, partial(self.case.device, "carton.reopen", lu=lu))
            self.at(t + self.span + 0.5, t + 2 * self.span, partial(self.case.close, lu=lu))
        elif fate < 0.2 and self.voids:
            self.at(t + 0.5, t + 2 * self.span, partial(self.case.device, "carton.void", lu=lu))
        elif fate < 0.28:
            self.at(t + 0.5, t + 2 * self.span, partial(self.case.device, "item.lost", src=SORTER, lu=lu))
            found = t + 2 * self.span
            self.at(found + 0.5, found + self.span, partial(self.case.device, "item.stray", src=SORTER, lu=lu))
        if self.staged and self.chance(90):
            place: Record = {"src": SORTER, "lu": lu, "dest": LANE}
            self.at(t + 0.5, t + self.span, partial(self.case.device, "divert.confirmed", **place))
        if self.chance(30):
            loading: Record = {"src": DOCK, "lu": lu, "trailer": self.draw.choice(TRAILERS)}
            self.at(t + 0.5, t + 3 * self.span, partial(self.case.device, "load.scanned", **loading))

    def last_words_of_all(self) -> None:
        for trailer in TRAILERS:
            if self.chance(40) and not self.voids:
                self.behind(4, partial(self.case.device, "trailer.closed", src=DOCK, trailer=trailer))
        if self.chance(10):
            self.behind(3, partial(self.case.wms, "order.cancelled", rev=5, order="O-1", lines=[1]))

    def last_words(self, shipment: str, scope: list[Record]) -> None:
        if self.chance(35):
            number: Record = {"shipment": shipment, "manifest_no": f"M-{shipment}"}
            self.behind(4, partial(self.case.wms, "manifest.result", **number))
        if self.chance(25):
            self.behind(4, partial(self.case.wms, "shipment.cancelled", rev=9, shipment=shipment))
        if self.chance(15):
            less = [{**row, "qty": max(1, row["qty"] - self.draw.randint(0, 1))} for row in scope]
            self.behind(4, partial(self.case.wms, "shipment.plan", rev=2, shipment=shipment, scope=less))

    def in_order(self) -> list[Record]:
        """By arrival. Numbers of one device are late, too: a jump that is none (R6) may be open when a manifest comes.
        But no cancel of before a manifest comes after it, which counts from its arrival on."""
        for t, happens in sorted(self.happens, key=lambda one: one[0]):
            happens(t)
        slow, cancels = self.draw.choice(TRANSITS_US), dict[str, int]()
        for record in self.case.records:
            record["t_rx"] = record["t"] + self.draw.randint(0, slow)
            if record["kind"] == "shipment.cancelled":
                cancels[record["shipment"]] = record["t_rx"]
            elif record["kind"] == "manifest.result":
                record["t_rx"] = max(record["t_rx"], cancels.get(record["shipment"], 0))
        return by_arrival(self.case.records)


def story(draw: random.Random) -> tuple[list[Record], Record]:
    """Records, and the site's parameters."""
    rules = {
        "short_at_cutoff": draw.random() < 0.3,
        "short_on_close": draw.random() < 0.2,
        "partial_load": draw.choice(["hold", "emit"]),
    }
    return LastWords(draw).told(), rules
