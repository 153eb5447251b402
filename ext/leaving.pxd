"""R54: a loading has left with the first close of its trailer behind it."""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.state cimport Fact, Shipment


cdef int64_t left_at(Floor floor, Shipment* shipment, int64_t t) except? -1
cdef bint has_left(Floor floor, const Fact* loading, const Fact* until) except -1
