# cython: boundscheck=False, wraparound=False, cdivision=True
"""R30: see presses.pxd."""

from libc.stdint cimport int32_t, uint64_t

from ext.exceptions cimport PCK_LATE_AFTER_SHIP
from ext.premises_data cimport LatePicks
from ext.store cimport List, Numbers, has_number, length, nth


cdef bint note_press(Floor floor, PickWindow* window, const Fact* fact) except -1:
    """R30: was this press told of before? From now on it was. Entries of one record (`alloc`) that name the task and the
    press more than once are a pick each."""
    if fact.qty < 0:
        return False
    if has_number(window.presses, fact.press):
        return not is_told_beside(floor, window, fact)
    floor.store.add_number(&window.presses, fact.press)
    return False


cdef bint is_told_beside(Floor floor, const PickWindow* window, const Fact* fact) noexcept:
    """R30: whether other entries of its record tell of its press, and no other record does."""
    if counted_press(window, fact, True) == NULL and late_press(floor, window, fact, True) == NULL:
        return False
    return counted_press(window, fact, False) == NULL and late_press(floor, window, fact, False) == NULL


cdef Fact* counted_press(const PickWindow* window, const Fact* fact, bint beside) noexcept:
    """R30: the pick that counts of those that tell of its press; NULL: none does. `beside`: an entry of the same record, which
    names the task twice; else one of another."""
    cdef Fact* other = press_among(window.facts, window, fact, beside)
    return other if other != NULL else press_among(window.trouble.other_sku, window, fact, beside)


cdef Fact* late_press(Floor floor, const PickWindow* window, const Fact* fact, bint beside) noexcept:
    """The same of late picks. Its twin may have named another place: all are looked at."""
    cdef const LatePicks* late
    cdef Fact* other = NULL
    cdef uint64_t i
    for i in range(floor.state.late_picks.capacity if window.trouble.alarms >> PCK_LATE_AFTER_SHIP & 1 else 0):
        late = <const LatePicks*>floor.state.late_picks.slots[i].value
        other = press_among(late.picks, window, fact, beside) if late != NULL else NULL
        if other != NULL:
            break
    return other


cdef Fact* press_among(const List* facts, const PickWindow* window, const Fact* fact, bint beside) noexcept:
    cdef Fact* other
    cdef int i
    for i in range(length(facts)):
        other = <Fact*>nth(facts, i)
        if other.window == window and other.press == fact.press and other.qty > 0 and is_beside(other, fact) == beside:
            return other
    return NULL


cdef bint is_beside(const Fact* other, const Fact* fact) noexcept:
    """Both are entries of one record (`alloc`)."""
    return (other.src == fact.src and other.epoch == fact.epoch and other.seq == fact.seq and other.sub == fact.sub
            and other.name == fact.name)


cdef void forget_press(PickWindow* window, int32_t press) noexcept:
    """R30: the press will be taken once more."""
    cdef Numbers* known = window.presses
    cdef int i
    for i in range(known.count if known != NULL and press else 0):
        if known.items[i] == press:
            known.count -= 1
            known.items[i] = known.items[known.count]
            known.items[known.count] = 0
            return
