"""The floor as it stands after a list of facts: context, windows and cycles, each from scratch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.oracle import cartons, picks, tracks
from tests.oracle.cartons import Cycle
from tests.oracle.context import Context, Line
from tests.oracle.facts import Fact
from tests.oracle.picks import Close, Window


class World:
    """`t_end`: the last moment that is decided; deadlines after it are open."""

    def __init__(self, facts: list[Fact], rules: Mapping[str, int], t_end: int) -> None:
        self.facts = facts
        self.context = Context(fact for fact in facts if not fact.device)
        self.entries = picks.entries(facts, self.context)
        units = tracks.units(facts, rules)
        closes: list[tuple[Line, Close]] = []
        if rules["short_on_close"]:
            windows = picks.windows(facts, self.context, self.entries, rules, (), t_end)
            cycles = cartons.cycles(facts, self.context, self.entries, windows, units)
            closes = list(_carton_closes(cycles, windows.values()))
        self.windows = picks.windows(facts, self.context, self.entries, rules, closes, t_end)
        self.cycles = cartons.cycles(facts, self.context, self.entries, self.windows, units)

    def cycle_of(self, lu: str | None, t: int) -> Cycle | None:
        """R40: the cycle that contains `t`, else the one before it."""
        before = [cycle for cycle in self.cycles.get(lu or "", ()) if cycle.t_open <= t]
        return before[-1] if before else None


def _carton_closes(cycles: Mapping[str, list[Cycle]], windows: Iterable[Window]) -> Iterable[tuple[Line, Close]]:
    """R21 (c). reading: a window's destination is the cycle of its last pick, else its task's load unit.

    `windows`: as they are without (c); which pick goes where does not change by it but for presses that name no task.
    """
    windows = list(windows)
    for cycle in (cycle for of_unit in cycles.values() for cycle in of_unit):
        # reading: a close that R46 calls double is still a carton.close of its destination
        for t in [fact.t for fact in cycle.facts if fact.kind == "carton.close"]:
            for window in windows:
                picked = [entry for entry in window.physical if entry.sign > 0 and entry.t <= t]
                last = max(picked, default=None, key=lambda entry: entry.fact[:4])
                if last is not None:
                    inside = cycle.t_open <= last.t and (cycle.t_end is None or last.t < cycle.t_end)
                    destined = last.lu == cycle.lu and inside
                else:
                    destined = window.lu == cycle.lu and window.t_known <= t
                if destined:
                    yield window.line, Close(t, "CLOSE", "CLOSE", window.task)
