"""Load units and cartons (R40-R44, R47): every load unit's cycles, what lies in them, when they close and reopen."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.oracle.context import Context
from tests.oracle.facts import Fact, Record, Rules, target
from tests.oracle.picks import PICKS, Entry, Window

NEVER = 2**62
Content = tuple[str, int, str, str]  # order, line, sku, lot ("" without)


class Reopening(NamedTuple):
    """`empty`: whatever was closed held nothing, so that no close had an event."""

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
    named: tuple[int, int] = (NEVER, NEVER)  # event times of its target and of its device_carton
    closes: list[int] = field(default_factory=list)
    reopenings: list[Reopening] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    moves: list[tuple[int, Content, int]] = field(default_factory=list)  # event time, what, signed quantity
    voided: Fact | None = None
    refused: list[Fact] = field(default_factory=list)

    @property
    def carton(self) -> str | None:
        """R40a."""
        if self.target is not None and self.target[0] == "carton":
            return self.target[1]
        return self.device_carton

    @property
    def key(self) -> str:
        return self.carton or f"{self.lu}#{self.number}"

    def key_at(self, t: int) -> str:
        """R40a. reading: the first event is told when it is due, under the name that it had then."""
        by_bind = self.target[1] if self.target and self.target[0] == "carton" and self.named[0] <= t else None
        by_device = self.device_carton if self.named[1] <= t else None
        return by_bind or by_device or f"{self.lu}#{self.number}"

    @property
    def closed(self) -> bool:
        return bool(self.closes) and not (self.reopenings and self.reopenings[-1].t > self.closes[-1])

    def closed_at(self, t: int) -> int | None:
        """When it was closed last, if it is as of `t`."""
        close = max((one for one in self.closes if one <= t), default=None)
        opened = any(close is not None and close < one.t <= t for one in self.reopenings)
        return None if opened else close

    def contents(self, t: int) -> dict[Content, int]:
        """R43: all picks less reversals with event time <= t, zeros left out."""
        total: dict[Content, int] = {}
        for when, what, quantity in self.moves:
            if when <= t:
                total[what] = total.get(what, 0) + quantity
        return dict(sorted(_set_off(total).items()))

    def last(self, kind: str, t: int) -> Fact | None:
        return max((f for f in self.facts if f.kind == kind and f.t <= t), default=None, key=lambda f: f[:4])


def _set_off(total: dict[Content, int]) -> dict[Content, int]:
    """reading (R43): what was put back without its lot, or under another, is taken from the lot of that line and SKU
    that came last; nobody finds less than nothing in a carton."""
    for owed in [what for what, quantity in total.items() if quantity < 0]:
        for there in reversed([what for what in total if what[:3] == owed[:3] and total[what] > 0]):
            part = min(-total[owed], total[there])
            total[owed], total[there] = total[owed] + part, total[there] - part
    return {what: quantity for what, quantity in total.items() if quantity > 0}


class Happening(NamedTuple):
    """A fact as one load unit sees it. `role`: its kind, or bind, pick, back (a piece leaves), out and in (R47)."""

    fact: Fact
    lu: str
    role: str
    moves: tuple[tuple[Content, int], ...] = ()


BEGINS = frozenset({"pick", "in", "carton.open"})
REFUSED = frozenset({"carton.close", "carton.reopen", "carton.void", "label.verified", "load.scanned"})
REOPENS = frozenset({"pick", "back", "out", "in", "carton.open", "carton.reopen"})


class Units:
    """R40: walks over everything that happened, in R3's order, all load units at once, for goods move between them."""

    def __init__(self, context: Context, departures: Mapping[str, Fact], rules: Rules) -> None:
        self.context = context
        self.departures = departures
        self.closing_points = frozenset(rules["closing_points"])
        self.cycles: dict[str, list[Cycle]] = {}
        self.running: dict[str, Cycle] = {}
        self.moved: dict[int, tuple[tuple[Content, int], ...]] = {}  # by arrival: what a pack.confirm took out

    def walk(self, happenings: Iterable[Happening]) -> None:
        for one in sorted(happenings, key=lambda one: (one.fact[:4], one.role == "in")):
            running = self.running.get(one.lu)
            if self._begins(one, running):
                if running is not None:
                    running.t_end = one.fact.t
                of_unit = self.cycles.setdefault(one.lu, [])
                running = self.running[one.lu] = Cycle(one.lu, len(of_unit) + 1, one.fact.t)
                of_unit.append(running)
            earlier = self.cycles.get(one.lu)
            cycle = running or (earlier[-1] if earlier else None)
            if one.role == "out":
                self.moved[one.fact.arrival] = _taken_out(one.fact.record, cycle, self.context)
            if cycle is None:
                continue  # nothing ever began here: a place or a weight of an empty tote
            self._apply(one, cycle)
            if running is not None and self._ends(one, running):
                running.t_end = one.fact.t
                del self.running[one.lu]

    def _begins(self, one: Happening, running: Cycle | None) -> bool:
        if one.role == "bind":
            return running is None or running.target not in (None, target(one.fact.record))
        # R44: only without a carton id does an open after t_close begin a new cycle
        again = one.role == "carton.open" and running is not None and running.closed and running.carton is None
        return one.role in BEGINS and (running is None or again)

    def _ends(self, one: Happening, running: Cycle) -> bool:
        if one.role == "lu.release":
            named = target(one.fact.record)
            return named == running.target if named else not one.fact.record.get("parent")
        if one.role == "manifest":
            shipment = self.context.shipment_of(running.carton or "")
            return self.departures.get(shipment or "") is one.fact
        if one.role == "left":
            return running.carton not in self.context.cartons
        return one.role == "carton.void"

    def _apply(self, one: Happening, cycle: Cycle) -> None:
        fact = one.fact
        if cycle.voided and (one.role in REFUSED or self._is_read_behind(one)):
            if one.role in REFUSED:
                cycle.refused.append(fact)
            return  # section 10: once is the end of it
        cycle.facts.append(fact)
        moves = one.moves
        if one.role in ("out", "in"):
            sign = 1 if one.role == "in" else -1
            # of a walk over one unit alone (`_number`) nobody asks what came from another
            moves = tuple((what, sign * quantity) for what, quantity in self.moved.get(fact.arrival, ()))
        cycle.moves += [(fact.t, what, quantity) for what, quantity in moves]
        if one.role == "bind" and cycle.target is None:
            cycle.target, cycle.named = target(fact.record), (fact.t, cycle.named[1])
        if fact.device and one.role != "out" and fact.record.get("carton") and cycle.device_carton is None:
            cycle.device_carton, cycle.named = fact.record["carton"], (cycle.named[0], fact.t)
        if (one.role == "carton.close" or self._is_read_behind(one)) and not cycle.closed:
            cycle.closes.append(fact.t)  # else R46: PKG_DOUBLE_CLOSE
        elif one.role in REOPENS and cycle.closed and fact.t > cycle.closes[-1] and not cycle.voided:
            empty = not any(cycle.contents(t) for t in cycle.closes)
            cycle.reopenings.append(Reopening(fact.t, fact.kind, empty))
        elif one.role == "carton.void":
            cycle.voided = fact

    def _is_read_behind(self, one: Happening) -> bool:
        """R42: a read point that only closed units pass."""
        return one.role == "scan.read" and one.fact.record.get("point") in self.closing_points


