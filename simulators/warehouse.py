"""The story: orders are released, picked, packed, sorted, staged and shipped, and a crane works beside it all.

Only what happens, in which order and when; what the devices make of it is told in `canonical.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from simulators import floor as f
from simulators.floor import SECOND, Carton, Happening, Line, Shipment, Story, Task
from simulators.orders import LANES, OrderBook
from simulators.settings import Habits, Pace, Span
from simulators.truth import Ledger, ready_state, shipped

TRACKS = 300
"""The sorter's numbers for the items on it: after the last it begins again."""

_SHORT_CODES = ("EMPTY", "INSUFFICIENT", "NOT_FOUND", "OPERATOR", "DAMAGED")
_CONVEYOR_SCANNERS = 3


def tell_story(
    orders: int,
    seed: int,
    *,
    site: str = "dc1",
    start: int = f.STORY_EPOCH,
    first: int = 1001,
    habits: Habits | None = None,
    pace: Pace | None = None,
) -> Story:
    """A story of `orders` orders. The same arguments give the same story. `first`: the number that names count from."""
    return _Warehouse(seed, site, start, first, habits or Habits(), pace or Pace()).run(orders)


class _Warehouse:
    def __init__(self, seed: int, site: str, start: int, first: int, habits: Habits, pace: Pace) -> None:
        self._rng = Random(f"{seed}/floor")
        self._site = site
        self._start = start
        self._habits = habits
        self._pace = pace
        self._book = OrderBook(self._rng, habits, first)
        self._first = first
        self._log: list[Happening] = []  # of the shipment in hand

    def run(self, orders: int) -> Story:
        shipments: list[Shipment] = []
        happenings: list[Happening] = []
        t = self._start + SECOND
        for shipment in self._book.shipments(orders):
            self._log = []
            self._book.pack_into(shipment, t)
            self._live_through(shipment, t)
            shipments.append(shipment)
            happenings += self._log
            t += int(self._rng.expovariate(1 / self._pace.order_every_s) * SECOND) + 1
        happenings += self._crane(max(happening.t for happening in happenings))
        happenings.sort(key=lambda happening: happening.t)
        rides = (happening.ride for happening in happenings if isinstance(happening, f.Inducted))
        for number, ride in enumerate(rides):
            ride.track = 1 + number % TRACKS
        return Story(self._site, shipments, happenings)

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share

    def _after(self, t: int, span: Span) -> int:
        return t + int(self._rng.uniform(*span) * SECOND)

    # ---- one shipment, from its orders to the truck

    def _live_through(self, shipment: Shipment, t: int) -> None:
        self._announce(shipment, t)
        started = self._after(t, self._pace.release_to_start_s)
        settled = started
        for carton in shipment.cartons:
            started = self._after(started, (1.0, 4.0))
            settled = max(settled, self._fill(carton, started))
        if self._chance(self._habits.replanned):
            self._log.append(f.Planned(self._after(t, (1.0, 90.0)), shipment, 2))
        self._ship(shipment, max(settled, max(happening.t for happening in self._log)))

    def _announce(self, shipment: Shipment, t: int) -> None:
        for order in shipment.orders:
            t = self._after(t, (0.01, 0.1))
            lines = [_line_in_order(line) for line in order.lines]
            self._log.append(f.Announced(t, "order.released", {"order": order.id, "rev": 1, "lines": lines}))
        self._log.append(f.Planned(self._after(t, (0.1, 0.3)), shipment, 1))
        for line in shipment.lines:
            for task in line.tasks:
                if task.id is not None:
                    t = self._after(t, (0.01, 0.1))
                    self._log.append(f.Announced(t, "pick.task", _task_in_plan(task)))
        for carton in shipment.cartons:
            if carton.id is not None:
                t = self._after(t, (0.01, 0.1))
                self._log.append(f.Announced(t, "carton.plan", _carton_in_plan(carton)))

    def _ship(self, shipment: Shipment, settled: int) -> None:
        t = self._after(settled, self._pace.manifest_after_s)
        ledger = Ledger(self._log)
        if ready_state(shipment, ledger) and self._chance(self._habits.manifested):
            taken = tuple(shipped(shipment, ledger))
            self._log.append(f.Manifested(t, shipment, f"M-{shipment.id[2:]}", taken))
            for carton in taken:
                self._book.units.give_back(t, carton.lu)

    # ---- one carton

    def _fill(self, carton: Carton, t: int) -> int:
        """Pick, pack and sort; returns when the carton had come to rest."""
        self._log.append(f.Bound(t, carton))
        if self._chance(self._habits.opened):
            t = self._after(t, (0.3, 1.0))
            self._log.append(f.Opened(t, carton))
        pieces = 0
        for task in sorted(carton.tasks, key=lambda task: task.station):
            t = self._after(t, self._pace.travel_s)
            t, picked = self._work(task, t)
            pieces += picked
        t = self._after(t, self._pace.to_close_s)
        if pieces == 0:
            return self._give_up(carton, t)
        t = self._close(carton, t)
        if self._chance(self._habits.reopened):
            t = self._check_again(carton, t)
        return self._sort(carton, self._after(t, self._pace.to_sorter_s))

    def _give_up(self, carton: Carton, t: int) -> int:
        """Nothing was found for this carton: it is closed as it is, or taken out of the plan."""
        if carton.id is None or self._chance(0.5):
            self._log.append(f.Closed(t, carton))
            return t
        self._log.append(f.Unplanned(t, carton))
        t = self._after(t, (0.5, 1.5))
        self._log.append(f.Released(t, carton))
        self._book.units.give_back(t, carton.lu)
        return t

    def _close(self, carton: Carton, t: int) -> int:
        self._log.append(f.Closed(t, carton))
        if self._chance(self._habits.weighed):
            weighed = self._after(t, (1.0, 3.5))
            self._log.append(f.Weighed(weighed, carton, self._weight(carton)))
            if self._chance(self._habits.weighed_late):
                self._log.append(f.Weighed(self._after(t, (30.0, 40.0)), carton, self._weight(carton)))
        labelled = self._after(t, (9.0, 20.0) if self._chance(self._habits.label_late) else (1.5, 4.0))
        if self._chance(self._habits.label_noread):
            self._log.append(f.Labelled(labelled, carton, "NOREAD"))
            labelled = self._after(labelled, (3.0, 8.0))
        self._log.append(f.Labelled(labelled, carton, "OK"))
        return max(labelled, self._after(t, (3.6, 4.5)))

    def _weight(self, carton: Carton) -> int:
        each_g = {task.line.sku.name: task.line.sku.weight_g for task in carton.tasks}
        pieces_g: int = sum(item["qty"] * each_g[item["sku"]] for item in Ledger(self._log).contents(carton))
        return 250 + self._rng.randrange(-8, 9) + pieces_g

    def _check_again(self, carton: Carton, t: int) -> int:
        """Quality control opens a closed carton, sometimes changes a piece for a better one, and closes it again."""
        t = self._after(t, (8.0, 12.0))
        self._log.append(f.Reopened(t, carton))
        ledger = Ledger(self._log)
        plain = [
            task for task in carton.tasks if ledger.picks(task) and not ledger.put_back(task) and not ledger.short(task)
        ]
        if plain and self._chance(0.5):
            task = self._rng.choice(plain)
            pick = ledger.picks(task)[-1]
            t = self._after(t, self._pace.second_thought_s)
            self._log.append(f.PutBack(t, task, 1, pick.lot))
            t = self._after(t, self._pace.second_thought_s)
            self._log.append(f.Picked(t, task, 1, self._lot(task), True))
        return self._close(carton, self._after(t, self._pace.to_close_s))

    # ---- one task at its station

    def _work(self, task: Task, t: int) -> tuple[int, int]:
        """Press by press; returns when it was done and how many pieces lie in the carton."""
        if self._chance(self._habits.shorts):
            return self._run_short(task, t)
        t = self._press(task, task.qty, t)
        if self._chance(self._habits.reversals):
            return self._think_again(task, t)
        if len(task.line.tasks) == 1 and self._chance(self._habits.over_picks):
            return self._pick_too_many(task, t)
        return t, task.qty

    def _press(self, task: Task, qty: int, t: int) -> int:
        says_lu = not task.names_lu or not self._chance(self._habits.unsaid_lu)
        while qty > 0:
            pieces = self._rng.randrange(1, min(qty, 3) + 1)
            t = self._after(t, self._pace.press_s)
            self._log.append(f.Picked(t, task, pieces, self._lot(task), says_lu))
            qty -= pieces
        return t

    def _lot(self, task: Task) -> str:
        return f"L{self._rng.randrange(1, 4)}{task.line.sku.name[-2:]}" if task.line.sku.lot_tracked else ""

    def _run_short(self, task: Task, t: int) -> tuple[int, int]:
        found = self._rng.randrange(task.qty)
        t = self._after(self._press(task, found, t), self._pace.press_s)
        code = "EMPTY" if found == 0 else self._rng.choice(_SHORT_CODES)
        self._log.append(f.Shorted(t, task, code))
        if self._chance(self._habits.found_after_short):
            t = self._press(task, 1, self._after(t, self._pace.second_thought_s))
            found += 1
        return t, found

    def _think_again(self, task: Task, t: int) -> tuple[int, int]:
        """A piece goes back, damaged perhaps; another takes its place, or the task ends short."""
        pick = next(h for h in reversed(self._log) if isinstance(h, f.Picked) and h.task is task)
        t = self._after(t, self._pace.second_thought_s)
        self._log.append(f.PutBack(t, task, 1, pick.lot))
        t = self._after(t, self._pace.second_thought_s)
        if task.qty > 1 and self._chance(0.3):
            self._log.append(f.Shorted(t, task, "DAMAGED"))
            return t, task.qty - 1
        return self._press(task, 1, t), task.qty

    def _pick_too_many(self, task: Task, t: int) -> tuple[int, int]:
        t = self._press(task, 1, t)
        if not self._chance(self._habits.over_put_back):
            return t, task.qty + 1
        pick = next(h for h in reversed(self._log) if isinstance(h, f.Picked) and h.task is task)
        t = self._after(t, self._pace.second_thought_s)
        self._log.append(f.PutBack(t, task, 1, pick.lot))
        return t, task.qty

    # ---- conveyor and sorter

    def _sort(self, carton: Carton, t: int) -> int:
        """Over the conveyor to a lane; returns when it lay where it stays."""
        scanner = self._rng.randrange(1, _CONVEYOR_SCANNERS + 1)
        self._log.append(f.Passed(t, carton, scanner, not self._chance(self._habits.noread)))
        lane = self._rng.choice(carton.shipment.lanes or LANES)
        wrong = self._chance(self._habits.wrong_lane)
        t = self._ride(carton, self._after(t, (2.0, 5.0)), lane, _neighbour(lane) if wrong else lane)
        if wrong and self._chance(self._habits.wrong_lane_fixed):
            t = self._ride(carton, self._after(t, self._pace.loop_s), lane, lane)
        return t

    def _ride(self, carton: Carton, t: int, wanted: str, dest: str) -> int:
        ride = f.Ride(carton)
        known = self._chance(self._habits.known_at_induct)
        unread = not known and self._chance(self._habits.noread)
        self._log.append(f.Inducted(t, ride, known))
        t = self._after(t, (1.0, 2.0))
        self._log.append(f.NotRead(t, ride) if unread else f.Read(t, ride))
        rounds = 2 if unread else 0
        while self._chance(self._habits.loops) and rounds < 3:
            rounds += 1
        for _ in range(rounds):
            t = self._after(t, self._pace.loop_s)
            self._log.append(f.Looped(t, ride))
        diverted = self._after(t, self._pace.sorter_s)
        self._log.append(f.Diverted(diverted, ride, dest, wanted))
        if unread:
            # Somebody types the number in, while it still goes round or when it already lies in its lane.
            named = self._after(diverted, (5.0, 20.0)) if self._chance(0.5) else self._after(t, (1.0, 4.0))
            self._log.append(f.Identified(named, ride))
            return max(diverted, named)
        return diverted

    # ---- beside it all

    def _crane(self, until: int) -> Iterator[Happening]:
        """Pallets in and out of the high bay; they never hold what is being picked."""
        rng = self._rng
        stored: list[tuple[str, str]] = []
        t, pallets = self._start, 0
        while True:
            t += int(rng.expovariate(1 / self._pace.crane_every_s) * SECOND) + 1
            if t > until:
                return
            if stored and self._chance(0.45):
                pallet, loc = stored.pop(rng.randrange(len(stored)))
                yield f.Retrieved(t, pallet, loc)
            else:
                pallets += 1
                pallet, loc = f"PAL-{self._first}-{pallets:04}", f"R1-{pallets % 60:02}-{rng.randrange(1, 13):02}"
                stored.append((pallet, loc))
                yield f.Stored(t, pallet, loc)


