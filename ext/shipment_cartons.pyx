# cython: boundscheck=False, wraparound=False
"""Which cartons are a shipment's (R50a, R53): see shipment_cartons.pxd."""

from ext cimport carton_names
from ext.batch cimport ABSENT
from ext.kinds cimport K_CARTON_VOID, K_PACK_CONFIRM
from ext.packing cimport Contents, contents_of
from ext.plan_data cimport FormerHome
from ext.plans cimport home_at, its_since, plan_at, scope_at, scopes_ever
from ext.state cimport CartonPlan, Fact, Line, PickWindow, ScopeLine
from ext.store cimport index_of, length, nth
from ext.timers cimport NEVER


cdef List* cycles_of(Floor floor, Shipment* shipment, int64_t as_of, int64_t planned) except? NULL:
    """R50a: the cartons planned to it, and unplanned ones whose contents lie in its scope and in no other's.

    The list is the caller's, to be freed.
    """
    cdef List* found = NULL
    cdef List* scopes = plan_at(shipment, planned).scope
    cdef CartonPlan* plan
    cdef PickWindow* window
    cdef Cycle* cycle
    cdef Line* line
    cdef int i, k
    floor.state.round += 1
    for i in range(length(shipment.plans)):
        plan = <CartonPlan*>nth(shipment.plans, i)
        if not is_its(shipment, plan, as_of, planned):
            continue
        cycle = current_cycle(plan, as_of)
        if cycle != NULL and cycle.round != floor.state.round:
            cycle.round = floor.state.round
            floor.store.append(&found, cycle)
    for i in range(length(scopes)):
        line = (<ScopeLine*>nth(scopes, i)).line
        for k in range(length(line.windows)):
            window = <PickWindow*>nth(line.windows, k)
            add_cycles_of(floor, shipment, window.facts, as_of, planned, &found)
            add_cycles_of(floor, shipment, window.trouble.other_sku, as_of, planned, &found)    # R31: they lie there, too
        add_cycles_of(floor, shipment, line.packed, as_of, planned, &found)
    return found


cdef bint is_its(const Shipment* shipment, const CartonPlan* plan, int64_t as_of, int64_t planned) noexcept:
    """R50a, R53: planned to it by then, and not withdrawn."""
    cdef FormerHome home = home_at(plan, planned)
    return home.shipment == shipment and not home.withdrawn and (planned == as_of or its_since(plan) <= as_of)


cdef int add_cycles_of(
        Floor floor, Shipment* shipment, const List* facts, int64_t as_of, int64_t planned, List** found) except -1:
    """What was picked or moved into, and what that was moved to."""
    cdef Fact* fact
    cdef List* fed
    cdef int i, k
    for i in range(length(facts)):
        fact = <Fact*>nth(facts, i)
        if fact.cycle == NULL:
            continue
        if fact.t <= as_of:
            add_unplanned(floor, shipment, fact.cycle, as_of, planned, found)
        if fact.cycle.packs:
            fed = NULL
            add_fed(floor, fact.cycle, as_of, &fed)
            for k in range(length(fed)):
                add_unplanned(floor, shipment, <Cycle*>nth(fed, k), as_of, planned, found)
            floor.store.free(fed)
    return 0


cdef int add_unplanned(
        Floor floor, Shipment* shipment, Cycle* cycle, int64_t as_of, int64_t planned, List** found) except -1:
    """R50a: a carton without a plan, if its contents lie in the scope of this shipment alone."""
    if cycle.round == floor.state.round or planned_home(cycle, planned).shipment != NULL:
        return 0
    cycle.round = floor.state.round     # judged once a round, whatever comes of it
    if home_by(cycle, as_of, planned) == shipment and not is_voided(cycle, as_of):
        floor.store.append(found, cycle)
    return 0


cdef List* carriers_of(Floor floor, const Line* line, int64_t as_of) except? NULL:
    """R43, R47: the uses of load units that the line's pieces were picked or packed into, by however many moves."""
    cdef List* found = NULL
    cdef PickWindow* window
    cdef Fact* fact
    cdef int i, k
    for i in range(length(line.windows)):
        window = <PickWindow*>nth(line.windows, i)
        for k in range(length(window.facts)):
            fact = <Fact*>nth(window.facts, k)
            if fact.cycle != NULL and fact.t <= as_of:
                add_fed(floor, fact.cycle, as_of, &found)
    for i in range(length(line.packed)):
        fact = <Fact*>nth(line.packed, i)
        if fact.cycle != NULL and fact.t <= as_of:
            add_fed(floor, fact.cycle, as_of, &found)
    return found


cdef int add_fed(Floor floor, Cycle* cycle, int64_t as_of, List** found) except -1:
    """R47: appends the cycles that goods were moved to from this one, by however many moves; itself among them."""
    cdef Fact* fact
    cdef Cycle* fed
    cdef int i, at = length(found[0])
    if index_of(found[0], cycle) >= 0:
        return 0
    floor.store.append(found, cycle)
    while at < length(found[0]):
        cycle = <Cycle*>nth(found[0], at)
        at += 1
        for i in range(length(cycle.facts)):
            fact = <Fact*>nth(cycle.facts, i)
            if fact.kind == K_PACK_CONFIRM and fact.t <= as_of and fact.move.out:
                fed = fact.move.other.cycle
                if fed != NULL and index_of(found[0], fed) < 0:
                    floor.store.append(found, fed)
    return 0


