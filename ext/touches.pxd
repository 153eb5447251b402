"""Every fact that concerns a shipment touches it, at the fact's event time (R51, R52).

When the watermark passes a touch, the truth as of that moment is known for good (see shipments). Whether it ends one that was
told is asked as soon as the fact arrives (see unready).
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.state cimport Fact, Line, PickWindow, Shipment

cdef enum TouchTag:
    TAG_TOUCH = 21          # the watermark passed a fact
    TAG_FORCE = 23          # the wall clock's bound


cdef int touch(Floor floor, Shipment* shipment, int64_t t, Fact* cause) except -1
cdef int touch_line(Floor floor, Line* line, int64_t t, Fact* cause) except -1
cdef int touch_others(Floor floor, const Shipment* shipment, const Line* line, Fact* fact) except -1
cdef int touch_holders(Floor floor, const PickWindow* window, Fact* cancel) except -1
cdef bint is_ready_before(Floor floor, Shipment* shipment, int64_t t) except -1
cdef int watch_bound(Floor floor, Shipment* shipment, int64_t t, const Fact* cause) except -1
