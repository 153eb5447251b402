# cython: boundscheck=False, wraparound=False
"""What concerns a shipment, and its end as a ready one: see touches.pxd. Hot: `touch`, `touch_line`.

R52, when a fact has come that can end a readiness (`can_end`):

- It was told ready. `doubt` looks for the touch since that fact by which it is not ready any more (`first_of_end`), or finds that
  it was not so at the time that was told (`was_never_so`). What may be of a unit's next use waits for the watermark.
- It was told unready, with a later time: `predate` tells the end anew, with the fact that came before the one that was told.
- It was told unready, with this very time: the cause is the first of the two by R3 (`comes_first`).
"""

from ext cimport carton_names, carton_state, correlations, riding, stuck
from ext.batch cimport ABSENT
from ext.json_writer cimport Digest, JsonWriter
from ext.keys cimport text_key
from ext.kinds cimport (
    K_CARTON_OPEN, K_ITEM_LOST, K_ITEM_STRAY, K_LABEL_VERIFIED, K_PACK_CONFIRM, K_PICK_CONFIRM, K_WEIGH,
)
from ext.leaving cimport left_at
from ext.outlet cimport EXACT, SHIPMENT_UNREADY
from ext.plan_data cimport FormerScope
from ext.plans cimport plan_at
from ext.readiness cimport READY, verdict_of
from ext.shipment_cartons cimport add_fed, home_of
from ext.shipment_names cimport subject_of
from ext.state cimport B_TOUCHES, Cycle, ScopeLine, Touch, TouchList
from ext.store cimport List, index_of, length, nth
from ext.timers cimport NEVER, RANK_SHIPMENT
from ext.truths cimport end_pending

from ext.kinds import NAMES


cdef int touches_of(const Shipment* shipment) noexcept:
    return shipment.touches.count if shipment.touches != NULL else 0


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


cdef bint can_end(const Shipment* shipment, const Fact* fact, int32_t ok) noexcept:
    """R52: whether a fact can make a shipment that is ready not ready. `ok`: the text of a label that was read well."""
    cdef int kind = fact.kind
    if fact.context and fact.follows and fact.qty == 0:     # a deadline or cutoff opens no window (R21)
        return False
    if kind == K_WEIGH:
        return fact.cycle != NULL and carton_state.is_off(fact.cycle.plan, fact.weight_g, fact.t)
    if kind == K_LABEL_VERIFIED:
        return fact.code != ok
    if kind == K_ITEM_STRAY:            # or any sight, which is taken for one: it was found (R64)
        return False
    if riding.is_place(kind) and kind != K_ITEM_LOST:
        return plan_at(shipment, fact.t).stage_required
    return not carton_state.closes(kind)


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


cdef int doubt(Floor floor, Shipment* shipment, int64_t t) except -1:
    """R52: it was told ready. If it is so no longer, or was not when it left, by a fact that is known, it is unready at once."""
    cdef int i, ended
    cdef Touch* touched
    if was_never_so(floor, shipment, t):
        return 0
    for i in range(first_after(shipment, max(t, passed(floor, shipment)) - 1), touches_of(shipment)):
        touched = &shipment.touches.items[i]
        if touched.t >= shipment.manifest_t:
            break
        ended = first_of_end(floor, shipment, t, i)
        if ended >= 0:
            touched = &shipment.touches.items[ended]
            if (may_be_of_next_use(touched.cause) or first_waiting(floor, shipment, touched.t) >= 0
                    or left_at(floor, shipment, touched.t - 1) != NEVER):
                break                   # it is judged when the watermark passes that
            return tell_unready(floor, shipment, touched.t, touched.cause)
    return 0


cdef bint was_never_so(Floor floor, Shipment* shipment, int64_t t) except -1:
    """R52: by a late fact of `t` it was not ready at the time that was told, or no longer at the fact's own, whatever has made it
    ready again since: that is another truth (R51), and told as one."""
    cdef const Touch* touched
    cdef int64_t at = max(t, shipment.ready_at)
    cdef int ended
    if not shipment.told_ready or at >= passed(floor, shipment) or verdict_of(floor, shipment, at).kind == READY:
        return False
    ended = first_of_end(floor, shipment, t, first_after(shipment, at) - 1)
    if ended < 0:
        return False
    touched = &shipment.touches.items[ended]
    if may_be_of_next_use(touched.cause) or left_at(floor, shipment, touched.t - 1) != NEVER:
        return False
    tell_unready(floor, shipment, touched.t, touched.cause)
    return True


cdef int64_t passed(Floor floor, const Shipment* shipment) noexcept:
    """Up to where it was judged because the watermark came there. A manifest's word has what lies beyond judged as well (R54),
    but what comes after that, and is before the watermark, is in time all the same."""
    if floor.state.watermark == ABSENT:
        return ABSENT
    return min(shipment.evaluated, floor.state.watermark - 1)


