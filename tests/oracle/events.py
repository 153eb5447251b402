"""Finals: the world in the words of the contract (docs/records.md, business events)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.oracle.cartons import NEVER, Cycle
from tests.oracle.context import Line
from tests.oracle.facts import Fact, Rules
from tests.oracle.ids import utc
from tests.oracle.leaving import Departure, cartons_of
from tests.oracle.picks import Close, Entry, Window
from tests.oracle.shipments import Readiness
from tests.oracle.world import World


class Final(NamedTuple):
    """The last revision of a business event.

    `free`: fields of `data` that depend on arrival or that the rules leave open; not compared. `partitionkey` and
    `correlationid` None: likewise. `certain` False: the key may have events or not (a window that is open again, or was
    closed only in one order of arrival); if it has, `data` is what the last one holds.
    """

    type: str
    key: str
    data: dict[str, Any]
    time: str
    subject: str
    partitionkey: str | None
    correlationid: str | None
    free: frozenset[str] = frozenset()
    certain: bool = True


READY = frozenset({"plan_rev", "cartons", "lines", "partial"})


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _only(values: Iterable[Any]) -> Any:
    """R31: the one value, or None if there are several."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def _subject(task: str | None, line: Line) -> str:
    return f"task/{task}" if task else f"line/{line[0]}/{line[1]}"


def of_picks(world: World) -> Iterable[Final]:
    """R21 to R28, R30, R31."""
    for window in world.windows.values():
        yield from _of_window(window, world)
    own = {window.line for window in world.windows.values() if not window.task and _missing(window) > 0}
    for line, fact in world.context.allocs.items():
        if line in own:
            continue  # reading: the short of the line's own window says all that is missing, under the same key
        key, qty = f"{line[0]}/{line[1]}", fact.record["qty"]
        sku = world.context.sku_of(line)
        if sku is None:
            continue  # reading: what it is of is said by its order, or by a task
        data = _given(order=line[0], line=line[1], sku=sku, qty_task=qty, qty_picked=0, qty_short=qty, t_close=fact.t)
        data |= {"decided_by": "ALLOC", "reason": fact.record["code"]}
        free = frozenset({"policy"})  # reading: the line's short_policy, given or not
        yield Final("pick.short", key, data, utc(fact.t), _subject(None, line), line[0], line[0], free)
    for window in world.windows.values():
        put_back: dict[str, list[Entry]] = {}
        for entry in window.physical:
            if entry.sign < 0:
                put_back.setdefault(entry.fact.dev_id, []).append(entry)
        for dev_id, found in put_back.items():  # R28
            line, task, first = window.line, window.task, found[0]
            data = _given(task=task, order=line[0], line=line[1], sku=first.sku, qty=sum(entry.qty for entry in found))
            key = f"{window.key}/{dev_id}"
            yield Final("pick.reversed", key, data, utc(first.t), _subject(task, line), line[0], line[0])


def _of_window(window: Window, world: World) -> Iterable[Final]:
    line = window.line
    common = _given(task=window.task, order=line[0], line=line[1], sku=window.sku)
    t_close = window.t_close if window.t_cancel is None else window.t_cancel
    rest = utc(t_close), _subject(window.task, line), line[0], line[0]
    lus = [entry.lu or window.lu for entry in window.counted]
    data = common | _given(
        qty=max(0, window.q),  # reading: also where more was put back than picked
        qty_task=window.asked_when_told,
        over_qty=max(0, window.q - window.asked_when_told),
        lu=_only(lus),
        loc=_only(world.context.place_of(window.task, entry.fact) for entry in window.counted),
        cancelled=True if window.t_cancel is not None else None,
        t_first=min((entry.t for entry in window.counted), default=None),
        t_close=t_close,
    )
    # reading: `carton` is the one known at the revision, so it depends on arrival
    free = {"carton"}
    if window.t_cancel is not None:
        if window.q > 0:
            yield Final("pick.confirmed", window.key, data, *rest, frozenset(free))
        return
    if window.confirmed:
        # reading: whether b to d with q = 0 revise a confirmation of qty 0 to their t_close is not said (R23, R26)
        free |= {"t_close"} if window.q == 0 and window.short is not None else set()
        # reading: a window that was full only until a reversal that arrived first may as well never have been confirmed
        yield Final("pick.confirmed", window.key, data, *rest, frozenset(free), certain=window.q != 0)
    elif not window.ever_closed and (window.reversed or window.revised):
        # reading: likewise one that was full by a revision that came first
        free |= set(data)
        yield Final("pick.confirmed", window.key, data, *rest, frozenset(free), certain=False)
    if window.short is not None:
        yield Final("pick.short", window.key, _short(window, window.short, common, world), *rest, frozenset({"policy"}))


def _missing(window: Window) -> int:
    """What it is short of, if a b to d has closed it."""
    short = window.short is not None and window.t_cancel is None
    return max(0, window.q_task - max(0, window.q)) if short else 0


