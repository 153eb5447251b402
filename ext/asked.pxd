"""What the order systems asked for of a line at a moment (R24, R50): its order's quantity, tolerance and policy, and what had
failed of it.

The highest revision counts (R10), but what is true by it is true since its own event time (R51): whether a shipment was
ready before that is judged by the revision before.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.order_data cimport Asked
from ext.state cimport Line, PickWindow


cdef Asked asked_now(const Line* line) noexcept
cdef Asked asked_at(const Line* line, int64_t as_of) noexcept
cdef int remember(Floor floor, Line* line, const Asked* said, int64_t t) except -1
cdef int recall(Floor floor, PickWindow* window) except -1
