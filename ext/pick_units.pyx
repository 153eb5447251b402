# cython: boundscheck=False, wraparound=False
"""Load units of picks that name none (R43): see pick_units.pxd."""

from ext cimport cartons, inventory, picks, short_on_close
from ext.asked cimport lu_at
from ext.store cimport index_of, length, nth


cdef int32_t unit_of(Floor floor, const PickWindow* window, const Fact* fact) noexcept:
    """R43: of a reversal that of the last pick of its SKU before it; of a pick, or before any pick, the task's."""
    cdef const List* facts = window.facts if fact.sku == window.sku else window.trouble.other_sku
    cdef const Fact* pick
    cdef int i
    for i in range(length(facts) - 1 if fact.qty < 0 else -1, -1, -1):
        pick = <Fact*>nth(facts, i)
        if pick.qty > 0 and pick.sku == fact.sku and floor.precedes(pick, fact):
            return pick.lu
    return lu_at(window, fact.t)


cdef int join(Floor floor, Fact* fact, bint inside, List** changed) except -1:
    """The pick joins the unit that it names. `inside`: it lies there already, only its window is another one (R20), which the
    unit's closes may end (R21 c)."""
    if inside:
        return short_on_close.ask_closes(floor, floor.unit_of(fact.lu))
    return cartons.attach(floor, floor.unit_of(fact.lu), fact, changed)


cdef int lead_reversals(Floor floor, PickWindow* window, const Fact* pick, List** changed) except -1:
    """R3: reversals that came before the pick that they follow go into its unit."""
    cdef List* facts = window.facts if pick.sku == window.sku else window.trouble.other_sku
    cdef Fact* fact
    cdef int i
    for i in range(index_of(facts, pick) + 1, length(facts)):
        fact = <Fact*>nth(facts, i)
        if fact.sku != pick.sku:
            continue
        if fact.qty > 0:
            break
        if fact.follows:
            move(floor, fact, pick.lu, changed)
    return 0


cdef int take_back(Floor floor, PickWindow* window, Fact* fact, int32_t lu, List** changed) except -1:
    """R30, R3: of two that tell of one press the earlier counts, whichever came first. The other leaves its window,
    and its unit if that is another than `lu`."""
    picks.take_back(floor, window, fact)
    inventory.take_back(floor, window, fact)
    if fact.lu and fact.lu != lu:
        cartons.detach(floor, floor.unit_of(fact.lu), fact, changed)
    return 0


cdef int take_over(Floor floor, PickWindow* window, Fact* fact, List** changed) except -1:
    """R20, R43: a pick of a line is a task's now, and goes where the task says."""
    if not fact.lu:
        move(floor, fact, unit_of(floor, window, fact), changed)
    if not fact.loc:
        inventory.take_pick(floor, window, fact)
    return 0


cdef int move(Floor floor, Fact* fact, int32_t lu, List** changed) except -1:
    """Into another load unit. Appends the cycles that changed."""
    if fact.lu == lu:
        return 0
    if fact.lu:
        cartons.detach(floor, floor.unit_of(fact.lu), fact, changed)
    fact.lu, fact.cycle = lu, NULL
    if lu:
        cartons.attach(floor, floor.unit_of(lu), fact, changed)
    return 0
