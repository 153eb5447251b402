"""Shipments (R50-R56): see shipments.pxd; what "ready" means stands in readiness.pyx."""

from ext cimport cartons, gaps, manifests, riding, sights
from ext.batch cimport ABSENT
from ext.floor cimport CartonPlan, Packing, ScopeLine
from ext.kinds cimport K_ITEM_LOST, K_PACK_CONFIRM
from ext.readiness cimport correlation, home_of, truth_of, verdict_of
from ext.timers cimport NEVER, RANK_SHIPMENT, RANK_SHIPMENT_EMIT

from ext.kinds import NAMES

cdef tuple BLOCKERS = ("SHP_EMPTY", "SHP_HELD_SHORT")     # R50: what may alone keep a shipment from being ready


# ---------------------------------------------------------------------------------------------- touches

cdef int touch(Floor floor, Shipment shipment, int64_t t, Fact cause) except -1:
    """A fact of event time `t` concerns this shipment: judge it when the watermark has passed `t`."""
    cdef Py_ssize_t i
    if shipment.plan_rev == 0:
        return 0
    i = first_after(shipment, t - 1)
    if i == len(shipment.touches) or shipment.touches[i][0] != t:
        shipment.touches.insert(i, (t, cause))
        floor.by_watermark.push(t, RANK_SHIPMENT, shipment.key, shipment, TAG_TOUCH, t)
    else:
        if cause.t == t:
            shipment.touches[i] = (t, cause)
        if t < floor.watermark:         # passed before: judge again
            floor.by_watermark.push(t, RANK_SHIPMENT, shipment.key, shipment, TAG_TOUCH, t)
    if not shipment.bound_watched:
        watch_bound(floor, shipment, t, cause)
    return doubt(floor, shipment, t)


cdef int doubt(Floor floor, Shipment shipment, int64_t t) except -1:
    """R52: what was told ready and is not any more, by a fact that is known, is unready at once."""
    cdef Py_ssize_t i
    if not shipment.stands or shipment.manifest_t != NEVER:
        return 0
    for i in range(first_after(shipment, max(t, shipment.evaluated) - 1), len(shipment.touches)):
        if truth_of(floor, shipment, shipment.touches[i][0]) is None:
            return tell_unready(floor, shipment, shipment.touches[i][0], <Fact>shipment.touches[i][1])
    return 0


cdef Py_ssize_t first_after(Shipment shipment, int64_t t) except -1:
    """The first touch later than `t`; mostly near the end."""
    cdef Py_ssize_t i = len(shipment.touches)
    while i > 0 and <int64_t>(<tuple>shipment.touches[i - 1])[0] > t:
        i -= 1
    return i


cdef int touch_line(Floor floor, Line line, int64_t t, Fact cause) except -1:
    cdef ScopeLine scope
    for scope in line.scopes:
        touch(floor, scope.shipment, t, cause)
    return 0


cdef int touch_cycle(Floor floor, Cycle cycle, Fact cause) except -1:
    """A carton changed: the shipment that it is planned to, else those of the lines that lie in it."""
    cdef Shipment shipment
    cdef Line line
    cdef Fact fact
    if cycle.plan is not None and cycle.plan.shipment is not None:
        shipment = cycle.plan.shipment
        touch(floor, shipment, cause.t, cause)
        if cause.context:               # newly bound or planned: all its facts concern the shipment from now on
            for fact in cycle.facts:
                touch(floor, shipment, fact.t, fact)
        return 0
    if cause.kind == K_PACK_CONFIRM:    # what left it is no longer in its contents
        for line, _, _ in (<Packing>cause).moved:
            touch_line(floor, line, cause.t, cause)
    for line, _, _ in cartons.contents_of(cycle, NEVER - 1):
        touch_line(floor, line, cause.t, cause)
        for fact in cycle.facts[first_later(cycle, cause.t):]:      # a late pick: what came after it counts for its line
            touch_line(floor, line, fact.t, fact)
    return 0


