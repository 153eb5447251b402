# cython: boundscheck=False, wraparound=False
"""Shipments (R50-R56): see shipments.pxd; what "ready" means stands in readiness.pyx. Hot: `touch_line`, `touch_cycle`."""

from libc.stdint cimport int32_t, uint64_t

from ext cimport carton_state, cartons, gaps, legality, manifests, riding, sights, stuck
from ext.batch cimport ABSENT
from ext.exceptions cimport SHP_EMPTY, SHP_HELD_SHORT, SHP_LOAD_BEFORE_READY, TIME_TOO_LATE
from ext.floor cimport first_from
from ext.json_writer cimport Digest, JsonWriter
from ext.keys cimport text_key
from ext.kinds cimport K_ITEM_LOST, K_LABEL_VERIFIED, K_PACK_CONFIRM, K_WEIGH
from ext.outlet cimport EXACT, INCOMPLETE, SHIPMENT_READY, SHIPMENT_UNREADY
from ext.packing cimport Contents, contents_of
from ext.readiness cimport EMPTY, HELD_SHORT, NOT_READY, READY, Verdict, correlation, last_planned, planned_at, verdict_of
from ext.shipment_names cimport alarm, quiet, subject_of
from ext.state cimport B_TOUCHES, Bytes, CartonPlan, Pending, ScopeLine, Touch, TouchList
from ext.store cimport List, index_of, length
from ext.timers cimport NEVER, RANK_SHIPMENT, RANK_SHIPMENT_EMIT
from ext.tombstones cimport is_buried
from ext.truths cimport drop_between, drop_pending, end_pending, forget_pending, has_pending, kept_truth, pending_of

from ext.kinds import NAMES


# ---------------------------------------------------------------------------------------------- touches

cdef inline int touches_of(const Shipment* shipment) noexcept:
    return shipment.touches.count if shipment.touches != NULL else 0


cdef int touch(Floor floor, Shipment* shipment, int64_t t, Fact* cause) except -1:
    """A fact of event time `t` concerns this shipment: judge it when the watermark has passed `t`."""
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
    if t < shipment.manifest_t:
        if shipment.stands or shipment.stood:
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
    cdef int kind = fact.kind
    if kind == K_WEIGH:
        return fact.cycle != NULL and carton_state.is_off(fact.cycle.plan, fact.weight_g)
    if kind == K_LABEL_VERIFIED:
        return fact.code != ok
    if riding.is_place(kind) and kind != K_ITEM_LOST:
        return shipment.stage_required
    return not carton_state.closes(kind)


cdef int watch(Floor floor, Shipment* shipment, int64_t t) except -1:
    return floor.by_watermark.push(t, RANK_SHIPMENT, text_key(shipment.id), shipment, TAG_TOUCH, t)


cdef int doubt(Floor floor, Shipment* shipment, int64_t t) except -1:
    """R52: what was told ready and is not any more, or was not when it left, by a fact that is known, is unready at once."""
    cdef int i
    cdef Touch* touched
    for i in range(first_after(shipment, max(t, shipment.evaluated) - 1), touches_of(shipment)):
        touched = &shipment.touches.items[i]
        if touched.t >= shipment.manifest_t:
            break
        if verdict_of(floor, shipment, touched.t).kind != READY:
            if is_after_use(touched.cause) or manifests.is_leaving(floor, shipment, touched.t - 1):
                break                   # it is judged when the watermark passes that
            return tell_unready(floor, shipment, touched.t, touched.cause)
    return 0


cdef bint is_after_use(const Fact* fact) noexcept:
    """R40: it came out of a unit whose use had ended, and may be of a next one of which nobody has told yet."""
    return fact.cycle != NULL and fact.cycle.end < fact.t


cdef int predate(Floor floor, Shipment* shipment, int64_t t) except -1:
    """R52, R3: the truth ended with the first fact that ended it, also where that comes after the one that was told,
    unless it was true again in between and that has lasted."""
    cdef int first = first_after(shipment, t - 1), i = first
    if verdict_of(floor, shipment, t).kind == READY or verdict_of(floor, shipment, t - 1).kind != READY:
        return 0
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
        touch(floor, (<ScopeLine*>line.scopes.items[i]).shipment, t, cause)
    return 0


