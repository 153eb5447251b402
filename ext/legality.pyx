# cython: boundscheck=False, wraparound=False
"""Illegal moves: see legality.pxd."""

from ext cimport cartons, shipments
from ext.exceptions cimport PKG_AFTER_VOID
from ext.floor cimport Cycle
from ext.keys cimport text_key
from ext.kinds cimport (
    K_CARTON_CLOSE, K_CARTON_REOPEN, K_LABEL_VERIFIED, K_LOAD_SCANNED, K_SCAN_READ,
)
from ext.store cimport List, index_of, length, remove
from ext.timers cimport RANK_TRACK

from ext.kinds import NAMES


cdef bint is_move(int kind) noexcept:
    """What a voided carton cannot do. Where it is seen, weighed or taken out of a trailer is no move of its life; a read
    point that stands for a close (R42) is a sight, and closes nothing any more."""
    return (kind == K_CARTON_CLOSE or kind == K_CARTON_REOPEN or kind == K_LABEL_VERIFIED or kind == K_LOAD_SCANNED
            or kind == K_SCAN_READ)


cdef int watch_voided(Floor floor, LoadUnit* unit, Fact* fact) except -1:
    """The fact, or all that followed a void that came late; which carton it is of, later facts may still change."""
    cdef Fact* later
    cdef int i = length(unit.facts) - 1
    if fact.kind != K_CARTON_VOID:
        return ask_for(floor, fact) if is_move(fact.kind) else 0
    unit.ever_voided = True
    while i >= 0 and (<Fact*>unit.facts.items[i]).t >= fact.t:
        later = <Fact*>unit.facts.items[i]
        if is_move(later.kind):
            ask_for(floor, later)
        i -= 1
    return 0


cdef int ask_for(Floor floor, Fact* fact) except -1:
    """Before any window decides what it means."""
    return floor.by_watermark.push(fact.t, RANK_TRACK, text_key(fact.lu), fact, TAG_LEGAL, fact.t)


cdef int judge(Floor floor, Fact* fact) except -1:
    """The watermark has passed it: nothing can come any more that makes it one of another carton."""
    cdef Cycle* cycle = fact.cycle
    cdef List* changed = NULL
    cdef int i
    if cycle == NULL or index_of(cycle.facts, fact) < 0 or not comes_after_void(floor, cycle, fact):
        return 0
    cartons.detach(floor, cycle.unit, fact, &changed)
    for i in range(length(changed)):
        shipments.touch_cycle(floor, <Cycle*>changed.items[i], fact)
    floor.store.free(changed)
    fact.cycle = NULL                   # who still waits for it finds no carton
    if fact.kind == K_SCAN_READ:
        return 0
    if fact.kind == K_LOAD_SCANNED:
        remove(floor.trailer_of(fact.trailer).loads, fact)
    floor.state.count_taken -= 1
    floor.state.count_rejected += 1
    return floor.outlet.raise_(PKG_AFTER_VOID, cartons.subject_text(floor, cycle), fact.t, fact, NAMES[fact.kind])


cdef bint comes_after_void(Floor floor, const Cycle* cycle, const Fact* fact) noexcept:
    cdef Fact* other
    cdef int i
    for i in range(length(cycle.facts)):
        other = <Fact*>cycle.facts.items[i]
        if other.kind == K_CARTON_VOID and floor.precedes(other, fact):
            return True
    return False
