"""Load units and cartons (R40-R48): which cycle of a unit a fact belongs to, what a carton holds, when it is closed.

The cycles of a unit are a function of its sorted facts (`spans`); the state of a carton is a function of its cycle's
facts (`state_of`), as of any event time. A close or a reopening is told when the watermark has passed it by
`close_hold_ms`; a fact that comes later makes a revision.
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport CartonPlan, Cycle, Fact, Floor, LoadUnit

cdef enum CartonTag:
    TAG_TRANSITION = 11     # a close or a reopening has had its hold
    TAG_CHECK = 12          # a close was told, or the watermark passed a weighing, a label or a release (see holds)
    TAG_LABEL = 13          # the watermark passed a label (R46)


cdef struct CartonState:
    bint closed
    bint voided
    bint lost               # R64
    bint held               # R45: by weight or label
    bint loaded             # in a trailer
    bint shipped            # its shipment was manifested
    int32_t trailer         # that it was loaded into
    int64_t t_loaded
    int32_t place           # number of its last place, 0: none
    int64_t t_close         # of the last close up to then, ABSENT: none


cdef list attach(Floor floor, LoadUnit unit, Fact fact)
cdef list detach(Floor floor, LoadUnit unit, Fact fact)
cdef CartonState state_of(Floor floor, Cycle cycle, int64_t as_of)
cdef dict contents_of(Cycle cycle, int64_t as_of)
cdef int watch_holds(Floor floor, Cycle cycle, int64_t t) except -1
cdef list cycles_named(Floor floor, CartonPlan plan)
cdef Fact last_close(Floor floor, Cycle cycle)
cdef Fact release_of(Floor floor, Cycle cycle, int64_t as_of)
cdef bint is_off(CartonPlan plan, int64_t weight) except -1
cdef Fact last_good_label(Cycle cycle, str field)
cdef int64_t weight_of(Floor floor, Cycle cycle, int64_t t_close) except -1
cdef int decide(Floor floor, Cycle cycle, Fact cause) except -1
cdef str name_of(Floor floor, Cycle cycle)
cdef str subject_of(Floor floor, Cycle cycle)
