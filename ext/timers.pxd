"""Due times in order: a binary heap of (due, rank, key, serial).

Rank and key make the order of equal due times a function of what is due, not of arrival (R4: "by due time, then pick,
carton, shipment, inventory, then key"). An entry may be stale when it comes up: its target checks its own state.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t

cdef enum Rank:
    RANK_TRACK = 0
    RANK_PICK = 1
    RANK_CARTON = 2
    RANK_SHIPMENT = 3
    RANK_SHIPMENT_EMIT = 4      # a truth that lasted its hold goes out unless a fact at that very moment ended it
    RANK_INVENTORY = 5
    RANK_CONTEXT = 6


cdef struct Entry:
    int64_t due
    int64_t serial
    int64_t value           # what the target wants to be told: usually the event time meant
    int32_t rank
    int32_t tag
    PyObject* key           # str, owned
    PyObject* target        # owned


cdef extern from *:
    """
    #define SORTLINE_NEVER INT64_MAX
    """
    const int64_t NEVER "SORTLINE_NEVER"


cdef class Timers:
    cdef Entry* heap
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity
    cdef int64_t serial
    # the entry that pop() took
    cdef int64_t due
    cdef int64_t value
    cdef int32_t rank
    cdef int32_t tag

    cdef int push(self, int64_t due, int32_t rank, str key, object target, int32_t tag, int64_t value) except -1
    cdef object pop(self)

    cdef inline int64_t next_due(self) noexcept:
        return self.heap[0].due if self.count else NEVER
