"""What the engine must have said in the end, judged by what physically happened.

One object for each expected business event: `{"type", "site", "key", "data"}`, `data` being the fields that the floor
determines, as the *last* revision must carry them. For `shipment.ready` there is also `"stands"`: true, a shipment that
is ready (or was when the carrier took it); false, one that is not, so that no readiness of it may stand. `"optional"`:
true where an event that takes everything back means the same as none, and only the order of news decides which.

Independent of the engine on purpose: sums over happenings, no windows, no order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simulators import floor as f
from simulators.floor import SECOND, TOLERANCE_G, Carton, Happening, Line, Shipment, Story, Task
from simulators.ledger import End, Ledger, objects
from simulators.truth_beside import of_returns, of_stock

Expected = dict[str, Any]

TYPES = (
    "pick.confirmed",
    "pick.short",
    "pick.reversed",
    "carton.closed",
    "carton.reopened",
    "carton.voided",
    "shipment.ready",
    "shipment.manifested",
    "shipment.voided",
    "inventory.discrepancy",
    "return.received",
    "return.dispositioned",
)
"""Types of which no other may be than those that are expected."""

NO_STOCK = "NO_STOCK"
"""The order system's code where it could not plan a line for want of stock."""

SETTLED_US = 300 * SECOND
"""When nothing has happened to a shipment for so long, all news of it is in and nothing is held any more."""

CAUSES = {
    f.Reopened: "carton.reopen",
    f.PutBack: "pick.reverse",
    f.OrderCancelled: "order.cancelled",
    f.ShipmentCancelled: "shipment.cancelled",
    f.Voided: "carton.void",
    f.Lost: "item.lost",
    f.Unloaded: "load.removed",
}
"""The record that tells why a shipment is ready no more."""

SCALE_REACH_US = 5 * SECOND
"""A weighing belongs to a carton until this long after it was closed (`close_hold_ms`)."""


def expected_events(
    story: Story, dev_ids: Mapping[f.Named, str], *, times: bool = True, gaps: bool = False
) -> Iterator[Expected]:
    """Every event that the story calls for.

    `dev_ids`: the names under which the reversals were told, which their keys contain; those without one are left out.
    `times`: also `t_first`, `t_open` and `t_close`; not for a story told live,
    where some devices have no clock. `gaps`: numbers were lost for ever, so that a readiness may have been held until
    it was none any more.
    """
    ledger = Ledger(story.happenings)
    diaries = _by_shipment(story)
    for shipment in story.shipments:
        found = [
            *_of_tasks(shipment, ledger, dev_ids),
            *_of_cartons(shipment, ledger),
            *_of_shipment(shipment, ledger),
            *(_maybe(gaps, setback) for setback in _of_setback(shipment, diaries[shipment])),
        ]
        for expected in found:
            if not times:
                expected["data"] = {name: value for name, value in expected["data"].items() if name[:2] != "t_"}
            yield {"type": expected["type"], "site": story.site} | expected
    for expected in (*of_returns(story, dev_ids), *of_stock(story)):
        yield {"type": expected["type"], "site": story.site} | expected


def _of_tasks(shipment: Shipment, ledger: Ledger, dev_ids: Mapping[f.Named, str]) -> Iterator[Expected]:
    for line in shipment.lines:
        yield from _of_line(line, ledger)
        for task in line.tasks:
            about: Expected = {"order": line.order, "line": line.number, "sku": line.sku.name}
            if task.id is not None:
                about["task"] = task.id
            cancelled_at = ledger.cancelled_at(task)
            if cancelled_at is not None:
                yield from _of_cancelled(task, about, cancelled_at, ledger)
            elif ledger.was_done(task):
                yield from _of_window(task, about, ledger)
            for back in ledger.reversals(task):
                if back in dev_ids:
                    yield {
                        "type": "pick.reversed",
                        "key": f"{task.key}/{dev_ids[back]}",
                        # Of which SKU, where it was not the task's, is a matter of taste.
                        "data": {k: v for k, v in about.items() if k != "sku" or not back.sku} | {"qty": back.qty},
                    }


