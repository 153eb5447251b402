# cython: boundscheck=False, wraparound=False
"""Shipments (R50-R56): see shipments.pxd; what "ready" means stands in readiness.pyx. Hot: `touch_cycle`."""

from libc.stdint cimport int64_t

from ext cimport cartons, correlations, gaps, late_facts, legality, manifests, riding, sights, stuck
from ext.batch cimport ABSENT
from ext.exceptions cimport SHP_EMPTY, SHP_HELD_SHORT, SHP_LOAD_BEFORE_READY, TIME_TOO_LATE
from ext.floor cimport first_from
from ext.json_writer cimport Digest, is_same
from ext.keys cimport text_key
from ext.kinds cimport K_CARTON_PLAN, K_CARTON_VOID, K_ITEM_LOST, K_PACK_CONFIRM
from ext.leaving cimport left_at
from ext.outlet cimport EXACT, INCOMPLETE, SHIPMENT_READY
from ext.packing cimport Contents, contents_of
from ext.plan_data cimport FormerHome
from ext.readiness cimport EMPTY, HELD_SHORT, READY, Verdict, verdict_of
from ext.shipment_cartons cimport planned_home
from ext.shipment_names cimport alarm, quiet, subject_of
from ext.state cimport Bytes, Line, Pending, ScopeLine, Touch
from ext.store cimport List, first, index_of, last, length, nth
from ext.timers cimport ANY_TIME, NEVER, RANK_SHIPMENT, RANK_SHIPMENT_EMIT
from ext.tombstones cimport is_buried
from ext.touch_list cimport first_after, touches_of
from ext.touches cimport touch, touch_line, touch_others, watch_bound
from ext.truths cimport (
    begins_by, drop_between, drop_pending, end_pending, has_ended, has_pending, kept_truth, pending_of,
)
from ext.unready cimport can_end, doubt, tell_end, tell_unready


# ---------------------------------------------------------------------------------------------- touches

cdef int touch_cycle(Floor floor, Cycle* cycle, Fact* cause) except -1:
    """A carton changed, which concerns the shipment that it is planned to, else those of the lines that lie in it."""
    cdef FormerHome* former
    cdef int i
    stuck.on_cycle(floor, cycle, cause)
    if planned_home(cycle, cause.t - 1).shipment == NULL or cause.kind == K_CARTON_VOID:
        touch_contents(floor, cycle, cause)     # R53, R56: what was voided is no share of its lines any more
    if cycle.plan == NULL:
        return 0
    if cycle.plan.shipment != NULL:
        touch_home(floor, cycle.plan.shipment, cycle, cause)
    for i in range(length(cycle.plan.former)):
        former = <FormerHome*>nth(cycle.plan.former, i)
        if former.shipment != NULL and former.shipment != cycle.plan.shipment and cause.t <= former.until:
            touch_home(floor, former.shipment, cycle, cause)
    return 0


cdef int touch_home(Floor floor, Shipment* shipment, Cycle* cycle, Fact* cause) except -1:
    cdef Fact* fact
    cdef int i
    touch(floor, shipment, cause.t, cause)
    if is_newly_its(cycle, cause):      # its facts concern the shipment from that moment on
        if cause.kind != K_CARTON_PLAN and (cause.context or cause.carton):
            touch_contents(floor, cycle, cause)     # R53: and no more that of its contents, whose it was without a plan
        for i in range(first_from(cycle.facts, cause.t), length(cycle.facts)):
            fact = <Fact*>nth(cycle.facts, i)
            touch(floor, shipment, fact.t, fact)
    return 0


cdef bint is_newly_its(const Cycle* cycle, const Fact* cause) noexcept:
    """Whether `cause` says that the unit is this carton, or since when: a bind, a plan, a name, or what begins or ends its use.
    Then facts that arrived before `cause` concern the shipment only now."""
    return cause.context or cause.carton != 0 or cause.cycle != cycle or first(cycle.facts) == cause


