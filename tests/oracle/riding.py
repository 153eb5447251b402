"""R48: a unit on another shares its place and its loading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tests.oracle.cartons import Cycle
from tests.oracle.facts import Fact, target

PLACES = frozenset(
    {"divert.confirmed", "item.arrived", "item.recirculated", "load.scanned", "load.removed", "item.lost"}
)
DEPTH_MAX = 3  # carton, pallet, cart


class Ride(NamedTuple):
    """`end` None: it still lasts."""

    parent: str
    bind: Fact
    end: int | None


class Riding:
    """`facts`: all of them, in R3's order. `units`: R60's load unit of a fact, by arrival."""

    def __init__(self, facts: Iterable[Fact], units: dict[int, str]) -> None:
        self.of_unit: dict[str, list[Fact]] = {}
        self.closes: dict[str, list[int]] = {}
        for fact in facts:
            lu = fact.record.get("lu") or units.get(fact.arrival)
            if lu:
                self.of_unit.setdefault(lu, []).append(fact)
            if fact.kind == "trailer.closed":
                self.closes.setdefault(fact.record["trailer"], []).append(fact.t)

    def rides(self, lu: str) -> list[Ride]:
        """From a bind to the next with a parent, or a release of the unit or its parent. reading: a release that names
        a parent is about that ride."""
        changes = [
            fact
            for fact in self.of_unit.get(lu, ())
            if fact.kind == "lu.release" or (fact.kind == "lu.bind" and fact.record.get("parent"))
        ]
        found = []
        for number, bind in enumerate(changes):
            if bind.kind == "lu.bind":
                parent = bind.record["parent"]
                ends = [
                    f.t
                    for f in changes[number + 1 :]
                    if f.kind == "lu.bind" or f.record.get("parent", parent) == parent
                ]
                ends += [f.t for f in self.of_unit.get(parent, ()) if _empties(f) and f.t >= bind.t]
                found.append(Ride(parent, bind, min(ends, default=None)))
        return found

    def sights(self, cycle: Cycle, until: int | None, depth: int = DEPTH_MAX) -> list[Fact]:
        """The places and loadings of a cycle, its own and its parents', in R3's order. `until`: its unit's next use."""
        own = [fact for fact in cycle.facts if fact.device]
        return sorted([*own, *self._shared(cycle.lu, cycle.t_open, until, depth)], key=lambda fact: fact[:4])

    def _shared(self, lu: str, begin: int, until: int | None, depth: int) -> Iterable[Fact]:
        for ride in self.rides(lu) if depth > 0 else ():
            low = max(begin, ride.bind.t)
            high = min(t for t in (ride.end, until, 2**62) if t is not None)
            if low >= high:
                continue
            past = [*self._places(ride.parent), *self._shared(ride.parent, 0, None, depth - 1)]
            past.sort(key=lambda fact: fact[:4])
            before = [fact for fact in past if fact.t < low and fact.t >= self._emptied(ride.parent, low)]
            if before and not self._has_left(before[-1], low):
                # reading: where it stood already, the unit stands from the bind on
                yield before[-1]._replace(t=low, device=ride.bind.device, name=ride.bind.name)
            yield from (fact for fact in past if low <= fact.t < high)

    def _places(self, lu: str) -> list[Fact]:
        return [fact for fact in self.of_unit.get(lu, ()) if fact.kind in PLACES]

    def _emptied(self, lu: str, t: int) -> int:
        return max((f.t for f in self.of_unit.get(lu, ()) if _empties(f) and f.t < t), default=0)

    def _has_left(self, fact: Fact, t: int) -> bool:
        """A loading whose trailer has closed since belongs to an earlier trip."""
        return any(fact.t <= close < t for close in self.closes.get(fact.record.get("trailer", ""), ()))


def _empties(fact: Fact) -> bool:
    """A release of a parent. reading: one that names only a parent of its own takes it off that, with all on it."""
    return fact.kind == "lu.release" and (target(fact.record) is not None or not fact.record.get("parent"))
