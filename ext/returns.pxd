"""Returns (R72): what came back under an RMA or without one, and what became of it.

A return is told at every scan with its total, a function of its scans. A serial counts once: with its first scan by event
time, whichever came first. What is wrong with a return is raised in the order of event time, when the watermark passes
the scan or the RMA.
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.premises_data cimport Return, Rma, Scan
from ext.state cimport Fact

cdef enum ReturnTag:
    TAG_SCANNED = 84        # the watermark passed a scan
    TAG_AUTHORISED = 85     # or an RMA's revision


cdef int take_scan(Floor floor, Fact* fact) except -1
cdef int take_graded(Floor floor, Fact* fact, str grade, str disposition) except -1
cdef int authorise(Floor floor, Fact* fact, dict record) except -1
cdef int64_t expected_of(const Rma* rma, int32_t sku, int64_t as_of) noexcept
cdef int judge_scan(Floor floor, const Scan* scan) except -1
cdef int judge_authorised(Floor floor, const Fact* fact) except -1
cdef int bury(Floor floor, const Return* home, int64_t before) except -1
