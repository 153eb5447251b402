"""The floor as it stands after a list of facts: context, windows and cycles, each from scratch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.oracle import cartons, leaving, picks, tracks
from tests.oracle.cartons import Cycle
from tests.oracle.context import Context, Line
from tests.oracle.facts import Fact
from tests.oracle.picks import Close, Knowledge, Window
from tests.oracle.riding import Riding


class World:
    """`t_end`: the last moment that is decided; deadlines after it are open. `units`: R60's load unit of a fact, by
    arrival, where later facts say it."""

    def __init__(
        self, facts: list[Fact], knowledge: Knowledge, t_end: int, units: Mapping[int, str] | None = None
    ) -> None:
        self.facts, self.t_end = facts, t_end
        self.units = {} if units is None else dict(units)
        self._units_are_known = units is not None
        self.knowledge = knowledge
        self.rules = rules = knowledge.rules
        self.context = Context(fact for fact in facts if not fact.device)
        self._contexts: dict[int, Context] = {cartons.NEVER: self.context}
        self.entries = picks.entries(facts, self.context, knowledge.too_late)
        self.windows: dict[str, Window] = {}
        self.cycles: dict[str, list[Cycle]] = {}
        self.departures: dict[str, leaving.Departure] = {}
        if any(fact.kind == "scan.multiread" for fact in facts):
            self._walk(self.context.first_manifests)  # R63 asks who was bound
        closes: list[tuple[Line, Close]] = []
        if rules["short_on_close"]:
            self.windows = picks.windows(facts, self.context, self.entries, knowledge, (), t_end)
            self._walk(self.context.first_manifests)
            closes = list(_carton_closes(self.cycles, self.windows.values(), self.context))
        self.windows = picks.windows(facts, self.context, self.entries, knowledge, closes, t_end)
        self._walk(self.context.first_manifests)
        self.departures = leaving.departures(self, rules["partial_load"] == "emit", t_end)
        unplanned = leaving.unplanned(self)
        if unplanned or any(departure.close for departure in self.departures.values()):
            self._walk({name: departure.first for name, departure in self.departures.items()}, unplanned)
            self.departures = leaving.departures(self, rules["partial_load"] == "emit", t_end)

    def _walk(self, ends: Mapping[str, Fact], unplanned: Sequence[tuple[str, Fact]] = ()) -> None:
        """The cycles anew. `ends`: by what each shipment left (R40); `unplanned`: and units without a plan."""
        if not self._units_are_known:
            self.units = tracks.units(self.facts, self.rules, self.is_bound)
        facts = self.facts, self.context, self.entries
        self.cycles = cartons.cycles(
            *facts, self.windows, self.units, ends, self.rules, self.knowledge.clock.marks, unplanned
        )
        self.riding = Riding(self.facts, self.units)

    def is_open(self, window: Window) -> bool:
        """reading (R25): what a b to d has closed was open until then, also where a pick from before comes later."""
        return window.open or self.t_end < self.knowledge.decided.get(window.key, 0)

    def context_at(self, t: int) -> Context:
        """What the order systems had said by then."""
        if t not in self._contexts:
            self._contexts[t] = Context(fact for fact in self.facts if not fact.device and fact.t <= t)
        return self._contexts[t]

    @property
    def refused(self) -> int:
        """Section 10: moves of voided cartons."""
        return sum(len(cycle.refused) for of_unit in self.cycles.values() for cycle in of_unit)

    def is_bound(self, lu: str, t: int) -> bool:
        """R63: to a carton, an order or a task, at that moment."""
        return any(
            cycle.target is not None and cycle.t_open <= t and (cycle.t_end is None or t < cycle.t_end)
            for cycle in self.cycles.get(lu, ())
        )

    def sights(self, cycle: Cycle) -> list[Fact]:
        """R48: the facts of a cycle, and where its parents went while it was on them."""
        later = [other.t_open for other in self.cycles[cycle.lu] if other.t_open > cycle.t_open]
        return self.riding.sights(cycle, min(later, default=None))


def _carton_closes(
    cycles: Mapping[str, list[Cycle]], windows: Iterable[Window], context: Context
) -> Iterable[tuple[Line, Close]]:
    """R21 (c). reading: a window's destination is the cycle of its last pick, else the one that its task's load unit
    is in by the time of the task.

    `windows`: as they are without (c); which pick goes where does not change by it but for presses that name no task.
    """
    windows = list(windows)
    for cycle in (cycle for of_unit in cycles.values() for cycle in of_unit):
        # reading: a close that R46 calls double is still a carton.close of its destination
        for fact in [fact for fact in cycle.facts if fact.kind == "carton.close"]:
            for window in windows:
                picked = [entry for entry in window.physical if entry.sign > 0 and entry.t <= fact.t]
                last = max(picked, default=None, key=lambda entry: entry.fact[:4])
                if last is not None:
                    inside = cycle.t_open <= last.t and (cycle.t_end is None or last.t < cycle.t_end)
                    destined = (last.lu or window.lu) == cycle.lu and inside
                else:
                    destined = window.lu == cycle.lu and _takes_along(cycle, cycles[cycle.lu], window, context, fact.t)
                if destined:
                    yield window.line, Close(fact.t, "CLOSE", "CLOSE", window.task, fact)


def _takes_along(cycle: Cycle, uses: Iterable[Cycle], window: Window, context: Context, t: int) -> bool:
    """A task without picks. reading: the carton's plan says whether it was for it; without one an earlier use of the
    unit that was there after the task had been told of has taken it along."""
    plan = context.cartons.get(cycle.carton or "")
    if plan is not None and "contents" in plan.record:
        return any((row["order"], row["line"]) == window.line for row in plan.record["contents"])
    earlier = [use for use in uses if use.t_open < cycle.t_open and (use.t_end is None or use.t_end > window.t_known)]
    return not earlier and window.t_known <= t
