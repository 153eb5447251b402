"""A task that is told again (R27a), and one whose cancel is told first (R10)."""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.state cimport Fact, Line, PickWindow


cdef int change_qty(Floor floor, PickWindow* window, int64_t qty, const Fact* fact, bint new) except -1
cdef int change_line(Floor floor, PickWindow* window, Line* line, Fact* fact) except -1
cdef int change_sku(Floor floor, PickWindow* window, int32_t sku) except -1
cdef int change_unit(Floor floor, PickWindow* window, int32_t lu, Fact* fact) except -1
cdef int change_place(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef int keep_cancel(Floor floor, Fact* fact) except -1
cdef int take_cancels(Floor floor, PickWindow* window) except -1
