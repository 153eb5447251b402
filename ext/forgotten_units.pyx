# cython: boundscheck=False, wraparound=False
"""Uses of load units that are over: see forgotten_units.pxd."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from ext cimport carton_names, riding, tombstones
from ext.floor cimport find_line, first_from
from ext.kinds cimport (
    K_CARTON_OPEN, K_CARTON_PLAN, K_LABEL_VERIFIED, K_LU_BIND, K_LU_RELEASE, K_PACK_CONFIRM, K_PICK_CONFIRM, K_PICK_REVERSE,
    K_WEIGH,
)
from ext.state cimport Cycle, Fact, Line, LoadUnit, Move, PickWindow
from ext.store cimport List, Table, find, index_of, last, length, nth, remove, remove_at, remove_some, set_nth
from ext.timers cimport NEVER


cdef class Keys:
    def __cinit__(self, int64_t most):
        self.items = <uint64_t*>malloc((most + 1) * sizeof(uint64_t))
        if self.items == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.items)

    cdef void add(self, uint64_t key) noexcept:
        self.items[self.count] = key
        self.count += 1


cdef int drop_all(Floor floor, Table* table, Keys keys) except -1:
    cdef int64_t i
    for i in range(keys.count):
        floor.store.drop(table, keys.items[i])
    return 0


cdef bint goes_early(Floor floor, int64_t before) noexcept:
    """A late fact may still come for what leaves now."""
    return before > floor.state.watermark - floor.rules.lateness


cdef int forget_units(Floor floor, int64_t before) except -1:
    """Cycles that ended long ago, or that were closed and then left alone; a unit without cycles goes, too, unless something
    rides on it: a pallet is bound to before it is seen."""
    cdef Table* table = floor.state.units
    cdef Keys keys = Keys(table.count)
    cdef LoadUnit* unit
    cdef Fact* youngest
    cdef uint64_t i
    for i in range(table.capacity):
        unit = <LoadUnit*>table.slots[i].value
        if unit == NULL:
            continue
        forget_cycles(floor, unit, before)
        forget_emptied(floor, unit, before)
        forget_destined(floor, unit)
        forget_riders(floor, unit)
        remove_some(&unit.refused, 0, first_from(unit.refused, before))
        youngest = <Fact*>last(unit.facts)
        if (length(unit.cycles) == 0 and length(unit.destined) == 0 and (youngest == NULL or youngest.t < before)
                and not unit.numbered and length(unit.riders) == 0 and length(unit.refused) == 0):
            keys.add(table.slots[i].key)
    return drop_all(floor, table, keys)


cdef int forget_cycles(Floor floor, LoadUnit* unit, int64_t before) except -1:
    cdef Cycle* cycle
    cdef int i = 0, count = length(unit.cycles)
    carton_names.meet(unit, floor.state.watermark)      # a number stays taken
    while i < length(unit.cycles):
        cycle = <Cycle*>nth(unit.cycles, i)
        if is_live(cycle, before):
            i += 1
            continue
        if cycle.decided.closed != NULL and goes_early(floor, before):
            tombstones.bury(floor, b"carton/", cycle.key, before)
        carton_names.forget_alarms(floor, cycle)
        if cycle.plan != NULL:
            remove(&cycle.plan.cycles, cycle)
        if cycle.mismatched:
            remove(&floor.state.mismatched, cycle)
        remove_at(&unit.cycles, i)
        if i > 0:
            mark_gone(floor, unit, <Cycle*>nth(unit.cycles, i - 1), cycle.anchor)
    return forget_facts(unit, before) if length(unit.cycles) < count or has_strays(unit, before) else 0


cdef int mark_gone(Floor floor, LoadUnit* unit, const Cycle* kept, const Fact* anchor) except -1:
    """A use before it is still remembered. So that this ends where it did, a mark stays of the fact that began the next."""
    cdef Fact* mark
    cdef int i
    for i in range(first_from(unit.facts, kept.end), length(unit.facts)):
        if is_mark(<Fact*>nth(unit.facts, i)):
            return 0
    mark = floor.copy_name(anchor)
    mark.kind, mark.context, mark.follows, mark.lu = K_LU_BIND, anchor.context, True, unit.lu
    mark.target = anchor.target if anchor.kind == K_LU_BIND or anchor.kind == K_CARTON_PLAN else 0
    floor.insert_sorted(&unit.facts, mark)
    return 0


cdef inline bint is_mark(const Fact* fact) noexcept:
    return fact.kind == K_LU_BIND and fact.follows


cdef bint ends_use(const LoadUnit* unit, const Fact* fact) noexcept:
    """Whether it ends a use that is remembered, or marks the end."""
    cdef const Cycle* cycle
    cdef int i = length(unit.cycles) - 1
    if is_mark(fact):
        return i >= 0 and (<const Cycle*>nth(unit.cycles, 0)).begin <= fact.t
    while i >= 0 and fact.kind == K_LU_RELEASE:
        cycle = <const Cycle*>nth(unit.cycles, i)
        if cycle.end == fact.t:
            return True
        i -= 1
    return False


cdef bint has_strays(const LoadUnit* unit, int64_t before) noexcept:
    """Old facts that are of no use of the unit: of a name that is seen for ever, such as what a scanner says when it has read
    nothing."""
    cdef const Fact* oldest = <Fact*>nth(unit.facts, 0) if length(unit.facts) else NULL
    return oldest != NULL and oldest.cycle == NULL and oldest.t < before


cdef int forget_facts(LoadUnit* unit, int64_t before) noexcept:
    """What is of no use of the unit that is remembered."""
    cdef Fact* fact
    cdef int i, kept = 0
    for i in range(length(unit.facts)):
        fact = <Fact*>nth(unit.facts, i)
        if (fact.t >= before or (fact.cycle != NULL and index_of(unit.cycles, fact.cycle) >= 0)
                or ends_use(unit, fact)):
            set_nth(&unit.facts, kept, fact)
            kept += 1
    remove_some(&unit.facts, kept, length(unit.facts) - kept)
    return 0


cdef int forget_emptied(Floor floor, LoadUnit* unit, int64_t before) except -1:
    """R43: a use that nobody ends, as of a slot of a put wall, keeps what lies there and not what went through it. Of all up to
    a moment long ago when it was moved out to the last piece, the last weight and label stay, and that the use had begun, as if
    by a `carton.open`."""
    cdef Cycle* cycle = <Cycle*>last(unit.cycles)
    cdef Fact* mark
    cdef int gone = went_through(floor, cycle, before) if cycle != NULL and not goes_early(floor, before) else 0
    if gone < 2:
        return 0
    mark = <Fact*>nth(cycle.facts, 0)
    if mark.kind != K_CARTON_OPEN:
        mark = floor.copy_name(mark)
        mark.kind, mark.lu, mark.cycle = K_CARTON_OPEN, unit.lu, cycle
        set_nth(&unit.facts, index_of(unit.facts, nth(cycle.facts, 0)), mark)
        set_nth(&cycle.facts, 0, mark)
        cycle.anchor = mark
    return drop_facts(floor, unit, cycle, gone)


cdef int went_through(Floor floor, const Cycle* cycle, int64_t before) noexcept:
    """How many of its first facts are older, are of no line that is remembered, and left nothing there. Nothing was told of such
    a use so far, and if it is, nothing of what has gone is in it."""
    cdef const Fact* fact
    cdef int i, gone = 0
    if not cycle.packs or cycle.end != NEVER or cycle.any_close or cycle.target or cycle.carton or cycle.key:
        return 0
    for i in range(length(cycle.facts)):
        fact = <const Fact*>nth(cycle.facts, i)
        if fact.t >= before or not may_go(fact.kind) or is_of_known_line(floor, fact):
            break
        if fact.kind == K_PACK_CONFIRM and fact.move.emptied:
            gone = i + 1
    return gone


cdef bint may_go(int kind) noexcept:
    """What puts goods in or takes them out, and what the last one of its kind says alone."""
    return (kind == K_PICK_CONFIRM or kind == K_PICK_REVERSE or kind == K_PACK_CONFIRM or kind == K_CARTON_OPEN
            or kind == K_WEIGH or kind == K_LABEL_VERIFIED)


cdef int drop_facts(Floor floor, LoadUnit* unit, Cycle* cycle, int count) except -1:
    """All but the first of so many of the cycle's facts, the last weight and the last label."""
    cdef List* gone = NULL
    cdef const Fact* weight = NULL
    cdef const Fact* label = NULL
    cdef Fact* fact
    cdef int i = count
    while i > 1:
        i -= 1
        fact = <Fact*>nth(cycle.facts, i)
        if fact.kind == K_WEIGH and weight == NULL:
            weight = fact
        elif fact.kind == K_LABEL_VERIFIED and label == NULL:
            label = fact
        else:
            floor.store.append(&gone, fact)
    remove_all(&unit.facts, gone)
    remove_all(&cycle.facts, gone)
    floor.store.free(gone)
    return 0


