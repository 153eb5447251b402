# cython: boundscheck=False, wraparound=False
"""Timers: see timers.pxd."""

from operator import itemgetter

from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_Compare
from libc.stdlib cimport free, realloc


cdef bint before(const Entry* a, const Entry* b) except -1:
    cdef int order
    if a.due != b.due:
        return a.due < b.due
    if a.rank != b.rank:
        return a.rank < b.rank
    if a.key != b.key:
        order = PyUnicode_Compare(<object>a.key, <object>b.key)
        if order != 0:
            return order < 0
    return a.serial < b.serial


cdef class Timers:
    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.count):
            Py_XDECREF(self.heap[i].key)
            Py_XDECREF(self.heap[i].target)
        free(self.heap)

    def __len__(self):
        return self.count

    def state(self):
        """For a snapshot: the entries in order of their making."""
        entries = [
            (self.heap[i].serial, self.heap[i].due, self.heap[i].value, self.heap[i].rank, self.heap[i].tag,
             <object>self.heap[i].key, <object>self.heap[i].target)
            for i in range(self.count)
        ]
        entries.sort(key=itemgetter(0))
        return self.serial, entries

    def set_state(self, tuple state):
        for serial, due, value, rank, tag, key, target in state[1]:
            self.serial = serial
            self.push(due, rank, key, target, tag, value)
        self.serial = state[0]

    cdef int push(self, int64_t due, int32_t rank, str key, object target, int32_t tag, int64_t value) except -1:
        cdef Entry entry
        cdef Py_ssize_t i, parent
        cdef void* bigger
        if self.count == self.capacity:
            bigger = realloc(self.heap, max(64, 2 * self.capacity) * sizeof(Entry))
            if bigger == NULL:
                raise MemoryError
            self.heap = <Entry*>bigger
            self.capacity = max(64, 2 * self.capacity)
        entry.due, entry.rank, entry.tag, entry.value = due, rank, tag, value
        entry.serial = self.serial
        self.serial += 1
        Py_INCREF(key)
        Py_INCREF(target)
        entry.key, entry.target = <PyObject*>key, <PyObject*>target
        i = self.count
        self.count += 1
        while i > 0:
            parent = (i - 1) >> 1
            if not before(&entry, &self.heap[parent]):
                break
            self.heap[i] = self.heap[parent]
            i = parent
        self.heap[i] = entry
        return 0

    cdef object pop(self):
        """Take the first entry: returns its target; due, rank, tag and value are left in the attributes."""
        cdef Entry first = self.heap[0]
        cdef Entry last
        cdef Py_ssize_t i, child
        cdef object target = <object>first.target
        self.count -= 1
        last = self.heap[self.count]
        i = 0
        while True:
            child = 2 * i + 1
            if child >= self.count:
                break
            if child + 1 < self.count and before(&self.heap[child + 1], &self.heap[child]):
                child += 1
            if not before(&self.heap[child], &last):
                break
            self.heap[i] = self.heap[child]
            i = child
        if self.count:
            self.heap[i] = last
        self.due, self.rank, self.tag, self.value = first.due, first.rank, first.tag, first.value
        Py_DECREF(<object>first.key)
        Py_DECREF(target)
        return target
