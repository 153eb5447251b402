"""R50, R50a, R53: is a shipment ready as of an event time, and what would the event say?"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.json_writer cimport Digest
from ext.state cimport Cycle, Fact, Line, Shipment
from ext.store cimport List, Numbers


cdef enum VerdictKind:
    NOT_READY
    READY
    HELD_SHORT              # SHP_HELD_SHORT alone keeps it back
    EMPTY                   # SHP_EMPTY


cdef struct Verdict:
    int kind
    Digest data             # of what `Floor.truth` holds, where it is READY


cdef Verdict verdict_of(Floor floor, Shipment* shipment, int64_t as_of) except *
