"""What a carton is, as a function of its cycle's facts up to any event time: closed, held, lost, and where (R40-R48, R64)."""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.state cimport CartonPlan, Cycle, Fact
from ext.store cimport List


cdef struct CartonState:
    bint closed
    bint voided
    bint lost               # R64
    bint held               # R45: by weight or label
    bint loaded             # in a trailer
    bint shipped            # its shipment was manifested
    const Fact* loading     # into which trailer, and when; NULL: never
    int32_t place           # number of its last place, 0: none
    int64_t t_close         # of the last close up to then, ABSENT: none
    int64_t t_undone        # when that was last opened again or voided, ABSENT: never


cdef CartonState state_of(Floor floor, const Cycle* cycle, int64_t as_of) except *
cdef const List* releases_of(Floor floor, const Cycle* cycle) except? NULL
cdef Fact* release_of(Floor floor, const Cycle* cycle, int64_t as_of) except? NULL
cdef bint is_off(const CartonPlan* plan, int64_t weight, int64_t as_of) noexcept
cdef Fact* last_good_label(Floor floor, const Cycle* cycle, bint with_sscc) noexcept
cdef int64_t weight_of(Floor floor, const Cycle* cycle, int64_t t_close) noexcept
cdef Fact* void_of(const Cycle* cycle) noexcept
cdef bint closes(int kind) noexcept
cdef bint reopens(int kind) noexcept
