# cython: boundscheck=False, wraparound=False
"""R21 c: see short_on_close.pxd."""

from libc.stdint cimport int64_t

from ext cimport picks
from ext.kinds cimport K_CARTON_CLOSE
from ext.store cimport List, index_of, length, nth, remove, remove_at


cdef int ask_closes(Floor floor, LoadUnit* unit) except -1:
    """R21 c for a task that came after the close of its destination."""
    cdef int i
    if floor.rules.short_on_close:
        for i in range(length(unit.cycles)):
            close_picks(floor, <Cycle*>nth(unit.cycles, i))
    return 0


cdef int close_picks(Floor floor, Cycle* cycle) except -1:
    """R21 c, only with `short_on_close`: the close of its destination ends what is still being picked into it."""
    cdef Fact* close
    cdef Fact* fact
    cdef PickWindow* window
    cdef int i, k
    for i in range(length(cycle.facts)):
        close = <Fact*>nth(cycle.facts, i)
        if close.kind != K_CARTON_CLOSE:
            continue
        for k in range(length(cycle.facts)):
            fact = <Fact*>nth(cycle.facts, k)
            if fact.window != NULL and fact.qty > 0 and fact.t <= close.t and index_of(fact.window.closings, close) < 0:
                picks.take_closing(floor, fact.window, close)
        for k in range(length(cycle.unit.destined)):
            window = <PickWindow*>nth(cycle.unit.destined, k)
            if is_destined(cycle, window, close):
                if index_of(window.closings, close) < 0:
                    picks.take_closing(floor, window, close)
            elif not is_begun(window, close.t) and window.trouble.closed_by != close:
                remove(&window.closings, close)     # R3: of an earlier use as long as what began this one was not heard of
    return 0


cdef int forget_close(Cycle* cycle, const Fact* close) noexcept:
    """It was refused (section 10): what waited for it to be decided does so no more."""
    cdef PickWindow* window
    cdef int i
    for i in range(length(cycle.facts)):
        window = (<Fact*>nth(cycle.facts, i)).window
        if window != NULL and window.trouble.closed_by != close:
            remove(&window.closings, close)
    for i in range(length(cycle.unit.destined)):
        window = <PickWindow*>nth(cycle.unit.destined, i)
        if window.trouble.closed_by != close:
            remove(&window.closings, close)
    return 0


cdef int forget_closes(Floor floor, PickWindow* window) noexcept:
    """R29: a pick of it was taken back. What closed a use in which it has nothing any more does not end it."""
    cdef const Fact* close
    cdef int i = length(window.closings)
    while i > 0 and floor.rules.short_on_close:
        i -= 1
        close = <const Fact*>nth(window.closings, i)
        if close.kind == K_CARTON_CLOSE and window.trouble.closed_by != close and not goes_into(close.cycle, window, close):
            remove_at(&window.closings, i)
    return 0


cdef bint goes_into(const Cycle* cycle, const PickWindow* window, const Fact* close) noexcept:
    """Something of it was put there before the close, or would be."""
    cdef const Fact* fact
    cdef int i
    if cycle == NULL:                           # the manifest has ended that use before
        return False
    for i in range(length(cycle.facts)):
        fact = <const Fact*>nth(cycle.facts, i)
        if fact.window == window and fact.qty > 0 and fact.t <= close.t:
            return True
    return index_of(cycle.unit.destined, window) >= 0 and is_destined(cycle, window, close)


cdef bint is_destined(const Cycle* cycle, const PickWindow* window, const Fact* close) noexcept:
    """A task without picks by then goes into this cycle if the carton's plan says so, or was there before the close."""
    cdef Cycle* other
    cdef int i
    if is_begun(window, close.t):
        return False
    if cycle.plan != NULL and cycle.plan.has_contents:
        for i in range(cycle.plan.contents.count if cycle.plan.contents != NULL else 0):
            if cycle.plan.contents.items[i].line == window.line:
                return True
        return False
    for i in range(length(cycle.unit.cycles)):      # an earlier use that was there for it took it along
        other = <Cycle*>nth(cycle.unit.cycles, i)
        if other.begin < cycle.begin and other.end > window.planned_t:
            return False
    return window.planned_t <= close.t


cdef bint is_begun(const PickWindow* window, int64_t t) noexcept:
    return has_pick(window.facts, t) or has_pick(window.trouble.other_sku, t)


cdef bint has_pick(const List* facts, int64_t t) noexcept:
    """What was put back says nothing of where the next piece goes."""
    cdef const Fact* fact
    cdef int i
    for i in range(length(facts)):
        fact = <Fact*>nth(facts, i)
        if fact.t > t:
            break
        if fact.qty > 0:
            return True
    return False
