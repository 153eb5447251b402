"""Which use of a load unit a fact belongs to (R40, R40a)."""

from ext.floor cimport Cycle, Fact, Floor, LoadUnit


cdef list place_fact(Floor floor, LoadUnit unit, Fact fact)
cdef Cycle cycle_at(LoadUnit unit, long long t)
cdef list take_back(Floor floor, LoadUnit unit, Fact fact)
