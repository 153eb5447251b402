# cython: boundscheck=False, wraparound=False
"""Illegal moves: see legality.pxd."""

from ext.keys cimport text_key
from ext.kinds cimport (
    K_CARTON_CLOSE, K_CARTON_REOPEN, K_CARTON_VOID, K_LABEL_VERIFIED, K_LOAD_SCANNED, K_SCAN_READ,
)
from ext.store cimport length, nth
from ext.timers cimport RANK_TRACK


cdef bint is_move(int kind) noexcept:
    """What a voided carton cannot do any more. To be seen, weighed or taken out of a trailer is no move of its life. (A read at
    a closing point, R42, is a sight then and closes nothing.)"""
    return (kind == K_CARTON_CLOSE or kind == K_CARTON_REOPEN or kind == K_CARTON_VOID or kind == K_LABEL_VERIFIED
            or kind == K_LOAD_SCANNED or kind == K_SCAN_READ)


cdef int watch_voided(Floor floor, LoadUnit* unit, Fact* fact) except -1:
    """Have the fact judged; of a void that came late, all facts that followed it. Which carton they are of, later facts may
    still change."""
    cdef Fact* later
    cdef int i = length(unit.facts) - 1
    if fact.kind != K_CARTON_VOID:
        return ask_for(floor, fact) if is_move(fact.kind) else 0
    unit.ever_voided = True
    while i >= 0 and (<Fact*>nth(unit.facts, i)).t >= fact.t:
        later = <Fact*>nth(unit.facts, i)
        if is_move(later.kind):
            ask_for(floor, later)
        i -= 1
    return 0


cdef int ask_for(Floor floor, Fact* fact) except -1:
    """Before any window decides what it means."""
    return floor.by_watermark.push(fact.t, RANK_TRACK, text_key(fact.lu), fact, TAG_LEGAL, fact.t)


cdef int ask_again(Floor floor, Fact* fact) except -1:
    return floor.by_watermark.push(fact.t, RANK_TRACK, text_key(fact.lu), fact, TAG_USE, fact.t)