cdef int touch_closed(Floor floor, const PickWindow* window, int64_t t) except -1:
    """A closing of that time was decided (R21 b, c, d). It may have been there before its window or its line's plan was."""
    cdef Fact* closing
    cdef int i
    for i in range(length(window.closings)):
        closing = <Fact*>window.closings.items[i]
        if closing.t == t:
            touch_line(floor, window.line, t, closing)
    return 0


cdef int touch_cycle(Floor floor, Cycle* cycle, Fact* cause) except -1:
    """A carton changed: the shipment that it is planned to, else those of the lines that lie in it."""
    cdef Shipment* shipment
    cdef Fact* fact
    cdef int i
    stuck.on_cycle(floor, cycle, cause)
    if cycle.plan == NULL or cycle.plan.shipment == NULL:
        return touch_contents(floor, cycle, cause)
    shipment = cycle.plan.shipment
    touch(floor, shipment, cause.t, cause)
    if cause.context:                   # newly bound or planned: all its facts concern the shipment from now on
        for i in range(length(cycle.facts)):
            fact = <Fact*>cycle.facts.items[i]
            touch(floor, shipment, fact.t, fact)
    return 0


cdef int touch_contents(Floor floor, Cycle* cycle, Fact* cause) except -1:
    cdef Contents contents
    cdef Line* line
    cdef Fact* fact
    cdef int i, k
    if cause.kind == K_PACK_CONFIRM and cause.move.moved != NULL:   # what left it is no longer in its contents
        for i in range(cause.move.moved.count):
            touch_line(floor, cause.move.moved.items[i].line, cause.t, cause)
    if not has_scopes(cycle):
        return 0
    contents = contents_of(cycle, NEVER - 1)
    for i in range(contents.count):
        line = contents.pieces[i].line
        touch_line(floor, line, cause.t, cause)
        for k in range(first_later(cycle, cause.t), length(cycle.facts)):   # a late pick: what came after it counts
            fact = <Fact*>cycle.facts.items[k]
            touch_line(floor, line, fact.t, fact)
    return 0


cdef bint has_scopes(const Cycle* cycle) noexcept:
    """Whether anything in it may be of a shipment."""
    cdef Fact* fact
    cdef int i
    if cycle.packs:
        return True
    for i in range(length(cycle.facts)):
        fact = <Fact*>cycle.facts.items[i]
        if fact.window != NULL and length(fact.window.line.scopes):
            return True
    return False


cdef int first_later(const Cycle* cycle, int64_t t) noexcept:
    cdef int i = length(cycle.facts)
    while i > 0 and (<Fact*>cycle.facts.items[i - 1]).t > t:
        i -= 1
    return i


cdef int touch_all(Floor floor, Shipment* shipment, Fact* cause) except -1:
    """A plan came, maybe after the work: everything already known of its lines and cartons touches it."""
    cdef Line* line
    cdef CartonPlan* plan
    cdef int i, k
    touch(floor, shipment, cause.t, cause)
    for i in range(length(shipment.scope)):
        line = (<ScopeLine*>shipment.scope.items[i]).line
        if line.cancelled_by != NULL:
            touch(floor, shipment, line.cancel_t, line.cancelled_by)
        for k in range(length(line.windows)):
            touch_window(floor, shipment, <PickWindow*>line.windows.items[k])
    for i in range(length(shipment.plans)):
        plan = <CartonPlan*>shipment.plans.items[i]
        touch(floor, shipment, plan.fact.t, plan.fact)
        for k in range(length(plan.cycles)):
            touch_facts(floor, shipment, (<Cycle*>plan.cycles.items[k]).facts)
    return 0


cdef int touch_facts(Floor floor, Shipment* shipment, const List* facts) except -1:
    cdef int i
    for i in range(length(facts)):
        touch(floor, shipment, (<Fact*>facts.items[i]).t, <Fact*>facts.items[i])
    return 0


cdef int touch_window(Floor floor, Shipment* shipment, const PickWindow* window) except -1:
    cdef Fact* fact
    cdef int i
    touch_facts(floor, shipment, window.closings)
    touch_facts(floor, shipment, window.facts)
    for i in range(length(window.facts)):
        fact = <Fact*>window.facts.items[i]
        if fact.cycle != NULL:
            touch_cycle(floor, fact.cycle, fact)
            touch_facts(floor, shipment, fact.cycle.facts)
    return 0


