"""What stands of a place (R66, R70, R71), and is told of it: `inventory.discrepancy`.

A finding (an operator's short, a count, a shelf that the crane found empty) is held against what the order systems expect
there, less what was picked; of several findings R71 says which one stands. What there is of both, inventory keeps.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.premises_data cimport Finding, Place, Statement
from ext.state cimport Fact

cdef enum Found:            # what a finding is
    BY_COUNT
    BY_SHORT
    BY_CRANE


cdef enum Stands:
    NOTHING_SAID
    NOTHING_WRONG           # ever
    SOMETHING


cdef inline int expectations_of(const Place* place) noexcept:
    return place.expectations.count if place.expectations != NULL else 0


cdef bint says_nothing_there(Floor floor, const Fact* short_) noexcept
cdef int decide(Floor floor, Finding* finding, bint by_wall) except -1
cdef int judge(Floor floor, Place* place, const Fact* cause) except -1
cdef int tell_unit(Floor floor, Fact* fact, const char* kind) except -1
cdef int sum_up(Floor floor, const Place* place, int count, Statement* standing) noexcept
