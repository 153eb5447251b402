"""Which cartons are a shipment's (R50a), and by what evidence it has left (R54)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.oracle.cartons import Cycle
from tests.oracle.context import Context, is_withdrawn
from tests.oracle.facts import Fact
from tests.oracle.gaps import NEVER

if TYPE_CHECKING:
    from tests.oracle.world import World


class Departure(NamedTuple):
    """`result`: the TMS's word. `close`: the trailer.closed that left none behind, or, where a partial load is told,
    the last that took something. `behind`: keys of cartons that are still there, without a result."""

    result: Fact | None
    close: Fact | None
    told: Fact | None  # the first that the TMS said of it
    left: list[Cycle]
    behind: list[str]

    @property
    def first(self) -> Fact:
        """The first evidence by event time."""
        return min((fact for fact in (self.told, self.close) if fact is not None), key=lambda fact: fact[:4])

    @property
    def t(self) -> int:
        """The later of what the event is made of."""
        return max(fact.t for fact in (self.result, self.close) if fact is not None)


def cartons_of(
    shipment: str, world: World, as_of: int = NEVER, context: Context | None = None
) -> tuple[list[Cycle], list[str]]:
    """R50a: the shipment's cycles, and planned cartons that have none. Closed empty and retracted ones do not count.

    `as_of`: by what was begun, put in, closed and voided up to then. `context`: if it is not what was said last.
    """
    context = context or world.context
    planned = {
        carton
        for carton, plan in context.cartons.items()
        if plan.record.get("shipment") == shipment and not is_withdrawn(plan) and context.planned_since[carton] <= as_of
    }
    scope = set(context.scope(shipment))
    of_others = {
        (part["order"], part["line"])
        for other, plan in context.shipments.items()
        if other != shipment and context.shipment_known[other] <= as_of
        for part in plan.record["scope"]
    }
    found, met = [], set()
    for cycle in (cycle for of_unit in world.cycles.values() for cycle in of_unit if cycle.t_open <= as_of):
        if cycle.carton in context.cartons and cycle.carton not in planned:
            continue  # another's: most of a large story are
        closed = cycle.closed_at(as_of)
        end = min(as_of, closed if closed is not None else max((t for t, _, _ in cycle.moves), default=0))
        lines = {what[:2] for what in cycle.contents(end)}
        if cycle.carton in context.cartons:
            mine = cycle.carton in planned
        else:
            mine = bool(lines) and lines <= scope and not lines & of_others
        if mine:
            met.add(cycle.carton)
        voided = cycle.voided is not None and cycle.voided.t <= as_of
        empty = closed is not None and not lines
        if mine and not voided and not empty and not _is_carried_on(cycle, planned, world, as_of):
            found.append(cycle)
    return found, sorted(planned - met)


def _is_carried_on(cycle: Cycle, planned: set[str], world: World, as_of: int) -> bool:
    """reading: a planned carton is in the unit that was bound to it last."""
    uses = (other for of_unit in world.cycles.values() for other in of_unit if other.carton == cycle.carton)
    return cycle.carton in planned and any(cycle.t_open < one.t_open <= as_of and one.voided is None for one in uses)


def departures(world: World, emit_partial: bool, t_end: int) -> dict[str, Departure]:
    """R54, by shipment."""
    found = {}
    planned = {plan.record["shipment"] for plan in world.context.cartons.values() if "shipment" in plan.record}
    for shipment in sorted(world.context.shipments.keys() | world.context.manifests.keys() | planned):
        result = world.context.manifests.get(shipment)
        close, left, behind = _by_trailers(shipment, world, t_end)
        if behind and not emit_partial:
            close = None
        if result is not None or close is not None:
            told = world.context.first_manifests.get(shipment)
            found[shipment] = Departure(result, close, told, left, behind)
    return found


def unplanned(world: World) -> list[tuple[str, Fact]]:
    """R40, R50a: units that nobody planned, and what ended their use: the first evidence of the shipment whose pieces
    alone lay in them."""
    return [
        (cycle.lu, departure.first)
        for shipment, departure in world.departures.items()
        for cycle in cartons_of(shipment, world, departure.first.t)[0]
        if cycle.carton not in world.context.cartons and cycle.key not in departure.behind
    ]


def _by_trailers(shipment: str, world: World, t_end: int) -> tuple[Fact | None, list[Cycle], list[str]]:
    """The first close that left none of its cartons behind, else the last that took one; what left, what did not."""
    last: tuple[Fact | None, list[Cycle], list[str]] = None, [], []
    for fact in world.facts:
        if fact.kind != "trailer.closed" or fact.t > t_end:
            continue
        cycles, missing = cartons_of(shipment, world, fact.t)
        then, _ = cartons_of(shipment, world, fact.t, world.context_at(fact.t))
        # reading: what is planned afterwards takes nothing back from the road; what stands here may be dropped
        cycles += [cycle for cycle in then if cycle not in cycles and _left_with(cycle, world, fact.t)]
        takers = {cycle.key: _left_by(fact, cycle, world) for cycle in cycles}
        # reading: an empty box on the road is no evidence of goods
        cycles = [cycle for cycle in cycles if takers[cycle.key] is None or cycle.contents(fact.t)]
        left = [cycle for cycle in cycles if takers[cycle.key] is not None]
        behind = sorted([*missing, *(key for key, taker in takers.items() if taker is None)])
        # reading: nor does it stand here any more: with the last one, though empty, none is left behind
        if not left or (behind and all(takers[cycle.key] is not fact for cycle in left)):
            continue
        last = fact, left, behind
        if not behind:
            break
    return last


def planned_cycles(shipment: str, world: World) -> list[Cycle]:
    """Every use of a unit as a carton that was planned to the shipment, those that do not count (R50a) too."""
    cycles = (cycle for of_unit in world.cycles.values() for cycle in of_unit)
    return [cycle for cycle in cycles if cycle.carton and world.context.shipment_of(cycle.carton) == shipment]


def _left_by(close: Fact, cycle: Cycle, world: World) -> Fact | None:
    """R3: of closes of one moment those that come after this one have taken nothing yet."""
    taker = _left_with(cycle, world, close.t)
    return taker if taker is not None and taker[:4] <= close[:4] else None


def _left_with(cycle: Cycle, world: World, t_end: int) -> Fact | None:
    """The trailer's closing that took the carton: the first since its last loading, if it was not taken out."""
    sights = [fact for fact in world.sights(cycle) if fact.t <= t_end]
    loading = [fact for fact in sights if fact.kind in ("load.scanned", "load.removed")]
    if not loading or loading[-1].kind == "load.removed":
        return None
    load = loading[-1]
    closes = (fact for fact in world.facts if fact.kind == "trailer.closed" and fact.t <= t_end)
    return next((f for f in closes if f.record["trailer"] == load.record["trailer"] and load[:4] < f[:4]), None)
