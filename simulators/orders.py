"""The order book: what customers want, and how the order system plans to pick and ship it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from simulators.floor import SECOND, Carton, Line, Order, Shipment, Sku, Task
from simulators.settings import Habits

STATIONS = 6
LANES = [f"LANE-{n:02}" for n in range(1, 9)]
_CARRIERS = ("DHL", "UPS", "DPD", "GLS")
_TOTE_REST_S = 60  # a tote that came back is not used again at once


def catalogue(rng: Random, count: int = 160) -> list[Sku]:
    return [
        Sku(f"SKU-{n:04}", rng.randrange(80, 2_500), rng.random() < 0.15, 1 + n % STATIONS) for n in range(1, count + 1)
    ]


def sscc18(serial: int) -> str:
    """A serial shipping container code (GS1 General Specifications, section 3.3.2): 17 digits and their check digit."""
    body = f"34012345{serial % 10**9:09}"
    weighted = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(body))
    return f"{body}{-weighted % 10}"


class LoadUnits:
    """Boxes are used once; totes come back after they were shipped, and start another cycle then."""

    def __init__(self, rng: Random, first: int) -> None:
        self._rng = rng
        self._boxes = first
        self._totes = 0
        self._prefix = first
        self._back: list[tuple[int, str]] = []
        self._uses: dict[str, int] = {}

    def take(self, t: int, tote: bool) -> tuple[str, int]:
        """A load unit that is free at `t`, and the number of this use of it, from 1."""
        if not tote:
            self._boxes += 1
            lu = f"CTN-{self._boxes:07}"
        elif self._back and self._back[0][0] + _TOTE_REST_S * SECOND <= t:
            lu = heapq.heappop(self._back)[1]
        else:
            self._totes += 1
            lu = f"TOTE-{self._prefix}-{self._totes:03}"
        self._uses[lu] = self._uses.get(lu, 0) + 1
        return lu, self._uses[lu]

    def give_back(self, t: int, lu: str) -> None:
        if lu.startswith("TOTE-"):
            heapq.heappush(self._back, (t, lu))


class OrderBook:
    """Draws shipments. `first`: the number of the first order; every name in the story is counted from it."""

    def __init__(self, rng: Random, habits: Habits, first: int) -> None:
        self._rng = rng
        self._habits = habits
        self._skus = catalogue(rng)
        self.weights_g = {sku.name: sku.weight_g for sku in self._skus}
        self._orders = self._tasks = self._cartons = self._shipments = first
        self.units = LoadUnits(rng, first)

    def shipments(self, orders: int) -> Iterator[Shipment]:
        """Shipments of one order or two, until `orders` are placed."""
        while orders > 0:
            count = 2 if orders > 1 and self._rng.random() < self._habits.consolidated else 1
            orders -= count
            yield self._shipment(count)

    def _shipment(self, count: int) -> Shipment:
        rng = self._rng
        staged = rng.random() < self._habits.staged
        lanes = sorted(rng.sample(LANES, rng.choice((1, 1, 2)))) if staged else []
        shipment = Shipment(
            id=f"S-{self._shipments}",
            orders=[self._order() for _ in range(count)],
            lanes=lanes,
            stage_required=staged,
            carrier=rng.choice(_CARRIERS),
        )
        self._shipments += 1
        return shipment

    def _order(self) -> Order:
        rng, habits = self._rng, self._habits
        name = f"O-{self._orders}"
        self._orders += 1
        skus = rng.sample(self._skus, rng.choices((1, 2, 3, 4), (4, 3, 2, 1))[0])
        if len(skus) > 1 and rng.random() < habits.same_sku:
            skus[-1] = skus[0]
        lines = []
        for number, sku in enumerate(skus, 1):
            line = Line(order=name, number=number, sku=sku, qty=rng.choices(range(1, 9), (6, 6, 4, 4, 3, 2, 1, 1))[0])
            if rng.random() < habits.tolerant:
                line.over_tol_pct = rng.choice((10, 25, 50))
            if rng.random() < habits.hold_policy:
                line.short_policy = "HOLD"
            lines.append(line)
        return Order(name, lines)

    def pack_into(self, shipment: Shipment, t: int) -> None:
        """Plan the tasks and the cartons of a shipment that is released at `t`."""
        rng, habits = self._rng, self._habits
        planned = len(shipment.orders) > 1 or rng.random() >= habits.unplanned
        pieces = sum(line.qty for line in shipment.lines)
        boxes = 1 if pieces <= 4 else rng.choice((1, 1, 2)) if pieces <= 12 else rng.choice((2, 2, 3))
        shipment.cartons = [Carton(shipment=shipment) for _ in range(boxes)]
        for line in shipment.lines:
            self._plan_tasks(line, shipment)
        shipment.cartons = [carton for carton in shipment.cartons if carton.tasks]
        for carton in shipment.cartons:
            self._cartons += 1
            carton.id = f"C-{self._cartons}" if planned else None
            carton.lu, carton.cycle = self.units.take(t, rng.random() < habits.totes)
            carton.sscc = sscc18(self._cartons)
            carton.tracking_no = f"{shipment.carrier}{self._cartons:010}"

    def _plan_tasks(self, line: Line, shipment: Shipment) -> None:
        rng, habits = self._rng, self._habits
        quantities = [line.qty]
        named = rng.random() >= habits.taskless
        if named and line.qty > 1 and rng.random() < habits.split:
            part = rng.randrange(1, line.qty)
            quantities = [part, line.qty - part]
        for place, qty in enumerate(quantities):
            carton = rng.choice(shipment.cartons)
            task = Task(
                id=f"T-{self._tasks}" if named else None,
                line=line,
                qty=qty,
                station=1 + (line.sku.zone - 1 + place * 3) % STATIONS,
                loc=f"{'ABCDEF'[line.sku.zone - 1]}-{1 + int(line.sku.name[4:]) % 24:02}-{1 + place:02}",
                carton=carton,
                names_lu=named and rng.random() < 0.7,
            )
            self._tasks += named
            line.tasks.append(task)
            carton.tasks.append(task)
        if len(line.tasks) == 1 and named and habits.line_only and rng.random() < habits.line_only:
            line.tasks[0].line_only = True

    def another_task(self, task: Task, qty: int) -> Task:
        """The same for `qty` pieces at another place, into the same carton."""
        another = replace(
            task,
            id=f"T-{self._tasks}",
            qty=qty,
            station=1 + task.station % STATIONS,
            loc=f"{'ABCDEF'[task.station % STATIONS]}-{task.loc[2:5]}09",
            line_only=False,
            deadline=0,
        )
        self._tasks += 1
        task.line.tasks.append(another)
        task.carton.tasks.append(another)
        return another

    def any_sku(self) -> Sku:
        return self._rng.choice(self._skus)

    def wrong_sku(self, sku: Sku) -> Sku:
        """What a hand takes from the next shelf."""
        return self._skus[(self._skus.index(sku) + STATIONS) % len(self._skus)]
