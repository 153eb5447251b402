"""How many windows are open, in some slots of their tables: for the live view, which asks for a few at a time."""

from libc.stdint cimport int64_t, uint64_t

from ext.state cimport State


cdef int64_t open_picks(const State* state, uint64_t start, uint64_t stop) noexcept
cdef int64_t open_cartons(const State* state, uint64_t start, uint64_t stop) noexcept
cdef int64_t open_shipments(const State* state, uint64_t start, uint64_t stop) noexcept
