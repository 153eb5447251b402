# cython: boundscheck=False, wraparound=False
"""The end of a readiness (R52): see unready.pxd."""

from ext cimport carton_names, carton_state, correlations, riding
from ext.batch cimport ABSENT
from ext.json_writer cimport Digest, JsonWriter
from ext.kinds cimport (
    K_CARTON_OPEN, K_ITEM_LOST, K_ITEM_STRAY, K_LABEL_VERIFIED, K_LU_RELEASE, K_MANIFEST_RESULT, K_PACK_CONFIRM,
    K_PICK_CONFIRM, K_WEIGH,
)
from ext.leaving cimport left_at
from ext.outlet cimport EXACT, SHIPMENT_UNREADY
from ext.plans cimport plan_at
from ext.readiness cimport READY, verdict_of
from ext.shipment_names cimport subject_of
from ext.state cimport Touch
from ext.timers cimport NEVER
from ext.touch_list cimport first_after, touches_of
from ext.truths cimport end_pending

from ext.kinds import NAMES


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
    if kind == K_MANIFEST_RESULT:       # it has left, and is nothing less by that
        return False
    if (riding.is_place(kind) and kind != K_ITEM_LOST) or kind == K_LU_RELEASE:     # which takes it off its pallet (R48)
        return plan_at(shipment, fact.t).stage_required
    return not carton_state.closes(kind)


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
