"""The core: records in, business events out. Synchronous, single-threaded, takes time from the records."""

from libc.stdint cimport int64_t

from ext.batch cimport Batch
from ext.clocks cimport Clocks, Source
from ext.context cimport Context
from ext.floor cimport Fact, PickWindow


cdef class Waiting:
    """A record whose task or order is unknown (R11)."""
    cdef tuple key              # ("task", number) or ("order", number)
    cdef Fact fact
    cdef list entries           # Fact: one a press, several with `alloc`
    cdef bint over              # took effect, or is dead


cdef class Core(Clocks):
    cdef Context context
    cdef int64_t next_sweep     # event time at which what is over leaves
    cdef dict waiting           # key -> list of Waiting
    cdef dict equal             # digest of an unnumbered, untimed record -> how many came at this t_rx
    cdef int64_t equal_at
    # the account (R82)
    cdef int64_t count_in
    cdef int64_t count_taken    # used or open
    cdef int64_t count_duplicate
    cdef int64_t count_late
    cdef int64_t count_rejected
    cdef int64_t count_noise
    cdef int64_t count_waiting

    cdef int take_row(self, Batch batch, Py_ssize_t i) except -1
    cdef int take_device(self, Source source, Batch batch, Py_ssize_t i, int64_t t) except -1
    cdef Fact fact_of(self, Batch batch, Py_ssize_t i, int64_t t)
    cdef bint apply(self, Fact fact, Batch batch, Py_ssize_t i) except -1
    cdef bint take_entries(self, Fact fact, list entries) except -1
    cdef bint waits_for_order(self, Fact fact, list entries) except -1
    cdef bint take_entry(self, PickWindow window, Fact fact) except -1
    cdef bint comes_after_ship(self, PickWindow window, Fact fact) except -1
    cdef int take_packing(self, Fact fact) except -1
    cdef int settle(self) except -1