cdef void remove_all(List** facts, const List* gone) noexcept:
    """`gone`: some of them, in the opposite order."""
    cdef int i, kept = 0, left = length(gone)
    for i in range(length(facts[0])):
        if left and nth(facts[0], i) == nth(gone, left - 1):
            left -= 1
        else:
            set_nth(facts, kept, nth(facts[0], i))
            kept += 1
    remove_some(facts, kept, length(facts[0]) - kept)


cdef bint is_of_known_line(Floor floor, const Fact* fact) noexcept:
    """A pick, or an end of a move, of a line that is remembered: its shipment may still ask where it went."""
    cdef const Move* move = fact.move if fact.kind == K_PACK_CONFIRM else NULL
    cdef int i
    if fact.window != NULL and is_known(floor, fact.window.line):
        return True
    if move == NULL:
        return False
    if (move.window != NULL and is_known(floor, move.window.line)) or (move.line != NULL and is_known(floor, move.line)):
        return True
    for i in range(move.moved.count if move.moved != NULL else 0):
        if is_known(floor, move.moved.items[i].line):
            return True
    return False


cdef inline bint is_known(Floor floor, const Line* line) noexcept:
    return line != NULL and find_line(floor.state, line.order, line.number) == line


cdef int forget_destined(Floor floor, LoadUnit* unit) except -1:
    """Tasks that are gone."""
    cdef int i = 0
    while i < length(unit.destined):
        if find(floor.state.tasks, (<PickWindow*>nth(unit.destined, i)).task) != NULL:
            i += 1
        else:
            remove_at(&unit.destined, i)
    return 0


cdef int forget_riders(Floor floor, LoadUnit* unit) noexcept:
    """Units that are gone, and those that rode on it so long ago that no fact from then can come any more (R29)."""
    cdef LoadUnit* rider
    cdef int i = 0
    while i < length(unit.riders):
        rider = <LoadUnit*>nth(unit.riders, i)
        if find(floor.state.units, rider.lu) == rider and riding.rides_after(
                rider, unit, floor.state.watermark - floor.rules.lateness):
            i += 1
        else:
            remove_at(&unit.riders, i)
    return 0


cdef bint is_live(const Cycle* cycle, int64_t before) noexcept:
    """A running cycle lives on while it is open, or anything was said of it."""
    cdef const Fact* youngest
    if cycle.plan != NULL and cycle.plan.shipment != NULL:
        return True
    if cycle.end != NEVER:
        return cycle.end >= before
    youngest = <Fact*>last(cycle.facts)
    if youngest == NULL:
        youngest = cycle.anchor
    return youngest.t >= before or not cycle.any_close
