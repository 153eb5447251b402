"""Who is in (R2), in two orders: by watermark, for the least is the partition's, and by the moment of leaving.

`State.live` are two heaps of the same sources, by `Source.placed`: what a source's watermark and moment of leaving were
when it took its place. Both rise with nearly every record, so a place is at worst too early: a source goes to where it
belongs when it comes to the front, and not before.
"""

from ext.sources cimport Source
from ext.state cimport State
from ext.store cimport Store

cdef int join(Store store, State* state, Source* source) except -1
cdef void leave(State* state, Source* source) noexcept
cdef void restore_order(State* state, Source* source) noexcept
cdef Source* laggard(State* state) noexcept
cdef Source* first_to_leave(State* state) noexcept
