# cython: boundscheck=False, wraparound=False
"""Whom an exception concerns: see correlations.pxd."""

from ext.kinds cimport K_PACK_CONFIRM
from ext.plans cimport plan_at
from ext.state cimport CartonPlan, Cycle, Fact, Line, LoadUnit, PickWindow, ScopeLine, Shipment
from ext.store cimport List, find, last, length, nth, pair
from ext.timers cimport ANY_TIME


cdef enum:
    NONE = 0
    SEVERAL = -2


cdef int32_t concerned(State* state, Texts texts, int32_t subject, int64_t t) except -1:
    """`t`: of the fact. Later ones may be known, or not yet (R3), and it may be of an earlier use of a load unit."""
    cdef int32_t found = NONE
    head, _, name = texts.get(subject).partition("/")
    if head == "order":
        found = texts.find(name)
    elif head == "line" or head == "alloc":
        found = texts.find(name.rpartition("/")[0])
    elif head == "task":
        found = of_task(<PickWindow*>find(state.tasks, <int32_t>texts.find(name)))
    elif head == "shipment" or head == "manifest":
        found = of_shipment(<Shipment*>find(state.shipments, <int32_t>texts.find(name)), ANY_TIME)
    elif head == "lu":
        found = of_cycle(cycle_at(<LoadUnit*>find(state.units, <int32_t>texts.find(name)), t), t)
    elif head == "carton" or head == "hold":
        found = of_carton(state, texts, name, t)
    return found if found > 0 else subject


cdef bint is_remembered(State* state, Texts texts, int32_t subject) except -1:
    """Whether what comes once is still there, so that what was raised of it could be raised again."""
    cdef CartonPlan* plan
    cdef int32_t id
    head, _, name = texts.get(subject).partition("/")
    if head == "line":
        order, _, number = name.rpartition("/")
        return find(state.lines, pair(<int32_t>texts.find(order), int(number))) != NULL
    id = texts.find(name)
    if head == "task":
        return find(state.tasks, id) != NULL
    if head == "order":
        return find(state.orders, id) != NULL
    if head == "shipment":
        return find(state.shipments, id) != NULL
    if head == "carton":
        plan = <CartonPlan*>find(state.cartons, id)
        return plan != NULL and (length(plan.cycles) or plan.shipment != NULL) or cycle_of(state, texts, name) != NULL
    return False


cdef int32_t of_task(const PickWindow* window) noexcept:
    return window.line.order if window != NULL else NONE


cdef int32_t of_shipment(const Shipment* shipment, int64_t as_of) noexcept:
    """The order if exactly one was in its scope by the plan of that moment, else itself."""
    cdef const List* scope
    cdef int32_t order = NONE
    cdef int i
    if shipment == NULL:
        return NONE
    scope = plan_at(shipment, as_of).scope
    for i in range(length(scope)):
        order = both(order, (<ScopeLine*>nth(scope, i)).line)
    return order if order > 0 else shipment.id


cdef int32_t of_carton(State* state, Texts texts, str name, int64_t t) except -1:
    """By its id, also if what told under it is called otherwise now; else by unit and number."""
    cdef int32_t id = texts.find(name), found = NONE
    cdef CartonPlan* plan = <CartonPlan*>find(state.cartons, id)
    cdef const List* cycles = plan.cycles if plan != NULL else NULL
    if length(cycles) == 0:
        cycles = <const List*>find(state.told_before, id)
    if length(cycles):
        found = of_cycle(<Cycle*>last(cycles), t)
    if plan != NULL:
        return of_plan(plan, NONE) if found == NONE else found
    return of_cycle(cycle_of(state, texts, name), t)


cdef Cycle* cycle_of(State* state, Texts texts, str name) except? NULL:
    """That which goes by unit and number; NULL: none does."""
    cdef LoadUnit* unit
    cdef int i
    lu, _, number = name.rpartition("#")
    unit = <LoadUnit*>find(state.units, <int32_t>texts.find(lu))
    for i in range(length(unit.cycles) if unit != NULL else 0):
        if str((<Cycle*>nth(unit.cycles, i)).number) == number:
            return <Cycle*>nth(unit.cycles, i)
    return NULL


cdef int32_t of_cycle(const Cycle* cycle, int64_t t) noexcept:
    """The orders whose pieces had come into it by then; else those of its plan, if it was called so by then (R40a)."""
    cdef const Fact* fact
    cdef int32_t order = NONE
    cdef bint named = False
    cdef int i, k
    if cycle == NULL:
        return NONE
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if fact.t > t:
            break
        named = named or fact.carton == cycle.carton
        if fact.window != NULL:
            order = both(order, fact.window.line)
        elif fact.kind == K_PACK_CONFIRM and not fact.move.out:
            for k in range(fact.move.moved.count if fact.move.moved != NULL else 0):
                order = both(order, fact.move.moved.items[k].line)
    return of_plan(cycle.plan if named else NULL, order) if order <= 0 else order


cdef int32_t of_plan(const CartonPlan* plan, int32_t order) noexcept:
    """What is planned into a carton that has nothing yet; else its shipment."""
    cdef int i
    if plan == NULL:
        return NONE
    if order == NONE and plan.contents != NULL:
        for i in range(plan.contents.count):
            order = both(order, plan.contents.items[i].line)
    if order > 0:
        return order
    return plan.shipment.id if plan.shipment != NULL else NONE


cdef inline int32_t both(int32_t order, const Line* line) noexcept:
    """The order of all lines so far; SEVERAL: there are more."""
    if line == NULL:
        return order
    return line.order if order == NONE or order == line.order else SEVERAL


cdef const Cycle* cycle_at(const LoadUnit* unit, int64_t t) noexcept:
    """The use that was running or had ended last."""
    cdef const Cycle* found = NULL
    cdef int i
    for i in range(length(unit.cycles) if unit != NULL else 0):
        if (<Cycle*>nth(unit.cycles, i)).begin <= t:
            found = <Cycle*>nth(unit.cycles, i)
    return found