cdef int take_unit_fact(Floor floor, Fact* fact) except -1:
    """A fact about a load unit takes effect, and whoever it concerns is touched."""
    cdef LoadUnit* unit = floor.unit_of(fact.lu)
    cdef List* changed = NULL
    cdef int i
    cartons.attach(floor, unit, fact, &changed)
    legality.watch(floor, unit, fact)
    for i in range(length(changed)):
        touch_cycle(floor, <Cycle*>changed.items[i], fact)
    floor.store.free(changed)
    if length(unit.riders) and riding.is_place(fact.kind):
        changed = NULL
        riding.riders_at(floor, unit, fact.t, &changed)
        for i in range(length(changed)):
            touch_cycle(floor, <Cycle*>changed.items[i], fact)
        floor.store.free(changed)
    if fact.kind == K_ITEM_LOST:
        changed = NULL
        sights.found_after(floor, fact, &changed)
        for i in range(length(changed)):
            take_unit_fact(floor, <Fact*>changed.items[i])
        floor.store.free(changed)
    return 0


cdef int touch_ride(Floor floor, LoadUnit* unit, Fact* bind) except -1:
    """R48: bound to a parent, maybe late: what was told of the parent since concerns the unit's shipment."""
    cdef LoadUnit* parent = floor.unit_of(bind.parent)
    cdef Cycle* cycle
    cdef Fact* fact
    cdef int i = length(unit.cycles), k
    unit.rides = True
    if index_of(parent.riders, unit) < 0:
        floor.store.append(&parent.riders, unit)
    while i > 0:
        i -= 1
        cycle = <Cycle*>unit.cycles.items[i]
        touch_cycle(floor, cycle, bind)
        for k in range(first_from(parent.facts, bind.t), length(parent.facts)):
            fact = <Fact*>parent.facts.items[k]
            if riding.is_place(fact.kind):
                touch_cycle(floor, cycle, fact)
        if cycle.begin <= bind.t:       # what was over before does not ride
            break
    return 0


# ---------------------------------------------------------------------------------------------- judging

cdef inline bint same(const Digest* a, const Digest* b) noexcept:
    return a.a == b.a and a.b == b.b


cdef int on_touch(Floor floor, Shipment* shipment, int64_t t) except -1:
    """R51, R52: the watermark has passed a fact. What is true as of then waits for its hold; what is not ends."""
    cdef int64_t as_of = max(t, shipment.evaluated), since
    cdef Verdict verdict
    cdef Bytes* data
    cdef Fact* cause = cause_at(shipment, t)
    if shipment.manifest_t != NEVER or shipment.trailer_closes != NULL:
        manifests.on_later_fact(floor, shipment, t, cause)
    if shipment.manifest_t != NEVER:
        return 0
    if shipment.cancel_t <= as_of:
        quiet(floor, shipment, SHP_EMPTY, shipment.cancel_t, cause)
        return quiet(floor, shipment, SHP_HELD_SHORT, shipment.cancel_t, cause)
    verdict = verdict_of(floor, shipment, as_of)
    if verdict.kind == READY and as_of < last_planned(floor, shipment):
        return 0                        # by a plan whose own moment is to come; what was true before it is not known any more
    shipment.evaluated = as_of
    tell_blocker(floor, shipment, SHP_EMPTY, verdict.kind == EMPTY, as_of, cause)
    tell_blocker(floor, shipment, SHP_HELD_SHORT, verdict.kind == HELD_SHORT, as_of, cause)
    if (verdict.kind == READY) != shipment.true_now:
        stuck.on_turn(floor, shipment, as_of, cause)
    if verdict.kind != READY:
        shipment.true_now = False
        forget_pending(floor, shipment)
        return tell_unready(floor, shipment, as_of, cause) if shipment.stands else 0
    if shipment.true_now and same(&verdict.data, &shipment.true_data) and (
            shipment.stands or has_pending(shipment) or as_of < shipment.unready_at):
        return 0
    data = kept_truth(floor)
    since = t if t == as_of else start_of_truth(floor, shipment, &verdict.data, as_of)
    since = max(since, planned_at(floor, shipment))     # R51: `plan_rev` is part of it
    shipment.true_now = True
    shipment.true_data = verdict.data
    if as_of < shipment.unready_at or since + floor.rules.ready_hold >= shipment.cancel_t:
        return 0                        # its end was told before the watermark came to its middle, or it is known
    if shipment.held_since != ABSENT:   # what waits for a gap is not what is true any more
        shipment.held_since = ABSENT
        forget_pending(floor, shipment)
    drop_between(shipment, since, as_of)
    pending_of(floor, shipment, since)[0] = Pending(t=since, data=data, cause=cause_at(shipment, since))
    return floor.by_watermark.push(since + floor.rules.ready_hold, RANK_SHIPMENT_EMIT, text_key(shipment.id), shipment,
                                   TAG_READY, since)


