"""Which use of a load unit a fact belongs to (R40, R40a)."""

from ext.floor cimport Floor
from ext.state cimport Cycle, Fact, LoadUnit
from ext.store cimport List


cdef int place_fact(Floor floor, LoadUnit* unit, Fact* fact, List** changed) except -1
cdef Cycle* cycle_for(const LoadUnit* unit, const Fact* pick) noexcept
cdef int replace_fact(Floor floor, LoadUnit* unit, Fact* old, Fact* fact, List** changed) except -1
cdef int take_back(Floor floor, LoadUnit* unit, Fact* fact, List** changed) except -1
