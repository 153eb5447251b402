# cython: boundscheck=False, wraparound=False
"""Illegal moves take no effect: see refused_moves.pxd."""

from ext cimport carton_names, cartons, shipments
from ext.exceptions cimport PKG_AFTER_VOID
from ext.kinds cimport K_CARTON_VOID, K_LOAD_SCANNED, K_SCAN_READ
from ext.state cimport Cycle
from ext.store cimport List, index_of, length, nth, remove

from ext.kinds import NAMES


cdef int judge(Floor floor, Fact* fact) except -1:
    """The watermark has passed the move: nothing can come any more that makes it one of another carton."""
    cdef Cycle* cycle = fact.cycle
    cdef List* changed = NULL
    cdef int i
    if cycle == NULL or index_of(cycle.facts, fact) < 0 or not comes_after_void(floor, cycle, fact):
        return 0
    cartons.detach(floor, cycle.unit, fact, &changed)
    for i in range(length(changed)):
        shipments.touch_cycle(floor, <Cycle*>nth(changed, i), fact)
    floor.store.free(changed)
    fact.cycle = NULL                   # timers that still name the fact find no carton
    if fact.kind == K_SCAN_READ:
        return 0
    if fact.kind == K_LOAD_SCANNED:
        remove(&floor.trailer_of(fact.trailer).loads, fact)
    floor.state.count_taken -= 1
    floor.state.count_rejected += 1
    return floor.outlet.raise_(PKG_AFTER_VOID, carton_names.subject_text(floor, cycle, fact.t), fact.t, fact, NAMES[fact.kind])


cdef bint comes_after_void(Floor floor, const Cycle* cycle, const Fact* fact) noexcept:
    cdef Fact* other
    cdef int i
    for i in range(length(cycle.facts)):
        other = <Fact*>nth(cycle.facts, i)
        if other.kind == K_CARTON_VOID and floor.precedes(other, fact):
            return True
    return False
