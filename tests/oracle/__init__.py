"""The independent check of the core: what the rules make of a whole set of records, slow and after the fact.

Written from the rules' text alone; imports nothing of the engine. Every record is known before the first one is
judged, everything is sorted by event time (R3), and every question is answered from scratch. So it says only what the
last revision of each business key holds: how many revisions led there, `sequence`, `supersedes` and `evidence` depend
on arrival. It agrees with R3's promise: records in any order within `disorder_ms`. What arrives later than that is
right here only where the rules make it the same (a late pick of a full task, a backlog), not where a decision was
already taken.

A comment `# reading:` stands where the text leaves a choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.oracle import after_ship, events, inventory, shipments
from tests.oracle.clock import Clock
from tests.oracle.context import Context
from tests.oracle.events import Final
from tests.oracle.facts import Fact, Record, Rules, Sorted, parameters, take
from tests.oracle.gaps import Gaps
from tests.oracle.ids import base_id
from tests.oracle.parts import cut
from tests.oracle.picks import Knowledge, is_known
from tests.oracle.world import World

NAMES_SHIPMENTS = ("shipment.plan", "carton.plan", "manifest.result")
__all__ = ["Final", "account", "base_id", "expected"]


def expected(
    records: Iterable[Record],
    site: str,
    rules: Rules | None = None,
    until: int | None = None,
    sources: Mapping[str, Rules] | None = None,
) -> dict[str, Final]:
    """The last revision of every business event, by id without its `:rN`; `records` in the order of arrival.

    `until`: R4a's T in microseconds; without it 60 s after the greatest event time. `sources`: their own parameters.
    """
    settings = parameters(rules)
    records = list(records)
    taken = take(records, settings, sources)
    t_end = taken.t_max + 60_000_000 if until is None else until
    world = _whole(records, taken, settings, sources or {}, t_end)
    before = world
    if late := after_ship.too_late(before):
        world = World(taken.facts, world.knowledge._replace(too_late=late), t_end)
    decided = {window.key: window.short.t for window in world.windows.values() if window.late and window.short}
    knowledge = world.knowledge._replace(decided=decided)
    found = [*events.of_picks(world), *events.of_cartons(world, settings, t_end)]
    found += [*inventory.of_stock(world, settings, t_end), *inventory.of_returns(world, settings)]
    found += after_ship.of_late(world, before)
    for part in cut(taken.facts):
        found += _of_shipments(part, world, knowledge, t_end)
    return {base_id(site, final.type, final.key): final for final in found}


def _of_shipments(part: list[Fact], world: World, knowledge: Knowledge, t_end: int) -> Iterable[Final]:
    named = (fact.record.get("shipment") for fact in part if fact.kind in NAMES_SHIPMENTS)
    names = sorted({name for name in named if name})
    past = shipments.pasts(part, knowledge, t_end, world.units) if names else []
    for shipment in names:
        yield from events.of_shipment(shipment, shipments.follow(shipment, past), world, knowledge.rules)


def _whole(records: list[Record], taken: Sorted, settings: Rules, sources: Mapping[str, Rules], t_end: int) -> World:
    clock = Clock(records, taken.times, settings, sources, t_end)
    knowledge = Knowledge(clock, Gaps(records, taken.times, taken.repeated, clock), settings)
    return World(taken.facts, knowledge, t_end)


def account(records: Iterable[Record], rules: Rules | None = None) -> dict[str, int]:
    """R82: in, noise, duplicate, late, rejected, and `taken`: those that are `used` or `open`."""
    settings = parameters(rules)
    records = list(records)
    taken = take(records, settings)
    context = Context(fact for fact in taken.facts if not fact.device)
    # reading (R11, R30): what waits for its context is no duplicate yet
    waiting = sum(fact.arrival in taken.twins and not is_known(fact, context) for fact in taken.facts)
    refused = 0
    if any(fact.kind == "carton.void" for fact in taken.facts):
        refused = _whole(records, taken, settings, {}, taken.t_max + 60_000_000).refused
    moved = {"duplicate": -waiting, "rejected": refused, "taken": waiting - refused}
    return {name: count + moved.get(name, 0) for name, count in taken.account.items()}
