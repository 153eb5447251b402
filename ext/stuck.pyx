# cython: boundscheck=False, wraparound=False
"""What is stuck: see stuck.pxd; which state a thing is in stands in standing.pyx, what it waits for in stuck_words.pyx."""

from ext cimport carton_names, stuck_words
from ext.asked cimport told_at
from ext.exceptions cimport PCK_STUCK, PKG_STUCK, SHP_STUCK
from ext.keys cimport KEY_ORDER, Key, text_key
from ext.kinds cimport (
    K_CARTON_CLOSE, K_CARTON_OPEN, K_CARTON_REOPEN, K_CARTON_VOID, K_PACK_CONFIRM, K_SCAN_READ,
)
from ext.packing cimport Contents, contents_of
from ext.shipment_cartons cimport cycles_of, home_of
from ext.standing cimport S_OVER, Standing, of_cycle, of_line, of_order, of_plan, of_shipment
from ext.state cimport B_CYCLE, B_ORDER, B_PLAN, Order, PickWindow, ScopeLine, Watch
from ext.store cimport List, head_of, length, nth
from ext.timers cimport ANY_TIME, NEVER, RANK_CONTEXT


# ---------------------------------------------------------------------------------------------- what moved

cdef int moved(Floor floor, void* target, Watch* watch, Fact** youngest, int64_t t, Fact* cause) except -1:
    """A fact about the thing has come. One that is dated ahead (a deadline) is looked at when its time comes."""
    cdef int64_t now = floor.state.greatest
    if youngest[0] == NULL or (cause.t <= now and (youngest[0].t > now or floor.precedes(youngest[0], cause))):
        youngest[0] = cause
    if watch.stuck_at > 0:
        return floor.by_watermark.push(t, RANK_CONTEXT, key_of(target), target, TAG_MOVED, t)
    t = min(t, floor.state.greatest) + floor.rules.stuck
    if watch.stuck_at < 0 and -watch.stuck_at <= t:     # R3: else it stands for longer than was known
        return 0
    return look_at(floor, target, watch, t)


cdef int look_at(Floor floor, void* target, Watch* watch, int64_t t) except -1:
    """It has one timer that counts, the last one that was set."""
    watch.stuck_at = -t
    return floor.by_watermark.push(t, RANK_CONTEXT, key_of(target), target, TAG_STUCK, t)


cdef int line_moved(Floor floor, Line* line, int64_t t, Fact* cause) except -1:
    return moved(floor, line.of, &line.of.watch, &line.of.youngest, t, cause)


cdef int cycle_moved(Floor floor, Cycle* cycle, Fact* cause) except -1:
    """The carton, its plan, and where it closes, opens or changes hands the orders of what lies in it."""
    cdef int kind = cause.kind
    moved(floor, cycle, &cycle.watch, &cycle.youngest, cause.t, cause)
    if cycle.plan != NULL:
        plan_moved(floor, cycle.plan, cause)
    if (kind == K_CARTON_CLOSE or kind == K_SCAN_READ or kind == K_CARTON_OPEN or kind == K_CARTON_REOPEN
            or kind == K_CARTON_VOID or kind == K_PACK_CONFIRM):
        return contents_moved(floor, cycle, cause)
    return 0


cdef int contents_moved(Floor floor, Cycle* cycle, Fact* cause) except -1:
    cdef Contents contents = contents_of(cycle, ANY_TIME)
    cdef int i
    for i in range(contents.count):
        line_moved(floor, contents.pieces[i].line, cause.t, cause)
    return 0


cdef int plan_moved(Floor floor, CartonPlan* plan, Fact* cause) except -1:
    return moved(floor, plan, &plan.watch, &plan.youngest, cause.t, cause)


cdef int shipment_moved(Floor floor, Shipment* shipment, int64_t t, Fact* cause) except -1:
    return moved(floor, shipment, &shipment.watch, &shipment.youngest, t, cause)


cdef int shipment_turned(Floor floor, Shipment* shipment, int64_t t, Fact* cause) except -1:
    """Its lines are ready with it."""
    cdef int i
    shipment_moved(floor, shipment, t, cause)
    for i in range(length(shipment.scope)):
        line_moved(floor, (<ScopeLine*>nth(shipment.scope, i)).line, t, cause)
    return 0


cdef int shipment_over(Floor floor, Shipment* shipment, Fact* cause) except -1:
    """Nothing of it waits any more."""
    cdef List* cycles = cycles_of(floor, shipment, cause.t, cause.t)
    cdef int i
    shipment_turned(floor, shipment, cause.t, cause)
    for i in range(length(shipment.plans)):
        plan_moved(floor, <CartonPlan*>nth(shipment.plans, i), cause)
    for i in range(length(cycles)):
        cycle_moved(floor, <Cycle*>nth(cycles, i), cause)
    floor.store.free(cycles)
    return 0


