"""Canonical records out of JSON text, straight into the columns of a batch: no Python object for a good record.

A record is read twice over, but its bytes once: `read_object` walks the text and notes where the value of every known
field lies (`Fields`); when the kind is known, those values are held against the types that the kind wants, and only a
record that passes is interned and pushed. So fields may come in any order, and a refused record leaves no trace.

    line ──read_object──► Fields (where each value lies) ──check──► Row ──► Batch.push
"""

from libc.stdint cimport int32_t, uint8_t, uint64_t

from ext.batch cimport Batch, Row
from ext.json_scalars cimport Bytes, Key, Reader, Value
from ext.record_types cimport FIELDS_MAX, Needs, RecordTypes
from ext.texts cimport Texts

cdef enum:
    LINE_MAX = 262144           # bytes of a record's line

cdef struct Fields:
    uint64_t stamp              # a value belongs to the object that was read last if it bears this stamp
    int count
    uint8_t seen[FIELDS_MAX]    # the numbers of the known fields, in order of appearance
    Value values[FIELDS_MAX]    # by number of the field
    uint8_t next[FIELDS_MAX + 1]        # by number of a field: the one that came behind it last; the first one of all


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
    cdef bint read(self, Bytes at, Bytes end, Row* row) except -1
    cdef int kind(self, Reader* r) except -1
    cdef bint check(self, int kind) except -1
    cdef void leave_payload(self, Row* row) noexcept
    cdef int fill_payload(self, Row* row) except -1
    cdef int32_t text(self, int number) except -1
    # its lists
    cdef bint check_list(self, int kind, int number) except -1
    cdef bint check_scalar(self, Reader* r, int want) except -1
    cdef bint check_object(self, Reader* r, const Needs* needs) except -1
    # many
    cdef Reader reader(self, Bytes at, Bytes end) noexcept
    cdef int check_texts(self, Batch batch) except -1