def _neighbour(lane: str) -> str:
    return LANES[(LANES.index(lane) + 1) % len(LANES)]


def _line_in_order(line: Line) -> dict[str, object]:
    body: dict[str, object] = {"line": line.number, "sku": line.sku.name, "qty": line.qty}
    if line.over_tol_pct:
        body["over_tol_pct"] = line.over_tol_pct
    if line.short_policy != "SHIP_PARTIAL":
        body["short_policy"] = line.short_policy
    return body


def _task_in_plan(task: Task) -> dict[str, object]:
    line = task.line
    body: dict[str, object] = {
        "task": task.id,
        "rev": 1,
        "order": line.order,
        "line": line.number,
        "sku": line.sku.name,
        "qty": task.qty,
        "loc": task.loc,
    }
    if task.names_lu:
        body["lu"] = task.carton.lu
    return body


def _carton_in_plan(carton: Carton) -> dict[str, object]:
    wanted: dict[tuple[str, int], int] = {}
    for task in carton.tasks:
        key = task.line.order, task.line.number
        wanted[key] = wanted.get(key, 0) + task.qty
    contents = [{"order": order, "line": line, "qty": qty} for (order, line), qty in sorted(wanted.items())]
    return {"carton": carton.id, "rev": 1, "shipment": carton.shipment.id, "contents": contents}
