"""What the order system decides about a shipment: its orders, tasks and cartons, and all that it takes back or changes
while the floor is at work."""

from __future__ import annotations

from typing import Any

from simulators import floor as f
from simulators.diary import Diary
from simulators.floor import Carton, Line, Order, Shipment, Task


class Paperwork:
    """Of one shipment. `cancels`: lines that will be cancelled, or were. `cutoff`: of its wave, 0: none."""

    def __init__(self, diary: Diary, shipment: Shipment) -> None:
        self._diary = diary
        self._shipment = shipment
        self._quantities = {line: line.qty for line in shipment.lines}
        self._revisions: dict[str, int] = {}
        self._task_bodies: dict[Task, dict[str, Any]] = {}
        self._carton_bodies: dict[Carton, dict[str, Any]] = {}
        self.cancels: dict[Line, f.OrderCancelled] = {}
        self.cutoff = 0

    # ---- at the beginning

    def announce(self, t: int) -> None:
        diary, shipment = self._diary, self._shipment
        for line in shipment.lines:
            self._allocate(line, t)
        for order in shipment.orders:
            t = diary.after(t, (0.01, 0.1))
            body = {"order": order.id, "rev": self._next(order.id), "lines": self._lines(order)}
            diary.add(f.Announced(t, "order.released", body))
        self.plan(diary.after(t, (0.1, 0.3)))
        for line in shipment.lines:
            for task in line.tasks:
                if task.id is not None:
                    t = diary.after(t, (0.01, 0.1))
                    self.announce_task(task, t)
        for carton in shipment.cartons:
            if carton.id is not None:
                t = diary.after(t, (0.01, 0.1))
                self._carton_bodies[carton] = body = self._carton_in_plan(carton)
                diary.add(f.Announced(t, "carton.plan", body))
        self._doom(t)

    def _allocate(self, line: Line, t: int) -> None:
        """Where stock is short, tasks are planned for what there is, and sometimes the rest turns up."""
        diary = self._diary
        if len(line.tasks) != 1 or line.tasks[0].id is None or not diary.chance(diary.habits.not_allocated):
            return
        task = line.tasks[0]
        missing = diary.rng.randrange(1, line.qty + 1)
        if missing == line.qty:
            if len(task.carton.tasks) == 1:
                return
            line.tasks.remove(task)
            task.carton.tasks.remove(task)
        task.qty -= missing
        t = diary.after(t, (0.5, 1.0))
        diary.add(f.NotAllocated(t, line, missing, 1))
        if diary.chance(0.4):
            t = diary.after(t, (0.5, 1.0))
            diary.add(f.NotAllocated(t, line, 0, 2))
            diary.book.another_task(task, missing)
            task.line_only = False

    def _doom(self, t: int) -> None:
        """Which lines will be cancelled, and when: any time from now until they lie in their lane, or later."""
        diary = self._diary
        for order in self._shipment.orders:
            if diary.chance(diary.habits.orders_cancelled):
                self._cancel(order, tuple(order.lines), t)
                continue
            lines = tuple(line for line in order.lines if diary.chance(diary.habits.lines_cancelled))
            if lines:
                self._cancel(order, lines, t)

    def _cancel(self, order: Order, lines: tuple[Line, ...], t: int) -> None:
        diary = self._diary
        t = diary.after(t, (1.0, 75.0))
        known = diary.after(t, (2.5, 40.0)) if diary.chance(diary.habits.cancel_known_late) else t
        cancel = f.OrderCancelled(t, known, order, lines)
        diary.add(cancel)
        self.cancels |= dict.fromkeys(lines, cancel)

    def release_wave(self, t: int, cutoff: int) -> None:
        """All orders of the shipment in one wave; what is not picked at its cutoff stays behind."""
        self.cutoff = cutoff
        orders = [order.id for order in self._shipment.orders]
        body = {"wave": f"W-{self._shipment.id[2:]}", "rev": 1, "orders": orders, "cutoff": cutoff}
        self._diary.add(f.Announced(t, "wave.released", body))

    # ---- later

    def announce_task(self, task: Task, t: int) -> None:
        self._task_bodies[task] = body = self._task_in_plan(task, task.qty)
        self._diary.add(f.Announced(t, "pick.task", body))

    def set_deadline(self, task: Task, deadline: int) -> None:
        """It had this deadline from the beginning."""
        task.deadline = self._task_bodies[task]["deadline"] = deadline

    def move(self, task: Task, loc: str) -> None:
        """It was planned at this place from the beginning."""
        task.loc = self._task_bodies[task]["loc"] = loc

    def change(self, task: Task, qty: int, t: int) -> int:
        """The customer changes a line, and this task with it; returns when the floor knows."""
        diary, line = self._diary, task.line
        self._quantities[line] += qty - task.qty
        order = next(order for order in self._shipment.orders if line in order.lines)
        diary.add(f.LineChanged(t, line, self._quantities[line]))
        body = {"order": order.id, "rev": self._next(order.id), "lines": self._lines(order)}
        diary.add(f.Announced(t, "order.changed", body))
        t = diary.after(t, (0.01, 0.1))
        self.plan(t)
        t = diary.after(t, (0.01, 0.1))
        diary.add(f.TaskChanged(t, task, qty))
        diary.add(f.Announced(t, "pick.task", self._task_in_plan(task, qty)))
        return t

    def replace(self, task: Task, qty: int, t: int) -> Task:
        """`qty` pieces are to be picked elsewhere."""
        another = self._diary.book.another_task(task, qty)
        self.announce_task(another, t)
        return another

    def plan(self, t: int) -> None:
        """The shipment's plan, as everything stands now."""
        shipment = self._shipment
        scope = tuple((line, self._quantities[line]) for line in shipment.lines)
        self._diary.add(f.Planned(t, shipment, self._next(shipment.id), scope))

    def plan_weight(self, carton: Carton, weight_g: int, tol_g: int) -> None:
        """The carton's plan knew from the beginning what it would weigh."""
        carton.planned_g = weight_g
        self._carton_bodies[carton] |= {"weight_g": weight_g, "tol_g": tol_g}

    def cancel_late(self, line: Line, t: int) -> None:
        order = next(order for order in self._shipment.orders if line in order.lines)
        self._diary.add(f.OrderCancelled(t, t, order, (line,)))

    def plan_again(self, t: int) -> None:
        """The same plan once more in a new revision, unless it was changed since."""
        if self._revisions[self._shipment.id] == 1:
            self.plan(t)

    # ---- what is written there

    def _next(self, thing: str) -> int:
        self._revisions[thing] = self._revisions.get(thing, 0) + 1
        return self._revisions[thing]

    def _lines(self, order: Order) -> list[dict[str, object]]:
        bodies = []
        for line in order.lines:
            body: dict[str, object] = {"line": line.number, "sku": line.sku.name, "qty": self._quantities[line]}
            if line.over_tol_pct:
                body["over_tol_pct"] = line.over_tol_pct
            if line.short_policy != "SHIP_PARTIAL":
                body["short_policy"] = line.short_policy
            bodies.append(body)
        return bodies

    def _task_in_plan(self, task: Task, qty: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "task": task.id,
            "rev": self._next(task.key),
            "order": task.line.order,
            "line": task.line.number,
            "sku": task.line.sku.name,
            "qty": qty,
            "loc": task.loc,
        }
        return body | ({"lu": task.carton.lu} if task.names_lu else {})

    def _carton_in_plan(self, carton: Carton) -> dict[str, Any]:
        wanted: dict[tuple[str, int], int] = {}
        for task in carton.tasks:
            key = task.line.order, task.line.number
            wanted[key] = wanted.get(key, 0) + task.qty
        contents = [{"order": order, "line": line, "qty": qty} for (order, line), qty in sorted(wanted.items())]
        return {"carton": carton.id, "rev": 1, "shipment": carton.shipment.id, "contents": contents}
