"""What the engine must have said in the end, judged by what physically happened.

One object for each expected business event: `{"type", "site", "key", "data"}`, `data` being the fields that the floor
determines, as the *last* revision must carry them. For `shipment.ready` there is also `"stands"`: true, a shipment that
is ready (or was when the carrier took it); false, one that is not, so that no readiness of it may stand.

Independent of the engine on purpose: sums over happenings, no windows, no order of arrival.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from simulators import floor as f
from simulators.floor import SECOND, Carton, Happening, Line, Shipment, Story, Task

Expected = dict[str, Any]

TYPES = (
    "pick.confirmed",
    "pick.short",
    "pick.reversed",
    "carton.closed",
    "shipment.ready",
    "shipment.manifested",
)

SCALE_REACH_US = 5 * SECOND
"""A weighing belongs to a carton until this long after it was closed (`close_hold_ms`)."""


class Move(NamedTuple):
    t: int
    qty: int  # negative: out again
    lot: str


class Ledger:
    """The happenings by the object that they happened to, each list in order of time."""

    def __init__(self, happenings: Iterable[Happening]) -> None:
        self._of: defaultdict[tuple[type, object], list[Any]] = defaultdict(list)
        for happening in sorted(happenings, key=lambda happening: happening.t):
            self._of[type(happening), _object(happening)].append(happening)

    def picks(self, task: Task) -> list[f.Picked]:
        return self._of[f.Picked, task]

    def put_back(self, task: Task) -> list[f.PutBack]:
        return self._of[f.PutBack, task]

    def short(self, task: Task) -> f.Shorted | None:
        return next(iter(self._of[f.Shorted, task]), None)

    def bound(self, carton: Carton) -> list[f.Bound]:
        return self._of[f.Bound, carton]

    def released(self, carton: Carton) -> list[f.Released]:
        return self._of[f.Released, carton]

    def opened(self, carton: Carton) -> list[f.Opened]:
        return self._of[f.Opened, carton]

    def closes(self, carton: Carton) -> list[f.Closed]:
        return self._of[f.Closed, carton]

    def reopenings(self, carton: Carton) -> list[f.Reopened]:
        return self._of[f.Reopened, carton]

    def weighings(self, carton: Carton) -> list[f.Weighed]:
        return self._of[f.Weighed, carton]

    def labels(self, carton: Carton) -> list[f.Labelled]:
        return self._of[f.Labelled, carton]

    def places(self, carton: Carton) -> list[f.Diverted | f.Looped]:
        return self._of[f.Diverted, carton] + self._of[f.Looped, carton]

    def unplanned(self, carton: Carton) -> bool:
        return bool(self._of[f.Unplanned, carton])

    def plans(self, shipment: Shipment) -> list[f.Planned]:
        return self._of[f.Planned, shipment]

    def manifests(self, shipment: Shipment) -> list[f.Manifested]:
        return self._of[f.Manifested, shipment]

    def moves(self, task: Task) -> list[Move]:
        """Pieces into and out of the carton for this task."""
        moves = [Move(pick.t, pick.qty, pick.lot) for pick in self.picks(task)]
        moves += [Move(back.t, -back.qty, back.lot) for back in self.put_back(task)]
        return sorted(moves)

    def quantity(self, task: Task) -> int:
        return sum(move.qty for move in self.moves(task))

    def is_done(self, task: Task) -> bool:
        """Finished by somebody's short, or complete now."""
        return self.short(task) is not None or self.quantity(task) >= task.qty

    def was_done(self, task: Task) -> bool:
        """Finished at some time, even if a piece was taken out since."""
        held = 0
        for move in self.moves(task):
            held += move.qty
            if held >= task.qty:
                return True
        return self.short(task) is not None

    def contents(self, carton: Carton, until: int | None = None) -> list[Expected]:
        """What lies in the carton (at `until`): pieces by order, line, SKU and lot."""
        held: Counter[tuple[str, int, str, str]] = Counter()
        for task in carton.tasks:
            for move in self.moves(task):
                if until is None or move.t <= until:
                    held[task.line.order, task.line.number, task.line.sku.name, move.lot] += move.qty
        return [
            {"order": order, "line": line, "sku": sku, "qty": qty} | ({"lot": lot} if lot else {})
            for (order, line, sku, lot), qty in sorted(held.items())
            if qty
        ]


def _object(happening: Happening) -> object:
    for name in ("task", "carton", "ride", "shipment"):
        thing = getattr(happening, name, None)
        if thing is not None:
            return thing.carton if name == "ride" else thing
    return None


def expected_events(story: Story, dev_ids: Mapping[f.PutBack, str], *, times: bool = True) -> Iterator[Expected]:
    """Every event that the story calls for.

    `dev_ids`: the names under which the reversals were told, which their keys contain; those without one are left out.
    `times`: also `t_first`, `t_open` and `t_close`; not for a story told live,
    where some devices have no clock.
    """
    ledger = Ledger(story.happenings)
    for shipment in story.shipments:
        found = [*_of_tasks(shipment, ledger, dev_ids), *_of_cartons(shipment, ledger), *_of_shipment(shipment, ledger)]
        for expected in found:
            if not times:
                expected["data"] = {name: value for name, value in expected["data"].items() if name[:2] != "t_"}
            yield {"type": expected["type"], "site": story.site} | expected


