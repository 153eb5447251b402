"""What a shipment goes by in events, and the exceptions that it can clear itself."""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.outlet cimport Subject
from ext.state cimport Fact, Shipment


cdef int alarm(Floor floor, Shipment* shipment, int code, int64_t t, const Fact* cause, str detail) except -1
cdef int quiet(Floor floor, Shipment* shipment, int code, int64_t t, const Fact* cause) except -1
cdef Subject subject_of(const Shipment* shipment) noexcept
