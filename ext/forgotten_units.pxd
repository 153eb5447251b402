"""Uses of load units that ended long ago, or were closed and then left alone (see retention).

A use stays while its shipment is remembered, and may outlive the one that followed: of that a mark stays, for it has ended
the other.
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from ext.floor cimport Floor
from ext.store cimport Table


@cython.final
cdef class Keys:
    # The keys of a table that are to go: a table cannot lose one while it is walked.
    cdef uint64_t* items
    cdef int64_t count
    cdef void add(self, uint64_t key) noexcept


cdef int drop_all(Floor floor, Table* table, Keys keys) except -1
cdef bint goes_early(Floor floor, int64_t before) noexcept
cdef int forget_units(Floor floor, int64_t before) except -1
