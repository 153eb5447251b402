"""What is wrong with a pick window (R22, R24, R27, R31). Each is judged when the watermark has passed a fact, by all facts up
to then: so neither times nor number of the episodes depends on the order of arrival (R3)."""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.state cimport Fact, Line, PickWindow

cdef enum AlarmTag:
    TAG_STALL = 2           # R22: nothing was picked for `pick_stall_ms`
    TAG_ALARMS = 4          # the watermark passed a fact that may raise or clear something
    TAG_COVER = 5           # R24: or a revision of the order


cdef int watch(Floor floor, PickWindow* window, int64_t t) except -1
cdef int expect(Floor floor, PickWindow* window, int64_t t) except -1
cdef int expect_cover(Floor floor, Line* line, const Fact* order) except -1
cdef int due(Floor floor, void* target, int tag) except -1
cdef bint is_covered(const PickWindow* window, int64_t q, int64_t as_of) noexcept
