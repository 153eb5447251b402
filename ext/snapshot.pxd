"""The whole core in bytes, and back.

    "SORTLINE" version:u16  digest:16 bytes of all that follows
    texts       count, then each text in order of its number
    classes     count, then (name, checksum of its fields) each
    objects     count, then the number of its class each; object 0 is the core
    states      of each object in turn: its fields

A field is one tagged value; objects refer to each other by number. Nothing is executed at reading: only the classes
listed in snapshot.pyx can be made, and one whose fields have changed since is refused by its checksum.
"""

from libc.stdint cimport int64_t, uint64_t, uint8_t

from ext.floor cimport Rules
from ext.texts cimport Texts


cdef class Writer:
    cdef uint8_t* data
    cdef Py_ssize_t length
    cdef Py_ssize_t capacity
    cdef dict numbers           # object -> its number
    cdef list objects           # in order of their numbers
    cdef dict classes           # class -> its number

    cdef int reserve(self, Py_ssize_t more) except -1
    cdef int byte(self, int value) except -1
    cdef int varint(self, uint64_t value) except -1
    cdef int integer(self, int64_t value) except -1
    cdef int raw(self, const char* data, Py_ssize_t length) except -1
    cdef int value(self, object value) except -1
    cdef int items(self, int tag, object values) except -1


cdef class Reader:
    cdef const uint8_t* data
    cdef Py_ssize_t at
    cdef Py_ssize_t length
    cdef object keeper          # owns the bytes
    cdef Texts texts
    cdef Rules rules
    cdef list objects

    cdef int byte(self) except -1
    cdef uint64_t varint(self) except? 0
    cdef int64_t integer(self) except? -1
    cdef bytes raw(self)
    cdef object value(self)
