"""The core: records in, business events out. Synchronous, single-threaded, takes time from the records."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from ext.batch cimport Batch
from ext.context cimport Context
from ext.due cimport Due
from ext.payloads cimport Payloads
from ext.sources cimport Source
from ext.state cimport Name


@cython.final
cdef class Core(Due):
    cdef Context context
    cdef Payloads payloads
    cdef size_t full_at         # bytes from which on names that nobody knows are refused to those who bring many,
    cdef size_t crowded_at      # and to all
    cdef Batch batch            # the record that is being taken: None between two feeds,
    cdef Py_ssize_t row
    cdef int64_t t              # its event time if it is context, else when it came
    cdef Name* name             # by which it goes if it has no number, once it is asked for

    cdef inline size_t held(self) noexcept:
        """Bytes of windows and of the names in them: what `state_bytes_max` caps."""
        return self.floor.store.used() + self.state.names_bytes

    cdef int take_row(self, Batch batch, Py_ssize_t i) except -1
    cdef int take_noise(self, Batch batch, Py_ssize_t i) except -1
    cdef int take_device(self, Batch batch, Py_ssize_t i) except -1
    cdef int refuse_late(self, Batch batch, Py_ssize_t i) except -1
    cdef bint note_content(self, Source* source, Batch batch, Py_ssize_t i) except -1
    cdef int take_context(self, Batch batch, Py_ssize_t i) except -1
    cdef int take_about_source(self, Batch batch, Py_ssize_t i) except -1
    cdef int64_t time_of_link(self, Source* source, Batch batch, Py_ssize_t i) except? -1
    cdef bint note_about_link(self, Source* source, Batch batch, Py_ssize_t i, int64_t t) except -1
    cdef int take_link(self, Batch batch, Py_ssize_t i, int64_t t) except -1
    cdef int settle(self) except -1
    cdef int forget(self) except -1
    cdef int relieve(self) except -1
    cdef list spoken_for(self, int32_t src, str scope)
    cdef bint admit_stranger(self, int32_t src, int64_t t_rx) noexcept
