"""The pick window: when a task (or a line without tasks) is done, with how many pieces (R20-R31).

`outcome` is the whole of R21 to R27a as a function of the window's facts: as of any event time, with the closings
decided that the watermark has passed. Everything else collects facts, or tells what the outcome says.
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Fact, Floor, Line, PickWindow
from ext.keys cimport Key
from ext.outlet cimport Subject

cdef enum PickTag:
    TAG_CLOSING = 1         # a short, deadline, carton close or cancel is due
    TAG_STALL = 2
    TAG_SHORT_TOLD = 3      # what it says of the stock is judged in its turn (R70)


cdef enum By:
    OPEN = 0
    BY_QUANTITY = 1         # R21 a
    BY_OPERATOR = 2         # R21 b
    BY_CARTON = 3           # R21 c
    BY_DEADLINE = 4         # R21 d
    BY_CANCEL = 5           # R21 e


cdef struct Outcome:
    bint closed
    bint told               # there is a close to tell, even if a reversal has opened the window again
    bint cancelled
    bint shorted            # a close by b, c or d stands: the window has a short, of `q_short`
    int by
    int64_t q               # what the last close or revision tells
    int64_t q_now           # all that counts so far
    int64_t q_short
    int64_t t_close
    int64_t t_last          # greatest event time of a pick that counts
    Fact* cause             # what decided
    Fact* closing           # the b, c or d that closed it short


cdef Outcome outcome(const PickWindow* window, int64_t as_of, int64_t decided_before) noexcept
cdef PickWindow* window_for(Floor floor, const Fact* fact) except? NULL
cdef PickWindow* new_window(Floor floor, Line* line) except NULL
cdef bint take_pick(Floor floor, PickWindow* window, Fact* fact) except -1
cdef int take_closing(Floor floor, PickWindow* window, Fact* closing) except -1
cdef int cancel(Floor floor, PickWindow* window, Fact* fact) except -1
cdef int decide_closing(Floor floor, PickWindow* window, int64_t t) except -1
cdef int decide(Floor floor, PickWindow* window, Fact* cause) except -1
cdef int tell(Floor floor, PickWindow* window, Fact* cause, int64_t as_of) except -1
cdef bint tell_late(Floor floor, PickWindow* window, Fact* fact) except -1
cdef int tell_reversal(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef int watch(Floor floor, PickWindow* window, int64_t t) except -1
cdef int watch_stall(Floor floor, PickWindow* window, int64_t due) except -1
cdef Key key_of(const PickWindow* window) noexcept
cdef Subject subject_of(const PickWindow* window) noexcept
cdef int32_t subject_text(Floor floor, const PickWindow* window) except -1
cdef int put_key(Floor floor, const PickWindow* window) except -1