cdef int touch_contents(Floor floor, Cycle* cycle, Fact* cause) except -1:
    cdef int i
    if cause.kind == K_PACK_CONFIRM and cause.move.moved != NULL:   # what left it is no longer in its contents
        for i in range(cause.move.moved.count):
            touch_line(floor, cause.move.moved.items[i].line, cause.t, cause)
    if floor.state.shipments.count == 0 or not has_scopes(cycle):
        return 0
    if cycle.packs and (<Fact*>last(cycle.facts)).t > cause.t:      # R3: what it held then may have left it since
        touch_lying(floor, cycle, contents_of(cycle, cause.t), cause)
    return touch_lying(floor, cycle, contents_of(cycle, ANY_TIME), cause)


cdef int touch_lying(Floor floor, Cycle* cycle, Contents contents, Fact* cause) except -1:
    cdef Line* line
    cdef Fact* fact
    cdef int i, k
    for i in range(contents.count):
        line = contents.pieces[i].line
        touch_line(floor, line, cause.t, cause)
        for k in range(first_from(cycle.facts, cause.t), length(cycle.facts)):      # a late pick: what came after it counts
            fact = <Fact*>nth(cycle.facts, k)
            touch_line(floor, line, fact.t, fact)
    return 0


cdef bint has_scopes(const Cycle* cycle) noexcept:
    """Whether anything in it may be of a shipment."""
    cdef Fact* fact
    cdef int i
    if cycle.packs:
        return True
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if fact.window != NULL and length(fact.window.line.scopes):
            return True
    return False


cdef int touch_sharing(Floor floor, const Shipment* shipment, const List* scope, Fact* cause) except -1:
    """R53: it has a share of these lines now, or none any more; that concerns the others that share them."""
    cdef int i
    for i in range(length(scope)):
        touch_others(floor, shipment, (<ScopeLine*>nth(scope, i)).line, cause)
    return 0


cdef int take_unit_fact(Floor floor, Fact* fact) except -1:
    """A fact about a load unit takes effect, and whoever it concerns is touched."""
    cdef LoadUnit* unit = floor.unit_of(fact.lu)
    cdef List* changed = NULL
    cdef int i
    cartons.attach(floor, unit, fact, &changed)
    legality.watch(floor, unit, fact)
    if fact.context:
        late_facts.judge_again(floor, changed)
    for i in range(length(changed)):
        touch_cycle(floor, <Cycle*>nth(changed, i), fact)
    floor.store.free(changed)
    if length(unit.riders) and riding.is_place(fact.kind):
        changed = NULL
        riding.riders_at(floor, unit, fact.t, &changed)
        for i in range(length(changed)):
            touch_cycle(floor, <Cycle*>nth(changed, i), fact)
        floor.store.free(changed)
    if fact.kind == K_ITEM_LOST:
        changed = NULL
        sights.found_after(floor, fact, &changed)
        for i in range(length(changed)):
            take_unit_fact(floor, <Fact*>nth(changed, i))
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
        cycle = <Cycle*>nth(unit.cycles, i)
        touch_cycle(floor, cycle, bind)
        for k in range(first_from(parent.facts, bind.t), length(parent.facts)):
            fact = <Fact*>nth(parent.facts, k)
            if riding.is_place(fact.kind):
                touch_cycle(floor, cycle, fact)
        if cycle.begin <= bind.t:       # what was over before does not ride
            break
    return 0


# ---------------------------------------------------------------------------------------------- judging

cdef int on_touch(Floor floor, Shipment* shipment, int64_t t) except -1:
    """R51, R52: the watermark has passed a fact. What is true as of then waits for its hold; what is not ends."""
    cdef int64_t as_of = max(t, shipment.evaluated)
    cdef Verdict verdict
    cdef bint late = t <= shipment.evaluated
    cdef Fact* cause = cause_at(shipment, t)
    if shipment.manifest_t != NEVER or shipment.trailer_closes != NULL:
        manifests.on_later_fact(floor, shipment, t, cause)
    if shipment.manifest_t != NEVER:
        return 0 if shipment.manifest_t <= as_of else judge_blockers(
            floor, shipment, verdict_of(floor, shipment, as_of), as_of, cause)
    if shipment.cancel_t <= as_of:
        if shipment.told_ready:             # it seemed to have left before
            tell_end(floor, shipment, shipment.cancelled_by)
        quiet(floor, shipment, SHP_EMPTY, shipment.cancel_t, cause)
        return quiet(floor, shipment, SHP_HELD_SHORT, shipment.cancel_t, cause)
    if shipment.true_now and (shipment.told_ready or has_pending(shipment)) and not can_end(shipment, cause, floor.state.ok):
        shipment.evaluated = as_of      # it is as ready as it was
        return 0
    verdict = verdict_of(floor, shipment, as_of)
    judge_blockers(floor, shipment, verdict, as_of, cause)
    if (verdict.kind == READY) != shipment.true_now:
        stuck.on_turn(floor, shipment, as_of, cause)
    if verdict.kind != READY:
        shipment.true_now = False
        end_pending(floor, shipment, as_of)
        return tell_unready(floor, shipment, as_of, cause) if shipment.told_ready else 0
    return take_truth(floor, shipment, &verdict.data, as_of, late)


