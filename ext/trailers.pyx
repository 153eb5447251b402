# cython: boundscheck=False, wraparound=False
"""Trailers: what is scanned into them, and that they close (R54, R55): see trailers.pxd."""

from ext cimport carton_names, carton_state, manifests, riding
from ext.exceptions cimport SHP_LOAD_BEFORE_READY, SHP_WRONG_TRAILER
from ext.keys cimport text_key
from ext.kinds cimport K_LOAD_REMOVED, K_LOAD_SCANNED
from ext.leaving cimport has_left
from ext.plans cimport plan_at
from ext.shipment_cartons cimport cycles_of, home_of
from ext.shipment_names cimport alarm, quiet
from ext.state cimport CartonPlan, Cycle, Line, PickWindow, ScopeLine, Shipment, Trailer
from ext.store cimport List, index_of, length, nth, set_nth
from ext.timers cimport RANK_SHIPMENT
from ext.touches cimport is_ready_before


cdef int take_load(Floor floor, Fact* fact) except -1:
    """A carton, or a pallet with all on it, was scanned in or taken out again; it may come after the trailer's close."""
    cdef Trailer* trailer = floor.trailer_of(fact.trailer)
    cdef Fact* close
    cdef int i
    floor.by_watermark.push(fact.t, RANK_SHIPMENT, text_key(fact.lu), fact, TAG_LOAD, fact.t)
    if fact.kind == K_LOAD_SCANNED:
        floor.insert_sorted(&trailer.loads, fact)
    for i in range(length(trailer.closes)):
        close = <Fact*>nth(trailer.closes, i)
        if close.t >= fact.t:
            floor.by_watermark.push(close.t, RANK_SHIPMENT, text_key(fact.trailer), close, TAG_CLOSED, close.t)
    return 0


cdef int take_close(Floor floor, Fact* fact) except -1:
    """R54: decided when the watermark passes it, or by the wall clock's bound."""
    floor.insert_sorted(&floor.trailer_of(fact.trailer).closes, fact)
    floor.by_watermark.push(fact.t, RANK_SHIPMENT, text_key(fact.trailer), fact, TAG_CLOSED, fact.t)
    return floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_SHIPMENT, text_key(fact.trailer), fact,
                              TAG_CLOSED, fact.t)


cdef int on_closed(Floor floor, Fact* close, bint forced) except -1:
    """R54: every shipment with a carton scanned into this visit of the trailer has it as evidence."""
    cdef Trailer* trailer = floor.trailer_of(close.trailer)
    cdef Fact* before = NULL
    cdef dict found = {}                # name -> address
    cdef List* cycles
    cdef Fact* fact
    cdef Shipment* shipment
    cdef int i, k
    for i in range(length(trailer.closes)):
        fact = <Fact*>nth(trailer.closes, i)
        if floor.precedes(fact, close):
            before = fact
    for i in range(length(trailer.loads)):
        fact = <Fact*>nth(trailer.loads, i)
        if not floor.precedes(fact, close) or (before != NULL and floor.precedes(fact, before)):
            continue
        cycles = NULL
        loaded_by(floor, fact, &cycles)
        riding.riders_at(floor, floor.unit_of(fact.lu), close.t, &cycles)       # R48: what came onto it afterwards
        for k in range(length(cycles)):
            shipment = home_of(<Cycle*>nth(cycles, k), close.t)
            if shipment != NULL:
                found[floor.text(shipment.id)] = <size_t>shipment
        floor.store.free(cycles)
    for name in sorted(found):
        manifests.take_trailer(floor, <Shipment*><size_t>found[name], close, forced)
    return 0


cdef int loaded_by(Floor floor, Fact* fact, List** found) except -1:
    """Appends the cartons that a scan speaks of: the unit's own, and those that ride on it (R48)."""
    riding.riders_at(floor, floor.unit_of(fact.lu), fact.t, found)
    if fact.cycle != NULL and index_of(found[0], fact.cycle) < 0:
        floor.store.append(found, fact.cycle)
    return 0


# ---------------------------------------------------------------------------------------------- R55

cdef int on_load(Floor floor, Fact* fact) except -1:
    """R55: everything before the load is known: was its shipment ready, and is the rest of it in the same trailer?"""
    cdef List* cycles = NULL
    cdef Cycle* cycle
    cdef Shipment* shipment
    cdef int i
    loaded_by(floor, fact, &cycles)
    for i in range(length(cycles)):
        cycle = take_first(floor, cycles, i)
        shipment = home_of(cycle, fact.t)
        if shipment == NULL:
            continue
        judge_trailer(floor, shipment, cycle, fact)
        if (fact.kind == K_LOAD_SCANNED and plan_at(shipment, fact.t).rev and shipment.manifest_t >= fact.t
                and not is_ready_before(floor, shipment, fact.t)):
            judge_too_early(floor, shipment, fact, name_then(floor, cycle, fact))
    floor.store.free(cycles)
    return 0


