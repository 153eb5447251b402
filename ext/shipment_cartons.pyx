# cython: boundscheck=False, wraparound=False
"""Which cartons are a shipment's (R50a, R53): see shipment_cartons.pxd."""

from ext.kinds cimport K_CARTON_PLAN, K_CARTON_VOID, K_PACK_CONFIRM
from ext.packing cimport Contents, contents_of
from ext.state cimport CartonPlan, Fact, Line, PickWindow, ScopeLine
from ext.store cimport find, index_of, length
from ext.timers cimport NEVER


cdef List* cycles_of(Floor floor, Shipment* shipment, int64_t as_of) except? NULL:
    """R50a: the cartons planned to it, and unplanned ones whose contents lie in its scope and in no other's.

    The list is the caller's, to be freed.
    """
    cdef List* found = NULL
    cdef CartonPlan* plan
    cdef PickWindow* window
    cdef Cycle* cycle
    cdef Line* line
    cdef int i, k
    floor.state.round += 1
    for i in range(length(shipment.plans)):
        plan = <CartonPlan*>shipment.plans.items[i]
        if plan.withdrawn or plan.t > as_of:
            continue
        cycle = current_cycle(plan, as_of)
        if cycle != NULL and cycle.round != floor.state.round:
            cycle.round = floor.state.round
            floor.store.append(&found, cycle)
    add_taken_away(floor, shipment, as_of, &found)
    for i in range(length(shipment.scope)):
        line = (<ScopeLine*>shipment.scope.items[i]).line
        for k in range(length(line.windows)):
            window = <PickWindow*>line.windows.items[k]
            add_cycles_of(floor, shipment, window.facts, as_of, &found)
            add_cycles_of(floor, shipment, window.trouble.strangers, as_of, &found)     # R31: they lie in their cartons, too
        add_cycles_of(floor, shipment, line.packed, as_of, &found)
    return found


cdef int add_taken_away(Floor floor, const Shipment* shipment, int64_t as_of, List** found) except -1:
    """R51, R53: until the moment of the plan that gave it to another shipment, or withdrew it, a carton was its own."""
    cdef const Fact* fact
    cdef CartonPlan* plan
    cdef Cycle* cycle
    cdef int i = shipment.touches.count if shipment.touches != NULL else 0
    while i > 0 and shipment.touches.items[i - 1].t > as_of:
        i -= 1
        fact = shipment.touches.items[i].cause
        if fact.kind != K_CARTON_PLAN:
            continue
        plan = <CartonPlan*>find(floor.state.cartons, fact.carton)
        if plan == NULL or plan.fact != fact or (plan.shipment == shipment and (plan.t > as_of or not plan.withdrawn)):
            continue
        cycle = current_cycle(plan, as_of)
        if cycle != NULL and cycle.round != floor.state.round:
            cycle.round = floor.state.round
            floor.store.append(found, cycle)
    return 0


cdef int add_cycles_of(Floor floor, Shipment* shipment, const List* facts, int64_t as_of, List** found) except -1:
    """What was picked or moved into, and what that was moved to."""
    cdef Fact* fact
    cdef List* fed
    cdef int i, k
    for i in range(length(facts)):
        fact = <Fact*>facts.items[i]
        if fact.cycle == NULL:
            continue
        if fact.t <= as_of:
            add_unplanned(floor, shipment, fact.cycle, as_of, found)
        if fact.cycle.packs:
            fed = NULL
            add_fed(floor, fact.cycle, as_of, &fed)
            for k in range(length(fed)):
                add_unplanned(floor, shipment, <Cycle*>fed.items[k], as_of, found)
            floor.store.free(fed)
    return 0


cdef int add_unplanned(Floor floor, Shipment* shipment, Cycle* cycle, int64_t as_of, List** found) except -1:
    if cycle.round == floor.state.round or (cycle.plan != NULL and cycle.plan.shipment != NULL):
        return 0
    cycle.round = floor.state.round     # judged once a round, whatever comes of it
    if home_of(cycle, as_of) == shipment and not is_voided(cycle, as_of):
        floor.store.append(found, cycle)
    return 0


cdef int add_fed(Floor floor, Cycle* cycle, int64_t as_of, List** found) except -1:
    """R47: appends the cycles that goods were moved to from this one, by however many moves; itself among them."""
    cdef Fact* fact
    cdef Cycle* fed
    cdef int i, at = length(found[0])
    if index_of(found[0], cycle) >= 0:
        return 0
    floor.store.append(found, cycle)
    while at < found[0].count:
        cycle = <Cycle*>found[0].items[at]
        at += 1
        for i in range(length(cycle.facts)):
            fact = <Fact*>cycle.facts.items[i]
            if fact.kind == K_PACK_CONFIRM and fact.t <= as_of and fact.move.out:
                fed = fact.move.other.cycle
                if fed != NULL and index_of(found[0], fed) < 0:
                    floor.store.append(found, fed)
    return 0


