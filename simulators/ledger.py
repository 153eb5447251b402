"""The happenings by the object that they happened to, and what they add up to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from simulators import floor as f
from simulators.floor import Carton, Happening, Line, Shipment, Task

Pieces = dict[str, Any]
"""As in a carton's `contents`: `order`, `line`, `sku`, `lot` where there is one, `qty`."""


class Move(NamedTuple):
    t: int
    qty: int  # negative: out again
    lot: str


class End(NamedTuple):
    """A task was given up at `t`: `reason` and `decided_by` as in `pick.short`."""

    t: int
    reason: str
    decided_by: str


class Ledger:
    """Each list in order of time."""

    def __init__(self, happenings: Iterable[Happening]) -> None:
        self._of: defaultdict[tuple[type, object], list[Any]] = defaultdict(list)
        for happening in sorted(happenings, key=lambda happening: happening.t):
            for part in happening.picks if isinstance(happening, f.Batched) else (happening,):
                for thing in objects(part):
                    self._of[type(part), thing].append(part)

    # ---- tasks and lines

    def picks(self, task: Task) -> list[f.Picked]:
        """Of what the task asked for."""
        return [pick for pick in self._of[f.Picked, task] if pick.sku is None]

    def put_back(self, task: Task) -> list[f.PutBack]:
        return [back for back in self._of[f.PutBack, task] if back.sku is None]

    def mistaken(self, task: Task) -> list[f.Picked | f.PutBack]:
        """Picks of another SKU, and what was done about them."""
        moves: list[f.Picked | f.PutBack] = [*self._of[f.Picked, task], *self._of[f.PutBack, task]]
        return [move for move in moves if move.sku is not None]

    def reversals(self, task: Task) -> list[f.PutBack]:
        """Of whatever it was."""
        return self._of[f.PutBack, task]

    def ended(self, task: Task) -> End | None:
        """How it was given up first, if it was."""
        ends = [End(short.t, short.code, "OPERATOR") for short in self._of[f.Shorted, task]]
        ends += [End(gone.t, gone.decided_by, gone.decided_by) for gone in self._of[f.Expired, task]]
        return min(ends, default=None)

    def cancelled_at(self, task: Task) -> int | None:
        cancels = self._of[f.TaskCancelled, task] + self._of[f.OrderCancelled, task.line]
        return min((cancel.t for cancel in cancels), default=None)

    def line_cancelled(self, line: Line) -> bool:
        return bool(self._of[f.OrderCancelled, line])

    def task_qty(self, task: Task) -> int:
        changes = self._of[f.TaskChanged, task]
        return changes[-1].qty if changes else task.qty

    def line_changed(self, line: Line) -> bool:
        return bool(self._of[f.LineChanged, line])

    def not_allocated(self, line: Line) -> f.NotAllocated | None:
        """The order system's last word on it."""
        return next(reversed(self._of[f.NotAllocated, line]), None)

    def moves(self, task: Task) -> list[Move]:
        """Pieces of the task's own SKU into and out of the carton."""
        moves = [Move(pick.t, pick.qty, pick.lot) for pick in self.picks(task)]
        moves += [Move(back.t, -back.qty, back.lot) for back in self.put_back(task)]
        return sorted(moves)

    def quantity(self, task: Task) -> int:
        return sum(move.qty for move in self.moves(task))

    def counted(self, task: Task) -> int:
        """What the task is credited with: as `quantity`, but nothing that was picked from its cancel on."""
        until = self.cancelled_at(task)
        return sum(move.qty for move in self.moves(task) if until is None or move.qty < 0 or move.t < until)

    def is_done(self, task: Task) -> bool:
        """Given up, taken back, or complete now."""
        if self.ended(task) is not None or self.cancelled_at(task) is not None:
            return True
        return self.quantity(task) >= self.task_qty(task)

    def was_done(self, task: Task) -> bool:
        """Finished at some time, even if a piece was taken out since."""
        held = 0
        for move in self.moves(task):
            held += move.qty
            if held >= self.task_qty(task):
                return True
        return self.is_done(task)

    # ---- cartons

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

    def places(self, carton: Carton) -> list[f.Diverted | f.Looped | f.Lost | f.Unloaded]:
        return (
            self._of[f.Diverted, carton]
            + self._of[f.Looped, carton]
            + self._of[f.Lost, carton]
            + self._of[f.Unloaded, carton]
        )

    def waved_through(self, carton: Carton) -> list[f.WavedThrough]:
        return self._of[f.WavedThrough, carton]

    def voided(self, carton: Carton) -> f.Voided | None:
        return next(iter(self._of[f.Voided, carton]), None)

    def rebound(self, carton: Carton) -> bool:
        return bool(self._of[f.Rebound, carton])

    def is_loaded(self, carton: Carton) -> bool:
        """It was scanned into a trailer, and not taken out since."""
        loads = [load.t for load in self._of[f.Loaded, carton.shipment] if carton in load.cartons]
        return bool(loads) and not any(out.t > loads[-1] for out in self._of[f.Unloaded, carton])

    def is_lost(self, carton: Carton) -> bool:
        """It was not seen since the sorter lost it."""
        losses = self._of[f.Lost, carton]
        return bool(losses) and not any(found.t > losses[-1].t for found in self._of[f.Found, carton])

    def unplanned(self, carton: Carton) -> bool:
        return bool(self._of[f.Unplanned, carton])

    def contents(self, carton: Carton, until: int | None = None) -> list[Pieces]:
        """What lies in the carton (at `until`): pieces by order, line, SKU and lot."""
        held: Counter[tuple[str, int, str, str]] = Counter()
        for task in carton.tasks:
            line = task.line
            for move in self.moves(task):
                if until is None or move.t <= until:
                    held[line.order, line.number, line.sku.name, move.lot] += move.qty
            for wrong in self.mistaken(task):
                if wrong.sku is not None and (until is None or wrong.t <= until):
                    sign = 1 if isinstance(wrong, f.Picked) else -1
                    held[line.order, line.number, wrong.sku.name, wrong.lot] += sign * wrong.qty
        return [
            {"order": order, "line": line, "sku": sku, "qty": qty} | ({"lot": lot} if lot else {})
            for (order, line, sku, lot), qty in sorted(held.items())
            if qty
        ]

    # ---- shipments

    def plans(self, shipment: Shipment) -> list[f.Planned]:
        return self._of[f.Planned, shipment]

    def cancelled(self, shipment: Shipment) -> f.ShipmentCancelled | None:
        return next(iter(self._of[f.ShipmentCancelled, shipment]), None)

    def trailers(self, shipment: Shipment) -> list[f.TrailerLeft]:
        return self._of[f.TrailerLeft, shipment]

    def manifests(self, shipment: Shipment) -> list[f.Manifested]:
        return self._of[f.Manifested, shipment]


def objects(happening: Happening) -> tuple[object, ...]:
    """What it happened to."""
    if isinstance(happening, f.OrderCancelled):
        return happening.lines
    if isinstance(happening, f.Batched):
        return tuple(pick.task for pick in happening.picks)
    for name in ("task", "line", "carton", "ride", "shipment"):
        thing = getattr(happening, name, None)
        if thing is not None:
            return (thing.carton if name == "ride" else thing,)
    return ()