cdef int judge_too_early(Floor floor, Shipment* shipment, const Fact* load, str carton) except -1:
    """R55: until it is ready. R51, R3: that may have been told before the watermark came to the load."""
    if load.t > shipment.ready_at:
        return alarm(floor, shipment, SHP_LOAD_BEFORE_READY, load.t, load, carton)
    if shipment.early_load_told or shipment.alarms >> SHP_LOAD_BEFORE_READY & 1:
        return 0
    shipment.early_load_told = True
    alarm(floor, shipment, SHP_LOAD_BEFORE_READY, load.t, load, carton)
    return quiet(floor, shipment, SHP_LOAD_BEFORE_READY, shipment.ready_at, shipment.ready_cause)


cdef Cycle* take_first(Floor floor, List* cycles, int done) noexcept:
    """Of those that are not done, the one whose unit has the least name: binds to a pallet come in any order (R3)."""
    cdef Cycle* first = <Cycle*>nth(cycles, done)
    cdef Cycle* other
    cdef int i, at = done
    for i in range(done + 1, length(cycles)):
        other = <Cycle*>nth(cycles, i)
        if floor.texts.precedes(other.unit.lu, first.unit.lu):
            first, at = other, i
    set_nth(&cycles, at, nth(cycles, done))
    set_nth(&cycles, done, first)
    return first


cdef int judge_trailer(Floor floor, Shipment* shipment, Cycle* cycle, Fact* fact) except -1:
    """R55: `SHP_WRONG_TRAILER` while the shipment has cartons in another trailer that is not closed; taking the carton
    out, or scanning it into the right one, clears it."""
    cdef Cycle* other = elsewhere(floor, shipment, cycle, fact) if fact.kind == K_LOAD_SCANNED else NULL
    cdef carton_state.CartonState state
    if other != NULL:
        state = carton_state.state_of(floor, other, fact.t)
        return carton_names.alarm(
            floor, cycle, SHP_WRONG_TRAILER, fact.t, fact,
            f"in {floor.text(fact.trailer)}; {name_then(floor, other, fact)} is in {floor.text(state.loading.trailer)}")
    return carton_names.quiet(floor, cycle, SHP_WRONG_TRAILER, fact.t, fact)


cdef str name_then(Floor floor, const Cycle* cycle, const Fact* fact):
    return floor.text(carton_names.name_at(floor, cycle, fact.t))


cdef Cycle* elsewhere(Floor floor, Shipment* shipment, const Cycle* cycle, const Fact* fact) except? NULL:
    """A carton of the shipment in another trailer that has not left, of several that of the least unit (R3); NULL: there is
    none."""
    cdef List* cycles
    cdef Cycle* other
    cdef Cycle* found = NULL
    cdef carton_state.CartonState state
    cdef int i
    if not is_divided(shipment, fact):
        return NULL
    cycles = cycles_of(floor, shipment, fact.t, fact.t)
    for i in range(length(cycles)):
        other = <Cycle*>nth(cycles, i)
        if found != NULL and not floor.texts.precedes(other.unit.lu, found.unit.lu):
            continue
        state = carton_state.state_of(floor, other, fact.t)
        if (other != cycle and state.loaded and state.loading.trailer != fact.trailer
                and not has_left(floor, state.loading, fact)):
            found = other
    floor.store.free(cycles)
    return found


cdef bint is_divided(const Shipment* shipment, const Fact* load) noexcept:
    """Whether anything that may be its was scanned into another trailer, by what is quickly seen: of a truck full of its
    cartons each asks this of all the others."""
    cdef List* scopes = plan_at(shipment, load.t).scope
    cdef List* cycles
    cdef Line* line
    cdef PickWindow* window
    cdef int i, k
    for i in range(length(shipment.plans)):
        cycles = (<CartonPlan*>nth(shipment.plans, i)).cycles
        for k in range(length(cycles)):
            if may_be_elsewhere(<Cycle*>nth(cycles, k), load):
                return True
    for i in range(length(scopes)):
        line = (<ScopeLine*>nth(scopes, i)).line
        if any_elsewhere(line.packed, load):
            return True
        for k in range(length(line.windows)):
            window = <PickWindow*>nth(line.windows, k)
            if any_elsewhere(window.facts, load) or any_elsewhere(window.trouble.other_sku, load):
                return True
    return False


cdef bint any_elsewhere(const List* facts, const Fact* load) noexcept:
    """Anything that these facts put goods into."""
    cdef const Cycle* cycle
    cdef int i
    for i in range(length(facts)):
        cycle = (<Fact*>nth(facts, i)).cycle
        if cycle != NULL and may_be_elsewhere(cycle, load):
            return True
    return False


cdef bint may_be_elsewhere(const Cycle* cycle, const Fact* load) noexcept:
    """By its last scan at a dock; what rides on something, or was packed out of, is not quickly seen."""
    cdef const Fact* fact
    cdef int i = length(cycle.facts)
    if cycle.unit.rides or cycle.packs:
        return True
    while i > 0:
        i -= 1
        fact = <Fact*>nth(cycle.facts, i)
        if fact.t <= load.t and (fact.kind == K_LOAD_SCANNED or fact.kind == K_LOAD_REMOVED):
            return fact.kind == K_LOAD_SCANNED and fact.trailer != load.trailer
    return False