def _of_line(line: Line, ledger: Ledger) -> Iterator[Expected]:
    """What could not be planned for want of stock (R23)."""
    missing = ledger.not_allocated(line)
    if missing is not None:
        data: Expected = {
            "order": line.order,
            "line": line.number,
            "sku": line.sku.name,
            "qty_task": missing.qty,
            "qty_picked": 0,
            "qty_short": missing.qty,
            "reason": NO_STOCK,
            "decided_by": "ALLOC",
            "t_close": missing.t,
        }
        key = f"{line.order}/{line.number}"
        yield _maybe(not missing.qty, {"type": "pick.short", "key": key, "data": data})


def _of_window(task: Task, about: Expected, ledger: Ledger) -> Iterator[Expected]:
    picks, end, qty, qty_task = ledger.picks(task), ledger.ended(task), ledger.quantity(task), ledger.task_qty(task)
    t_close = _t_close(task, end, ledger)
    about = about | {"qty_task": qty_task, "t_close": t_close}
    if picks:
        held = {"lu": task.carton.lu} | ({"carton": task.carton.id} if task.carton.id else {})
        counted: Expected = {"qty": qty, "over_qty": max(0, qty - qty_task), "t_first": picks[0].t}
        yield {"type": "pick.confirmed", "key": task.key, "data": about | held | counted}
    if end:
        told: Expected = {
            "qty_picked": qty,
            "qty_short": max(0, qty_task - qty),
            "reason": end.reason,
            "decided_by": end.decided_by,
        }
        # Where news of the rest came before the short was decided, there never was one.
        yield _maybe(not told["qty_short"], {"type": "pick.short", "key": task.key, "data": about | told})


def _maybe(optional: bool, expected: Expected) -> Expected:
    return expected | ({"optional": True} if optional else {})


def _t_close(task: Task, end: End | None, ledger: Ledger) -> int:
    """The last move, or the end that somebody put to it; only the moves where the task became smaller since (R27a)."""
    moves = [move.t for move in ledger.moves(task)]
    if end is None or (ledger.task_qty(task) < task.qty and ledger.quantity(task) >= ledger.task_qty(task)):
        return max(moves)
    return max([*moves, end.t])


def _of_cancelled(task: Task, about: Expected, t_close: int, ledger: Ledger) -> Iterator[Expected]:
    """R27: what was picked before the cancel and not put back; never a short. Nothing at all means the same as 0."""
    qty, end, picks = ledger.counted(task), ledger.ended(task), ledger.picks(task)
    about = about | {"qty_task": ledger.task_qty(task), "t_close": t_close}
    if picks:
        taken = {"qty": qty, "over_qty": max(0, qty - ledger.task_qty(task)), "cancelled": True}
        yield _maybe(qty == 0, {"type": "pick.confirmed", "key": task.key, "data": about | taken})
    if end:
        yield _maybe(True, {"type": "pick.short", "key": task.key, "data": about | {"qty_short": 0}})


def _of_cartons(shipment: Shipment, ledger: Ledger) -> Iterator[Expected]:
    for carton in shipment.cartons:
        yield from _of_voided(carton, ledger)
        closes = ledger.closes(carton)
        contents = ledger.contents(carton, closes[-1].t) if closes else []
        if not contents:
            continue
        t_close = closes[-1].t
        # The first open, bind or pick of the cycle.
        starts = [bound.t for bound in ledger.bound(carton)] + [opened.t for opened in ledger.opened(carton)]
        starts += [pick.t for task in carton.tasks for pick in ledger.picks(task)]
        data: Expected = {
            "carton": carton.key,
            "lu": carton.lu,
            "contents": contents,
            "t_open": min(starts),
            "t_close": t_close,
        }
        if carton.id is not None:
            data["shipment"] = shipment.id
        if any(label.result == "OK" for label in ledger.labels(carton)):
            data["sscc"] = carton.sscc
        weighings = [w for w in ledger.weighings(carton) if w.t <= t_close + SCALE_REACH_US]
        if weighings:
            data["weight_g"] = weighings[-1].weight_g
        yield {"type": "carton.closed", "key": carton.key, "data": data}
        cause = _reopened_by(carton, ledger)
        if cause:
            yield {"type": "carton.reopened", "key": carton.key, "data": {"cause": cause}}