def _of_tasks(shipment: Shipment, ledger: Ledger, dev_ids: Mapping[f.PutBack, str]) -> Iterator[Expected]:
    for line in shipment.lines:
        for task in line.tasks:
            about: Expected = {"order": line.order, "line": line.number, "sku": line.sku.name}
            if task.id is not None:
                about["task"] = task.id
            if ledger.was_done(task):
                yield from _of_window(task, about, ledger)
            for back in ledger.put_back(task):
                if back in dev_ids:
                    yield {
                        "type": "pick.reversed",
                        "key": f"{task.key}/{dev_ids[back]}",
                        "data": about | {"qty": back.qty},
                    }


def _of_window(task: Task, about: Expected, ledger: Ledger) -> Iterator[Expected]:
    picks, short, qty = ledger.picks(task), ledger.short(task), ledger.quantity(task)
    t_close = max([move.t for move in ledger.moves(task)] + ([short.t] if short else []))
    about = about | {"qty_task": task.qty, "t_close": t_close}
    if picks:
        held = {"lu": task.carton.lu} | ({"carton": task.carton.id} if task.carton.id else {})
        counted: Expected = {"qty": qty, "over_qty": max(0, qty - task.qty), "t_first": picks[0].t}
        yield {"type": "pick.confirmed", "key": task.key, "data": about | held | counted}
    if short:
        told: Expected = {
            "qty_picked": qty,
            "qty_short": max(0, task.qty - qty),
            "reason": short.code,
            "decided_by": "OPERATOR",
        }
        yield {"type": "pick.short", "key": task.key, "data": about | told}


def _of_cartons(shipment: Shipment, ledger: Ledger) -> Iterator[Expected]:
    for carton in shipment.cartons:
        closes = ledger.closes(carton)
        contents = ledger.contents(carton, closes[-1].t) if closes else []
        if not contents:
            continue
        t_close = closes[-1].t
        # The first open, bind or pick of the cycle.
        starts = [bound.t for bound in ledger.bound(carton)] + [opened.t for opened in ledger.opened(carton)]
        starts += [pick.t for task in carton.tasks for pick in ledger.picks(task)]
        data: Expected = {
            "carton": carton.key,
            "lu": carton.lu,
            "contents": contents,
            "t_open": min(starts),
            "t_close": t_close,
        }
        if carton.id is not None:
            data["shipment"] = shipment.id
        if any(label.result == "OK" for label in ledger.labels(carton)):
            data["sscc"] = carton.sscc
        weighings = [w for w in ledger.weighings(carton) if w.t <= t_close + SCALE_REACH_US]
        if weighings:
            data["weight_g"] = weighings[-1].weight_g
        yield {"type": "carton.closed", "key": carton.key, "data": data}


def _of_shipment(shipment: Shipment, ledger: Ledger) -> Iterator[Expected]:
    if not ledger.plans(shipment):
        return
    ready = ready_state(shipment, ledger)
    yield {"type": "shipment.ready", "key": shipment.id, "stands": ready is not None, "data": ready or {}}
    for manifest in ledger.manifests(shipment):
        cartons = [
            {"carton": carton.key} | ({"tracking_no": carton.tracking_no} if carton.id else {})
            for carton in manifest.cartons
        ]
        yield {
            "type": "shipment.manifested",
            "key": shipment.id,
            "data": {
                "manifest_no": manifest.manifest_no,
                "carrier": shipment.carrier,
                "cartons": cartons,
                "left_behind": [],
            },
        }


def shipped(shipment: Shipment, ledger: Ledger) -> list[Carton]:
    """The cartons that hold something, by name."""
    return sorted((c for c in shipment.cartons if ledger.contents(c)), key=lambda carton: carton.key)


def ready_state(shipment: Shipment, ledger: Ledger) -> Expected | None:
    """What stands in `shipment.ready` if the shipment can leave as it is now; None if it cannot."""
    lines = [_line_state(line, ledger) for line in shipment.lines]
    cartons = shipped(shipment, ledger)
    waiting = [c for c in shipment.cartons if c not in cartons and not ledger.unplanned(c) and not ledger.closes(c)]
    if None in lines or waiting or not cartons:
        return None
    if not all(_may_leave(carton, ledger) for carton in cartons):
        return None
    return {
        "plan_rev": ledger.plans(shipment)[-1].rev,
        "cartons": [carton.key for carton in cartons],
        "lines": lines,
        "partial": any(line["short"] for line in lines if line),
    }


def _line_state(line: Line, ledger: Ledger) -> Expected | None:
    """One line of a ready shipment; None while it is not finished, has too many pieces, or may not ship short."""
    packed = sum(ledger.quantity(task) for task in line.tasks)
    short = sum(max(0, task.qty - ledger.quantity(task)) for task in line.tasks if ledger.short(task))
    short = min(short, max(0, line.qty - packed))
    if not all(ledger.is_done(task) for task in line.tasks) or packed + short < line.qty:
        return None
    if packed > line.qty + line.qty * line.over_tol_pct // 100 or (short and line.short_policy == "HOLD"):
        return None
    return {
        "order": line.order,
        "line": line.number,
        "ordered": line.qty,
        "packed": packed,
        "short": short,
        "cancelled": 0,
    }


def _may_leave(carton: Carton, ledger: Ledger) -> bool:
    """Closed with everything in it, well labelled, and where it has to be."""
    closes, reopenings, labels = ledger.closes(carton), ledger.reopenings(carton), ledger.labels(carton)
    if not closes or (reopenings and reopenings[-1].t > closes[-1].t):
        return False
    if ledger.contents(carton, closes[-1].t) != ledger.contents(carton) or (labels and labels[-1].result != "OK"):
        return False
    if not carton.shipment.stage_required:
        return True
    last = max(ledger.places(carton), key=lambda place: place.t, default=None)
    return isinstance(last, f.Diverted) and last.dest in carton.shipment.lanes