cdef Numbers* unused_of(Floor floor, const Shipment* shipment, int64_t as_of) except? NULL:
    """R50a: planned cartons without a cycle; they count as not closed. The caller's, to be freed; NULL: none."""
    cdef Numbers* found = NULL
    cdef CartonPlan* plan
    cdef int i
    for i in range(length(shipment.plans)):
        plan = <CartonPlan*>shipment.plans.items[i]
        if (not plan.withdrawn and plan.t <= as_of and current_cycle(plan, as_of) == NULL
                and not any_voided(plan, as_of)):
            floor.store.add_number(&found, plan.carton)
    return found


cdef Cycle* current_cycle(const CartonPlan* plan, int64_t as_of) noexcept:
    """The last use of a unit as this carton that was not voided."""
    cdef Cycle* cycle
    cdef Cycle* youngest = NULL
    cdef int i
    for i in range(length(plan.cycles)):
        cycle = <Cycle*>plan.cycles.items[i]
        if cycle.begin <= as_of and (youngest == NULL or cycle.begin > youngest.begin) and not is_voided(cycle, as_of):
            youngest = cycle
    return youngest


cdef bint any_voided(const CartonPlan* plan, int64_t as_of) noexcept:
    cdef Cycle* cycle
    cdef int i
    for i in range(length(plan.cycles)):
        cycle = <Cycle*>plan.cycles.items[i]
        if cycle.begin <= as_of and is_voided(cycle, as_of):
            return True
    return False


cdef bint is_voided(const Cycle* cycle, int64_t as_of) noexcept:
    cdef Fact* fact
    cdef int i = length(cycle.facts) - 1
    while i >= 0:
        fact = <Fact*>cycle.facts.items[i]
        if fact.kind == K_CARTON_VOID and fact.t <= as_of:
            return True
        i -= 1
    return False


cdef Shipment* home_of(const Cycle* cycle, int64_t as_of) except? NULL:
    """The shipment of a carton: that of its plan, else of its contents."""
    if cycle.plan != NULL and cycle.plan.shipment != NULL:
        return NULL if cycle.plan.withdrawn else cycle.plan.shipment
    return home_of_contents(cycle, as_of)


cdef Shipment* home_of_contents(const Cycle* cycle, int64_t as_of) except? NULL:
    """The only shipment whose scope has all that lies in it."""
    cdef Shipment* home = NULL
    cdef Shipment* only
    cdef Contents contents = contents_of(cycle, as_of)
    cdef int i
    for i in range(contents.count):
        only = only_planner(contents.pieces[i].line, as_of)
        if only == NULL or (home != NULL and home != only):
            return NULL
        home = only
    return home


cdef Shipment* only_planner(const Line* line, int64_t as_of) noexcept:
    """The shipment that alone has the line in its scope by then; NULL: none does, or several."""
    cdef Shipment* only = NULL
    cdef Shipment* one
    cdef int i
    for i in range(length(line.scopes)):
        one = (<ScopeLine*>line.scopes.items[i]).shipment
        if one.plan_t <= as_of:
            if only != NULL:
                return NULL
            only = one
    return only


# ---------------------------------------------------------------------------------------------- has it left?

cdef bint has_shipped(const Shipment* shipment, int64_t t, int64_t watermark) noexcept:
    """R27, R29: is it too late for a fact of event time `t` that comes now? Not while its order of arrival is open (R3)."""
    if shipment == NULL or shipment.manifest_t == NEVER:
        return False
    return t > shipment.manifest_t or watermark > shipment.manifest_t


cdef Shipment* shipment_of_pick(const Line* line, const Cycle* cycle) except? NULL:
    """R29: a pick's shipment is that of its carton, else the only one whose scope has its line."""
    cdef Shipment* shipment = home_of(cycle, NEVER - 1) if cycle != NULL else NULL
    if shipment == NULL and length(line.scopes) == 1:
        shipment = (<ScopeLine*>line.scopes.items[0]).shipment
    return shipment


cdef bint window_has_shipped(Floor floor, const PickWindow* window, int64_t t) except -1:
    """R27: pieces of it have left; with none picked, or all put back, the only shipment of its line."""
    cdef Shipment* shipment
    cdef Fact* fact
    cdef int64_t left = 0, q = 0
    cdef int i
    for i in range(length(window.facts)):
        fact = <Fact*>window.facts.items[i]
        q += fact.qty
        shipment = shipment_of_pick(window.line, fact.cycle)
        if has_shipped(shipment, t, floor.state.watermark) and fact.t <= shipment.manifest_t:
            left += fact.qty
    return left > 0 or (q <= 0 and has_shipped(shipment_of_pick(window.line, NULL), t, floor.state.watermark))
