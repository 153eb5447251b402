"""Section 10 of the rules: what becomes of a move that legality has asked to be judged, now that the watermark has passed it."""

from ext.floor cimport Floor
from ext.state cimport Fact


cdef int judge(Floor floor, Fact* fact) except -1
cdef int take_up(Floor floor, const Fact* fact) except -1
