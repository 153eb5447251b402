# cython: boundscheck=False, wraparound=False
"""Reversals that name no unit: see reversals.pxd."""

from ext cimport cartons, shipments
from ext.state cimport Cycle
from ext.store cimport List, length


cdef int32_t unit_of(Floor floor, const PickWindow* window, Fact* reversal) noexcept:
    """0: nothing was picked yet, and the task names none."""
    cdef Fact* pick
    cdef int i = length(window.facts) - 1
    reversal.parent = window.lu
    while i >= 0:
        pick = <Fact*>window.facts.items[i]
        if pick.qty > 0 and floor.precedes(pick, reversal):
            reversal.parent = pick.lu if pick.lu else window.lu
            break
        i -= 1
    return reversal.parent


cdef int follow(Floor floor, const PickWindow* window, const Fact* pick) except -1:
    """A pick has come: the reversals after it, up to the next pick, go by it."""
    cdef Fact* fact
    cdef int i = length(window.facts) - 1, k
    while i >= 0 and window.facts.items[i] != pick:
        i -= 1
    if i < 0:                           # another SKU: it is not the window's (R31)
        return 0
    for k in range(i + 1, window.facts.count):
        fact = <Fact*>window.facts.items[k]
        if fact.qty > 0:
            break
        if fact.lu == fact.parent and fact.lu != pick.lu:
            go_over(floor, fact, pick.lu)
    return 0


cdef int go_over(Floor floor, Fact* reversal, int32_t lu) except -1:
    cdef List* changed = NULL
    cdef int i
    if reversal.lu:
        cartons.detach(floor, floor.unit_of(reversal.lu), reversal, &changed)
    reversal.cycle = NULL
    reversal.lu = reversal.parent = lu
    if lu:
        cartons.attach(floor, floor.unit_of(lu), reversal, &changed)
    for i in range(length(changed)):
        shipments.touch_cycle(floor, <Cycle*>changed.items[i], reversal)
    floor.store.free(changed)
    return shipments.touch_line(floor, reversal.window.line, reversal.t, reversal)
