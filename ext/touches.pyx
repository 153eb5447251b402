# cython: boundscheck=False, wraparound=False
"""What concerns a shipment: see touches.pxd. Hot: `touch`, `touch_line`."""

from ext cimport stuck
from ext.keys cimport text_key
from ext.plan_data cimport FormerScope
from ext.readiness cimport READY, verdict_of
from ext.shipment_cartons cimport add_fed, home_of
from ext.state cimport B_TOUCHES, Cycle, ScopeLine, Touch, TouchList
from ext.store cimport List, index_of, length, nth
from ext.timers cimport NEVER, RANK_SHIPMENT
from ext.touch_list cimport first_after, touches_of
from ext.unready cimport can_end, doubt, predate, tell_unready


cdef int touch(Floor floor, Shipment* shipment, int64_t t, Fact* cause) except -1:
    """R51: a fact of event time `t` concerns this shipment: judge it when the watermark has passed `t`. R52: its end as a ready
    one is told at once."""
    cdef int i
    cdef bint first = True
    if shipment.plan_rev == 0:
        return 0
    stuck.on_shipment(floor, shipment, t, cause)
    i = first_after(shipment, t - 1)
    if i == touches_of(shipment) or shipment.touches.items[i].t != t:
        shipment.touches = <TouchList*>floor.store.room(B_TOUCHES, shipment.touches, i)
        shipment.touches.items[i] = Touch(t=t, cause=cause)
        watch(floor, shipment, t)
    else:
        first = comes_first(floor, shipment, cause, shipment.touches.items[i].cause, t)
        if first:
            shipment.touches.items[i].cause = cause
        if t < floor.state.watermark:   # passed before: judge again
            watch(floor, shipment, t)
    if not shipment.bound_watched:
        watch_bound(floor, shipment, t, cause)
    if t < shipment.manifest_t and can_end(shipment, cause, floor.state.ok):
        if shipment.told_ready or shipment.was_told_ready:
            doubt(floor, shipment, t)
        elif t < shipment.unready_at:
            predate(floor, shipment, t)
        elif t == shipment.unready_at and first and verdict_of(floor, shipment, t).kind != READY:
            tell_unready(floor, shipment, t, cause)
    return 0


cdef bint comes_first(Floor floor, const Shipment* shipment, const Fact* fact, const Fact* other, int64_t t) noexcept:
    """R52, R3: of several facts of one moment the cause is the first of those that can end a readiness; where none can, it
    is the last, which made it complete."""
    cdef bint ends
    if fact.t != t or other.t != t:
        return fact.t == t
    ends = can_end(shipment, fact, floor.state.ok)
    if ends != can_end(shipment, other, floor.state.ok):
        return ends
    return floor.precedes(fact, other) == ends


cdef bint is_ready_before(Floor floor, Shipment* shipment, int64_t t) except -1:
    """R55: R50 just before `t`, which the watermark has passed. Known without a question while it goes on being true, and looked
    at as long as it has not left."""
    cdef int i
    if shipment.true_now and shipment.turned < t and shipment.manifest_t == NEVER:
        i = first_after(shipment, shipment.evaluated)
        if i == touches_of(shipment) or shipment.touches.items[i].t >= t:
            return True
    return verdict_of(floor, shipment, t - 1).kind == READY


cdef int watch(Floor floor, Shipment* shipment, int64_t t) except -1:
    return floor.by_watermark.push(t, RANK_SHIPMENT, text_key(shipment.id), shipment, TAG_TOUCH, t)


cdef int touch_line(Floor floor, Line* line, int64_t t, Fact* cause) except -1:
    cdef int i
    stuck.on_line(floor, line, t, cause)
    for i in range(length(line.scopes)):
        touch(floor, (<ScopeLine*>nth(line.scopes, i)).shipment, t, cause)
    for i in range(length(line.changed.former)):        # who planned it then
        if t <= (<FormerScope*>nth(line.changed.former, i)).until:
            touch(floor, (<FormerScope*>nth(line.changed.former, i)).shipment, t, cause)
    return 0


cdef int touch_others(Floor floor, const Shipment* shipment, const Line* line, Fact* fact) except -1:
    """R52, R53: shipments with a share of the line are judged again: what `shipment` has of it is not what it was."""
    cdef Shipment* other
    cdef int i
    for i in range(length(line.scopes)):
        other = (<ScopeLine*>nth(line.scopes, i)).shipment
        if other != shipment:
            touch(floor, other, fact.t, fact)
    return 0


cdef int touch_holders(Floor floor, const PickWindow* window, Fact* cancel) except -1:
    """R50: a carton with pieces of what is cancelled may be of a shipment that does not plan the line."""
    cdef List* found = NULL
    cdef Shipment* shipment
    cdef Fact* fact
    cdef int i
    for i in range(length(window.facts)):
        fact = <Fact*>nth(window.facts, i)
        if fact.cycle != NULL and fact.t <= cancel.t and index_of(found, fact.cycle) < 0:
            add_fed(floor, fact.cycle, cancel.t, &found)
    for i in range(length(found)):
        shipment = home_of(<Cycle*>nth(found, i), cancel.t)
        if shipment != NULL:
            touch(floor, shipment, cancel.t, cancel)
    floor.store.free(found)
    return 0


cdef int watch_bound(Floor floor, Shipment* shipment, int64_t t, const Fact* cause) except -1:
    """`hold_wall_max_ms` after a fact's arrival nothing waits for it any more. One timer a shipment."""
    shipment.bound_watched = True
    return floor.by_wall.push(cause.t_rx + floor.rules.hold_wall_max, RANK_SHIPMENT, text_key(shipment.id), shipment,
                              TAG_FORCE, t)
