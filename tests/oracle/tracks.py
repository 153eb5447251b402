"""R60: which load unit a fact about a track is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.oracle.facts import Fact


def units(facts: Iterable[Fact], rules: Mapping[str, int]) -> dict[int, str]:
    """Arrival number of a fact that names only a track -> its load unit. `facts` in R3's order."""
    lives: dict[tuple[str, int, str], list[list[Fact]]] = {}
    for fact in facts:
        track = fact.record.get("track")
        if track is None or not fact.device:
            continue
        machine = fact.record["src"], fact.record.get("epoch", 0), track
        if fact.kind == "item.inducted" or machine not in lives:
            lives.setdefault(machine, []).append([])
        lives[machine][-1].append(fact)
    found: dict[int, str] = {}
    for life in (life for of_machine in lives.values() for life in of_machine):
        known = [fact for fact in life if fact.record.get("lu")]
        for fact in life:
            # reading: ident_wait_ms is event time between the fact and the identification, in both directions
            near = [k for k in known if abs(k.t - fact.t) <= rules["ident_wait_ms"] * 1000]
            if near and not fact.record.get("lu"):
                found[fact.arrival] = near[0].record["lu"]
    return found