cdef int tell_blocker(Floor floor, Shipment* shipment, int code, bint stands, int64_t t, const Fact* cause) except -1:
    """R50: raised while that alone keeps it from being ready."""
    if not stands:
        return quiet(floor, shipment, code, t, cause)
    if not shipment.alarms >> code & 1:
        alarm(floor, shipment, code, t, cause, "")
    return 0


cdef Fact* cause_at(const Shipment* shipment, int64_t t) noexcept:
    """The fact that touched it then."""
    return shipment.touches.items[first_after(shipment, t - 1)].cause


cdef int64_t start_of_truth(Floor floor, Shipment* shipment, const Digest* truth, int64_t as_of) except -1:
    """R51 for a truth that a late fact brought about: the first touch since when it has held."""
    cdef int64_t since = as_of
    cdef Verdict verdict
    cdef int i = first_after(shipment, as_of - 1)
    while i > 0:
        i -= 1
        verdict = verdict_of(floor, shipment, shipment.touches.items[i].t)
        if verdict.kind != READY or not same(&verdict.data, truth):
            break
        since = shipment.touches.items[i].t
    return since


cdef int on_hold_over(Floor floor, Shipment* shipment, int64_t since, bint forced, bint waited) except -1:
    """A truth has lasted `ready_hold_ms`: tell it. `forced`: by the wall clock's bound; `waited`: for a gap, long enough."""
    cdef Pending pending
    cdef int64_t blind
    cdef bint incomplete = forced and floor.state.watermark <= since + floor.rules.ready_hold
    cdef int i = 0
    while has_pending(shipment) and i < shipment.pending.count and shipment.pending.items[i].t != since:
        i += 1
    if not has_pending(shipment) or i == shipment.pending.count:
        return 0                        # it did not last
    pending = shipment.pending.items[i]
    blind = gaps.hold_of_shipment(floor, shipment, since)
    if blind:
        if not waited:
            return hold(floor, shipment, since, pending.cause, blind)
        incomplete = True
    drop_pending(shipment, i)
    if shipment.ready == NULL:
        if is_buried(floor, b"shipment/", shipment.id):
            return floor.outlet.raise_(TIME_TOO_LATE, pending.cause.src, floor.state.wall, pending.cause, "shipment.ready")
        floor.outlet.key_is(shipment.id)
        shipment.ready = floor.outlet.ledger(SHIPMENT_READY, shipment.id)
    floor.outlet.data.clear()
    floor.outlet.data.raw(pending.data.text, pending.data.length)
    floor.outlet.emit(shipment.ready, subject_of(shipment), since, correlation(shipment), pending.cause,
                      INCOMPLETE if incomplete else EXACT)
    quiet(floor, shipment, SHP_LOAD_BEFORE_READY, since, pending.cause)
    shipment.stands = True
    if shipment.cancelled_by != NULL:   # it came before this was due, and happened after it
        return tell_unready(floor, shipment, shipment.cancel_t, shipment.cancelled_by)
    return doubt(floor, shipment, since)


cdef int hold(Floor floor, Shipment* shipment, int64_t since, const Fact* cause, int64_t blind) except -1:
    """R7: readiness rests on the silence of its sources; inside a gap it waits."""
    if not shipment.held:
        floor.store.append(&floor.state.held, shipment)
        shipment.held = True
    if shipment.held_since != since:
        shipment.held_since, shipment.held_until = since, max(cause.t_rx, floor.state.wall) + blind
        floor.by_wall.push(shipment.held_until, RANK_SHIPMENT, text_key(shipment.id), shipment, gaps.TAG_GAP_HOLD, since)
    return 0


