# cython: boundscheck=False, wraparound=False
"""R48: units that ride on other units: see riding.pxd."""

from ext.floor cimport first_from
from ext.kinds cimport K_LU_BIND, K_LU_RELEASE
from ext.state cimport Fact, Trailer
from ext.store cimport index_of, length, nth
from ext.timers cimport NEVER

cdef int DEPTH_MAX = 3              # a carton on a pallet on a cart; also ends a circle of binds


cdef struct Ride:
    LoadUnit* parent
    Fact* bind
    int64_t t_from
    int64_t t_to


cdef List* sights_of(Floor floor, const Cycle* cycle) except? NULL:
    """R48: the facts of a cycle, and where its parents went while it rode on them, sorted.

    Where it rides on nothing this is the cycle's own list; any other is the caller's, to be freed.
    """
    cdef List* found = NULL
    cdef int i
    if not cycle.unit.rides:
        return cycle.facts
    for i in range(length(cycle.facts)):
        floor.store.append(&found, nth(cycle.facts, i))
    add_rides(floor, cycle.unit, cycle.begin, end_of_use(cycle), &found, DEPTH_MAX)
    return found


cdef int64_t end_of_use(const Cycle* cycle) noexcept:
    """Up to the next cycle of its unit: a carton moves on after its manifest."""
    cdef int64_t next_begin = NEVER
    cdef int i = length(cycle.unit.cycles) - 1
    while i >= 0 and (<Cycle*>nth(cycle.unit.cycles, i)).begin > cycle.begin:
        next_begin = (<Cycle*>nth(cycle.unit.cycles, i)).begin
        i -= 1
    return next_begin


cdef int add_rides(Floor floor, const LoadUnit* unit, int64_t t_from, int64_t t_to, List** found, int depth) except -1:
    cdef Ride ride
    cdef Fact* fact
    cdef int64_t low, high
    cdef int i = ride_before(unit, t_from), k
    while next_ride(floor, unit, &i, &ride) and ride.t_from < t_to:
        low, high = max(t_from, ride.t_from), min(t_to, ride.t_to)
        if low >= high:
            continue
        fact = last_place(floor, &ride, low)
        if fact != NULL:
            floor.insert_sorted(found, fact)
        for k in range(first_from(ride.parent.facts, low), first_from(ride.parent.facts, high)):
            fact = <Fact*>nth(ride.parent.facts, k)
            if is_place(fact.kind):
                floor.insert_sorted(found, fact)
        if ride.parent.rides and depth > 1:
            add_rides(floor, ride.parent, low, high, found, depth - 1)
    return 0


cdef int ride_before(const LoadUnit* unit, int64_t t) noexcept:
    """Where among its facts to look from for the rides that go on at `t` or begin later: the last that begins before."""
    cdef int from_t = first_from(unit.facts, t), i = from_t - 1
    while i >= 0 and not begins_ride(<Fact*>nth(unit.facts, i)):
        i -= 1
    return i if i >= 0 else from_t


cdef bint begins_ride(const Fact* fact) noexcept:
    return fact.kind == K_LU_BIND and fact.parent != 0


cdef bint next_ride(Floor floor, const LoadUnit* unit, int* at, Ride* ride) except -1:
    """R48: the next ride of a unit, looked for among its facts from `at` on: from a bind to the next one with a parent, or to
    a release of the unit or of its parent. False: there is none."""
    cdef Fact* fact
    cdef int i
    while at[0] < length(unit.facts):
        fact = <Fact*>nth(unit.facts, at[0])
        at[0] += 1
        if not begins_ride(fact):
            continue
        ride.parent, ride.bind, ride.t_from = floor.unit_of(fact.parent), fact, fact.t
        ride.t_to = first_release(ride.parent, fact.t)
        for i in range(at[0], length(unit.facts)):
            fact = <Fact*>nth(unit.facts, i)
            if begins_ride(fact) or ends_ride(fact, ride.parent):
                ride.t_to = min(ride.t_to, fact.t)
                break
        return True
    return False


cdef bint ends_ride(const Fact* fact, const LoadUnit* parent) noexcept:
    """A release of the unit that rides, unless it names another parent."""
    return fact.kind == K_LU_RELEASE and (not fact.parent or fact.parent == parent.lu)