cdef Py_ssize_t first_later(Cycle cycle, int64_t t) except -1:
    cdef Py_ssize_t i = len(cycle.facts)
    while i > 0 and (<Fact>cycle.facts[i - 1]).t > t:
        i -= 1
    return i


cdef int touch_all(Floor floor, Shipment shipment, Fact cause) except -1:
    """A plan came, maybe after the work: everything already known of its lines and cartons touches it."""
    cdef ScopeLine scope
    cdef PickWindow window
    cdef CartonPlan plan
    cdef Cycle cycle
    cdef Fact fact
    touch(floor, shipment, cause.t, cause)
    for scope in shipment.scope:
        if scope.line.cancelled_by is not None:
            touch(floor, shipment, scope.line.cancel_t, scope.line.cancelled_by)
        for window in scope.line.windows:
            for fact in window.closings:
                touch(floor, shipment, fact.t, fact)
            for fact in window.facts:
                touch(floor, shipment, fact.t, fact)
                if fact.cycle is not None:
                    touch_cycle(floor, fact.cycle, fact)
                    for other in fact.cycle.facts:
                        touch(floor, shipment, (<Fact>other).t, <Fact>other)
    for plan in shipment.plans.values():
        touch(floor, shipment, plan.t, plan.fact)
        for cycle in plan.cycles:
            for fact in cycle.facts:
                touch(floor, shipment, fact.t, fact)
    return 0


cdef int take_unit_fact(Floor floor, Fact fact) except -1:
    """A fact about a load unit takes effect, and whoever it concerns is touched."""
    cdef Cycle cycle
    for cycle in cartons.attach(floor, floor.unit_of(fact.lu), fact):
        touch_cycle(floor, cycle, fact)
    if riding.is_place(fact.kind) and floor.unit_of(fact.lu).riders:
        for cycle in riding.riders_at(floor, floor.unit_of(fact.lu), fact.t):
            touch_cycle(floor, cycle, fact)
    if fact.kind == K_ITEM_LOST:
        for stray in sights.found_after(floor, fact):
            take_unit_fact(floor, <Fact>stray)
    return 0


cdef int touch_ride(Floor floor, LoadUnit unit, Fact bind) except -1:
    """R48: bound to a parent, maybe late: what was told of the parent since concerns the unit's shipment."""
    cdef LoadUnit parent = floor.unit_of(bind.parent)
    cdef Fact fact
    cdef Cycle cycle
    unit.rides = True
    if unit not in parent.riders:
        parent.riders.append(unit)
    for cycle in unit.cycles:
        touch_cycle(floor, cycle, bind)
        for fact in parent.facts:
            if fact.t >= bind.t and riding.is_place(fact.kind):
                touch_cycle(floor, cycle, fact)
    return 0


# ---------------------------------------------------------------------------------------------- judging

cdef int on_touch(Floor floor, Shipment shipment, int64_t t) except -1:
    """R51, R52: the watermark has passed a fact. What is true as of then waits for its hold; what is not ends."""
    cdef int64_t as_of = max(t, shipment.evaluated), since
    cdef dict truth
    cdef object verdict
    cdef Fact cause = cause_at(shipment, t)
    if shipment.manifest_t != NEVER or shipment.trailer_closes:
        manifests.on_later_fact(floor, shipment, t, cause)
    if shipment.manifest_t != NEVER or shipment.cancel_t <= as_of:
        return 0
    shipment.evaluated = as_of
    verdict = verdict_of(floor, shipment, as_of)
    truth = <dict>verdict if isinstance(verdict, dict) else None
    tell_blocker(floor, shipment, verdict, as_of, cause)
    if truth is None:
        shipment.true_now = False
        shipment.pending = []
        if shipment.stands:
            tell_unready(floor, shipment, as_of, cause)
        return 0
    if shipment.true_now and truth == shipment.true_data and (
            shipment.stands or shipment.pending or as_of < shipment.unready_at):
        return 0
    since = t if t == as_of else start_of_truth(floor, shipment, truth, as_of)
    shipment.true_now = True
    shipment.true_data = truth
    if as_of < shipment.unready_at:     # its end was told before the watermark came to its middle
        return 0
    if shipment.held_since != ABSENT:   # what waits for a gap is not what is true any more
        shipment.held_since = ABSENT
        shipment.pending = []
    shipment.pending.append((since, truth, cause_at(shipment, since)))
    floor.by_watermark.push(since + floor.rules.ready_hold, RANK_SHIPMENT_EMIT, shipment.key, shipment, TAG_READY, since)
    return 0