cdef int first_of_end(Floor floor, Shipment* shipment, int64_t t, int i) except? -2:
    """The touch since `t` by which it is not ready at touch number `i`; -1: it is ready, or none of them can have ended it. A
    late fact ended it when it happened, not with what was judged last since."""
    cdef int ended = -1
    if t >= passed(floor, shipment) and not can_end(shipment, shipment.touches.items[i].cause, floor.state.ok):
        return -1
    while i >= 0 and shipment.touches.items[i].t >= t:
        if verdict_of(floor, shipment, shipment.touches.items[i].t).kind == READY:
            break
        if can_end(shipment, shipment.touches.items[i].cause, floor.state.ok):
            ended = i
        i -= 1
    return ended


cdef bint may_be_of_next_use(const Fact* fact) noexcept:
    """R40: it falls after the end of its unit's use, or is what a use begins with: it may be of a next use, of which nobody has
    told yet."""
    cdef int kind = fact.kind
    return fact.cycle != NULL and (fact.cycle.end < fact.t or kind == K_PICK_CONFIRM or kind == K_PACK_CONFIRM
                                   or kind == K_CARTON_OPEN)


cdef int first_waiting(Floor floor, Shipment* shipment, int64_t t) except? -2:
    """The first touch before `t` that waits for the watermark and by which it is not ready any more; -1: none."""
    cdef int i = first_after(shipment, passed(floor, shipment))
    while i < touches_of(shipment) and shipment.touches.items[i].t < t:
        if (may_be_of_next_use(shipment.touches.items[i].cause)
                and verdict_of(floor, shipment, shipment.touches.items[i].t).kind != READY):
            return i
        i += 1
    return -1


cdef int tell_end(Floor floor, Shipment* shipment, Fact* cause) except -1:
    """R52, R56: its readiness ends with this, unless something that waits for the watermark has ended it before."""
    cdef int i = first_waiting(floor, shipment, cause.t)
    if i >= 0:
        return tell_unready(floor, shipment, shipment.touches.items[i].t, shipment.touches.items[i].cause)
    return tell_unready(floor, shipment, cause.t, cause)


cdef int predate(Floor floor, Shipment* shipment, int64_t t) except -1:
    """R52, R3: a fact of `t` shows that a readiness ended earlier than was told: tell its end anew, with the first fact that ended
    it, unless the shipment was ready again in between for as long as its hold."""
    cdef int first = first_after(shipment, t - 1), i
    while first < touches_of(shipment) and shipment.touches.items[first].t < shipment.unready_at and verdict_of(
            floor, shipment, shipment.touches.items[first].t).kind == READY:
        first += 1
    if first == touches_of(shipment):
        return 0
    t = shipment.touches.items[first].t
    if t >= shipment.unready_at or verdict_of(floor, shipment, t - 1).kind != READY:
        return 0
    i = first
    while i < touches_of(shipment) and shipment.touches.items[i].t + floor.rules.ready_hold < shipment.unready_at:
        if verdict_of(floor, shipment, shipment.touches.items[i].t).kind == READY:
            return 0
        i += 1
    return tell_unready(floor, shipment, t, shipment.touches.items[first].cause)


cdef int first_after(const Shipment* shipment, int64_t t) noexcept:
    """The first touch later than `t`; mostly near the end."""
    cdef int i = touches_of(shipment)
    while i > 0 and shipment.touches.items[i - 1].t > t:
        i -= 1
    return i


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


cdef int tell_unready(Floor floor, Shipment* shipment, int64_t t, const Fact* cause) except -1:
    """R52: it was told ready and is not any more."""
    cdef JsonWriter data = floor.outlet.data
    shipment.told_ready = shipment.was_told_ready = False
    shipment.unready_at = t
    shipment.ready.said = Digest(a=0, b=0)      # R52: the same once more is news from now on
    end_pending(floor, shipment, t)             # R51: what has lasted by then is told when the watermark comes there
    if shipment.unready == NULL:
        floor.outlet.key_is(shipment.id)
        shipment.unready = floor.outlet.ledger(SHIPMENT_UNREADY, shipment.id)
    data.clear()
    data.put(b"{")
    if cause.cycle != NULL:
        data.text_member(b'"carton":', carton_names.name_of(floor, cause.cycle))
        data.put(b",")
    data.put(b'"cause":')
    data.text_of(NAMES[cause.kind])
    if cause.window != NULL:
        data.integer_member(b',"line":', cause.window.line.number)
        data.text_member(b',"order":', cause.window.line.order)
    data.put(b"}")
    floor.outlet.emit(shipment.unready, subject_of(shipment), t, correlations.of_shipment(shipment, t), cause, EXACT)
    return 0
