# cython: boundscheck=False, wraparound=False
"""Illegal moves take no effect: see refused_moves.pxd."""

from ext cimport carton_names, cartons, shipments, short_on_close, trailers
from ext.cycles cimport cycle_for
from ext.exceptions cimport PKG_AFTER_VOID
from ext.floor cimport recount
from ext.kinds cimport K_CARTON_CLOSE, K_CARTON_VOID, K_LOAD_SCANNED, K_SCAN_READ
from ext.legality cimport is_move
from ext.state cimport Cycle, LoadUnit
from ext.store cimport List, find, index_of, length, nth, remove, remove_at

from ext.kinds import NAMES


cdef int judge(Floor floor, Fact* fact) except -1:
    """The watermark has passed the move: nothing can come any more that makes it one of another carton."""
    cdef Fact* first
    while fact.cycle != NULL and index_of(fact.cycle.facts, fact) >= 0 and comes_after_void(floor, fact.cycle, fact):
        first = refused_first(floor, fact.cycle, fact)
        if first == NULL:
            return refuse(floor, fact)
        refuse(floor, first)
    return 0


cdef int refuse(Floor floor, Fact* fact) except -1:
    """It leaves its unit, and is raised once. R82: it was counted as taken."""
    cdef Cycle* cycle = fact.cycle
    cdef List* changed = NULL
    cdef int i
    cartons.detach(floor, cycle.unit, fact, &changed)
    for i in range(length(changed)):
        shipments.touch_cycle(floor, <Cycle*>nth(changed, i), fact)
    floor.store.free(changed)
    fact.cycle = NULL                   # timers that still name the fact find no carton
    floor.insert_sorted(&cycle.unit.refused, fact)
    if fact.kind == K_SCAN_READ:
        return 0
    if fact.kind == K_CARTON_CLOSE:
        short_on_close.forget_close(cycle, fact)
    if fact.kind == K_LOAD_SCANNED:
        remove(&floor.trailer_of(fact.trailer).loads, fact)
    recount(&floor.state.count_taken, &floor.state.count_rejected)
    return floor.outlet.raise_(PKG_AFTER_VOID, carton_names.subject_text(floor, cycle, fact.t), fact.t, fact, NAMES[fact.kind])


cdef Fact* refused_first(Floor floor, const Cycle* cycle, const Fact* fact) noexcept:
    """R3: of several of one moment the first is the one that the exception tells of, whichever came first."""
    cdef Fact* other
    cdef int i
    for i in range(length(cycle.facts)):
        other = <Fact*>nth(cycle.facts, i)
        if (other.t == fact.t and is_move(other.kind) and floor.precedes(other, fact)
                and comes_after_void(floor, cycle, other)):
            return other
    return NULL


cdef int take_up(Floor floor, const Fact* fact) except -1:
    """A backlog tells of what a use of the unit may have begun with. R40: the moves that fall into that use are its own, and
    were never illegal."""
    cdef LoadUnit* unit = <LoadUnit*>find(floor.state.units, fact.lu)
    cdef Cycle* use
    cdef Fact* move
    cdef int i = 0
    while unit != NULL and i < length(unit.refused):
        move = <Fact*>nth(unit.refused, i)
        use = cycle_for(unit, move) if floor.precedes(fact, move) else NULL
        if use == NULL or comes_after_void(floor, use, move):
            i += 1
            continue
        remove_at(&unit.refused, i)
        take_back_refusal(floor, unit, move, fact)
        shipments.take_unit_fact(floor, move)
        if move.kind == K_LOAD_SCANNED:
            trailers.take_load(floor, move)
        i = 0                           # it may have changed the uses of the unit
    return 0


cdef int take_back_refusal(Floor floor, const LoadUnit* unit, const Fact* move, const Fact* cause) except -1:
    """R82: it counts after all. The exception stands as long as any move of that carton is refused."""
    cdef Cycle* cycle
    cdef int i = length(unit.cycles) - 1
    if move.kind == K_SCAN_READ:
        return 0
    recount(&floor.state.count_rejected, &floor.state.count_taken)
    while i >= 0 and not comes_after_void(floor, <Cycle*>nth(unit.cycles, i), move):
        i -= 1
    if i < 0:
        return 0
    cycle = <Cycle*>nth(unit.cycles, i)
    for i in range(length(unit.refused)):
        if comes_after_void(floor, cycle, <Fact*>nth(unit.refused, i)) and (<Fact*>nth(unit.refused, i)).kind != K_SCAN_READ:
            return 0
    return floor.outlet.clear(PKG_AFTER_VOID, carton_names.subject_text(floor, cycle, move.t), move.t, cause)


cdef bint comes_after_void(Floor floor, const Cycle* cycle, const Fact* fact) noexcept:
    cdef Fact* other
    cdef int i
    for i in range(length(cycle.facts)):
        other = <Fact*>nth(cycle.facts, i)
        if other.kind == K_CARTON_VOID and floor.precedes(other, fact):
            return True
    return False
