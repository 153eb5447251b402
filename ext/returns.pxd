"""Returns (R72): what came back under an RMA or without one, and what became of it.

A return is told at every scan with its total, a function of its scans. A serial counts once: with its first scan by event
time, whichever came first.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.premises_data cimport Return
from ext.state cimport Fact


cdef int take_scan(Floor floor, Fact* fact) except -1
cdef int take_graded(Floor floor, Fact* fact, str grade, str disposition) except -1
cdef int authorise(Floor floor, Fact* fact, dict record) except -1
cdef int bury(Floor floor, const Return* home, int64_t before) except -1
