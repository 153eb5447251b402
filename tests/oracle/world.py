"""The floor as it stands after a list of facts: context, windows and cycles, each from scratch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.oracle import cartons, picks, tracks
from tests.oracle.cartons import Cycle
from tests.oracle.context import Context, Line
from tests.oracle.facts import Fact
from tests.oracle.picks import Close, Entry


class World:
    """`t_end`: the last moment that is decided; deadlines after it are open."""

    def __init__(self, facts: list[Fact], rules: Mapping[str, int], t_end: int) -> None:
        self.facts = facts
        self.context = Context(fact for fact in facts if not fact.device)
        self.entries = picks.entries(facts, self.context)
        units = tracks.units(facts, rules)
        closes: list[tuple[Line, Close]] = []
        if rules["short_on_close"]:
            closes = list(_carton_closes(cartons.cycles(facts, self.context, self.entries, {}, units), self))
        self.windows = picks.windows(facts, self.context, self.entries, rules, closes, t_end)
        self.cycles = cartons.cycles(facts, self.context, self.entries, self.windows, units)

    def cycle_of(self, lu: str | None, t: int) -> Cycle | None:
        """R40: the cycle that contains `t`, else the one before it."""
        before = [cycle for cycle in self.cycles.get(lu or "", ()) if cycle.t_open <= t]
        return before[-1] if before else None


def _carton_closes(cycles: Mapping[str, list[Cycle]], world: World) -> Iterable[tuple[Line, Close]]:
    """R21 (c). reading: a window's destination is the cycle of its last pick, else its task's load unit."""
    for cycle in (cycle for of_unit in cycles.values() for cycle in of_unit):
        for t in cycle.closes:
            last: dict[str | Line, Entry] = {}
            for entry in world.entries:
                if entry.t <= t and entry.sign > 0:
                    last[entry.task or entry.line] = entry
            for key, entry in last.items():
                if entry.lu == cycle.lu and cycle.t_open <= entry.t and (cycle.t_end is None or entry.t < cycle.t_end):
                    yield entry.line, Close(t, "CLOSE", "CLOSE", key if isinstance(key, str) else None)
            for task, fact in world.context.tasks.items():
                if task not in last and fact.record.get("lu") == cycle.lu and fact.t <= t:
                    yield (fact.record["order"], fact.record["line"]), Close(t, "CLOSE", "CLOSE", task)
