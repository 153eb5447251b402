# cython: boundscheck=False, wraparound=False
"""Names and exceptions of cartons: see carton_names.pxd."""

from libc.stdint cimport uint64_t

from ext.keys cimport KEY_CYCLE, text_key
from ext.kinds cimport K_CARTON_PLAN, K_CARTON_VOID, K_LU_BIND
from ext.outlet cimport CARTON_CLOSED, CARTON_REOPENED
from ext.state cimport LoadUnit
from ext.store cimport find, index_of, length, nth


# ---------------------------------------------------------------------------------------------- names

cdef int meet(LoadUnit* unit, int64_t t) noexcept:
    """R40: the cycles that begin before `t` have been met: those without a number, which are the last ones, get the next."""
    cdef int first = length(unit.cycles)
    while first > 0 and not (<Cycle*>nth(unit.cycles, first - 1)).number:
        first -= 1
    return meet_from(unit, first, t)


cdef int meet_from(LoadUnit* unit, int first, int64_t t) noexcept:
    """Likewise of those from `first` on, some of which may be new."""
    cdef Cycle* cycle
    cdef int i
    for i in range(first, length(unit.cycles)):
        cycle = <Cycle*>nth(unit.cycles, i)
        if not cycle.number and cycle.begin < t:
            unit.met += 1
            cycle.number = unit.met
    return 0


cdef int32_t numbered(Floor floor, const Cycle* cycle) except -1:
    """R40a: by unit and number."""
    if not cycle.number:
        meet(cycle.unit, cycle.begin + 1)
    return floor.numbered(cycle.unit.lu, c"#", cycle.number)


cdef int32_t named(Floor floor, const Cycle* cycle, int32_t carton) except -1:
    return carton if carton else numbered(floor, cycle)


cdef int32_t name_of(Floor floor, const Cycle* cycle) except -1:
    """R40a: the carton's id, else unit and number of the cycle."""
    return named(floor, cycle, cycle.carton)


cdef int32_t name_at(Floor floor, const Cycle* cycle, int64_t t) except -1:
    """R40a: what it was called by then."""
    return named(floor, cycle, carton_at(cycle, t))


cdef int32_t key_at(Floor floor, Cycle* cycle, int64_t t) except -1:
    """R40a: its key, which its first event fixes, by the names that it had when that was due."""
    cdef int32_t carton
    if not cycle.key:
        carton = carton_at(cycle, t)
        cycle.key = named(floor, cycle, carton)
        cycle.unit.numbered = cycle.unit.numbered or cycle.key != cycle.carton
        if carton and carton != cycle.carton:
            keep_told(floor, cycle)
    return cycle.key


cdef int32_t carton_at(const Cycle* cycle, int64_t t) noexcept:
    """As it was bound by then, else as a device said first; 0: it had no id."""
    cdef const Fact* fact
    cdef int32_t carton = 0
    cdef int i
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if fact.t > t:
            break
        if fact.carton and (not carton or fact.kind == K_LU_BIND or fact.kind == K_CARTON_PLAN):
            carton = fact.carton
        if fact.kind == K_CARTON_VOID:
            break
    return carton


cdef int64_t named_since(const Cycle* cycle) noexcept:
    """Since when it has the carton id that it goes by."""
    cdef const Fact* fact
    cdef int i
    for i in range(length(cycle.facts) if cycle.carton else 0):
        fact = <Fact*>nth(cycle.facts, i)
        if fact.carton == cycle.carton:
            return max(fact.t, cycle.begin)
    return cycle.begin


cdef Key sort_key(const Cycle* cycle) noexcept:
    if cycle.key or cycle.carton:
        return text_key(cycle.key if cycle.key else cycle.carton)
    return Key(a=cycle.unit.lu, number=cycle.number, form=KEY_CYCLE)


cdef Subject subject_of(const Cycle* cycle) noexcept:
    return Subject(head=b"carton/", key=sort_key(cycle))


cdef int32_t subject_text(Floor floor, const Cycle* cycle, int64_t t) except -1:
    """The subject as a text, for exceptions: what it was called by then, whatever is known already (R3). A number that was
    told in one is never given out again."""
    cdef int32_t name = cycle.key if cycle.key else name_at(floor, cycle, t)
    cycle.unit.numbered = cycle.unit.numbered or name != cycle.carton
    return floor.joined(b"carton/", name)


cdef Ledger* told_by(const List* cycles, int32_t key, int type) noexcept:
    """R81: one key has one ledger, whichever cycle told of it first; NULL: none has."""
    cdef const Cycle* cycle
    cdef Ledger* told
    cdef int i
    for i in range(length(cycles)):
        cycle = <const Cycle*>nth(cycles, i)
        told = (cycle.decided.closed if type == CARTON_CLOSED else cycle.decided.reopened if type == CARTON_REOPENED else
                cycle.decided.voided)
        if told != NULL and cycle.key == key:
            return told
    return NULL