cdef int take_truth(Floor floor, Shipment* shipment, const Digest* truth, int64_t as_of, bint late) except -1:
    """R51: it is ready as of a moment. Unless that is told, or waits already, it waits for its hold, from the fact on since
    when it is so. `late`: by a fact from before that moment."""
    cdef int64_t since = as_of
    cdef bint known = shipment.true_now and is_same(truth, &shipment.true_data)
    cdef Bytes* data
    if known and (shipment.told_ready or as_of < shipment.unready_at or (has_pending(shipment) and not late)):
        return 0
    data = kept_truth(floor)
    if late or known:
        since = start_of_truth(floor, shipment, truth, as_of)
    if known and has_pending(shipment) and begins_by(shipment, since):
        floor.store.free(data)
        return 0
    shipment.true_now = True
    shipment.true_data = truth[0]
    if as_of < shipment.unready_at <= since + floor.rules.ready_hold or since + floor.rules.ready_hold >= shipment.cancel_t:
        return 0                        # it did not last: its end was told before the watermark came to its middle
    if shipment.held_truth != ABSENT:   # what waits for a gap is not what is true any more
        end_pending(floor, shipment, since)
        shipment.held_truth = ABSENT
    drop_between(shipment, since, as_of)
    pending_of(floor, shipment, since)[0] = Pending(t=since, data=data, cause=cause_at(shipment, since))
    return floor.by_watermark.push(since + floor.rules.ready_hold, RANK_SHIPMENT_EMIT, text_key(shipment.id), shipment,
                                   TAG_READY, since)


cdef int judge_blockers(Floor floor, Shipment* shipment, Verdict verdict, int64_t as_of, const Fact* cause) except -1:
    """R50: as of a moment that the watermark has passed, also of one before a manifest that came first (R3)."""
    shipment.evaluated = as_of
    judge_blocker(floor, shipment, SHP_EMPTY, verdict.kind == EMPTY, as_of, cause)
    return judge_blocker(floor, shipment, SHP_HELD_SHORT, verdict.kind == HELD_SHORT, as_of, cause)


cdef int judge_blocker(Floor floor, Shipment* shipment, int code, bint stands, int64_t t, const Fact* cause) except -1:
    """R50: raised while that alone keeps it from being ready."""
    if not stands:
        return quiet(floor, shipment, code, t, cause)
    if not shipment.alarms >> code & 1:
        alarm(floor, shipment, code, t, cause, "")
    return 0


cdef Fact* cause_at(const Shipment* shipment, int64_t t) noexcept:
    """The fact that touched it then."""
    return shipment.touches.items[first_after(shipment, t - 1)].cause


cdef int64_t start_of_truth(Floor floor, Shipment* shipment, const Digest* truth, int64_t as_of) except? -1:
    """R51 for a truth that a late fact brought about: the first touch since when it has held."""
    cdef int64_t since = as_of
    cdef Verdict verdict
    cdef int i = first_after(shipment, as_of - 1)
    while i > 0:
        i -= 1
        verdict = verdict_of(floor, shipment, shipment.touches.items[i].t)
        if verdict.kind != READY or not is_same(&verdict.data, truth):
            break
        since = shipment.touches.items[i].t
    return since


