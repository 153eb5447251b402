"""Canonical records out of JSON text, straight into the columns of a batch: no Python object for a good record.

A record is read twice over, but its bytes once: `read_object` walks the text and notes where the value of every known
field lies (`Fields`); when the kind is known, those values are held against the types that the kind wants, and only a
record that passes is interned and becomes a row. So fields may come in any order, and a refused record leaves no trace.

    line ──read_object──► Fields (where each value lies) ──check──► add_row ──► columns of the Batch
"""

cimport cython
from libc.stdint cimport int32_t

from ext.batch cimport Batch
from ext.json_bytes cimport Bytes
from ext.json_types cimport Key, Reader, Value
from ext.record_fields cimport Fields
from ext.record_types cimport ClosedList, Needs, RecordTypes
from ext.texts cimport Texts

cdef enum:
    LINE_MAX = 262144           # bytes of a record's line


@cython.final
cdef class NdjsonDecoder:
    cdef readonly Texts texts
    cdef RecordTypes types
    cdef Fields record
    cdef Fields element             # of a nested list
    cdef Key* keys                  # see Reader
    cdef unsigned char* scratch
    cdef str reason                 # why the last line was refused

    # one record
    cdef bint line(self, Bytes at, Bytes end, Batch batch) except -1
    cdef bint read(self, Bytes at, Bytes end) except -1
    cdef bint check_types(self) except -1
    cdef bint check_presence(self) except -1
    cdef bint check_closed(self, const Fields* f, const ClosedList* closed) except -1
    cdef int add_row(self, Bytes at, Bytes end, Batch batch) except -1
    cdef int add_payload(self, const Fields* f, Py_ssize_t i, Batch batch) except -1
    cdef int32_t text(self, int number) except -1
    cdef int32_t interned(self, const Value* value) except -1
    # its lists
    cdef bint check_list(self, int kind, int number, const Value* value) except -1
    cdef Bytes check_scalar(self, Reader* r, Bytes at, int want) except? NULL
    cdef Bytes check_object(self, Reader* r, Bytes at, const Needs* needs) except? NULL
    # many
    cdef Reader reader(self, Bytes at, Bytes end) noexcept
    cdef int check_texts(self, Batch batch) except -1
