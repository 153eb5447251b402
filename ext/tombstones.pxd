"""What is left of windows that went before their time (R46): a hash of the key, and when it closed.

Where `state_bytes_max` makes finished windows leave before `lateness_ms` has passed, a late fact could meet a window
that is new to it and tell revision 0 once more. It finds the tombstone instead, and is dead: `TIME_TOO_LATE`.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

from ext.floor cimport Floor


cdef int bury(Floor floor, const char* head, int32_t text, int64_t t) except -1
cdef bint is_buried(Floor floor, const char* head, int32_t text) except -1
cdef int forget(Floor floor, int64_t before) except -1
cdef bint are_many(Floor floor) noexcept
