"""R47: `pack.confirm` moves goods from one load unit to another; no pick window changes.

A move has two ends, one in each unit, at one event time. What it moves is a function of what lay in the unit that it
left, just before; when a fact comes late there, the move is worked out again, and what it feeds after it.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.state cimport Cycle, Fact, Line
from ext.store cimport List


cdef struct Piece:
    Line* line
    int32_t sku
    int32_t lot
    int64_t qty


@cython.final
cdef class Contents:
    """Pieces by (line, SKU, lot), none of them 0, in no order until they are sorted."""
    cdef Piece* pieces
    cdef int count
    cdef int capacity
    cdef bint owes              # of some row more was put back than is known to be there

    cdef int add(self, Line* line, int32_t sku, int32_t lot, int64_t qty) except -1
    cdef int count_in(self, const Fact* fact) except -1
    cdef int set_off(self) noexcept
    cdef int sort(self, Floor floor) noexcept
    cdef bint equals(self, const Fact* end) noexcept


cdef Contents contents_of(const Cycle* cycle, int64_t as_of)
cdef Fact* ends_of(Floor floor, Fact* fact, int32_t from_lu) except NULL
cdef int settle(Floor floor, List** changed) except -1
cdef int unsettle(const Cycle* cycle, const Fact* since) noexcept