cdef int on_hold_over(Floor floor, Shipment* shipment, int64_t since, bint forced) except -1:
    """R51: a truth has lasted `ready_hold_ms`: tell it. `forced`: by the wall clock's bound."""
    cdef Pending pending
    cdef int64_t blind
    cdef bint incomplete = forced and floor.state.watermark <= since + floor.rules.ready_hold
    cdef bint ended
    cdef int i = number_of_pending(shipment, since)
    if i < 0 or (incomplete and ends_within_hold(floor, shipment, since)):
        return 0                        # it did not last
    pending = shipment.pending.items[i]
    ended = has_ended(shipment, since) or shipment.manifest_t != NEVER
    blind = gaps.hold_of_shipment(floor, shipment, since, False)
    if blind:
        if ended and gaps.hold_of_shipment(floor, shipment, since, True):
            return drop_pending(shipment, i)
        if ended:                       # R6: the jump may be none yet
            return wait_for_gap(floor, shipment)
        if hold_for_gap(floor, shipment, since, pending.cause, blind):
            return 0
        incomplete = True
    drop_pending(shipment, i)
    if shipment.ready == NULL and is_buried(floor, b"shipment/", shipment.id):
        return floor.outlet.raise_(TIME_TOO_LATE, pending.cause.src, floor.state.wall, pending.cause, "shipment.ready")
    tell_ready(floor, shipment, &pending, INCOMPLETE if incomplete else EXACT)
    if shipment.manifest_t != NEVER:    # R6: a jump was none, and it has left meanwhile
        shipment.told_ready, shipment.was_told_ready = False, True
        return 0
    if ended and tell_end_of(floor, shipment, since):
        return 0
    return doubt(floor, shipment, since + 1)


cdef int tell_ready(Floor floor, Shipment* shipment, const Pending* truth, int evidence) except -1:
    """R51, R52: `shipment.ready`, at the time of the fact that made it true. R55: it was loaded too early no longer."""
    if shipment.ready == NULL:
        floor.outlet.key_is(shipment.id)
        shipment.ready = floor.outlet.ledger(SHIPMENT_READY, shipment.id)
    floor.outlet.data.clear()
    floor.outlet.data.raw(truth.data.text, truth.data.length)
    floor.outlet.emit(shipment.ready, subject_of(shipment), truth.t, correlations.of_shipment(shipment, truth.t), truth.cause,
                      evidence)
    shipment.ready_at, shipment.ready_cause = truth.t, truth.cause
    shipment.early_load_told = shipment.alarms >> SHP_LOAD_BEFORE_READY & 1
    quiet(floor, shipment, SHP_LOAD_BEFORE_READY, truth.t, truth.cause)
    if not shipment.told_ready and shipment.unready != NULL:
        shipment.unready.said = Digest(a=0, b=0)    # the same unready once more is news from now on
    shipment.told_ready = True
    return 0


cdef bint tell_end_of(Floor floor, Shipment* shipment, int64_t since) except -1:
    """Of a truth that was told when the watermark had passed its end."""
    cdef const Touch* touched
    cdef int i
    for i in range(first_after(shipment, since), first_after(shipment, shipment.evaluated)):
        touched = &shipment.touches.items[i]
        if verdict_of(floor, shipment, touched.t).kind != READY:
            tell_unready(floor, shipment, touched.t, touched.cause)
            return True
    return False


cdef bint ends_within_hold(Floor floor, Shipment* shipment, int64_t since) except -1:
    """Is it known already of a truth whose end the watermark has not passed yet that it will not last?"""
    cdef int i = first_after(shipment, since)
    while i < touches_of(shipment) and shipment.touches.items[i].t <= since + floor.rules.ready_hold:
        if verdict_of(floor, shipment, shipment.touches.items[i].t).kind != READY:
            return True
        i += 1
    return False


cdef bint hold_for_gap(Floor floor, Shipment* shipment, int64_t since, const Fact* cause, int64_t blind) except -1:
    """R7: readiness rests on the silence of its sources; inside a gap it waits, as long as those want that are open."""
    if shipment.held_truth != since:    # what a late fact has changed has a hold of its own
        shipment.held_truth, shipment.held_from, shipment.held_until = since, max(cause.t_rx, floor.state.wall), 0
    if shipment.held_from + blind <= floor.state.wall:
        return False
    wait_for_gap(floor, shipment)
    if shipment.held_until != shipment.held_from + blind:
        shipment.held_until = shipment.held_from + blind
        floor.by_wall.push(shipment.held_until, RANK_SHIPMENT, text_key(shipment.id), shipment, gaps.TAG_GAP_HOLD, since)
    return True


