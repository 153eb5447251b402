"""What is wrong with a carton (R45, R46): contents, weight, label, and an SSCC that was used before.

`carton_state.state_of` says whether a carton is held as of any event time; here it is told, in order of event time, once its
close has been decided.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.state cimport Cycle, Fact


cdef int check(Floor floor, Cycle* cycle) except -1
cdef int check_mismatched(Floor floor) except -1
cdef int watch_mismatched(Floor floor, int64_t t) except -1
cdef int check_label(Floor floor, Fact* label) except -1
