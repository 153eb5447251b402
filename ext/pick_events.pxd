"""What is told of a pick window (R23, R28, R31): `pick.confirmed`, `pick.short`, `pick.reversed`."""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.outcomes cimport Outcome
from ext.state cimport Fact, PickWindow

cdef enum PickEventTag:
    TAG_SHORT_TOLD = 3      # what it says of the stock is judged in its turn (R70)


cdef int tell_confirmed(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause, int evidence) except -1
cdef int tell_short(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause, int evidence) except -1
cdef int ask_stock(Floor floor, PickWindow* window, int64_t t_close) except -1
cdef int withdraw_reversal(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef int tell_reversal(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef int withdraw(Floor floor, PickWindow* window, const Fact* cause) except -1
cdef Fact* closing_of_short(const PickWindow* window) noexcept
