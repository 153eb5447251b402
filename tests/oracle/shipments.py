"""Shipments (R50-R54): the truth of "ready" after every moment at which something happened, and what it makes known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.oracle import holds
from tests.oracle.cartons import Cycle
from tests.oracle.clock import Moment
from tests.oracle.context import Line
from tests.oracle.facts import Fact
from tests.oracle.gaps import NEVER
from tests.oracle.leaving import cartons_of, planned_cycles
from tests.oracle.picks import Entry, Knowledge, Window
from tests.oracle.world import World


class Verdict(NamedTuple):
    """`data` of shipment.ready, or why not (for people; never compared)."""

    data: dict[str, Any] | None
    why: str = ""


@dataclass
class Readiness:
    """What R51 and R52 leave behind: the last ready, and the unready after the last one that was broken."""

    ready: dict[str, Any] | None = None
    ready_t: int = 0
    unready_t: int | None = None
    unready_facts: tuple[Fact, ...] = ()
    dated: bool = True  # whether the rules say since when
    held: bool = False  # R7: what a late fact made of it waits for a gap in the end


class _Shortfall(Exception):
    """A condition of R50 does not hold."""


def judge(shipment: str, world: World) -> Verdict:
    """R50 over everything in `world`."""
    try:
        return Verdict(_ready(shipment, world))
    except _Shortfall as shortfall:
        return Verdict(None, str(shortfall))


def _ready(shipment: str, world: World) -> dict[str, Any]:
    context = world.context
    plan = context.shipments.get(shipment)
    _must(plan is not None, "no plan")
    assert plan is not None
    _must(shipment not in context.cancelled_shipments, "cancelled")
    _must(shipment not in world.departures, "manifested")
    found, missing = cartons_of(shipment, world)
    _must(not missing, f"no cycle of {missing}")
    _must(all(cycle.closed for cycle in found), "a carton is open")
    _must(not any(holds.is_held(cycle, world.context) for cycle in found), "a carton is held")
    _must(not any(holds.is_lost(world.sights(cycle)) for cycle in found), "a carton is lost")
    inside = {what[:2] for cycle in found for what in cycle.contents(cycle.closes[-1])}
    for line in inside | set(context.scope(shipment)):
        _must(not _holds_cancelled(line, world, found), f"{line}: a carton holds cancelled pieces")
    lines = [_line(line, qty, shipment, world, found) for line, qty in context.planned(shipment).items()]
    _must(any(line["packed"] for line in lines), "SHP_EMPTY")
    if plan.record.get("stage_required"):
        lanes = plan.record.get("lanes", [])
        _must(all(_staged(cycle, world, lanes) for cycle in found), "a carton is not in its lane")
    return {
        "plan_rev": plan.record["rev"],
        "cartons": sorted(cycle.key for cycle in found),
        "lines": sorted(lines, key=lambda line: (line["order"], line["line"])),
        "partial": any(line["short"] or line["cancelled"] for line in lines),
    }


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _Shortfall(otherwise)


def _put_in(line: Line, shipment: str, world: World) -> int:
    """R53, R50: what of a line lies in the shipment's cartons, open or closed, without that of cancelled tasks. reading
    (R47): what was moved is not known by its task, and counts."""
    sku = world.context.lines.get(line, {}).get("sku")
    cycles, _ = cartons_of(shipment, world)
    there = sum(
        quantity
        for cycle in cycles
        for what, quantity in cycle.contents(NEVER).items()
        if what[:2] == line and sku in (None, what[2])
    )
    whole = [cycle for cycle in cycles if not _is_packed(cycle)]
    cancelled = [window for window in world.windows.values() if window.line == line and window.t_cancel is not None]
    return there - sum(_count(_put(window, cycle), sku) for window in cancelled for cycle in whole)


def _share(shorts: int, line: Line, shipment: str, wanting: list[str], world: World) -> int:
    """R53: the latest cutoff first, then the greatest id, each up to its lack. reading: none is the latest."""

    def leaves(name: str) -> tuple[int, str]:
        return int(world.context.shipments[name].record.get("cutoff", NEVER)), name

    for name in sorted(wanting, key=leaves, reverse=True):
        share = max(0, min(shorts, world.context.planned(name)[line] - _put_in(line, name, world)))
        if name == shipment:
            return share
        shorts -= share
    return 0


def _line(line: Line, planned: int, shipment: str, world: World, found: list[Cycle]) -> dict[str, Any]:
    windows = [window for window in world.windows.values() if window.line == line]
    _must(not any(world.is_open(window) for window in windows), f"{line}: a window is open")
    spec = world.context.lines.get(line, {})
    percent = spec.get("over_tol_pct", 0)
    p = s = c = 0
    if world.context.line_cancel(line) is not None:
        c = planned
    else:
        live = [window for window in windows if window.t_cancel is None]
        wanting = [name for name in world.context.shipments if line in world.context.scope(name)]
        p = sum(window.q for window in live) if len(wanting) == 1 else _put_in(line, shipment, world)
        over = [window for window in live if window.q - window.q_task > window.q_task * percent // 100]
        _must(not over or _is_covered(line, over, world), f"{line}: over-picked")
        shorts = sum(max(0, window.q_task - window.q) for window in live if window.short)
        alloc = world.context.allocs.get(line)
        shorts += alloc.record["qty"] if alloc else 0
        s = max(0, min(shorts, planned - p)) if len(wanting) == 1 else _share(shorts, line, shipment, wanting, world)
        _must(p + s >= planned, f"{line}: {p} + {s} of {planned}")
        # reading: an order.changed that covers what was picked (R24) covers the only shipment that plans the line, too
        alone = len(wanting) == 1 and p <= spec.get("qty", 0)
        _must(alone or p - planned <= planned * percent // 100, f"{line}: {p} for {planned}")
        _must(not s or spec.get("short_policy", "SHIP_PARTIAL") in ("SHIP_PARTIAL", "BACKORDER"), "SHP_HELD_SHORT")
        # reading: only pieces of the line's own sku are p
        packed = sum(
            quantity
            for cycle in found
            for what, quantity in cycle.contents(cycle.closes[-1]).items()
            if what[:3] == (*line, spec.get("sku", what[2]))
        )
        _must(packed >= p, f"{line}: {packed} of {p} packed")
    return {"order": line[0], "line": line[1], "ordered": planned, "packed": p, "short": s, "cancelled": c}


def _is_covered(line: Line, over: list[Window], world: World) -> bool:
    """R24. reading: the last order.changed asked for all that was picked by then, and of these no more was since."""
    changes = [
        fact
        for fact in world.facts
        if fact.kind == "order.changed"
        and fact.record["order"] == line[0]
        and any(spec["line"] == line[1] for spec in fact.record["lines"])
    ]
    if not changes:
        return False
    t = changes[-1].t
    then = World([fact for fact in world.facts if fact.t <= t], world.knowledge, t, world.units)
    picked = {
        window.key: window.q for window in then.windows.values() if window.line == line and window.t_cancel is None
    }
    asked = then.context.lines[line]["qty"]
    return sum(picked.values()) <= asked and all(window.q <= picked.get(window.key, 0) for window in over)


def _holds_cancelled(line: Line, world: World, found: list[Cycle]) -> bool:
    """R50, R27: pieces of a cancelled line, or of a cancelled task, lie in a carton of the shipment."""
    if world.context.line_cancel(line) is not None:
        return any(what[:2] == line for cycle in found for what in cycle.contents(cycle.closes[-1]))
    cancelled = [window for window in world.windows.values() if window.line == line and window.t_cancel is not None]
    return any(_lies_in(window, cycle, world) for window in cancelled for cycle in found)


def _lies_in(window: Window, cycle: Cycle, world: World) -> bool:
    """reading (R47): what was moved is not known by its task. What lies in the carton of its line, and came from where
    pieces of it went, may be one of those that are in hand."""
    if _count(_put(window, cycle)) > 0 or not _is_packed(cycle):
        return _count(_put(window, cycle)) > 0
    there = any(what[:2] == window.line for what in cycle.contents(NEVER))
    return there and _count(window.physical) > 0 and any(_put(window, one) for one in _feeding(cycle, world))


def _feeding(cycle: Cycle, world: World) -> list[Cycle]:
    """The uses of units out of which goods came into this one, by however many moves."""
    found = [cycle]
    for one in found:
        moves = [fact for fact in one.facts if fact.kind == "pack.confirm" and fact.record["lu"] == one.lu]
        before = (
            other for fact in moves for other in world.cycles.get(fact.record["from_lu"], ()) if fact in other.facts
        )
        found += [other for other in before if other not in found]
    return found


def _is_packed(cycle: Cycle) -> bool:
    return any(fact.kind == "pack.confirm" for fact in cycle.facts)


def _put(window: Window, cycle: Cycle) -> list[Entry]:
    """Its pieces into and out of the cycle."""
    here = {fact.arrival for fact in cycle.facts}
    return [e for e in window.physical if e.fact.arrival in here and (e.lu or cycle.lu) == cycle.lu]


def _count(entries: Iterable[Entry], sku: str | None = None) -> int:
    """`sku`: of that alone."""
    return sum(entry.sign * entry.qty for entry in entries if sku in (None, entry.sku))


def _staged(cycle: Cycle, world: World, lanes: list[str]) -> bool:
    """R50, R62, R48: the last place is a lane of the shipment, or the carton is loaded."""
    place, loaded = None, False
    for fact in world.sights(cycle):
        match fact.kind:
            case "divert.confirmed":
                place = fact.record["dest"]
            case "item.arrived":
                place = fact.record["loc"]
            case "item.recirculated" | "item.lost":
                place = None
            case "load.scanned":
                loaded = True
            case "load.removed":
                place, loaded = None, False
    return loaded or place in lanes


class Past:
    """The floor after every moment of a part, deadlines included, up to `t_end`: once for all shipments in it.

    `units`: R60's load unit of a fact, by arrival, whenever that was said; None: by what had been said at each moment.
    """

    def __init__(self, facts: list[Fact], knowledge: Knowledge, t_end: int, units: Mapping[int, str] | None) -> None:
        self.facts, self.knowledge, self.t_end = facts, knowledge, t_end
        self.worlds = [
            (t, World([fact for fact in facts if fact.t <= t], knowledge, t, units)) for t in _moments(facts, t_end)
        ]


def pasts(facts: list[Fact], knowledge: Knowledge, t_end: int, units: Mapping[int, str]) -> list[Past]:
    """By all that was said of tracks, and where something was, once more by what had been said by then."""
    mine = {fact.arrival: units[fact.arrival] for fact in facts if fact.arrival in units}
    return [Past(facts, knowledge, t_end, one) for one in ([mine, None] if mine else [mine])]


def follow(shipment: str, found: list[Past]) -> Readiness:
    """R51, R52: judge after every event time up to `t_end`, deadlines included, and keep what lasts `ready_hold_ms`.

    reading: a truth (or a change of its data) at t is emitted if nothing untrue happens in (t, t + ready_hold_ms].
    reading: context counts from its event time on, also where a higher rev replaces a lower one.
    reading (R60): a fact about a track belongs to its unit at its own event time, whenever that was said. Where a truth
    would begin at another time without that, `time` is not said.
    """
    result, *others = [_follow(shipment, past) for past in found]
    result.dated = all(result.ready_t == other.ready_t for other in others)
    return result


def _follow(shipment: str, past: Past) -> Readiness:
    facts, knowledge, worlds, t_end = past.facts, past.knowledge, past.worlds, past.t_end
    hold = knowledge.rules["ready_hold_ms"] * 1000
    manifested = min(
        (f.arrival for f in facts if f.kind == "manifest.result" and f.record["shipment"] == shipment), default=2**62
    )
    truths = [(t, judge(shipment, world).data) for t, world in worlds]
    over = [t for t, world in worlds if shipment in world.departures]
    result = Readiness()
    emitted, before = False, None
    for i, (t, data) in enumerate(truths):
        if data is not None and data != before:
            told = _told(shipment, worlds[i][1], t, knowledge)
            result.held = told is None and _is_changed_late(worlds[i][1], t)
            breaks = [when for when, later in truths[i:] if later is None]
            # reading: a `manifest.result` ends what waits for a gap; what has lasted by then is told before it
            by_gap = told is None or (told.mark and told.at > manifested)
            ended = by_gap or any(when <= t + hold or when < told.mark for when in breaks if told)
            if not ended and t + hold <= t_end:
                emitted, result.ready, result.ready_t = True, data, t
        if data is None and emitted:
            emitted = False
            if not over or t < min(over) or _is_cancelled_first(shipment, worlds[i][1]):
                result.unready_t, result.unready_facts = t, tuple(fact for fact in facts if fact.t == t)
        before = data
    return result


def _is_cancelled_first(shipment: str, world: World) -> bool:
    """R56, R3: its cancel and the evidence of its departure have one event time."""
    cancel, departure = world.context.cancelled_shipments.get(shipment), world.departures.get(shipment)
    return (
        cancel is not None
        and departure is not None
        and departure.first.t == cancel.t == world.facts[-1].t
        and (cancel[:4] < departure.first[:4])
    )


class Telling(NamedTuple):
    """`at`: before that record took effect. `mark`: the watermark up to which what was held had to last, else 0."""

    at: int
    mark: int


def _told(shipment: str, world: World, t: int, knowledge: Knowledge) -> Telling | None:
    """When a truth that began at `t` may be told; None: not before the end. R7: what may hide in a gap holds it."""
    clock, rules = knowledge.clock, knowledge.rules
    arrivals = [fact.arrival for fact in world.facts if fact.t == t]
    scope = set(world.context.scope(shipment))
    windows = [window for window in world.windows.values() if window.line in scope]
    closed = [window.closed_by for window in windows if window.closed_by is not None]
    decided = [close.decided for close in closed if close.decided is not None]
    begun = max([Moment(at + 1, clock.walls[at]) for at in arrivals], default=Moment(0, t))
    asked = clock.passed(t + rules["ready_hold_ms"] * 1000, begun.wall + rules["hold_wall_max_ms"] * 1000)
    if asked is None:
        return None
    asked = max(asked, _known(shipment, world, t, begun))
    # R4: the hold counts from the moment at which it was asked, or the arrival of what made it true, if that was later;
    # a deadline's short that waits for a gap beside it does not make it wait twice
    fed = list(_fed(shipment, windows, world, t, asked.at))
    told = knowledge.gaps.release(asked, asked.wall, fed)
    told = told and max([told, *decided])
    # R6: a jump that turned out to be none makes nothing of what has ended since
    if told is None or told <= asked or knowledge.gaps.release(asked, asked.wall, fed, sure=True) == asked:
        return told and Telling(told.at, 0)
    return Telling(told.at, clock.mark_at(told.wall))


def _is_changed_late(world: World, t: int) -> bool:
    """Whether a fact from before `t` came when the watermark had passed it: something else was told by then, maybe."""
    clock = world.knowledge.clock
    return any(clock.marks[fact.arrival] > t for fact in world.facts)


def _known(shipment: str, world: World, t: int, begun: Moment) -> Moment:
    """When the truth of `t` was known, if a fact from before it came later than what happened at `t`."""
    truth = judge(shipment, world).data
    for at in sorted({fact.arrival for fact in world.facts if fact.arrival >= begun.at}, reverse=True):
        before = World([fact for fact in world.facts if fact.arrival < at], world.knowledge, t)
        if judge(shipment, before).data != truth:
            return Moment(at + 1, world.knowledge.clock.walls[at])
    return begun


def _fed(shipment: str, windows: list[Window], world: World, t: int, at: int) -> Iterable[tuple[str, int, int]]:
    """R7: the sources of its pick windows and of its cartons, and the time in which they fed them."""
    for window in windows:
        for src in {src for src, *_ in window.told_by} or world.knowledge.gaps.all_pickers(at):
            yield src, window.t_open, t
    picked = {(entry.fact.arrival, entry.lu) for window in windows for entry in window.physical}
    mine = [*cartons_of(shipment, world)[0], *planned_cycles(shipment, world)]
    for cycle in (cycle for of_unit in world.cycles.values() for cycle in of_unit):
        if cycle in mine or any((fact.arrival, cycle.lu) in picked for fact in cycle.facts):
            yield from {(fact.record["src"], cycle.t_open, t) for fact in cycle.facts if fact.device}


def _moments(facts: list[Fact], t_end: int) -> list[int]:
    due = {fact.record[name] for fact in facts for name in ("deadline", "cutoff") if name in fact.record}
    return sorted(t for t in due | {fact.t for fact in facts} if t <= t_end)