# ---------------------------------------------------------------------------------------------- looking

cdef int look(Floor floor, void* target) except -1:
    """A timer is due: has it stood still too long, or has it moved on?"""
    cdef Watch* watch = watch_of(target)
    cdef bint is_timer = floor.by_watermark.tag == TAG_STUCK
    cdef int64_t as_of = max(floor.by_watermark.due, floor.state.watermark - 1), due
    cdef Standing now
    if is_timer and watch.stuck_at <= 0:
        if watch.stuck_at and watch.stuck_at != -floor.by_watermark.value:
            return 0                    # another one counts
        watch.stuck_at = 0
    if not floor.rules.stuck or is_timer == (watch.stuck_at > 0):
        return 0                        # the rules have changed; or it moved on, or was found stuck, before
    now = standing_of(floor, target, as_of)
    due = now.since + floor.rules.stuck if now.state != S_OVER else NEVER
    if due <= as_of:
        return 0 if watch.stuck_at > 0 else report(floor, target, watch, due, as_of)
    if watch.stuck_at > 0:
        quiet(floor, target, moved_on(floor, target, watch, now.since))
        watch.stuck_at = 0
    if due == NEVER and youngest_of(target).t > as_of:
        due = youngest_of(target).t     # it came already, and may begin something new
    return 0 if due == NEVER else look_at(floor, target, watch, due)


cdef int64_t moved_on(Floor floor, void* target, const Watch* watch, int64_t since) noexcept:
    """When: no earlier than it was told. Of an order: with the last of the lines that stood too long, and of those that stand now
    the oldest may have moved before that."""
    if since > watch.stuck_at and head_of(target).type != B_ORDER:
        return since
    return max(since, watch.stuck_at, floor.by_watermark.value)


cdef int report(Floor floor, void* target, Watch* watch, int64_t t, int64_t as_of) except -1:
    cdef Fact* cause = youngest_of(target)
    watch.stuck_at = as_of
    if head_of(target).type == B_CYCLE:
        carton_names.alarm(floor, <Cycle*>target, PKG_STUCK, t, cause, words_of(floor, target, as_of))
    else:
        floor.outlet.raise_(code_of(target), subject_of(floor, target), t, cause, words_of(floor, target, as_of))
    return await_known(floor, target, as_of)


cdef int quiet(Floor floor, void* target, int64_t t) except -1:
    """A carton's under whatever name it was raised (R40a)."""
    if head_of(target).type == B_CYCLE:
        return carton_names.quiet(floor, <Cycle*>target, PKG_STUCK, t, youngest_of(target))
    return floor.outlet.clear(code_of(target), subject_of(floor, target), t, youngest_of(target))


cdef int await_known(Floor floor, void* target, int64_t as_of) except -1:
    """Look again at what has come already and the watermark has not passed: facts, deadlines, cutoffs that may move it on."""
    cdef int type = head_of(target).type
    if type == B_ORDER:
        return await_order(floor, <Order*>target, as_of)
    if type == B_CYCLE:
        await_end(floor, target, home_of(<Cycle*>target, as_of), as_of)
        await_time(floor, target, (<Cycle*>target).end, as_of)
        return await_facts(floor, target, (<Cycle*>target).facts, as_of)
    if type == B_PLAN:
        return await_plan(floor, <CartonPlan*>target, as_of)
    return await_shipment(floor, <Shipment*>target, as_of)


cdef int await_shipment(Floor floor, Shipment* shipment, int64_t as_of) except -1:
    cdef int i
    await_end(floor, shipment, shipment, as_of)
    await_time(floor, shipment, shipment.planned_t, as_of)
    for i in range(shipment.touches.count if shipment.touches != NULL else 0):
        await_time(floor, shipment, shipment.touches.items[i].t, as_of)
    return 0


cdef int await_plan(Floor floor, CartonPlan* plan, int64_t as_of) except -1:
    cdef int i
    await_end(floor, plan, plan.shipment, as_of)
    await_time(floor, plan, plan.fact.t, as_of)
    for i in range(length(plan.cycles)):
        await_time(floor, plan, carton_names.named_since(<Cycle*>nth(plan.cycles, i)), as_of)
    return 0


cdef int await_order(Floor floor, Order* order, int64_t as_of) except -1:
    cdef Line* line
    cdef int i, k
    await_time(floor, order, order.t, as_of)
    for i in range(length(order.lines)):
        line = <Line*>nth(order.lines, i)
        await_time(floor, order, line.changed.cancel_t, as_of)
        await_time(floor, order, line.changed.alloc_t, as_of)
        for k in range(length(line.scopes)):
            await_end(floor, order, (<ScopeLine*>nth(line.scopes, k)).shipment, as_of)
        for k in range(length(line.windows)):
            await_window(floor, order, <PickWindow*>nth(line.windows, k), as_of)
    return 0


