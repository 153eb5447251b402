# cython: boundscheck=False, wraparound=False
"""Loops and diverts (R61, R62): see diverts.pxd."""

from libc.stdint cimport int64_t

from ext cimport sights, unit_episodes
from ext.exceptions cimport RTE_MAX_RECIRC, RTE_WRONG_DEST
from ext.kinds cimport K_DIVERT_CONFIRMED, K_ITEM_ARRIVED, K_ITEM_RECIRCULATED
from ext.state cimport LoadUnit
from ext.store cimport find, index_of, nth


cdef int watch(Floor floor, Fact* fact) except -1:
    """R61, R62: loops and diverts of a unit are judged in the order of event time. A divert to where it was asked matters only
    while an exception is open; one that comes after a wrong divert is found by that (see check_dest)."""
    cdef bint matters = fact.kind == K_ITEM_RECIRCULATED and not fact.track
    if fact.kind == K_DIVERT_CONFIRMED and fact.dest_req:
        matters = fact.dest != fact.dest_req or floor.state.open_episodes[RTE_WRONG_DEST] != 0
    return sights.wait_for_watermark(floor, fact, TAG_ITEM) if matters else 0


cdef int judge(Floor floor, Fact* fact) except -1:
    """The watermark has passed a loop or a divert."""
    if fact.kind == K_ITEM_RECIRCULATED:
        return check_loops(floor, fact, loops_before(floor, fact) + 1)
    return check_dest(floor, fact)


cdef int check_loops(Floor floor, const Fact* fact, int64_t loops) except -1:
    """R61: recirculation emits nothing and closes nothing; too much of it is an exception."""
    if loops <= floor.rules.loops_max:
        return 0
    return floor.outlet.raise_(RTE_MAX_RECIRC, floor.joined(b"lu/", fact.lu), fact.t, fact, f"{loops} loops")


cdef int64_t loops_before(Floor floor, Fact* fact) noexcept:
    """R61: without a track, since the unit came to a place last, in this use of it."""
    cdef LoadUnit* unit = <LoadUnit*>find(floor.state.units, fact.lu)
    cdef Fact* other
    cdef int64_t loops = 0
    cdef int i = (index_of(unit.facts, fact) if unit != NULL else 0) - 1
    while i >= 0:
        other = <Fact*>nth(unit.facts, i)
        if other.kind == K_DIVERT_CONFIRMED or other.kind == K_ITEM_ARRIVED or other.cycle != fact.cycle:
            break
        loops += other.kind == K_ITEM_RECIRCULATED
        i -= 1
    return loops


cdef int check_dest(Floor floor, Fact* fact) except -1:
    """R62: the place is where it really went; elsewhere than asked is an exception, until it is diverted as asked."""
    cdef Fact* later = unit_episodes.judge(floor, fact, RTE_WRONG_DEST)
    return sights.wait_for_watermark(floor, later, TAG_ITEM) if later != NULL else 0
