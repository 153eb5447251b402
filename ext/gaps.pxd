"""Blindness as data (R6, R7): what a source did not tell, and which conclusions may not rest on that silence."""

from libc.stdint cimport int64_t, uint64_t

from ext.floor cimport Floor
from ext.sources cimport Gap, Source
from ext.state cimport Cycle, Fact, PickWindow, Shipment

cdef enum GapTag:
    TAG_GAPS_SURE = 51      # the watermark has passed a record of this source that jumped
    TAG_GAP_HOLD = 52       # a conclusion was held for `gap_hold_ms`
    TAG_GAP_FORGOTTEN = 53  # like the first, of one that was forgotten before


cdef Gap* open_gap(
    Floor floor, Source* source, int64_t t_from, int64_t t_to, int64_t epoch, int64_t low, int64_t high) except NULL
cdef int fill(Floor floor, Source* source, int64_t epoch, int64_t seq, int64_t t) except -1
cdef int await_numbers(Floor floor, Gap* down, int64_t epoch, int64_t low, int64_t high) except -1
cdef int close_gap(Floor floor, Gap* gap, const Fact* cause) except -1
cdef int look_at_jumps(Floor floor, Source* source, int64_t due) except -1
cdef int make_sure(Floor floor, Gap* gap) except -1
# How long a conclusion that rests on the silence of its sources has to wait; 0: they are not blind. `sure`: without jumps
# in `seq` that may still turn out to be no gap (R6).
cdef int64_t hold_of_window(Floor floor, PickWindow* window, int64_t t_close, bint sure) noexcept
cdef int64_t hold_of_shipment(Floor floor, Shipment* shipment, int64_t as_of, bint sure) except? -1
