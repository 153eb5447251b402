"""What was found true of a shipment and waits for `ready_hold_ms` (R51), or for a gap (R7): its pending truths, by the
event time since when they hold."""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.state cimport Bytes, Pending, Shipment


cdef Pending* pending_of(Floor floor, Shipment* shipment, int64_t since) except NULL
cdef int drop_between(Shipment* shipment, int64_t since, int64_t as_of) noexcept
cdef int drop_pending(Shipment* shipment, int i) noexcept
cdef Bytes* kept_truth(Floor floor) except NULL
cdef bint begins_by(const Shipment* shipment, int64_t since) noexcept
cdef bint has_pending(const Shipment* shipment) noexcept
cdef bint has_ended(const Shipment* shipment, int64_t since) noexcept
cdef int end_pending(Floor floor, Shipment* shipment, int64_t t) except -1
cdef int leave_pending(Floor floor, Shipment* shipment, int64_t t) except -1