def _taken_out(record: Record, cycle: Cycle | None, context: Context) -> tuple[tuple[Content, int], ...]:
    """R47: what a pack.confirm moves, out of what lay in `from_lu` just before it."""
    held: dict[Content, int] = {}
    for _, what, quantity in cycle.moves if cycle else ():
        held[what] = held.get(what, 0) + quantity
    held = _set_off(held)
    if "sku" not in record:
        return tuple((what, quantity) for what, quantity in sorted(held.items()) if quantity > 0)
    line = line_of(record, context)
    if line is not None:
        return (((*line, record["sku"], record.get("lot", "")), record["qty"]),)
    taken, left = [], record["qty"]
    for what, quantity in sorted(held.items()):
        if what[2] == record["sku"] and record.get("lot", what[3]) == what[3] and quantity > 0 and left > 0:
            taken.append((what, min(left, quantity)))
            left -= quantity
    return tuple(taken)


def line_of(record: Record, context: Context) -> tuple[str, int] | None:
    """The order line that a record names, itself or by its task."""
    if task := context.tasks.get(record.get("task", "")):
        return task.record["order"], task.record["line"]
    return (record["order"], record["line"]) if "order" in record and "line" in record else None


def cycles(
    facts: Iterable[Fact],
    context: Context,
    presses: Iterable[Entry],
    found: Mapping[str, Window],
    units: Mapping[int, str],
    departures: Mapping[str, Fact],
    rules: Rules,
    marks: Sequence[int],
    unplanned: Iterable[tuple[str, Fact]] = (),
) -> dict[str, list[Cycle]]:
    """Every load unit's cycles in order of event time. `units`: R60's load unit of a fact, by arrival.

    `found`: windows, for the load unit of reversals that name none (R43); may be empty when only closes are asked for.
    `departures`: the evidence by which each shipment that has left did so (R54); `unplanned`: units that nobody planned
    and that left with one. `marks`: the watermark at every arrival.
    """
    happenings = list(_happenings(facts, context, presses, found, units))
    carton_unit: dict[str, str] = {}
    for one in sorted(happenings, key=lambda one: one.fact[:4]):
        if name := one.fact.record.get("carton"):
            carton_unit[name] = one.lu
    for carton, lu in carton_unit.items():  # R40: the manifest of its shipment ends a cycle
        departure = departures.get(context.shipment_of(carton) or "")
        if departure is not None:
            happenings.append(Happening(departure, lu, "manifest"))
    happenings += [Happening(departure, lu, "left") for lu, departure in unplanned]
    floor = Units(context, departures, rules)
    floor.walk(happenings)
    for lu, of_unit in floor.cycles.items():
        if len(of_unit) > 1:
            mine = [one for one in happenings if one.lu == lu]
            _number(of_unit, mine, lambda: Units(context, departures, rules), marks)
    return floor.cycles