cdef int wait_for_gap(Floor floor, Shipment* shipment) except -1:
    if not shipment.held:
        floor.store.append(&floor.state.held, shipment)
        shipment.held = True
    return 0


cdef int on_gap_hold_over(Floor floor, Shipment* shipment, int64_t since) except -1:
    """It has waited long enough for a gap, if that is what still waits."""
    return on_hold_over(floor, shipment, since, False) if shipment.held_truth == since else 0


cdef int number_of_pending(const Shipment* shipment, int64_t since) noexcept:
    """Which of its waiting truths began then; -1: none."""
    cdef int i
    for i in range(shipment.pending.count if shipment.pending != NULL else 0):
        if shipment.pending.items[i].t == since:
            return i
    return -1


cdef int ask_pending(Floor floor, Shipment* shipment, int64_t up_to, bint forced) except -1:
    """Ask every truth that began at or before `up_to` whether it has had its hold."""
    cdef int i = 0, before
    while has_pending(shipment) and i < shipment.pending.count:
        before = shipment.pending.count
        if shipment.pending.items[i].t <= up_to:
            on_hold_over(floor, shipment, shipment.pending.items[i].t, forced)
        if shipment.pending == NULL or shipment.pending.count == before:
            i += 1                      # else it was told, and the next one stands in its place
    return 0


cdef int release_held(Floor floor, Shipment* shipment) except -1:
    """R7: the gaps have changed: what has had its hold is asked again."""
    return ask_pending(floor, shipment, floor.state.watermark - floor.rules.ready_hold - 1, False)


cdef int judge_up_to(Floor floor, Shipment* shipment, int64_t t, bint forced) except -1:
    """Every touch that the watermark has not come to, in its order: what has lasted when it ends is told before."""
    cdef int i = first_after(shipment, shipment.evaluated)
    while i < touches_of(shipment) and shipment.touches.items[i].t <= t:
        ask_pending(floor, shipment, shipment.touches.items[i].t - floor.rules.ready_hold - 1, forced)
        on_touch(floor, shipment, shipment.touches.items[i].t)
        i += 1
    return 0


cdef int on_bound(Floor floor, Shipment* shipment, int64_t t) except -1:
    """The wall clock's bound: neither a watermark that lags nor a hold is waited for any longer."""
    cdef int i
    shipment.bound_watched = False
    judge_up_to(floor, shipment, t, True)
    ask_pending(floor, shipment, t, True)
    i = first_after(shipment, max(t, shipment.evaluated))
    if i < touches_of(shipment):
        watch_bound(floor, shipment, shipment.touches.items[i].t, shipment.touches.items[i].cause)
    return 0


cdef int tell_lasted(Floor floor, Shipment* shipment, int64_t t) except -1:
    """R51, R54: the TMS's word of `t` has come. What was ready and had lasted by then is told before it: the watermark
    need not have come there, and afterwards nothing is told of it any more, but for what waits for a jump (R6)."""
    if shipment.manifest_t != NEVER:
        return 0
    t = min(t, shipment.cancel_t, left_at(floor, shipment, t))
    judge_up_to(floor, shipment, t - 1, False)
    return ask_pending(floor, shipment, t - floor.rules.ready_hold - 1, False)


# ---------------------------------------------------------------------------------------------- ends

cdef int cancel(Floor floor, Shipment* shipment, Fact* fact) except -1:
    """R56: before the manifest `shipment.unready` if it was ready, after it `shipment.voided`; nothing else."""
    shipment.cancelled_by = fact
    shipment.cancel_t = fact.t
    stuck.on_end(floor, shipment, fact)
    if manifests.left_before(floor, shipment, fact):
        return manifests.tell_voided(floor, shipment)
    end_pending(floor, shipment, fact.t)
    if (shipment.told_ready or shipment.was_told_ready) and left_at(floor, shipment, fact.t - 1) == NEVER:
        tell_end(floor, shipment, fact)     # else the trailers that took it are judged when the watermark passes them
    return touch(floor, shipment, fact.t, fact)     # what alone kept it back ends with it
