"""Load units and cartons (R40-R44): the cycles of every load unit, what lies in them, when they close and reopen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.oracle.context import Context
from tests.oracle.facts import Fact, target
from tests.oracle.picks import PICKS, Entry, Window

Content = tuple[str, int, str, str]  # order, line, sku, lot ("" without)


class Reopening(NamedTuple):
    """`empty`: what was closed held nothing, so that its close had no event."""

    t: int
    cause: str
    empty: bool


@dataclass
class Cycle:
    """R40: one use of a load unit, from `t_open` to before `t_end`."""

    lu: str
    number: int
    t_open: int
    target: tuple[str, str] | None = None
    t_end: int | None = None
    device_carton: str | None = None
    closes: list[int] = field(default_factory=list)
    reopenings: list[Reopening] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    moves: list[tuple[int, Content, int]] = field(default_factory=list)  # event time, what, signed quantity
    voided: Fact | None = None

    @property
    def carton(self) -> str | None:
        """R40a."""
        if self.target is not None and self.target[0] == "carton":
            return self.target[1]
        return self.device_carton

    @property
    def key(self) -> str:
        return self.carton or f"{self.lu}#{self.number}"

    @property
    def closed(self) -> bool:
        return bool(self.closes) and not (self.reopenings and self.reopenings[-1].t > self.closes[-1])

    def contents(self, t: int) -> dict[Content, int]:
        """R43: all picks less reversals with event time <= t, zeros left out."""
        total: dict[Content, int] = {}
        for when, what, quantity in self.moves:
            if when <= t:
                total[what] = total.get(what, 0) + quantity
        return {what: quantity for what, quantity in sorted(total.items()) if quantity}

    def last(self, kind: str, t: int) -> Fact | None:
        return max((f for f in self.facts if f.kind == kind and f.t <= t), default=None, key=lambda f: f[:4])


class Happening(NamedTuple):
    """A fact as one load unit sees it. `bind`: a plan or bind; `pick`: begins a cycle; `back`: a piece leaves."""

    fact: Fact
    lu: str
    role: str
    moves: tuple[tuple[Content, int], ...] = ()


def cycles(
    facts: Iterable[Fact], context: Context, presses: Iterable[Entry], found: dict[str, Window], units: dict[int, str]
) -> dict[str, list[Cycle]]:
    """Every load unit's cycles in order of event time. `units`: R60's load unit of a fact, by arrival.

    `found`: windows, for the load unit of reversals that name none (R43); may be empty when only closes are asked for.
    """
    by_unit: dict[str, list[Happening]] = {}
    carton_unit: dict[str, str] = {}
    for happening in _happenings(facts, context, presses, found, units):
        by_unit.setdefault(happening.lu, []).append(happening)
    for lu, happenings in by_unit.items():
        for happening in happenings:
            if name := happening.fact.record.get("carton"):
                carton_unit.setdefault(name, lu)
    for carton, lu in carton_unit.items():  # R40: the manifest of its shipment ends a cycle
        shipment = context.shipment_of(carton)
        if shipment in context.manifests:
            by_unit[lu].append(Happening(context.manifests[shipment], lu, "manifest"))
    return {lu: _walk(lu, sorted(ones, key=lambda one: one.fact[:4]), context) for lu, ones in by_unit.items()}


def _happenings(
    facts: Iterable[Fact], context: Context, presses: Iterable[Entry], found: dict[str, Window], units: dict[int, str]
) -> Iterable[Happening]:
    last_lu = {_press(entry): lu for window in found.values() for entry, lu in _reversal_units(window)}
    for entry in presses:
        lu = entry.lu or last_lu.get(_press(entry))
        if lu is not None:
            what = *entry.line, entry.sku, entry.lot or ""
            yield Happening(entry.fact, lu, "pick" if entry.sign > 0 else "back", ((what, entry.sign * entry.qty),))
    for fact in facts:
        record = fact.record
        if fact.kind in PICKS or fact.kind == "pick.short":
            continue
        if fact.kind in ("lu.bind", "carton.plan"):
            if record.get("lu") and target(record):
                yield Happening(fact, record["lu"], "bind")
        elif (lu := record.get("lu") or units.get(fact.arrival)) and (fact.device or fact.kind == "lu.release"):
            yield Happening(fact, lu, fact.kind)


def _press(entry: Entry) -> tuple[int, object]:
    return entry.fact.arrival, entry.task or entry.line


def _reversal_units(window: Window) -> Iterable[tuple[Entry, str]]:
    """R43: a reversal without a load unit takes that of the window's last pick."""
    lu = None
    for entry in sorted(window.physical, key=lambda entry: entry.fact[:4]):
        if entry.sign > 0:
            lu = entry.lu
        elif entry.lu is None and lu is not None:
            yield entry, lu


def _walk(lu: str, happenings: Iterable[Happening], context: Context) -> list[Cycle]:
    found: list[Cycle] = []
    running: Cycle | None = None
    for one in happenings:
        fact = one.fact
        if _begins(one, running):
            if running is not None:
                running.t_end = fact.t
            running = Cycle(lu, len(found) + 1, fact.t)
            found.append(running)
        cycle = running or (found[-1] if found else None)
        if cycle is None:
            continue  # nothing ever began here: a place or a weight of an empty tote
        _apply(one, cycle)
        if running is not None and _ends(one, running, context):
            running.t_end, running = fact.t, None
    return found


def _begins(one: Happening, running: Cycle | None) -> bool:
    if one.role == "bind":
        return running is None or running.target not in (None, target(one.fact.record))
    if one.role in ("pick", "carton.open"):
        # R44: only without a carton id does an open after t_close begin a new cycle
        return running is None or (one.role == "carton.open" and running.closed and running.carton is None)
    return False


def _ends(one: Happening, running: Cycle, context: Context) -> bool:
    if one.role == "lu.release":
        return target(one.fact.record) in (None, running.target)
    if one.role == "manifest":
        return running.carton is not None and context.shipment_of(running.carton) == one.fact.record["shipment"]
    return one.role == "carton.void"


def _apply(one: Happening, cycle: Cycle) -> None:
    fact = one.fact
    cycle.facts.append(fact)
    cycle.moves += [(fact.t, what, quantity) for what, quantity in one.moves]
    if one.role == "bind" and cycle.target is None:
        cycle.target = target(fact.record)
    if fact.device and fact.record.get("carton") and cycle.device_carton is None:
        cycle.device_carton = fact.record["carton"]
    if one.role == "carton.close" and not cycle.closed:
        cycle.closes.append(fact.t)  # else R46: PKG_DOUBLE_CLOSE
    elif one.role in ("carton.reopen", "carton.open", "pick", "back") and cycle.closed and fact.t > cycle.closes[-1]:
        cycle.reopenings.append(Reopening(fact.t, fact.kind, not cycle.contents(cycle.closes[-1])))
    elif one.role == "carton.void":
        cycle.voided = fact
