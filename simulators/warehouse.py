"""The story: orders are released, picked, packed, sorted, staged and shipped, and a crane works beside it all.

Only what happens, in which order and when; what the devices make of it is told in `canonical.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from random import Random

from simulators import floor as f
from simulators.diary import Diary
from simulators.floor import Carton, Happening, Shipment, Story, Task
from simulators.ledger import Ledger
from simulators.loading import load
from simulators.orders import OrderBook
from simulators.packing import Packer
from simulators.paperwork import Paperwork
from simulators.picking import Picker
from simulators.returns import returns
from simulators.settings import Habits, Pace, Policy
from simulators.sorting import lose, sort
from simulators.truth import ready_state, shipped

UPSET_AFTER_S = (400.0, 500.0)
"""When all news of a shipment is in, the late ones too, and what is held for a gap was decided."""

TRACKS = 300
"""The sorter's numbers for the items on it: after the last it begins again."""


def tell_story(
    orders: int,
    seed: int,
    *,
    site: str = "dc1",
    start: int = f.STORY_EPOCH,
    first: int = 1001,
    habits: Habits | None = None,
    pace: Pace | None = None,
    policy: Policy | None = None,
) -> Story:
    """A story of `orders` orders. The same arguments give the same story. `first`: the number that names count from."""
    habits, pace = habits or Habits(), pace or Pace()
    rng = Random(f"{seed}/floor")
    diary = Diary(rng, habits, pace, OrderBook(rng, habits, first))
    return _Warehouse(diary, site, start, first, policy or Policy()).run(orders)


class _Warehouse:
    def __init__(self, diary: Diary, site: str, start: int, first: int, policy: Policy) -> None:
        self._diary = diary
        self._site = site
        self._start = start
        self._first = first
        self._policy = policy

    def run(self, orders: int) -> Story:
        diary = self._diary
        shipments: list[Shipment] = []
        happenings: list[Happening] = []
        t = self._start + f.SECOND
        for shipment in diary.book.shipments(orders):
            diary.log = []
            diary.book.pack_into(shipment, t)
            _Life(diary, shipment, self._policy).live(t)
            shipments.append(shipment)
            happenings += diary.log
            t += int(diary.rng.expovariate(1 / diary.pace.order_every_s) * f.SECOND) + 1
        returns_until = round(orders * diary.habits.returns)
        happenings += returns(diary, returns_until, self._first, self._start)
        happenings += self._crane(max(happening.t for happening in happenings))
        happenings.sort(key=lambda happening: happening.t)
        rides = (happening.ride for happening in happenings if isinstance(happening, f.Inducted))
        for number, ride in enumerate(rides):
            ride.track = 1 + number % TRACKS
        return Story(self._site, shipments, happenings, self._policy)

    def _crane(self, until: int) -> Iterator[Happening]:
        """Pallets in and out of the high bay; they never hold what is being picked."""
        rng = self._diary.rng
        stored: list[tuple[str, str]] = []
        t, pallets = self._start, 0
        while True:
            t += int(rng.expovariate(1 / self._diary.pace.crane_every_s) * f.SECOND) + 1
            if t > until:
                return
            if self._diary.chance(self._diary.habits.crane_stops):
                yield from self._crane_stops(t, pallets)
            elif stored and self._diary.chance(0.45):
                pallet, loc = stored.pop(rng.randrange(len(stored)))
                yield f.Retrieved(t, pallet, loc)
            else:
                pallets += 1
                pallet, loc = f"PAL-{self._first}-{pallets:04}", f"R1-{pallets % 60:02}-{rng.randrange(1, 13):02}"
                stored.append((pallet, loc))
                yield f.Stored(t, pallet, loc)

    def _crane_stops(self, t: int, number: int) -> Iterator[Happening]:
        rng = self._diary.rng
        loc = f"R2-{number:04}-{rng.randrange(10**6):06}"
        if rng.random() < 0.4:
            sku, qty = self._diary.book.any_sku(), rng.randrange(1, 40)
            body = {"loc": loc, "sku": sku.name, "rev": 1, "qty": qty, "as_of": t - 5 * f.SECOND}
            yield f.Announced(t - 5 * f.SECOND, "stock.expectation", body)
            yield f.CraneStopped(t, "SOURCE_EMPTY", loc, "", sku)
        else:
            code = rng.choice(("SOURCE_EMPTY", "DEST_OCCUPIED", "LU_MISMATCH"))
            yield f.CraneStopped(t, code, loc, f"PAL-X{number:04}", None)


