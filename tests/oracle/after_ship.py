"""R27, R29, R46: what comes after its shipment has left, or its window was forgotten, makes no revision."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from tests.oracle.context import Line
from tests.oracle.events import Final
from tests.oracle.facts import Fact
from tests.oracle.ids import utc
from tests.oracle.picks import Entry, Window, entries
from tests.oracle.world import World


def too_late(world: World) -> frozenset[tuple[int, str | Line]]:
    """Presses, and cancels with the key of the window for which they come too late."""
    found = set(_forgotten(world))
    if not world.departures:
        return frozenset(found)
    for entry in world.entries:
        evidence = _evidence(entry.line, entry, world, _moment(entry.t, entry.known, world))
        if evidence is not None and world.knowledge.comes_after(evidence, entry.t, entry.known):
            found.add(entry.press)
    for window in world.windows.values():
        own = world.context.cancelled_tasks.get(window.task or "")
        for cancel in [*world.context.line_cancels(window.line), *([own] if own else [])]:
            gone = _gone_by(window, world, _moment(cancel.t, cancel.arrival, world))
            if any(world.knowledge.comes_after(one, cancel.t, cancel.arrival) for one in gone):
                found.add((cancel.arrival, window.key))
    return frozenset(found)


def _gone_by(window: Window, world: World, as_of: int) -> Iterable[Fact]:
    """R27: by what pieces of the window have left; with none picked, or all put back, the only shipment of its line."""
    mine = [entry for entry in window.physical if entry.sku == window.sku]
    left: dict[int, int] = {}
    evidences: dict[int, Fact] = {}
    for entry in mine:
        evidence = _evidence(window.line, entry, world, as_of)
        if evidence is not None and entry.t <= evidence.t:
            evidences[evidence.arrival] = evidence
            left[evidence.arrival] = left.get(evidence.arrival, 0) + entry.sign * entry.qty
    yield from (evidences[arrival] for arrival, qty in left.items() if qty > 0)
    if sum(entry.sign * entry.qty for entry in mine) <= 0 and (only := _evidence(window.line, None, world, as_of)):
        yield only


def _forgotten(world: World) -> Iterable[tuple[int, str | Line]]:
    """R46: what comes for a window that was finished `retention_ms` ago is dead, if no shipment plans its order."""
    planned = {order for shipment in world.context.shipments for order, _ in world.context.scope(shipment)}
    clock, retention = world.knowledge.clock, world.knowledge.rules["retention_ms"] * 1000
    for window in world.windows.values():
        for entry in window.physical if window.line[0] not in planned else ():
            close = window.as_known(entry.known).closed_by
            known = close is not None and (close.decided is None or close.decided.at <= entry.known)
            if close is not None and known and clock.marks[entry.known] > close.t + retention:
                yield entry.press


def _evidence(line: Line, entry: Entry | None, world: World, as_of: int) -> Fact | None:
    """By what the shipment of a pick has left: that of its carton, else the only one with its line, as planned then."""
    shipment = None
    if entry is not None and (lu := _unit(entry, world)):
        before = [cycle for cycle in world.cycles.get(lu, ()) if cycle.t_open <= entry.t]
        # R40: what falls between two uses joins the earlier, except a pick
        inside = bool(before) and (entry.sign < 0 or before[-1].t_end is None or entry.t < before[-1].t_end)
        shipment = world.context.home_at(before[-1].carton or "", as_of) if inside else None
    wanting = world.context.planners_at(line, as_of)
    shipment = shipment or (wanting[0] if len(wanting) == 1 else None)
    departure = world.departures.get(shipment or "")
    return departure.first if departure else None


def _moment(t: int, known: int, world: World) -> int:
    """R3: what comes in time is judged by what was planned at its moment, what comes late by all that the watermark has
    passed."""
    return max(t, world.knowledge.clock.marks[known] - 1)


def _unit(entry: Entry, world: World) -> str | None:
    """R43: a reversal that names none comes out of that of the pick before it."""
    window = world.windows.get(entry.task or f"{entry.line[0]}/{entry.line[1]}")
    if entry.lu or window is None:
        return entry.lu
    same = [one for one in window.physical if one.sign > 0 and one.sku == entry.sku and one.fact[:4] < entry.fact[:4]]
    last = max(same, default=None, key=lambda one: one.fact[:4]) if entry.sign < 0 else None
    return last.lu or window.lu if last is not None else window.lu


def of_late(world: World, before: World) -> Iterable[Final]:
    """R29: POST_SHIP, one for each place, lot and task; and the reversals among them (R28). `before`: the world in
    which they still lie where they were put, so that it is seen whose they are."""
    late: dict[tuple[str, ...], list[Entry]] = {}
    # R20: what names only the line is a task's, as if it had come in time
    owners = {entry.press: window.task for window in before.windows.values() for entry in window.physical}
    for entry in entries(world.facts, world.context):
        moment = _moment(entry.t, entry.known, world)
        if entry.press not in world.knowledge.too_late or _evidence(entry.line, entry, before, moment) is None:
            continue
        entry = entry._replace(task=owners.get(entry.press, entry.task))
        loc = world.context.place_of(entry.task, entry.fact) or ""
        late.setdefault((loc, entry.sku, entry.lot or "", entry.task or ""), []).append(entry)
    put_back: dict[str, list[Entry]] = {}
    for entry in itertools.chain.from_iterable(late.values()):
        if entry.sign < 0:
            put_back.setdefault(_key_of_reversal(entry), []).append(entry)
    for key, same in put_back.items():
        yield _reversed(key, same)
    for place, found in late.items():
        window = world.windows.get(found[0].task or f"{found[0].line[0]}/{found[0].line[1]}")
        last = max(found, key=lambda entry: entry.fact.arrival)
        yield _post_ship("/".join(place), found, last, window)


def _post_ship(key: str, found: list[Entry], last: Entry, window: Window | None) -> Final:
    told = window.q if window is not None else 0
    data = {"kind": "POST_SHIP", "expected": told, "as_of": last.t}
    data["actual"] = told + sum(entry.sign * entry.qty for entry in found)
    # reading: what was "told" while the window was open, and which of several is the last, is not said
    free = {"as_of"} if len(found) > 1 else set()
    free |= set() if window is not None and window.ever_closed else {"expected", "actual"}
    order = last.line[0]
    return Final(
        *("inventory.discrepancy", key, data, utc(last.t), f"stock/{key.rpartition('/')[0]}", key, order),
        free=frozenset(free),
        certain=len(found) == 1,
    )


def _key_of_reversal(entry: Entry) -> str:
    return f"{entry.task or f'{entry.line[0]}/{entry.line[1]}'}/{entry.fact.dev_id}"


def _reversed(key: str, same: list[Entry]) -> Final:
    """One for each record and task, however often that names it."""
    entry, qty = same[0], sum(one.qty for one in same)
    line = entry.line
    data = {"task": entry.task, "order": line[0], "line": line[1], "sku": entry.sku, "qty": qty}
    subject = f"task/{entry.task}" if entry.task else f"line/{line[0]}/{line[1]}"
    data = {name: value for name, value in data.items() if value is not None}
    return Final("pick.reversed", key, data, utc(entry.t), subject, line[0], line[0])
