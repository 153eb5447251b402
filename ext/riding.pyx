"""R48: units that ride on other units: see riding.pxd."""

from ext.floor cimport Fact, Trailer, insert_sorted, name_alike
from ext.kinds cimport K_LU_BIND, K_LU_RELEASE
from ext.timers cimport NEVER

cdef int DEPTH_MAX = 3              # a carton on a pallet on a cart; also ends a circle of binds


cdef class Ride:
    cdef LoadUnit parent
    cdef Fact bind
    cdef int64_t t_from
    cdef int64_t t_to


cdef list sights_of(Floor floor, Cycle cycle):
    """The facts of a cycle, and where its parents went while it rode on them, sorted."""
    cdef list found
    if not cycle.unit.rides:
        return cycle.facts
    found = list(cycle.facts)
    add_rides(floor, cycle.unit, cycle.begin, end_of_use(cycle), found, DEPTH_MAX)
    return found


cdef int64_t end_of_use(Cycle cycle) except -1:
    """Up to the next cycle of its unit: a carton moves on after its manifest."""
    cdef Cycle other
    for other in cycle.unit.cycles:
        if other.begin > cycle.begin:
            return other.begin
    return NEVER


cdef int add_rides(Floor floor, LoadUnit unit, int64_t t_from, int64_t t_to, list found, int depth) except -1:
    cdef Ride ride
    cdef Fact fact
    cdef int64_t low, high
    for ride in rides_of(floor, unit):
        low, high = max(t_from, ride.t_from), min(t_to, ride.t_to)
        if low >= high:
            continue
        fact = last_place(floor, ride, low)
        if fact is not None:
            insert_sorted(found, fact, floor.texts)
        for fact in ride.parent.facts:
            if low <= fact.t < high and is_place(fact.kind):
                insert_sorted(found, fact, floor.texts)
        if ride.parent.rides and depth > 1:
            add_rides(floor, ride.parent, low, high, found, depth - 1)
    return 0


cdef list rides_of(Floor floor, LoadUnit unit):
    """From a bind to the next one with a parent, or to a release of the unit or of its parent."""
    cdef list rides = []
    cdef Ride ride = None
    cdef Fact fact
    for fact in unit.facts:
        if fact.kind == K_LU_RELEASE or (fact.kind == K_LU_BIND and fact.parent):
            if ride is not None:
                ride.t_to = min(ride.t_to, fact.t)
            ride = None
        if fact.kind == K_LU_BIND and fact.parent:
            ride = Ride()
            ride.parent, ride.bind = floor.unit_of(fact.parent), fact
            ride.t_from, ride.t_to = fact.t, first_release(ride.parent, fact.t)
            rides.append(ride)
    return rides


cdef int64_t first_release(LoadUnit unit, int64_t t) except -1:
    cdef Fact fact
    for fact in unit.facts:
        if fact.kind == K_LU_RELEASE and fact.t >= t:
            return fact.t
    return NEVER


cdef Fact last_place(Floor floor, Ride ride, int64_t t):
    """Where the parent already was, as a fact of the moment at which the unit came onto it; None: nothing is known.

    A loading whose trailer has left since belongs to an earlier trip.
    """
    cdef Fact fact, last = None, here
    cdef Trailer trailer
    for fact in ride.parent.facts:
        if fact.t >= t:
            break
        if fact.kind == K_LU_RELEASE:
            last = None
        elif is_place(fact.kind):
            last = fact
    if last is None:
        return None
    if last.trailer:
        trailer = floor.trailer_of(last.trailer)
        for fact in trailer.closes:
            if last.t <= fact.t < t:
                return None
    here = Fact.__new__(Fact)
    name_alike(here, ride.bind)
    here.t, here.kind = t, last.kind
    here.dest, here.loc, here.trailer, here.lu = last.dest, last.loc, last.trailer, last.lu
    return here


cdef list riders_at(Floor floor, LoadUnit unit, int64_t t):
    """Cycles of the units that ride on this one at `t`, and of those on them."""
    cdef list found = [], todo = [unit]
    cdef LoadUnit parent, rider
    cdef Cycle cycle, at
    cdef int depth
    for depth in range(DEPTH_MAX):
        todo, parents = [], todo
        for parent in parents:
            for rider in parent.riders:
                if not rides_on(floor, rider, parent, t):
                    continue
                todo.append(rider)
                at = None
                for cycle in rider.cycles:
                    if cycle.begin <= t:
                        at = cycle
                if at is not None and at not in found:
                    found.append(at)
    return found


cdef bint rides_on(Floor floor, LoadUnit rider, LoadUnit parent, int64_t t) except -1:
    cdef Ride ride
    for ride in rides_of(floor, rider):
        if ride.parent is parent and ride.t_from <= t < ride.t_to:
            return True
    return False
