"""What a record does, and what time does: to the window that it concerns."""

from libc.stdint cimport int64_t

from ext.batch cimport Batch
from ext.clocks cimport Clocks
from ext.floor cimport Fact, PickWindow


cdef class Waiting:
    """A record whose task or order is unknown (R11), or that waits for what happened before it (R20)."""
    cdef tuple key              # ("task", number) or ("order", number)
    cdef Fact fact
    cdef list entries           # Fact: one a press, several with `alloc`
    cdef bint over              # took effect, or is dead


cdef class Effects(Clocks):
    cdef dict waiting           # key -> list of Waiting
    # of the account (R82), what is decided only when a record takes effect
    cdef int64_t count_taken    # used or open
    cdef int64_t count_duplicate
    cdef int64_t count_late
    cdef int64_t count_waiting

    cdef Fact fact_of(self, Batch batch, Py_ssize_t i, int64_t t)
    cdef bint apply(self, Fact fact, Batch batch, Py_ssize_t i) except -1
    cdef int take_packing(self, Fact fact) except -1
    cdef bint take_entries(self, Fact fact, list entries) except -1
    cdef bint waits_for_order(self, Fact fact, list entries) except -1
    cdef bint take_entry(self, PickWindow window, Fact fact) except -1
    cdef bint comes_after_ship(self, PickWindow window, Fact fact) except -1
