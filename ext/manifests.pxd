"""What makes a shipment manifested, and what is said of it from then on (R52, R54).

The evidence is the TMS's `manifest.result`, or a trailer that closed with all its cartons inside. The event is a function
of both, told again whenever a fact comes late; its `time` is that of the later of the two.
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.state cimport Fact, Shipment

cdef enum ManifestTag:
    TAG_PASSED = 73         # the watermark passed a manifest


cdef int take_result(Floor floor, Shipment* shipment, Fact* fact, bytes record) except -1
cdef int take_trailer(Floor floor, Shipment* shipment, Fact* close, bint forced) except -1
cdef int on_passed(Floor floor, Shipment* shipment, int64_t t) except -1
cdef int on_later_fact(Floor floor, Shipment* shipment, int64_t t, Fact* cause) except -1
cdef bint left_before(Floor floor, const Shipment* shipment, const Fact* cancel) noexcept
cdef int tell_voided(Floor floor, Shipment* shipment) except -1