def _reopened_by(carton: Carton, ledger: Ledger) -> str:
    """The kind of the record that told the last reopening: somebody says so, or a piece goes in or out all the same."""
    closes = [close.t for close in ledger.closes(carton)]
    told = [(reopening.t, "carton.reopen") for reopening in ledger.reopenings(carton)]
    told += [(pick.t, "pick.confirm") for task in carton.tasks for pick in ledger.picks(task)]
    told += [(back.t, "pick.reverse") for task in carton.tasks for back in ledger.reversals(task)]
    first_after_close = [min([one for one in told if one[0] > close], default=None) for close in closes]
    return max((one for one in first_after_close if one), default=(0, ""))[1]


def _of_voided(carton: Carton, ledger: Ledger) -> Iterator[Expected]:
    if ledger.voided(carton):
        yield {"type": "carton.voided", "key": carton.key, "data": {"cause": "carton.void"}}


def _of_shipment(shipment: Shipment, ledger: Ledger) -> Iterator[Expected]:
    if not ledger.plans(shipment):
        return
    ready = ready_state(shipment, ledger)
    yield {"type": "shipment.ready", "key": shipment.id, "stands": ready is not None, "data": ready or {}}
    cancelled = ledger.cancelled(shipment)
    if cancelled and has_left(shipment, ledger):
        yield {"type": "shipment.voided", "key": shipment.id, "data": {"cause": "shipment.cancelled"}}
    yield from _of_manifest(shipment, ledger)


def _of_manifest(shipment: Shipment, ledger: Ledger) -> Iterator[Expected]:
    """What the carrier says and what the dock has seen, in one event."""
    data: Expected = {}
    for trailer in ledger.trailers(shipment):
        if not trailer.left_behind:
            cartons = [{"carton": carton.key} for carton in trailer.cartons]
            data = {"trailer": trailer.trailer, "seal": trailer.seal, "cartons": cartons}
    for manifest in ledger.manifests(shipment)[-1:]:
        cartons = [
            {"carton": carton.key} | ({"tracking_no": carton.tracking_no} if carton.id else {})
            for carton in manifest.cartons
        ]
        data |= {"manifest_no": manifest.manifest_no, "carrier": shipment.carrier, "cartons": cartons}
    if data:
        yield {"type": "shipment.manifested", "key": shipment.id, "data": data | {"left_behind": []}}


def shipped(shipment: Shipment, ledger: Ledger) -> list[Carton]:
    """The cartons that hold something, by name."""
    there = (carton for carton in shipment.cartons if ledger.contents(carton) and not ledger.voided(carton))
    return sorted(there, key=lambda carton: carton.key)


def ready_state(shipment: Shipment, ledger: Ledger) -> Expected | None:
    """What stands in `shipment.ready` if the shipment can leave as it is now; None if it cannot."""
    if ledger.cancelled(shipment) and not has_left(shipment, ledger):
        return None
    plan = ledger.plans(shipment)[-1]
    lines = [_line_state(line, planned, ledger) for line, planned in plan.scope]
    cartons = shipped(shipment, ledger)
    given_up = [c for c in shipment.cartons if ledger.unplanned(c) or ledger.voided(c)]
    waiting = [c for c in shipment.cartons if c not in cartons and c not in given_up and not ledger.closes(c)]
    if None in lines or waiting or not cartons or not any(line["packed"] for line in lines if line):
        return None
    if not all(_may_leave(carton, ledger) for carton in cartons):
        return None
    return {
        "plan_rev": plan.rev,
        "cartons": [carton.key for carton in cartons],
        "lines": lines,
        "partial": any(line["short"] or line["cancelled"] for line in lines if line),
    }


