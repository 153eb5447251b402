"""R10: what the order systems have said, over the context among a list of facts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from tests.oracle.facts import Fact, Record

Line = tuple[str, int]


class Context:
    """The highest `rev` of every object; cancels and binds with their event times.

    Orders: `lines[order, line]` is the line's own object. Cancels: the event time of the first that hits the thing.
    """

    def __init__(self, facts: Iterable[Fact]) -> None:
        self.lines: dict[Line, Record] = {}
        self.order_revs: dict[str, int] = {}
        self.cancelled_lines: dict[Line, Fact] = {}
        self.cancelled_orders: dict[str, Fact] = {}
        self.cancelled_tasks: dict[str, Fact] = {}
        self.cancelled_shipments: dict[str, Fact] = {}
        self.tasks: dict[str, Fact] = {}
        self.task_known: dict[str, int] = {}  # event time of the first that was told of it
        self.task_arrival: dict[str, int] = {}
        self.order_arrival: dict[str, int] = {}
        self.first_task: dict[Line, Fact] = {}  # by arrival
        self.asked: dict[str | Line, dict[int, tuple[int, int]]] = {}  # of a task or line, by rev: event time, quantity
        self.told: dict[str, list[Fact]] = {}  # every revision of a task
        self.waves: dict[str, list[Fact]] = {}  # every revision
        self.allocs: dict[Line, Fact] = {}
        self.cartons: dict[str, Fact] = {}
        self.planned_since: dict[str, int] = {}  # carton -> event time since which it is planned to its shipment
        self.shipments: dict[str, Fact] = {}
        self.carton_plans: dict[str, list[Fact]] = {}  # every revision
        self.shipment_plans: dict[str, list[Fact]] = {}
        self.shipment_known: dict[str, int] = {}  # event time of the first that was told of it
        self.manifests: dict[str, Fact] = {}
        self.first_manifests: dict[str, Fact] = {}  # by event time
        self.holds: dict[str, list[Fact]] = {}  # R45: every release of a carton, at its event time
        for fact in facts:
            self._take(fact)

    def _take(self, fact: Fact) -> None:
        record = fact.record
        match fact.kind:
            case "order.released" | "order.changed":
                arrival = min(fact.arrival, self.order_arrival.get(record["order"], fact.arrival))
                self.order_arrival[record["order"]] = arrival
                self._take_order(record)
                for spec in record["lines"]:
                    of_line = self.asked.setdefault((record["order"], spec["line"]), {})
                    of_line[record["rev"]] = fact.t, spec["qty"]
            case "order.cancelled":
                self._take_cancel(fact)
            case "pick.task":
                _keep(self.tasks, record["task"], fact)
                self.told.setdefault(record["task"], []).append(fact)
                self.asked.setdefault(record["task"], {})[record["rev"]] = fact.t, record["qty"]
                arrival = min(fact.arrival, self.task_arrival.get(record["task"], fact.arrival))
                self.task_arrival[record["task"]] = arrival
                self.task_known[record["task"]] = min(fact.t, self.task_known.get(record["task"], fact.t))
                line = record["order"], record["line"]
                if line not in self.first_task or fact.arrival < self.first_task[line].arrival:
                    self.first_task[line] = fact
            case "pick.task_cancelled":
                self.cancelled_tasks[record["task"]] = fact
            case "wave.released":
                self.waves.setdefault(record["wave"], []).append(fact)
            case "alloc.failed":
                _keep(self.allocs, (record["order"], record["line"]), fact)
            case "carton.plan":
                self.carton_plans.setdefault(record["carton"], []).append(fact)
                before = self.cartons.get(record["carton"])
                _keep(self.cartons, record["carton"], fact)
                same = before and not is_withdrawn(before) and before.record.get("shipment") == record.get("shipment")
                if not same:
                    self.planned_since[record["carton"]] = fact.t
            case "shipment.plan":
                _keep(self.shipments, record["shipment"], fact)
                name = record["shipment"]
                self.shipment_plans.setdefault(name, []).append(fact)
                self.shipment_known[name] = min(fact.t, self.shipment_known.get(name, fact.t))
            case "shipment.cancelled":
                self.cancelled_shipments[record["shipment"]] = fact
            case "hold.released":
                self.holds.setdefault(record["carton"], []).append(fact)
            case "manifest.result":
                _keep(self.manifests, record["shipment"], fact)
                self.first_manifests.setdefault(record["shipment"], fact)  # facts come in R3's order

    def _take_order(self, record: Record) -> None:
        order = record["order"]
        if record["rev"] <= self.order_revs.get(order, 0):
            return
        self.order_revs[order] = record["rev"]
        # reading: lines that a new revision leaves out stay as they were
        self.lines |= {(order, spec["line"]): spec for spec in record["lines"]}

    def _take_cancel(self, fact: Fact) -> None:
        order, lines = fact.record["order"], fact.record.get("lines")
        if lines is None:
            self.cancelled_orders[order] = fact
        # reading: a line once cancelled stays so, whatever a later order.changed lists
        for line in lines or ():
            self.cancelled_lines.setdefault((order, line), fact)  # facts come in R3's order

    def line_cancels(self, line: Line) -> list[Fact]:
        found = self.cancelled_orders.get(line[0]), self.cancelled_lines.get(line)
        return [fact for fact in found if fact is not None]

    def line_cancel(self, line: Line) -> int | None:
        """R27: when the line was cancelled, by itself or with its order."""
        return min((fact.t for fact in self.line_cancels(line)), default=None)

    def tasks_of(self, line: Line) -> list[str]:
        return sorted(t for t, fact in self.tasks.items() if (fact.record["order"], fact.record["line"]) == line)

    def sku_of(self, line: Line) -> str | None:
        """As its order says, else its tasks; None: nobody said it yet."""
        tasks: list[str | None] = [self.tasks[task].record["sku"] for task in self.tasks_of(line)]
        return self.lines.get(line, {}).get("sku") or next(iter(tasks), None)

    def place_of(self, task: str | None, fact: Fact) -> str | None:
        """R31, R70: of a pick or a short: as it says itself, else as its task did by then."""
        return fact.record.get("loc") or self.place_at(task, fact.t)

    def place_at(self, task: str | None, t: int) -> str | None:
        """reading: a revision that names another place says nothing of what happened before it."""
        by_rev = {fact.record["rev"]: fact for fact in self.told.get(task or "", ())}
        told = [by_rev[rev] for rev in sorted(by_rev)]
        if not told:
            return None
        before = [(after.t, fact) for fact, after in itertools.pairwise(told) if t < after.t]
        then = min(before, key=lambda found: found[0])[1] if before else told[-1]
        loc: str | None = then.record.get("loc")
        return loc

    def deadlines(self, task: str) -> list[tuple[Fact, Fact | None]]:
        """R21 (d): the revisions that set one, each with the first that says otherwise."""
        return _set_times(self.told[task], lambda record: record.get("deadline"))

    def cutoffs(self, order: str) -> list[tuple[Fact, Fact | None]]:
        """Likewise those of the waves of an order."""

        def cutoff(record: Record) -> int | None:
            return record.get("cutoff") if order in record["orders"] else None

        return [found for told in self.waves.values() for found in _set_times(told, cutoff)]

    def scope(self, shipment: str) -> list[Line]:
        """Empty for a shipment of which only the manifest is known."""
        plan = self.shipments.get(shipment)
        return [(part["order"], part["line"]) for part in plan.record["scope"]] if plan else []

    def planned(self, shipment: str) -> dict[Line, int]:
        """By line. reading: a line that is named twice is planned as the sum."""
        found: dict[Line, int] = {}
        for part in self.shipments[shipment].record["scope"]:
            line = part["order"], part["line"]
            found[line] = found.get(line, 0) + part["qty"]
        return found

    def task_at(self, task: str, t: int) -> Record:
        """By the revision in force then; before all of them by the first."""
        told = sorted(self.told[task], key=lambda fact: int(fact.record["rev"]))
        return next((fact.record for fact in reversed(told) if fact.t <= t), told[0].record)

    def shipment_of(self, carton: str) -> str | None:
        plan = self.cartons.get(carton)
        return plan.record.get("shipment") if plan else None

    def home_at(self, carton: str, t: int) -> str | None:
        """R53: the shipment that a carton was planned to by then."""
        plan = plan_at(self.carton_plans.get(carton, ()), t)
        return plan.record.get("shipment") if plan and not is_withdrawn(plan) else None

    def planners_at(self, line: Line, t: int) -> list[str]:
        """The shipments whose scope had the line then."""
        then = ((name, plan_at(told, t)) for name, told in self.shipment_plans.items())
        return [
            name for name, plan in then if plan and any((r["order"], r["line"]) == line for r in plan.record["scope"])
        ]


def is_withdrawn(plan: Fact) -> bool:
    """R50a: a carton that is planned *again* without contents. One that is planned so from the first is planned."""
    return plan.record["rev"] > 1 and not plan.record.get("contents")


def plan_at(told: Iterable[Fact], t: int) -> Fact | None:
    """The plan in force at a moment: the highest revision of those that had been told by then."""
    return max((fact for fact in told if fact.t <= t), default=None, key=lambda fact: int(fact.record["rev"]))


def _keep(table: dict[Any, Fact], key: Hashable, fact: Fact) -> None:
    if key not in table or fact.record["rev"] > table[key].record["rev"]:
        table[key] = fact


def _set_times(told: list[Fact], time: Callable[[Record], int | None]) -> list[tuple[Fact, Fact | None]]:
    """reading: one that had come by the moment of that has closed the window; one that is told again is the same."""
    found: list[tuple[Fact, Fact | None]] = []
    for fact in told:
        t = time(fact.record)
        higher = [one for one in told if one.record["rev"] > fact.record["rev"] and time(one.record) != t]
        moved = min(higher, default=None, key=lambda one: int(one.record["rev"]))
        if t is not None and (moved is None or moved.t > t):
            found.append((fact, moved))
    return found
