"""A task that is told again (R27a), and one whose cancel is told first (R10)."""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.state cimport Fact, Line, PickWindow


cdef int ask(Floor floor, PickWindow* window, int64_t qty, const Fact* fact, bint new) except -1
cdef int move(Floor floor, PickWindow* window, Line* line, Fact* fact) except -1
cdef int ask_for(Floor floor, PickWindow* window, int32_t sku) except -1
cdef int send_to(Floor floor, PickWindow* window, int32_t lu, Fact* fact) except -1
cdef int lay_elsewhere(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef int keep_cancel(Floor floor, Fact* fact) except -1
cdef int take_cancels(Floor floor, PickWindow* window) except -1
