# cython: boundscheck=False, wraparound=False
"""What came before the manifest and happened after it: see late_facts.pxd."""

from libc.stdint cimport int64_t

from ext cimport cartons, inventory, pick_alarms, pick_events, pick_names, picks, post_ship, presses, short_on_close
from ext.cycles cimport cycle_for
from ext.batch cimport ABSENT
from ext.exceptions cimport CTX_CANCEL_TOO_LATE
from ext.floor cimport first_from
from ext.plans cimport scopes_ever
from ext.shipment_cartons cimport has_shipped, shipment_of_pick, window_has_shipped
from ext.state cimport CartonPlan, Cycle, Fact, Line, LoadUnit, PickWindow, ScopeLine
from ext.store cimport List, find, index_of, length, nth
from ext.timers cimport ANY_TIME, NEVER
from ext.touches cimport touch_others


cdef bint comes_after_ship(Floor floor, const PickWindow* window, const Fact* fact) except -1:
    """R29: the shipment of its carton, else of its line, has left. One that comes in time is judged by what was planned at its
    moment, whatever has been heard of since (R3)."""
    cdef LoadUnit* unit = <LoadUnit*>find(floor.state.units, fact.lu)
    cdef Cycle* cycle = cycle_for(unit, fact) if unit != NULL else NULL
    if scopes_ever(window.line) == 0 and (cycle == NULL or cycle.plan == NULL):
        return False                        # no shipment is known of
    return has_shipped(shipment_of_pick(window.line, cycle, max(fact.t, floor.state.watermark - 1)), fact.t,
                       floor.state.watermark)


cdef bint take_late(Floor floor, PickWindow* window, Fact* fact) except -1:
    """R29: a pick or reversal of what has left. False: it, or the one whose place it takes, is a duplicate (R30)."""
    cdef bint known = fact.press != 0 and presses.note_press(floor, window, fact)
    if known and not replace_late(floor, window, fact):
        return False
    post_ship.count_late(floor, window, fact, False)
    inventory.take_pick(floor, window, fact)
    if fact.qty < 0:
        pick_events.tell_reversal(floor, window, fact)
    return not known


cdef bint replace_late(Floor floor, PickWindow* window, const Fact* fact) except -1:
    """R30, R3: another record told of this press, as of one from after the manifest. The earlier of the two counts, unless the
    watermark had passed it when it came. True: this one does, and the other is taken back."""
    cdef Fact* other = presses.late_press(floor, window, fact, False)
    if other == NULL or fact.t < floor.state.watermark or not floor.precedes(fact, other):
        return False
    post_ship.uncount_late(floor, window, other)
    inventory.take_back(floor, window, other)
    return True


cdef int judge_again(Floor floor, const List* cycles) except -1:
    """R29, R3: the order systems have said whose these cartons are, or how long. Picks that the watermark has not passed and
    that were taken may be late by it; those that were late are judged when it passes them."""
    cdef List* late = NULL
    cdef Cycle* cycle
    cdef Fact* fact
    cdef int i, k
    for i in range(length(cycles)):
        cycle = <Cycle*>nth(cycles, i)
        for k in range(first_from(cycle.facts, floor.state.watermark), length(cycle.facts)):
            fact = <Fact*>nth(cycle.facts, k)
            if fact.window != NULL and comes_after_ship(floor, fact.window, fact) and index_of(late, fact) < 0:
                floor.store.append(&late, fact)
    for i in range(length(late)):
        fact = <Fact*>nth(late, i)
        take_back(floor, shipment_of_pick(fact.window.line, cycle_of(floor, fact), fact.t), fact.window, fact)
    floor.store.free(late)
    return 0


cdef bint is_in_time(Floor floor, const PickWindow* window, const Fact* fact) except -1:
    """A late pick that turns out to be none."""
    return post_ship.is_late(floor, window, fact) and not comes_after_ship(floor, window, fact)


cdef int give_back(Floor floor, PickWindow* window, Fact* fact) except -1:
    """It is to be taken anew."""
    post_ship.uncount_late(floor, window, fact)
    inventory.take_back(floor, window, fact)
    if fact.qty > 0:
        presses.forget_press(window, fact.press)
    fact.window, fact.late = NULL, True
    if fact.follows:
        fact.lu = 0
    return 0