cdef int tell_blocker(Floor floor, Shipment shipment, object verdict, int64_t t, Fact cause) except -1:
    """R50: raised while that alone keeps it from being ready."""
    cdef str code, subject = f"shipment/{shipment.key}"
    for code in BLOCKERS:
        if verdict != code:
            floor.outlet.clear(code, subject, t, floor.dev_id(cause))
        elif not floor.outlet.is_raised(code, subject):
            floor.outlet.raise_(code, subject, t, floor.dev_id(cause), "")
    return 0


cdef Fact cause_at(Shipment shipment, int64_t t):
    """The fact that touched it then."""
    cdef Py_ssize_t i = first_after(shipment, t - 1)
    return <Fact>shipment.touches[i][1]


cdef int64_t start_of_truth(Floor floor, Shipment shipment, dict truth, int64_t as_of) except -1:
    """R51 for a truth that a late fact brought about: the first touch since when it has held."""
    cdef int64_t since = as_of
    cdef Py_ssize_t i = first_after(shipment, as_of - 1)
    while i > 0:
        i -= 1
        if truth_of(floor, shipment, shipment.touches[i][0]) != truth:
            break
        since = shipment.touches[i][0]
    return since


cdef int on_hold_over(Floor floor, Shipment shipment, int64_t since, bint forced, bint waited) except -1:
    """A truth has lasted `ready_hold_ms`: tell it. `forced`: by the wall clock's bound; `waited`: for a gap, long enough."""
    cdef tuple pending
    cdef dict truth
    cdef Fact cause
    cdef int64_t blind
    cdef bint incomplete = forced and floor.watermark <= since + floor.rules.ready_hold
    for pending in shipment.pending:
        if pending[0] == since:
            break
    else:
        return 0                        # it did not last
    truth, cause = pending[1], <Fact>pending[2]
    blind = gaps.hold_of_shipment(floor, shipment, since)
    if blind:
        if not waited:
            return hold(floor, shipment, since, cause, blind)
        incomplete = True
    shipment.pending.remove(pending)
    if shipment.ready is None:
        shipment.ready = floor.outlet.ledger("shipment.ready", shipment.key, f"shipment/{shipment.key}", shipment.key)
    floor.outlet.emit(shipment.ready, truth, since, correlation(floor, shipment), floor.dev_id(cause),
                      "incomplete" if incomplete else "exact")
    floor.outlet.clear("SHP_LOAD_BEFORE_READY", f"shipment/{shipment.key}", since, floor.dev_id(cause))
    shipment.stands = True
    return doubt(floor, shipment, since)


cdef int hold(Floor floor, Shipment shipment, int64_t since, Fact cause, int64_t blind) except -1:
    """R7: readiness rests on the silence of its sources; inside a gap it waits."""
    if shipment.held_since != since:
        if shipment not in floor.held:
            floor.held.append(shipment)
        shipment.held_since = since
        floor.by_wall.push(max(cause.t_rx, floor.wall) + blind, RANK_SHIPMENT, shipment.key, shipment,
                           gaps.TAG_GAP_HOLD, since)
    return 0


cdef int release_held(Floor floor, Shipment shipment) except -1:
    """A gap has closed: what has had its hold is asked again."""
    for pending in list(shipment.pending):
        if floor.watermark > pending[0] + floor.rules.ready_hold:
            on_hold_over(floor, shipment, pending[0], False, False)
    return 0


