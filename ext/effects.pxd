"""What a record does to the window that it concerns."""

from libc.stdint cimport int32_t, int64_t

from ext.batch cimport Batch
from ext.clocks cimport Clocks
from ext.sources cimport Source
from ext.state cimport Fact, PickWindow, Waiting
from ext.store cimport List, Table

cdef enum EffectTag:
    TAG_MISSING = 41        # R11: the context did not come
    TAG_DEAD = 42           # nor within `lateness_ms`


cdef class Effects(Clocks):
    cdef Fact* fact_of(self, Batch batch, Py_ssize_t i, int64_t t) except NULL
    cdef bint apply(self, Source* source, Fact* fact, Batch batch, Py_ssize_t i) except -1
    cdef bint apply_pick(self, Fact* fact, Batch batch, Py_ssize_t i) except -1
    cdef int apply_carton(self, Fact* fact, Batch batch, Py_ssize_t i) except -1
    cdef int apply_rare(self, Source* source, Fact* fact, Batch batch, Py_ssize_t i) except -1
    cdef int32_t number_in(self, Batch batch, Py_ssize_t i, const char* name, int32_t length) except -1
    cdef bint is_closing_point(self, str point) except -1
    cdef int take_packing(self, Fact* fact) except -1
    cdef int entries_of(self, Fact* fact, Batch batch, Py_ssize_t i, List** entries) except -1
    cdef bint take_entries(self, Fact* fact, List* entries) except -1
    cdef bint book(self, int taken) except -1
    cdef int take_into(self, PickWindow* window, Fact* entry) except -1
    cdef bint take_entry(self, PickWindow* window, Fact* fact) except -1
    cdef bint replace_twin(self, PickWindow* window, const Fact* fact, const Fact* other) except -1
    cdef int judge_late(self, Fact* fact, bint known) except -1
    cdef int refuse_buried(self, const Fact* fact) except -1
    cdef int take_in_order(self, Waiting* waiting) except -1
    cdef int wait(self, Fact* fact, List* entries, int32_t key, bint is_task) except -1
    cdef int release_waiting(self) except -1
    cdef int release(self, Table* table, int32_t key) except -1
    cdef int take_waiting(self, Waiting* waiting) except -1
    cdef int missing(self, Waiting* waiting, bint dead) except -1
    cdef int32_t subject_of(self, const Waiting* waiting) except -1
