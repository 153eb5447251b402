"""What is told of a carton (R40a, R43 to R46, R53, R56): `carton.closed`, `carton.reopened`, `carton.voided`."""

from ext.floor cimport Floor
from ext.state cimport Cycle, Fact


cdef int tell_closed(Floor floor, Cycle* cycle, Fact* close, const Fact* cause) except -1
cdef int tell_reopened(Floor floor, Cycle* cycle, const Fact* cause) except -1
cdef int tell_voided(Floor floor, Cycle* cycle) except -1
cdef int tell_merged(Floor floor, Cycle* cycle, const Fact* cause) except -1