cdef Numbers* unused_of(Floor floor, const Shipment* shipment, int64_t as_of, int64_t planned) except? NULL:
    """R50a: planned cartons without a cycle; they count as not closed. The caller's, to be freed; NULL: none."""
    cdef Numbers* found = NULL
    cdef CartonPlan* plan
    cdef int i
    for i in range(length(shipment.plans)):
        plan = <CartonPlan*>nth(shipment.plans, i)
        if (is_its(shipment, plan, as_of, planned) and current_cycle(plan, as_of) == NULL
                and not any_voided(plan, as_of)):
            floor.store.add_number(&found, plan.carton)
    return found


cdef Cycle* current_cycle(const CartonPlan* plan, int64_t as_of) noexcept:
    """The last use of a unit as this carton that was not voided, by what it was called then (R40a)."""
    cdef Cycle* cycle
    cdef Cycle* youngest = NULL
    cdef int i
    for i in range(length(plan.cycles)):
        cycle = <Cycle*>nth(plan.cycles, i)
        if carton_names.named_since(cycle) <= as_of and (youngest == NULL or cycle.begin > youngest.begin) and not is_voided(cycle, as_of):
            youngest = cycle
    return youngest


cdef bint any_voided(const CartonPlan* plan, int64_t as_of) noexcept:
    cdef Cycle* cycle
    cdef int i
    for i in range(length(plan.cycles)):
        cycle = <Cycle*>nth(plan.cycles, i)
        if carton_names.named_since(cycle) <= as_of and is_voided(cycle, as_of):
            return True
    return False


cdef bint is_voided(const Cycle* cycle, int64_t as_of) noexcept:
    cdef Fact* fact
    cdef int i = length(cycle.facts) - 1
    while i >= 0:
        fact = <Fact*>nth(cycle.facts, i)
        if fact.kind == K_CARTON_VOID and fact.t <= as_of:
            return True
        i -= 1
    return False


cdef Shipment* home_of(const Cycle* cycle, int64_t as_of) except? NULL:
    """R53: the shipment of a carton as of a moment; NULL: none."""
    return home_by(cycle, as_of, as_of)


cdef Shipment* home_by(const Cycle* cycle, int64_t as_of, int64_t planned) except? NULL:
    """The shipment of a carton: that of its plan, else the only one whose scope has all that lies in it."""
    cdef FormerHome told = planned_home(cycle, planned)
    cdef Shipment* home = NULL
    cdef Shipment* only
    cdef Contents contents
    cdef int i
    if told.shipment != NULL:
        return NULL if told.withdrawn else told.shipment
    contents = contents_of(cycle, as_of)
    for i in range(contents.count):
        only = only_planner(contents.pieces[i].line, planned)
        if only == NULL or (home != NULL and home != only):
            return NULL
        home = only
    return home


cdef FormerHome planned_home(const Cycle* cycle, int64_t planned) noexcept:
    """By the plan of the carton that it was called by then (R40a)."""
    return home_at(cycle.plan if carton_names.named_since(cycle) <= planned else NULL, planned)


cdef Shipment* only_planner(const Line* line, int64_t as_of) noexcept:
    """The shipment that alone has the line in its scope by then; NULL: none does, or several."""
    cdef Shipment* only = NULL
    cdef ScopeLine* scope
    cdef int i
    for i in range(scopes_ever(line)):
        scope = scope_at(line, i, as_of)
        if scope != NULL:
            if only != NULL and only != scope.shipment:
                return NULL
            only = scope.shipment
    return only


# ---------------------------------------------------------------------------------------------- has it left?

cdef bint has_shipped(const Shipment* shipment, int64_t t, int64_t watermark) noexcept:
    """R27, R29: is it too late for a fact of event time `t` that comes now? Not while its order of arrival is open (R3)."""
    if shipment == NULL or shipment.manifest_t == NEVER:
        return False
    return t > shipment.manifest_t or watermark > shipment.manifest_t


cdef Shipment* shipment_of_pick(const Line* line, const Cycle* cycle, int64_t as_of) noexcept:
    """R29: a pick's shipment is that of its carton, else the only one whose scope has its line, by what was planned then.
    (R40a: what a carton is called it is called from the first.)"""
    cdef FormerHome told
    if cycle != NULL:
        told = home_at(cycle.plan, as_of)
        if told.shipment != NULL and not told.withdrawn:
            return told.shipment
    return only_planner(line, as_of)


cdef bint window_has_shipped(const PickWindow* window, int64_t t, int64_t watermark) except -1:
    """R27: pieces of it had left before `t`, or the watermark has passed that; with none picked, or all put back, the only
    shipment of its line."""
    cdef Shipment* shipment
    cdef Fact* fact
    cdef int64_t left = 0, q = 0, as_of = max(t, watermark - 1) if watermark != ABSENT else t
    cdef int i
    for i in range(length(window.facts)):
        fact = <Fact*>nth(window.facts, i)
        q += fact.qty
        shipment = shipment_of_pick(window.line, fact.cycle, as_of)
        if has_shipped(shipment, t, watermark) and fact.t <= shipment.manifest_t:
            left += fact.qty
    return left > 0 or (q <= 0 and has_shipped(shipment_of_pick(window.line, NULL, as_of), t, watermark))
