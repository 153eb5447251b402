"""What is told of a pick window (R23-R31): `pick.confirmed`, `pick.short`, `pick.reversed`, and its exceptions."""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.json_writer cimport JsonWriter
from ext.keys cimport Key
from ext.outcomes cimport Outcome
from ext.outlet cimport Subject
from ext.state cimport Fact, Line, PickWindow
from ext.store cimport List

cdef enum PickEventTag:
    TAG_SHORT_TOLD = 3      # what it says of the stock is judged in its turn (R70)
    TAG_LATE = 6            # the watermark passed a pick from after the manifest (R29)


cdef int tell_confirmed(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause, int evidence) except -1
cdef int put_policy(JsonWriter data, const Line* line) except -1
cdef int tell_short(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause, int evidence) except -1
cdef int ask_stock(Floor floor, PickWindow* window, int64_t t_close) except -1
cdef int tell_alloc(Floor floor, Line* line) except -1
cdef int withdraw_reversal(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef bint is_beside(const Fact* other, const Fact* fact) noexcept
cdef int tell_reversal(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef int count_late(Floor floor, PickWindow* window, Fact* fact, bint known) except -1
cdef int count_late_here(Floor floor, PickWindow* window, Fact* fact) except -1
cdef int add_late_since(Floor floor, const PickWindow* window, int64_t t, List** found) except -1
cdef int uncount_late(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef Fact* counted_press(const PickWindow* window, const Fact* fact, bint beside) noexcept
cdef Fact* late_press(Floor floor, const PickWindow* window, const Fact* fact, bint beside) noexcept
cdef bint is_late(Floor floor, const PickWindow* window, const Fact* fact) except -1
cdef int raise_late(Floor floor, const Fact* fact) except -1
cdef int withdraw(Floor floor, PickWindow* window, const Fact* cause) except -1
cdef Fact* closing_of_short(const PickWindow* window) noexcept
cdef int alarm(Floor floor, PickWindow* window, int code, int64_t t, const Fact* cause, str detail) except -1
cdef int quiet(Floor floor, PickWindow* window, int code, int64_t t, const Fact* cause) except -1
cdef void forget_press(PickWindow* window, int32_t press) noexcept
cdef bint note_press(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef Key key_of(const PickWindow* window) noexcept
cdef Subject subject_of(const PickWindow* window) noexcept
cdef int32_t subject_text(Floor floor, const PickWindow* window) except -1
cdef int put_key(Floor floor, const PickWindow* window) except -1
