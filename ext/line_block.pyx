# cython: cdivision=True
"""See line_block.pxd."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, realloc

cdef enum:
    FIRST_BYTES = 4096


cdef class LineBlock:
    def __dealloc__(self):
        free(self.data)

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t capacity = max(self.capacity, FIRST_BYTES)
        cdef char* data
        if self.size + more <= self.capacity:
            return 0
        while capacity < self.size + more:
            capacity *= 2
        data = <char*>realloc(self.data, capacity)
        if data == NULL:
            raise MemoryError
        self.data = data
        self.capacity = capacity
        return 0

    cdef int line(self, bytes text) except -1:
        self.reserve(len(text) + 1)
        self.put(<const char*>text, len(text))
        self.put(b"\n", 1)
        self.count += 1
        return 0

    def append(self, bytes text not None):
        self.line(text)

    def take(self):
        cdef bytes data = PyBytes_FromStringAndSize(self.data, self.size)
        cdef Py_ssize_t count = self.count
        self.size = self.count = 0
        return data, count
