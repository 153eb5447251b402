"""R52: a shipment that was told ready is not ready any more. Told as soon as the fact arrives, for somebody may be loading already.

Each fact that can end a readiness (`can_end`) asks here, before the watermark passes it:

- It was told ready. `doubt` looks for the touch since that fact by which it is not ready any more (`first_of_end`), or finds that
  it was not so at the time that was told (`was_never_so`). What may be of a unit's next use waits for the watermark.
- It was told unready, with a later time: `predate` tells the end anew, with the fact that came before the one that was told.
- It was told unready, with this very time: the cause is the first of the two by R3 (`comes_first`, in touches).
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.state cimport Fact, Shipment


cdef bint can_end(const Shipment* shipment, const Fact* fact, int32_t ok) noexcept
cdef int doubt(Floor floor, Shipment* shipment, int64_t t) except -1
cdef int predate(Floor floor, Shipment* shipment, int64_t t) except -1
cdef int tell_end(Floor floor, Shipment* shipment, Fact* cause) except -1
cdef int tell_unready(Floor floor, Shipment* shipment, int64_t t, const Fact* cause) except -1