cdef bint is_emptied(const Fact* fact) noexcept:
    """A release of the unit that others ride on. One that names only a parent takes it off that, with all on it."""
    return fact.kind == K_LU_RELEASE and (fact.target or not fact.parent)


cdef int64_t first_release(const LoadUnit* unit, int64_t t) noexcept:
    cdef Fact* fact
    cdef int i
    for i in range(first_from(unit.facts, t), length(unit.facts)):
        fact = <Fact*>nth(unit.facts, i)
        if is_emptied(fact):
            return fact.t
    return NEVER


cdef Fact* last_place(Floor floor, const Ride* ride, int64_t t) except? NULL:
    """Where the parent already was, as a fact of the moment at which the unit came onto it; NULL: nothing is known.

    A loading whose trailer has left since belongs to an earlier trip.
    """
    cdef Fact* fact
    cdef Fact* youngest = NULL
    cdef Fact* here
    cdef Trailer* trailer
    cdef int i = first_from(ride.parent.facts, t) - 1
    while i >= 0 and youngest == NULL:
        fact = <Fact*>nth(ride.parent.facts, i)
        if is_emptied(fact):
            return NULL
        if is_place(fact.kind):
            youngest = fact
        i -= 1
    if youngest == NULL:
        return NULL
    if youngest.kind == K_LOAD_SCANNED or youngest.kind == K_LOAD_REMOVED:
        trailer = floor.trailer_of(youngest.trailer)
        for i in range(length(trailer.closes)):
            fact = <Fact*>nth(trailer.closes, i)
            if youngest.t <= fact.t < t:
                return NULL
    here = floor.copy_name(ride.bind)
    here.t, here.kind = t, youngest.kind
    here.dest, here.loc, here.lu = youngest.dest, youngest.loc, youngest.lu     # `dest` of a loading is its trailer
    return here


cdef int riders_at(Floor floor, LoadUnit* unit, int64_t t, List** found) except -1:
    """R48: appends the cycles of the units that ride on this one at `t`, and of those on them."""
    cdef List* parents = NULL
    cdef List* riders
    cdef LoadUnit* rider
    cdef Cycle* at
    cdef int depth, i, k
    floor.store.append(&parents, unit)
    for depth in range(DEPTH_MAX):
        riders = NULL
        for i in range(length(parents)):
            unit = <LoadUnit*>nth(parents, i)
            for k in range(length(unit.riders)):
                rider = <LoadUnit*>nth(unit.riders, k)
                if not rides_on(rider, unit, t):
                    continue
                floor.store.append(&riders, rider)
                at = youngest_cycle(rider, t)
                if at != NULL and index_of(found[0], at) < 0:
                    floor.store.append(found, at)
        floor.store.free(parents)
        parents = riders
    floor.store.free(parents)
    return 0


cdef Cycle* youngest_cycle(const LoadUnit* unit, int64_t t) noexcept:
    cdef int i = length(unit.cycles) - 1
    while i >= 0 and (<Cycle*>nth(unit.cycles, i)).begin > t:
        i -= 1
    return <Cycle*>nth(unit.cycles, i) if i >= 0 else NULL


cdef bint rides_on(const LoadUnit* rider, const LoadUnit* parent, int64_t t) noexcept:
    """Looked for from `t` back: the last bind is what counts, unless a release has ended that ride."""
    cdef Fact* fact
    cdef int i = first_from(rider.facts, t + 1) - 1
    while i >= 0:
        fact = <Fact*>nth(rider.facts, i)
        if ends_ride(fact, parent):
            return False
        if begins_ride(fact):
            return fact.parent == parent.lu and first_release(parent, fact.t) > t
        i -= 1
    return False


cdef bint rides_after(const LoadUnit* rider, const LoadUnit* parent, int64_t t) noexcept:
    """Whether any of its rides on this parent goes on at `t` or begins later."""
    cdef Fact* fact
    cdef int i
    for i in range(first_from(rider.facts, t), length(rider.facts)):
        fact = <Fact*>nth(rider.facts, i)
        if begins_ride(fact) and fact.parent == parent.lu:
            return True
    return rides_on(rider, parent, t)
