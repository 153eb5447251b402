"""Records without a number: what their `dev_id` is made of, and what tells duplicates among them (R5).

It is SHA-256 of the canonical JSON of `[src, kind, {payload}, t]`; without `t`, of `[src, kind, {payload}, t_rx, count]`.
A flat record whose texts have no escapes is put together out of the spans of its line; any other is decoded and encoded
anew, to the same bytes.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from ext.batch cimport Batch
from ext.floor cimport Floor
from ext.json_scalars cimport KEYS_MAX, Bytes, Reader
from ext.json_writer cimport JsonWriter
from ext.state cimport Name


cdef struct Member:             # of the payload: where it lies in the line
    Bytes name                  # without quotes
    Bytes value
    int32_t name_length
    int32_t length


cdef class Unnumbered:
    cdef Floor floor
    cdef JsonWriter text
    cdef Member payload[KEYS_MAX]
    cdef int members
    cdef Member src             # the envelope's
    cdef Member kind

    cdef bytes digest(self, Batch batch, Py_ssize_t i, dict record)
    cdef bint write_flat(self, Batch batch, Py_ssize_t i) except -1
    cdef bint read_flat(self, Reader* r) noexcept
    cdef void place(self, const Member* member) noexcept
    cdef int write_decoded(self, dict record) except -1
    cdef int count_equal(self, bytes digest, int64_t t_rx) except -1


cdef inline uint64_t first_word(bytes digest) noexcept:
    cdef uint64_t word
    memcpy(&word, <const char*>digest, 8)
    return word


cdef Name* new_name(Floor floor, bytes digest) except NULL
cdef bytes content_of(dict record)
