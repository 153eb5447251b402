"""What time does. Whoever waits for a moment has a timer with a tag of its own; here stands what each tag means, by the watermark
and by the wall clock (R4), and what waits for the end of a batch (R11) or of a gap (R7)."""

from ext.effects cimport Effects


cdef class Due(Effects):
    cdef int tell_deferred(self) except -1
    cdef int ask_held(self) except -1
