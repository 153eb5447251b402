"""Due times in order: a hierarchical timing wheel for what is far, a heap for what is near.

The wheel has levels of 64 slots; a slot of level n is 64**n ticks wide. A timer lies at the level where its tick first
differs from the current one, so setting it is O(1), and it moves down once a level at the most. When the clock comes to
a slot of the lowest level, its timers go to the heap, which brings the few of one tick into their exact order: due time,
rank, key, serial. Rank and key make the order of equal due times a function of what is due, not of arrival (R4: "by due
time, then pick, carton, shipment, inventory, then key"); of several facts of one object and moment R3 says which goes
first. A timer may be stale when it comes up: its target checks its
own state.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t

from ext.keys cimport Key
from ext.state cimport Fact
from ext.store cimport Store
from ext.texts cimport Texts
from ext.wheel cimport LEVELS, SLOTS, Timer, Wheel

cdef extern from *:
    """
    #define SORTLINE_NEVER INT64_MAX
    #define SORTLINE_ANY_TIME (INT64_MAX - 1)
    """
    const int64_t NEVER "SORTLINE_NEVER"
    const int64_t ANY_TIME "SORTLINE_ANY_TIME"        # as of then: by all that is known


cdef enum Rank:
    RANK_TRACK = 0
    RANK_SIGHT = 1              # when all tracks of that moment are known
    RANK_PICK = 2
    RANK_CARTON = 3
    RANK_SHIPMENT = 4
    RANK_SHIPMENT_EMIT = 5      # a truth that lasted its hold goes out unless a fact at that very moment ended it
    RANK_INVENTORY = 6
    RANK_CONTEXT = 7


@cython.final
cdef class Timers:
    cdef Store store
    cdef Texts texts
    cdef Wheel* wheel
    cdef int64_t first[LEVELS * SLOTS]  # the soonest of each slot: a far one may hold a hundred thousand timers
    cdef int64_t soonest        # nothing is due before
    # the timer that pop() took
    cdef int64_t due
    cdef int64_t value
    cdef int32_t rank
    cdef int32_t tag

    cdef void adopt(self, Wheel* wheel) noexcept
    cdef int push(self, int64_t due, int rank, Key key, void* target, int tag, int64_t value) except -1
    cdef void place(self, Timer* timer) noexcept
    cdef int first_slot(self) noexcept
    cdef int64_t start_of(self, int at) noexcept
    cdef int into_heap(self, Timer* timer) except -1
    cdef int turn(self, int64_t until) except -1
    cdef bint is_due(self, int64_t before) except -1
    cdef int64_t next_due(self) noexcept
    cdef void* pop(self) except NULL
    cdef void sift_down(self, void** items, int32_t count, Timer* moved) noexcept
    cdef bint earlier(self, const Timer* a, const Timer* b) noexcept
    cdef int compare_keys(self, const Timer* a, const Timer* b) noexcept
    cdef int compare_facts(self, const Fact* a, const Fact* b) noexcept
    cdef Py_ssize_t compose(self, const Timer* timer, char* to) noexcept
    cdef Py_ssize_t compose_fact(self, char* to, const Fact* fact) noexcept
    cdef Py_ssize_t add_text(self, char* to, Py_ssize_t n, int32_t text) noexcept
    cdef Py_ssize_t add_padded(self, char* to, Py_ssize_t n, int64_t number) noexcept
    cdef Py_ssize_t add(self, char* to, Py_ssize_t n, const char* text, Py_ssize_t length) noexcept
    cdef int64_t count(self) noexcept