class _Life:
    """Of one shipment, from its orders to the truck."""

    def __init__(self, diary: Diary, shipment: Shipment, policy: Policy) -> None:
        self._diary = diary
        self._shipment = shipment
        self._policy = policy
        self._paper = Paperwork(diary, shipment)
        self._picker = Picker(diary, self._paper)
        self._packer = Packer(diary, self._paper, self._picker)
        self._bound: set[Carton] = set()
        self._picked: set[Task] = set()

    def live(self, t: int) -> None:
        diary = self._diary
        self._paper.announce(t)
        released = t
        started = settled = diary.after(t, diary.pace.release_to_start_s)
        if diary.chance(diary.habits.batched):
            started = settled = self._pick_in_batches(started)
        for carton in self._shipment.cartons:
            started = diary.after(started, (1.0, 4.0))
            settled = max(settled, self._fill(carton, started))
        if diary.chance(diary.habits.replanned):
            self._paper.plan_again(diary.after(released, (1.0, 90.0)))
        if diary.chance(diary.habits.cutoffs):
            self._cut_off(released, max(happening.t for happening in diary.log))
        settled = max(settled, max(happening.t for happening in diary.log))
        if diary.chance(diary.habits.upset) and ready_state(self._shipment, Ledger(diary.log)):
            self._upset(diary.after(settled, UPSET_AFTER_S))
        self._ship(max(settled, max(happening.t for happening in diary.log)))

    def _cut_off(self, released: int, t: int) -> None:
        cutoff = self._diary.after(t, (20.0, 60.0))
        self._paper.release_wave(self._diary.after(released, (0.5, 5.0)), cutoff)
        if self._policy.short_at_cutoff:
            self._diary.add(*(f.Expired(cutoff, task, "DEADLINE") for task in self._picker.abandoned))

    def _upset(self, t: int) -> None:
        """When everything was ready and lay in its lane, somebody still changes it."""
        diary, shipment = self._diary, self._shipment
        carton = diary.rng.choice(shipped(shipment, Ledger(diary.log)))
        match diary.rng.choice(("check", "cancel line", "cancel shipment", "void", "lose", "replan")):
            case "check":
                self._packer.check_again(carton, t)
            case "cancel line" if not self._paper.cancels:
                self._paper.cancel_late(diary.rng.choice(shipment.lines), t)
            case "cancel shipment":
                diary.add(f.ShipmentCancelled(t, shipment))
            case "void":
                self._packer.void(carton, t)
            case "lose":
                lose(diary, carton, t)
            case _:
                self._paper.plan(t)

    def _ship(self, settled: int) -> None:
        diary, shipment = self._diary, self._shipment
        t = diary.after(settled, diary.pace.manifest_after_s)
        ledger = Ledger(diary.log)
        if ready_state(shipment, ledger) and diary.chance(diary.habits.manifested):
            taken = tuple(shipped(shipment, ledger))
            if diary.chance(diary.habits.loaded):
                t = load(diary, shipment, taken, t)
                if shipment_left_behind(diary.log) or diary.chance(0.6):
                    return
                t = diary.after(t, (20.0, 60.0))
            diary.add(f.Manifested(t, shipment, f"M-{shipment.id[2:]}", taken))
            self._regret(taken, t)
            for carton in taken:
                diary.book.units.give_back(t, carton.lu)

    def _regret(self, taken: tuple[Carton, ...], t: int) -> None:
        """After the truck has left, the carrier corrects its papers, or somebody cancels what is gone."""
        diary, shipment = self._diary, self._shipment
        if diary.chance(diary.habits.manifest_corrected):
            t = diary.after(t, (20.0, 60.0))
            diary.add(f.Manifested(t, shipment, f"M-{shipment.id[2:]}-B", taken, 2))
        if diary.chance(diary.habits.voided_after_manifest):
            diary.add(f.ShipmentCancelled(diary.after(t, (20.0, 60.0)), shipment))
        elif diary.chance(diary.habits.cancelled_too_late):
            diary.add(f.CancelledTooLate(diary.after(t, (20.0, 60.0)), shipment.orders[0]))

    # ---- one carton

    def _pick_in_batches(self, t: int) -> int:
        """One walk for all cartons at once: what is wanted of one SKU by several is picked together."""
        diary = self._diary
        for carton in self._shipment.cartons:
            t = diary.after(t, (0.3, 1.0))
            self._bind(carton, t)
        tasks = [task for line in self._shipment.lines for task in line.tasks if line not in self._paper.cancels]
        for _, group in groupby(sorted(tasks, key=_sku_name), _sku_name):
            together = list(group)
            if len(together) > 1:
                t = self._picker.batch(together, diary.after(t, diary.pace.travel_s))
                self._picked.update(together)
        return t

    def _bind(self, carton: Carton, t: int) -> None:
        if carton not in self._bound:
            self._bound.add(carton)
            self._diary.add(f.Bound(t, carton))

    def _fill(self, carton: Carton, t: int) -> int:
        """Pick, pack and sort; returns when the carton had come to rest."""
        diary = self._diary
        fresh = carton not in self._bound
        self._bind(carton, t)
        if diary.chance(diary.habits.opened) and fresh:
            t = diary.after(t, (0.3, 1.0))
            diary.add(f.Opened(t, carton))
        pieces = 0
        for task in sorted(carton.tasks, key=lambda task: task.station):
            if task in self._picked:
                pieces += task.qty
                continue
            t = diary.after(t, diary.pace.travel_s)
            t, picked = self._picker.work(task, t)
            pieces += picked
        t = diary.after(t, diary.pace.to_close_s)
        if pieces == 0:
            return self._give_up(carton, t)
        if carton.id is not None and carton.lu.startswith("TOTE") and diary.chance(diary.habits.rebound):
            return self._packer.rebind(carton, t)
        if diary.chance(diary.habits.voided_open):
            return self._packer.void(carton, t)
        t = self._packer.close(carton, t)
        self._give_up_tasks(carton)
        if diary.chance(diary.habits.reopened):
            t = self._packer.check_again(carton, diary.after(t, (8.0, 12.0)))
        return sort(diary, carton, diary.after(t, diary.pace.to_sorter_s))

    def _give_up(self, carton: Carton, t: int) -> int:
        """Nothing was found for this carton: it is closed as it is, or taken out of the plan."""
        diary = self._diary
        if diary.chance(diary.habits.voided_empty):
            return self._packer.void(carton, t)
        if carton.id is None or diary.chance(0.5):
            diary.add(f.Closed(t, carton))
            self._give_up_tasks(carton)
            return t
        diary.add(f.Unplanned(t, carton))
        t = diary.after(t, (0.5, 1.5))
        diary.add(f.Released(t, carton))
        self._packer.give_back(carton, t)
        return t

    def _give_up_tasks(self, carton: Carton) -> None:
        """Where the site has decided so, the close of a carton ends what was to go into it."""
        ledger = Ledger(self._diary.log)
        closed = ledger.closes(carton)[0].t
        for task in carton.tasks if self._policy.short_on_close else ():
            if task in self._picker.abandoned and (task.names_lu or ledger.picks(task)):
                self._picker.abandoned.remove(task)
                self._diary.add(f.Expired(closed, task, "CLOSE"))


def shipment_left_behind(log: list[Happening]) -> bool:
    return any(isinstance(happening, f.TrailerLeft) and happening.left_behind for happening in log)


def _sku_name(task: Task) -> str:
    return task.line.sku.name
