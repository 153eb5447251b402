"""What a pick window is called in events and among timers, and the exceptions under that name."""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.keys cimport Key
from ext.outlet cimport Subject
from ext.state cimport Fact, PickWindow


cdef Key key_of(const PickWindow* window) noexcept
cdef Subject subject_of(const PickWindow* window) noexcept
cdef int32_t subject_text(Floor floor, const PickWindow* window) except -1
cdef int put_key(Floor floor, const PickWindow* window) except -1
cdef int alarm(Floor floor, PickWindow* window, int code, int64_t t, const Fact* cause, str detail) except -1
cdef int quiet(Floor floor, PickWindow* window, int code, int64_t t, const Fact* cause) except -1