cdef int keep_told(Floor floor, Cycle* cycle) except -1:
    """R81: it is no longer the carton that it was told as, or no longer at all: what it told stays that key's."""
    cdef List* told = <List*>find(floor.state.told_before, cycle.key)
    if index_of(told, cycle) < 0:
        floor.store.append(&told, cycle)
        floor.store.put(floor.state.told_before, cycle.key, told)
    return 0


cdef List* cycles_named(Floor floor, CartonPlan* plan) except? NULL:
    """R40a: the cycles that go by this carton's id; without an id, a carton is named by its key `lu#cycle`.

    The list is the caller's, to be freed.
    """
    cdef LoadUnit* unit
    cdef Cycle* cycle
    cdef List* found = NULL
    cdef int i, met
    cdef str lu, number
    for i in range(length(plan.cycles)):
        floor.store.append(&found, nth(plan.cycles, i))
    lu, _, number = floor.text(plan.carton).rpartition("#")
    if found == NULL and lu:
        unit = <LoadUnit*>find(floor.state.units, floor.intern(lu))
        met = unit.met if unit != NULL else 0
        for i in range(length(unit.cycles) if unit != NULL else 0):
            cycle = <Cycle*>nth(unit.cycles, i)
            met += not cycle.number     # R3: one that has not been met yet will get this
            if str(cycle.number if cycle.number else met) == number:
                floor.store.append(&found, cycle)
    return found


cdef bint is_carried(Floor floor, CartonPlan* plan) except -1:
    """By a cycle that goes by its id, or whose key was released (R45)."""
    cdef List* cycles
    cdef bint found
    if length(plan.cycles) or not length(plan.releases):
        return length(plan.cycles) > 0
    cycles = cycles_named(floor, plan)
    found = length(cycles) > 0
    floor.store.free(cycles)
    return found


# ---------------------------------------------------------------------------------------------- exceptions

cdef int alarm(Floor floor, Cycle* cycle, int code, int64_t t, const Fact* cause, str detail) except -1:
    """Raise an exception that this carton can clear."""
    floor.deciding(cycle).alarms |= <uint64_t>1 << code
    return floor.outlet.raise_(code, subject_text(floor, cycle, t), t, cause, detail)


cdef int quiet(Floor floor, Cycle* cycle, int code, int64_t t, const Fact* cause) except -1:
    """Clear it, if it was raised."""
    return quiet_but(floor, cycle, code, 0, t, cause)


cdef int forget_alarms(Floor floor, const Cycle* cycle) except -1:
    """The carton is forgotten: so are the exceptions that were raised of it, under whatever name."""
    cdef int code, i
    for code in range(64):
        if cycle.decided.alarms >> code & 1:
            forget(floor, code, numbered(floor, cycle))
            forget(floor, code, cycle.key)
            forget(floor, code, cycle.carton)
            for i in range(length(cycle.facts)):
                forget(floor, code, (<Fact*>nth(cycle.facts, i)).carton)
    return 0


cdef int forget(Floor floor, int code, int32_t name) except -1:
    return floor.outlet.forget(code, floor.joined(b"carton/", name)) if name else 0


cdef int quiet_but(Floor floor, Cycle* cycle, int code, int32_t kept, int64_t t, const Fact* cause) except -1:
    """Clear it under every name that the carton went by but `kept`: it may be called otherwise since it was raised."""
    cdef int i
    if not cycle.decided.alarms >> code & 1:
        return 0
    floor.deciding(cycle).alarms &= ~(<uint64_t>1 << code)
    clear(floor, code, numbered(floor, cycle), kept, t, cause)
    clear_own(floor, cycle, code, cycle.key, kept, t, cause)
    clear_own(floor, cycle, code, cycle.carton, kept, t, cause)
    for i in range(length(cycle.facts)):
        clear_own(floor, cycle, code, (<Fact*>nth(cycle.facts, i)).carton, kept, t, cause)
    return 0


cdef int clear_own(
        Floor floor, const Cycle* cycle, int code, int32_t carton, int32_t kept, int64_t t, const Fact* cause) except -1:
    """Not what was raised of another unit that is the carton by the id of which this one was called, too."""
    return 0 if is_raised_by_another(floor, cycle, code, carton) else clear(floor, code, carton, kept, t, cause)


cdef bint is_raised_by_another(Floor floor, const Cycle* cycle, int code, int32_t carton) noexcept:
    cdef const CartonPlan* plan = <const CartonPlan*>find(floor.state.cartons, carton)
    cdef const Cycle* other
    cdef int i
    for i in range(length(plan.cycles) if plan != NULL else 0):
        other = <const Cycle*>nth(plan.cycles, i)
        if other != cycle and other.decided.alarms >> code & 1:
            return True
    return False


cdef int clear(Floor floor, int code, int32_t name, int32_t kept, int64_t t, const Fact* cause) except -1:
    return floor.outlet.clear(code, floor.joined(b"carton/", name), t, cause) if name and name != kept else 0
