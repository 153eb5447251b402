"""Cartons (R42 to R46, R56): when one is closed, opened again and voided; what is told of that, carton_events says.

The cycles of a unit are a function of its sorted facts (see cycles); the state of a carton is a function of its cycle's
facts (see carton_state), as of any event time. A close or a reopening is told when the watermark has passed it by
`close_hold_ms`; a fact that comes later makes a revision.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.state cimport Cycle, Fact, LoadUnit
from ext.store cimport List

cdef enum CartonTag:
    TAG_TRANSITION = 11     # a close or a reopening has had its hold
    TAG_CHECK = 12          # a close was told, or the watermark passed a weighing, a label or a release (see carton_alarms)
    TAG_LABEL = 13          # the watermark passed a label (R46)
    TAG_VOID = 14           # a void is due


cdef int attach(Floor floor, LoadUnit* unit, Fact* fact, List** changed) except -1
cdef int attach_instead(Floor floor, LoadUnit* unit, Fact* old, Fact* fact, List** changed) except -1
cdef int detach(Floor floor, LoadUnit* unit, Fact* fact, List** changed) except -1
cdef int follow(Floor floor, const List* changed, Fact* fact) except -1
cdef int watch_alarms(Floor floor, Cycle* cycle, int64_t t) except -1
cdef int watch_end(Floor floor, Cycle* cycle) except -1
cdef Fact* last_close(Floor floor, Cycle* cycle) except? NULL
cdef int decide(Floor floor, Cycle* cycle, Fact* cause) except -1
cdef int force(Floor floor, Cycle* cycle, int64_t t) except -1
cdef int decide_void(Floor floor, const Fact* void_) except -1
cdef int force_void(Floor floor, const Fact* void_) except -1