cdef int on_gap_hold_over(Floor floor, Shipment* shipment, int64_t since) except -1:
    """It has waited long enough for a gap, unless a late fact has changed what waits: that has a hold of its own."""
    if floor.state.wall >= shipment.held_until:
        on_hold_over(floor, shipment, since, False, True)
    return 0


cdef int ask_pending(Floor floor, Shipment* shipment, int64_t up_to, bint forced) except -1:
    """Ask every truth that began at or before `up_to` whether it has had its hold."""
    cdef int i = 0, before
    while has_pending(shipment) and i < shipment.pending.count:
        before = shipment.pending.count
        if shipment.pending.items[i].t <= up_to:
            on_hold_over(floor, shipment, shipment.pending.items[i].t, forced, False)
        if shipment.pending == NULL or shipment.pending.count == before:
            i += 1                      # else it was told, and the next one stands in its place
    return 0


cdef int release_held(Floor floor, Shipment* shipment) except -1:
    """A gap has closed: what has had its hold is asked again."""
    return ask_pending(floor, shipment, floor.state.watermark - floor.rules.ready_hold - 1, False)


cdef int watch_bound(Floor floor, Shipment* shipment, int64_t t, const Fact* cause) except -1:
    """`hold_wall_max_ms` after a fact's arrival nothing waits for it any more. One timer a shipment."""
    shipment.bound_watched = True
    return floor.by_wall.push(cause.t_rx + floor.rules.hold_wall_max, RANK_SHIPMENT, text_key(shipment.id), shipment,
                              TAG_FORCE, t)


cdef int on_bound(Floor floor, Shipment* shipment, int64_t t) except -1:
    """The wall clock's bound: neither a watermark that lags nor a hold is waited for any longer."""
    cdef int i
    shipment.bound_watched = False
    if shipment.evaluated < t:
        on_touch(floor, shipment, t)
    ask_pending(floor, shipment, t, True)
    i = first_after(shipment, max(t, shipment.evaluated))
    if i < touches_of(shipment):
        watch_bound(floor, shipment, shipment.touches.items[i].t, shipment.touches.items[i].cause)
    return 0


cdef int tell_unready(Floor floor, Shipment* shipment, int64_t t, const Fact* cause) except -1:
    """R52: it was told ready and is not any more."""
    cdef JsonWriter data = floor.outlet.data
    shipment.stands = shipment.stood = False
    shipment.unready_at = t
    forget_pending(floor, shipment)
    if shipment.unready == NULL:
        floor.outlet.key_is(shipment.id)
        shipment.unready = floor.outlet.ledger(SHIPMENT_UNREADY, shipment.id)
    data.clear()
    data.put(b"{")
    if cause.cycle != NULL:
        data.text_member(b'"carton":', cartons.name_of(floor, cause.cycle))
        data.put(b",")
    data.put(b'"cause":')
    data.text_of(NAMES[cause.kind])
    if cause.window != NULL:
        data.integer_member(b',"line":', cause.window.line.number)
        data.text_member(b',"order":', cause.window.line.order)
    data.put(b"}")
    floor.outlet.emit(shipment.unready, subject_of(shipment), t, correlation(shipment), cause, EXACT)
    return 0


# ---------------------------------------------------------------------------------------------- ends

cdef int cancel(Floor floor, Shipment* shipment, Fact* fact) except -1:
    """R56: before the manifest `shipment.unready` if it was ready, after it `shipment.voided`; nothing else."""
    shipment.cancelled_by = fact
    shipment.cancel_t = fact.t
    stuck.on_end(floor, shipment, fact)
    if shipment.manifest_t <= fact.t:
        return manifests.tell_voided(floor, shipment)
    end_pending(floor, shipment, fact.t)
    if shipment.stands or shipment.stood:
        tell_unready(floor, shipment, fact.t, fact)
    return touch(floor, shipment, fact.t, fact)     # what alone kept it back ends with it
