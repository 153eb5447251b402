# cython: boundscheck=False, wraparound=False
"""What a late plan touches: see hindsight.pxd."""

from libc.stdint cimport int64_t

from ext cimport carton_state, riding
from ext.kinds cimport K_ORDER_CHANGED, K_PICK_TASK, K_SHIPMENT_PLAN
from ext.shipment_cartons cimport add_fed
from ext.shipments cimport touch_cycle
from ext.state cimport CartonPlan, Cycle, PickWindow, ScopeLine
from ext.store cimport List, length, nth, remove_at
from ext.timers cimport ANY_TIME, NEVER
from ext.touch_list cimport touches_of
from ext.touches cimport touch, touch_line

cdef int WORDS_MAX = 16             # of the order systems on one line that are remembered; the oldest is forgotten first


cdef int take_word(Floor floor, Line* line, Fact* fact) except -1:
    """The order systems have said something of a line: it touches those that plan it, and is kept for those that will."""
    if not is_first_word(floor, line, fact):
        floor.store.append(&floor.changing(line).words, fact)
        if length(line.changed.words) > WORDS_MAX:
            remove_at(&floor.changing(line).words, 0)
    return touch_line(floor, line, fact.t, fact)


cdef bint is_first_word(Floor floor, const Line* line, const Fact* fact) noexcept:
    """The first is what a line begins with, and changes nothing: it is not kept, for most lines hear no other. An
    `order.changed` is never that, whatever else is late (R24)."""
    cdef int tasks = length(line.windows)
    if line.changed != floor.state.nothing_changed or tasks > 1 or fact.kind == K_ORDER_CHANGED:
        return False
    return tasks == 0 or (fact.kind == K_PICK_TASK and (<PickWindow*>nth(line.windows, 0)).planned_t == fact.t)


cdef int touch_all(Floor floor, Shipment* shipment, Fact* cause) except -1:
    """A plan came: all that is known of its lines and cartons from its moment on touches it. What was before that is judged
    without it, or by the plan that it replaces (R51)."""
    cdef List* cycles = NULL
    cdef CartonPlan* plan
    cdef int i, k
    touch(floor, shipment, cause.t, cause)
    for i in range(length(shipment.scope)):
        touch_scope(floor, shipment, (<ScopeLine*>nth(shipment.scope, i)).line, cause, &cycles)
    for i in range(length(shipment.plans)):
        plan = <CartonPlan*>nth(shipment.plans, i)
        touch_since(floor, shipment, plan.fact, cause.t)
        for k in range(length(plan.cycles)):
            add_fed(floor, <Cycle*>nth(plan.cycles, k), ANY_TIME, &cycles)
    for i in range(length(cycles)):
        touch_carton(floor, shipment, <Cycle*>nth(cycles, i), cause.t)
    floor.store.free(cycles)
    return 0


cdef int touch_scope(Floor floor, Shipment* shipment, Line* line, Fact* plan, List** cycles) except -1:
    """What was said and done of a line. Appends the cartons that its pieces went through."""
    cdef PickWindow* window
    cdef int64_t since = plan.t
    cdef int i
    touch_beginning(floor, shipment, line.known_t, plan)
    touch_facts(floor, shipment, line.changed.words, since)
    touch_sharers(floor, shipment, line, since)
    for i in range(length(line.windows)):
        window = <PickWindow*>nth(line.windows, i)
        touch_beginning(floor, shipment, window.planned_t, plan)
        touch_facts(floor, shipment, window.closings, since)
        touch_since(floor, shipment, window.trouble.cancelled_by, since)
        touch_pieces(floor, shipment, window.facts, since, cycles)
        touch_pieces(floor, shipment, window.trouble.other_sku, since, cycles)
    return touch_pieces(floor, shipment, line.packed, since, cycles)


cdef int touch_beginning(Floor floor, Shipment* shipment, int64_t t, Fact* plan) except -1:
    """R51: what was picked, or told short, before the line or task was asked for counts since then. That word is not kept, so the
    plan stands for it."""
    return touch(floor, shipment, t, plan) if plan.t < t < NEVER else 0


cdef int touch_sharers(Floor floor, Shipment* shipment, const Line* line, int64_t since) except -1:
    """R53: others that planned the line since have a share of it."""
    cdef Shipment* other
    cdef int i, k
    for i in range(length(line.scopes)):
        other = (<ScopeLine*>nth(line.scopes, i)).shipment
        for k in range(touches_of(other) if other != shipment else 0):
            if other.touches.items[k].cause.kind == K_SHIPMENT_PLAN:
                touch_since(floor, shipment, other.touches.items[k].cause, since)
    return 0


cdef int touch_pieces(Floor floor, Shipment* shipment, const List* facts, int64_t since, List** cycles) except -1:
    """Picks, reversals and moves, which by the plan may be another shipment's, too."""
    cdef Fact* fact
    cdef int i
    for i in range(length(facts)):
        fact = <Fact*>nth(facts, i)
        touch_since(floor, shipment, fact, since)
        if fact.cycle == NULL:
            continue
        if fact.t >= since:
            touch_cycle(floor, fact.cycle, fact)
        add_fed(floor, fact.cycle, ANY_TIME, cycles)
    return 0


cdef int touch_carton(Floor floor, Shipment* shipment, Cycle* cycle, int64_t since) except -1:
    """What happened to it and to what it rides on (R48), what released it (R45), and what its unit became next (R41)."""
    cdef List* sights = riding.sights_of(floor, cycle)
    cdef Cycle* other
    cdef int i
    touch_facts(floor, shipment, cycle.facts, since)
    if sights != cycle.facts:
        touch_facts(floor, shipment, sights, since)
        floor.store.free(sights)
    touch_facts(floor, shipment, carton_state.releases_of(floor, cycle), since)
    for i in range(length(cycle.unit.cycles)):
        other = <Cycle*>nth(cycle.unit.cycles, i)
        if other.begin == cycle.end:
            touch_since(floor, shipment, other.anchor, since)
    return 0


cdef int touch_facts(Floor floor, Shipment* shipment, const List* facts, int64_t since) except -1:
    cdef int i
    for i in range(length(facts)):
        touch_since(floor, shipment, <Fact*>nth(facts, i), since)
    return 0


cdef int touch_since(Floor floor, Shipment* shipment, Fact* fact, int64_t since) except -1:
    return touch(floor, shipment, fact.t, fact) if fact != NULL and fact.t >= since else 0
