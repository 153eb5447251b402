"""The core: records in, business events out. Synchronous, single-threaded, takes time from the records."""

from libc.stdint cimport int64_t

from ext.batch cimport Batch
from ext.clocks cimport Source
from ext.context cimport Context
from ext.effects cimport Effects
from ext.floor cimport Fact, PickWindow


cdef class Core(Effects):
    cdef Context context
    cdef int64_t next_sweep     # event time at which what is over leaves
    cdef dict equal             # digest of an unnumbered, untimed record -> how many came at this t_rx
    cdef int64_t equal_at
    # of the account (R82), what is known at the door
    cdef int64_t count_in
    cdef int64_t count_rejected
    cdef int64_t count_noise

    cdef int take_row(self, Batch batch, Py_ssize_t i) except -1
    cdef int take_device(self, Source source, Batch batch, Py_ssize_t i, int64_t t) except -1
    cdef int settle(self) except -1