cdef int await_window(Floor floor, Order* order, const PickWindow* window, int64_t as_of) except -1:
    cdef Cycle* cycle = NULL
    cdef Fact* fact
    cdef int i
    await_time(floor, order, told_at(window, ANY_TIME), as_of)
    await_time(floor, order, window.trouble.cancel_t, as_of)
    await_facts(floor, order, window.closings, as_of)
    await_facts(floor, order, window.facts, as_of)
    for i in range(length(window.facts)):
        fact = <Fact*>nth(window.facts, i)
        if fact.cycle != NULL and fact.cycle != cycle:
            cycle = fact.cycle
            await_facts(floor, order, cycle.facts, as_of)
    return 0


cdef int await_end(Floor floor, void* target, const Shipment* shipment, int64_t as_of) except -1:
    return await_time(floor, target, min(shipment.manifest_t, shipment.cancel_t), as_of) if shipment != NULL else 0


cdef int await_facts(Floor floor, void* target, const List* facts, int64_t as_of) except -1:
    """Sorted by event time."""
    cdef int i = length(facts) - 1
    while i >= 0 and (<Fact*>nth(facts, i)).t > as_of:
        await_time(floor, target, (<Fact*>nth(facts, i)).t, as_of)
        i -= 1
    return 0


cdef int await_time(Floor floor, void* target, int64_t t, int64_t as_of) except -1:
    if not as_of < t < NEVER:
        return 0
    return floor.by_watermark.push(t, RANK_CONTEXT, key_of(target), target, TAG_MOVED, t)


# ---------------------------------------------------------------------------------------------- orders, cartons, shipments

cdef Watch* watch_of(void* target) noexcept:
    cdef int type = head_of(target).type
    if type == B_ORDER:
        return &(<Order*>target).watch
    if type == B_CYCLE:
        return &(<Cycle*>target).watch
    if type == B_PLAN:
        return &(<CartonPlan*>target).watch
    return &(<Shipment*>target).watch


cdef Fact* youngest_of(void* target) noexcept:
    cdef int type = head_of(target).type
    if type == B_ORDER:
        return (<Order*>target).youngest
    if type == B_CYCLE:
        return (<Cycle*>target).youngest
    if type == B_PLAN:
        return (<CartonPlan*>target).youngest
    return (<Shipment*>target).youngest


cdef Standing standing_of(Floor floor, void* target, int64_t as_of) except *:
    cdef int type = head_of(target).type
    if type == B_ORDER:
        return still_or_anew(floor, <Order*>target, as_of)
    if type == B_CYCLE:
        return of_cycle(floor, <Cycle*>target, as_of)
    if type == B_PLAN:
        return of_plan(floor, <CartonPlan*>target, as_of)
    return of_shipment(floor, <Shipment*>target, as_of)


cdef Standing still_or_anew(Floor floor, Order* order, int64_t as_of) except *:
    """While the line that stands longest still stands, a stuck order of thousands is not looked through at every pick."""
    cdef Standing now
    if order.watch.stuck_at > 0 and order.slowest != NULL:
        now = of_line(floor, order.slowest, as_of)
        if now.state != S_OVER and now.since + floor.rules.stuck <= as_of:
            return now
    return of_order(floor, order, as_of)


cdef str words_of(Floor floor, void* target, int64_t as_of):
    cdef int type = head_of(target).type
    if type == B_ORDER:
        return stuck_words.of_order(floor, <Order*>target, as_of)
    if type == B_CYCLE:
        return stuck_words.of_cycle(floor, <Cycle*>target, as_of)
    if type == B_PLAN:
        return stuck_words.of_plan(floor, <CartonPlan*>target, as_of)
    return stuck_words.of_shipment(floor, <Shipment*>target, as_of)


cdef Key key_of(void* target) noexcept:
    """In which order those go that are due at one moment."""
    cdef int type = head_of(target).type
    if type == B_ORDER:
        return Key(a=(<Order*>target).id, number=0, form=KEY_ORDER)
    if type == B_CYCLE:
        return carton_names.sort_key(<Cycle*>target)
    return text_key((<CartonPlan*>target).carton if type == B_PLAN else (<Shipment*>target).id)


cdef int code_of(void* target) noexcept:
    cdef int type = head_of(target).type
    if type == B_ORDER:
        return PCK_STUCK
    return PKG_STUCK if type == B_CYCLE or type == B_PLAN else SHP_STUCK


cdef int32_t subject_of(Floor floor, void* target) except -1:
    """Of all but a unit's use."""
    cdef int type = head_of(target).type
    if type == B_ORDER:
        return floor.joined(b"order/", (<Order*>target).id)
    if type == B_PLAN:
        return floor.joined(b"carton/", (<CartonPlan*>target).carton)
    return floor.joined(b"shipment/", (<Shipment*>target).id)
