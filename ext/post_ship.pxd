"""R29: picks of a task whose shipment has left. They revise nothing; the stock of their place is not what was told, and that is
told as a discrepancy (`POST_SHIP`), a place and task each."""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.state cimport Fact, PickWindow
from ext.store cimport List

cdef enum PostShipTag:
    TAG_LATE = 6            # the watermark passed a pick from after the manifest


cdef int count_late(Floor floor, PickWindow* window, Fact* fact, bint known) except -1
cdef int count_late_here(Floor floor, PickWindow* window, Fact* fact) except -1
cdef int uncount_late(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef bint is_late(Floor floor, const PickWindow* window, const Fact* fact) except -1
cdef int raise_late(Floor floor, const Fact* fact) except -1
cdef int add_late_since(Floor floor, const PickWindow* window, int64_t t, List** found) except -1
cdef int retell_late(Floor floor, const PickWindow* window) except -1
cdef int32_t late_key(Floor floor, const PickWindow* window, const Fact* fact) except -1