def _short(window: Window, close: Close, common: dict[str, Any], world: World) -> dict[str, Any]:
    loc = close.fact.record.get("loc") if close.decided_by == "OPERATOR" else None
    loc = loc or world.context.place_at(window.task, close.t)
    return common | _given(
        qty_task=window.q_task,
        qty_picked=max(0, window.q),
        qty_short=_missing(window),
        reason=close.reason,
        decided_by=close.decided_by,
        loc=loc,
        t_close=window.t_close,
    )


def of_cartons(world: World, rules: Rules, t_end: int) -> Iterable[Final]:
    """R43 to R45. A carton that closes empty has no event, unless one was told before."""
    hold = rules["close_hold_ms"] * 1000
    cycles = (cycle for of_unit in world.cycles.values() for cycle in of_unit)
    for cycle in sorted(cycles, key=lambda cycle: cycle.t_open):  # the last use of a unit as a carton speaks for it
        told = next((t for t in cycle.closes if cycle.contents(t)), NEVER)
        due = min(told + hold, cycle.voided.t if cycle.voided else NEVER)
        key = cycle.key_at(due)
        closes = [t for t in cycle.closes if told <= t <= t_end - hold]
        if closes:
            yield _closed(cycle, key, due, closes[-1], closes[-1] == cycle.closes[-1], world, hold)
        opened = [one for one in cycle.reopenings if one.t + hold <= t_end]
        if opened:
            _, partitionkey, _ = _shipment(cycle, key, due, world)
            data, subject = {"cause": opened[-1].cause}, f"carton/{key}"
            # reading: a carton of which no close was told (R45) is not told to reopen
            certain = not opened[-1].empty
            yield Final("carton.reopened", key, data, utc(opened[-1].t), subject, partitionkey, None, certain=certain)
        if cycle.voided is not None:
            yield Final(
                "carton.voided", key, {"cause": "carton.void"}, utc(cycle.voided.t), f"carton/{key}", None, None
            )


def _shipment(cycle: Cycle, key: str, due: int, world: World) -> tuple[str | None, str | None, bool]:
    """The shipment, the partition key, and whether the rules leave it open.

    reading: "the highest plan known" (R53) is the carton.plan; whether an unplanned carton whose contents lie in one
    shipment's scope names that shipment is not said.
    """
    planned = world.context.shipment_of(cycle.carton or "")
    if planned is not None and world.context.cartons[cycle.carton or ""].record["rev"] > 1:
        return planned, None, True  # that of the plan known by then (R53): it depends on arrival
    if planned is not None:
        by_then = key == cycle.key and world.context.planned_since[key] <= due
        # reading: planned after that, a plan alone makes no revision (R53), and what another late fact revises names it
        return planned, planned if by_then else key, not by_then
    scopes = [plan.record["scope"] for plan in world.context.shipments.values()]
    lines = {(part["order"], part["line"]) for scope in scopes for part in scope}
    free = any((order, line) in lines for _, (order, line, *_), _ in cycle.moves)
    return None, None if free else key, free


def _closed(cycle: Cycle, key: str, due: int, t_close: int, last: bool, world: World, hold: int) -> Final:
    shipment, partitionkey, unclear = _shipment(cycle, key, due, world)
    contents = cycle.contents(t_close)
    weighings = [f for f in cycle.facts if f.kind == "weigh" and cycle.t_open <= f.t <= t_close + hold]
    # reading: a label that was not read well says no number
    labels = [f for f in cycle.facts if f.kind == "label.verified" and f.record.get("sscc")]
    labels = [f for f in labels if f.record["result"] == "OK"]
    data = _given(
        carton=cycle.key,
        lu=cycle.lu,
        sscc=labels[-1].record["sscc"] if labels else None,
        shipment=shipment,
        contents=[
            _given(order=order, line=line, sku=sku, lot=lot or None, qty=quantity)
            for (order, line, sku, lot), quantity in contents.items()
        ],
        weight_g=weighings[-1].record["weight_g"] if weighings else None,
        t_open=cycle.t_open,
        t_close=t_close,
    )
    orders = _only(order for order, *_ in contents)
    correlationid = orders or partitionkey
    free = frozenset({"shipment"} if unclear else ())
    return Final(
        *("carton.closed", key, data, utc(t_close), f"carton/{key}", partitionkey, correlationid),
        free=free,
        certain=last,
    )


