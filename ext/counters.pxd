"""Counters of a few bits, counted on: see counters.pyi."""

cimport cython
from libc.stdint cimport int64_t


@cython.final
cdef class Unwrapper:
    cdef int64_t modulus
    cdef int64_t last       # the greatest number so far; -1: none is known

    cdef int64_t number(self, int64_t raw) except -2


@cython.final
cdef class Sequences:
    cdef readonly object position
    cdef object counters    # (src, epoch) as bytes -> Unwrapper, the one used longest ago first
    cdef Py_ssize_t counters_max
    cdef bytes newest       # the last of them

    cdef int64_t number(self, bytes src, int64_t epoch, int64_t raw, int64_t modulus) except -2
