"""What a record says, as canonical JSON, and hashed: the name of one without a number (R5), whether context is new (R10).

The payload is every field but the envelope. It is put together out of the spans of the record's line, members sorted by
name; a line with escapes, or with numbers that are no plain integers, is decoded and encoded anew, to the same bytes.
`text_in` reads a text that has no column likewise.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from ext.batch cimport Batch
from ext.floor cimport Floor
from ext.json_bytes cimport Bytes
from ext.json_types cimport Reader
from ext.json_writer cimport Digest, JsonWriter
from ext.sha256 cimport DIGEST_BYTES
from ext.state cimport Name

cdef enum:
    MEMBERS_MAX = 1024          # of all objects that are being written; of more the line is decoded


cdef struct Member:             # where it lies in the line
    Bytes name                  # without quotes
    Bytes value
    int32_t name_length
    int32_t length


@cython.final
cdef class Payloads:
    cdef Floor floor
    cdef JsonWriter text
    cdef Member members[MEMBERS_MAX]    # those of the object that is being written last, sorted by name
    cdef int count
    cdef Py_ssize_t payload_at          # of what was written last
    cdef Py_ssize_t payload_end
    cdef uint8_t hash[DIGEST_BYTES]     # of what `digest` was asked for last

    cdef int write(self, Batch batch, Py_ssize_t i, dict record, bint with_place) except -1
    cdef const uint8_t* digest(self, Batch batch, Py_ssize_t i) except NULL
    cdef Digest content(self) noexcept
    cdef int write_decoded(self, dict record, bint with_place) except -1
    cdef bint write_record(self, bint with_place) except -1
    cdef bint write_field(self, const char* name, int32_t length) except -1
    cdef bint write_object(self, Reader* r) except -1
    cdef bint write_list(self, Reader* r) except -1
    cdef bint write_member(self, const Member* member, bint first) except -1
    cdef bint write_value(self, Bytes at, int32_t length) except -1
    cdef bint read_members(self, Reader* r, Bytes at) noexcept
    cdef bint place(self, const Member* member, int first) noexcept
    cdef int count_equal(self, const uint8_t* digest, int64_t t_rx) except -1


cdef inline uint64_t first_word(const uint8_t* digest) noexcept:
    cdef uint64_t word
    memcpy(&word, digest, sizeof(word))
    return word


cdef str text_in(Batch batch, Py_ssize_t i, const char* name, int32_t length)
cdef Name* new_name(Floor floor, const uint8_t* digest) except NULL
