"""What time does. Whoever waits for a moment has a timer with a tag of its own; here stands what each tag means, by the watermark
and by the wall clock (R4). Two things wait without a timer: picks for the rest of what their context lets take effect (R11), and
what a gap holds (R7)."""

from libc.stdint cimport int64_t

from ext.effects cimport Effects


cdef class Due(Effects):
    cdef int tell_deferred(self) except -1
    cdef int ask_held(self) except -1
    cdef int due_outside_orders(self, void* target, int tag, int64_t value) except -1
