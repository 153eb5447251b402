"""What a carton goes by in events, and the exceptions that it can clear itself."""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.keys cimport Key
from ext.outlet cimport Subject
from ext.state cimport CartonPlan, Cycle, Fact, Ledger, LoadUnit
from ext.store cimport List


cdef int meet(LoadUnit* unit, int64_t t) noexcept
cdef int meet_from(LoadUnit* unit, int first, int64_t t) noexcept
cdef int32_t name_of(Floor floor, const Cycle* cycle) except -1
cdef int32_t name_at(Floor floor, const Cycle* cycle, int64_t t) except -1
cdef int32_t key_at(Floor floor, Cycle* cycle, int64_t t) except -1
cdef int keep_told(Floor floor, Cycle* cycle) except -1
cdef List* cycles_named(Floor floor, CartonPlan* plan) except? NULL
cdef bint is_carried(Floor floor, CartonPlan* plan) except -1
cdef int64_t named_since(const Cycle* cycle) noexcept
cdef Key sort_key(const Cycle* cycle) noexcept
cdef Subject subject_of(const Cycle* cycle) noexcept
cdef int32_t subject_text(Floor floor, const Cycle* cycle, int64_t t) except -1
cdef Ledger* told_by(const List* cycles, int32_t key, int type) noexcept
cdef int alarm(Floor floor, Cycle* cycle, int code, int64_t t, const Fact* cause, str detail) except -1
cdef int quiet(Floor floor, Cycle* cycle, int code, int64_t t, const Fact* cause) except -1
cdef int quiet_but(Floor floor, Cycle* cycle, int code, int32_t kept, int64_t t, const Fact* cause) except -1
cdef int forget_alarms(Floor floor, const Cycle* cycle) except -1
