"""R21 to R27a as a function of a window's facts: as of any event time, with the closings decided that the watermark has
passed. Nothing here changes anything."""

from libc.stdint cimport int64_t

from ext.state cimport Fact, PickWindow
from ext.timers cimport ANY_TIME

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
    int64_t q_asked         # out of how many; of an open window, what was asked for when that was told
    int64_t q_now           # all that counts so far
    int64_t q_late          # of that, what came too late to close it by quantity (R25)
    int64_t q_short
    int64_t q_task          # what is asked for
    int64_t until           # notes of a later time do not count (R27a)
    int64_t t_close
    int64_t t_last          # greatest event time of a pick that counts
    Fact* cause             # what decided
    Fact* closing           # the b, c or d that closed it short


# By what is asked for now; by what was asked for `as_of`. Closings from `decided_before` on are not decided yet.
cdef Outcome outcome(const PickWindow* window, int64_t as_of, int64_t decided_before) noexcept
cdef Outcome outcome_then(const PickWindow* window, int64_t as_of, int64_t decided_before) noexcept


cdef inline int64_t decided_before(const PickWindow* window, int64_t watermark) noexcept:
    """R4: what the watermark has passed is decided, and what the wall clock's bound has."""
    return max(watermark, window.trouble.forced + 1)


cdef inline Outcome outcome_now(const PickWindow* window, int64_t watermark) noexcept:
    """By all that is known."""
    return outcome(window, ANY_TIME, decided_before(window, watermark))


cdef int64_t lowered_at(const PickWindow* window) noexcept
cdef bint is_note(const Fact* closing) noexcept
cdef int64_t moved_at(const Fact* closing) noexcept
cdef bint was_there(const PickWindow* window, const Fact* closing) noexcept
cdef bint has_begun(const PickWindow* window, int64_t as_of) noexcept