def _line_state(line: Line, planned: int, ledger: Ledger) -> Expected | None:
    """One line of a ready shipment; None while it is not finished, has too many pieces, or may not ship short."""
    state: Expected = {"order": line.order, "line": line.number, "ordered": planned}
    there = {task: ledger.quantity(task) for task in line.tasks if not ledger.voided(task.carton)}
    if ledger.line_cancelled(line):
        return None if any(there.values()) else state | {"packed": 0, "short": 0, "cancelled": planned}
    tasks = [task for task in line.tasks if ledger.cancelled_at(task) is None]
    if any(qty for task, qty in there.items() if task not in tasks):
        return None
    if any(ledger.quantity(task) for task in tasks if task not in there):
        return None
    packed = sum(there.get(task, 0) for task in tasks)
    short = sum(max(0, ledger.task_qty(task) - ledger.quantity(task)) for task in tasks if ledger.ended(task))
    missing = ledger.not_allocated(line)
    short = min(short + (missing.qty if missing else 0), max(0, planned - packed))
    if not all(ledger.is_done(task) for task in tasks) or packed + short < planned:
        return None
    if packed > planned + planned * line.over_tol_pct // 100 or (short and line.short_policy == "HOLD"):
        return None
    return state | {"packed": packed, "short": short, "cancelled": 0}


def _may_leave(carton: Carton, ledger: Ledger) -> bool:
    """Closed with everything in it, well labelled, and where it has to be."""
    closes, reopenings = ledger.closes(carton), ledger.reopenings(carton)
    if not closes or (reopenings and reopenings[-1].t > closes[-1].t):
        return False
    if ledger.contents(carton, closes[-1].t) != ledger.contents(carton):
        return False
    if _is_held(carton, ledger) or ledger.is_lost(carton):
        return False
    if not carton.shipment.stage_required or ledger.is_loaded(carton):
        return True
    last = max(ledger.places(carton), key=lambda place: place.t, default=None)
    return isinstance(last, f.Diverted) and last.dest in carton.shipment.lanes


def _is_held(carton: Carton, ledger: Ledger) -> bool:
    """Its last label or its last weighing is bad, and nobody has waved it through since."""
    bad = [label.t for label in ledger.labels(carton)[-1:] if label.result != "OK"]
    if carton.planned_g is not None:
        bad += [w.t for w in ledger.weighings(carton)[-1:] if abs(w.weight_g - carton.planned_g) > TOLERANCE_G]
    released = ledger.waved_through(carton)
    return any(not released or released[-1].t < t for t in bad)


def _of_setback(shipment: Shipment, happenings: list[Happening]) -> Iterator[Expected]:
    """A shipment that had been ready for long, and was no more (R52): the last such turn. Where it turns again soon
    after, only that it was told: whether each turn was depends on how long it lasted."""
    cause, turns = "", 0
    for place in range(1, len(happenings)):
        if happenings[place].t - happenings[place - 1].t < SETTLED_US or not ready_now(shipment, happenings[:place]):
            continue
        was_ready, turns = True, 0
        for end in range(place + 1, len(happenings) + 1):
            is_ready = ready_now(shipment, happenings[:end])
            if was_ready and not is_ready and not has_left(shipment, Ledger(happenings[:end])):
                turns += 1
                cause = CAUSES.get(type(happenings[end - 1]), "") if turns == 1 else cause
            was_ready = is_ready
    if cause:
        yield {"type": "shipment.unready", "key": shipment.id, "data": {"cause": cause} if turns == 1 else {}}


def ready_now(shipment: Shipment, happenings: list[Happening]) -> bool:
    """Whether it could leave after these happenings; False once it has left."""
    ledger = Ledger(happenings)
    return not has_left(shipment, ledger) and ready_state(shipment, ledger) is not None


def has_left(shipment: Shipment, ledger: Ledger) -> bool:
    """The carrier says so, or a trailer left with all of it."""
    complete = [trailer for trailer in ledger.trailers(shipment) if not trailer.left_behind]
    return bool(complete or ledger.manifests(shipment))


def _by_shipment(story: Story) -> dict[Shipment, list[Happening]]:
    """What happened to each, in order of time."""
    shipments: dict[object, Shipment] = {}
    for shipment in story.shipments:
        shipments[shipment] = shipment
        shipments |= dict.fromkeys((*shipment.orders, *shipment.lines, *shipment.cartons), shipment)
        shipments |= {task: shipment for line in shipment.lines for task in line.tasks}
    found: dict[Shipment, list[Happening]] = {shipment: [] for shipment in story.shipments}
    for happening in story.happenings:
        for thing in objects(happening)[:1]:
            if thing in shipments:
                found[shipments[thing]].append(happening)
    return found
