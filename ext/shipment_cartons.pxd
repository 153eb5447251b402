"""Which cartons are a shipment's (R50a, R53): those planned to it, and unplanned ones with its pieces alone; and
whether the shipment of a pick has left (R27, R29)."""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.plan_data cimport FormerHome
from ext.state cimport Cycle, Line, PickWindow, Shipment
from ext.store cimport List, Numbers


# By what was put in and closed up to `as_of` and what was `planned` by then; ANY_TIME: by what is planned now. Lists are
# the caller's, to be freed.
cdef List* cycles_of(Floor floor, Shipment* shipment, int64_t as_of, int64_t planned) except? NULL
cdef Numbers* unused_of(Floor floor, const Shipment* shipment, int64_t as_of, int64_t planned) except? NULL
cdef bint is_voided(const Cycle* cycle, int64_t as_of) noexcept
cdef List* carriers_of(Floor floor, const Line* line, int64_t as_of) except? NULL
cdef int add_fed(Floor floor, Cycle* cycle, int64_t as_of, List** found) except -1
cdef Shipment* home_of(const Cycle* cycle, int64_t as_of) except? NULL
cdef FormerHome planned_home(const Cycle* cycle, int64_t planned) noexcept
cdef Shipment* only_planner(const Line* line, int64_t as_of) noexcept

cdef bint has_shipped(const Shipment* shipment, int64_t t, int64_t watermark) noexcept
cdef Shipment* shipment_of_pick(const Line* line, const Cycle* cycle, int64_t as_of) noexcept
cdef bint window_has_shipped(const PickWindow* window, int64_t t, int64_t watermark) except -1
