# cython: boundscheck=False, wraparound=False
"""Episodes of a load unit: see unit_episodes.pxd."""

from libc.stdint cimport int32_t

from ext.exceptions cimport RTE_LOST
from ext.kinds cimport K_DIVERT_CONFIRMED, K_ITEM_LOST
from ext.state cimport LoadUnit
from ext.store cimport find, index_of, length, nth


cdef bint is_judged(const Fact* fact, int code) noexcept:
    return fact.judged & (LOSS_JUDGED if code == RTE_LOST else DEST_JUDGED)


cdef bint is_told(const Fact* fact, int code) noexcept:
    return fact.judged & (LOSS_TOLD if code == RTE_LOST else DEST_TOLD)


cdef bint begins(const Fact* fact, int code) noexcept:
    """A loss, or a divert elsewhere than asked. What concerns the code and begins no episode ends one."""
    if fact == NULL:
        return False
    return fact.kind == K_ITEM_LOST if code == RTE_LOST else fact.dest != fact.dest_req


cdef bint concerns(const Fact* fact, int code) noexcept:
    """R64: every device record is a sight. R62: a divert with a destination that was asked for."""
    if code == RTE_LOST:
        return not fact.context
    return fact.kind == K_DIVERT_CONFIRMED and fact.dest_req != 0


cdef Fact* beside(Floor floor, const Fact* fact, int code, int step) noexcept:
    """What concerns the code before (-1) or after (1) it; NULL: nothing that is known."""
    cdef LoadUnit* unit = <LoadUnit*>find(floor.state.units, fact.lu)
    cdef int i = index_of(unit.facts, fact) if unit != NULL else -1
    while i >= 0 and 0 <= i + step < length(unit.facts):
        i += step
        if concerns(<Fact*>nth(unit.facts, i), code):
            return <Fact*>nth(unit.facts, i)
    return NULL


cdef Fact* judge(Floor floor, Fact* fact, int code) except? NULL:
    """R62, R64: the watermark has passed a fact, or it was learned late: does it begin an episode, or end one?"""
    cdef int32_t subject = floor.joined(b"lu/", fact.lu)
    cdef Fact* after
    if is_judged(fact, code) or not is_there(floor, fact):
        return NULL
    fact.judged |= LOSS_JUDGED if code == RTE_LOST else DEST_JUDGED
    if begins(fact, code):
        return tell(floor, subject, fact, code) if not begins(beside(floor, fact, code, -1), code) else NULL
    after = beside(floor, fact, code, 1)
    end(floor, subject, fact, code)
    if begins(after, code) and is_judged(after, code):      # it had seemed to go on with what began before
        return tell(floor, subject, after, code)
    return NULL


cdef bint is_there(Floor floor, const Fact* fact) noexcept:
    """R30: a press that turned out to be told before is none of its unit's facts any more, and no sight of it."""
    cdef LoadUnit* unit = <LoadUnit*>find(floor.state.units, fact.lu)
    return unit != NULL and (index_of(unit.facts, fact) >= 0 or index_of(unit.refused, fact) >= 0)


cdef int end(Floor floor, int32_t subject, const Fact* fact, int code) except -1:
    """An open episode, unless it began after the fact. What it began with may be forgotten."""
    cdef Fact* begun = open_one(floor, subject, fact, code)
    if begun != NULL and floor.precedes(fact, begun):
        return 0
    if begun != NULL:
        begun.judged &= ~(LOSS_OPEN if code == RTE_LOST else DEST_OPEN)
    return floor.outlet.clear(code, subject, fact.t, fact)


cdef Fact* open_one(Floor floor, int32_t subject, const Fact* fact, int code) noexcept:
    """What the unit's open episode began with; NULL: none is open, or that is forgotten."""
    cdef LoadUnit* unit = <LoadUnit*>find(floor.state.units, fact.lu)
    cdef int i = length(unit.facts) - 1 if unit != NULL and floor.outlet.is_raised(code, subject) else -1
    while i >= 0 and not (<Fact*>nth(unit.facts, i)).judged & (LOSS_OPEN if code == RTE_LOST else DEST_OPEN):
        i -= 1
    return <Fact*>nth(unit.facts, i) if i >= 0 else NULL


cdef Fact* tell(Floor floor, int32_t subject, Fact* fact, int code) except? NULL:
    """An episode begins, unless it was told already with a later fact, or one that followed is open. What was learned before
    it may end it at once."""
    cdef Fact* after = fact
    cdef str detail = "" if code == RTE_LOST else f"{floor.text(fact.dest)} instead of {floor.text(fact.dest_req)}"
    while begins(after, code):
        if is_told(after, code):
            return NULL
        after = beside(floor, after, code, 1)
    if open_one(floor, subject, fact, code) != NULL:
        return NULL
    fact.judged |= LOSS_TOLD | LOSS_OPEN if code == RTE_LOST else DEST_TOLD | DEST_OPEN
    floor.outlet.raise_(code, subject, fact.t, fact, detail)
    if after == NULL or not is_judged(after, code):
        return after
    end(floor, subject, after, code)
    return NULL
