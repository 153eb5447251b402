"""What is over leaves, `retention_ms` after its end; planned work never does (section 1, `retention_ms`).

The watermark calls for a sweep now and then, so that what is remembered is a function of the records. Shipments go
first: only then nobody asks for their lines and cartons any more. An evicted window can be named by nothing that is not
dead by R29 already, as long as `retention_ms` is greater than `lateness_ms`.
"""

from ext cimport picks
from ext.floor cimport CartonPlan, Cycle, Fact, Gap, Line, LoadUnit, PickWindow, ScopeLine, Shipment, TrackLife, Trailer
from ext.timers cimport NEVER

# Families of context objects whose revisions are forgotten by age alone: the others go with their window.
cdef set BY_AGE = {"bind", "wave", "hold", "manifest", "alloc", "stock"}


cdef int sweep(Floor floor, Context context, int64_t before) except -1:
    """Forget what ended before the event time `before`."""
    forget_shipments(floor, context, before)
    forget_orders(floor, context, before)
    forget_units(floor, before)
    forget_cartons(floor, context, before)
    forget_tracks(floor, before)
    forget_loads(floor, before)
    forget_gaps(floor, before)
    context.forget(BY_AGE, before)
    return 0


cdef int forget_shipments(Floor floor, Context context, int64_t before) except -1:
    """Manifested or cancelled long ago."""
    cdef Shipment shipment
    cdef ScopeLine scope
    cdef CartonPlan plan
    for number in list(floor.shipments):
        shipment = floor.shipments[number]
        if min(shipment.manifest_t, shipment.cancel_t) >= before:
            continue
        for scope in shipment.scope:
            scope.line.scopes.remove(scope)
        for plan in shipment.plans.values():
            plan.shipment = None
        del floor.shipments[number]
        context.objects.pop(("shipment", shipment.key), None)
    return 0


cdef int forget_orders(Floor floor, Context context, int64_t before) except -1:
    """Every window closed long ago, and in the scope of no shipment."""
    cdef Line line
    cdef PickWindow window
    for order in list(floor.orders):
        if not is_over(floor.orders[order], before):
            continue
        for line in floor.orders.pop(order):
            del floor.lines[(<int64_t>line.order << 32) | <int64_t>line.number]
            for window in line.windows:
                if window.task:
                    del floor.tasks[window.task]
                    context.objects.pop(("task", floor.text(window.task)), None)
        floor.cutoffs.pop(order, None)
        context.objects.pop(("order", floor.text(order)), None)
    return 0


cdef bint is_over(list lines, int64_t before) except -1:
    cdef Line line
    cdef PickWindow window
    cdef picks.Outcome o
    cdef bint worked = False
    for line in lines:
        if line.scopes:
            return False
        if line.cancel_t < before:
            worked = True
            continue
        if not line.windows:
            return False                # planned: its picks are still to come
        for window in line.windows:
            o = picks.outcome(window, NEVER - 1, before)
            if not o.closed or o.t_close >= before:
                return False
            worked = True
    return worked


cdef int forget_units(Floor floor, int64_t before) except -1:
    """Cycles that ended long ago, or that were closed and then left alone; a unit without cycles goes, too."""
    cdef LoadUnit unit
    cdef Cycle cycle
    cdef PickWindow window
    cdef list kept
    for lu in list(floor.units):
        unit = floor.units[lu]
        kept = []
        for cycle in unit.cycles:
            if is_live(cycle, before):
                kept.append(cycle)
            elif cycle.plan is not None:
                cycle.plan.cycles.remove(cycle)
        if len(kept) < len(unit.cycles):
            unit.cycles = kept
            unit.facts = [fact for fact in unit.facts if (<Fact>fact).cycle in kept or (<Fact>fact).t >= before]
        unit.destined = [window for window in unit.destined if (<PickWindow>window).task in floor.tasks]
        if not unit.cycles and not unit.destined and not has_later(unit.facts, before):
            del floor.units[lu]
    return 0


cdef bint is_live(Cycle cycle, int64_t before) except -1:
    """A running cycle lives on while it is open, or anything was said of it."""
    cdef Fact last
    if cycle.plan is not None and cycle.plan.shipment is not None:
        return True
    if cycle.end != NEVER:
        return cycle.end >= before
    last = <Fact>cycle.facts[len(cycle.facts) - 1] if cycle.facts else cycle.anchor
    return last.t >= before or not cycle.any_close


cdef bint has_later(list facts, int64_t before) except -1:
    return len(facts) > 0 and (<Fact>facts[len(facts) - 1]).t >= before


cdef int forget_cartons(Floor floor, Context context, int64_t before) except -1:
    cdef CartonPlan plan
    for carton in list(floor.cartons):
        plan = floor.cartons[carton]
        if plan.shipment is None and not plan.cycles and plan.t < before:
            del floor.cartons[carton]
            context.objects.pop(("carton", floor.text(carton)), None)
    return 0


cdef int forget_tracks(Floor floor, int64_t before) except -1:
    cdef TrackLife life
    cdef list lives
    for key in list(floor.tracks):
        lives = floor.tracks[key]
        life = <TrackLife>lives[len(lives) - 1]
        if life.begin < before and not life.waiting:
            del floor.tracks[key]
    return 0


cdef int forget_loads(Floor floor, int64_t before) except -1:
    """What a trailer took on long ago: by then it has left, or its shipments have."""
    cdef Trailer trailer
    for number in list(floor.trailers):
        trailer = floor.trailers[number]
        trailer.loads = [fact for fact in trailer.loads if (<Fact>fact).t >= before]
        trailer.closes = [fact for fact in trailer.closes if (<Fact>fact).t >= before]
        if not trailer.loads and not trailer.closes:
            del floor.trailers[number]
    return 0


cdef int forget_gaps(Floor floor, int64_t before) except -1:
    """Nothing that is still decided overlaps them."""
    cdef Gap gap
    for src in list(floor.gaps):
        floor.gaps[src] = [gap for gap in floor.gaps[src] if (<Gap>gap).t_to >= before]
        if not floor.gaps[src]:
            del floor.gaps[src]
    return 0
