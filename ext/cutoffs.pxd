"""Waves and the cutoffs of their orders (R21 d), by the word of the order systems."""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.state cimport Fact


cdef int take(Floor floor, Fact* fact, dict record) except -1
cdef Fact* at_time(Floor floor, const Fact* fact, int64_t t) except NULL