def _number(
    cycles: Iterable[Cycle], happenings: Sequence[Happening], units: Callable[[], Units], marks: Sequence[int]
) -> None:
    """R40: "as they are first met". reading: when the watermark has passed where one begins, or as it comes if that is
    later. Of a cycle that a late fact splits, the part with its first fact keeps the number; of two that it makes one,
    the one that was met first does."""
    numbers: dict[int, int] = {}  # by arrival of each fact
    used = 0
    for arrival in [*_out_of_order(happenings), NEVER]:
        mark = marks[arrival] if arrival < NEVER else NEVER
        floor = units()
        floor.walk(one for one in happenings if one.fact.arrival < arrival)
        now: dict[int, int] = {}
        for cycle in itertools.chain(*floor.cycles.values()):
            known = {numbers[fact.arrival] for fact in cycle.facts if fact.arrival in numbers} - set(now.values())
            if known or cycle.t_open < mark:
                number = min(known, default=used + 1)
                used = max(used, number)
                now |= {fact.arrival: number for fact in cycle.facts}
        numbers = now
    for cycle in cycles:
        cycle.number = numbers[cycle.facts[0].arrival]


def _further(one: tuple[int, Any], other: tuple[int, Any]) -> tuple[int, Any]:
    """The arrival of `other`, and the later name of both."""
    return other[0], max(one[1], other[1])


def _out_of_order(happenings: Iterable[Happening]) -> list[int]:
    """The arrivals that change more than the last cycle, or begin another than the next."""
    names = sorted({one.fact.arrival: one.fact[:4] for one in happenings}.items())
    return [
        arrival
        for (_, last), (arrival, name) in itertools.pairwise(itertools.accumulate(names, _further))
        if name == last
    ]


def _happenings(
    facts: Iterable[Fact],
    context: Context,
    presses: Iterable[Entry],
    found: Mapping[str, Window],
    units: Mapping[int, str],
) -> Iterable[Happening]:
    others = {_press(entry): lu for window in found.values() for entry, lu in _units_of_others(window)}
    for entry in presses:
        lu = entry.lu or others.get(_press(entry))
        if lu is not None:
            what = *entry.line, entry.sku, entry.lot or ""
            yield Happening(entry.fact, lu, "pick" if entry.sign > 0 else "back", ((what, entry.sign * entry.qty),))
    for fact in facts:
        record = fact.record
        if fact.kind in PICKS or fact.kind == "pick.short":
            continue
        if fact.kind == "pack.confirm":
            if _is_known(record, context):
                yield Happening(fact, record["from_lu"], "out")
                yield Happening(fact, record["lu"], "in")
        elif fact.kind in ("lu.bind", "carton.plan"):
            if record.get("lu") and target(record):
                yield Happening(fact, record["lu"], "bind")
        elif (lu := record.get("lu") or units.get(fact.arrival)) and (fact.device or fact.kind == "lu.release"):
            yield Happening(fact, lu, fact.kind)


def _is_known(record: Record, context: Context) -> bool:
    """R11 for what is packed."""
    if "task" in record:
        return record["task"] in context.tasks
    line = line_of(record, context)
    return line is None or line in context.lines or bool(context.tasks_of(line))


def _press(entry: Entry) -> tuple[int, object]:
    return entry.fact.arrival, entry.task or entry.line


def _units_of_others(window: Window) -> Iterable[tuple[Entry, str]]:
    """R43: where picks and reversals went that name no load unit: the task's; out of that of the last pick before."""
    units: dict[str, str | None] = {}
    for entry in sorted(window.physical, key=lambda entry: entry.fact[:4]):
        if entry.sign > 0:
            units[entry.sku] = entry.lu or window.lu
        lu = units.get(entry.sku, window.lu)
        if entry.lu is None and lu is not None:
            yield entry, lu
