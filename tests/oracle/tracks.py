"""R60: which load unit a fact about a track is about. R63: which of several codes counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.oracle.facts import Fact, Rules
from tests.oracle.holds import is_there

Bound = Callable[[str, int], bool]  # whether a load unit is bound to something at a moment


def units(facts: Iterable[Fact], rules: Rules, is_bound: Bound) -> dict[int, str]:
    """Arrival number of a fact that does not name its load unit itself -> that unit. `facts` in R3's order."""
    facts = list(facts)
    found = _multireads(facts, rules, is_bound)
    lives: dict[tuple[str, int, str], list[list[Fact]]] = {}
    for fact in facts:
        track = fact.record.get("track")
        if track is None or not fact.device:
            continue
        machine = fact.record["src"], fact.record.get("epoch", 0), track
        if fact.kind == "item.inducted" or machine not in lives:
            lives.setdefault(machine, []).append([])
        lives[machine][-1].append(fact)
    for life in (life for of_machine in lives.values() for life in of_machine):
        known = [(fact.t, lu) for fact in life if (lu := fact.record.get("lu") or found.get(fact.arrival))]
        for fact in life:
            # reading: ident_wait_ms is event time between the fact and the identification, in both directions
            near = [lu for t, lu in known if abs(t - fact.t) <= rules["ident_wait_ms"] * 1000]
            if near and not fact.record.get("lu"):
                found.setdefault(fact.arrival, near[0])
    return found


def _multireads(facts: list[Fact], rules: Rules, is_bound: Bound) -> dict[int, str]:
    """R63. reading: a sight is a record of the same site/area that names the unit itself, up to the scan's moment."""
    found: dict[int, str] = {}
    wait = rules["ident_wait_ms"] * 1000
    for scan in (fact for fact in facts if fact.kind == "scan.multiread"):
        seen = {
            fact.record.get("lu")
            for fact in facts
            if fact.device and is_there(fact) and area(fact) == area(scan) and scan.t - wait <= fact.t <= scan.t
        }
        counts = {code for code in scan.record["codes"] if code in seen or is_bound(code, scan.t)}
        if len(counts) == 1:
            found[scan.arrival] = counts.pop()
    return found


def area(fact: Fact) -> str:
    return "/".join(fact.record["src"].split("/")[:2])