cdef int take_back_later(Floor floor, Shipment* shipment) except -1:
    """R27, R29: take back picks and cancels from after its manifest: of the lines that it plans, and of those whose pieces lay
    in its cartons, also in one that was voided or stayed."""
    cdef List* others = NULL
    cdef CartonPlan* plan
    cdef int i, k
    for i in range(length(shipment.scope)):
        take_back_line(floor, shipment, (<ScopeLine*>nth(shipment.scope, i)).line)
    for i in range(shipment.gone.count if shipment.gone != NULL else 0):
        add_others(floor, shipment, shipment.gone.items[i].cycle, &others)
    for i in range(length(shipment.plans)):
        plan = <CartonPlan*>nth(shipment.plans, i)
        for k in range(length(plan.cycles)):
            add_others(floor, shipment, <Cycle*>nth(plan.cycles, k), &others)
    for i in range(length(others)):
        take_back_line(floor, shipment, <Line*>nth(others, i))
    floor.store.free(others)
    return 0


cdef int add_others(Floor floor, const Shipment* shipment, const Cycle* cycle, List** others) except -1:
    """The lines of its pieces that the shipment does not plan."""
    cdef const Fact* fact
    cdef int k
    for k in range(length(cycle.facts)):
        fact = <const Fact*>nth(cycle.facts, k)
        if (fact.window != NULL and not is_planned_by(fact.window.line, shipment)
                and index_of(others[0], fact.window.line) < 0):
            floor.store.append(others, fact.window.line)
    return 0


cdef bint is_planned_by(const Line* line, const Shipment* shipment) noexcept:
    cdef int i
    for i in range(length(line.scopes)):
        if (<ScopeLine*>nth(line.scopes, i)).shipment == shipment:
            return True
    return False


cdef int take_back_line(Floor floor, Shipment* shipment, Line* line) except -1:
    cdef PickWindow* window
    cdef int i
    take_back_cancels(floor, shipment, line)
    for i in range(length(line.windows)):
        window = <PickWindow*>nth(line.windows, i)
        take_back_picks(floor, shipment, window, window.facts)
        take_back_picks(floor, shipment, window, window.trouble.other_sku)
    return 0


cdef int take_back_cancels(Floor floor, const Shipment* shipment, Line* line) except -1:
    """R27: too late for the windows that have left, and for a line of which no other shipment has a share."""
    cdef PickWindow* window
    cdef Fact* cancel
    cdef Fact* late = NULL
    cdef int i
    for i in range(length(line.windows)):
        window = <PickWindow*>nth(line.windows, i)
        cancel = window.trouble.cancelled_by
        if not is_after(shipment, window.trouble.cancel_t) or not window_has_shipped(window, cancel.t, ABSENT):
            continue                    # what the watermark had passed when the cancel came was asked then
        late = cancel
        floor.troubled(window).cancelled_by = NULL
        floor.troubled(window).cancel_t = NEVER
        floor.outlet.raise_(CTX_CANCEL_TOO_LATE, pick_names.subject_text(floor, window), cancel.t, cancel, "")
        picks.tell(floor, window, cancel, ANY_TIME)
    if late == NULL:
        return 0
    if length(line.scopes) <= 1 and is_after(shipment, line.changed.cancel_t):
        floor.changing(line).cancelled_by = NULL
        floor.changing(line).cancel_t = NEVER
    return touch_others(floor, shipment, line, late)


cdef bint is_after(const Shipment* shipment, int64_t t) noexcept:
    return shipment.manifest_t < t < NEVER


cdef int take_back_picks(Floor floor, Shipment* shipment, PickWindow* window, const List* facts) except -1:
    """R29: they make no revision; the one that they made is followed by what holds without them."""
    cdef Fact* fact
    cdef int i = length(facts) - 1
    while i >= 0 and (<Fact*>nth(facts, i)).t > shipment.manifest_t:
        fact = <Fact*>nth(facts, i)
        if shipment_of_pick(window.line, cycle_of(floor, fact), fact.t) == shipment:
            take_back(floor, shipment, window, fact)
        i -= 1
    return 0


cdef Cycle* cycle_of(Floor floor, const Fact* fact) noexcept:
    """Where it went as things stand now: the manifest has ended the use of its unit."""
    cdef LoadUnit* unit = <LoadUnit*>find(floor.state.units, fact.lu)
    return cycle_for(unit, fact) if unit != NULL else NULL


cdef int take_back(Floor floor, const Shipment* shipment, PickWindow* window, Fact* fact) except -1:
    cdef List* changed = NULL
    picks.take_back(floor, window, fact)
    if fact.lu:
        cartons.detach(floor, floor.unit_of(fact.lu), fact, &changed)
    short_on_close.forget_closes(floor, window)
    picks.tell(floor, window, fact, ANY_TIME)
    if length(window.facts):
        pick_alarms.watch(floor, window, fact.t)
    floor.store.free(changed)
    touch_others(floor, shipment, window.line, fact)
    return post_ship.count_late(floor, window, fact, fact.t < floor.state.watermark)