def of_shipment(shipment: str, found: Readiness, world: World, rules: Rules) -> Iterable[Final]:
    """R50 to R52, R54, R56's cancel."""
    context = world.context
    subject = f"shipment/{shipment}"

    def named(t: int) -> tuple[str, str, str]:
        """reading: concerned is what was planned at that moment."""
        orders = (order for order, _ in world.context_at(t).scope(shipment))
        return subject, shipment, _only(orders) or shipment

    cancel, departure = context.cancelled_shipments.get(shipment), world.departures.get(shipment)
    voided = cancel is not None and departure is not None and cancel[:4] > departure.first[:4]
    if found.ready is not None:
        told = Final("shipment.ready", shipment, found.ready, utc(found.ready_t), *named(found.ready_t))
        yield told._replace(certain=found.dated)
    elif found.held:
        yield Final("shipment.ready", shipment, {}, "", subject, shipment, None, free=READY, certain=False)
    # reading (R52): a readiness that had never been one, as is said later, ends; what is true instead is another one
    corrected = found.ready is not None and (not found.dated or _shaken(shipment, world))
    if found.unready_t is not None or corrected:
        # reading: a cause is the kind of the record. That of several facts of one moment is not said.
        kinds = {fact.kind for fact in found.unready_facts}
        cause = kinds.pop() if len(kinds) == 1 else None
        free = frozenset({"carton", "order", "line"} | (set() if cause else {"cause"}))
        certain = found.unready_t is not None and not _comes_late(found.unready_facts, departure)
        data, time = _given(cause=cause), utc(found.unready_t or 0)
        yield Final("shipment.unready", shipment, data, time, subject, shipment, None, free, certain)
    if departure is not None:
        about = named(departure.t)
        yield _manifested(shipment, departure, world, rules)._replace(subject=subject, correlationid=about[2])
        if cancel is not None and voided:
            yield Final("shipment.voided", shipment, {"cause": cancel.kind}, utc(cancel.t), *named(cancel.t))


def _shaken(shipment: str, world: World) -> bool:
    """Until a departure was known, what came before it and happened after it could end its readiness, and that of
    another with a share of a line."""
    lines = set(world.context.scope(shipment))
    sharing = [name for name in world.context.shipments if name == shipment or lines & set(world.context.scope(name))]
    return any(_unsettled(world.departures.get(name), world) for name in {shipment, *sharing})


def _unsettled(departure: Departure | None, world: World) -> bool:
    """Facts from after a departure arrived before it: an unready that they brought about stays told."""
    if departure is None:
        return False
    first = departure.first
    loads = (fact for cycle in departure.left for fact in world.sights(cycle) if fact.kind == "load.scanned")
    arrival = max([first.arrival, *(load.arrival for load in loads)])
    return any(fact.t >= first.t and fact.arrival < arrival for fact in world.facts)


def _comes_late(facts: Iterable[Fact], departure: Departure | None) -> bool:
    """What would have ended a readiness before the departure is no news after it. reading: R52 by arrival."""
    return departure is not None and all(fact.arrival > departure.first.arrival for fact in facts)


def _manifested(shipment: str, departure: Departure, world: World, rules: Rules) -> Final:
    """R54. reading: `cartons` are the closed ones of R50a; the carrier is the result's, else that of the plan
    of the event's time."""
    result: Mapping[str, Any] = departure.result.record if departure.result else {}
    numbers = {part["carton"]: part.get("tracking_no") for part in result.get("tracking", ())}
    # reading: without a trailer that counts the TMS's result alone says what left
    partly = departure.close is not None and departure.behind
    shipped, _ = (departure.left, []) if partly else _together(shipment, departure, world)
    close: Mapping[str, Any] = departure.close.record if departure.close else {}
    plan = world.context_at(departure.t).shipments.get(shipment)
    data = _given(
        manifest_no=result.get("manifest_no"),
        carrier=result.get("carrier") or (plan.record.get("carrier") if plan else None),
        trailer=close.get("trailer"),
        seal=close.get("seal"),
        cartons=[_shipped(cycle, numbers, rules) for cycle in sorted(shipped, key=lambda cycle: cycle.key)],
        freight=result.get("freight"),
        left_behind=departure.behind if partly else [],
    )
    # reading: what a result says of cartons that are open, or when the TMS names others, is not said
    mine, missing = _together(shipment, departure, world)
    closed = all(cycle.closed_at(departure.first.t) is not None for cycle in [*shipped, *mine])
    clear = closed and numbers.keys() <= {cycle.key for cycle in shipped}
    unclear = not clear or (not partly and missing)
    free = {"cartons", "left_behind"} if unclear else set()
    certain = departure.result is not None or shipment in world.context.shipments
    free |= set() if certain else {"trailer", "seal", "cartons", "left_behind"}
    rest = shipment, data, utc(departure.t), "", shipment, None
    return Final("shipment.manifested", *rest, frozenset(free), certain)


def _together(shipment: str, departure: Departure, world: World) -> tuple[list[Cycle], list[str]]:
    """Its cartons when it left."""
    t = departure.first.t
    return cartons_of(shipment, world, t, world.context_at(t))


def _shipped(cycle: Cycle, numbers: Mapping[str, str | None], rules: Rules) -> dict[str, Any]:
    """A number is the TMS's, else the label's."""
    t_end = (cycle.closes[-1] if cycle.closes else cycle.t_open) + rules["close_hold_ms"] * 1000
    weighed = [fact for fact in cycle.facts if fact.kind == "weigh" and cycle.t_open <= fact.t <= t_end]
    weight = weighed[-1].record["weight_g"] if weighed else None
    labels = [fact for fact in cycle.facts if fact.kind == "label.verified" and fact.record.get("tracking_no")]
    number = numbers.get(cycle.key) or (labels[-1].record["tracking_no"] if labels else None)
    return _given(carton=cycle.key, weight_g=weight, tracking_no=number)