cdef int watch_bound(Floor floor, Shipment shipment, int64_t t, Fact cause) except -1:
    """`hold_wall_max_ms` after a fact's arrival nothing waits for it any more. One timer a shipment."""
    shipment.bound_watched = True
    floor.by_wall.push(cause.t_rx + floor.rules.hold_wall_max, RANK_SHIPMENT, shipment.key, shipment, TAG_FORCE, t)
    return 0


cdef int on_bound(Floor floor, Shipment shipment, int64_t t) except -1:
    """The wall clock's bound: neither a watermark that lags nor a hold is waited for any longer."""
    cdef Py_ssize_t i
    shipment.bound_watched = False
    if shipment.evaluated < t:
        on_touch(floor, shipment, t)
    for pending in list(shipment.pending):
        if pending[0] <= t:
            on_hold_over(floor, shipment, pending[0], floor.watermark <= pending[0] + floor.rules.ready_hold, False)
    i = first_after(shipment, max(t, shipment.evaluated))
    if i < len(shipment.touches):
        watch_bound(floor, shipment, shipment.touches[i][0], <Fact>shipment.touches[i][1])
    return 0


cdef int tell_unready(Floor floor, Shipment shipment, int64_t t, Fact cause) except -1:
    """R52: it was told ready and is not any more."""
    cdef dict data = {"cause": NAMES[cause.kind]}
    shipment.stands = False
    shipment.unready_at = t
    shipment.pending = []
    if shipment.unready is None:
        shipment.unready = floor.outlet.ledger(
            "shipment.unready", shipment.key, f"shipment/{shipment.key}", shipment.key)
    if cause.cycle is not None:
        data["carton"] = cartons.name_of(floor, cause.cycle)
    if cause.window is not None:
        data["order"] = floor.text(cause.window.line.order)
        data["line"] = cause.window.line.number
    floor.outlet.emit(shipment.unready, data, t, correlation(floor, shipment), floor.dev_id(cause), "exact")
    return 0


# ---------------------------------------------------------------------------------------------- ends

cdef int cancel(Floor floor, Shipment shipment, Fact fact) except -1:
    """R56: before the manifest `shipment.unready` if it was ready, after it `shipment.voided`; nothing else."""
    cdef str code
    shipment.cancelled_by = fact
    shipment.cancel_t = fact.t
    if shipment.manifest_t <= fact.t:
        return manifests.tell_voided(floor, shipment)
    for code in BLOCKERS:
        floor.outlet.clear(code, f"shipment/{shipment.key}", fact.t, floor.dev_id(fact))
    if shipment.stands or shipment.stood:
        shipment.stood = False
        tell_unready(floor, shipment, fact.t, fact)
    return 0


cdef bint has_shipped(Shipment shipment, int64_t t, int64_t watermark) except -1:
    """R27, R29: is it too late for a fact of event time `t` that comes now? Not while its order of arrival is open (R3)."""
    if shipment is None or shipment.manifest_t == NEVER:
        return False
    return t > shipment.manifest_t or watermark > shipment.manifest_t


cdef Shipment shipment_of_pick(Line line, Cycle cycle):
    """R29: a pick's shipment is that of its carton, else the only one whose scope has its line."""
    cdef Shipment shipment = home_of(cycle, NEVER - 1) if cycle is not None else None
    if shipment is None and len(line.scopes) == 1:
        shipment = (<ScopeLine>line.scopes[0]).shipment
    return shipment


cdef bint window_has_shipped(Floor floor, PickWindow window, int64_t t) except -1:
    """R27: a piece of it has left, or, with none picked, the only shipment of its line."""
    cdef Line line = window.line
    cdef Fact fact
    for fact in window.facts:
        if has_shipped(shipment_of_pick(line, fact.cycle), t, floor.watermark):
            return True
    return not window.facts and has_shipped(shipment_of_pick(line, None), t, floor.watermark)
