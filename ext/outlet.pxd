"""Business events on their way out: ids, revisions, canonical bytes, one counter of sequence; and exception episodes."""

from libc.stdint cimport int64_t


cdef class Ledger:
    """What left under one business key: its id, the last revision, what it said."""
    cdef str id                 # code and hash, without the revision
    cdef str type
    cdef str subject
    cdef str partitionkey       # fixed by revision 0
    cdef int64_t revision       # of the last event
    cdef bytes said             # digest of the last event's data and time


cdef class Outlet:
    cdef readonly str site
    cdef readonly str source
    cdef readonly int64_t sequence
    cdef list waiting           # emitted, not yet taken
    cdef dict episodes          # (code, subject) -> Episode

    cdef Ledger ledger(self, str type, str key, str subject, str partitionkey)
    cdef bint emit(self, Ledger ledger, dict data, int64_t time, str correlation, str cause, str evidence) except -1
    cdef int raise_(self, str code, str subject, int64_t time, str cause, str detail) except -1
    cdef int clear(self, str code, str subject, int64_t time, str cause) except -1
    cdef bint is_raised(self, str code, str subject)
